use insta::assert_snapshot;

use super::*;
use crate::approval::Withdrawal;

fn shown(incident: &Incident, request: &Request, execution: Option<&Execution>, setting: &Setting) -> String {
    let recent =
        ["05:00:00 CEST  restarted: the command ended well".to_owned(), "05:00:07 CEST  alive again".to_owned()];
    let known = CardFacts { execution, approval_ttl: Duration::from_secs(3600), recent: &recent };
    card(incident, request, &known, setting, NOW).to_text()
}

#[test]
fn a_card_that_asks() {
    assert_snapshot!(shown(&incident(), &request(), None, &setting()), @r"
    [#882] Approval required to revive ezra for mission 'archive'.
    Reasons: gateway_unreachable, service_inactive. Suggested substitute: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Host: this machine.
    Lately:
      05:00:00 CEST restarted: the command ended well
      05:00:07 CEST alive again
    Answer with one of:
      approve 7K3QXM            restart ezra
      substitute 7K3QXM timmy   let timmy take over
      deny 7K3QXM [reason]      leave it dead
      snooze 7K3QXM 1h          be quiet for 1 h
    Code 7K3QXM, key ezra:archive:1776225846. Expires at 07:04:06 CEST.
    ");
}

#[test]
fn a_card_that_cannot_offer_much() {
    let offers = Offers::default();
    let host = Some("10.0.0.7".to_owned());
    let state = RequestState::Pending { expires: None };
    let request = Request { offers, host, state, ..request() };
    let tally = Tally { attempts: 2, may_still_run: true, ..Tally::default() };
    let incident =
        Incident { tally, last_healthy_at: None, snoozed_until: Some(later(60)), reasons: vec![], ..incident() };
    assert_snapshot!(shown(&incident, &request, None, &setting()), @r"
    [#882] Approval required to revive ezra for mission 'archive'.
    Reasons: no health signal. Suggested substitute: none available.
    CARE: a command of an earlier attempt MAY STILL BE RUNNING; nobody can say what
      it did. Look before you approve another one.
    It cannot be restarted from here, so `approve` is not offered.
    Never seen healthy here; taken for dead at 06:04:06 CEST (limit 10 min).
    Host: 10.0.0.7.
    2 attempts in this incident did not help.
    Snoozed until 07:05:06 CEST; it can be answered all the same.
    Lately:
      05:00:00 CEST restarted: the command ended well
      05:00:07 CEST alive again
    Answer with one of:
      deny 7K3QXM [reason]   leave it dead
      snooze 7K3QXM 1h       be quiet for 1 h
    Code 7K3QXM, key ezra:archive:1776225846. Expires 1 h after delivery.
    ");
}

#[test]
fn a_card_says_that_nothing_will_run() {
    assert_snapshot!(shown(&incident(), &request(), None, &on_hold()), @r"
    [#882] Approval required to revive ezra for mission 'archive'.
    Reasons: gateway_unreachable, service_inactive. Suggested substitute: timmy.
    ON HOLD: nothing runs until somebody says `release`; an approval is recorded,
      not run. Held by kim since 05:35:06 CEST: moving racks.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Host: this machine.
    Lately:
      05:00:00 CEST restarted: the command ended well
      05:00:07 CEST alive again
    Answer with one of:
      approve 7K3QXM            restart ezra
      substitute 7K3QXM timmy   let timmy take over
      deny 7K3QXM [reason]      leave it dead
      snooze 7K3QXM 1h          be quiet for 1 h
    Code 7K3QXM, key ezra:archive:1776225846. Expires at 07:04:06 CEST.
    ");
    let observing = Setting { observing: true, ..on_hold() };
    let text = shown(&incident(), &request(), None, &observing);
    assert!(text.contains("OBSERVING ONLY") && !text.contains("ON HOLD"), "{text}");
}

#[test]
fn the_end_of_each_request() {
    let states = vec![
        RequestState::Pending { expires: None },
        approved(Action::Restart),
        RequestState::Denied { by: kim(), via: Channel::Terminal, at: NOW, reason: Some("it is being moved".into()) },
        RequestState::Expired { at: NOW },
        RequestState::Withdrawn { at: NOW, because: Withdrawal::Moved },
    ];
    covers(&states, 5, |state| match state {
        RequestState::Pending { .. } => 0,
        RequestState::Approved { .. } => 1,
        RequestState::Denied { .. } => 2,
        RequestState::Expired { .. } => 3,
        RequestState::Withdrawn { .. } => 4,
    });
    let ready = execution(Action::Restart, ExecutionState::Ready);
    let texts = states.into_iter().skip(1).map(|state| {
        let name = state.word().to_owned();
        let request = Request { state, ..request() };
        let card = card(
            &incident(),
            &request,
            &CardFacts { execution: Some(&ready), ..CardFacts::default() },
            &setting(),
            NOW,
        );
        assert_eq!(card.answers, [], "a closed request takes no answer");
        (name, card.to_text())
    });
    assert_snapshot!(table(texts), @r"
    -- approved
    [#882] ezra: approved by kim (command line) at 06:05:06 CEST: restart.
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Nothing has been started yet.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Host: this machine.
    Code 7K3QXM, key ezra:archive:1776225846.
    -- denied
    [#882] ezra: denied by kim (terminal) at 06:05:06 CEST: it is being moved.
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Host: this machine.
    Code 7K3QXM, key ezra:archive:1776225846.
    -- expired
    [#882] ezra: expired at 06:05:06 CEST: nobody answered in time.
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Host: this machine.
    Code 7K3QXM, key ezra:archive:1776225846.
    -- withdrawn
    [#882] ezra: withdrawn at 06:05:06 CEST: its mission or host is another one now.
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Host: this machine.
    Code 7K3QXM, key ezra:archive:1776225846.
    ");
}

#[test]
fn each_step_of_an_approved_request() {
    let states = vec![
        ExecutionState::Ready,
        ExecutionState::Running { since: NOW },
        ExecutionState::CalledOff { at: NOW, because: CalledOff::Recovered },
        ExecutionState::Done { verification: verification() },
        ExecutionState::Failed { at: NOW, why: "it ended with status 1".into() },
        ExecutionState::Unknown { verification: verification(), why: "it did not end in time".into() },
        ExecutionState::Verified { at: NOW },
        ExecutionState::NotRecovered { at: NOW, why: "gateway_unreachable".into() },
    ];
    covers(&states, 8, |state| match state {
        ExecutionState::Ready => 0,
        ExecutionState::Running { .. } => 1,
        ExecutionState::CalledOff { .. } => 2,
        ExecutionState::Done { .. } => 3,
        ExecutionState::Failed { .. } => 4,
        ExecutionState::Unknown { .. } => 5,
        ExecutionState::Verified { .. } => 6,
        ExecutionState::NotRecovered { .. } => 7,
    });
    let mut texts = Vec::new();
    for action in [Action::Restart, Action::Substitute(agent("timmy"))] {
        for state in &states {
            let execution = execution(action.clone(), state.clone());
            let request = Request { state: approved(action.clone()), ..request() };
            let known = CardFacts { execution: Some(&execution), ..CardFacts::default() };
            let card = card(&incident(), &request, &known, &setting(), NOW);
            texts.push((format!("{action}, {}", state.word()), card.lines[1].clone()));
        }
    }
    assert_snapshot!(table(texts), @r"
    -- restart, ready
    Nothing has been started yet.
    -- restart, running
    Restarting ezra since 06:05:06 CEST; its command has not ended yet.
    -- restart, called_off
    Not run because it is healthy again (called off at 06:05:06 CEST). Nothing was started.
    -- restart, done
    The command of the restart ended well at 06:05:06 CEST; whether ezra lives is being checked.
    -- restart, failed
    The restart failed at 06:05:06 CEST: it ended with status 1.
    -- restart, unknown
    Since 06:05:06 CEST nobody can say what the restart did: it did not end in time. Its command MAY STILL RUN; probes look whether ezra lives.
    -- restart, verified
    Restarted, and verified at 06:05:06 CEST: ezra lives.
    -- restart, not_recovered
    The restart did not help (given up at 06:05:06 CEST): gateway_unreachable.
    -- substitute timmy, ready
    Nothing has been started yet.
    -- substitute timmy, running
    Handing the work of ezra to timmy since 06:05:06 CEST; its command has not ended yet.
    -- substitute timmy, called_off
    Not run because it is healthy again (called off at 06:05:06 CEST). Nothing was started.
    -- substitute timmy, done
    The command of the substitution by timmy ended well at 06:05:06 CEST; whether timmy lives is being checked.
    -- substitute timmy, failed
    The substitution by timmy failed at 06:05:06 CEST: it ended with status 1.
    -- substitute timmy, unknown
    Since 06:05:06 CEST nobody can say what the substitution by timmy did: it did not end in time. Its command MAY STILL RUN; probes look whether timmy lives.
    -- substitute timmy, verified
    Delivered, and verified at 06:05:06 CEST: timmy lives and has what ezra left.
    -- substitute timmy, not_recovered
    The substitution by timmy did not help (given up at 06:05:06 CEST): gateway_unreachable.
    ");
}

#[test]
fn an_approval_that_nothing_was_made_of() {
    let standing = Standing::ApprovedNotRun { request: request_id() };
    let request = Request { state: approved(Action::Restart), ..request() };
    let held = Incident { standing, ..incident() };
    let other = Execution { basis: Basis::Policy, ..execution(Action::Restart, ExecutionState::Verified { at: NOW }) };
    let line = |incident: &Incident, setting: &Setting| {
        let known = CardFacts { execution: Some(&other), ..CardFacts::default() };
        card(incident, &request, &known, setting, NOW).lines[1].clone()
    };
    assert_snapshot!(line(&held, &on_hold()), @"Not run: executions are on hold (by kim since 05:35:06 CEST: moving racks). Nothing was started.");
    assert_snapshot!(line(&held, &Setting { observing: true, ..setting() }), @"Not run: this gateway only observes. Nothing was started.");
    assert_snapshot!(line(&incident(), &setting()), @"What became of the restart stands in the history.");
}

#[test]
fn every_answer_on_a_card_is_understood() {
    use crate::approval::Command;
    for answer in answers(&request()) {
        let typed = answer.command(request().code).replace("[reason]", "because of the move");
        assert!(Command::parse(&typed, None).is_ok(), "{typed}");
    }
    let day = AnswerOption::Snooze(Duration::from_secs(86_400)).command(request().code);
    assert!(Command::parse(&day, None).is_ok(), "{day}");
}

#[test]
fn the_message_is_the_references() {
    let reasons = ["gateway_unreachable", "service_inactive"];
    assert_eq!(
        request_message(882, "ezra", "archive", &reasons, Some("timmy")),
        "[#882] Approval required to revive ezra for mission 'archive'. Reasons: gateway_unreachable, \
         service_inactive. Suggested substitute: timmy."
    );
    assert_eq!(
        request_message(7, "e", "m", &[] as &[&str], None),
        "[#7] Approval required to revive e for mission 'm'. Reasons: no health signal. Suggested substitute: none \
         available."
    );
    assert_eq!(
        request_message(882, "e", "m", &["\u{1b}[31mx\n"], Some("\u{202e}")),
        "[#882] Approval required to revive e for mission 'm'. Reasons: x. Suggested substitute: none available."
    );
}
