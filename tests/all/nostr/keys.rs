//! Keys that come and go between a vote and what is done about it.

use lazarus_gate::channel::nostr::Evidence;
use nostr_sdk::JsonUtil as _;
use serde_json::json;

use super::room::{Room, keys};

#[test]
fn a_vote_that_waits_in_the_inbox_does_not_outlive_its_key() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let decision = room.kim.decides(&packet, "approve", "");
    room.world.stop();
    // As a kill leaves it between what came in and what is done about it.
    let raw = json!(Evidence::Signed { event: decision.as_json(), private: false }).to_string();
    let input = format!("nostr:{}", decision.id);
    let now = i64::try_from(nostr_sdk::Timestamp::now().as_secs()).unwrap() * 1000;
    let connection = rusqlite::Connection::open(room.world.store()).expect("the store opens");
    let insert = "INSERT INTO inputs (id, seq, source, raw, entered_at, state, attempts, keep)
         VALUES (?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM inputs), 'nostr', ?2, ?3, 'new', 0, 0)";
    connection.execute(insert, (&input, &raw, now)).expect("an input");
    drop(connection);
    // Kim has a new key.
    let fresh = keys(7);
    room.world.gate["people"]["me"]["nostr"] = json!([fresh.public_key().to_hex()]);
    room.world.save();
    room.world.start_daemon();
    let refused = room.world.until_journal("", "refused");
    assert_eq!(refused.body["input"], json!(input));
    assert!(refused.body["text"].as_str().is_some_and(|text| text.contains("your word does not count")), "{refused}");
    assert!(room.world.journaled("ada", "approved").is_empty());
    let keys = room.world.journaled("", "people_keys");
    assert_eq!(keys.len(), 2, "whose key is whose, before and after: {keys:?}");
    assert_eq!(keys[1].body["nostr"]["me"], json!([fresh.public_key().to_hex()]));
    // It is still asked, and the new key answers.
    let kim = room.phone_of(fresh);
    kim.writes(&format!("deny {}", packet.code()), &[]);
    room.world.until_journal("ada", "denied");
    assert_eq!(room.world.runs_of("ada"), 0);
}
