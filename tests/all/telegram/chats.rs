//! Chats that change under the gate: cards deleted, the bot thrown out, groups that become supergroups.

use serde_json::json;

use super::room::{KIM, LEE, OPS, Room, code_of};
use crate::bot_api::{Fault, Role, When};

/// A small group, before it becomes a supergroup.
const SMALL: i64 = -4_321;
/// What it becomes.
const LARGE: i64 = -1_009_999_999_999;

fn in_a_small_group(names: &[&str]) -> Room {
    Room::with_agents(names).but(|world, api| {
        api.add_group(SMALL, "small", &[KIM, LEE]);
        world.gate["channels"]["telegram"]["chats"]["ops-room"] = json!({"chat": SMALL});
    })
}

#[test]
fn a_card_that_somebody_deleted_stands_again_as_soon_as_it_is_noticed() {
    let room = Room::with_a_substitute(&["ada", "bob"]).start();
    let card = room.card_about("ada");
    room.api.delete_message(OPS, card.id);
    room.world.silence("bob");
    let again = room.api.wait_message(OPS, |message| message.id > card.id && message.text.contains("was deleted"));
    assert_eq!(again.labels(), ["Restart", "Deny", "Snooze 1 h"]);
    room.kim_taps(&again, "Deny");
    room.until_card_says(&again, "denied by me");
}

#[test]
fn a_tap_on_a_card_that_was_deleted_meanwhile_counts() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.delete_message(OPS, card.id);
    let tap = room.api.tap_data(OPS, card.id, &card.buttons()[0].data, KIM);
    assert!(room.api.wait_answer(&tap).text.contains("your approval is taken"));
    room.world.until_journal("ada", "recovered");
    assert_eq!(room.world.runs_of("ada"), 1);
}

#[test]
fn a_bot_that_is_thrown_out_says_so_elsewhere_and_shows_everything_when_it_is_back() {
    let room = Room::with_agents(&["ada", "bob"]).start();
    let card = room.card_about("ada");
    room.world.until("it is known that it was sent", |world| world.pending("ada")?["state"]["expires"].as_i64());
    room.api.kick_bot(OPS, LEE);
    room.world.until_told("the Telegram chat ops-room");
    room.world.silence("bob");
    room.world.until_journal("bob", "asked");
    room.api.wait_call("sendMessage", |call| call.outcome.contains("403"));
    room.api.bring_bot_back(OPS, LEE);
    let again = room.api.wait_message(OPS, |message| message.id > card.id && message.text.contains("mission 'ada"));
    assert!(again.text.contains("I am back in this chat") && !again.buttons().is_empty(), "{}", again.text);
    let bob = room.pending_card("bob");
    room.kim_taps(&bob, "Deny");
    room.kim_taps(&again, "Deny");
    for card in [&bob, &again, &card] {
        room.until_card_says(card, "denied by me");
    }
    let told = room.world.journaled("", "chat_lost").len();
    assert_eq!(told, 1, "it is told once");
    let cards = room.api.messages(OPS).iter().filter(|message| message.text.contains("bob-mission")).count();
    assert_eq!(cards, 1, "bob's card had not been there");
    let here = room.api.messages(OPS).iter().filter(|message| message.text.contains("chat_lost")).count();
    assert_eq!(here, 0, "that the chat was lost is no news in it");
}

#[test]
fn other_rights_than_before_show_nothing_again() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.bot_becomes(OPS, LEE, Role::Administrator);
    room.api.wait_confirmed();
    room.api.say(OPS, KIM, "/pending");
    room.api.wait_message(OPS, |message| message.id > card.id && message.text.contains(&code_of(&card)));
    let cards = room.api.messages(OPS).iter().filter(|message| message.text.contains("Approval required")).count();
    assert_eq!(cards, 1);
}

#[test]
fn a_chat_without_the_right_to_write_is_an_alarm_elsewhere() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.fault(
        "sendMessage",
        When::Always,
        Fault::Refuse(400, "Bad Request: not enough rights to send text messages to the chat"),
    );
    room.world.silence("ada");
    room.world.until_told("the Telegram chat ops-room");
    let code = room.world.asked_about("ada");
    room.world.says(&["approve", &code]).taken();
    room.world.until_journal("ada", "recovered");
}

#[test]
fn a_loss_is_told_once_until_the_chat_is_back() {
    let mut room = Room::with_agents(&["ada", "bob"]).start();
    room.api.kick_bot(OPS, LEE);
    room.world.until_told("the Telegram chat ops-room");
    room.world.silence("ada");
    room.api.wait_call("sendMessage", |call| call.outcome.contains("403"));
    room.stop();
    room.world.start_daemon();
    // Another life, another refusal.
    let refused = || room.api.calls_of("sendMessage").iter().filter(|call| call.outcome.contains("403")).count();
    let before = refused();
    room.world.silence("bob");
    room.world.until("the chat refuses once more", |_| (refused() > before).then_some(()));
    room.world.until("its status tells", |world| world.says(&["status"]).out.contains("ops-room").then_some(()));
    assert_eq!(room.world.journaled("", "chat_lost").len(), 1);
    room.api.bring_bot_back(OPS, LEE);
    room.pending_card("ada");
    room.api.kick_bot(OPS, LEE);
    room.world.until_journaled("", "chat_lost", 2);
}

#[test]
fn a_drill_comes_along_into_the_supergroup() {
    let room = in_a_small_group(&["ada"]).start();
    room.api.say(SMALL, KIM, "/drill ada-mission for 1h");
    let is_drill = |message: &crate::bot_api::Message| message.text.contains("DRILL") && !message.buttons().is_empty();
    room.api.wait_message(SMALL, is_drill);
    room.api.wait_message(SMALL, |message| message.text.contains("May answer: lee, me."));
    let is_all_sent = |world: &crate::world::World| {
        world.read(async |read| lazarus_gate::store::messages::count_due(read).await).filter(|due| *due == 0).map(drop)
    };
    room.world.until("it is known that it was sent", is_all_sent);
    room.api.migrate(SMALL, LARGE);
    let new = room.api.wait_message(LARGE, is_drill);
    assert!(new.text.contains("has become a supergroup"), "{}", new.text);
    room.api.wait_answer(&room.api.tap(LARGE, new.id, "I am here", KIM));
    room.api.wait_edited(LARGE, new.id, |card| card.text.contains("Over: me answered (Telegram)"));
}

#[test]
fn the_group_becomes_a_supergroup_and_its_cards_come_along() {
    let room = in_a_small_group(&["ada", "bob"]).start();
    room.world.silence("ada");
    let old = room.api.wait_message(SMALL, |message| !message.buttons().is_empty());
    room.world.until("it is known that it was sent", |world| world.pending("ada")?["state"]["expires"].as_i64());
    room.api.migrate(SMALL, LARGE);
    let new = room.api.wait_message(LARGE, |message| !message.buttons().is_empty());
    assert!(new.text.contains("has become a supergroup"), "{}", new.text);
    room.world.until_told("has become a supergroup with the id -1009999999999");
    // Whoever still has the old group open taps there.
    let tap = room.api.tap_data(SMALL, old.id, &old.buttons()[0].data, KIM);
    assert!(room.api.wait_answer(&tap).text.contains("your approval is taken"));
    room.api.wait_edited(LARGE, new.id, |card| card.text.contains("Restarted, and verified at"));
    room.api.wait_edited(SMALL, old.id, |card| {
        card.text.contains("Restarted, and verified at") && card.buttons().is_empty()
    });
    room.world.silence("bob");
    room.api.wait_message(LARGE, |message| message.text.contains("bob") && !message.buttons().is_empty());
    assert_eq!(room.world.runs_of("ada"), 1);
    let sends = room.api.calls_of("sendMessage");
    assert!(
        sends.iter().filter(|call| call.param("chat_id") == SMALL.to_string()).count() <= 2,
        "{}",
        room.api.history()
    );
}

#[test]
fn a_card_that_cannot_be_edited_in_the_old_group_is_given_up_there() {
    let room = in_a_small_group(&["ada"]).start();
    room.world.silence("ada");
    let old = room.api.wait_message(SMALL, |message| !message.buttons().is_empty());
    room.api.migrate(SMALL, LARGE);
    let new = room.api.wait_message(LARGE, |message| !message.buttons().is_empty());
    let upgraded = "Bad Request: group chat was upgraded to a supergroup chat";
    room.api.fault_in(SMALL, "editMessageText", When::Next(1), Fault::Refuse(400, upgraded));
    room.world.says(&["deny", &code_of(&old)]).taken();
    room.api.wait_edited(LARGE, new.id, |card| card.text.contains("denied by me"));
    room.world.until_probed("ada", 5);
    let edits = room.api.calls_of("editMessageText").len();
    assert!(edits <= 4, "{}", room.api.history());
}

#[test]
fn a_migration_that_is_first_heard_of_by_a_refusal_is_followed() {
    let mut room = in_a_small_group(&["ada"]).start();
    room.stop();
    room.api.migrate(SMALL, LARGE);
    room.time_passes(std::time::Duration::from_secs(25 * 3600));
    room.world.start_daemon();
    room.world.silence("ada");
    let card = room.api.wait_message(LARGE, |message| !message.buttons().is_empty());
    room.world.until_told("has become a supergroup");
    // It is remembered.
    room.stop();
    room.world.start_daemon();
    let tap = room.api.tap(LARGE, card.id, "Restart", KIM);
    assert!(room.api.wait_answer(&tap).text.contains("your approval is taken"));
    room.api.wait_edited(LARGE, card.id, |card| card.text.contains("Restarted, and verified at"));
}

#[test]
fn an_answer_follows_a_strangers_group_that_has_moved() {
    let room = Room::with_agents(&["ada"]).but(|_, api| {
        api.add_group(SMALL, "small", &[KIM]);
    });
    let room = room.start();
    let slow = room.api.fault("sendMessage", When::Next(3), Fault::Json(502));
    room.api.say(SMALL, KIM, "/whoami@lazarus_test_bot");
    room.api.wait_call("sendMessage", |call| call.outcome.contains("502"));
    room.api.migrate(SMALL, LARGE);
    room.api.lift(slow);
    room.api.wait_message(LARGE, |message| message.text.contains("You are me"));
    room.world.until_probed("ada", 5);
    let calls = room.api.calls_of("sendMessage").len();
    assert!(calls <= 6, "{}", room.api.history());
}
