//! Drills: the whole way of a request, with nothing at its end.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::room::{KIM, LEE, MALLORY, OPS, Room, code_of};
use crate::bot_api::Message;
use crate::world::Heard;

fn is_drill(message: &Message) -> bool {
    message.text.starts_with("DRILL – nothing is dead, nothing will run.")
}

/// Starts a drill at the command line, plays, and returns what the command line said at the end.
fn during(room: &Room, args: &[&str], play: impl FnOnce(Message)) -> Heard {
    let voice = room.world.command_line();
    thread::scope(|scope| {
        let said = scope.spawn(move || voice.says(args));
        play(room.api.wait_message(OPS, |message| is_drill(message) && !message.buttons().is_empty()));
        said.join().expect("the command line")
    })
}

#[test]
fn a_drill_is_answered_by_one_tap_and_tells_who_and_how_fast() {
    let room = Room::with_agents(&["ada"]).start();
    let mut number = 0;
    let heard = during(&room, &["drill", "--json"], |card| {
        assert_eq!(card.labels(), ["I am here"]);
        assert!(
            card.text.contains("me asks whether somebody who decides for the mission 'ada-mission'"),
            "{}",
            card.text
        );
        let stranger = room.api.tap(OPS, card.id, "I am here", MALLORY);
        let refused = room.api.wait_answer(&stranger);
        assert!(refused.show_alert && refused.text.contains("not in `people`"), "{refused:?}");
        let tap = room.api.tap(OPS, card.id, "I am here", LEE);
        let answer = room.api.wait_answer(&tap);
        assert!(!answer.show_alert && answer.text.contains("you are here"), "{answer:?}");
        number = card.id;
    });
    heard.taken();
    let drill = heard.found("drill").expect("the drill");
    assert_eq!(drill["mission"], "ada-mission");
    assert_eq!(drill["state"]["state"], "answered");
    assert_eq!((&drill["state"]["by"], &drill["state"]["via"]), (&json!("lee"), &json!("telegram")));
    let copies = heard.found("copies").expect("where it arrived");
    assert!(copies.as_array().is_some_and(|all| all.iter().all(|copy| copy["arrived_at"].is_i64())), "{copies}");
    assert!(heard.found("took_ms").is_some());
    let card =
        room.api.wait_edited(OPS, number, |message| message.text.contains("Over: lee answered (Telegram) after"));
    assert!(card.buttons().is_empty());
    room.world.until_told("Over: lee answered (Telegram) after");
    let late = room.api.tap_data(OPS, card.id, "x", KIM);
    room.api.wait_answer(&late);
    for kind in ["drill_started", "drill_answered"] {
        assert_eq!(room.world.journaled("", kind).len(), 1, "{kind}");
    }
    assert!(room.world.runs().is_empty(), "a drill runs nothing");
    room.world.says(&["history"]).mentions("answered by lee (Telegram) after");
}

#[test]
fn nobody_is_there_and_that_is_told_with_a_code_of_its_own() {
    let room = Room::with_agents(&["ada"]).start();
    let heard = during(&room, &["drill", "--mission", "ada-mission", "--wait", "1s"], |card| {
        let card = room.until_card_says(&card, "Over: NOBODY answered within 1 s.");
        assert!(card.buttons().is_empty());
    });
    heard.ended_with(8, "NOBODY answered within 1 s.");
    heard.mentions(&format!("telegram {OPS}: arrived after"));
    assert_eq!(room.world.journaled("", "drill_expired").len(), 1);
}

#[test]
fn a_drill_outlives_the_daemon_and_is_answered_by_a_reply() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.api.say(OPS, KIM, "/drill ada-mission for 1h");
    let card = room.api.wait_message(OPS, |message| is_drill(message) && !message.buttons().is_empty());
    room.api.wait_message(OPS, |message| message.text.contains("May answer: lee, me."));
    room.world.kill9();
    room.api.reply(OPS, LEE, card.id, "here");
    room.world.start_daemon();
    room.world.until_journal("", "drill_answered");
    // It may have been sent once more, if the kill came before the send was marked.
    room.api.wait_message(OPS, |message| message.text.contains("Over: lee answered (Telegram)"));
    room.api.say(OPS, KIM, &format!("/here {}", code_of(&card)));
    room.api.wait_message(OPS, |message| message.text.contains("is over; lee answered it"));
}

#[test]
fn who_may_not_decide_may_not_drill_nor_answer() {
    let room = Room::with_agents(&["ada"]).but(|world, _| {
        world.gate["people"]["lee"] = json!({"telegram": LEE});
    });
    let room = room.start();
    room.api.say(OPS, LEE, "/drill ada-mission");
    room.api.wait_message(OPS, |message| message.text.contains("lee does not approve the mission 'ada-mission'"));
    room.api.say(OPS, LEE, "/drill");
    room.api.wait_message(OPS, |message| message.text.contains("you approve none of the missions here"));
    room.api.say(OPS, MALLORY, "/drill");
    room.api.wait_message(OPS, |message| message.text.contains("not in `people`"));
    room.world.says(&["drill", "--mission", "nonsense"]).refused("no agent serves the mission 'nonsense'");
    room.world.says(&["drill", "--wait", "2d"]).ended_with(2, "24h at most");
    let heard = during(&room, &["drill", "--wait", "30s"], |card| {
        let tap = room.api.tap(OPS, card.id, "I am here", LEE);
        let refused = room.api.wait_answer(&tap);
        assert!(refused.show_alert && refused.text.contains("lee does not approve"), "{refused:?}");
        room.world.says(&["drill"]).refused("one at a time is enough");
        room.world.says(&["approve", &code_of(&card)]).refused("is only a drill");
        let tap = room.kim_taps(&card, "I am here");
        assert!(!room.api.wait_answer(&tap).show_alert);
    });
    heard.taken();
    heard.mentions("me answered (Telegram)");
    room.world.says(&["show", "7K3QXM"]).ended_with(4, "no such request");
}

#[test]
fn a_drill_tells_where_it_did_not_arrive() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.kick_bot(OPS, KIM);
    room.world.until_journal("", "chat_lost");
    let heard = room.world.says(&["drill", "--wait", "1s"]);
    heard.ended_with(8, &format!("telegram {OPS}: has NOT ARRIVED yet"));
    heard.mentions("terminal: arrived after");
    room.time_passes(Duration::ZERO);
}
