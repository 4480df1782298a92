//! Who takes over, and requests that nobody answers.

use serde_json::json;

use super::room::{KIM, OPS, Room};
use crate::world::Restart;

#[test]
fn a_tap_lets_a_substitute_take_over() {
    let room = Room::with_a_substitute(&["ada", "bob"]).start();
    let card = room.card_about("ada");
    assert_eq!(card.labels(), ["Restart", "Substitute: bob", "Deny", "Snooze 1 h"]);
    let answer = room.api.wait_answer(&room.kim_taps(&card, "Substitute: bob"));
    assert!(!answer.show_alert && answer.text.contains("your approval is taken"), "{answer:?}");
    let card = room.until_card_says(&card, "Delivered, and verified at");
    assert!(card.text.contains("approved by me (Telegram)") && card.buttons().is_empty(), "{}", card.text);
    assert_eq!(room.world.runs().len(), 1);
}

#[test]
fn a_reply_lets_a_substitute_take_over() {
    let room = Room::with_a_substitute(&["ada", "bob"]).start();
    let card = room.card_about("ada");
    room.api.reply(OPS, KIM, card.id, "substitute mallory");
    room.until_said("no configured substitute");
    room.api.reply(OPS, KIM, card.id, "Substitute bob");
    room.until_card_says(&card, "Delivered, and verified at");
}

#[test]
fn a_candidate_that_falls_ill_takes_its_button_along_and_brings_it_back() {
    let room = Room::with_a_substitute(&["ada", "bob"]).start();
    let card = room.card_about("ada");
    let gone = card.buttons()[1].data.clone();
    room.world.silence("bob");
    let without = room.api.wait_edited(OPS, card.id, |card| card.labels() == ["Restart", "Deny", "Snooze 1 h"]);
    assert!(without.text.contains("Suggested substitute: none available"), "{}", without.text);
    // Whoever had the old buttons before their eyes is told why not.
    let late = room.api.wait_answer(&room.api.tap_data(OPS, card.id, &gone, KIM));
    assert!(late.show_alert && late.text.contains("bob is not healthy itself"), "{late:?}");
    room.world.revive("bob");
    let with = room.api.wait_edited(OPS, card.id, |card| card.labels().contains(&"Substitute: bob".to_owned()));
    assert_eq!(with.buttons()[1].data, gone, "the button has its token again");
    assert_eq!(room.world.journaled("ada", "asked").len(), 1, "it is the same request");
}

#[test]
fn an_agent_that_comes_back_takes_the_buttons_along() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.world.revive("ada");
    let over = room.api.wait_edited(OPS, card.id, |card| card.buttons().is_empty());
    assert!(over.text.contains("withdrawn at") && over.text.contains("it is healthy again"), "{}", over.text);
    let late = room.api.wait_answer(&room.api.tap_data(OPS, card.id, &card.buttons()[0].data, KIM));
    assert!(late.show_alert && late.text.contains("already withdrawn"), "{late:?}");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn what_nobody_answers_expires_and_is_asked_anew_on_a_card_of_its_own() {
    let room = Room::with_agents(&["ada"]);
    let room = room.but(|world, _| world.gate["timing"]["approval_ttl"] = json!("1500ms")).start();
    let first = room.card_about("ada");
    let over = room.api.wait_edited(OPS, first.id, |card| card.buttons().is_empty());
    assert!(over.text.contains("expired"), "{}", over.text);
    let second = room.pending_card("ada");
    assert!(second.id > first.id && second.text.contains("Lately:"), "{}", second.text);
    let late = room.api.wait_answer(&room.api.tap_data(OPS, first.id, &first.buttons()[0].data, KIM));
    assert!(late.show_alert && late.text.contains("expired"), "{late:?}");
    assert_eq!(room.world.runs_of("ada"), 0, "no timeout ever runs anything");
}

#[test]
fn a_snooze_keeps_the_card_and_its_buttons() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    let answer = room.api.wait_answer(&room.kim_taps(&card, "Snooze 1 h"));
    assert!(!answer.show_alert && answer.text.contains("quiet until"), "{answer:?}");
    let snoozed = room.until_card_says(&card, "Snoozed until");
    assert_eq!(snoozed.labels(), ["Restart", "Deny", "Snooze 1 h"]);
    room.kim_taps(&snoozed, "Restart");
    room.until_card_says(&card, "Restarted, and verified at");
}

#[test]
fn the_card_goes_through_each_step_of_a_restart_and_claims_no_more() {
    let room = Room::with_agents(&["ada"]);
    let room = room.but(|world, _| world.restart_command(Restart::Waits)).start();
    let card = room.card_about("ada");
    room.kim_taps(&card, "Restart");
    let running = room.until_card_says(&card, "its command has not ended yet");
    assert!(!running.text.contains("verified") && running.buttons().is_empty(), "{}", running.text);
    room.world.let_commands_go_on();
    room.until_card_says(&card, "Restarted, and verified at");
}

#[test]
fn a_restart_that_fails_says_so_and_asks_anew() {
    let room = Room::with_agents(&["ada"]);
    let room = room.but(|world, _| world.restart_command(Restart::Fails(3))).start();
    let card = room.card_about("ada");
    room.kim_taps(&card, "Restart");
    let failed = room.until_card_says(&card, "failed at");
    assert!(failed.buttons().is_empty() && !failed.text.contains("verified"), "{}", failed.text);
    let again = room.pending_card("ada");
    assert!(again.id > card.id && again.text.contains("1 attempt"), "{}", again.text);
}

#[test]
fn on_hold_a_card_says_that_nothing_runs() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.say(OPS, KIM, "/hold moving racks");
    room.until_said("on hold");
    let card = room.card_about("ada");
    assert!(card.text.contains("ON HOLD") && card.text.contains("moving racks"), "{}", card.text);
    let answer = room.api.wait_answer(&room.kim_taps(&card, "Restart"));
    assert!(answer.text.contains("Nothing runs because"), "{answer:?}");
    let card = room.until_card_says(&card, "Not run:");
    assert!(card.buttons().is_empty());
    assert_eq!(room.world.runs_of("ada"), 0);
    room.api.say(OPS, KIM, "/release");
    room.until_said("released:");
}

#[test]
fn an_observing_gate_says_so_on_its_cards() {
    let mut room = Room::with_agents(&["ada"]);
    room.world.save();
    room.world.start_daemon_with(&["--observe"]);
    room.world.until_all_healthy();
    let card = room.card_about("ada");
    assert!(card.text.to_lowercase().contains("observ"), "{}", card.text);
    room.kim_taps(&card, "Restart");
    room.until_card_says(&card, "Not run:");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn under_yes_people_read_notes_and_no_card() {
    let room = Room::with_agents(&["ada"]);
    let room = room.but(|world, _| world.policy["missions"] = json!({"ada-mission": {"mode": "yes"}})).start();
    room.world.silence("ada");
    room.until_said("about to restart ada by itself");
    room.until_said("alive again");
    let with_buttons = room.api.messages(OPS).iter().filter(|message| !message.buttons().is_empty()).count();
    assert_eq!((with_buttons, room.world.runs_of("ada")), (0, 1));
}

#[test]
fn whoever_cannot_be_revived_is_told_of_once() {
    let room = Room::with_agents(&["ada"]).but(|world, _| {
        world.policy["missions"] = json!({"ada-mission": {"mode": "yes"}});
        world.gate["restart"] = json!([]);
    });
    let room = room.start();
    room.world.silence("ada");
    room.until_said("no substitute is healthy and free");
    room.world.until_probed("ada", 10);
    let told =
        room.api.messages(OPS).iter().filter(|message| message.text.contains("no substitute is healthy")).count();
    assert_eq!(told, 1);
}
