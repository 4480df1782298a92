//! What relays do to questions, to answers and to connections, case by case. Each case is a relay of its own
//! beside a good one, and an agent whose answer only that relay has.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::rogue::{Auth, Manners, Rogue};
use super::rogues::{value, with_each};
use super::room::Room;
use crate::world::World;

/// What happens once the answer is there to be given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    /// The connection ends, and the answer comes while nobody listens.
    Cut,
    /// The connection stays, and brings nothing any more.
    Freeze,
    /// Much that is of no use, before and after.
    Noise,
}

fn noise(room: &Room, rogue: &Rogue) {
    let gate = room.kim.gate.to_hex();
    let long = room.kim.signs(1, &[&["p", &gate]], &"long ".repeat(13_108));
    rogue.has(value(&long), true);
    let tags: Vec<Vec<String>> = (0..1_999).map(|number| vec!["t".to_owned(), number.to_string()]).collect();
    let mut all: Vec<Vec<&str>> = tags.iter().map(|tag| tag.iter().map(String::as_str).collect()).collect();
    all.push(vec!["p", &gate]);
    let all: Vec<&[&str]> = all.iter().map(Vec::as_slice).collect();
    rogue.has(value(&room.kim.signs(1, &all, "tagged")), true);
    let mut huge = value(&long);
    huge["content"] = json!("x".repeat(6 << 20));
    rogue.has(huge, true);
    for bytes in [vec![], vec![0; 1000], vec![0xff; 1 << 20]] {
        rogue.says_message(&Message::binary(bytes));
    }
    for text in [r#"["EOSE","lazarus-page-1"]"#, r#"["EOSE","foreign"]"#, r#"["CLOSED","foreign","error: no"]"#, "{"] {
        rogue.says(text);
    }
}

#[test]
fn whatever_a_relay_does_the_answer_that_it_has_is_heard() {
    let closes = [
        "duplicate: we know",
        "pow: 30 bits",
        "blocked: not you",
        "rate-limited: slow down",
        "invalid: what?",
        "restricted: members only",
        "mute: quiet",
        "error: shutting down idle subscription",
        "auth-required: who are you",
        "unsupported: too many filters",
        "no prefix at all",
        "",
    ]
    .map(|words| Manners { closes: Some((words.to_owned(), 7)), ..Manners::default() });
    let auth = |auth| Manners { auth, ..Manners::default() };
    let plain = Manners::default;
    let mut cases: Vec<(Manners, Then)> = closes.into_iter().map(|manners| (manners, Then::Nothing)).collect();
    cases.extend([
        (Manners { drops: 2, ..plain() }, Then::Nothing),
        (Manners { hangs_up: 3, ..plain() }, Then::Nothing),
        (plain(), Then::Cut),
        (plain(), Then::Freeze),
        (plain(), Then::Noise),
        (auth(Auth::AtConnect), Then::Nothing),
        (auth(Auth::AfterQuestion), Then::Nothing),
        (auth(Auth::OnEvent), Then::Nothing),
        (auth(Auth::Twice), Then::Nothing),
        (Manners { no_eose: true, ..plain() }, Then::Nothing),
        (Manners { late_eose: true, ..plain() }, Then::Cut),
    ]);
    let (room, rogues) = with_each(cases.iter().map(|(manners, _)| manners.clone()));
    let refused = Rogue::start(room.handle(), Manners { auth: Auth::Refused, ..Manners::default() });
    let room = room
        .but(|world| {
            let nostr = &mut world.gate["channels"]["nostr"];
            nostr["relays"].as_array_mut().unwrap().push(Value::from(refused.url.clone()));
            nostr["heartbeat"] = json!("2s");
        })
        .start();
    for (agent, _) in &rogues {
        room.world.silence(agent);
    }
    for ((_, then), (agent, rogue)) in cases.iter().zip(&rogues) {
        let answer = value(&room.kim.decides(&room.kim.packet_about(agent), "deny", ""));
        // It was reached at all.
        room.world.until(&format!("{agent}'s relay is asked"), |_| (rogue.asked() > 0).then_some(()));
        match then {
            Then::Nothing => rogue.has(answer, true),
            Then::Cut => {
                rogue.cut();
                rogue.has(answer, false);
            }
            Then::Freeze => {
                rogue.freeze();
                rogue.has(answer, true);
            }
            Then::Noise => {
                noise(&room, rogue);
                rogue.has(answer, true);
                noise(&room, rogue);
            }
        }
    }
    for ((manners, _), (agent, rogue)) in cases.iter().zip(&rogues) {
        room.world.until_journal(agent, "denied");
        if let Some((words, times)) = &manners.closes {
            assert!(rogue.asked() > *times as usize, "{words:?}");
        }
        // It knows who we are: it took what we say of ourselves.
        room.world.until(&format!("{agent}'s relay has our list"), |_| (rogue.count(10_050) > 0).then_some(()));
    }
    // Who does not want us is told of, and nobody else is.
    room.world.until_told(&format!("{} refuses our subscriptions: auth-required", refused.url));
    for (_, rogue) in &rogues {
        assert!(!room.world.was_told(&format!("{} refuses", rogue.url)));
    }
}

#[test]
fn a_relay_that_takes_nothing_delays_no_other() {
    let refuses = [
        "duplicate: had it",
        "pow: 30 bits",
        "blocked: not you",
        "rate-limited: slow down",
        "invalid: what?",
        "restricted: members only",
        "mute: quiet",
        "error: disk",
        "auth-required: who are you",
        "unsupported: no such kind",
        "",
    ]
    .map(|words| Manners { refuses: Some(words.to_owned()), ..Manners::default() });
    let others = [
        Manners { no_ok: true, ..Manners::default() },
        Manners { slow_ok: Some(Duration::from_secs(30)), ..Manners::default() },
        Manners { ok_to: Some("ab".repeat(32)), ..Manners::default() },
        Manners { ok_to: Some(String::new()), ..Manners::default() },
    ];
    let room = Room::with_agents(&["ada"]);
    let rogues: Vec<Rogue> =
        refuses.into_iter().chain(others).map(|manners| Rogue::start(room.handle(), manners)).collect();
    let room = room
        .but(|world| {
            // Whoever waited for one of them would wait for longer than this story does.
            world.gate["channels"]["nostr"]["call_deadline"] = json!("60s");
            let relays = world.gate["channels"]["nostr"]["relays"].as_array_mut().unwrap();
            relays.splice(0..0, rogues.iter().map(|rogue| Value::from(rogue.url.clone())));
            world.gate["people"]["me"]["relays"] = world.gate["channels"]["nostr"]["relays"].clone();
        })
        .start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.world
        .until("it counts as delivered", |world| world.says(&["pending"]).out.contains("expires at").then_some(()));
    room.kim.replies(&packet, "approve");
    room.world.until_journal("ada", "verified");
}

#[test]
fn whoever_reads_slowly_loses_nothing() {
    let (room, rogues) = with_each([Manners::default()]);
    let mut room = room.start();
    let (agent, rogue) = &rogues[0];
    room.world.silence(agent);
    let packet = room.kim.packet_about(agent);
    let gate = room.kim.gate.to_hex();
    room.world.until("the relay is asked", |_| (rogue.asked() > 3).then_some(()));
    // More than any queue of the library holds, of strangers; and more than the inbox has room for, of ours.
    let stranger = |number: u32| value(&room.mallory.signs(1, &[&["p", &gate]], &format!("hay {number}")));
    let hay: Vec<Value> = (0..6_000).map(stranger).collect();
    let ours: Vec<Value> =
        (0..300).map(|number| value(&room.kim.signs(1, &[&["p", &gate]], &format!("chatter {number}")))).collect();
    let decision = value(&room.kim.decides(&packet, "deny", ""));
    let daemon = room.world.daemon.as_ref().unwrap();
    daemon.signal(Signal::STOP);
    hay.iter().take(3_000).chain(&ours).for_each(|event| rogue.has(event.clone(), true));
    rogue.has(decision, true);
    hay.iter().skip(3_000).for_each(|event| rogue.has(event.clone(), true));
    daemon.signal(Signal::CONT);
    let taken_in = |world: &World| {
        let store = rusqlite::Connection::open(world.store()).ok()?;
        let sql = "SELECT COUNT(*) FROM inputs WHERE source = 'nostr'";
        store.query_row(sql, [], |row| row.get::<_, i64>(0)).ok()
    };
    // All of it takes a slow machine longer than a single thing may take.
    for so_many in [1, 150, 301] {
        let what = format!("{so_many} of ours are in the inbox");
        room.world.until(&what, |world| taken_in(world).filter(|count| *count >= so_many).map(drop));
    }
    room.world.until_journal(agent, "denied");
    // Each of them once.
    assert_eq!(taken_in(&room.world), Some(301));
    room.world.stop();
}
