//! One glance, one tap.

use super::room::{KIM, LEE, MALLORY, OPS, Room, code_of};

#[test]
fn a_tap_restarts_the_agent_and_the_card_tells_how_it_went() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    assert_eq!(card.labels(), ["Restart", "Deny", "Snooze 1 h"]);
    let tap = room.kim_taps(&card, "Restart");
    let answer = room.api.wait_answer(&tap);
    assert!(!answer.show_alert && answer.text.contains("your approval is taken"), "{answer:?}");
    room.world.until_journal("ada", "verified");
    let card = room.until_card_says(&card, "Restarted, and verified at");
    assert!(card.text.contains("approved by me (Telegram) at"), "{}", card.text);
    assert!(card.buttons().is_empty());
    assert_eq!(room.world.runs_of("ada"), 1);
}

#[test]
fn a_denial_stands_and_a_later_tap_hears_of_it() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    let first = room.kim_taps(&card, "Deny");
    let second = room.api.tap_data(OPS, card.id, &card.buttons()[0].data, LEE);
    assert!(room.api.wait_answer(&first).text.contains("your denial is taken"));
    let late = room.api.wait_answer(&second);
    assert!(late.show_alert && late.text.contains("already denied by me (Telegram)"), "{late:?}");
    let card = room.until_card_says(&card, "denied by me (Telegram)");
    assert!(card.buttons().is_empty());
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn a_strangers_thumb_counts_for_nothing() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    let tap = room.api.tap(OPS, card.id, "Restart", MALLORY);
    let answer = room.api.wait_answer(&tap);
    assert!(answer.show_alert && answer.text.contains("not in `people`"), "{answer:?}");
    assert_eq!(room.world.journaled("", "refused").len(), 1);
    let card = room.api.message(OPS, card.id).expect("the card");
    assert_eq!(card.labels()[0], "Restart", "the card is still pending");
    let tap = room.kim_taps(&card, "Restart");
    assert!(!room.api.wait_answer(&tap).show_alert);
    room.world.until_journal("ada", "verified");
}

#[test]
fn a_reply_says_the_same_as_a_tap() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.reply(OPS, KIM, card.id, "deny because it is being moved");
    let card = room.until_card_says(&card, "denied by me (Telegram)");
    assert!(card.text.contains("it is being moved"), "{}", card.text);
    room.api.wait_message(OPS, |message| message.text.contains("your denial is taken"));
    room.api.say(OPS, KIM, &format!("/show@lazarus_test_bot {}", code_of(&card)));
    room.api.wait_message(OPS, |message| message.id != card.id && message.text.contains("denied by me"));
}
