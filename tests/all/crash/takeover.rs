//! kill -9 at each step of a handover: whatever was done is found, what was not is made, and nothing is handed over twice.

use std::collections::BTreeSet;

use lazarus_gate::mission::MissionRole;
use lazarus_gate::pool::MissionName;
use lazarus_gate::store::missions::{self, HandoffPhase};
use serde_json::json;

use super::play_all;
use crate::door::{self, Caller};
use crate::takeover::substitute::Endpoint;
use crate::takeover::{MISSION, delivery};
use crate::world::World;

/// The steps of a handover by HTTP.
const POINTS: [&str; 10] = [
    "takeover.before_prepared",
    "takeover.after_prepared",
    "revive.before_running",
    "revive.after_running",
    "takeover.before_post",
    "takeover.after_post",
    "takeover.before_concluded",
    "takeover.after_concluded",
    "revive.before_looked",
    "revive.after_looked",
];

/// Hands ada's work over to bob, whose endpoint this is, until the daemon dies there.
fn hands_over_until(point: &str, endpoint: &Endpoint) -> (World, Caller) {
    let mut world = World::with_agents(&["ada", "bob"]).but(|world| {
        world.policy["substitutions"] = json!({"ada": ["bob"]});
        world.gate["delivery"] = delivery(endpoint);
        world.gate["agents"] = json!({"listen": "127.0.0.1:0"});
    });
    door::prepare(&world, &["ada"], &[("ada-mission", "bob", MissionRole::Write)]);
    world.spawn_daemon(&[], Some(point));
    world.until_daemon_answers();
    world.until_all_healthy();
    world.until("the door is open", door::door);
    let (ada, bob) = (door::agent(&world, "ada"), door::agent(&world, "bob"));
    let checkpoint = json!({"summary": "half of it", "state": {"branch": "fix/883"}});
    ada.post(&format!("{MISSION}/checkpoints"), checkpoint).taken();
    world.silence("ada");
    let code = world.asked_about("ada");
    // It may die before it answers.
    let _ = world.says(&["substitute", &code, "bob"]);
    world.until_daemon_died();
    (world, bob)
}

fn dies_at(point: &str) {
    let endpoint = Endpoint::that_takes_it();
    let (mut world, bob) = hands_over_until(point, &endpoint);
    world.start_daemon();
    let at = world.until("the door is open again", door::door);
    let bob = Caller::new(at, bob.token.clone());
    let offer = world.until("bob is told", |_| {
        let offer = bob.get("/v1/handoffs").taken()["handoffs"].as_array()?.first()?.clone();
        (!endpoint.packets().is_empty()).then_some(offer)
    });
    let id = offer["handoff_id"].as_str().unwrap();
    bob.post(&format!("{MISSION}/handoffs/{id}/accept"), json!({})).taken();
    world.until_journal("ada", "verified");
    assert_eq!(world.journaled("ada", "verified").len(), 1, "{point}");
    let sent: BTreeSet<String> =
        endpoint.packets().iter().map(|packet| packet.body["handoff_id"].to_string()).collect();
    assert_eq!(sent, BTreeSet::from([format!("\"{id}\"")]), "{point}: always the same");
    let mission = MissionName::new("ada-mission").unwrap();
    let (open, row) = world
        .read(async |db| Ok((missions::open_offers(db, &mission).await?, missions::handoff(db, &mission, id).await?)))
        .expect("the store");
    assert!(open.is_empty(), "{point}: {open:?}");
    assert_eq!(row.unwrap().state, HandoffPhase::Accepted, "{point}");
    let page = bob.get(&format!("{MISSION}/events")).taken()["events"].clone();
    let handoffs = page.as_array().unwrap().iter().filter(|event| event["event"]["event_type"] == "handoff");
    assert_eq!(handoffs.count(), 1, "{point}: {page}");
}

#[test]
fn a_death_at_any_step_of_a_handover_hands_over_once() {
    play_all(&POINTS, |point| dies_at(point));
}

#[test]
fn what_an_earlier_life_has_sent_is_not_told_to_have_failed() {
    let endpoint = Endpoint::that_takes_it();
    let (mut world, bob) = hands_over_until("takeover.after_post", &endpoint);
    assert_eq!(endpoint.packets().len(), 1);
    // Nobody listens on the first of the ports.
    world.gate["delivery"]["bob"]["post"] = json!("http://127.0.0.1:1/");
    world.save();
    world.start_daemon();
    let unknown = world.until_journal("ada", "unknown");
    assert!(unknown.body.to_string().contains("nobody can say whether bob got the packet"), "{unknown}");
    assert!(world.journaled("ada", "failed").is_empty());
    // It had got it, and its answer still counts.
    let bob = Caller::new(world.until("the door is open again", door::door), bob.token.clone());
    let id = endpoint.packets()[0].body["handoff_id"].as_str().unwrap().to_owned();
    bob.post(&format!("{MISSION}/handoffs/{id}/accept"), json!({})).taken();
    world.until_journal("ada", "verified");
}

#[test]
fn an_answer_that_was_lost_by_a_death_is_found_under_its_key() {
    for point in ["door.before_act", "door.after_act"] {
        let mut world =
            World::with_agents(&["ada"]).but(|world| world.gate["agents"] = json!({"listen": "127.0.0.1:0"}));
        door::prepare(&world, &["ada"], &[]);
        world.spawn_daemon(&[], Some(point));
        world.until_daemon_answers();
        world.until("the door is open", door::door);
        let ada = door::agent(&world, "ada");
        let message = json!({"topic": "t", "payload": {"n": 1}});
        ada.cut_off("key-00001", &format!("{MISSION}/messages"), &message);
        world.until_daemon_died();
        world.start_daemon();
        let ada = Caller::new(world.until("the door is open again", door::door), ada.token.clone());
        let again = ada.post_once("key-00001", &format!("{MISSION}/messages"), message);
        assert_eq!(again.taken()["sequence"], 1, "{point}");
        assert_eq!(ada.get(&format!("{MISSION}/events")).taken()["events"].as_array().unwrap().len(), 1, "{point}");
    }
}
