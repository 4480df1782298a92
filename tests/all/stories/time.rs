//! Long times and clocks that jump, told on a clock that the story moves.

use std::time::Duration;

use serde_json::json;

use crate::world::{Inside, Restart, World};

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One hour, in seconds.
const HOUR: i64 = 3600;

/// A gate that has seen ada live, and then die.
fn ada_is_dead() -> Inside {
    let inside = Inside::of(World::with_agents(&["ada"]));
    inside.pass(minutes(1));
    inside.world.silence("ada");
    inside.pass(minutes(2));
    assert_eq!(inside.count("ada", "asked"), 1);
    inside
}

#[test]
fn an_agent_is_dead_after_its_timeout_and_two_bad_probes() {
    let patient = |world: &mut World| world.policy["dead_timeout_seconds"] = json!(600);
    let inside = Inside::of(World::with_agents(&["ada"]).but(patient));
    inside.pass(minutes(1));
    inside.world.silence("ada");
    inside.pass(minutes(9));
    assert_eq!(inside.count("ada", "opened"), 0);
    inside.pass(minutes(2));
    assert_eq!(inside.count("ada", "asked"), 1);
}

#[test]
fn a_request_lives_for_an_hour_and_people_are_asked_anew_ever_more_rarely() {
    let inside = ada_is_dead();
    for (asked, silence) in [(1, 15), (2, 30), (3, 60), (4, 120)] {
        let lived = inside.pass_until("ada", "expired", asked);
        assert!((59..=61).contains(&lived), "request {asked} lived for {lived} minutes");
        let silent = inside.pass_until("ada", "asked", asked + 1);
        assert!((silence..=silence + 1).contains(&silent), "{silent} minutes of silence after request {asked}");
    }
}

#[test]
fn a_vote_in_the_inbox_at_the_moment_of_expiry_counts() {
    let inside = ada_is_dead();
    let code = inside.code("ada");
    inside.pass(minutes(59));
    assert!(inside.is_pending("ada"));
    let in_time = inside.drops_into_the_inbox(&format!("approve {code}"));
    // The gate was busy: it comes to look at the request before it comes to the vote.
    inside.pass_unnoticed(seconds(90));
    inside.plan();
    assert!(inside.is_pending("ada"), "it does not expire over an answer that came in time");
    inside.work_off_the_inbox();
    assert!(inside.answer_to(&in_time).contains("your approval is taken"), "{}", inside.answer_to(&in_time));
    assert_eq!((inside.count("ada", "approved"), inside.count("ada", "expired")), (1, 0));
}

#[test]
fn a_vote_that_enters_the_inbox_after_the_end_is_too_late() {
    let inside = ada_is_dead();
    let code = inside.code("ada");
    inside.pass(minutes(59));
    inside.pass_unnoticed(seconds(90));
    let late = inside.drops_into_the_inbox(&format!("approve {code}"));
    inside.work_off_the_inbox();
    assert!(inside.answer_to(&late).contains("too late, it expired at"), "{}", inside.answer_to(&late));
    inside.plan();
    assert_eq!((inside.count("ada", "approved"), inside.count("ada", "expired")), (0, 1));
}

#[test]
fn a_snooze_is_quiet_for_its_time_and_the_request_outlives_it() {
    let inside = ada_is_dead();
    let code = inside.code("ada");
    inside.says(&format!("snooze {code} 5h"));
    inside.pass(minutes(4 * 60 + 58));
    assert_eq!((inside.count("ada", "asked"), inside.count("ada", "shown_again")), (1, 0));
    inside.pass(minutes(4));
    assert_eq!(inside.count("ada", "shown_again"), 1);
    inside.pass(minutes(55));
    assert!(inside.says(&format!("approve {code}")).contains("your approval is taken"));
}

#[test]
fn a_clock_that_is_set_an_hour_ahead_costs_no_request_its_time() {
    let inside = ada_is_dead();
    let code = inside.code("ada");
    inside.set_clock_by(HOUR);
    // Whatever task comes first after the jump must not take it for an hour that passed.
    inside.plan();
    assert!(inside.is_pending("ada"));
    inside.pass(minutes(55));
    assert!(inside.is_pending("ada"), "it had an hour to live, and 55 minutes of it passed");
    assert_eq!(inside.count("", "clock_jumped"), 1);
    assert!(inside.says(&format!("approve {code}")).contains("your approval is taken"));
}

#[test]
fn a_vote_right_after_the_clock_was_set_ahead_is_not_too_late() {
    let inside = ada_is_dead();
    let code = inside.code("ada");
    inside.set_clock_by(2 * HOUR);
    let answer = inside.says(&format!("approve {code}"));
    assert!(answer.contains("your approval is taken"), "{answer}");
}

#[test]
fn a_clock_that_is_set_an_hour_back_lets_no_request_live_longer_and_no_key_return() {
    let inside = ada_is_dead();
    let first = inside.newest_request("ada");
    inside.set_clock_by(-HOUR);
    inside.pass(minutes(58));
    assert!(inside.is_pending("ada"));
    inside.pass(minutes(4));
    assert_eq!(inside.count("ada", "expired"), 1, "an hour passed, whatever the clock says");
    inside.pass(minutes(16));
    assert_eq!(inside.count("ada", "asked"), 2);
    let second = |key: &serde_json::Value| key.as_str().and_then(|key| key.rsplit(':').next()?.parse::<i64>().ok());
    let (old, new) = (second(&first.body["key"]), second(&inside.newest_request("ada").body["key"]));
    assert!(old < new, "{old:?} comes before {new:?}");
}

#[test]
fn nobody_dies_of_a_clock_that_jumps() {
    for jump in [HOUR, -HOUR] {
        let patient = |world: &mut World| world.policy["dead_timeout_seconds"] = json!(600);
        let inside = Inside::of(World::with_agents(&["ada"]).but(patient));
        inside.pass(minutes(5));
        inside.world.silence("ada");
        inside.pass(seconds(90));
        inside.set_clock_by(jump);
        inside.pass(minutes(7));
        assert_eq!(inside.count("ada", "opened"), 0, "jump of {jump} s: not silent for ten minutes yet");
        inside.pass(minutes(3));
        assert_eq!(inside.count("ada", "opened"), 1, "jump of {jump} s");
    }
}

#[test]
fn the_first_sweep_after_a_long_sleep_never_acts() {
    let inside = Inside::of(World::with_agents(&["ada"]));
    inside.pass(minutes(5));
    inside.world.silence("ada");
    inside.pass_unnoticed(minutes(8 * 60));
    inside.sweep();
    assert_eq!(inside.count("ada", "opened"), 0, "one look after a night says nothing yet");
    inside.pass(minutes(1));
    assert_eq!(inside.count("ada", "opened"), 1);
}

#[test]
fn a_verification_goes_on_in_a_clock_that_is_set_back() {
    let world = World::with_agents(&["ada"]);
    world.restart_command(Restart::ChangesNothing);
    let inside = Inside::with_times(world, json!({"verify_gap": "100ms", "verify_for": "30m"}));
    inside.pass(minutes(1));
    inside.world.silence("ada");
    inside.pass(minutes(2));
    inside.says(&format!("approve {}", inside.code("ada")));
    inside.carries_out();
    inside.world.until_journal("ada", "done");
    inside.world.until_probed("ada", 3);
    inside.set_clock_by(-HOUR);
    inside.plan();
    inside.world.until_probed("ada", 3);
    inside.world.revive("ada");
    // Far less than an hour passes meanwhile.
    inside.world.until("it is verified", |_| {
        inside.pass_unnoticed(Duration::from_millis(50));
        (inside.count("ada", "verified") == 1).then_some(())
    });
}

#[test]
fn a_jump_of_the_clock_while_the_store_took_nothing_is_made_up_for() {
    let inside = Inside::of(World::with_agents(&["ada"]));
    inside.pass(minutes(1));
    inside.world.silence("ada");
    inside.pass(minutes(2));
    assert!(inside.is_pending("ada"));
    // Each statement goes through, and then the commit fails.
    inside.world.change_store(
        "CREATE TABLE full (key TEXT REFERENCES meta (key) DEFERRABLE INITIALLY DEFERRED) STRICT;
         CREATE TRIGGER filled AFTER UPDATE ON requests BEGIN INSERT INTO full VALUES ('nothing'); END",
    );
    inside.set_clock_by(2 * HOUR);
    inside.plans_in_vain();
    inside.world.change_store("DROP TRIGGER filled; DROP TABLE full");
    inside.plan();
    assert!(inside.is_pending("ada"), "two hours of a clock are no two hours of waiting");
    assert_eq!(inside.count("ada", "expired"), 0);
}
