//! What relays do that they should not.

use nostr_sdk::{Event, JsonUtil as _, Timestamp};
use serde_json::{Value, json};

use super::rogue::{Manners, Rogue};
use super::room::Room;

/// A room whose gateway also uses a relay with these manners.
fn with(manners: Manners) -> (Room, Rogue) {
    let room = Room::with_agents(&["ada"]);
    let rogue = Rogue::start(room.handle(), manners);
    let url = rogue.url.clone();
    let room = room.but(|world| {
        world.gate["channels"]["nostr"]["relays"].as_array_mut().unwrap().push(url.into());
    });
    (room, rogue)
}

/// A room whose gateway uses nothing but such a relay, and kim as well.
fn only(manners: Manners) -> (Room, Rogue) {
    let mut room = Room::with_agents(&["ada"]);
    let rogue = Rogue::start(room.handle(), manners);
    room.moves_to(&rogue.url);
    (room, rogue)
}

/// A room with an agent for each of these manners, and a relay that has them beside the good one.
pub fn with_each(manners: impl IntoIterator<Item = Manners>) -> (Room, Vec<(String, Rogue)>) {
    let manners: Vec<Manners> = manners.into_iter().collect();
    let names: Vec<String> = (0..manners.len()).map(|number| format!("agent-{number}")).collect();
    let room = Room::with_agents(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let rogues: Vec<_> = manners.into_iter().map(|manners| Rogue::start(room.handle(), manners)).collect();
    let room = room.but(|world| {
        let relays = world.gate["channels"]["nostr"]["relays"].as_array_mut().unwrap();
        relays.extend(rogues.iter().map(|rogue| Value::from(rogue.url.clone())));
    });
    (room, names.into_iter().zip(rogues).collect())
}

/// Up to which second a relay was read, as soon as that is known.
pub fn read_until(room: &Room, rogue: &Rogue) -> u64 {
    let source = format!("nostr.read:{}", rogue.url);
    room.world.until(&format!("{} was read", rogue.url), |world| world.offset(&source)).parse().unwrap()
}

pub fn value(event: &Event) -> Value {
    serde_json::from_str(&event.as_json()).unwrap()
}

#[test]
fn a_copy_with_a_known_id_and_other_words_counts_for_nothing() {
    let (room, rogue) = with(Manners::default());
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    // The genuine one says nothing that decides, so that whatever decides is the forgery.
    let genuine = room.kim.signs(1, &[&["p", &room.kim.gate.to_hex()]], "good morning");
    let forged = |text: &str| {
        let mut copy = value(&genuine);
        copy["content"] = json!(text);
        copy
    };
    let approve = format!("approve {}", packet.code());
    rogue.has(forged(&approve), true);
    room.kim.publishes(&genuine);
    rogue.has(value(&genuine), true);
    rogue.has(forged(&approve), true);
    let decision = room.kim.decides(&packet, "deny", "");
    rogue.has(value(&decision), true);
    let mut copy = value(&decision);
    copy["tags"][3][1] = json!("approve");
    assert_eq!(copy["tags"][3], json!(["decision", "approve"]));
    rogue.has(copy, true);
    room.world.until_journal("ada", "denied");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn a_forged_copy_first_does_not_shadow_the_real_one() {
    let (room, rogue) = with(Manners::default());
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let genuine = room.kim.decides(&packet, "approve", "");
    let mut forged = value(&genuine);
    forged["tags"][3][1] = json!("deny");
    rogue.has(forged, true);
    let mut unsigned = value(&genuine);
    unsigned["sig"] = json!("00".repeat(64));
    rogue.has(unsigned, true);
    room.kim.publishes(&genuine);
    room.world.until_journal("ada", "verified");
    let verified = room.world.says(&["journal", "verify"]);
    assert!(verified.out.contains("1 receipts prove"), "{verified:?}");
}

#[test]
fn without_an_end_of_what_is_stored_answers_still_flow() {
    for manners in
        [Manners { no_eose: true, ..Manners::default() }, Manners { foreign_eose: true, ..Manners::default() }]
    {
        let (room, rogue) = only(manners);
        let room = room.start();
        room.world.silence("ada");
        let packet = room.kim.packet_about("ada");
        room.kim.replies(&packet, "approve");
        room.world.until_journal("ada", "verified");
        let offset = room.world.offset(&format!("nostr.read:{}", rogue.url));
        assert_eq!(offset, None, "nobody knows whether that was all");
    }
}

#[test]
fn nothing_that_waited_is_lost_by_small_pages() {
    for (cap, unsorted, no_since, late_eose) in
        [(1, false, false, false), (3, true, false, true), (3, false, true, false)]
    {
        let (mut room, rogue) = only(Manners::default());
        room = room.start();
        room.world.silence("ada");
        let packet = room.kim.packet_about("ada");
        room.world.until("the relay was read", |world| world.offset(&format!("nostr.read:{}", rogue.url)));
        room.world.stop();
        rogue.behave(Manners { cap: Some(cap), unsorted, no_since, late_eose, ..Manners::default() });
        // Among much that says nothing, some in the same second, one answer; it is the oldest.
        let now = Timestamp::now().as_secs();
        let gate = room.kim.gate.to_hex();
        let decision = room.kim.decides(&packet, "deny", "");
        rogue.has(value(&decision), false);
        for number in 0..12u64 {
            let at = Timestamp::from(now + 1 + number / 2);
            let chatter = nostr_sdk::EventBuilder::text_note(format!("chatter {number}"))
                .tags([nostr_sdk::Tag::parse(["p", &gate]).unwrap()])
                .custom_created_at(at)
                .sign_with_keys(&room.kim.keys)
                .unwrap();
            rogue.has(value(&chatter), false);
        }
        room.world.start_daemon();
        room.world.until_journal("ada", "denied");
    }
}

#[test]
fn what_is_no_message_harms_nothing() {
    let (room, rogue) = with(Manners::default());
    let room = room.start();
    let genuine = value(&room.kim.signs(1, &[&["p", &room.kim.gate.to_hex()]], "hello"));
    for at in [json!(0), json!(-1), json!(1.5), json!((1u64 << 53) + 1), json!(u64::MAX), json!(32_503_680_000u64)] {
        let mut event = genuine.clone();
        event["created_at"] = at;
        rogue.has(event, true);
    }
    let tags: Vec<Value> = (0..2_500).map(|number| json!(["t", number.to_string()])).collect();
    let mut many = genuine.clone();
    many["tags"] = json!(tags);
    rogue.has(many, true);
    for text in
        ["", "[]", "{", "[\"EVENT\"]", "[\"OK\",\"\",false,\"\"]", "[\"EOSE\",\"foreign\"]", "[\"CLOSED\",\"x\",\"\"]"]
    {
        rogue.says(text);
    }
    rogue.says(&format!("[\"NOTICE\",\"{}\"]", "x".repeat(6 << 20)));
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    room.world.until_journal("ada", "verified");
}

#[test]
fn strangers_in_the_open_crowd_nobody_out() {
    let (mut room, rogue) = only(Manners::default());
    room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.world.until("the relay was read", |world| world.offset(&format!("nostr.read:{}", rogue.url)));
    room.world.stop();
    let decision = room.kim.decides(&packet, "deny", "");
    rogue.has(value(&decision), false);
    let gate = room.kim.gate.to_hex();
    for number in 0..40 {
        // Its author is nobody, and its second is the very one of the answer.
        let note = nostr_sdk::EventBuilder::text_note(format!("hay {number}"))
            .tags([nostr_sdk::Tag::parse(["p", &gate]).unwrap()])
            .custom_created_at(decision.created_at)
            .sign_with_keys(&room.mallory.keys)
            .unwrap();
        rogue.has(value(&note), false);
    }
    // It gives those first that it got last.
    rogue.behave(Manners { cap: Some(5), latest_first: true, ..Manners::default() });
    room.world.start_daemon();
    room.world.until_journal("ada", "denied");
}
