//! What happens to agents while the gate is dead.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::in_turn;
use super::play::calm;
use crate::world::{Daemon, GATE, World, pause};

/// Somebody has approved ada's restart, and the daemon died at `point`.
fn dead_at(point: &str, change: impl FnOnce(&mut World)) -> World {
    let mut world = World::with_agents(&["ada"]).but(calm).but(change);
    world.save();
    let env = [("LAZARUS_FAIL_POINT", point)];
    world.daemon = Some(Daemon::start(Path::new(GATE), &world.config(), &[], &env, &world.told, &world.log));
    world.until_all_healthy();
    world.silence("ada");
    let code = world.asked_about("ada");
    let mut approve = Command::new(GATE);
    approve.args(["approve", &code]).arg("--config").arg(world.config());
    let mut approve = approve.env_clear().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    world.until_daemon_died();
    // It waits for a daemon to come back, which is another story's.
    approve.kill().and_then(|()| approve.wait()).expect("it ends");
    world
}

#[test]
fn who_came_back_while_the_gate_was_dead_is_not_restarted() {
    in_turn(|| {
        // The snapshot of the life before is young when the next one begins.
        let mut world = dead_at("inbox.after_handled", |world| world.gate["schedule"]["interval"] = json!("1500ms"));
        world.revive("ada");
        world.start_daemon();
        world.until_journal("ada", "called_off");
        world.until_journal("ada", "recovered");
        assert_eq!(world.runs_of("ada"), 0);
    });
}

#[test]
fn who_lives_is_verified_although_the_gate_was_dead_until_after_the_deadline() {
    in_turn(|| {
        let verify_for = |world: &mut World| world.gate["timing"]["verify_for"] = json!("300ms");
        let mut world = dead_at("revive.after_returned", verify_for);
        pause(Duration::from_millis(400));
        world.start_daemon();
        world.until_journal("ada", "recovered");
        assert!(world.journaled("ada", "not_recovered").is_empty());
        assert_eq!((world.runs_of("ada"), world.journaled("ada", "verified").len()), (1, 1));
    });
}
