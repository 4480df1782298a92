//! How an open note looks at its end.

use nostr_sdk::Timestamp;
use serde_json::json;

use super::phone::Shown;
use super::room::{Room, keys};

fn marks(room: &Room, note: &Shown) -> Vec<String> {
    let id = note.id.to_hex();
    let all = room.kim.all().into_iter().filter(|one| one.kind == 7 && one.tag("e") == Some(&id));
    all.map(|one| one.text).collect()
}

#[test]
fn the_gate_marks_its_note_and_its_marks_decide_nothing() {
    let gate = keys(1);
    let room = Room::in_style("note", &["ada", "bob"]).but(|world| {
        world.gate["channels"]["nostr"]["reactions"] = true.into();
        // Whoever writes the gateway's own key into `people` gives it no vote.
        let kim = world.gate["people"]["me"]["nostr"][0].clone();
        world.gate["people"]["me"]["nostr"] = json!([kim, gate.public_key().to_hex()]);
    });
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let own = room.phone_of(gate.clone());
    let (id, hex) = (packet.id.to_hex(), gate.public_key().to_hex());
    own.says(7, &[&["e", &id], &["p", &hex]], "✅");
    own.publishes(&own.decides(&packet, "approve", ""));
    own.publishes(&own.wraps(&own.decides(&packet, "approve", "")));
    own.writes_at("approve", &[&["e", &id]], Timestamp::now());
    room.kim.replies_openly(&packet, "deny");
    room.world.until_journal("ada", "denied");
    room.kim.until(|one| one.kind == 7 && one.text == "-" && one.tag("e") == Some(&id));
    assert_eq!(room.world.runs_of("ada"), 0);

    room.world.silence("bob");
    let packet = room.kim.packet_about("bob");
    room.kim.replies_openly(&packet, "approve");
    room.world.until_journal("bob", "verified");
    room.kim.until(|one| one.kind == 7 && one.text == "✅" && one.tag("e") == Some(&packet.id.to_hex()));
    assert_eq!(marks(&room, &packet), ["+", "✅"]);
    assert!(room.world.journaled("", "refused").is_empty(), "{:?}", room.world.journaled("", "refused"));
    assert_eq!(room.world.journaled("", "receipt").len(), 2);
}

#[test]
fn in_private_nothing_is_marked() {
    let room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "deny");
    room.kim.until_told("denied by me (Nostr)");
    assert!(room.kim.all().iter().all(|one| one.kind != 7));
}
