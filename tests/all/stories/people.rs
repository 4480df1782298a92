//! Who counts, and who does not.

use std::process::Stdio;

use serde_json::json;

use super::waiting::can_be_killed_anywhere;
use crate::world::{World, can_be_others};

const KIM: u32 = 61_001;
const LEE: u32 = 61_002;
const STRANGER: u32 = 61_003;

#[test]
fn a_stranger_is_refused_and_told_why() {
    if !can_be_others() {
        return;
    }
    let world = World::with_agents(&["ada"]).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    for said in [vec!["approve", &code], vec!["deny", &code], vec!["ask", "ada"], vec!["hold"], vec!["revoke", "me"]] {
        let heard = world.user_says(STRANGER, &said);
        heard.refused("you are not in `people` (local user 61003)");
    }
    assert_eq!(world.journaled("", "refused").len(), 5, "each is on record");
    assert_eq!(world.pending_code("ada"), Some(code));
    assert_eq!(world.runs_of("ada"), 0);
}

#[test]
fn a_person_decides_for_their_own_missions_only() {
    let mut world = World::with_agents(&["ada", "bob"]);
    if !world.hire("kim", KIM, &["bob-mission"]) {
        return;
    }
    let world = world.start();
    world.silence("ada");
    world.silence("bob");
    let (ada, bob) = (world.asked_about("ada"), world.asked_about("bob"));
    world.user_says(KIM, &["approve", &ada]).refused("kim does not approve the mission 'ada-mission'");
    world.user_says(KIM, &["approve", &bob]).taken();
    world.until_journal("bob", "recovered");
    assert_eq!((world.runs_of("ada"), world.runs_of("bob")), (0, 1));
}

#[test]
fn of_two_people_at_once_one_wins_and_the_other_is_told_who() {
    let mut world = World::with_agents(&["ada"]);
    if !(world.hire("kim", KIM, &["*"]) && world.hire("lee", LEE, &["ada-mission"])) {
        return;
    }
    let world = world.start();
    world.silence("ada");
    let code = world.asked_about("ada");
    let race = [(KIM, "approve"), (LEE, "deny")].map(|(uid, verb)| {
        let mut command = world.as_user(uid, &[verb, &code]);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a voter")
    });
    let [kim, lee] = race.map(|voter| voter.wait_with_output().expect("an answer"));
    let told = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    match (kim.status.code(), lee.status.code()) {
        (Some(0), Some(3)) => assert!(told(&lee).contains("approved by kim"), "{}", told(&lee)),
        (Some(3), Some(0)) => assert!(told(&kim).contains("denied by lee"), "{}", told(&kim)),
        // kim was first, and lee's denial came before the command began: that stops it.
        (Some(0), Some(0)) => {
            world.until_journal("ada", "called_off");
            world.until_told("somebody denied it before it began");
        }
        both => panic!("{both:?}: {} {}", told(&kim), told(&lee)),
    }
}

#[test]
fn of_two_equal_votes_the_second_is_told_who_was_first() {
    let world = World::with_agents(&["ada"]).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.says(&["approve", &code]).refused("already approved by me (command line)");
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn whoever_is_taken_out_of_a_half_broken_file_is_out_at_once() {
    let mut world = World::with_agents(&["ada"]);
    world.gate["people"]["kim"] = json!({"local_user": KIM, "approves": "*"});
    let mut world = world.start();
    world.silence("ada");
    let code = world.asked_about("ada");
    // Somebody takes `me` out, and breaks the file elsewhere.
    world.gate["people"].as_object_mut().expect("a mapping").remove("me");
    world.gate["schedule"]["interval"] = json!("soon");
    world.save();
    world.until_journal("", "reload_failed");
    world.until_told("me is out of `people`");
    world.says(&["approve", &code]).refused("you are not in `people`");
    assert_eq!(world.pending_code("ada").as_ref(), Some(&code));
    if can_be_others() {
        world.user_says(KIM, &["approve", &code]).taken();
        world.until_journal("ada", "recovered");
    }
}

#[test]
fn whoever_left_while_the_store_took_nothing_is_told_of_when_it_does_again() {
    let mut world = World::with_agents(&["ada"]);
    world.gate["people"]["kim"] = json!({"local_user": KIM, "approves": "*"});
    let mut world = world.start();
    world.change_store(
        "CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
    );
    world.gate["people"].as_object_mut().expect("a mapping").remove("kim");
    world.save();
    let tried = "a change of the files could not be recorded";
    world.until("the change was taken in and not recorded", |world| world.log.text().contains(tried).then_some(()));
    world.change_store("DROP TRIGGER full");
    world.until_told("kim is out of `people`");
    world.until_journal("", "new_config");
}

#[test]
fn whoever_is_revoked_decides_nothing_any_more_and_what_they_approved_does_not_run() {
    let mut world = World::with_agents(&["ada"]);
    let others = world.hire("kim", KIM, &["*"]);
    let world = world.start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["hold"]).taken();
    let by = if others { world.user_says(KIM, &["approve", &code]) } else { world.says(&["approve", &code]) };
    by.taken();
    world.says(&["revoke", if others { "kim" } else { "me" }]).taken();
    world.until_told("was revoked by me");
    if others {
        world.says(&["release"]).taken();
        let again = world.asked_about("ada");
        world.user_says(KIM, &["approve", &again]).refused("you are not in `people`");
        assert_eq!(world.runs_of("ada"), 0);
        world.says(&["approve", &again]).taken();
        world.until_journal("ada", "recovered");
    }
}

#[test]
fn a_revocation_without_a_daemon_stops_what_waits_in_the_inbox() {
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
    world.says(&["revoke", "me"]).taken();
    world.start_daemon();
    assert_eq!(world.until_journal("ada", "called_off").body["because"], "approver_revoked");
    assert_eq!(world.runs_of("ada"), 0);
}
