//! One decision closes the request everywhere.

use serde_json::json;

use super::room::Room;
use crate::bot_api::BotApi;

const KIM: i64 = 1001;
const OPS: i64 = -1_001_234_567_890;

#[test]
fn a_signed_answer_edits_the_card_and_a_tap_is_told_in_the_thread() {
    let api = BotApi::start();
    api.add_user(KIM, "Kim");
    api.add_supergroup(OPS, "ops", &[KIM]);
    let room = Room::with_agents(&["ada", "bob"])
        .but(|world| {
            world.gate["channels"]["telegram"] = json!({
                "enabled": true, "token_file": "token", "api_url": api.url(), "poll": "1s",
                "chats": {"ops-room": {"chat": OPS}},
            });
            world.gate["people"]["me"]["telegram"] = json!(KIM);
            world.policy["approval_channels"]["telegram"] = json!({"enabled": true, "target": "ops-room"});
            world.write("config/token", api.token());
        })
        .start();
    room.world.silence("ada");
    let card = api.wait_message(OPS, |message| !message.buttons().is_empty() && message.text.contains("ada"));
    room.kim.replies(&room.kim.packet_about("ada"), "approve");
    let card = api.wait_edited(OPS, card.id, |card| card.text.contains("approved by me (Nostr)"));
    assert!(card.buttons().is_empty());
    room.world.until_journal("ada", "verified");

    room.world.silence("bob");
    let packet = room.kim.packet_about("bob");
    let card = api.wait_message(OPS, |message| !message.buttons().is_empty() && message.text.contains("bob"));
    api.tap(OPS, card.id, "Deny", KIM);
    let told = room.kim.until_told("denied by me (Telegram)");
    assert_eq!(told.tag("e"), Some(packet.id.to_hex().as_str()));
    assert!(told.text.contains(packet.code()));
}
