//! What happens while people think: agents come back, requests expire, the gate is killed.

use std::net::TcpListener;
use std::time::UNIX_EPOCH;

use serde_json::json;

use crate::world::World;

#[test]
fn an_agent_recovers_while_people_are_asked() {
    let world = World::with_agents(&["ada"]).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.revive("ada");
    world.until_journal("ada", "recovered");
    world.until_told("the request is withdrawn: it is healthy again");
    world.says(&["approve", &code]).refused("already withdrawn");
    assert_eq!(world.runs_of("ada"), 0);
}

#[test]
fn an_agent_that_recovers_between_the_approval_and_the_run_is_left_alone() {
    let slow_to_close = |world: &mut World| world.gate["timing"]["healthy_for"] = json!("3s");
    let world = World::with_agents(&["ada"]).but(slow_to_close).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.revive("ada");
    world.until("ada is seen healthy", |world| {
        (world.says(&["explain", "ada", "--json"]).json()?["health"] == "healthy").then_some(())
    });
    world.says(&["approve", &code]).taken();
    let called_off = world.until_journal("ada", "called_off");
    assert_eq!(called_off.body["because"], "recovered");
    world.until_told("not run because it is healthy again");
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 0);
}

#[test]
fn an_agent_that_flaps_is_not_taken_for_dead_by_one_bad_probe() {
    let world = World::with_agents(&["ada"]).but(|world| world.policy["dead_timeout_seconds"] = json!(1)).start();
    for _ in 0..3 {
        world.silence("ada");
        world.until_probed("ada", 2);
        world.revive("ada");
        world.until_probed("ada", 2);
    }
    assert!(world.journaled("ada", "opened").is_empty());
}

#[test]
fn a_request_that_nobody_answers_expires_and_is_asked_anew_under_a_new_key() {
    let impatient = |world: &mut World| world.gate["timing"]["approval_ttl"] = json!("400ms");
    let world = World::with_agents(&["ada"]).but(impatient).start();
    world.silence("ada");
    let first = world.until_journal("ada", "asked");
    let expired = world.until_journal("ada", "expired");
    world.until_told("nobody answered in time");
    let code = first.body["code"].as_str().expect("a code");
    let second = world.until_journaled("ada", "asked", 2);
    assert_ne!(first.body["key"], second.body["key"]);
    assert_ne!(first.body["code"], second.body["code"]);
    assert!(second.at_ms >= expired.at_ms + 300, "not before reask_after");
    world.says(&["approve", code]).refused("expired");
    assert_eq!(world.runs_of("ada"), 0, "no timeout ever runs anything");
}

#[test]
fn a_vote_that_entered_the_inbox_counts_although_the_gate_was_killed_and_the_time_ran_out() {
    if !can_be_killed_anywhere() {
        return;
    }
    let mut world = World::with_agents(&["ada"]).but(|world| {
        world.gate["timing"]["approval_ttl"] = json!("1500ms");
        world.gate["timing"]["reconnect"] = json!("100ms");
    });
    world.save();
    world.spawn_daemon(&[], Some("inbox.before_handled"));
    world.until_daemon_answers();
    world.until_all_healthy();
    world.silence("ada");
    let code = world.asked_about("ada");
    let expires_ms =
        world.until("the request's clock runs", |world| world.pending("ada")?["state"]["expires"].as_i64());
    // It is in the inbox when the gate dies; the voter is told that nobody knows.
    world.says(&["approve", &code]).ended_with(6, "unknown");
    world.until_daemon_died();
    world.until("the request's time has run out", |_| (now_ms() > expires_ms).then_some(()));
    world.start_daemon();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
    assert!(world.journaled("ada", "expired").is_empty(), "it did not expire: the answer came in time");
}

#[test]
fn a_vote_in_the_inbox_survives_kill_9() {
    if !can_be_killed_anywhere() {
        return;
    }
    let mut world = World::with_agents(&["ada"]).but(|world| world.gate["timing"]["reconnect"] = json!("100ms"));
    world.save();
    world.spawn_daemon(&[], Some("inbox.after_append"));
    world.until_daemon_answers();
    world.until_all_healthy();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).ended_with(6, "unknown");
    world.until_daemon_died();
    assert_eq!(world.runs_of("ada"), 0);
    world.start_daemon();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn whoever_waits_for_an_answer_gets_it_although_the_gate_died_meanwhile() {
    if !can_be_killed_anywhere() {
        return;
    }
    let mut world = World::with_agents(&["ada"]).but(|world| world.gate["timing"]["reconnect"] = json!("20s"));
    world.save();
    world.spawn_daemon(&[], Some("inbox.before_handled"));
    world.until_daemon_answers();
    world.until_all_healthy();
    world.silence("ada");
    let code = world.asked_about("ada");
    let voter = world.command_line();
    let waiting = std::thread::spawn(move || voter.says(&["approve", &code]));
    world.until_daemon_died();
    world.start_daemon();
    let heard = waiting.join().expect("an answer");
    assert!(heard.taken().contains("your approval is taken"), "{heard:?}");
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn an_agent_that_hangs_is_as_dead_as_one_that_is_gone() {
    let hole = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let world = World::with_agents(&["ada"]).but(|world| {
        let url = format!("http://{}/", hole.local_addr().expect("its address"));
        world.registry["fleet"]["hole"] = json!({"host": "127.0.0.1", "health_endpoints": {"gateway": url}});
    });
    let world = world.start();
    world.asked_about("hole");
    assert!(world.journaled("ada", "opened").is_empty(), "its neighbours are well");
}

/// Says aloud, and returns false, where the program has no fail points.
pub fn can_be_killed_anywhere() -> bool {
    if !cfg!(feature = "failpoints") {
        eprintln!("NOT TESTED: kills at fail points; run the tests with --features failpoints");
    }
    cfg!(feature = "failpoints")
}

fn now_ms() -> i64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
