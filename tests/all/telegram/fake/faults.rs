//! What goes wrong on demand, and what has happened in the world then.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{KIM, OPS, PATIENCE, call, ops, refused, try_call};
use crate::bot_api::{BotApi, Fault, When};

#[test]
fn each_fault_takes_effect_or_not_as_it_says() {
    let second = Duration::from_millis(50);
    for (fault, told, applied) in [
        (Fault::TooMany(7), "retry_after", false),
        (Fault::Refuse(400, "Bad Request: TOPIC_DELETED"), "TOPIC_DELETED", false),
        (Fault::Json(500), "Internal Server Error", false),
        (Fault::Html(502), "<html>", false),
        (Fault::Conflict(Duration::ZERO), "Conflict: terminated by other", false),
        (Fault::ResetBefore, "reset", false),
        (Fault::Hang, "unavailable", false),
        (Fault::HangAfter, "unavailable", true),
        (Fault::LoseAnswer, "reset", true),
        (Fault::ResetMidBody, "reset", true),
        (Fault::BrokenJson, "EOF while parsing", true),
        (Fault::Slow(second), "\"ok\":true", true),
        (Fault::Late(second), "\"ok\":true", true),
        (Fault::Drip(Duration::ZERO), "\"ok\":true", true),
    ] {
        let api = ops();
        api.fault("sendmessage", When::Nth(2), fault.clone());
        let send = json!({"chat_id": OPS, "text": "x"});
        call(&api, "sendMessage", send.clone());
        let hangs = matches!(fault, Fault::Hang | Fault::HangAfter);
        let patience = if hangs { Duration::from_millis(300) } else { PATIENCE };
        let answer = match try_call(&api, "sendMessage", &send, patience) {
            Ok(answer) => answer.to_string(),
            Err(error) => error,
        };
        assert!(answer.contains(told), "{fault:?}: {answer}");
        assert_eq!(api.cards(OPS).len(), 1 + usize::from(applied), "{fault:?}");
        let [_, log] = &api.calls_of("sendMessage")[..] else { panic!("{}", api.history()) };
        assert_eq!(log.applied, applied, "{log}");
        assert_eq!(call(&api, "sendMessage", send)["ok"], true, "the fault is over");
    }
}

#[test]
fn faults_count_and_can_be_lifted() {
    let api = ops();
    api.fault("*", When::Next(2), Fault::Json(503));
    let all = api.fault("getMe", When::Always, Fault::Refuse(418, "tea"));
    let told = |_: usize| call(&api, "getMe", json!({}))["error_code"].as_i64();
    assert_eq!([0, 1, 2, 3].map(told), [Some(503), Some(503), Some(418), Some(418)]);
    api.lift(all);
    assert_eq!(told(4), None);
}

#[test]
fn a_closed_port_opens_again() {
    let api = ops();
    let address = api.url().replace("http://", "");
    api.close_port();
    assert!(TcpStream::connect(&address).is_err());
    api.say(OPS, KIM, "/pending");
    api.open_port();
    assert_eq!(call(&api, "getUpdates", json!({}))["result"][0]["message"]["text"], "/pending");
}

#[test]
fn too_many_messages_are_told_to_wait() {
    let api = ops();
    api.add_user(1002, "Lee");
    // One message a chat, and the next one a minute and a half later: no machine is so slow.
    api.limit(100.0, 0.011);
    let send = |chat: i64| json!({"chat_id": chat, "text": "x"});
    for chat in [OPS, KIM, 1002] {
        assert_eq!(call(&api, "sendMessage", send(chat))["ok"], true);
    }
    let told = refused(&api, "sendMessage", send(OPS));
    assert!(told.starts_with("429 Too Many Requests: retry after "), "{told}");
    assert_eq!(call(&api, "getChat", send(OPS))["ok"], true, "only what is sent or edited counts");
    assert_eq!(api.sending_calls(), (4, 3));
    api.lift_all();
    assert_eq!(call(&api, "sendMessage", send(OPS))["ok"], true);
}

#[test]
fn updates_come_twice_backwards_and_raw() {
    let api = ops();
    api.say(OPS, KIM, "/a");
    api.say(OPS, KIM, "/b");
    let ids = |api: &BotApi, offset: i64| {
        let answer = call(api, "getUpdates", json!({"offset": offset}));
        let ids = answer["result"].as_array().unwrap().iter().map(|update| update["update_id"].as_i64());
        ids.collect::<Vec<_>>()
    };
    let a = api.updates()[0]["update_id"].as_i64().unwrap();
    api.deliver_backwards();
    assert_eq!(ids(&api, 0), [Some(a + 1), Some(a)]);
    api.deliver_twice();
    assert_eq!(ids(&api, a + 1), [Some(a + 1), Some(a + 1)]);
    api.deliver_in_order();
    api.redeliver(a);
    assert_eq!(ids(&api, a + 2), [Some(a)], "what was confirmed comes again");
    api.push_raw(json!({"chat_from_the_future": {"x": 1}}));
    api.push_raw(json!("no update at all"));
    api.push_raw(json!({"update_id": 7, "message": 5}));
    assert_eq!(ids(&api, 0), [None, Some(7), Some(a + 2)]);
    assert_eq!(ids(&api, 0), [Some(a + 2)], "raw ones come once");
}

/// The fake must not be what a bench measures: many taps at once are quickly through it.
#[test]
fn two_thousand_taps_pass_quickly() {
    let api = ops();
    let keyboard = json!({"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]});
    let mut cards = BTreeMap::new();
    for chat in 0..50 {
        let chat = api.add_supergroup(-1_002_000_000_000 - chat, "many", &[KIM]);
        let sent = call(&api, "sendMessage", json!({"chat_id": chat, "text": "x", "reply_markup": keyboard}));
        cards.insert(chat, sent["result"]["message_id"].as_i64().unwrap());
    }
    let began = Instant::now();
    for _ in 0..40 {
        for (chat, card) in &cards {
            api.tap(*chat, *card, 0, KIM);
        }
    }
    let mut offset = 0;
    while api.pending_updates() > 0 {
        let answer = call(&api, "getUpdates", json!({"offset": offset}));
        offset =
            answer["result"].as_array().unwrap().last().map_or(offset, |last| last["update_id"].as_i64().unwrap()) + 1;
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "2,000 taps took {took:?}");
}
