//! A substitution that hands over, on the real daemon: bob (and then cleo) can take over for ada.

mod stories;
pub mod substitute;
mod tap;

use lazarus_gate::mission::MissionRole;
use serde_json::{Value, json};

use crate::door::{self, Caller};
use crate::world::World;
use substitute::Endpoint;

/// The mission of ada.
pub const MISSION: &str = "/v1/missions/ada-mission";

/// A fleet in which bob and then cleo can take over for ada; bob is told at `endpoint`.
pub fn world(endpoint: &Endpoint, change: impl FnOnce(&mut World)) -> World {
    let others = [("ada-mission", "bob", MissionRole::Write), ("ada-mission", "cleo", MissionRole::Write)];
    door::open(&["ada", "bob", "cleo"], &others, |world| {
        world.policy["substitutions"] = json!({"ada": ["bob", "cleo"]});
        world.gate["delivery"] = delivery(endpoint);
        change(world);
    })
}

/// Bob is told at the endpoint, and has long to answer.
pub fn delivery(endpoint: &Endpoint) -> Value {
    json!({"bob": {"post": endpoint.url(), "timeout": "2s", "accept_within": "60s"}})
}

/// ada has made a checkpoint, and dies.
pub fn dies_after_a_checkpoint(world: &World) -> Caller {
    let ada = door::agent(world, "ada");
    ada.post(&format!("{MISSION}/attach"), json!({"nonce": door::nonce("one")})).taken();
    let me = door::incarnation(0, "one");
    let state = json!({"branch": "fix/883"});
    ada.post(&format!("{MISSION}/checkpoints"), json!({"summary": "half of it", "state": state, "incarnation": me}))
        .taken();
    world.silence("ada");
    ada
}

/// What the request about ada offers now.
pub fn offered(world: &World) -> Vec<String> {
    let request = world.until("people are asked about ada", |world| world.pending("ada"));
    let substitutes = request["offers"]["substitutes"].as_array().expect("a list");
    substitutes.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}
