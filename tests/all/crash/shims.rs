//! The shim's death, the daemon's during a command, both, and the program replaced under the daemon.

use std::fs;
use std::path::Path;

use lazarus_gate::store::executions::ExecutionPhase;
use rustix::process::Signal;
use serde_json::json;

use super::in_turn;
use super::play::{calm, kill_shims};
use crate::world::{Daemon, GATE, Restart, World};

/// ada's restart was approved, and its command runs until it may go on.
fn command_runs() -> World {
    let world = World::with_agents(&["ada"]).but(|world| {
        calm(world);
        world.restart_command(Restart::Waits);
        // Long enough for what a story does meanwhile.
        world.gate["timing"]["verify_for"] = json!("4s");
    });
    let world = world.start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until("the command runs", |world| (world.runs_of("ada") == 1).then_some(()));
    world
}

/// Nothing starts by itself: not in some ten ticks.
fn nothing_starts(world: &World) {
    world.until_probed("ada", 10);
    assert_eq!(world.runs_of("ada"), 1);
    assert_eq!(world.journaled("ada", "started").len(), 1);
}

fn comes_back_by_the_command_that_goes_on(world: &World) {
    world.let_commands_go_on();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
    assert_eq!(world.journaled("ada", "asked").len(), 1);
}

#[test]
fn a_shim_that_is_killed_leaves_it_unknown_and_nothing_starts_by_itself() {
    in_turn(|| {
        let world = command_runs();
        assert_eq!(kill_shims(&world), 1);
        world.until_journal("ada", "unknown");
        world.until_told("Nothing else starts by itself.");
        nothing_starts(&world);
        comes_back_by_the_command_that_goes_on(&world);
    });
}

#[test]
fn a_command_outlives_the_daemon_and_its_outcome_is_settled_by_the_next() {
    in_turn(|| {
        let mut world = command_runs();
        for _ in 0..2 {
            world.kill9();
            world.start_daemon();
            nothing_starts(&world);
            let live = world.live_executions();
            assert!(matches!(&live[..], [one] if one.state == ExecutionPhase::Running), "{live:?}");
        }
        comes_back_by_the_command_that_goes_on(&world);
        assert_eq!(world.journaled("ada", "done").len(), 1);
        assert!(world.journaled("ada", "unknown").is_empty());
    });
}

#[test]
fn a_command_that_ends_while_nobody_watches_is_settled_at_the_next_start() {
    in_turn(|| {
        let mut world = command_runs();
        world.kill9();
        world.let_commands_go_on();
        world.until("its shim has ended", |world| world.shims().is_empty().then_some(()));
        world.start_daemon();
        world.until_journal("ada", "recovered");
        assert_eq!((world.runs_of("ada"), world.journaled("ada", "done").len()), (1, 1));
    });
}

#[test]
fn daemon_and_shim_killed_leave_it_unknown() {
    in_turn(|| {
        let mut world = command_runs();
        world.daemon().signal(Signal::KILL);
        assert_eq!(kill_shims(&world), 1);
        world.until_daemon_died();
        world.start_daemon();
        world.until_journal("ada", "unknown");
        nothing_starts(&world);
        comes_back_by_the_command_that_goes_on(&world);
    });
}

#[test]
fn after_unknown_people_are_asked_and_their_answer_runs_once() {
    in_turn(|| {
        let mut world = World::with_agents(&["ada"]).but(|world| {
            calm(world);
            world.policy["missions"] = json!({"ada-mission": {"mode": "yes"}});
            world.gate["timing"]["verify_for"] = json!("300ms");
        });
        world.save();
        let env = [("LAZARUS_FAIL_POINT", "shim.after_mark")];
        world.daemon = Some(Daemon::start(Path::new(GATE), &world.config(), &[], &env, &world.told, &world.log));
        world.until_all_healthy();
        world.silence("ada");
        world.until_journal("ada", "not_recovered");
        let code = world.asked_about("ada");
        assert_eq!((world.runs_of("ada"), world.journaled("ada", "unknown").len()), (0, 1));
        world.until_told("may still run");
        // The policy says yes, and yet nothing starts by itself.
        world.until_probed("ada", 10);
        assert_eq!(world.journaled("ada", "started").len(), 1);
        world.stop();
        world.start_daemon();
        world.says(&["approve", &code]).taken();
        world.until_journal("ada", "recovered");
        assert_eq!(world.runs_of("ada"), 1);
    });
}

#[test]
fn the_shim_starts_although_the_program_was_replaced() {
    in_turn(|| {
        let mut world = World::with_agents(&["ada"]).but(calm);
        world.save();
        let program = world.path("gate");
        fs::copy(GATE, &program).expect("a copy of the program");
        world.daemon = Some(Daemon::start(&program, &world.config(), &[], &[], &world.told, &world.log));
        world.until_all_healthy();
        for (with, times) in [("garbage", 1), ("nothing", 2)] {
            world.write("gate", "#!/bin/false\n");
            if with == "nothing" {
                fs::remove_file(&program).expect("it can be removed");
            }
            world.silence("ada");
            let code = world.asked_about("ada");
            world.says(&["approve", &code]).taken();
            world.until_journaled("ada", "recovered", times);
            assert_eq!(world.runs_of("ada"), times, "{with}");
        }
    });
}
