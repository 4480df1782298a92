//! What happens at Telegram while the gate is away.

use std::time::Duration;

use serde_json::json;

use super::room::{KIM, OPS, Room};
use crate::bot_api::{Fault, When};

#[test]
fn a_tap_while_the_gate_was_down_counts() {
    let mut room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.stop();
    let tap = room.kim_taps(&card, "Restart");
    room.world.start_daemon();
    let answer = room.api.wait_answer(&tap);
    assert!(!answer.show_alert && answer.text.contains("your approval is taken"), "{answer:?}");
    room.until_card_says(&card, "Restarted, and verified at");
    assert_eq!(room.world.runs_of("ada"), 1);
}

#[test]
fn a_tap_that_came_too_late_to_be_answered_counts_all_the_same() {
    let mut room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.stop();
    let tap = room.kim_taps(&card, "Restart");
    room.time_passes(Duration::from_secs(60));
    room.world.start_daemon();
    room.until_card_says(&card, "Restarted, and verified at");
    assert_eq!((room.api.answer(&tap), room.world.runs_of("ada")), (None, 1));
}

#[test]
fn after_an_hour_people_are_told_that_taps_may_be_lost() {
    let mut room = Room::with_agents(&["ada", "bob"]).start();
    let (ada, bob) = (room.card_about("ada"), room.card_about("bob"));
    room.kim_taps(&bob, "Deny");
    room.until_card_says(&bob, "denied by me");
    room.stop();
    let lost = room.kim_taps(&ada, "Restart");
    room.time_passes(Duration::from_secs(3600));
    room.was_silent_for(Duration::from_secs(3600));
    room.world.start_daemon();
    let fresh = room.api.wait_message(OPS, |message| message.id > bob.id && !message.buttons().is_empty());
    assert!(fresh.text.contains("may not have reached me. If you tapped then, please tap again"), "{}", fresh.text);
    let old = room.until_card_says(&ada, "This request stands again below");
    assert_eq!(old.labels(), ["Restart", "Deny", "Snooze 1 h"], "the old copy can be answered, too");
    assert_eq!(room.world.journaled("", "taps_may_be_lost").len(), 1);
    assert!(!room.api.message(OPS, bob.id).expect("bob's card").text.contains("below"), "bob's was decided");
    assert!(room.api.answer(&lost).is_none() && room.world.runs_of("ada") == 0);
    room.kim_taps(&fresh, "Restart");
    for card in [&fresh, &ada] {
        let over = room.until_card_says(card, "Restarted, and verified at");
        assert!(over.buttons().is_empty() && !over.text.contains("may not have reached me"), "{}", over.text);
    }
}

#[test]
fn whoever_dies_before_all_is_here_tells_of_lost_taps_in_the_next_life() {
    let mut room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.stop();
    room.was_silent_for(Duration::from_secs(3600));
    let asked = room.api.say(OPS, KIM, "/whoami");
    // The first poll brings what waited; the one that would find nothing more brings no answer.
    let hang = room.api.fault("getUpdates", When::Nth(2), Fault::Hang);
    room.world.start_daemon();
    room.api.wait_message(OPS, |message| message.reply_to == Some(asked));
    room.api.wait_call("getUpdates", |call| call.outcome.to_lowercase().contains("hang"));
    room.world.kill9();
    room.api.lift(hang);
    assert!(room.world.journaled("", "taps_may_be_lost").is_empty(), "nobody was told yet");
    room.world.start_daemon();
    room.until_card_says(&card, "This request stands again below");
}

#[test]
fn nothing_is_said_of_lost_taps_after_a_short_while() {
    let mut room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.stop();
    room.was_silent_for(Duration::from_secs(100));
    room.world.start_daemon();
    room.kim_taps(&card, "Restart");
    room.until_card_says(&card, "Restarted, and verified at");
    assert!(room.world.journaled("", "taps_may_be_lost").is_empty());
    assert_eq!(room.api.messages(OPS).iter().filter(|message| message.text.contains("Code ")).count(), 1);
}

#[test]
fn nothing_expires_while_telegram_cannot_be_heard() {
    let mut room = Room::with_agents(&["ada"]);
    room = room.but(|world, _| {
        world.gate["timing"]["approval_ttl"] = json!("4s");
        world.gate["timing"]["start_grace"] = json!("10s");
    });
    let room = room.start();
    let card = room.card_about("ada");
    let deaf = room.api.fault("getUpdates", When::Always, Fault::Json(502));
    room.api.wait_call("getUpdates", |call| call.outcome.contains("Json"));
    let tap = room.kim_taps(&card, "Restart");
    // Longer than the request lives.
    crate::world::pause(Duration::from_millis(5500));
    assert!(room.world.journaled("ada", "expired").is_empty());
    room.api.lift(deaf);
    assert!(room.api.wait_answer(&tap).text.contains("your approval is taken"));
    room.until_card_says(&card, "Restarted, and verified at");
}

#[test]
fn after_five_seconds_without_a_port_everything_is_there_and_in_order() {
    let room = Room::with_agents(&["ada", "bob", "cid", "dan"]).start();
    let card = room.card_about("ada");
    room.api.close_port();
    for agent in ["bob", "cid", "dan"] {
        room.world.silence(agent);
        room.world.until_journal(agent, "asked");
    }
    let tap = room.kim_taps(&card, "Deny");
    crate::world::pause(Duration::from_secs(4));
    room.api.open_port();
    assert!(room.api.wait_answer(&tap).text.contains("your denial is taken"));
    room.until_card_says(&card, "denied by me");
    let cards: Vec<_> = ["bob", "cid", "dan"].iter().map(|agent| room.pending_card(agent).id).collect();
    assert!(cards.is_sorted(), "{cards:?}");
    let asked = room.api.messages(OPS).iter().filter(|message| message.text.contains("Code ")).count();
    assert_eq!(asked, 4, "no card came twice, for none had been taken");
    room.api.tap(OPS, cards[0], "Deny", KIM);
    room.world.until_journal("bob", "denied");
}

#[test]
fn a_card_names_the_time_that_a_start_has_given() {
    let mut room = Room::with_agents(&["ada", "bob"]);
    room = room.but(|world, _| {
        world.gate["timing"]["approval_ttl"] = json!("60s");
        // So long that the day is named at whatever time of day this runs.
        world.gate["timing"]["start_grace"] = json!("2d");
    });
    let mut room = room.start();
    let (ada, bob) = (room.card_about("ada"), room.card_about("bob"));
    assert!(ada.text.contains("Expires 1 min after delivery"), "{}", ada.text);
    for agent in ["ada", "bob"] {
        room.world.until("it was delivered", |world| world.pending(agent)?["state"]["expires"].as_i64());
    }
    room.stop();
    room.world.start_daemon();
    for (agent, card) in [("ada", &ada), ("bob", &bob)] {
        let says = room.until_card_says(card, "Expires at ");
        let ms = room.world.pending(agent).expect("a request")["state"]["expires"].as_i64().expect("a deadline");
        let at = jiff::Timestamp::from_millisecond(ms).expect("a time").strftime("%Y-%m-%d %H:%M:%S UTC");
        assert!(says.text.contains(&format!("Expires at {at}")), "{at}: {}", says.text);
        assert_eq!(says.labels(), card.labels(), "it can be answered as before");
    }
    room.kim_taps(&ada, "Deny");
    room.until_card_says(&ada, "denied by me");
    let edits = room.api.calls_of("editMessageText");
    let of = |card: &crate::bot_api::Message| {
        edits.iter().filter(|call| call.param("message_id") == card.id.to_string()).count()
    };
    assert_eq!((of(&ada), of(&bob)), (2, 1), "one edit tells the new time");
}

#[test]
fn a_drill_stands_again_where_taps_may_be_lost_and_where_it_was_deleted() {
    let mut room = Room::with_agents(&["ada"]).start();
    let is_drill = |message: &crate::bot_api::Message| message.text.contains("DRILL") && !message.buttons().is_empty();
    room.api.say(OPS, KIM, "/drill ada-mission for 5h");
    let old = room.api.wait_message(OPS, is_drill);
    room.until_said("May answer: lee, me.");
    let is_all_sent = |world: &crate::world::World| {
        world.read(async |read| lazarus_gate::store::messages::count_due(read).await).filter(|due| *due == 0).map(drop)
    };
    room.world.until("it is known that it was sent", is_all_sent);
    room.stop();
    room.was_silent_for(Duration::from_secs(3600));
    room.world.start_daemon();
    let fresh = room.api.wait_message(OPS, |message| message.id > old.id && is_drill(message));
    assert!(fresh.text.contains("If you tapped then, please tap again"), "{}", fresh.text);
    let told = room.until_card_says(&old, "This drill stands again below");
    assert_eq!(told.buttons()[0].data, old.buttons()[0].data, "a tap on its way still finds it");
    // Both are deleted; that is noticed when they are to be edited.
    room.api.delete_message(OPS, old.id);
    room.api.delete_message(OPS, fresh.id);
    room.stop();
    room.was_silent_for(Duration::from_secs(3600));
    room.world.start_daemon();
    let again = room.api.wait_message(OPS, |message| message.id > fresh.id && is_drill(message));
    room.api.wait_answer(&room.kim_taps(&again, "I am here"));
    room.until_card_says(&again, "Over: me answered (Telegram)");
    assert_eq!(room.world.journaled("", "drill_answered").len(), 1);
    assert!(room.world.runs().is_empty());
}
