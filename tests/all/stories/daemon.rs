//! The daemon's own life: two of them, old and new stores, stopping, and the command line without it.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::ConnectOptions as _;

use crate::world::{Restart, World};

#[test]
fn a_second_daemon_is_refused_and_names_the_first() {
    let mut world = World::with_agents(&["ada"]).start();
    let pid = world.daemon().pid();
    world.says(&["run"]).ended_with(1, &format!("another lazarus-gate holds the store (pid {pid})"));
    world.says(&["status"]).taken();
}

#[test]
fn a_store_of_a_newer_release_is_refused_and_left_as_it_is() {
    let mut world = World::with_agents(&["ada"]).start();
    world.stop();
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                  VALUES (9999, 'from the future', 1, x'00', 0)";
    change_store(&world, insert);
    world.says(&["run"]).ended_with(1, "newer");
    world.says(&["status"]).mentions("newer");
    change_store(&world, "DELETE FROM _sqlx_migrations WHERE version = 9999");
    world.start_daemon();
}

#[test]
fn a_restored_backup_asks_anew_and_knows_no_old_approval() {
    let mut world = World::with_agents(&["ada"]).start();
    world.silence("ada");
    let old = world.asked_about("ada");
    let backup = world.path("backup.db");
    world.says(&["backup", backup.to_str().expect("a path")]).taken();
    // After the backup, it is approved, and ada lives again, for a while.
    world.says(&["approve", &old]).taken();
    world.until_journal("ada", "recovered");
    world.stop();
    world.silence("ada");
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(world.path(&format!("store/gate.db{ending}")));
    }
    fs::copy(&backup, world.store()).expect("the backup is put back");
    fs::rename(world.path("runs.log"), world.path("runs-before.log")).expect("what ran before is another story");

    world.start_daemon();
    world.until_told("the store is a restored backup: 1 request withdrawn");
    let new = world.asked_about("ada");
    assert_ne!(old, new);
    let keys: Vec<_> = world.journaled("ada", "asked").into_iter().map(|asked| asked.body["key"].clone()).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    world.says(&["approve", &old]).refused("");
    assert_eq!(world.runs_of("ada"), 0);
    world.says(&["approve", &new]).taken();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn a_command_runs_on_while_the_gate_is_restarted_and_is_settled_afterwards() {
    let mut world = World::with_agents(&["ada"]).start();
    world.restart_command(Restart::Waits);
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until("the command runs", |world| (world.runs_of("ada") == 1).then_some(()));
    let begun = Instant::now();
    assert!(world.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "stopping took {:?}", begun.elapsed());
    assert_eq!(world.shims().len(), 1, "the command goes on under its shim");
    world.start_daemon();
    world.until_probed("ada", 3);
    assert!(world.journaled("ada", "done").is_empty());
    world.let_commands_go_on();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1, "it was not started again");
}

#[test]
fn a_command_that_ends_while_no_gate_runs_is_settled_at_the_next_start() {
    let mut world = World::with_agents(&["ada"]).start();
    world.restart_command(Restart::Waits);
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until("the command runs", |world| (world.runs_of("ada") == 1).then_some(()));
    world.kill9();
    world.let_commands_go_on();
    world.until("its shim has ended", |world| world.shims().is_empty().then_some(()));
    world.start_daemon();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn without_a_daemon_the_command_line_only_reads_but_for_hold_and_revoke() {
    let mut world = World::with_agents(&["ada"]).but(|world| world.gate["timing"]["reconnect"] = json!("0ms")).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.stop();
    world.says(&["pending"]).mentions(&code);
    world.says(&["show", &code]).mentions("ada");
    world.says(&["status"]).mentions("what the store last knew");
    world.says(&["history", "ada"]).mentions("people are asked");
    world.says(&["approve", &code]).ended_with(5, "no daemon");
    world.says(&["hold", "until", "monday"]).taken();
    world.start_daemon();
    world.until_told("executions are on hold");
    world.says(&["status"]).mentions("until monday");
    world.says(&["approve", &code]).taken();
    world.until_told("not run because executions are on hold");
    assert_eq!(world.runs_of("ada"), 0);
}

/// Runs a statement on the store, as somebody with a database tool would.
fn change_store(world: &World, statement: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.store());
        let mut connection = options.connect().await.expect("the store opens");
        sqlx::query(statement).execute(&mut connection).await.expect("the statement runs");
        sqlx::Connection::close(connection).await.expect("the store closes");
    });
}
