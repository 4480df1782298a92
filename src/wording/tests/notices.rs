use insta::assert_snapshot;

use super::*;
use crate::approval::Withdrawal;
use crate::incident::{Awaited, Event, Next};

/// Each event at least once, in every wording it has.
pub(super) fn events() -> Vec<Event> {
    let (request, execution) = (request_id, execution_id);
    let restart = || Action::Restart;
    let timmy = || Action::Substitute(agent("timmy"));
    let via = Channel::Cli;
    let input = || InputId("in1".into());
    let all = vec![
        Event::Opened { reasons: vec![Reason::GatewayUnreachable], last_healthy_at: Some(ago(12)) },
        Event::Opened { reasons: vec![], last_healthy_at: None },
        Event::Asked { request: request(), key: super::request().key, code: super::request().code },
        Event::OffersChanged { request: request() },
        Event::ShownAgain { request: request() },
        Event::Approved { request: request(), action: restart(), by: kim(), via, input: input() },
        Event::Approved { request: request(), action: timmy(), by: kim(), via: Channel::Terminal, input: input() },
        Event::NotRun { request: request(), because: CalledOff::OnHold },
        Event::NotRun { request: request(), because: CalledOff::Observing },
        Event::Denied { request: request(), by: kim(), via, input: input(), reason: Some("it is being moved".into()) },
        Event::Denied { request: request(), by: kim(), via, input: input(), reason: None },
        Event::Expired { request: request(), next: later(15) },
        Event::Withdrawn { request: request(), because: Withdrawal::Recovered },
        Event::Withdrawn { request: request(), because: Withdrawal::Gone },
        Event::Withdrawn { request: request(), because: Withdrawal::PolicyChanged },
        Event::Withdrawn { request: request(), because: Withdrawal::Moved },
        Event::Withdrawn { request: request(), because: Withdrawal::Restored },
        Event::Snoozed { until: later(120), by: kim(), via },
        Event::AskedByHand { by: kim(), via },
        Event::Ready { execution: execution(), action: restart(), by_policy: true },
        Event::Ready { execution: execution(), action: timmy(), by_policy: true },
        Event::Ready { execution: execution(), action: restart(), by_policy: false },
        Event::CalledOff { execution: execution(), request: Some(request()), because: CalledOff::Recovered },
        Event::CalledOff { execution: execution(), request: None, because: CalledOff::PolicyChanged },
        Event::Started { execution: execution(), action: restart(), run: "x1-1".into() },
        Event::Started { execution: execution(), action: timmy(), run: "x1-1".into() },
        Event::NeverStarted { execution: execution() },
        Event::Done { execution: execution(), action: restart(), asks: false },
        Event::Done { execution: execution(), action: timmy(), asks: false },
        Event::Failed {
            execution: execution(),
            action: restart(),
            why: "it ended with status 1".into(),
            next: Next::AsksAnew(later(15)),
        },
        Event::Failed {
            execution: execution(),
            action: timmy(),
            why: "it ended with status 1".into(),
            next: Next::TriesAgain(later(1)),
        },
        Event::Unknown { execution: execution(), action: restart(), why: "it did not end in time".into() },
        Event::Verified { execution: execution(), action: restart(), after: Duration::from_secs(12) },
        Event::Verified { execution: execution(), action: timmy(), after: Duration::from_secs(12) },
        Event::NotRecovered {
            execution: execution(),
            action: restart(),
            why: "gateway_unreachable".into(),
            next: Next::Asks,
        },
        Event::Relapsed { reasons: vec![Reason::ServiceInactive], next: Next::AsksAnew(later(15)) },
        Event::StandInLost,
        Event::Suppressed,
        Event::Unrecoverable,
        Event::Held { action: restart(), observing: false },
        Event::Held { action: timmy(), observing: true },
        Event::Waits { for_: Awaited::Time { until: later(5) } },
        Event::Waits { for_: Awaited::Answer },
        Event::Waits { for_: Awaited::OtherExecution },
        Event::Recovered { since: ago(1) },
        Event::Gone,
    ];
    covers(&all, 28, |event| match event {
        Event::Opened { .. } => 0,
        Event::Asked { .. } => 1,
        Event::OffersChanged { .. } => 2,
        Event::ShownAgain { .. } => 3,
        Event::Approved { .. } => 4,
        Event::NotRun { .. } => 5,
        Event::Denied { .. } => 6,
        Event::Expired { .. } => 7,
        Event::Withdrawn { .. } => 8,
        Event::Snoozed { .. } => 9,
        Event::AskedByHand { .. } => 10,
        Event::Ready { .. } => 11,
        Event::CalledOff { .. } => 12,
        Event::Started { .. } => 13,
        Event::NeverStarted { .. } => 14,
        Event::Done { .. } => 15,
        Event::Failed { .. } => 16,
        Event::Unknown { .. } => 17,
        Event::Verified { .. } => 18,
        Event::NotRecovered { .. } => 19,
        Event::Relapsed { .. } => 20,
        Event::StandInLost => 21,
        Event::Suppressed => 22,
        Event::Unrecoverable => 23,
        Event::Held { .. } => 24,
        Event::Waits { .. } => 25,
        Event::Recovered { .. } => 26,
        Event::Gone => 27,
    });
    all
}

/// The request as it stands after `event`, which is what a notice gets; none where it belongs to none.
fn request_after(event: &Event) -> Option<Request> {
    let state = match event {
        Event::Approved { action, .. } => approved(action.clone()),
        Event::Expired { .. } => RequestState::Expired { at: NOW },
        Event::Withdrawn { because, .. } => RequestState::Withdrawn { at: NOW, because: because.clone() },
        Event::Denied { by, via, reason, .. } => {
            RequestState::Denied { by: by.clone(), via: *via, at: NOW, reason: reason.clone() }
        }
        Event::Snoozed { .. } | Event::Asked { .. } | Event::OffersChanged { .. } => return Some(request()),
        Event::Ready { by_policy: true, .. } | Event::CalledOff { request: None, .. } | Event::Held { .. } => {
            return None;
        }
        Event::Suppressed | Event::Unrecoverable | Event::Recovered { .. } | Event::Gone => return None,
        _ => approved(Action::Restart),
    };
    Some(Request { state, ..request() })
}

fn told(event: &Event, setting: &Setting) -> String {
    match notice(event, &incident(), request_after(event).as_ref(), setting, NOW) {
        Some(Notice { text, urgency }) => format!("{urgency:?}: {text}"),
        None => "(not told)".into(),
    }
}

#[test]
fn what_people_are_told_of_each_event() {
    let texts = events().into_iter().map(|event| {
        let setting = if matches!(event, Event::NotRun { .. }) { on_hold() } else { setting() };
        (event.word().to_owned(), told(&event, &setting))
    });
    assert_snapshot!(table(texts), @r"
    -- opened
    (not told)
    -- opened
    (not told)
    -- asked
    (not told)
    -- offers_changed
    Progress: ezra (7K3QXM): what can be answered has changed.
    It takes: approve, substitute timmy, deny, snooze.
    -- shown_again
    (not told)
    -- approved
    Decision: ezra (7K3QXM): approved by kim (command line): restart.
    Nothing has been started yet.
    -- approved
    Decision: ezra (7K3QXM): approved by kim (terminal): substitute timmy.
    Nothing has been started yet.
    -- not_run
    Decision: ezra (7K3QXM): approved by kim (command line), not run because executions are on hold.
    Nothing was started. ON HOLD: nothing runs until somebody says `release`; an approval is recorded, not run. Held by kim since 05:35:06 CEST: moving racks.
    -- not_run
    Decision: ezra (7K3QXM): approved by kim (command line), not run because this gateway only observes.
    Nothing was started. Run the gateway without --observe to let it act.
    -- denied
    Decision: ezra (7K3QXM): denied by kim (command line): it is being moved.
    Nothing is done about it until it was healthy, or an approver says `ask ezra`.
    -- denied
    Decision: ezra (7K3QXM): denied by kim (command line).
    Nothing is done about it until it was healthy, or an approver says `ask ezra`.
    -- expired
    Decision: ezra (7K3QXM): nobody answered in time; asked anew after 06:20:06 CEST, if still dead.
    Nothing runs. `ask ezra` asks anew before that.
    -- withdrawn
    Progress: ezra (7K3QXM): the request is withdrawn: it is healthy again.
    -- withdrawn
    Progress: ezra (7K3QXM): the request is withdrawn: it left the registry.
    -- withdrawn
    Progress: ezra (7K3QXM): the request is withdrawn: the policy does not ask about it any more.
    -- withdrawn
    Progress: ezra (7K3QXM): the request is withdrawn: its mission or host is another one now.
    -- withdrawn
    Progress: ezra (7K3QXM): the request is withdrawn: the store is a restored backup; what is still dead is asked about anew.
    -- snoozed
    Decision: ezra (7K3QXM): snoozed by kim (command line) until 08:05:06 CEST.
    The request stays answerable, and is shown again then: `show 7K3QXM`.
    -- asked_by_hand
    Decision: ezra (7K3QXM): kim (command line) wants people to be asked.
    -- ready
    Progress: ezra: dead (gateway_unreachable, service_inactive); about to restart ezra by itself: the policy for archive says yes.
    -- ready
    Progress: ezra: dead (gateway_unreachable, service_inactive); about to let timmy take over from ezra by itself: the policy for archive says yes.
    -- ready
    (not told)
    -- called_off
    Progress: ezra (7K3QXM): approved by kim (command line), not run because it is healthy again.
    Nothing was started.
    -- called_off
    Decision: ezra: called off before it began, because the policy no longer allows it.
    Nothing was started. It is planned anew, under the policy in force.
    -- started
    Progress: ezra (7K3QXM): restarting ezra: the command is being started.
    -- started
    Progress: ezra (7K3QXM): handing the work of ezra to timmy: the command is being started.
    -- never_started
    Progress: ezra (7K3QXM): the command never started, for certain; it is tried again.
    -- done
    Progress: ezra (7K3QXM): restarted: the command ended well; checking that it lives.
    -- done
    Progress: ezra (7K3QXM): delivered to timmy: the command ended well; checking that timmy lives.
    -- failed
    Alarm: ezra (7K3QXM): the restart failed: it ended with status 1.
    People are asked anew after 06:20:06 CEST, if it is still dead.
    -- failed
    Alarm: ezra (7K3QXM): the substitution by timmy failed: it ended with status 1.
    It is tried again after 06:06:06 CEST, if still dead.
    -- unknown
    Alarm: ezra (7K3QXM): nobody can say what the restart did: it did not end in time; its command may still run.
    Nothing else starts by itself. Probes look whether it lives; look on its host, too.
    -- verified
    Progress: ezra (7K3QXM): alive again, verified 12 s after the restart.
    -- verified
    Progress: ezra (7K3QXM): timmy has taken over, verified 12 s after the delivery.
    -- not_recovered
    Alarm: ezra (7K3QXM): the restart did not help: gateway_unreachable.
    People are asked what to do now.
    -- relapsed
    Alarm: ezra (7K3QXM): dead again after it had lived: service_inactive.
    People are asked anew after 06:20:06 CEST, if it is still dead.
    -- stand_in_lost
    Alarm: ezra (7K3QXM): whoever stood in for it is dead or gone.
    ezra is still dead, and is planned anew.
    -- suppressed
    (not told)
    -- unrecoverable
    Alarm: ezra: dead, and there is no way to revive it from here (gateway_unreachable, service_inactive).
    It cannot be restarted from here, and no substitute is healthy and free. It is tried as soon as either changes; else revive it by hand.
    -- held
    Decision: ezra: would restart ezra now, but executions are on hold.
    -- held
    Decision: ezra: would let timmy take over from ezra now, but this gateway only observes.
    -- waits
    (not told)
    -- waits
    (not told)
    -- waits
    (not told)
    -- recovered
    Progress: ezra: healthy since 06:04:06 CEST; the incident is closed.
    -- gone
    Progress: ezra: left the registry; the incident is closed.
    ");
}

#[test]
fn changed_answers_are_told_while_they_can_be_given_and_nobody_wants_quiet() {
    let event = Event::OffersChanged { request: request_id() };
    let told = |incident: &Incident, request: &Request| notice(&event, incident, Some(request), &setting(), NOW);
    let alone = Request { offers: Offers { restart: false, substitutes: vec![] }, ..request() };
    assert_snapshot!(told(&incident(), &alone).unwrap().text, @r"
    ezra (7K3QXM): what can be answered has changed.
    It takes: deny, snooze.
    ");
    let snoozed = Incident { snoozed_until: Some(later(5)), ..incident() };
    assert_eq!(told(&snoozed, &request()), None);
    let closed = Request { state: approved(Action::Restart), ..request() };
    assert_eq!(told(&incident(), &closed), None, "a closed request takes no answers");
}

#[test]
fn only_ends_are_marked() {
    let marked = |is_its: bool| -> std::collections::BTreeSet<String> {
        let marks =
            events().into_iter().filter_map(|event| Some(format!("{} {}", event.word(), mark(&event, is_its)?)));
        marks.collect()
    };
    let of_the_request =
        ["approved +", "called_off ✋", "denied -", "expired ⌛", "not_run ✋", "withdrawn ⚪", "withdrawn ✅"];
    assert_eq!(marked(false), of_the_request.map(String::from).into());
    let of_what_it_signed_off = ["failed ❌", "not_recovered ❌", "verified ✅"];
    assert_eq!(marked(true), of_the_request.into_iter().chain(of_what_it_signed_off).map(String::from).collect());
}

#[test]
fn why_an_approval_was_not_run() {
    let texts = called_off().into_iter().map(|because| {
        let event = Event::CalledOff { execution: execution_id(), request: Some(request_id()), because };
        let Event::CalledOff { because, .. } = &event else { unreachable!() };
        (format!("{because:?}"), told(&event, &setting()))
    });
    assert_snapshot!(table(texts), @r#"
    -- Recovered
    Progress: ezra (7K3QXM): approved by kim (command line), not run because it is healthy again.
    Nothing was started.
    -- Gone
    Decision: ezra (7K3QXM): approved by kim (command line), not run because it left the registry.
    Nothing was started.
    -- PolicyChanged
    Decision: ezra (7K3QXM): approved by kim (command line), not run because the policy no longer allows it.
    Nothing was started. It is planned anew, under the policy in force.
    -- Moved
    Decision: ezra (7K3QXM): approved by kim (command line), not run because its mission or host changed meanwhile.
    Nothing was started. It is planned anew, under the policy in force.
    -- ApproverRevoked
    Decision: ezra (7K3QXM): approved by kim (command line), not run because the person who approved it may not approve it any more.
    Nothing was started. It is planned anew, under the policy in force.
    -- SubstituteUnfit
    Decision: ezra (7K3QXM): approved by kim (command line), not run because the substitute is no longer a configured, healthy and free candidate.
    Nothing was started. It is planned anew, under the policy in force.
    -- NoMeans
    Decision: ezra (7K3QXM): approved by kim (command line), not run because there is no command for it any more.
    Nothing was started. It is planned anew, under the policy in force.
    -- LaterDeny
    Decision: ezra (7K3QXM): approved by kim (command line), not run because somebody denied it before it began.
    Nothing was started. It stays as it is.
    -- TooOld
    Decision: ezra (7K3QXM): approved by kim (command line), not run because it could not begin in time.
    Nothing was started. It is planned anew, under the policy in force.
    -- OnHold
    Decision: ezra (7K3QXM): approved by kim (command line), not run because executions are on hold.
    Nothing was started. A release plans and checks again.
    -- Observing
    Decision: ezra (7K3QXM): approved by kim (command line), not run because this gateway only observes.
    Nothing was started. Run the gateway without --observe to let it act.
    -- Restored
    Decision: ezra (7K3QXM): approved by kim (command line), not run because the store is a restored backup, and the approval may be long over.
    Nothing was started. It is planned anew, under the policy in force.
    -- NotHandedOver { why: "its work belongs to timmy" }
    Decision: ezra (7K3QXM): approved by kim (command line), not run because its work belongs to timmy.
    Nothing was started. It is planned anew, under the policy in force.
    -- IdentityRevoked
    Decision: ezra (7K3QXM): approved by kim (command line), not run because the key or account that approved it is not theirs any more.
    Nothing was started. It is planned anew, under the policy in force.
    "#);
}

#[test]
fn a_line_of_history_for_each_event() {
    let lines = events().into_iter().map(|event| history_line(&event, &agent("ezra"), ago(1), &setting(), NOW));
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    06:04:06 CEST  taken for dead: gateway_unreachable; last healthy at 05:53:06 CEST
    06:04:06 CEST  taken for dead: no health signal; never seen healthy here
    06:04:06 CEST  people are asked: request 7K3QXM (ezra:archive:1776225846)
    06:04:06 CEST  what can be answered has changed
    06:04:06 CEST  the request is shown again
    06:04:06 CEST  approved by kim (command line): restart
    06:04:06 CEST  approved by kim (terminal): substitute timmy
    06:04:06 CEST  approved, not run because executions are on hold
    06:04:06 CEST  approved, not run because this gateway only observes
    06:04:06 CEST  denied by kim (command line): it is being moved
    06:04:06 CEST  denied by kim (command line)
    06:04:06 CEST  nobody answered in time; asked anew after 06:20:06 CEST, if still dead
    06:04:06 CEST  the request is withdrawn: it is healthy again
    06:04:06 CEST  the request is withdrawn: it left the registry
    06:04:06 CEST  the request is withdrawn: the policy does not ask about it any more
    06:04:06 CEST  the request is withdrawn: its mission or host is another one now
    06:04:06 CEST  the request is withdrawn: the store is a restored backup; what is still dead is asked about anew
    06:04:06 CEST  snoozed by kim (command line) until 08:05:06 CEST
    06:04:06 CEST  kim (command line) wants people to be asked
    06:04:06 CEST  about to restart ezra: the policy says yes
    06:04:06 CEST  about to let timmy take over from ezra: the policy says yes
    06:04:06 CEST  about to restart ezra, as approved
    06:04:06 CEST  approved, not run because it is healthy again
    06:04:06 CEST  called off before it began, because the policy no longer allows it
    06:04:06 CEST  restarting ezra: the command is being started
    06:04:06 CEST  handing the work of ezra to timmy: the command is being started
    06:04:06 CEST  the command never started, for certain; it is tried again
    06:04:06 CEST  restarted: the command ended well; checking that it lives
    06:04:06 CEST  delivered to timmy: the command ended well; checking that timmy lives
    06:04:06 CEST  the restart failed: it ended with status 1
    06:04:06 CEST  the substitution by timmy failed: it ended with status 1
    06:04:06 CEST  nobody can say what the restart did: it did not end in time; its command may still run
    06:04:06 CEST  alive again, verified 12 s after the restart
    06:04:06 CEST  timmy has taken over, verified 12 s after the delivery
    06:04:06 CEST  the restart did not help: gateway_unreachable
    06:04:06 CEST  dead again after it had lived: service_inactive
    06:04:06 CEST  whoever stood in for it is dead or gone
    06:04:06 CEST  dead, and nothing is done: the policy says no
    06:04:06 CEST  dead, and there is no way to revive it from here
    06:04:06 CEST  would restart ezra now, but executions are on hold
    06:04:06 CEST  would let timmy take over from ezra now, but this gateway only observes
    06:04:06 CEST  waits for 06:10:06 CEST, before the next attempt or request
    06:04:06 CEST  waits for an answer from its health signals
    06:04:06 CEST  waits for the end of another execution that touches it
    06:04:06 CEST  healthy since 06:04:06 CEST; the incident is closed
    06:04:06 CEST  left the registry; the incident is closed
    ");
}

#[test]
fn every_notice_names_the_agent_and_the_request_it_belongs_to() {
    for event in events() {
        let request = request_after(&event);
        let Some(Notice { text, .. }) = notice(&event, &incident(), request.as_ref(), &setting(), NOW) else {
            continue;
        };
        assert!(text.starts_with("ezra"), "{text}");
        assert_eq!(text.contains("(7K3QXM)"), request.is_some(), "{text}");
    }
    let of_another = Event::Expired { request: RequestId("r0".into()), next: NOW };
    let text = notice(&of_another, &incident(), Some(&request()), &setting(), NOW).unwrap().text;
    assert!(!text.contains("7K3QXM"), "the code of a request that it is not about: {text}");
}

#[test]
fn approved_is_not_restarted_and_restarted_is_not_alive() {
    let lives = ["alive again", "has taken over"];
    for event in events() {
        let text = told(&event, &setting());
        let verified = matches!(event, Event::Verified { .. });
        assert_eq!(lives.iter().any(|claim| text.contains(claim)), verified, "{text}");
        let done = matches!(event, Event::Done { .. } | Event::Verified { .. });
        assert_eq!(
            text.contains("restarted: ") || text.contains("after the") || text.contains("delivered"),
            done,
            "{text}"
        );
    }
}
