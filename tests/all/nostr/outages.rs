//! What is said while we are down, or while a relay is.

use nostr_sdk::{Event, EventBuilder, Kind, Timestamp};
use rusqlite::Connection;

use super::phone::Shown;
use super::room::Room;

#[test]
fn an_answer_that_came_while_the_gate_was_down_counts() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.world
        .until("the request was delivered", |world| world.says(&["pending"]).out.contains("expires at").then_some(()));
    room.world.stop();
    room.kim.replies(&packet, "deny because of the outage");
    room.kim.publishes(&room.kim.decides(&packet, "approve", "too late"));
    room.world.start_daemon();
    room.world.until_journal("ada", "denied");
    room.kim.until_told("denied by me (Nostr)");
    room.kim.until_told("already denied by me (Nostr)");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn a_kill_loses_no_answer() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    room.world.kill9();
    room.world.start_daemon();
    room.world.until_journal("ada", "verified");
    assert_eq!(room.world.runs_of("ada"), 1);
}

#[test]
fn a_relay_that_ends_and_comes_back_is_used_again() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    room.world.until("the outage is seen", |world| {
        // A connection that the relay is just working for does not hear that it ends.
        room.end_relay();
        world.says(&["status"]).out.contains("no relay is reached").then_some(())
    });
    room.new_relay();
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    room.world.until_journal("ada", "verified");
}

#[test]
fn a_relay_that_is_not_there_delays_no_other() {
    let room = Room::with_agents(&["ada"])
        .but(|world| {
            // Nobody listens there, and nothing ever answers here.
            let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let at = silent.local_addr().unwrap();
            std::mem::forget(silent);
            let relays = world.gate["channels"]["nostr"]["relays"].as_array_mut().unwrap();
            relays.push("ws://127.0.0.1:1".into());
            relays.push(format!("ws://{at}").into());
        })
        .start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    room.world.until_journal("ada", "verified");
    let status = room.world.says(&["status"]).out;
    assert!(status.contains("ws://127.0.0.1:1: not connected"), "{status}");
    assert!(status.contains(&format!("{}: connected", room.url.trim_end_matches('/'))), "{status}");
}

#[test]
fn whoever_left_the_configuration_is_out() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.world.gate["people"]["me"]["nostr"] = serde_json::json!([room.lee.keys.public_key().to_hex()]);
    room.world.gate["people"]["lee"]["nostr"] = serde_json::json!([room.mallory.keys.public_key().to_hex()]);
    room.world.save();
    room.world.until_journal("", "new_config");
    room.kim.replies(&packet, "approve");
    room.lee.writes(&format!("deny {}", packet.code()), &[]);
    room.world.until_journal("ada", "denied");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn somebody_who_cannot_be_reached_is_told_of() {
    let room = Room::with_agents(&["ada"])
        .but(|world| {
            world.gate["people"]["lee"]["relays"] = serde_json::json!([]);
        })
        .start();
    room.world.silence("ada");
    room.kim.packet_about("ada");
    room.kim.until_told("lee on Nostr");
    assert!(room.lee.all().iter().all(|one| one.tag("agent").is_none()));
    // As soon as lee says where, everything that waits goes there.
    let url = room.url.clone();
    room.lee.says(10_050, &[&["relay", &url]], "");
    // A list names a loopback address: it is not followed there, but this relay is one of ours.
    room.lee.packet_about("ada");
}

#[test]
fn a_list_that_leads_nowhere_does_not_cut_somebody_off() {
    let room = Room::with_agents(&["ada"]);
    // Loopback that the configuration does not name, and a private network.
    let lists: &[&[&str]] = &[&["relay", "ws://127.0.0.1:9"], &["relay", "ws://10.1.2.3"], &["relay", "ws://[::1]:9"]];
    room.lee.says(10_050, lists, "");
    let room = room.start();
    room.world.silence("ada");
    room.lee.packet_about("ada");
}

#[test]
fn whoever_was_revoked_learns_nothing_more_in_private() {
    let room = Room::with_agents(&["ada"]).start();
    room.world.says(&["revoke", "lee"]).taken();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    room.world.until_journal("ada", "verified");
    assert!(room.lee.all().iter().all(|one| one.tag("agent").is_none()), "{:?}", room.lee.all());
}

/// What kim signed so many minutes ago.
fn signed_before(room: &Room, minutes: u64, kind: Kind, text: &str, tags: &[&[&str]]) -> Event {
    let tags = tags.iter().map(|tag| nostr_sdk::Tag::parse(tag.iter().copied()).unwrap());
    EventBuilder::new(kind, text)
        .tags(tags)
        .custom_created_at(Timestamp::now() - minutes * 60)
        .sign_with_keys(&room.kim.keys)
        .unwrap()
}

/// The same: a denial of `packet`.
fn denied_before(room: &Room, minutes: u64, packet: &Shown) -> Event {
    let (id, gate) = (packet.id.to_hex(), room.kim.gate.to_hex());
    let tags: [&[&str]; 4] = [&["e", &id], &["p", &gate], &["approval", packet.key()], &["decision", "deny"]];
    signed_before(room, minutes, Kind::from_u16(4717), "", &tags)
}

/// The daemon is down, and was asked that half an hour earlier than it was.
fn half_an_hour_passes(room: &mut Room) {
    room.world
        .until("the relay was read", |world| world.offset(&format!("nostr.read:{}", room.url.trim_end_matches('/'))));
    room.world.stop();
    let store = Connection::open(room.world.store()).unwrap();
    for table in ["requests", "messages"] {
        store.execute(&format!("UPDATE {table} SET created_at = created_at - 1800000"), []).unwrap();
    }
}

#[test]
fn an_answer_as_old_as_its_request_counts_whenever_a_relay_has_it() {
    let mut room = Room::with_agents(&["ada", "bob"]).start();
    room.world.silence("ada");
    room.world.silence("bob");
    let (ada, bob) = (room.kim.packet_about("ada"), room.kim.packet_about("bob"));
    half_an_hour_passes(&mut room);
    // One reaches the relay while nobody listens, and one while everybody does, long after it was read.
    room.kim.publishes(&denied_before(&room, 25, &ada));
    room.world.start_daemon();
    room.world.until_journal("ada", "denied");
    room.kim.until_told("denied by me (Nostr)");
    room.kim.publishes(&denied_before(&room, 25, &bob));
    room.world.until_journal("bob", "denied");
}

#[test]
fn a_place_that_lies_ahead_or_is_damaged_hides_nothing() {
    for place in ["9999999999", "\u{fffd}"] {
        let mut room = Room::with_agents(&["ada"]).start();
        let source = format!("nostr.read:{}", room.url.trim_end_matches('/'));
        room.world.until("the relay was read", |world| world.offset(&source));
        room.world.stop();
        let store = Connection::open(room.world.store()).unwrap();
        let changed = store.execute("UPDATE source_offsets SET position = ?1 WHERE source = ?2", [place, &source]);
        assert_eq!(changed.unwrap(), 1);
        drop(store);
        let gate = room.kim.gate.to_hex();
        room.kim.publishes(&signed_before(&room, 30, Kind::TextNote, "hold", &[&["p", &gate]]));
        room.world.start_daemon();
        room.world.until_journal("", "held");
        let now = Timestamp::now().as_secs();
        room.world.until("the place is one again", |world| {
            world.offset(&source).and_then(|at| at.parse::<u64>().ok()).filter(|at| *at <= now + 60)
        });
    }
}
