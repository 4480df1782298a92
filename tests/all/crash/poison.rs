//! An input that kills whoever works on it.

use std::path::Path;
use std::process::{Command, Stdio};

use lazarus_gate::store::inbox;

use super::in_turn;
use super::play::calm;
use crate::world::{Daemon, GATE, Restart, World};

/// Starts the daemon such that it dies at `point`, and waits until it has.
fn live_and_die(world: &mut World, point: &str) {
    start_with(world, point);
    world.until_daemon_died();
}

fn start_with(world: &mut World, point: &str) {
    let env = [("LAZARUS_FAIL_POINT", point)];
    world.daemon = Some(Daemon::start(Path::new(GATE), &world.config(), &[], &env, &world.told, &world.log));
}

/// The id of the input that waits or was set aside.
fn input(world: &World) -> Option<String> {
    let waits = world.read(async |read| inbox::pending(read, 10).await).unwrap_or_default();
    let aside = world.read(async |read| inbox::set_aside(read, 10).await).unwrap_or_default();
    waits.into_iter().chain(aside).next().map(|row| row.id)
}

/// An approval that has killed the daemon once, while it came, and twice at a start.
fn poisoned() -> World {
    let mut world = World::with_agents(&["ada", "bob"]).but(calm);
    world.save();
    start_with(&mut world, "inbox.in_handling");
    world.until_all_healthy();
    world.silence("ada");
    let code = world.asked_about("ada");
    let mut approve = Command::new(GATE);
    approve.args(["approve", &code]).arg("--config").arg(world.config());
    let mut approve = approve.env_clear().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    world.until_daemon_died();
    live_and_die(&mut world, "inbox.in_handling");
    live_and_die(&mut world, "inbox.in_handling");
    let said = approve.wait().expect("it ends");
    assert_eq!(said.code(), Some(6), "nobody came back to say what became of it");
    world
}

/// The rest: it is set aside, was told once, blocks nothing, and runs when somebody says so.
fn is_set_aside_and_can_be_retried(world: &World) {
    world.until_told("three times");
    assert_eq!(world.journaled("", "input_set_aside").len(), 1, "told once");
    assert_eq!(world.runs_of("ada"), 0);
    world.silence("bob");
    let code = world.asked_about("bob");
    world.says(&["approve", &code]).taken();
    world.until_journal("bob", "recovered");

    let id = input(world).expect("it is kept");
    world.says(&["inbox", "list"]).mentions(&id);
    assert!(world.pending_code("ada").is_some(), "the request is still there");
    world.says(&["inbox", "retry", &id]).taken();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
    world.says(&["inbox", "retry", &id]).ended_with(4, "no input");
}

#[test]
fn an_input_that_kills_three_times_is_set_aside_and_blocks_nothing() {
    in_turn(|| {
        let mut world = poisoned();
        world.start_daemon();
        is_set_aside_and_can_be_retried(&world);
    });
}

#[test]
fn a_death_while_it_is_set_aside_does_not_hide_the_alarm() {
    in_turn(|| {
        let mut world = poisoned();
        let attempts = |world: &World| {
            let id = input(world).expect("it is there");
            world.read(async |read| inbox::result(read, &id).await).flatten().map(|row| row.attempts)
        };
        assert_eq!(attempts(&world), Some(2));
        // The start's commits before it, and then the one that sets it aside.
        for commit in 1.. {
            live_and_die(&mut world, &format!("store.after_commit:{commit}"));
            if attempts(&world) == Some(3) {
                break;
            }
        }
        world.start_daemon();
        is_set_aside_and_can_be_retried(&world);
    });
}

/// Changes the one execution's body, behind everybody's back.
fn rewrite_execution(world: &World, body: &str) -> String {
    let db = rusqlite::Connection::open(world.store()).expect("the store opens");
    let old = db.query_row("SELECT body FROM executions", [], |row| row.get(0)).expect("an execution");
    db.execute("UPDATE executions SET body = $1", [body]).expect("damaged");
    db.close().expect("the store closes");
    old
}

#[test]
fn an_input_that_cannot_be_worked_off_at_a_start_is_set_aside_for_its_own_reason() {
    in_turn(|| {
        let mut world = World::with_agents(&["ada"]).but(calm);
        world.restart_command(Restart::Waits);
        world.save();
        start_with(&mut world, "inbox.after_append:2");
        world.until_all_healthy();
        world.silence("ada");
        let code = world.asked_about("ada");
        world.says(&["approve", &code]).taken();
        world.until("the command runs", |world| (world.runs_of("ada") == 1).then_some(()));
        let mut deny = Command::new(GATE);
        deny.args(["deny", &code]).arg("--config").arg(world.config());
        let mut deny = deny.env_clear().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        world.until_daemon_died();
        let body = rewrite_execution(&world, "{\"damaged\": true}");

        world.spawn_daemon(&[], None);
        world.until_journal("", "input_set_aside");
        assert!(!world.was_told("the daemon died three times"), "it did not");
        // Set aside; or it had gone before the daemon was back.
        assert!(matches!(deny.wait().expect("it ends").code(), Some(6 | 7)));
        world.stop();
        rewrite_execution(&world, &body);
        world.start_daemon();
        world.let_commands_go_on();
        world.until_journal("ada", "recovered");
        assert_eq!(world.runs_of("ada"), 1);
    });
}

#[test]
fn an_execution_whose_routine_broke_off_is_told_of_and_goes_on() {
    in_turn(|| {
        let mut world = World::with_agents(&["ada"]).but(calm);
        world.save();
        start_with(&mut world, "revive.before_settle!");
        world.until_all_healthy();
        world.silence("ada");
        let code = world.asked_about("ada");
        world.says(&["approve", &code]).taken();
        world.until_told("its routine broke off inside");
        world.until_journal("ada", "recovered");
        assert_eq!(world.runs_of("ada"), 1);
    });
}
