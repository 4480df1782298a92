//! What can be wrong with a poll.

use std::time::Duration;

use rustix::process::Signal;

use super::room::{KIM, OPS, Room};
use crate::bot_api::{Fault, When};

#[test]
fn a_poll_that_fails_in_any_way_is_made_again_and_loses_nothing() {
    let faults = [
        Fault::Json(500),
        Fault::Html(502),
        Fault::ResetBefore,
        Fault::LoseAnswer,
        Fault::ResetMidBody,
        Fault::BrokenJson,
        Fault::TooMany(1),
        Fault::Conflict(Duration::ZERO),
        Fault::Refuse(400, "Bad Request: something new"),
    ];
    let room = Room::with_agents(&["ada"]).start();
    for (n, fault) in faults.into_iter().enumerate() {
        let outcome = room.api.calls_of("getUpdates").len();
        room.api.fault("getUpdates", When::Nth(1), fault.clone());
        let asked = room.api.say(OPS, KIM, "/whoami");
        room.api.wait_message(OPS, |message| message.reply_to == Some(asked));
        let told = room.api.messages(OPS).iter().filter(|message| message.reply_to == Some(asked)).count();
        assert_eq!(told, 1, "{fault:?} ({n}, poll {outcome})");
    }
}

#[test]
fn a_poll_that_hangs_is_given_up_in_time() {
    let room = Room::with_agents(&["ada"]);
    let room =
        room.but(|world, _| world.gate["channels"]["telegram"]["call_deadline"] = serde_json::json!("1s")).start();
    let card = room.card_about("ada");
    room.api.fault("getUpdates", When::Nth(1), Fault::Hang);
    room.api.wait_call("getUpdates", |call| call.outcome.to_lowercase().contains("hang"));
    let tap = room.kim_taps(&card, "Restart");
    assert!(room.api.wait_answer(&tap).text.contains("your approval is taken"));
}

#[test]
fn another_poller_stops_the_channel_and_nothing_else() {
    let mut room = Room::with_agents(&["ada", "bob"]).start();
    let other = room.api.fault("getUpdates", When::Always, Fault::Conflict(Duration::ZERO));
    room.world.until_told("the channel telegram is stopped: Conflict");
    let polls = room.api.calls_of("getUpdates").len();
    // The daemon goes on, and is answered elsewhere.
    room.world.silence("ada");
    let code = room.world.asked_about("ada");
    room.world.says(&["approve", &code]).taken();
    room.world.until_journal("ada", "recovered");
    assert_eq!(room.api.calls_of("getUpdates").len(), polls, "nobody polls any more");
    let conflicts = room.api.calls_of("getUpdates").iter().filter(|call| call.outcome.contains("Conflict")).count();
    assert_eq!(conflicts, 3);
    assert_eq!(room.world.journaled("", "channel_stopped").len(), 1);
    room.api.lift(other);
    room.world.daemon().signal(Signal::HUP);
    let card = room.card_about("bob");
    let tap = room.kim_taps(&card, "Deny");
    assert!(room.api.wait_answer(&tap).text.contains("your denial is taken"));
}

#[test]
fn a_revoked_token_stops_the_channel_until_it_is_mended() {
    let mut room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.revoke_token(true);
    room.world.until_told("the channel telegram is stopped");
    let tap = room.kim_taps(&card, "Restart");
    room.world.until_probed("ada", 5);
    assert_eq!(room.world.runs_of("ada"), 0);
    room.api.revoke_token(false);
    room.world.daemon().signal(Signal::HUP);
    assert!(room.api.wait_answer(&tap).text.contains("your approval is taken"));
    room.until_card_says(&card, "Restarted, and verified at");
}

#[test]
fn a_token_that_is_no_good_at_the_start_stops_nothing_else() {
    let mut room = Room::with_agents(&["ada"]);
    room.api.revoke_token(true);
    room = room.start();
    room.world.until_told("the channel telegram is stopped");
    room.world.silence("ada");
    let code = room.world.asked_about("ada");
    room.api.revoke_token(false);
    room.world.daemon().signal(Signal::HUP);
    let card = room.pending_card("ada");
    assert!(card.text.contains(&code));
}

#[test]
fn a_webhook_in_the_way_stops_the_channel() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.put_webhook("https://example.org/hook");
    room.world.until_told("webhook");
    assert!(room.api.calls_of("deleteWebhook").is_empty(), "somebody else's webhook is not ours to delete");
}

#[test]
fn a_send_that_is_refused_for_the_token_stops_the_channel_too() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.fault("sendMessage", When::Nth(1), Fault::Refuse(401, "Unauthorized"));
    room.world.silence("ada");
    room.world.until_told("the channel telegram is stopped");
    room.world.asked_about("ada");
}

#[test]
fn every_poll_names_what_it_wants_and_none_drains() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.stop();
    room.world.start_daemon();
    room.api.say(OPS, KIM, "/whoami");
    room.until_said("You are me");
    for call in room.api.calls_of("getUpdates") {
        let wanted = call.param("allowed_updates");
        for kind in ["message", "callback_query", "my_chat_member"] {
            assert!(wanted.contains(kind), "{call}");
        }
        assert!(!call.param("offset").starts_with('-'), "{call}");
    }
    assert!(room.api.calls_of("deleteWebhook").is_empty());
}
