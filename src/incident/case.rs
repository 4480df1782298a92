use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    AgentFacts, Basis, CalledOff, Event, Execution, ExecutionState, Facts, Incident, IncidentState, Next, Standing,
    Tally,
};
use crate::approval::{Action, ApprovalKey, Offers, Request, RequestState, Withdrawal};
use crate::pool::{AgentName, MissionName, Mode, Reason, Timestamp};

/// An incident with its newest request and its newest execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The death.
    pub incident: Incident,
    /// The newest request about it, pending or closed.
    pub request: Option<Request>,
    /// The newest execution for it, live or final.
    pub execution: Option<Execution>,
}

/// A case after something happened to it, and what that was. To be stored whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The case as it is then.
    pub case: Case,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The request that was closed before this step, or in it, and made room for a new one.
    pub former_request: Option<Request>,
    /// The execution that came to its end before this step, or in it, and made room for a new one.
    pub former_execution: Option<Execution>,
}

impl Step {
    /// A step in which nothing happened but a change of the case.
    pub fn quiet(case: Case) -> Self {
        Self { case, events: Vec::new(), former_request: None, former_execution: None }
    }
}

impl Case {
    /// The pending request, if there is one.
    pub fn pending(&self) -> Option<&Request> {
        self.request.as_ref().filter(|request| request.is_pending())
    }

    /// Until when the pending request can be answered; none before it was delivered.
    pub fn deadline(&self) -> Option<Timestamp> {
        match &self.request {
            Some(Request { state: RequestState::Pending { expires }, .. }) => *expires,
            Some(_) | None => None,
        }
    }

    /// The execution that may still come to something, if there is one.
    pub fn live(&self) -> Option<&Execution> {
        self.execution.as_ref().filter(|execution| execution.is_live())
    }

    /// Whether the death is not over.
    pub fn is_open(&self) -> bool {
        self.incident.state == IncidentState::Open
    }
}

/// A case for an agent that was just taken for dead.
pub fn open(agent: AgentName, timeout: Duration, known: &AgentFacts, facts: &Facts<'_>) -> Step {
    let incident = Incident {
        id: facts.fresh.incident.clone(),
        agent,
        mission: known.mission.clone(),
        host: known.host.clone(),
        opened_at: facts.now,
        last_healthy_at: known.last_healthy_at,
        timeout,
        reasons: known.reasons().to_vec(),
        state: IncidentState::Open,
        standing: Standing::Open,
        disposition: super::Disposition::New,
        request: None,
        execution: None,
        snoozed_until: None,
        tally: Tally::default(),
    };
    let events = vec![Event::Opened { reasons: incident.reasons.clone(), last_healthy_at: incident.last_healthy_at }];
    Step { events, ..Step::quiet(Case { incident, request: None, execution: None }) }
}

/// The pending request has reached somebody: its clock starts, once.
pub fn delivered(mut case: Case, now: Timestamp, ttl: Duration) -> Case {
    if let Some(request) = &mut case.request {
        let end = now.plus(ttl);
        request.delivered(now, ttl);
        // A snooze that came before the first delivery holds for the end, too.
        if let Some(until) = case.incident.snoozed_until {
            request.extend(end.max(until.plus(ttl)));
        }
    }
    case
}

/// The pending request stays answerable until `until` at least: nobody could answer while we, or
/// the channel, were down.
pub fn extended(mut case: Case, until: Timestamp) -> Case {
    if let Some(request) = &mut case.request {
        request.extend(until);
    }
    case
}

/// The wall clock jumped by `by_ms`: every deadline keeps the time it had left.
pub fn deadlines_moved(mut case: Case, by_ms: i64) -> Case {
    let shift = |at: &mut Timestamp| *at = Timestamp::from_millis(at.as_millis().saturating_add(by_ms));
    case.incident.snoozed_until.as_mut().map(shift);
    case.incident.tally.wait_until.as_mut().map(shift);
    if let Some(Request { state: RequestState::Pending { expires: Some(expires) }, .. }) = &mut case.request {
        shift(expires);
    }
    if let Some(execution) = &mut case.execution {
        match &mut execution.state {
            // A machine that was asleep may have slept over a decision: what is ready only ever gets older.
            ExecutionState::Ready if by_ms < 0 => shift(&mut execution.ready_at),
            ExecutionState::Ready => {}
            ExecutionState::Done { verification } | ExecutionState::Unknown { verification, .. } => {
                shift(&mut verification.since);
                shift(&mut verification.deadline);
                verification.first_healthy.as_mut().map(shift);
            }
            ExecutionState::Running { .. }
            | ExecutionState::CalledOff { .. }
            | ExecutionState::Failed { .. }
            | ExecutionState::Verified { .. }
            | ExecutionState::NotRecovered { .. } => {}
        }
    }
    case
}

/// The store is a restored backup: what it knows of approvals may be long over. The pending request
/// is withdrawn, so that people are asked anew under a new key, and what was ready does not run.
pub fn restored(case: Case, facts: &Facts<'_>) -> Step {
    let mut work = Work::new(case, facts);
    work.withdraw(Withdrawal::Restored);
    if matches!(&work.case.execution, Some(Execution { state: ExecutionState::Ready, .. })) {
        work.call_off(CalledOff::Restored);
    }
    work.done()
}

/// A step in the making. All changes of a case go through these verbs.
pub(super) struct Work<'f, 'p> {
    pub case: Case,
    pub events: Vec<Event>,
    pub facts: &'f Facts<'p>,
    former_request: Option<Request>,
    former_execution: Option<Execution>,
}

impl<'f, 'p> Work<'f, 'p> {
    pub fn new(case: Case, facts: &'f Facts<'p>) -> Self {
        Self { case, events: Vec::new(), facts, former_request: None, former_execution: None }
    }

    pub fn done(self) -> Step {
        Step {
            case: self.case,
            events: self.events,
            former_request: self.former_request,
            former_execution: self.former_execution,
        }
    }

    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// The policy's word after what was tried: *yes* becomes *ask* where acting by itself has not
    /// helped, cannot help, or might meet a command that still runs.
    pub fn effective_mode(&self, agent: &AgentFacts) -> Mode {
        let tally = &self.case.incident.tally;
        let reasons = &self.case.incident.reasons;
        let only_the_provider = !reasons.is_empty() && reasons.iter().all(Reason::is_the_providers);
        match agent.mode {
            Mode::Yes
                if tally.attempts >= self.facts.timing.attempts_max
                    || tally.may_still_run
                    || tally.asked_by_hand
                    || !tally.did_not_take_over.is_empty()
                    || only_the_provider =>
            {
                Mode::Ask
            }
            as_it_is => as_it_is,
        }
    }

    /// What a request about `agent` can offer right now. Who has not taken over before is not suggested again.
    pub fn offers(&self, agent: &AgentFacts) -> Offers {
        let not_again = &self.case.incident.tally.did_not_take_over;
        let substitutes = agent.fit_substitutes().filter(|who| !not_again.contains(who)).cloned().collect();
        Offers { restart: agent.can_restart, substitutes }
    }

    /// Closes the pending request, if there is one. `Request::close` cannot refuse a pending one.
    pub fn close_request(&mut self, state: RequestState) -> Option<crate::approval::RequestId> {
        let request = self.case.request.as_mut().filter(|request| request.is_pending())?;
        request.close(state).ok()?;
        Some(request.id.clone())
    }

    pub fn withdraw(&mut self, because: Withdrawal) {
        let state = RequestState::Withdrawn { at: self.facts.now, because: because.clone() };
        if let Some(request) = self.close_request(state) {
            self.case.incident.snoozed_until = None;
            self.tell(Event::Withdrawn { request, because });
        }
    }

    /// Asks people: a new request under a new key.
    pub fn make_request(&mut self, agent: &AgentFacts) {
        let fresh = &self.facts.fresh;
        let offers = self.offers(agent);
        let incident = &mut self.case.incident;
        let key =
            ApprovalKey::new(incident.agent.clone(), agent.mission.clone(), self.facts.now, fresh.last_key_second);
        incident.tally.wait_until = None;
        incident.tally.told = None;
        let request = Request {
            id: fresh.request.clone(),
            incident: incident.id.clone(),
            key: key.clone(),
            code: fresh.code,
            agent: incident.agent.clone(),
            mission: agent.mission.clone(),
            host: agent.host.clone(),
            created_at: self.facts.now,
            offers,
            state: RequestState::Pending { expires: None },
        };
        self.tell(Event::Asked { request: request.id.clone(), key, code: request.code });
        self.case.incident.request = Some(request.id.clone());
        self.former_request = self.case.request.replace(request);
    }

    /// Makes an execution that may begin. The caller has seen to it that none is live.
    pub fn make_execution(&mut self, (mission, host): (MissionName, Option<String>), action: Action, basis: Basis) {
        let incident = &self.case.incident;
        let execution = Execution {
            id: self.facts.fresh.execution.clone(),
            incident: incident.id.clone(),
            agent: incident.agent.clone(),
            mission,
            host,
            action: action.clone(),
            basis,
            ready_at: self.facts.now,
            attempt: 0,
            run: None,
            invocation_before: None,
            takeover: None,
            state: ExecutionState::Ready,
        };
        let by_policy = execution.basis == Basis::Policy;
        self.tell(Event::Ready { execution: execution.id.clone(), action, by_policy });
        self.case.incident.execution = Some(execution.id.clone());
        self.former_execution = self.case.execution.replace(execution);
    }

    /// The ready execution does not begin. The request it came from stays approved; what people
    /// see is "approved by …, not run because …".
    pub fn call_off(&mut self, because: CalledOff) {
        let Some(execution) = self.case.execution.as_mut().filter(|one| one.state == ExecutionState::Ready) else {
            return;
        };
        execution.take_offer_back();
        execution.state = ExecutionState::CalledOff { at: self.facts.now, because: because.clone() };
        let (id, request) = (
            execution.id.clone(),
            match &execution.basis {
                Basis::Policy => None,
                Basis::Request { request, .. } => Some(request.clone()),
            },
        );
        let incident = &mut self.case.incident;
        match (&because, &request) {
            (CalledOff::OnHold | CalledOff::Observing, Some(request)) => {
                incident.standing = Standing::ApprovedNotRun { request: request.clone() };
            }
            _ => {
                if incident.tally.called_off.as_ref() == Some(&because) {
                    incident.tally.wait_until = Some(self.facts.now.plus(self.facts.timing.reask_after));
                }
                incident.tally.called_off = Some(because.clone());
            }
        }
        self.tell(Event::CalledOff { execution: id, request, because });
    }

    /// Asking or trying led nowhere: the pause before people are asked anew, doubling each time.
    pub fn pause(&mut self) -> Timestamp {
        let timing = self.facts.timing;
        let tally = &mut self.case.incident.tally;
        let factor = 1u32.checked_shl(tally.fruitless).unwrap_or(u32::MAX);
        let pause = timing.reask_after.saturating_mul(factor).min(timing.reask_max);
        tally.fruitless = tally.fruitless.saturating_add(1);
        let until = self.facts.now.plus(pause);
        tally.wait_until = Some(until);
        until
    }

    /// An execution did not help: what comes next.
    pub fn attempt_was_fruitless(&mut self) -> Next {
        self.case.incident.standing = Standing::Open;
        let took_over_nothing =
            self.case.execution.as_ref().filter(|one| one.takeover.is_some()).and_then(|one| one.substitute().cloned());
        let asked_in_vain = took_over_nothing.is_some();
        if let Some(who) = took_over_nothing
            && !self.case.incident.tally.did_not_take_over.contains(&who)
        {
            self.case.incident.tally.did_not_take_over.push(who);
        }
        self.case.incident.tally.attempts = self.case.incident.tally.attempts.saturating_add(1);
        let Some(agent) = &self.facts.agent else {
            return Next::AsksAnew(self.pause());
        };
        match (agent.mode, self.effective_mode(agent)) {
            (Mode::Yes, Mode::Yes) => {
                let tally = &mut self.case.incident.tally;
                let pauses = &self.facts.timing.back_off;
                let nth = (tally.attempts as usize).saturating_sub(1).min(pauses.len().saturating_sub(1));
                let until = self.facts.now.plus(pauses.get(nth).copied().unwrap_or(Duration::ZERO));
                tally.wait_until = Some(until);
                Next::TriesAgain(until)
            }
            // *Yes* has just become *ask*, or nobody can say what a command did: ask at once.
            (Mode::Yes, Mode::Ask | Mode::No) => {
                self.case.incident.tally.wait_until = None;
                Next::Asks
            }
            // Somebody said no, or nothing: the next one is offered to the people at once.
            (Mode::Ask | Mode::No, _) if asked_in_vain || self.case.incident.tally.may_still_run => {
                self.case.incident.tally.wait_until = None;
                Next::Asks
            }
            (Mode::Ask | Mode::No, _) => Next::AsksAnew(self.pause()),
        }
    }
}
