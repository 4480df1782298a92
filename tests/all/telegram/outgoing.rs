//! What can be wrong with a message on its way out.

use std::time::Duration;

use serde_json::json;

use super::room::{KIM, LEE, OPS, Room};
use crate::bot_api::{Fault, Message, When};

fn cards(room: &Room) -> Vec<Message> {
    room.api.messages(OPS).into_iter().filter(|message| message.text.contains("Code ")).collect()
}

#[test]
fn a_card_that_cannot_be_sent_is_sent_again() {
    for fault in [
        Fault::Json(500),
        Fault::Json(502),
        Fault::Html(503),
        Fault::ResetBefore,
        Fault::TooMany(1),
        Fault::Refuse(409, "Conflict: something"),
    ] {
        let room = Room::with_agents(&["ada"]).start();
        room.api.fault("sendMessage", When::Nth(1), fault.clone());
        let card = room.card_about("ada");
        let tap = room.kim_taps(&card, "Deny");
        assert!(room.api.wait_answer(&tap).text.contains("your denial is taken"), "{fault:?}");
        room.until_card_says(&card, "denied by me");
        assert_eq!(cards(&room).len(), 1, "{fault:?}");
    }
}

#[test]
fn a_second_copy_is_known_from_the_first_tap_on_either() {
    for fault in [Fault::LoseAnswer, Fault::ResetMidBody, Fault::BrokenJson] {
        let room = Room::with_agents(&["ada"]).start();
        room.api.fault("sendMessage", When::Nth(1), fault.clone());
        room.world.silence("ada");
        room.world.until("there are two copies", |_| (cards(&room).len() == 2).then_some(()));
        let both = cards(&room);
        room.world.until("the second is known", |world| world.pending("ada")?["state"]["expires"].as_i64());
        // The orphan.
        let tap = room.kim_taps(&both[0], "Snooze 1 h");
        assert!(!room.api.wait_answer(&tap).show_alert, "{fault:?}");
        for copy in &both {
            room.until_card_says(copy, "Snoozed until");
        }
        room.kim_taps(&both[1], "Deny");
        for copy in &both {
            assert!(room.until_card_says(copy, "denied by me").buttons().is_empty());
        }
    }
}

#[test]
fn a_second_copy_is_known_from_the_first_reply_to_it_too() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.fault("sendMessage", When::Nth(1), Fault::LoseAnswer);
    room.world.silence("ada");
    room.world.until("there are two copies", |_| (cards(&room).len() == 2).then_some(()));
    let both = cards(&room);
    room.world.until("the second is known", |world| world.pending("ada")?["state"]["expires"].as_i64());
    room.api.reply(OPS, KIM, both[0].id, "deny it is moved");
    for copy in &both {
        assert!(room.until_card_says(copy, "denied by me").buttons().is_empty());
    }
}

#[test]
fn a_copy_that_was_sent_and_decided_elsewhere_before_anybody_tapped_it_is_brought_up_to_date() {
    let room = Room::with_agents(&["ada"]).start();
    // It stands in the chat, and nobody here knows.
    let lost = room.api.fault("sendMessage", When::Always, Fault::LoseAnswer);
    room.world.silence("ada");
    let orphan = room.pending_card("ada");
    let code = super::room::code_of(&orphan);
    room.world.says(&["deny", &code]).taken();
    let late = room.api.wait_answer(&room.kim_taps(&orphan, "Restart"));
    assert!(late.show_alert && late.text.contains("already denied by me (command line)"), "{late:?}");
    let over = room.until_card_says(&orphan, "denied by me (command line)");
    assert!(over.buttons().is_empty());
    room.api.lift(lost);
}

#[test]
fn a_text_that_telegram_cannot_parse_goes_without_markup() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.fault(
        "sendMessage",
        When::Nth(1),
        Fault::Refuse(400, "Bad Request: can't parse entities: unexpected end tag at byte offset 5"),
    );
    let card = room.card_about("ada");
    assert!(card.entities.is_empty() && card.text.contains("deny "), "{}", card.text);
    room.api.fault("editMessageText", When::Nth(1), Fault::Refuse(400, "Bad Request: can't parse entities: x"));
    room.kim_taps(&card, "Deny");
    room.until_card_says(&card, "denied by me");
}

#[test]
fn an_edit_whose_answer_was_lost_is_made_again_and_is_well() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.fault("editMessageText", When::Next(2), Fault::LoseAnswer);
    room.kim_taps(&card, "Deny");
    room.until_card_says(&card, "denied by me");
    room.api.wait_call("editMessageText", |call| call.outcome.contains("not modified"));
    let due = room.world.until("nothing is due", |world| {
        let due = world.read(async |read| lazarus_gate::store::messages::count_due(read).await)?;
        (due == 0).then_some(due)
    });
    assert_eq!(due, 0);
}

#[test]
fn a_chat_that_had_too_much_keeps_no_other_waiting() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.fault("sendMessage", When::Nth(1), Fault::TooMany(8));
    room.api.say(OPS, KIM, "/whoami");
    room.api.wait_call("sendMessage", |call| call.outcome.contains("TooMany"));
    let began = std::time::Instant::now();
    for n in 0..5 {
        let asked = room.api.say(LEE, LEE, "/whoami");
        room.api.wait_message(LEE, |message| message.reply_to == Some(asked));
        assert!(began.elapsed() < Duration::from_secs(6), "{n}: {:?}", began.elapsed());
    }
    // A tap is answered although its chat pauses; what is said there waits, in its order.
    assert!(!room.api.wait_answer(&room.kim_taps(&card, "Snooze 1 h")).show_alert);
    let second = room.api.say(OPS, KIM, "/help");
    let told = room.api.wait_message(OPS, |message| message.reply_to == Some(second));
    let first =
        room.api.messages(OPS).into_iter().find(|message| message.text.contains("You are me")).expect("an answer");
    assert!(first.id < told.id, "what came later did not overtake");
    let refused = room.api.calls_of("sendMessage").iter().filter(|call| call.outcome.contains("TooMany")).count();
    assert_eq!(refused, 1, "nothing was tried during the pause");
}

#[test]
fn a_chat_that_hangs_keeps_no_other_waiting() {
    let room = Room::with_agents(&["ada"]);
    let room = room.but(|world, _| world.gate["channels"]["telegram"]["call_deadline"] = json!("10s")).start();
    let card = room.card_about("ada");
    room.api.fault("sendMessage", When::Nth(1), Fault::Hang);
    room.api.say(LEE, LEE, "/whoami");
    room.api.wait_call("sendMessage", |call| call.param("chat_id") == LEE.to_string());
    let began = std::time::Instant::now();
    let tap = room.kim_taps(&card, "Deny");
    assert!(room.api.wait_answer(&tap).text.contains("your denial is taken"));
    room.until_card_says(&card, "denied by me");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn a_chat_that_hangs_keeps_none_waiting_that_had_too_much() {
    let room = Room::with_agents(&["ada"]);
    let room = room.but(|world, _| world.gate["channels"]["telegram"]["call_deadline"] = json!("10s")).start();
    room.api.fault_in(LEE, "sendMessage", When::Nth(1), Fault::Hang);
    room.api.say(LEE, LEE, "/whoami");
    room.api.wait_call("sendMessage", |call| call.param("chat_id") == LEE.to_string());
    let began = std::time::Instant::now();
    room.api.fault_in(OPS, "sendMessage", When::Nth(1), Fault::TooMany(1));
    let asked = room.api.say(OPS, KIM, "/whoami");
    room.api.wait_message(OPS, |message| message.reply_to == Some(asked));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn what_was_sent_is_not_sent_again_and_again_while_that_cannot_be_kept() {
    let room = Room::with_agents(&["ada"]).start();
    room.world.change_store(
        "CREATE TRIGGER full BEFORE UPDATE OF state ON messages WHEN NEW.state = 'sent'
         BEGIN SELECT RAISE(ABORT, 'as a full disk does it'); END",
    );
    let card = room.card_about("ada");
    room.world.until_probed("ada", 10);
    room.world.change_store("DROP TRIGGER full");
    room.world.until("it is kept", |world| world.pending("ada")?["state"]["expires"].as_i64());
    room.kim_taps(&card, "Deny");
    room.until_card_says(&card, "denied by me");
    assert_eq!(cards(&room).len(), 1);
    assert_eq!(room.world.told.text().matches("Approval required to revive ada").count(), 1);
}

#[test]
fn somebody_who_blocked_the_bot_blocks_nothing_else() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.fault("sendMessage", When::Nth(1), Fault::Refuse(403, "Forbidden: bot was blocked by the user"));
    room.api.say(LEE, LEE, "/whoami");
    room.api.wait_call("sendMessage", |call| call.outcome.contains("403"));
    room.card_about("ada");
    assert!(room.world.journaled("", "chat_lost").is_empty(), "it is no chat of the configuration");
}

#[test]
fn a_tap_that_is_too_old_to_be_answered_does_not_stop_the_edit() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    let old = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    room.api.fault("answerCallbackQuery", When::Always, Fault::Refuse(400, old));
    room.kim_taps(&card, "Deny");
    room.until_card_says(&card, "denied by me");
    room.world.until_probed("ada", 5);
    assert_eq!(room.api.calls_of("answerCallbackQuery").len(), 1);
}
