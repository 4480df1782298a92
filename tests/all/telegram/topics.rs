//! Chats with topics.

use serde_json::json;

use super::room::{KIM, LEE, Room};
use crate::bot_api::{BotApi, Message, Said};

const FORUM: i64 = -1_002_222_222_222;

/// A room whose cards belong into a topic; returns its number.
fn in_a_topic(names: &[&str]) -> (Room, i64) {
    let mut topic = 0;
    let room = Room::with_agents(names).but(|world, api| {
        api.add_forum(FORUM, "forum", &[KIM, LEE]);
        topic = api.add_topic(FORUM, "deaths");
        world.gate["channels"]["telegram"]["chats"]["ops-room"] = json!({"chat": FORUM, "topic": topic});
    });
    (room.start(), topic)
}

fn card(api: &BotApi) -> Message {
    api.wait_message(FORUM, |message| !message.buttons().is_empty())
}

#[test]
fn cards_stand_in_their_topic_and_replies_there_count() {
    let (room, topic) = in_a_topic(&["ada"]);
    room.world.silence("ada");
    let card = card(&room.api);
    assert_eq!(card.thread, Some(topic));
    let how = Said { reply_to: Some(card.id), thread: Some(topic), ..Said::default() };
    let said = room.api.say_so(FORUM, KIM, "deny it is being moved", how);
    room.api.wait_edited(FORUM, card.id, |card| card.text.contains("denied by me (Telegram)"));
    let answer = room.api.wait_message(FORUM, |message| message.reply_to == Some(said));
    assert_eq!(answer.thread, Some(topic), "the answer stands where it was asked");
}

#[test]
fn a_question_is_answered_in_the_topic_where_it_was_asked() {
    let (room, _) = in_a_topic(&["ada"]);
    let other = room.api.add_topic(FORUM, "chatter");
    let said = room.api.say_so(FORUM, KIM, "/whoami", Said { thread: Some(other), ..Said::default() });
    let answer = room.api.wait_message(FORUM, |message| message.reply_to == Some(said));
    assert_eq!(answer.thread, Some(other));
    let said = room.api.say(FORUM, KIM, "/whoami");
    let answer = room.api.wait_message(FORUM, |message| message.reply_to == Some(said));
    assert_eq!(answer.thread, None);
}

#[test]
fn without_its_topic_a_card_stands_in_the_chat() {
    for close in [true, false] {
        let (room, topic) = in_a_topic(&["ada"]);
        if close {
            room.api.close_topic(FORUM, topic)
        } else {
            room.api.delete_topic(FORUM, topic)
        }
        room.world.silence("ada");
        let card = card(&room.api);
        assert_eq!(card.thread, None);
        room.api.reply(FORUM, KIM, card.id, "approve");
        room.api.wait_edited(FORUM, card.id, |card| card.text.contains("Restarted, and verified at"));
    }
}

#[test]
fn the_general_topic_is_meant_by_naming_none() {
    let room = Room::with_agents(&["ada"]).but(|world, api| {
        api.add_forum(FORUM, "forum", &[KIM]);
        world.gate["channels"]["telegram"]["chats"]["ops-room"] = json!({"chat": FORUM, "topic": 1});
    });
    let room = room.start();
    room.world.silence("ada");
    let card = card(&room.api);
    let calls = room.api.calls_of("sendMessage");
    assert!(calls.iter().all(|call| call.param("message_thread_id").is_empty() && !call.outcome.contains("400")));
    room.api.reply(FORUM, KIM, card.id, "deny");
    room.api.wait_edited(FORUM, card.id, |card| card.text.contains("denied by me"));
    room.api.reply(FORUM, KIM, card.id, "approve");
    room.api.wait_message(FORUM, |message| message.text.contains("already denied"));
}
