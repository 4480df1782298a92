//! Where the policy decides, and people are only told.

use serde_json::json;

use crate::world::{Restart, World};

#[test]
fn under_yes_an_agent_is_restarted_by_itself_and_people_are_told() {
    let yes = |world: &mut World| world.policy["agents"]["ada"] = json!({"mode": "yes"});
    let world = World::with_agents(&["ada"]).but(yes).start();
    world.silence("ada");
    world.until_journal("ada", "recovered");
    world.until_told("about to restart ada by itself: the policy for");
    world.until_told("alive again, verified");
    assert_eq!(world.runs_of("ada"), 1);
    assert!(world.journaled("ada", "asked").is_empty());
}

#[test]
fn yes_backs_off_and_becomes_ask() {
    let world = World::with_agents(&["ada"]).but(|world| world.policy["agents"]["ada"] = json!({"mode": "yes"}));
    world.restart_command(Restart::Fails(1));
    let world = world.start();
    world.silence("ada");
    let code = world.asked_about("ada");
    let failed = world.journaled("ada", "failed");
    let ready = world.journaled("ada", "ready");
    assert_eq!((failed.len(), ready.len(), world.runs_of("ada")), (3, 3, 3));
    for (nth, pause_ms) in [(0, 100), (1, 200)] {
        assert!(ready[nth + 1].at_ms >= failed[nth].at_ms + pause_ms, "attempt {} came too early", nth + 2);
    }
    world.restart_command(Restart::Revives);
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "recovered");
}

#[test]
fn what_cannot_be_revived_is_told_once() {
    let world = World::with_agents(&["ada"]).but(|world| {
        world.policy["agents"]["ada"] = json!({"mode": "yes"});
        world.registry["fleet"]["ada"]["host"] = json!("ada.example");
        world.gate.as_object_mut().expect("a mapping").remove("restart");
    });
    let mut world = world.start();
    world.silence("ada");
    world.until_told("there is no way to revive it from here");
    world.until_probed("ada", 6);
    assert_eq!(world.journaled("ada", "unrecoverable").len(), 1);
    assert_eq!(world.told.text().matches("no way to revive").count(), 1);
    // As soon as there is a way, it is tried.
    world.gate["restart"] =
        json!([{"run": ["/bin/sh", world.path("restart.sh"), "{agent}", "{host}"], "timeout": "5s"}]);
    world.save();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn under_no_nobody_is_asked_and_everybody_can_see_why() {
    let no = |world: &mut World| world.policy["agents"]["ada"] = json!({"mode": "no"});
    let world = World::with_agents(&["ada"]).but(no).start();
    world.silence("ada");
    world.until_journal("ada", "suppressed");
    world.until_probed("ada", 5);
    assert!(world.journaled("ada", "asked").is_empty());
    assert_eq!(world.journaled("ada", "suppressed").len(), 1);
    world.says(&["status"]).mentions("ada").mentions("policy says no");
    world.says(&["history", "ada"]).mentions("the policy says no");
    world.says(&["explain", "ada"]).mentions("the policy says no");
    world.says(&["ask", "ada"]).refused("the policy says no for the mission 'ada-mission'");
    assert_eq!(world.runs_of("ada"), 0);
}

#[test]
fn an_agent_that_dies_again_before_the_incident_closed_used_up_an_attempt() {
    let world = World::with_agents(&["ada"]).but(|world| {
        world.policy["agents"]["ada"] = json!({"mode": "yes"});
        world.gate["timing"]["healthy_for"] = json!("1h");
    });
    let world = world.start();
    for attempt in 1..=3 {
        world.silence("ada");
        world.until_journaled("ada", "verified", attempt);
    }
    world.silence("ada");
    world.until_journaled("ada", "relapsed", 3);
    world.until_told("dead again after it had lived");
    world.asked_about("ada");
    assert_eq!(world.runs_of("ada"), 3, "three attempts by itself, then people decide");
    assert_eq!(world.journaled("ada", "opened").len(), 1, "it is one death all the while");
}
