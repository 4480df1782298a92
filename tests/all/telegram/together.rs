//! Several answers to one question.

use super::room::{KIM, LEE, OPS, Room, code_of};

#[test]
fn of_two_thumbs_at_once_one_decides_and_the_other_is_told_who() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    let kim = room.api.tap(OPS, card.id, "Restart", KIM);
    let lee = room.api.tap(OPS, card.id, "Restart", LEE);
    let (kim, lee) = (room.api.wait_answer(&kim), room.api.wait_answer(&lee));
    assert!(!kim.show_alert && kim.text.contains("your approval is taken"), "{kim:?}");
    assert!(lee.text.contains("approved by me (Telegram)"), "{lee:?}");
    room.until_card_says(&card, "Restarted, and verified at");
    assert_eq!((room.world.runs_of("ada"), room.world.journaled("ada", "approved").len()), (1, 1));
}

#[test]
fn one_thumb_that_taps_ten_times_has_tapped_once() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    let taps: Vec<_> = (0..10).map(|_| room.kim_taps(&card, "Restart")).collect();
    for tap in &taps {
        room.api.wait_answer(tap);
    }
    room.until_card_says(&card, "Restarted, and verified at");
    assert_eq!(room.world.runs_of("ada"), 1);
}

#[test]
fn approve_and_deny_at_once_come_to_one_end() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    let yes = room.api.tap(OPS, card.id, "Restart", KIM);
    let no = room.api.tap(OPS, card.id, "Deny", LEE);
    let (yes, no) = (room.api.wait_answer(&yes), room.api.wait_answer(&no));
    assert!(yes.text.contains("your approval is taken"), "{yes:?}");
    // A later denial stops what has not begun, and else is told that it comes too late.
    let denied = room.world.journaled("ada", "called_off").len();
    assert_eq!(denied == 1, !no.show_alert, "{no:?}");
    let end = if denied == 1 { "Not run because" } else { "Restarted, and verified at" };
    room.until_card_says(&card, end);
    assert_eq!(room.world.runs_of("ada"), 1 - denied);
}

#[test]
fn a_tap_and_a_word_on_the_command_line_come_to_one_end() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    let code = code_of(&card);
    let line = room.world.command_line();
    let typed = std::thread::spawn(move || line.says(&["approve", &code]));
    let tap = room.kim_taps(&card, "Restart");
    let tapped = room.api.wait_answer(&tap);
    let typed = typed.join().expect("an answer");
    assert!(tapped.text.contains("taken") || tapped.text.contains("approved by me"), "{tapped:?}");
    assert!(typed.code == Some(0) || typed.code == Some(3), "{typed:?}");
    room.until_card_says(&card, "Restarted, and verified at");
    assert_eq!((room.world.runs_of("ada"), room.world.journaled("ada", "approved").len()), (1, 1));
}

#[test]
fn a_decision_elsewhere_reaches_every_copy() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    let code = code_of(&card);
    room.api.say(OPS, LEE, &format!("/show {code}"));
    room.api.say(KIM, KIM, &format!("/show {code}"));
    let second = room.api.wait_message(OPS, |message| message.id > card.id && !message.buttons().is_empty());
    let private = room.api.wait_message(KIM, |message| !message.buttons().is_empty());
    room.world.says(&["deny", &code, "being", "moved"]).taken();
    for (chat, id) in [(OPS, card.id), (OPS, second.id), (KIM, private.id)] {
        let over = room.api.wait_edited(chat, id, |card| card.buttons().is_empty());
        assert!(
            over.text.contains("denied by me (command line)") && over.text.contains("being moved"),
            "{}",
            over.text
        );
    }
}

#[test]
fn a_tap_on_an_old_copy_counts_like_any_other() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.say(OPS, LEE, &format!("/show {}", code_of(&card)));
    let second = room.api.wait_message(OPS, |message| message.id > card.id && !message.buttons().is_empty());
    let answer = room.api.wait_answer(&room.kim_taps(&card, "Restart"));
    assert!(!answer.show_alert, "{answer:?}");
    room.until_card_says(&card, "Restarted, and verified at");
    room.until_card_says(&second, "Restarted, and verified at");
}
