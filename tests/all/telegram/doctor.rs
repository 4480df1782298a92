//! `doctor telegram`: each thing that can be wrong, told in one line, and nothing left behind.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::TryRecvError;
use std::thread;

use serde_json::json;

use super::room::{KIM, LEE, OPS, Room};
use crate::bot_api::{BOT, Role, TOKEN};
use crate::world::Heard;

/// No daemon runs.
fn room(change: impl FnOnce(&mut crate::world::World, &crate::bot_api::BotApi)) -> Room {
    let room = Room::with_agents(&["ada"]).but(change);
    room.world.save();
    room
}

fn doctor(room: &Room) -> Heard {
    let heard = room.world.says(&["doctor", "telegram"]);
    assert!(!format!("{heard:?}").contains(TOKEN), "the token was printed: {heard:?}");
    assert!(room.api.cards(OPS).is_empty(), "something was posted");
    heard
}

#[test]
fn all_is_well() {
    let room = room(|world, _| {
        world.gate["people"]["max"] = json!({"local_user": 4711, "approves": "*"});
    });
    let heard = doctor(&room);
    heard.taken();
    for line in [
        "OK telegram token from ",
        "OK telegram bot @lazarus_test_bot (7654321098)",
        "privacy mode is on",
        "OK telegram poll no webhook is in the way",
        "OK telegram poll nobody else polled with this token within 1 s",
        "OK telegram chat ops-room (-1001234567890): the supergroup \"ops\"; the bot is in it and may write",
        "OK telegram chat the policy asks in ops-room",
        "WARN telegram who without a `telegram` id, and so without a say there: max",
    ] {
        heard.mentions(line);
    }
    let json = room.world.says(&["doctor", "telegram", "--json"]);
    assert_eq!(json.found("worst"), Some(json!("WARN")));
    room.world.says(&["doctor"]).mentions("OK telegram bot @lazarus_test_bot");
}

#[test]
fn the_token() {
    let room = room(|_, _| {});
    set_permissions(room.world.path("config/token"), Permissions::from_mode(0o644)).unwrap();
    doctor(&room).ended_with(1, "FAIL telegram token");
    doctor(&room).mentions("is open to everybody (mode 644)").mentions("chmod 600");
    set_permissions(room.world.path("config/token"), Permissions::from_mode(0o640)).unwrap();
    doctor(&room).mentions("WARN telegram token").mentions("is open to its group").taken();
    set_permissions(room.world.path("config/token"), Permissions::from_mode(0o600)).unwrap();
    room.api.revoke_token(true);
    doctor(&room).ended_with(1, "does not know this bot token; was it revoked? Take a new one from BotFather");
    room.world.write("config/token", "no token at all");
    doctor(&room).ended_with(1, "holds no bot token");
    std::fs::remove_file(room.world.path("config/token")).unwrap();
    doctor(&room).ended_with(1, "the bot's token cannot be read from");
    room.api.close_port();
    room.world.write("config/token", TOKEN);
    doctor(&room).ended_with(1, "does not tell who the bot is: no answer");
}

#[test]
fn the_chat_and_its_topic() {
    let room = room(|world, api| {
        let forum = api.add_forum(-1_007, "forum", &[KIM]);
        let (open, gone) = (api.add_topic(forum, "ops"), api.add_topic(forum, "old"));
        api.delete_topic(forum, gone);
        let chats = &mut world.gate["channels"]["telegram"]["chats"];
        chats["open"] = json!({"chat": forum, "topic": open});
        chats["gone"] = json!({"chat": forum, "topic": gone});
        chats["nowhere"] = json!({"chat": -5});
        let group = api.add_group(-7, "small", &[KIM]);
        api.migrate(group, -1_008);
        chats["small"] = json!({"chat": group});
        world.policy["approval_channels"] = json!({"telegram": {"enabled": true, "target": "open"}});
    });
    let heard = doctor(&room);
    heard.ended_with(1, "FAIL telegram chat nowhere (-5): Bad Request: chat not found");
    heard.mentions("OK telegram topic open: Telegram takes -1007/");
    heard.mentions("FAIL telegram topic gone: -1007/").mentions("message thread not found");
    heard.mentions("WARN telegram who lee (1002) is not in open: sees no request there");
    heard.mentions("small (-7): the bot is not in it");
    room.api.give_role(OPS, BOT, Role::Muted);
    doctor(&room).mentions("the bot was forbidden to write; lift its restriction");
    room.api.give_role(OPS, BOT, Role::Kicked);
    doctor(&room).mentions("FAIL telegram chat ops-room (-1001234567890): Forbidden: bot was kicked");
    room.api.give_role(OPS, BOT, Role::Administrator);
    room.api.give_role(OPS, LEE, Role::Left);
    doctor(&room).mentions("lee (1002) is not in ops-room");
    room.api.reads_all(true);
    doctor(&room).mentions("WARN telegram bot privacy mode is off");
}

#[test]
fn others_with_the_same_token() {
    let room = room(|_, _| {});
    room.api.put_webhook("https://user:secret@elsewhere.example/hook/secret");
    let heard = doctor(&room);
    heard.ended_with(1, "a webhook at elsewhere.example takes all");
    assert!(!format!("{heard:?}").contains("secret"), "{heard:?}");
    room.api.put_webhook("");
    // Somebody else's poll, ended by ours, comes again.
    room.api.slow_repeats(false);
    let url = format!("{}/bot{TOKEN}/getUpdates", room.api.url());
    let heard = thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            while stopped.try_recv() != Err(TryRecvError::Disconnected) {
                poll(&url);
            }
        });
        let heard = doctor(&room);
        drop(stop);
        heard
    });
    heard.ended_with(1, "another program polls with this token");
}

/// One long poll, as any bot makes it.
fn poll(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _ = runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.post(url).json(&json!({"timeout": 1})).send().await
    });
}

#[test]
fn nothing_is_confirmed_and_the_daemons_poll_is_left_alone() {
    let room = room(|_, _| {});
    room.api.say(OPS, KIM, "/pending");
    doctor(&room).mentions("something waits to be taken in").taken();
    let room = room.start();
    room.api.wait_message(OPS, |message| message.text.contains("Nobody is asked") || !message.text.is_empty());
    room.world.says(&["doctor", "telegram"]).mentions("the daemon polls").taken();
    assert!(room.world.journaled("", "channel_stopped").is_empty());
}
