//! Many at once.

use serde_json::json;

use super::room::{OPS, Room};
use crate::world::World;

/// Agents that are dead as soon as they are looked at: nobody listens at their ports.
fn many_dead(world: &mut World, count: usize) {
    for n in 0..count {
        let agent = format!("dead-{n:03}");
        // The port of the discard service of this machine, which nobody runs.
        let url = "http://127.0.0.1:9/health";
        world.registry["fleet"][&agent] =
            json!({"host": "127.0.0.1", "mission": "many", "health_endpoints": {"gateway": url}});
    }
}

#[test]
fn three_hundred_cards_come_all_and_few_calls_are_wasted() {
    let room = Room::with_agents(&["ada"]).but(|world, api| {
        many_dead(world, 300);
        world.gate["schedule"]["interval"] = json!("1s");
        api.limit(30.0, 30.0);
    });
    let mut room = room;
    room.world.save();
    room.world.start_daemon();
    let begun = std::time::Instant::now();
    let cards = || room.api.messages(OPS).iter().filter(|message| !message.buttons().is_empty()).count();
    while cards() < 300 {
        assert!(begun.elapsed().as_secs() < 60, "{} cards", cards());
        crate::world::pause(std::time::Duration::from_millis(100));
    }
    let (calls, applied) = room.api.sending_calls();
    assert!(calls * 10 <= applied * 11, "{calls} calls for {applied} messages");
    // A tap among all that is answered at once.
    let card = room.pending_card("dead-");
    let tap = room.kim_taps(&card, "Deny");
    assert!(room.api.wait_answer(&tap).text.contains("your denial is taken"));
    room.until_card_says(&card, "denied by me");
}
