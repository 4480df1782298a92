use insta::assert_snapshot;

use super::*;
use crate::approval::{Answer, Command, Misunderstood, Speaker, Target, Withdrawal};
use crate::incident::{Awaited, Event, Refusal, Unfit};

fn case() -> Case {
    let state = RequestState::Pending { expires: Some(later(180)) };
    Case { incident: incident(), request: Some(Request { state, ..request() }), execution: None }
}

pub(super) fn refusals() -> Vec<Refusal> {
    let timmy = || vec![agent("timmy")];
    let unfit = |why| Refusal::Unfit { agent: agent("timmy"), why, substitutes: vec![] };
    let closed = |state| Refusal::Closed { state };
    let why = [Unfit::NotConfigured, Unfit::NotHealthy, Unfit::NotFree, Unfit::NoDelivery];
    covers(&why, 4, |why| match why {
        Unfit::NotConfigured => 0,
        Unfit::NotHealthy => 1,
        Unfit::NotFree => 2,
        Unfit::NoDelivery => 3,
    });
    let mut all = vec![
        Refusal::NotAllowed { person: kim(), mission: mission("forge") },
        Refusal::TooLate { expired_at: ago(2) },
        closed(RequestState::Pending { expires: None }),
        closed(approved(Action::Restart)),
        closed(approved(Action::Substitute(agent("timmy")))),
        closed(RequestState::Denied { by: kim(), via: Channel::Cli, at: ago(3), reason: Some("moving".into()) }),
        closed(RequestState::Expired { at: ago(3) }),
        closed(RequestState::Withdrawn { at: ago(3), because: Withdrawal::Recovered }),
        Refusal::NotRestartable { substitutes: timmy() },
        Refusal::NotRestartable { substitutes: vec![] },
        Refusal::Unfit { agent: agent("bezalel"), why: Unfit::NotConfigured, substitutes: timmy() },
        Refusal::Busy,
        Refusal::SnoozeTooLong { at_most: Duration::from_secs(86_400) },
        Refusal::Gone,
        Refusal::BeingRevived,
        Refusal::NotDead { agent: agent("ezra") },
        Refusal::PolicySaysNo { mission: mission("archive") },
    ];
    all.extend(why.into_iter().map(unfit));
    covers(&all, 11, |refusal| match refusal {
        Refusal::NotAllowed { .. } => 0,
        Refusal::TooLate { .. } => 1,
        Refusal::Closed { .. } => 2,
        Refusal::NotRestartable { .. } => 3,
        Refusal::Unfit { .. } => 4,
        Refusal::Busy => 5,
        Refusal::SnoozeTooLong { .. } => 6,
        Refusal::Gone => 7,
        Refusal::BeingRevived => 8,
        Refusal::NotDead { .. } => 9,
        Refusal::PolicySaysNo { .. } => 10,
    });
    all
}

#[test]
fn each_refusal_says_why_and_what_to_do() {
    let texts = refusals().into_iter().map(|one| refusal(&one, &setting(), NOW));
    assert_snapshot!(texts.collect::<Vec<_>>().join("\n"), @r"
    refused: kim does not approve the mission 'forge'; it takes a person whose `approves` in `people` names it.
    refused: too late, it expired at 06:03:06 CEST. Nothing was done. `ask AGENT` asks anew.
    refused: still pending. Say it once more.
    refused: already approved by kim (command line) at 06:05:06 CEST: restart. `history AGENT` tells what became of it.
    refused: already approved by kim (command line) at 06:05:06 CEST: substitute timmy. `history AGENT` tells what became of it.
    refused: already denied by kim (command line) at 06:02:06 CEST: moving. `ask AGENT` asks anew.
    refused: already expired at 06:02:06 CEST: nobody answered in time. `ask AGENT` asks anew.
    refused: already withdrawn at 06:02:06 CEST: it is healthy again. `explain AGENT` tells how it stands.
    refused: it cannot be restarted from here: no `restart` template applies to it. Could take over right now: timmy. Say `substitute CODE timmy`.
    refused: it cannot be restarted from here: no `restart` template applies to it. Nobody else could take over right now; the request stays as it is.
    refused: bezalel is no configured substitute of it. Could take over right now: timmy. Say `substitute CODE timmy`.
    refused: another execution touches this agent right now. Say it again when that has ended; `status` shows it.
    refused: a snooze lasts 1 d at most. Snooze for less, or `deny CODE`.
    refused: the agent left the registry; there is nothing to decide.
    refused: it is being revived right now. `status` shows how far it is; you are told how it ends.
    refused: ezra is not dead (or not for long enough), so there is nothing to ask. `explain ezra` tells how it stands.
    refused: the policy says no for the mission 'archive'; asking by hand does not change it. Change its mode in the policy file.
    refused: timmy is no configured substitute of it. Nobody else could take over right now; the request stays as it is.
    refused: timmy is not healthy itself. Nobody else could take over right now; the request stays as it is.
    refused: timmy is not free: something is being done with it, or it stands in for another. Nobody else could take over right now; the request stays as it is.
    refused: nothing could tell timmy: there is no `substitute` command. Nobody else could take over right now; the request stays as it is.
    ");
}

#[test]
fn what_a_word_did() {
    let (by, via, input) = (kim(), Channel::Cli, InputId("in1".into()));
    let approved =
        Event::Approved { request: request_id(), action: Action::Restart, by: by.clone(), via, input: input.clone() };
    let ready = Event::Ready { execution: execution_id(), action: Action::Restart, by_policy: false };
    let not_run = Event::NotRun { request: request_id(), because: CalledOff::OnHold };
    let denied = Event::Denied { request: request_id(), by: by.clone(), via, input, reason: None };
    let off =
        Event::CalledOff { execution: execution_id(), request: Some(request_id()), because: CalledOff::LaterDeny };
    let snoozed = Event::Snoozed { until: later(120), by: by.clone(), via };
    let asked = Event::AskedByHand { by, via };
    let again = Event::ShownAgain { request: request_id() };
    let new = Event::Asked { request: request_id(), key: request().key, code: request().code };
    let texts = [
        ("approve", vec![approved.clone(), ready], setting()),
        ("approve, on hold", vec![approved, not_run], on_hold()),
        ("deny", vec![denied.clone()], setting()),
        ("deny what was approved", vec![off, denied], setting()),
        ("snooze", vec![snoozed], setting()),
        ("ask, with a request pending", vec![asked.clone(), again], setting()),
        ("ask", vec![asked.clone(), new], setting()),
        ("the same input again", vec![], setting()),
    ]
    .map(|(name, events, setting)| (name.to_owned(), answer_to(&events, &case(), &setting, NOW)));
    assert_snapshot!(table(texts), @r"
    -- approve
    ezra (7K3QXM): your approval is taken: restart ezra. It is checked once more and begun; you are told when the command ended, and whether it helped.
    -- approve, on hold
    ezra (7K3QXM): your approval is taken: restart ezra. Nothing runs because executions are on hold; the approval is recorded. ON HOLD: nothing runs until somebody says `release`; an approval is recorded, not run. Held by kim since 05:35:06 CEST: moving racks.
    -- deny
    ezra (7K3QXM): your denial is taken: ezra stays dead. Nothing is done until it was healthy, or an approver says `ask ezra`.
    -- deny what was approved
    What was approved had not begun, and is called off. ezra (7K3QXM): your denial is taken: ezra stays dead. Nothing is done until it was healthy, or an approver says `ask ezra`.
    -- snooze
    ezra (7K3QXM): quiet until 08:05:06 CEST. 7K3QXM can be answered until 09:05:06 CEST.
    -- ask, with a request pending
    ezra: people are asked. The request of ezra (7K3QXM) is shown again.
    -- ask
    ezra: people are asked. The new request is 7K3QXM.
    -- the same input again
    ezra (7K3QXM): nothing changed by it.
    ");
}

pub(super) fn replies() -> Vec<Reply> {
    let target = || Target::Code(request().code);
    let all = vec![
        Reply::Held { running: 0 },
        Reply::Held { running: 1 },
        Reply::HeldAlready,
        Reply::Released { waiting: 1 },
        Reply::Released { waiting: 3 },
        Reply::NotHeld,
        Reply::Revoked { person: kim(), orphaned: vec![] },
        Reply::Revoked { person: kim(), orphaned: vec![mission("archive")] },
        Reply::RevokedAlready { person: kim() },
        Reply::Retried { id: "0199-ab".into() },
        Reply::NoSuchRequest { target: target() },
        Reply::Superseded { target: target(), newer: Some(Code::from_random(1)) },
        Reply::Superseded { target: target(), newer: None },
        Reply::NoSuchAgent { agent: agent("ezra") },
        Reply::NoSuchPerson { person: kim() },
        Reply::NoSuchInput { id: "0199-ab".into() },
        Reply::ApprovesNothing { person: kim() },
        Reply::SetAside { id: "0199-ab".into() },
        Reply::TokenIssued { agent: agent("ezra"), again: false },
        Reply::TokenIssued { agent: agent("ezra"), again: true },
        Reply::TokenRevoked { agent: agent("ezra") },
        Reply::NoToken { agent: agent("ezra") },
        Reply::OfferedBack { agent: agent("ezra"), handoff: "h-7k3qxm".into() },
        Reply::NotOfferedBack { agent: agent("ezra"), why: "it has its work".into() },
        Reply::NameTaken { agent: agent("ezra"), by: "kim".into() },
        Reply::NotForAll { person: kim() },
    ];
    covers(&all, 21, |reply| match reply {
        Reply::Held { .. } => 0,
        Reply::HeldAlready => 1,
        Reply::Released { .. } => 2,
        Reply::NotHeld => 3,
        Reply::Revoked { .. } => 4,
        Reply::RevokedAlready { .. } => 5,
        Reply::Retried { .. } => 6,
        Reply::NoSuchRequest { .. } => 7,
        Reply::Superseded { .. } => 8,
        Reply::NoSuchAgent { .. } => 9,
        Reply::NoSuchPerson { .. } => 10,
        Reply::NoSuchInput { .. } => 11,
        Reply::ApprovesNothing { .. } => 12,
        Reply::SetAside { .. } => 13,
        Reply::TokenIssued { .. } => 14,
        Reply::TokenRevoked { .. } => 15,
        Reply::NoToken { .. } => 16,
        Reply::NameTaken { .. } => 17,
        Reply::NotForAll { .. } => 18,
        Reply::OfferedBack { .. } => 19,
        Reply::NotOfferedBack { .. } => 20,
    });
    all
}

#[test]
fn nobody_is_said_to_be_asked_who_is_not() {
    let asked = [Event::AskedByHand { by: kim(), via: Channel::Cli }];
    let waits = |for_| Disposition::Waiting { for_ };
    let texts = [
        ("no answer", waits(Awaited::Answer)),
        ("busy", waits(Awaited::OtherExecution)),
        ("later", waits(Awaited::Time { until: later(5) })),
        ("else", Disposition::New),
    ]
    .map(|(name, disposition)| {
        let mut case = Case { request: None, ..case() };
        case.incident.disposition = disposition;
        (name.to_owned(), answer_to(&asked, &case, &setting(), NOW))
    });
    assert_snapshot!(table(texts), @r"
    -- no answer
    ezra: taken. Nobody is asked yet: it is not known whether ezra lives, since its signals give no answer. People are asked once they say that it is dead.
    -- busy
    ezra: taken. Nobody is asked yet: it waits for the end of another execution that touches it.
    -- later
    ezra: taken. Nobody is asked yet: it waits for 06:10:06 CEST, before the next attempt or request.
    -- else
    ezra: taken. `explain ezra` tells what comes of it.
    ");
}

#[test]
fn what_the_gateway_answers_to_the_rest() {
    let texts = replies().into_iter().map(|reply| {
        let held = matches!(reply, Reply::Held { .. } | Reply::HeldAlready);
        let Answer { outcome, text, .. } = reply.answer(&if held { on_hold() } else { setting() }, NOW);
        format!("{outcome:?}: {text}")
    });
    assert_snapshot!(texts.collect::<Vec<_>>().join("\n"), @r"
    Taken: on hold (by kim since 05:35:06 CEST: moving racks): nothing is begun until `release`.
    Taken: on hold (by kim since 05:35:06 CEST: moving racks): nothing is begun until `release`. 1 command that had begun before: not stopped.
    Taken: on hold already (by kim since 05:35:06 CEST: moving racks); `release` ends it.
    Taken: released: 1 open incident is planned anew, and checked again before anything runs.
    Taken: released: 3 open incidents are planned anew, and checked again before anything runs.
    Taken: there is no hold; nothing changed.
    Taken: revoked: kim decides nothing any more. Take kim out of `people`, too.
    Taken: revoked: kim decides nothing any more. Now nobody approves: archive. Name somebody in `people`.
    Taken: kim was revoked already; nothing changed.
    Taken: the input 0199-ab is run again.
    NotFound: refused: there is no request 7K3QXM. `pending` lists those that can be answered.
    Refused: refused: 7K3QXM is over; the newer request is 100000: `show 100000`.
    Refused: refused: 7K3QXM is over. `pending` lists the requests that can be answered.
    NotFound: refused: the registry has no agent ezra. `status` lists those there are.
    NotFound: refused: `people` has no kim; names are told apart by case.
    NotFound: refused: no input 0199-ab was set aside. `status` lists those there are.
    Refused: refused: kim approves no mission, and that is needed here. `approves` in `people` says who does.
    SetAside: could not be worked off three times, so it was set aside and nothing was done. Whoever runs this gateway is told, and can say `inbox retry 0199-ab`.
    Taken: issued: whoever has this token acts as ezra at the door for agents.
    Taken: issued: whoever has this token acts as ezra at the door for agents; the one before counts no more.
    Taken: revoked: nobody acts as ezra at the door for agents, until it is given a new token.
    NotFound: refused: ezra has no token. `lazarus-gate agent list` shows who has one.
    Taken: offered: ezra can accept its work again (handoff h-7k3qxm); until it does, whoever has it keeps it.
    Refused: refused: ezra is offered nothing: it has its work.
    Refused: refused: on the mission bus ezra is kim; a token under that name would act as them. Choose another name for the agent.
    Refused: refused: an agent's token acts in all missions that the agent takes part in, and kim does not approve all; it takes a person with `approves: '*'`, or the user that the gateway runs as.
    ");
}

#[test]
fn strangers_and_what_is_no_command() {
    let speakers = [Speaker::LocalUser(1001), Speaker::Telegram(123_456_789), Speaker::Nostr("ab12".into())];
    covers(&speakers, 3, |speaker| match speaker {
        Speaker::LocalUser(_) => 0,
        Speaker::Telegram(_) => 1,
        Speaker::Nostr(_) => 2,
    });
    let wrong =
        ["", "aprove 7K3QXM", "approve \u{1b}[31m\u{202e}x"].map(|line| Command::parse(line, None).unwrap_err());
    covers(&wrong, 3, |wrong| match wrong {
        Misunderstood::Empty => 0,
        Misunderstood::NoSuchVerb => 1,
        Misunderstood::WrongForm { .. } => 2,
    });
    let texts = speakers.iter().map(stranger).chain(wrong.iter().map(misunderstood));
    assert_snapshot!(texts.collect::<Vec<_>>().join("\n"), @r"
    refused: you are not in `people` (local user 1001), so your word does not count. Whoever runs this gateway can add `local_user: 1001` to a person there.
    refused: you are not in `people` (Telegram user 123456789), so your word does not count. Whoever runs this gateway can add `telegram: 123456789` to a person there.
    refused: you are not in `people` (Nostr key ab12), so your word does not count. Whoever runs this gateway can add `nostr: [ab12]` to a person there.
    not understood: say one of: approve, deny, substitute, snooze, ask, hold, release, revoke, drill, here, inbox, handback, agent.
    not understood: there is no such command; say one of: approve, deny, substitute, snooze, ask, hold, release, revoke, drill, here, inbox, handback, agent; or on missions: missions, mission, newmission, join, publish, checkpoint, handoff, post, cancel, accept, decline, resume, log, isolation.
    not understood: '[31mx' is no code: a code has 6 letters and digits, like 7K3QXM; the form is: approve CODE.
    ");
}
