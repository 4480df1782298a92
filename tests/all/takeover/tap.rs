use serde_json::json;

use super::substitute::Endpoint;
use super::{MISSION, delivery};
use crate::door::{self, agent};
use crate::telegram::room::Room;

#[test]
fn its_work_goes_on_from_its_checkpoint_after_one_tap() {
    let endpoint = Endpoint::that_takes_it();
    let room = Room::with_agents(&["ada", "bob"])
        .but(|world, _| {
            world.policy["substitutions"] = json!({"ada": ["bob"]});
            world.gate["delivery"] = delivery(&endpoint);
            world.gate["agents"] = json!({"listen": "127.0.0.1:0"});
            door::prepare(world, &["ada"], &[]);
        })
        .start();
    room.world.until("the door is open", door::door);
    let (ada, bob) = (agent(&room.world, "ada"), agent(&room.world, "bob"));
    let checkpoint = json!({"summary": "half of it", "state": {"branch": "fix/883"}});
    ada.post(&format!("{MISSION}/checkpoints"), checkpoint).taken();
    let card = room.card_about("ada");
    let tap = room.kim_taps(&card, "Substitute: bob");
    assert!(room.api.wait_answer(&tap).text.contains("your approval is taken"));
    room.until_card_says(&card, "waits for bob's answer");
    let offer = room
        .world
        .until("bob is offered the work", |_| bob.get("/v1/handoffs").taken()["handoffs"].as_array()?.first().cloned());
    let id = offer["handoff_id"].as_str().unwrap();
    let packet = bob.get(&format!("{MISSION}/handoffs/{id}/packet"));
    assert_eq!(packet.taken()["checkpoint"]["state"], json!({"branch": "fix/883"}));
    bob.post(&format!("{MISSION}/handoffs/{id}/accept"), json!({})).taken();
    room.world.until_journal("ada", "verified");
    room.until_card_says(&card, "Accepted, and verified at");
}
