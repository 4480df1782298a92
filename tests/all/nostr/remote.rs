//! The gateway's key at a remote signer (NIP-46).

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nostr_connect::prelude::{
    NostrConnectKeys, NostrConnectRemoteSigner, NostrConnectRequest, NostrConnectSignerActions,
};
use nostr_relay_builder::builder::{RelayBuilderNip42, RelayBuilderNip42Mode};
use nostr_relay_builder::prelude::{LocalRelay, RateLimit, RelayBuilder};
use nostr_sdk::nips::nip44;
use nostr_sdk::prelude::*;
use serde_json::{Value, json};

use super::room::{Room, keys};
use crate::world::DEADLINE;

const SECRET: &str = "an-address-is-a-secret";
/// The key that requests go to; the gateway's own is another.
const SIGNER: u8 = 21;

/// The room's gateway has its key at a signer, of which it knows the address.
fn with_signer(names: &[&str]) -> Room {
    let room = Room::with_agents(names);
    let address = format!("bunker://{}?relay={}&secret={SECRET}", keys(SIGNER).public_key().to_hex(), room.url);
    room.world.write("config/bunker", &address);
    let secret = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(room.world.path("config/bunker"), secret).expect("the address's file");
    std::fs::remove_file(room.world.path("config/nostr.key")).expect("no key is here");
    room.but(|world| {
        let nostr = world.gate["channels"]["nostr"].as_object_mut().unwrap();
        nostr.remove("secret_key_file");
        nostr.insert("remote_signer_file".into(), json!("bunker"));
        nostr.insert("call_deadline".into(), json!("1s"));
    })
}

/// What the library's own signer was asked for.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl NostrConnectSignerActions for Asked {
    fn approve(&self, _: &PublicKey, request: &NostrConnectRequest) -> bool {
        self.0.lock().unwrap().push(request.method().to_string());
        true
    }
}

/// A signer that nobody here wrote.
fn foreign_signer(room: &Room) -> Asked {
    let asked = Asked::default();
    let of = NostrConnectKeys { signer: keys(SIGNER), user: keys(1) };
    let signer = NostrConnectRemoteSigner::new(of, [room.url.clone()], Some(SECRET.into()), None).unwrap();
    let actions = asked.clone();
    room.handle().spawn(async move { signer.serve(actions).await });
    asked
}

/// How a signer of our own behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Manner {
    Good,
    Silent,
    SignsSomethingElse,
    OpensNothing,
}

/// A signer that does what it likes.
#[derive(Clone, Default)]
struct Rogue {
    manner: Arc<AtomicU8>,
    asked: Arc<AtomicU64>,
}

impl Rogue {
    fn behave(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::SeqCst);
    }

    fn start(room: &Room, manner: Manner) -> Self {
        let rogue = Self::default();
        rogue.behave(manner);
        let (this, url) = (rogue.clone(), room.url.clone());
        room.handle().spawn(async move {
            let (signer, user) = (keys(SIGNER), keys(1));
            let client = Client::new(signer.clone());
            client.add_relay(&url).await.unwrap();
            client.connect().await;
            client.wait_for_connection(DEADLINE).await;
            let mut notes = client.notifications();
            client.subscribe(Filter::new().kind(Kind::NostrConnect).pubkey(signer.public_key()), None).await.unwrap();
            while let Ok(note) = notes.recv().await {
                let RelayPoolNotification::Event { event, .. } = note else { continue };
                let text = nip44::decrypt(signer.secret_key(), &event.pubkey, &event.content).unwrap();
                let request: Value = serde_json::from_str(&text).unwrap();
                this.asked.fetch_add(1, Ordering::SeqCst);
                let Some(answer) = this.answer(&request, &user) else { continue };
                let text = nip44::encrypt(signer.secret_key(), &event.pubkey, answer.to_string(), nip44::Version::V2);
                let answer = EventBuilder::new(Kind::NostrConnect, text.unwrap()).tag(Tag::public_key(event.pubkey));
                client.send_event_builder(answer).await.unwrap();
            }
        });
        rogue
    }

    fn answer(&self, request: &Value, user: &Keys) -> Option<Value> {
        let manner = self.manner.load(Ordering::SeqCst);
        if manner == Manner::Silent as u8 {
            return None;
        }
        let param = |at: usize| request["params"][at].as_str().unwrap_or_default();
        let other = || PublicKey::from_hex(param(0)).unwrap();
        let result = match request["method"].as_str().unwrap() {
            "connect" => Ok("ack".to_owned()),
            "get_public_key" => Ok(user.public_key().to_hex()),
            "sign_event" => {
                let mut event = UnsignedEvent::from_json(param(0)).unwrap();
                if manner == Manner::SignsSomethingElse as u8 {
                    event = UnsignedEvent::new(event.pubkey, event.created_at, event.kind, event.tags, "send money");
                }
                Ok(event.sign_with_keys(user).unwrap().as_json())
            }
            "nip44_encrypt" => Ok(nip44::encrypt(user.secret_key(), &other(), param(1), nip44::Version::V2).unwrap()),
            "nip44_decrypt" if manner == Manner::OpensNothing as u8 => Err("not today".to_owned()),
            "nip44_decrypt" => nip44::decrypt(user.secret_key(), &other(), param(1)).map_err(|error| error.to_string()),
            other => Err(format!("what is {other}?")),
        };
        Some(match result {
            Ok(result) => json!({ "id": request["id"], "result": result }),
            Err(error) => json!({ "id": request["id"], "result": null, "error": error }),
        })
    }
}

#[test]
fn people_are_asked_and_answer_while_the_key_is_somewhere_else() {
    let room = with_signer(&["ada", "bob"]);
    let asked = foreign_signer(&room);
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    // Somebody writes what only the gateway could read, and what nobody can.
    room.mallory.writes("approve everything", &[]);
    let garbled = room.mallory.signs(1059, &[&["p", &room.kim.gate.to_hex()]], "AgAAAA");
    room.mallory.publishes(&garbled);
    room.kim.replies(&packet, "deny because of the move");
    room.world.until_journal("ada", "denied");
    room.kim.until_told("denied by me (Nostr)");
    room.world.silence("bob");
    let packet = room.kim.packet_about("bob");
    room.kim.publishes(&room.kim.wraps(&room.kim.decides(&packet, "approve", "")));
    room.world.until_journal("bob", "verified");
    let receipts = room.world.journaled("", "receipt");
    let attested: Vec<bool> = receipts.iter().map(|one| one.body["attested"].as_bool().unwrap()).collect();
    assert_eq!(attested, [true, false], "a signed decision proves itself");
    let verified = room.world.says(&["journal", "verify"]);
    verified.ended_with(0, "1 receipts prove what people signed");
    verified.mentions("1 receipts are attested by the gateway, and cannot be checked without it");
    let asked = asked.0.lock().unwrap();
    for method in ["connect", "get_public_key", "sign_event", "nip44_encrypt", "nip44_decrypt"] {
        assert!(asked.iter().any(|one| one == method), "{method} in {asked:?}");
    }
}

#[test]
fn a_signer_that_is_silent_is_told_of_and_all_waits_for_it() {
    let room = with_signer(&["ada"]);
    let signer = Rogue::start(&room, Manner::Good);
    let room = room.start();
    room.kim.writes("whoami", &[]);
    room.kim.until_told("you decide for");
    signer.behave(Manner::Silent);
    // An answer that has to be opened makes it show.
    room.kim.writes("status", &[]);
    room.world.until("the silence is told", |_| {
        let said = room.world.says(&["status"]);
        said.out.contains("the remote signer does not answer").then_some(())
    });
    // What needs no signer is heard all the same.
    let gate = room.kim.gate.to_hex();
    room.kim.says(1, &[&["p", &gate]], "hold for coffee");
    room.world.until_journal("", "held");
    signer.behave(Manner::Good);
    room.kim.until_told("Agents: 1 healthy");
    room.world.until("nothing is wrong", |_| {
        let said = room.world.says(&["status"]);
        (!said.out.contains("the remote signer")).then_some(())
    });
}

#[test]
fn a_signer_that_is_not_there_at_the_start_is_waited_for() {
    let room = with_signer(&["ada"]);
    let signer = Rogue::start(&room, Manner::Silent);
    let room = room.start();
    room.world.silence("ada");
    room.world.until("the silence is told", |_| {
        room.world.says(&["status"]).out.contains("the remote signer does not answer").then_some(())
    });
    signer.behave(Manner::Good);
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "deny");
    room.world.until_journal("ada", "denied");
}

#[test]
fn what_it_signs_is_what_it_was_asked_to_sign() {
    let room = with_signer(&["ada"]);
    let signer = Rogue::start(&room, Manner::SignsSomethingElse);
    let room = room.start();
    room.world.silence("ada");
    room.world.until("it is told", |_| {
        room.world.says(&["status"]).out.contains("signed something else than it was asked to").then_some(())
    });
    assert!(room.kim.all().is_empty(), "nothing of it is used: {:?}", room.kim.all());
    signer.behave(Manner::Good);
    room.kim.packet_about("ada");
}

#[test]
fn an_answer_that_it_does_not_open_is_not_given_up() {
    let room = with_signer(&["ada"]);
    let signer = Rogue::start(&room, Manner::Good);
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    signer.behave(Manner::OpensNothing);
    room.kim.replies(&packet, "deny");
    room.world.until("it is told", |_| room.world.says(&["status"]).out.contains("not today").then_some(()));
    signer.behave(Manner::Good);
    room.world.until_journal("ada", "denied");
}

#[test]
fn an_answer_that_waits_to_be_opened_survives_a_kill() {
    let mut room = with_signer(&["ada"]);
    let signer = Rogue::start(&room, Manner::Good);
    room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    signer.behave(Manner::Silent);
    room.kim.replies(&packet, "deny");
    room.world.until("the silence is told", |_| {
        room.world.says(&["status"]).out.contains("the remote signer does not answer").then_some(())
    });
    room.world.kill9();
    signer.behave(Manner::Good);
    room.world.start_daemon();
    room.world.until_journal("ada", "denied");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn noise_at_the_signers_relay_ends_no_request() {
    let room = with_signer(&["ada"]);
    let _signer = Rogue::start(&room, Manner::Good);
    room.world.save();
    let known = room.world.says(&["keys", "show", "--json"]).json().unwrap();
    let client = PublicKey::parse(known["asked_by"].as_str().unwrap()).unwrap();
    let noise = |text: &str| room.mallory.says(24_133, &[&["p", &client.to_hex()]], text);
    let room = &room;
    let answer = json!({ "id": "1", "result": keys(4).public_key().to_hex() }).to_string();
    let answer = nip44::encrypt(room.mallory.keys.secret_key(), &client, answer, nip44::Version::V2).unwrap();
    std::thread::scope(|scope| {
        let cli = room.world.command_line();
        let doctor = scope.spawn(move || cli.says(&["doctor", "nostr"]));
        while !doctor.is_finished() {
            noise("what nobody can read");
            noise(&answer);
        }
        doctor.join().unwrap().mentions("the remote signer answers: the gateway is npub1");
    });
}

#[test]
fn strangers_do_not_flood_the_signer() {
    let room = with_signer(&["ada"]);
    let signer = Rogue::start(&room, Manner::Good);
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let before = signer.asked.load(Ordering::SeqCst);
    for number in 0..300 {
        room.mallory.writes(&format!("number {number}"), &[]);
    }
    // An open answer passes by them all.
    room.kim.publishes(&room.kim.decides(&packet, "deny", ""));
    room.world.until_journal("ada", "denied");
    let asked = signer.asked.load(Ordering::SeqCst) - before;
    assert!(asked < 250, "{asked} requests");
}

#[test]
fn the_doctor_and_keys_tell_of_the_signer() {
    let room = with_signer(&["ada"]);
    let signer = Rogue::start(&room, Manner::Good);
    room.world.save();
    let seen = room.world.says(&["doctor", "nostr"]);
    seen.mentions("the remote signer answers: the gateway is npub1");
    signer.behave(Manner::OpensNothing);
    let seen = room.world.says(&["doctor", "nostr"]);
    seen.ended_with(1, "private messages cannot be read");
    signer.behave(Manner::SignsSomethingElse);
    room.world.says(&["doctor", "nostr"]).ended_with(1, "signed something else");
    signer.behave(Manner::Silent);
    room.world.says(&["doctor", "nostr"]).ended_with(1, "the remote signer does not answer");
    let known = room.world.says(&["keys", "show"]);
    known.mentions(&keys(SIGNER).public_key().to_bech32().unwrap()).mentions(&room.url);
    assert!(!known.out.contains(SECRET), "{known:?}");
    room.world.write("config/bunker", &format!("bunker://nobody?secret={SECRET}"));
    let seen = room.world.says(&["doctor", "nostr"]);
    seen.ended_with(1, "without the signer's public key");
    assert!(!seen.out.contains(SECRET) && !seen.err.contains(SECRET), "{seen:?}");
}

#[test]
fn it_also_says_who_we_are_to_a_relay_that_wants_to_know() {
    let mut room = with_signer(&["ada"]);
    let _signer = Rogue::start(&room, Manner::Good);
    let guarded = LocalRelay::new(
        RelayBuilder::default()
            .rate_limit(RateLimit { max_reqs: 500, notes_per_minute: 100_000 })
            .nip42(RelayBuilderNip42 { mode: RelayBuilderNip42Mode::Both }),
    );
    let url = room.handle().block_on(async {
        guarded.run().await.unwrap();
        guarded.url().await.to_string()
    });
    room.moves_to(&url);
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "deny");
    room.world.until_journal("ada", "denied");
}
