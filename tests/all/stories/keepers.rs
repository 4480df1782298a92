//! What keeps the gate from acting: a hold, and observing.

use serde_json::json;

use crate::world::World;

#[test]
fn on_hold_an_approval_stands_and_nothing_runs_until_release() {
    let world = World::with_agents(&["ada"]).start();
    world.says(&["hold", "moving", "the", "racks"]).taken();
    world.until_told("executions are on hold, said me: moving the racks");
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until_told("not run because executions are on hold");
    world.until_probed("ada", 5);
    assert_eq!(world.runs_of("ada"), 0);
    assert_eq!(world.journaled("ada", "asked").len(), 1, "nobody is asked anew");
    world.says(&["status"]).mentions("moving the racks");
    world.says(&["explain", "ada"]).mentions("hold");

    world.says(&["release"]).taken();
    let again = world.asked_about("ada");
    world.says(&["approve", &again]).taken();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn under_hold_a_yes_waits_and_acts_after_the_release() {
    let yes = |world: &mut World| world.policy["agents"]["ada"] = json!({"mode": "yes"});
    let world = World::with_agents(&["ada"]).but(yes).start();
    world.says(&["hold"]).taken();
    world.silence("ada");
    world.until_journal("ada", "held");
    world.until_probed("ada", 4);
    assert_eq!(world.journaled("ada", "held").len(), 1, "said once");
    assert_eq!(world.runs_of("ada"), 0);
    world.says(&["release"]).taken();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn an_observing_gate_asks_and_tells_and_runs_nothing() {
    let mut world = World::with_agents(&["ada", "bob"]);
    world.policy["agents"]["bob"] = json!({"mode": "yes"});
    world.save();
    world.start_daemon_with(&["--observe"]);
    world.until_told("OBSERVING ONLY");
    world.until_all_healthy();
    world.silence("ada");
    world.silence("bob");
    let code = world.asked_about("ada");
    world.until_told("only observes");
    world.says(&["approve", &code]).taken();
    world.until_told("not run because this gateway only observes");
    world.until_journal("bob", "held");
    world.until_probed("ada", 5);
    assert!(world.runs().is_empty());
}
