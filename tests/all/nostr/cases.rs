//! One thing said in many ways: as often as it comes, it counts once; and what does not count harms nothing.

use nostr_sdk::nips::nip44;
use nostr_sdk::{Event, EventBuilder, JsonUtil as _, Keys, Kind, Tag, Timestamp};
use serde_json::{Value, json};

use super::phone::{Phone, Shown};
use super::rogue::{Manners, Rogue};
use super::room::Room;
use crate::world::World;

fn value(event: &Event) -> Value {
    serde_json::from_str(&event.as_json()).unwrap()
}

/// What `phone` says in a seal: the same message can go into any number of wraps.
fn sealed(phone: &Phone, text: &str, tags: &[&[&str]], at: Timestamp) -> Event {
    let mut all = vec![Tag::public_key(phone.gate)];
    all.extend(tags.iter().map(|tag| Tag::parse(tag.iter().copied()).unwrap()));
    let mut rumor = nostr_sdk::UnsignedEvent::new(phone.keys.public_key(), at, Kind::PrivateDirectMessage, all, text);
    rumor.ensure_id();
    let text = nip44::encrypt(phone.keys.secret_key(), &phone.gate, rumor.as_json(), nip44::Version::V2).unwrap();
    EventBuilder::new(Kind::Seal, text).custom_created_at(at).sign_with_keys(&phone.keys).unwrap()
}

/// A wrap of its own time.
fn wrapped(phone: &Phone, inner: &str, at: Timestamp) -> Event {
    let once = Keys::generate();
    let text = nip44::encrypt(once.secret_key(), &phone.gate, inner, nip44::Version::V2).unwrap();
    EventBuilder::new(Kind::GiftWrap, text)
        .tag(Tag::public_key(phone.gate))
        .custom_created_at(at)
        .sign_with_keys(&once)
        .unwrap()
}

fn is_asked(world: &World, agent: &str) -> bool {
    world.pending(agent).is_some()
}

#[test]
fn one_event_from_five_relays_and_one_message_in_two_wraps_are_two_votes() {
    let room = Room::with_agents(&["ada", "bob"]);
    let rogues: Vec<Rogue> = (0..4).map(|_| Rogue::start(room.handle(), Manners::default())).collect();
    let urls: Vec<String> = rogues.iter().map(|rogue| rogue.url.clone()).collect();
    let room = room.but(|world| {
        let relays = world.gate["channels"]["nostr"]["relays"].as_array_mut().unwrap();
        relays.extend(urls.into_iter().map(Value::from));
    });
    let mut room = room.start();
    room.world.silence("ada");
    room.world.silence("bob");
    let (ada, bob) = (room.kim.packet_about("ada"), room.kim.packet_about("bob"));
    let decision = room.kim.decides(&ada, "deny", "");
    rogues.iter().for_each(|rogue| rogue.has(value(&decision), true));
    room.kim.publishes(&decision);
    let now = Timestamp::now();
    let seal = sealed(&room.kim, "deny", &[&["e", &bob.id.to_hex()]], now).as_json();
    for rogue in &rogues[..2] {
        rogue.has(value(&wrapped(&room.kim, &seal, now)), true);
    }
    room.kim.publishes(&wrapped(&room.kim, &seal, now));
    room.world.until_journal("ada", "denied");
    room.world.until_journal("bob", "denied");
    // All of it once more, after a restart.
    room.world.stop();
    room.world.start_daemon();
    room.kim.publishes(&wrapped(&room.kim, &seal, now));
    room.kim.writes(&format!("approve {}", ada.code()), &[]);
    room.kim.until_told("already denied by me (Nostr)");
    room.world.until("each relay was read", |world| {
        rogues.iter().all(|rogue| world.offset(&format!("nostr.read:{}", rogue.url)).is_some()).then_some(())
    });
    assert_eq!(room.world.journaled("", "receipt").len(), 2);
    assert_eq!(room.world.journaled("", "denied").len(), 2);
    assert_eq!(room.world.journaled("", "refused").len(), 1, "only what was said at the end");
}

#[test]
fn an_old_vote_decides_nothing_in_a_restored_backup() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.world
        .until("the request was delivered", |world| world.says(&["pending"]).out.contains("expires at").then_some(()));
    let backup = room.world.path("backup.db");
    room.world.says(&["backup", backup.to_str().expect("a path")]).taken();
    room.kim.publishes(&room.kim.decides(&packet, "approve", ""));
    room.world.until_journal("ada", "recovered");
    assert_eq!(room.world.runs_of("ada"), 1);
    room.world.stop();
    for leftover in ["gate.db-wal", "gate.db-shm"] {
        let _ = std::fs::remove_file(room.world.path("store").join(leftover));
    }
    std::fs::copy(&backup, room.world.store()).expect("the backup is put back");
    std::fs::rename(room.world.path("runs.log"), room.world.path("runs-before.log")).expect("another story");
    room.world.silence("ada");
    room.world.start_daemon();
    // The relay has the vote, and the store has never heard of it.
    let refused = room.world.until_journal("ada", "refused");
    assert_eq!(refused.body["by"], json!(format!("the Nostr key {}", room.kim.keys.public_key())), "{refused}");
    let anew = room.kim.until(|one| one.tag("agent") == Some("ada") && one.id != packet.id);
    assert_ne!(anew.key(), packet.key());
    assert_eq!(room.world.runs_of("ada"), 0);
    room.kim.replies(&anew, "deny");
    room.world.until_journal("ada", "denied");
}

#[test]
fn clocks_may_be_a_little_wrong_and_wraps_as_wrong_as_they_like() {
    let room = Room::with_agents(&["ada", "bob", "eve"]).start();
    let now = Timestamp::now();
    for agent in ["ada", "bob", "eve"] {
        room.world.silence(agent);
    }
    let packets: Vec<Shown> = ["ada", "bob", "eve"].map(|agent| room.kim.packet_about(agent)).into();
    let e = |packet: &Shown| packet.id.to_hex();
    // Five minutes off, either way: said.
    room.kim.writes_at("deny", &[&["e", &e(&packets[0])]], now + 300u64);
    room.kim.until_told("in the future. Look at the clock");
    room.kim.writes_at("deny", &[&["e", &e(&packets[0])]], now - 300u64);
    room.kim.until_told("before it was asked. Look at the clock");
    // A minute and a half: fine.
    room.kim.writes_at("deny", &[&["e", &e(&packets[0])]], now + 90u64);
    room.world.until_journal("ada", "denied");
    room.kim.writes_at("deny", &[&["e", &e(&packets[1])]], now - 90u64);
    room.world.until_journal("bob", "denied");
    // The time of a wrap is made up.
    let seal = sealed(&room.kim, "deny", &[&["e", &e(&packets[2])]], Timestamp::now()).as_json();
    room.kim.publishes(&wrapped(&room.kim, &seal, now + 2 * 86_400u64));
    room.world.until_journal("eve", "denied");
}

#[test]
fn times_that_are_none_harm_nothing() {
    let room = Room::with_agents(&["ada"]);
    let rogue = Rogue::start(room.handle(), Manners::default());
    let url = rogue.url.clone();
    let room = room.but(|world| {
        world.gate["channels"]["nostr"]["relays"].as_array_mut().unwrap().push(url.into());
    });
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let (id, gate) = (packet.id.to_hex(), room.kim.gate.to_hex());
    // Signed as they stand, where that can be: the beginning and the end of time, and the year 3000.
    for at in [0, (1u64 << 53) + 1, u64::MAX, 32_503_680_000] {
        let event = EventBuilder::new(Kind::TextNote, "approve")
            .tags([Tag::parse(["e", &id, "", "root"]).unwrap(), Tag::parse(["p", &gate]).unwrap()])
            .custom_created_at(Timestamp::from(at))
            .sign_with_keys(&room.kim.keys)
            .unwrap();
        rogue.has(value(&event), true);
        let seal = sealed(&room.kim, "approve", &[&["e", &id]], Timestamp::from(at)).as_json();
        rogue.has(value(&wrapped(&room.kim, &seal, Timestamp::now())), true);
    }
    // Others no library makes.
    let genuine = value(&room.kim.decides(&packet, "approve", ""));
    for at in [json!(-1), json!(1.5), json!(18_446_744_073_709_551_616.0), json!("1795416060"), Value::Null] {
        let mut event = genuine.clone();
        event["created_at"] = at;
        rogue.has(event, true);
    }
    room.kim.replies(&packet, "deny");
    room.world.until_journal("ada", "denied");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn what_answers_something_else_is_no_answer() {
    let room = Room::in_style("note", &["ada", "bob"])
        .but(|world| world.gate["channels"]["nostr"]["reactions"] = true.into())
        .start();
    room.world.silence("ada");
    room.world.silence("bob");
    let (ada, bob) = (room.kim.packet_about("ada"), room.kim.packet_about("bob"));
    let (a, b, gate) = (ada.id.to_hex(), bob.id.to_hex(), room.kim.gate.to_hex());
    let p: &[&str] = &["p", &gate];
    // Thumbs that mean nothing, or something else.
    for thumb in ["", "🤙", "❤️", ":approve:", "approve"] {
        room.kim.says(7, &[&["e", &a], p], thumb);
    }
    room.kim.says(7, &[&["e", &"0".repeat(64)], p], "+");
    // A quote in the open is no reply.
    room.kim.says(1, &[&["q", &a], p], "approve");
    // Two packets; the code of another.
    room.kim.says(1, &[&["e", &a, "", "root"], &["e", &b, "", "reply"], p], "approve");
    room.kim.until_told("that names two requests");
    room.kim.replies_openly(&ada, &format!("approve {}", bob.code()));
    room.kim.until_told("names");
    // Decisions that are none, signed all the same.
    let (key, other) = (ada.key(), bob.key());
    let (e, yes): (&[&str], &[&str]) = (&["e", &a], &["decision", "approve"]);
    let approval: &[&str] = &["approval", key];
    let cases: [(&[&[&str]], &str); 6] = [
        (&[e, p, approval, yes, yes], "the tag `decision` is there twice"),
        (&[e, p, approval, &["decision", "yes"]], "is not approve, deny or substitute"),
        (&[e, p, approval, &["decision", "substitute"]], "the tag `substitute` is missing"),
        (&[e, p, approval, yes, &["expiration", "9999999999"]], "a decision has none"),
        (&[e, p, &["approval", other], yes], "belong to different requests"),
        (&[&["e", &"0".repeat(64)], p, approval, yes], "does not name a request that was sent to you"),
    ];
    for (tags, says) in cases {
        room.kim.says(4717, tags, "");
        room.kim.until_told(says);
    }
    assert!(is_asked(&room.world, "ada") && is_asked(&room.world, "bob"));
    // An answer to the end is late, whatever it says; it belongs to that request.
    room.kim.replies_openly(&ada, "deny");
    let end = room.kim.until(|one| one.kind == 1 && one.text.contains("denied by me (Nostr)"));
    room.kim.says(1, &[&["e", &a, "", "root"], &["e", &end.id.to_hex(), "", "reply"], p], "approve");
    room.kim.until_told("already denied by me (Nostr)");
    room.kim.says(7, &[&["e", &end.id.to_hex()], p], "+");
    room.kim.replies_openly(&bob, "deny");
    room.world.until_journal("bob", "denied");
    assert_eq!((room.world.runs_of("ada"), room.world.runs_of("bob")), (0, 0));
}

/// Events of strangers in a heap.
const HEAP: u32 = 500;

/// How many heaps lie between an event and a forged copy of it. The library remembers 35,000 ids and 128,000 checks; as
/// many take minutes, and are asked for by LAZARUS_HEAPS=72.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests may ask for more")]
fn heaps() -> u32 {
    std::env::var("LAZARUS_HEAPS").ok().and_then(|heaps| heaps.parse().ok()).unwrap_or(1)
}

fn until_heard(room: &Room, event: &Event) {
    room.world.until("it was heard", |world| {
        let input = format!("nostr:{}", event.id);
        world.read(async |read| lazarus_gate::store::inbox::result(read, &input).await).flatten().map(drop)
    });
}

#[test]
fn a_forged_copy_counts_for_nothing_however_late_it_comes() {
    let room = Room::with_agents(&["ada"]);
    let rogue = Rogue::start(room.handle(), Manners::default());
    let url = rogue.url.clone();
    let room = room.but(|world| {
        world.gate["channels"]["nostr"]["relays"].as_array_mut().unwrap().push(url.into());
    });
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let (id, gate) = (packet.id.to_hex(), room.kim.gate.to_hex());
    let tags: [&[&str]; 2] = [&["e", &id, "", "root"], &["p", &gate]];
    let genuine = room.kim.signs(1, &tags, "I am looking at it");
    room.kim.publishes(&genuine);
    until_heard(&room, &genuine);
    // The library has verified the genuine one, and asks its cache by the id that an event claims.
    for heap in 0..heaps() {
        for number in 0..HEAP {
            rogue.has(value(&room.mallory.signs(1, &tags, &format!("hay {heap} {number}"))), true);
        }
        let marker = room.kim.signs(1, &tags, &format!("heap {heap} is through"));
        rogue.has(value(&marker), true);
        until_heard(&room, &marker);
    }
    let mut forged = value(&genuine);
    forged["content"] = json!("approve");
    rogue.has(forged.clone(), true);
    forged["pubkey"] = json!(room.lee.keys.public_key().to_hex());
    rogue.has(forged, true);
    let mut broken = value(&room.kim.decides(&packet, "approve", ""));
    broken["sig"] = json!(value(&genuine)["sig"]);
    rogue.has(broken, true);
    let deny = room.kim.decides(&packet, "deny", "");
    rogue.has(value(&deny), true);
    room.world.until_journal("ada", "denied");
    assert_eq!(room.world.runs_of("ada"), 0);
}
