//! The queue of updates: offsets, time, pollers, and what bots get to see.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use teloxide_core::types::Message;

use super::{KIM, OPS, call, card, ops, refused};
use crate::bot_api::{BOT, BotApi, Role, Said};

/// The texts of the messages that a poll brings.
fn texts(api: &BotApi, offset: i64) -> Vec<String> {
    let answer = call(api, "getUpdates", json!({"offset": offset}));
    let updates = answer["result"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    updates.iter().map(|update| update["message"]["text"].as_str().unwrap_or("-").to_owned()).collect()
}

/// The newest update's id.
fn last(api: &BotApi) -> i64 {
    api.updates().last().unwrap()["update_id"].as_i64().unwrap()
}

#[test]
fn an_offset_confirms_what_is_before_it() {
    let api = ops();
    for text in ["/a", "/b", "/c"] {
        api.say(OPS, KIM, text);
    }
    assert_eq!(texts(&api, 0), ["/a", "/b", "/c"]);
    assert_eq!(texts(&api, 0), ["/a", "/b", "/c"], "unconfirmed updates come again");
    let c = last(&api);
    assert_eq!(texts(&api, c), ["/c"]);
    assert_eq!(api.pending_updates(), 1);
    assert_eq!(texts(&api, c + 1_000), ["/c"], "an offset far beyond the end counts as none");
    assert_eq!(texts(&api, c + 1), [""; 0]);
    assert_eq!(api.pending_updates(), 0);
    for text in ["/d", "/e", "/f"] {
        api.say(OPS, KIM, text);
    }
    assert_eq!(texts(&api, -1), ["/f"], "a negative offset drops all but the last");
    assert_eq!(api.pending_updates(), 1);
}

#[test]
fn taps_are_kept_for_150_s_and_messages_for_a_day() {
    let api = ops();
    let card = card(&api);
    api.say(OPS, KIM, "/pending");
    api.tap(OPS, card, "Yes", KIM);
    assert_eq!(api.pending_updates(), 2);
    api.advance(Duration::from_secs(149));
    assert_eq!(api.pending_updates(), 2);
    api.advance(Duration::from_secs(1));
    assert_eq!(api.pending_updates(), 1);
    api.advance(Duration::from_secs(24 * 3600));
    assert_eq!(api.pending_updates(), 0);
}

#[test]
fn a_tap_is_answered_once_and_in_time() {
    let api = ops();
    let card = card(&api);
    let tap = api.tap(OPS, card, "No", KIM);
    let answer = json!({"callback_query_id": tap, "text": "Denied", "show_alert": true});
    assert_eq!(call(&api, "answerCallbackQuery", answer.clone())["ok"], true);
    assert!(api.wait_answer(&tap).show_alert);
    let too_old = "400 Bad Request: query is too old and response timeout expired or query ID is invalid";
    assert_eq!(refused(&api, "answerCallbackQuery", answer), too_old);
    let tap = api.tap(OPS, card, 0, KIM);
    api.advance(Duration::from_secs(16));
    assert_eq!(refused(&api, "answerCallbackQuery", json!({"callback_query_id": tap})), too_old);
}

#[test]
fn a_long_poll_ends_when_something_comes() {
    let api = ops();
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| call(&api, "getUpdates", json!({"timeout": 30})));
        api.wait_call("getUpdates", |_| true);
        let began = Instant::now();
        api.say(OPS, KIM, "/pending");
        assert_eq!(poll.join().unwrap()["result"][0]["message"]["text"], "/pending");
        assert!(began.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn the_second_poller_ends_the_first() {
    let api = ops();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| refused(&api, "getUpdates", json!({"timeout": 30})));
        api.wait_call("getUpdates", |_| true);
        let second = scope.spawn(|| call(&api, "getUpdates", json!({"timeout": 30})));
        assert!(first.join().unwrap().starts_with("409 Conflict: terminated by other getUpdates request; make sure"));
        api.say(OPS, KIM, "/a");
        assert_eq!(second.join().unwrap()["ok"], true);
    });
    assert_eq!(call(&api, "setWebhook", json!({"url": "https://example.org"}))["ok"], true);
    assert!(refused(&api, "getUpdates", json!({})).starts_with("409 Conflict: can't use getUpdates method while"));
}

#[test]
fn kinds_once_asked_for_stay_asked_for() {
    let api = ops();
    let card = card(&api);
    call(&api, "getUpdates", json!({"allowed_updates": ["callback_query"]}));
    api.say(OPS, KIM, "/unheard");
    api.tap(OPS, card, "Yes", KIM);
    api.reads_all(true);
    let found = call(&api, "getUpdates", json!({}));
    assert_eq!(found["result"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["result"][0]["callback_query"]["data"], "y");
    call(&api, "getUpdates", json!({"allowed_updates": []}));
    api.say(OPS, KIM, "/heard");
    assert_eq!(api.pending_updates(), 2);
}

#[test]
fn bots_see_little_of_groups_unless_they_may() {
    let api = ops();
    let card = card(&api);
    api.say(OPS, KIM, "good morning");
    api.say(OPS, KIM, "/status@another_bot");
    assert_eq!(api.pending_updates(), 0);
    api.say(OPS, KIM, "/status@Lazarus_Test_Bot");
    api.reply(OPS, KIM, card, "yes please");
    assert_eq!(api.pending_updates(), 2);
    api.give_role(OPS, BOT, Role::Administrator);
    api.say(OPS, KIM, "good morning");
    assert_eq!(api.pending_updates(), 3);
}

#[test]
fn what_people_do_looks_as_telegram_shows_it() {
    let api = ops();
    api.reads_all(true);
    api.add_forum(-1002, "forum", &[KIM]);
    let topic = api.add_topic(-1002, "deaths");
    api.say_so(-1002, KIM, "in a topic", Said { thread: Some(topic), ..Said::default() });
    let first = api.say(OPS, KIM, "/pending@lazarus_test_bot now");
    api.reply(OPS, KIM, first, "a reply");
    api.say_so(OPS, KIM, "nobody", Said { anonymous: true, ..Said::default() });
    api.add_channel(-1003, "news", &[KIM]);
    api.say(-1003, KIM, "a post");
    api.edit(OPS, first, "/pending");
    let gone = card(&api);
    api.delete_message(OPS, gone);
    api.tap_data(OPS, gone, "y", KIM);
    let updates = api.updates();
    let field = |number: usize, path: &str| updates[number].pointer(path).cloned().unwrap_or(Value::Null);
    for (number, path, expected) in [
        (0, "/message/forum_topic_created/name", json!("deaths")),
        (1, "/message/message_thread_id", json!(topic)),
        (1, "/message/is_topic_message", json!(true)),
        (1, "/message/reply_to_message/message_id", json!(topic)),
        (2, "/message/entities/0", json!({"type": "bot_command", "offset": 0, "length": 25})),
        (3, "/message/reply_to_message/message_id", json!(first)),
        (3, "/message/message_thread_id", json!(first)),
        (3, "/message/is_topic_message", Value::Null),
        (4, "/message/from/id", json!(1_087_968_824)),
        (4, "/message/sender_chat/id", json!(OPS)),
        (5, "/channel_post/sender_chat/id", json!(-1003)),
        (5, "/channel_post/from", Value::Null),
        (6, "/edited_message/text", json!("/pending")),
        (7, "/callback_query/message/date", json!(0)),
        (7, "/callback_query/from/id", json!(KIM)),
    ] {
        assert_eq!(field(number, path), expected, "{path} of {}", updates[number]);
    }
}

/// The library that the daemon reads with finds a kind it knows in everything we send.
#[test]
fn teloxide_reads_every_update() {
    let api = ops();
    api.reads_all(true);
    let card = card(&api);
    api.add_forum(-1002, "forum", &[KIM]);
    let topic = api.add_topic(-1002, "deaths");
    api.say_so(-1002, KIM, "in a topic", Said { thread: Some(topic), ..Said::default() });
    api.close_topic(-1002, topic);
    api.say(OPS, KIM, "/pending");
    api.reply(OPS, KIM, card, "deny");
    api.say_so(OPS, KIM, "x", Said { anonymous: true, ..Said::default() });
    api.say_so(OPS, KIM, "x", Said { forwarded_from: Some(KIM), via_bot: Some(BOT), ..Said::default() });
    let own = api.say(OPS, KIM, "x");
    api.edit(OPS, own, "y");
    api.send_file(OPS, KIM, "notes.txt", b"x", "a caption");
    api.tap(OPS, card, "Yes", KIM);
    api.delete_message(OPS, card);
    api.tap_data(OPS, card, "y", KIM);
    api.add_channel(-1003, "news", &[KIM]);
    api.say(-1003, KIM, "a post");
    api.kick_bot(OPS, KIM);
    api.bring_bot_back(OPS, KIM);
    for role in [Role::Administrator, Role::Muted, Role::Left] {
        api.bot_becomes(OPS, KIM, role);
    }
    api.block_bot(KIM);
    api.add_group(-42, "small", &[KIM]);
    api.migrate(-42, -1009);
    for update in api.updates() {
        let read: teloxide_core::types::Update = serde_json::from_str(&update.to_string()).unwrap();
        let kind = format!("{:?}", read.kind);
        let message = update.get("message").map(|message| serde_json::from_str::<Message>(&message.to_string()));
        assert!(!kind.starts_with("Error") && !kind.contains("Empty"), "{update}\n{kind}\n{message:?}");
    }
}
