//! The files change while the gate is at work.

use rustix::process::Signal;
use serde_json::json;

use crate::world::World;

#[test]
fn a_policy_that_no_longer_asks_withdraws_the_request() {
    let mut world = World::with_agents(&["ada"]).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.policy["agents"]["ada"] = json!({"mode": "no"});
    world.save();
    let withdrawn = world.until_journal("ada", "withdrawn");
    assert_eq!(withdrawn.body["because"], "policy_changed");
    world.until_told("the policy does not ask about it any more");
    world.until_journal("ada", "suppressed");
    world.says(&["approve", &code]).refused("already withdrawn");
    assert_eq!(world.runs_of("ada"), 0);
}

#[test]
fn a_hangup_loads_the_files_anew() {
    let patient = |world: &mut World| world.gate["timing"]["reload_check"] = json!("1h");
    let mut world = World::with_agents(&["ada"]).but(patient).start();
    world.silence("ada");
    world.asked_about("ada");
    world.policy["agents"]["ada"] = json!({"mode": "yes"});
    world.save();
    world.until_probed("ada", 3);
    assert_eq!(world.runs_of("ada"), 0, "nobody has looked at the files yet");
    world.daemon().signal(Signal::HUP);
    world.until_told("a new configuration is in force");
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn a_broken_file_changes_nothing_and_is_an_alarm() {
    let mut world = World::with_agents(&["ada"]).start();
    world.policy["agents"]["ada"] = json!({"mode": "perhaps"});
    world.save();
    world.until_told("the new configuration is not taken");
    world.says(&["status"]).mentions("perhaps");
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "recovered");
}

#[test]
fn an_agent_that_leaves_the_registry_takes_its_request_along() {
    let mut world = World::with_agents(&["ada", "bob"]).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.registry["fleet"].as_object_mut().expect("a mapping").remove("ada");
    world.save();
    world.until_journal("ada", "gone");
    world.says(&["approve", &code]).refused("already withdrawn");
}

#[test]
fn an_agent_that_moves_to_another_mission_is_asked_about_anew() {
    let mut world = World::with_agents(&["ada"]).start();
    world.silence("ada");
    let old = world.asked_about("ada");
    world.registry["fleet"]["ada"]["mission"] = json!("archive");
    world.save();
    assert_eq!(world.until_journal("ada", "withdrawn").body["because"], "moved");
    let new = world.until("people are asked anew", |world| world.pending("ada").filter(|one| one["code"] != *old));
    assert_eq!(new["mission"], "archive");
    world.says(&["approve", &old]).refused("");
    assert_eq!(world.runs_of("ada"), 0);
}

#[test]
fn a_plan_is_about_the_fleet_that_the_named_file_means() {
    let world = World::with_agents(&["ada", "bob"]);
    world.save();
    let state = world.path("state.json").to_string_lossy().into_owned();
    let planned = world.says(&["plan", "--json", "--dry-run", "--state", &state]);
    planned.taken();
    let snapshot = planned.found("snapshot").expect("who was probed");
    let agents: Vec<&String> = snapshot.as_object().expect("by agent").keys().collect();
    assert_eq!(agents, ["ada", "bob"]);
}
