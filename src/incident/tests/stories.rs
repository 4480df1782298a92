use super::*;
use crate::approval::{Action, RequestState};

const MINUTE: Duration = Duration::from_secs(60);

fn minutes(n: u32) -> Duration {
    MINUTE * n
}

#[test]
fn approve_restart_verify_recover() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    let (case, events) = world.vote(case, "kim", Ballot::Approve);
    assert_eq!(events, ["approved", "ready"]);
    let (case, events) = world.begin(case);
    assert_eq!(events, ["started"]);
    world.pass(Duration::from_secs(1));
    let (case, events) = world.returned(case, Conclusion::Done);
    assert_eq!(events, ["done"]);
    world.pass(Duration::from_secs(1));
    world.healthy();
    let (case, events) = world.looked(case, Health::Healthy);
    assert!(events.is_empty(), "one healthy probe verifies nothing");
    world.pass(Duration::from_secs(5));
    let (case, events) = world.looked(case, Health::Healthy);
    assert_eq!(events, ["verified"]);
    world.pass(MINUTE);
    let (case, events) = world.tick(case);
    assert_eq!(events, ["recovered"]);
    assert!(!case.is_open());
}

#[test]
fn silence_after_a_deny_until_somebody_asks() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    let (mut case, events) = world.vote(case, "kim", Ballot::Deny { reason: None });
    assert_eq!(events, ["denied"]);
    for _ in 0..3 {
        world.pass(minutes(60 * 24));
        let events;
        (case, events) = world.tick(case);
        assert!(events.is_empty());
    }
    let step = ask(case, &PersonId::new("kim").unwrap(), Channel::Cli, &world.facts()).unwrap();
    assert_eq!(step.events.iter().map(Event::word).collect::<Vec<_>>(), ["asked_by_hand", "asked"]);
    let (case, events) = world.tick(step.case);
    assert!(events.is_empty());
    assert!(case.pending().is_some());
}

#[test]
fn asked_for_while_nothing_answers_people_are_asked_once_it_is_known_to_be_dead() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    let (case, _) = world.vote(case, "kim", Ballot::Deny { reason: None });
    let dead = std::mem::replace(&mut world.agent.health, Health::Unknown("we are out of descriptors".into()));
    let step = ask(case, &PersonId::new("kim").unwrap(), Channel::Cli, &world.facts()).unwrap();
    assert_eq!(step.events.iter().map(Event::word).collect::<Vec<_>>(), ["asked_by_hand", "waits"]);
    assert!(step.case.pending().is_none());
    world.agent.health = dead;
    world.pass(MINUTE);
    let (case, events) = world.tick(step.case);
    assert_eq!(events, ["asked"]);
    assert!(case.pending().is_some());
}

#[test]
fn expired_is_asked_anew_later_and_later_and_runs_nothing() {
    let mut world = World::new();
    let (mut case, _) = world.dead_with_request();
    for pause in [15, 30, 60, 120] {
        let key = case.pending().unwrap().key.clone();
        world.pass(minutes(60));
        let (waiting, events) = world.tick(case);
        assert_eq!(events, ["expired", "waits"]);
        world.pass(minutes(pause) - Duration::from_millis(1));
        let (waiting, events) = world.tick(waiting);
        assert!(events.is_empty());
        world.pass(Duration::from_millis(1));
        let (asked, events) = world.tick(waiting);
        assert_eq!(events, ["asked"]);
        assert!(asked.execution.is_none());
        assert_ne!(asked.pending().unwrap().key, key);
        case = delivered(asked, world.now, world.timing.approval_ttl);
    }
}

#[test]
fn nothing_expires_before_anybody_could_read_it_or_while_inputs_wait() {
    let mut world = World::new();
    let case = tick(world.dead(), &world.facts()).case;
    world.pass(minutes(600));
    let (case, events) = world.tick(case);
    assert!(events.is_empty(), "the clock starts with the first delivery");
    let case = delivered(case, world.now, world.timing.approval_ttl);
    world.pass(minutes(60));
    world.expiry_waits = true;
    let (case, events) = world.tick(case);
    assert!(events.is_empty());
    let mut in_time = world.says("kim", Ballot::Approve);
    in_time.entered_at = world.now.minus(Duration::from_millis(1));
    assert!(vote(case.clone(), &in_time, &world.facts()).is_ok(), "judged by when it entered the inbox");
    assert_eq!(
        world.refused(&case, "kim", Ballot::Approve),
        Refusal::TooLate { expired_at: world.now },
        "at the very moment it is too late"
    );
}

#[test]
fn who_does_not_approve_that_mission_is_refused() {
    let world = World::new();
    let (case, _) = world.dead_with_request();
    for who in ["lee", "mallory"] {
        for ballot in [Ballot::Approve, Ballot::Deny { reason: None }, Ballot::Snooze(MINUTE)] {
            assert_eq!(
                world.refused(&case, who, ballot),
                Refusal::NotAllowed { person: PersonId::new(who).unwrap(), mission: mission("archive") }
            );
        }
    }
}

#[test]
fn two_at_once_the_second_learns_who_was_first() {
    let world = World::new();
    let (case, _) = world.dead_with_request();
    let (case, _) = world.vote(case, "kim", Ballot::Deny { reason: None });
    let Refusal::Closed { state: RequestState::Denied { by, .. } } = world.refused(&case, "kim", Ballot::Approve)
    else {
        panic!("closed by a deny");
    };
    assert_eq!(by.as_str(), "kim");
}

#[test]
fn a_later_deny_stops_what_has_not_begun() {
    let world = World::new();
    let (case, _) = world.dead_with_request();
    let (case, _) = world.vote(case, "kim", Ballot::Approve);
    let (case, events) = world.vote(case, "kim", Ballot::Deny { reason: None });
    assert_eq!(events, ["called_off", "denied"]);
    let (case, events) = world.tick(case);
    assert!(events.is_empty() && case.live().is_none());

    let (case, _) = world.dead_with_request();
    let (case, _) = world.vote(case, "kim", Ballot::Approve);
    let (case, _) = world.begin(case);
    assert!(matches!(world.refused(&case, "kim", Ballot::Deny { reason: None }), Refusal::Closed { .. }));
}

#[test]
fn everything_is_checked_again_before_it_runs() {
    type Change = fn(&mut World);
    let changes: [(Change, CalledOff); 8] = [
        (|w| w.healthy(), CalledOff::Recovered),
        (|w| w.agent.mode = Mode::No, CalledOff::PolicyChanged),
        (|w| w.agent.mission = mission("forge"), CalledOff::Moved),
        (|w| w.agent.host = Some("203.0.113.9".into()), CalledOff::Moved),
        (|w| w.people = People::default(), CalledOff::ApproverRevoked),
        (|w| w.agent.candidates[0].health = sick(), CalledOff::SubstituteUnfit),
        (|w| w.on_hold = true, CalledOff::OnHold),
        (|w| w.pass(minutes(5) + Duration::from_millis(1)), CalledOff::TooOld),
    ];
    for (change, expected) in changes {
        let mut world = World::new();
        let (case, _) = world.dead_with_request();
        let (case, _) = world.vote(case, "kim", Ballot::Substitute(agent("timmy")));
        change(&mut world);
        let (case, events) = world.begin(case);
        assert_eq!(events, ["called_off"], "{expected:?}");
        let state = case.execution.unwrap().state;
        assert!(matches!(&state, ExecutionState::CalledOff { because, .. } if *because == expected), "{state:?}");
        assert_eq!(case.request.unwrap().state.word(), "approved", "it stays approved, and was not run");
    }
}

#[test]
fn an_approval_does_not_outlive_the_key_that_gave_it() {
    let kim_with = |keys: &[&str]| {
        let speaks_as = keys.iter().map(|key| Speaker::Nostr((*key).to_owned())).collect();
        let kim = Person { id: PersonId::new("kim").unwrap(), speaks_as, approves: Approves::All };
        People::new([kim]).unwrap()
    };
    for (left, expected) in [(&["old", "new"][..], "started"), (&["new"][..], "called_off")] {
        let mut world = World::new();
        world.people = kim_with(&["old", "new"]);
        let (case, _) = world.dead_with_request();
        let vote = Vote { speaker: Some(Speaker::Nostr("old".into())), ..world.says("kim", Ballot::Approve) };
        let step = super::super::vote(case.clone(), &vote, &world.facts()).unwrap();
        let (case, _) = world.checked(&case, step);
        world.people = kim_with(left);
        let (case, events) = world.begin(case);
        assert_eq!(events, [expected], "kim still decides, with {left:?}");
        let called_off = matches!(case.execution.unwrap().state, ExecutionState::CalledOff { because, .. }
            if because == CalledOff::IdentityRevoked);
        assert_eq!(called_off, expected == "called_off");
    }
}

#[test]
fn called_off_is_asked_about_at_once_and_the_second_time_later() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    let (case, _) = world.vote(case, "kim", Ballot::Substitute(agent("timmy")));
    world.agent.candidates[0].free = false;
    world.pass(MINUTE);
    let (case, events) = world.tick(case);
    assert_eq!(events, ["called_off", "asked"]);
    world.agent.candidates[0].free = true;
    let (case, _) = world.vote(case, "kim", Ballot::Substitute(agent("timmy")));
    world.agent.candidates[0].free = false;
    world.pass(MINUTE);
    let (case, events) = world.tick(case);
    assert_eq!(events, ["called_off", "waits"]);
    world.pass(minutes(15));
    let (_, events) = world.tick(case);
    assert_eq!(events, ["asked"]);
}

#[test]
fn a_substitute_must_be_configured_healthy_and_free() {
    type Change = fn(&mut World);
    let changes: [(Change, &str, Unfit); 4] = [
        (|_| {}, "bezalel", Unfit::NotConfigured),
        (|w| w.agent.candidates[0].health = Health::Unknown("no answer".into()), "timmy", Unfit::NotHealthy),
        (|w| w.agent.candidates[0].free = false, "timmy", Unfit::NotFree),
        (|w| w.agent.can_substitute = false, "timmy", Unfit::NoDelivery),
    ];
    for (change, who, expected) in changes {
        let mut world = World::new();
        change(&mut world);
        let (case, _) = world.dead_with_request();
        let refusal = world.refused(&case, "kim", Ballot::Substitute(agent(who)));
        assert!(matches!(&refusal, Refusal::Unfit { why, .. } if *why == expected), "{refusal:?}");
        assert!(case.pending().is_some(), "it stays pending");
    }
}

#[test]
fn a_substitution_lasts_until_the_substitute_dies() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    let (case, _) = world.vote(case, "kim", Ballot::Substitute(agent("timmy")));
    let (case, _) = world.begin(case);
    let (case, _) = world.returned(case, Conclusion::Done);
    let (case, _) = world.looked(case, Health::Healthy);
    world.pass(Duration::from_secs(5));
    let (case, events) = world.looked(case, Health::Healthy);
    assert_eq!(events, ["verified"]);
    let (case, events) = world.tick(case);
    assert!(events.is_empty());
    assert_eq!(case.incident.disposition.word(), "substituted");
    world.agent.stand_in_lost = true;
    world.agent.candidates[0].health = sick();
    let (_, events) = world.tick(case);
    assert_eq!(events, ["stand_in_lost", "asked"]);
}

#[test]
fn recovers_while_pending() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    world.healthy();
    let (case, events) = world.tick(case);
    assert!(events.is_empty() && case.pending().is_some(), "not for long enough yet");
    world.pass(MINUTE);
    let (case, events) = world.tick(case);
    assert_eq!(events, ["withdrawn", "recovered"]);
    assert!(matches!(world.refused(&case, "kim", Ballot::Approve), Refusal::Closed { .. }));
}

#[test]
fn the_policy_is_edited_while_pending() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    world.agent.mode = Mode::No;
    let (case, events) = world.tick(case);
    assert_eq!(events, ["withdrawn", "suppressed"]);
    world.pass(MINUTE);
    let (case, events) = world.tick(case);
    assert!(events.is_empty(), "told once");
    world.agent.mode = Mode::Yes;
    let (_, events) = world.tick(case);
    assert_eq!(events, ["ready"]);
}

#[test]
fn yes_tries_three_times_with_growing_pauses_and_then_asks() {
    let mut world = World::new();
    world.agent.mode = Mode::Yes;
    let (mut case, events) = world.tick(world.dead());
    assert_eq!(events, ["ready"]);
    for pause in [1, 5] {
        let (running, _) = world.begin(case);
        let (failed, events) = world.returned(running, Conclusion::Failed("exit status 1".into()));
        assert_eq!(events, ["failed"]);
        let (waiting, events) = world.tick(failed);
        assert_eq!(events, ["waits"]);
        world.pass(minutes(pause));
        let (ready, events) = world.tick(waiting);
        assert_eq!(events, ["ready"]);
        case = ready;
    }
    let (running, _) = world.begin(case);
    let (failed, _) = world.returned(running, Conclusion::Failed("exit status 1".into()));
    let (case, events) = world.tick(failed);
    assert_eq!(events, ["asked"]);
    let (_, events) = world.tick(case);
    assert!(events.is_empty(), "and is not withdrawn because the policy says yes");
}

#[test]
fn after_unknown_nothing_starts_by_itself() {
    let mut world = World::new();
    world.agent.mode = Mode::Yes;
    let (case, _) = world.tick(world.dead());
    let (case, _) = world.begin(case);
    let (case, events) = world.returned(case, Conclusion::Unknown("it was killed by a signal".into()));
    assert_eq!(events, ["unknown"]);
    let (case, events) = world.tick(case);
    assert!(events.is_empty(), "probes look");
    world.pass(minutes(2));
    let (case, events) = world.looked(case, sick());
    assert_eq!(events, ["not_recovered"]);
    let (case, events) = world.tick(case);
    assert_eq!(events, ["asked"], "under yes, too");
    assert!(case.live().is_none());
}

#[test]
fn a_substitution_nobody_can_vouch_for_is_not_verified_by_a_healthy_substitute() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    let (case, _) = world.vote(case, "kim", Ballot::Substitute(agent("timmy")));
    let (case, _) = world.begin(case);
    let (case, _) = world.returned(case, Conclusion::Unknown("it timed out".into()));
    world.pass(minutes(1));
    let (_, events) = world.looked(case, Health::Healthy);
    assert_eq!(events, ["not_recovered"]);
}

#[test]
fn verified_and_sick_again_counts_as_an_attempt() {
    let mut world = World::new();
    world.agent.mode = Mode::Yes;
    let (case, _) = world.tick(world.dead());
    let (case, _) = world.begin(case);
    let (case, _) = world.returned(case, Conclusion::Done);
    let (case, _) = world.looked(case, Health::Healthy);
    world.pass(Duration::from_secs(5));
    let (case, _) = world.looked(case, Health::Healthy);
    world.sick();
    let (case, events) = world.tick(case);
    assert_eq!(events, ["relapsed", "waits"]);
    assert_eq!(case.incident.tally.attempts, 1);
}

#[test]
fn a_command_that_never_started_is_tried_again_three_times_in_all() {
    let world = World::new();
    let (case, _) = world.dead_with_request();
    let (mut case, _) = world.vote(case, "kim", Ballot::Approve);
    for attempt in 1..=STARTS_MAX {
        let (running, _) = world.begin(case);
        assert_eq!(running.execution.as_ref().unwrap().attempt, attempt);
        let (settled, events) = world.returned(running, Conclusion::NeverStarted);
        assert_eq!(events, [if attempt < STARTS_MAX { "never_started" } else { "failed" }]);
        case = settled;
    }
    assert_eq!(case.execution.unwrap().state.word(), "failed");
}

#[test]
fn on_hold_an_approval_stands_and_nothing_runs_until_asked_anew_after_the_release() {
    for observing in [false, true] {
        let mut world = World::new();
        (world.on_hold, world.observing) = (!observing, observing);
        let (case, _) = world.dead_with_request();
        let (case, events) = world.vote(case, "kim", Ballot::Approve);
        assert_eq!(events, ["approved", "not_run"]);
        world.pass(minutes(60));
        let (case, events) = world.tick(case);
        assert!(events.is_empty() && case.execution.is_none());
        assert_eq!(case.incident.disposition.word(), "held");
        (world.on_hold, world.observing) = (false, false);
        world.pass(MINUTE);
        let (_, events) = world.tick(case);
        assert_eq!(events, ["asked"]);
    }
}

#[test]
fn yes_on_hold_is_told_once_and_runs_after_the_release() {
    let mut world = World::new();
    world.agent.mode = Mode::Yes;
    world.on_hold = true;
    let (case, events) = world.tick(world.dead());
    assert_eq!(events, ["held"]);
    world.pass(MINUTE);
    let (case, events) = world.tick(case);
    assert!(events.is_empty());
    world.on_hold = false;
    let (_, events) = world.tick(case);
    assert_eq!(events, ["ready"]);
}

#[test]
fn remote_agents_prefer_a_substitute_and_without_any_way_people_are_told_once() {
    let mut world = World::new();
    world.agent.mode = Mode::Yes;
    (world.agent.local, world.agent.host) = (false, Some("203.0.113.20".into()));
    let (case, _) = world.tick(world.dead());
    assert_eq!(case.live().unwrap().action, Action::Substitute(agent("timmy")));

    world.agent.can_restart = false;
    world.agent.candidates.clear();
    let (case, events) = world.tick(world.dead());
    assert_eq!(events, ["unrecoverable"]);
    world.pass(MINUTE);
    let (case, events) = world.tick(case);
    assert!(events.is_empty());
    world.agent.can_restart = true;
    let (_, events) = world.tick(case);
    assert_eq!(events, ["ready"], "gave up ends when a way appears");
}

#[test]
fn a_remote_agent_without_a_template_cannot_be_approved() {
    let mut world = World::new();
    world.agent.can_restart = false;
    let (case, _) = world.dead_with_request();
    assert!(!case.pending().unwrap().offers.restart);
    assert_eq!(
        world.refused(&case, "kim", Ballot::Approve),
        Refusal::NotRestartable { substitutes: vec![agent("timmy")] }
    );
}

#[test]
fn a_dead_provider_alone_is_asked_about_instead_of_restarted() {
    let mut world = World::new();
    world.agent.mode = Mode::Yes;
    world.agent.health = Health::Unhealthy(vec![Reason::PrimaryDead]);
    let (case, events) = world.tick(world.dead());
    assert_eq!(events, ["asked"]);
    world.sick();
    let (_, events) = world.tick(case);
    assert_eq!(events, ["withdrawn", "ready"], "once the agent itself is down, yes is yes");
}

#[test]
fn a_snooze_keeps_the_request_answerable_and_shows_it_afresh() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    let (case, events) = world.vote(case, "kim", Ballot::Snooze(minutes(120)));
    assert_eq!(events, ["snoozed"]);
    world.pass(minutes(119));
    let (case, events) = world.tick(case);
    assert!(events.is_empty() && case.pending().is_some());
    assert_eq!(case.incident.disposition.word(), "snoozed");
    world.pass(MINUTE);
    let (case, events) = world.tick(case);
    assert_eq!(events, ["shown_again"]);
    world.pass(minutes(59));
    let (case, _) = world.vote(case, "kim", Ballot::Approve);
    assert!(case.live().is_some());
    let (case, _) = world.dead_with_request();
    assert!(matches!(world.refused(&case, "kim", Ballot::Snooze(minutes(24 * 60 + 1))), Refusal::SnoozeTooLong { .. }));
}

#[test]
fn no_answer_begins_nothing_and_ends_nothing() {
    let mut world = World::new();
    world.agent.mode = Mode::Yes;
    world.agent.health = Health::Unknown("we are out of descriptors".into());
    let (case, events) = world.tick(world.dead());
    assert_eq!(events, ["waits"]);
    world.pass(minutes(600));
    let (case, events) = world.tick(case);
    assert!(events.is_empty() && case.is_open());
}

#[test]
fn an_agent_that_left_the_registry_is_gone() {
    let world = World::new();
    let (case, mut facts) = world.dead_with_request();
    facts.agent = None;
    let step = tick(case.clone(), &facts);
    let (closed, events) = world.checked(&case, step);
    assert_eq!(events, ["withdrawn", "gone"]);
    assert!(!closed.is_open());
}

#[test]
fn a_restored_backup_withdraws_and_asks_under_a_new_key() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    let key = case.pending().unwrap().key.clone();
    world.pass(MINUTE);
    let step = restored(case.clone(), &world.facts());
    let (case, events) = world.checked(&case, step);
    assert_eq!(events, ["withdrawn"]);
    let (case, events) = world.tick(case);
    assert_eq!(events, ["asked"]);
    assert_ne!(case.pending().unwrap().key, key);
}

#[test]
fn a_jump_of_the_clock_leaves_every_deadline_the_time_it_had() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    for hours in [1, -2] {
        let by_ms = hours * 3_600_000;
        let moved = deadlines_moved(case.clone(), by_ms);
        let left = |case: &Case, now: Timestamp| case.pending().unwrap().expires().unwrap().since(now);
        let then = Timestamp::from_millis(world.now.as_millis() + by_ms);
        assert_eq!(left(&moved, then), left(&case, world.now));
    }
    world.pass(minutes(61));
    assert_eq!(world.tick(deadlines_moved(case, 3_660_000)).1, Vec::<&str>::new());
}

#[test]
fn what_was_signed_off_is_what_was_asked_about() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    world.agent.host = Some("elsewhere.example".into());
    let (case, events) = world.vote(case, "kim", Ballot::Approve);
    assert_eq!(events, ["approved", "ready"]);
    let (case, events) = world.begin(case);
    assert_eq!(events, ["called_off"], "the packet showed another host");
    let state = case.execution.unwrap().state;
    assert!(matches!(state, ExecutionState::CalledOff { because: CalledOff::Moved, .. }), "{state:?}");
}

#[test]
fn a_deny_after_the_end_of_a_held_death_is_refused_and_changes_nothing() {
    let mut world = World::new();
    world.on_hold = true;
    let (case, _) = world.dead_with_request();
    let (case, _) = world.vote(case, "kim", Ballot::Approve);
    world.healthy();
    world.pass(MINUTE);
    let (case, events) = world.tick(case);
    assert_eq!(events, ["recovered"]);
    assert!(matches!(world.refused(&case, "kim", Ballot::Deny { reason: None }), Refusal::Closed { .. }));
}

#[test]
fn a_machine_that_slept_over_an_approval_does_not_run_it_in_the_morning() {
    let mut world = World::new();
    let (case, _) = world.dead_with_request();
    let (case, _) = world.vote(case, "kim", Ballot::Approve);
    let night = Duration::from_secs(8 * 3600);
    let case = deadlines_moved(case, 8 * 3_600_000);
    world.pass(night);
    let (case, events) = world.begin(case);
    assert_eq!(events, ["called_off"]);
    let state = case.execution.unwrap().state;
    assert!(matches!(state, ExecutionState::CalledOff { because: CalledOff::TooOld, .. }), "{state:?}");
}
