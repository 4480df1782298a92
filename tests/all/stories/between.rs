//! Between the approval and the command, everything is looked at once more. The gate stands still
//! right there, and the world changes.

use std::time::Duration;

use serde_json::json;

use crate::world::{Inside, World};

/// A gate about to restart ada, as `me` has approved; returns the code of the request.
fn about_to_restart() -> (Inside, String) {
    let inside = ada_is_dead(World::with_agents(&["ada"]));
    let code = inside.code("ada");
    assert!(inside.says(&format!("approve {code}")).contains("your approval is taken"));
    assert_eq!((inside.count("ada", "ready"), inside.count("ada", "called_off")), (1, 0));
    (inside, code)
}

fn ada_is_dead(world: World) -> Inside {
    let inside = Inside::of(world);
    inside.pass(Duration::from_secs(60));
    inside.world.silence("ada");
    inside.pass(Duration::from_secs(120));
    inside
}

#[track_caller]
fn called_off(inside: &Inside, because: &str) {
    let entries = inside.world.journaled("ada", "called_off");
    assert_eq!(entries.iter().map(|entry| &entry.body["because"]).collect::<Vec<_>>(), [because]);
    assert_eq!(inside.count("ada", "started"), 0);
}

#[test]
fn an_agent_that_came_back_is_left_alone() {
    let (inside, _) = about_to_restart();
    inside.world.revive("ada");
    inside.sweep();
    called_off(&inside, "recovered");
}

#[test]
fn an_approver_who_is_revoked_has_approved_nothing() {
    let (inside, code) = about_to_restart();
    assert!(inside.says("revoke me").starts_with("revoked"));
    called_off(&inside, "approver_revoked");
    // Still dead: asked anew at once, and `me` does not count any more.
    assert_eq!(inside.count("ada", "asked"), 2);
    assert_ne!(inside.code("ada"), code);
    assert!(inside.says(&format!("approve {}", inside.code("ada"))).starts_with("refused"));
}

#[test]
fn a_later_denial_stops_it() {
    let (inside, code) = about_to_restart();
    assert!(inside.says(&format!("deny {code} wrong one")).contains("called off"));
    called_off(&inside, "later_deny");
    inside.pass(Duration::from_secs(3600));
    assert_eq!(inside.count("ada", "asked"), 1, "denied is denied");
}

#[test]
fn a_hold_stops_it() {
    let (inside, _) = about_to_restart();
    inside.says("hold");
    called_off(&inside, "on_hold");
    inside.pass(Duration::from_secs(600));
    assert_eq!(inside.count("ada", "asked"), 1, "nobody is asked anew while on hold");
    inside.says("release");
    assert_eq!(inside.count("ada", "asked"), 2);
}

#[test]
fn what_could_not_begin_in_time_is_not_begun_late() {
    let (inside, _) = about_to_restart();
    inside.pass(Duration::from_secs(600));
    called_off(&inside, "too_old");
    assert_eq!(inside.count("ada", "asked"), 2);
}

#[test]
fn a_substitute_that_fell_ill_does_not_take_over() {
    let inside = ada_is_dead(World::with_agents(&["ada", "bob"]).but(|world| {
        world.gate["substitute"] = json!({"run": ["/bin/true"]});
        world.policy["substitutions"] = json!({"ada": ["bob"]});
    }));
    assert!(inside.says(&format!("substitute {} bob", inside.code("ada"))).contains("is taken"));
    inside.world.silence("bob");
    inside.sweep();
    called_off(&inside, "substitute_unfit");
    assert_eq!(inside.count("ada", "asked"), 2);
}

#[test]
fn one_substitute_does_not_stand_in_for_two() {
    let inside = ada_is_dead(World::with_agents(&["ada", "bob", "cleo"]).but(|world| {
        world.gate["substitute"] = json!({"run": ["/bin/true"]});
        world.policy["substitutions"] = json!({"ada": ["bob"], "cleo": ["bob"]});
    }));
    inside.world.silence("cleo");
    inside.pass(Duration::from_secs(120));
    assert!(inside.says(&format!("substitute {} bob", inside.code("ada"))).contains("is taken"));
    let second = inside.says(&format!("substitute {} bob", inside.code("cleo")));
    assert!(second.contains("bob is not free"), "{second}");
}

#[test]
fn a_restored_backup_begins_nothing_that_was_approved_back_then() {
    let (inside, _) = about_to_restart();
    let backup = inside.world.path("backup.db");
    inside.world.says(&["backup", backup.to_str().expect("a path")]).taken();
    let world = inside.ends();
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(world.path(&format!("store/gate.db{ending}")));
    }
    std::fs::copy(&backup, world.store()).expect("the backup is put back");
    let inside = Inside::of(world);
    called_off(&inside, "restored");
    inside.pass(Duration::from_secs(120));
    assert_eq!(inside.count("ada", "asked"), 2);
}

#[test]
fn a_command_that_is_replaced_at_that_moment_does_not_run() {
    let (mut inside, _) = about_to_restart();
    let release = inside.keeps_the_store_busy();
    inside.carries_out();
    let is_made = |world: &World| std::fs::read_dir(world.path("store/runs")).ok()?.next().map(drop);
    inside.world.until("the old command waits for its beginning", is_made);
    let replaced = format!(": > '{}'", inside.world.path("replaced").display());
    inside.world.gate["restart"] = json!([{"run": ["/bin/sh", "-c", replaced, "{agent}"], "timeout": "60s"}]);
    inside.reloads();
    drop(release);
    inside.world.until("the new command has run", |world| world.path("replaced").exists().then_some(()));
    assert_eq!((inside.world.runs_of("ada"), inside.count("ada", "started")), (0, 1));
}

#[test]
fn what_is_said_by_somebody_who_leaves_at_once_is_worked_off_at_once() {
    let inside = ada_is_dead(World::with_agents(&["ada"]));
    assert!(inside.says_and_leaves(&format!("approve {}", inside.code("ada"))));
    inside.work_off_the_inbox();
    assert_eq!(inside.count("ada", "approved"), 1);
}
