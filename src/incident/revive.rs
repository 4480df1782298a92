//! An execution's way through its machine. What it does to the case stands here; the machine's
//! states are drawn in `execution.rs`.

use super::case::{Step, Work};
use super::{
    Basis, CalledOff, Case, Event, Execution, ExecutionState, Facts, Look, OfferStands, STARTS_MAX, Standing, Verdict,
    Verification,
};
use crate::approval::{Action, Request, RequestState};
use crate::pool::{Health, Mode};

/// What became of a started command, as its run file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// It ended with status 0.
    Done,
    /// It could not start, or ended by itself with another status.
    Failed(String),
    /// Nobody can say: a timeout, a signal, a cut connection, a vanished shim.
    Unknown(String),
    /// It is proven that it never started, and never can.
    NeverStarted,
}

/// Whether `execution` may begin right now (invariant 7): still dead? still allowed? substitute
/// still configured, healthy and free? `mode` is the policy's word after what was tried.
pub fn may_run(
    execution: &Execution,
    request: Option<&Request>,
    mode: Mode,
    facts: &Facts<'_>,
) -> Result<(), CalledOff> {
    let agent = facts.agent.as_ref().ok_or(CalledOff::Gone)?;
    if agent.health == Health::Healthy {
        return Err(CalledOff::Recovered);
    }
    if execution.mission != agent.mission || execution.host != agent.host {
        return Err(CalledOff::Moved);
    }
    match &execution.basis {
        Basis::Policy if mode != Mode::Yes => return Err(CalledOff::PolicyChanged),
        Basis::Policy => {}
        Basis::Request { .. } if mode == Mode::No => return Err(CalledOff::PolicyChanged),
        Basis::Request { request: id, by } => {
            let decision = request.filter(|request| request.id == *id).and_then(|request| match &request.state {
                RequestState::Approved { decision } => Some(decision),
                RequestState::Pending { .. }
                | RequestState::Denied { .. }
                | RequestState::Expired { .. }
                | RequestState::Withdrawn { .. } => None,
            });
            let signed_off = decision.filter(|one| one.action == execution.action && one.by == *by);
            let Some(decision) = signed_off.filter(|_| facts.may_decide(by, &agent.mission)) else {
                return Err(CalledOff::ApproverRevoked);
            };
            if !facts.is_still_theirs(decision) {
                return Err(CalledOff::IdentityRevoked);
            }
        }
    }
    match facts.keeper() {
        Some(super::Keeper::Observe) => return Err(CalledOff::Observing),
        Some(super::Keeper::Hold) => return Err(CalledOff::OnHold),
        None => {}
    }
    match &execution.action {
        Action::Restart if !agent.can_restart => return Err(CalledOff::NoMeans),
        Action::Substitute(_) if !agent.can_substitute => return Err(CalledOff::NoMeans),
        // Its own execution touches the substitute, so "free" here means: of all others.
        Action::Substitute(who) if !agent.is_fit(who) => return Err(CalledOff::SubstituteUnfit),
        Action::Restart | Action::Substitute(_) => {}
    }
    if facts.now.since(execution.ready_at) > facts.timing.ready_max_age {
        return Err(CalledOff::TooOld);
    }
    Ok(())
}

/// What an execution begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// The run file of the command that it starts; none where no command starts.
    pub run: Option<String>,
    /// The unit's incarnation by the newest probe.
    pub invocation: Option<String>,
    /// The handoff that is made with it, for a substitute that answers.
    pub handoff: Option<String>,
}

/// Begins the ready execution, or calls it off.
pub fn begin(case: Case, beginning: Beginning, facts: &Facts<'_>) -> Step {
    let mut work = Work::new(case, facts);
    if !work.may_begin() {
        return work.done();
    }
    if let Some(execution) = &mut work.case.execution {
        execution.attempt = execution.attempt.saturating_add(1);
        execution.invocation_before = execution.invocation_before.take().or(beginning.invocation);
        execution.takeover =
            beginning.handoff.map(|handoff| super::Takeover { handoff, stands: super::OfferStands::Offered });
        execution.state = ExecutionState::Running { since: facts.now };
        execution.run = beginning.run;
        let run = execution.run.clone().unwrap_or_default();
        let started = Event::Started { execution: execution.id.clone(), action: execution.action.clone(), run };
        work.case.incident.tally.called_off = None;
        work.tell(started);
    }
    work.done()
}

/// Calls the ready execution off if it may not begin; else nothing happens. For whoever prepares something for it.
pub fn recheck(case: Case, facts: &Facts<'_>) -> Step {
    let mut work = Work::new(case, facts);
    work.may_begin();
    work.done()
}

/// Calls the ready execution off.
pub fn call_off(case: Case, because: CalledOff, facts: &Facts<'_>) -> Step {
    let mut work = Work::new(case, facts);
    work.call_off(because);
    work.done()
}

impl Work<'_, '_> {
    /// Whether there is a ready execution that may begin; one that may not is called off.
    fn may_begin(&mut self) -> bool {
        let Some(execution) = self.case.execution.as_ref().filter(|one| one.state == ExecutionState::Ready) else {
            return false;
        };
        let mode = self.facts.agent.as_ref().map_or(Mode::No, |agent| self.effective_mode(agent));
        match may_run(execution, self.case.request.as_ref(), mode, self.facts) {
            Ok(()) => true,
            Err(because) => {
                self.call_off(because);
                false
            }
        }
    }
}

/// The running execution's command came to `conclusion`.
pub fn returned(case: Case, conclusion: Conclusion, facts: &Facts<'_>) -> Step {
    let mut work = Work::new(case, facts);
    let Some(running) = work.case.execution.as_mut() else { return work.done() };
    if !matches!(running.state, ExecutionState::Running { .. }) {
        return work.done();
    }
    let (execution, action) = (running.id.clone(), running.action.clone());
    match conclusion {
        Conclusion::Done => {
            running.state =
                ExecutionState::Done { verification: Verification::begin(facts.now, facts.timing.verify_for) };
            let asks = running.takeover.as_ref().is_some_and(|one| one.stands == OfferStands::Offered);
            work.tell(Event::Done { execution, action, asks });
        }
        Conclusion::Failed(why) => work.fail(why),
        Conclusion::Unknown(why) => {
            let verification = Verification::begin(facts.now, facts.timing.verify_for);
            running.state = ExecutionState::Unknown { verification, why: why.clone() };
            work.case.incident.tally.may_still_run = true;
            work.tell(Event::Unknown { execution, action, why });
        }
        Conclusion::NeverStarted if running.attempt < STARTS_MAX => {
            running.state = ExecutionState::Ready;
            running.ready_at = facts.now;
            work.tell(Event::NeverStarted { execution });
        }
        Conclusion::NeverStarted => work.fail(format!("its command could not be started {STARTS_MAX} times")),
    }
    work.done()
}

/// A probe of the agent that the done or unknown execution is to have brought to life.
pub fn looked(case: Case, look: &Look, facts: &Facts<'_>) -> Step {
    let mut work = Work::new(case, facts);
    let gap = facts.timing.verify_gap;
    let Some(execution) = work.case.execution.as_mut() else { return work.done() };
    let before = if execution.substitute().is_some() { None } else { execution.invocation_before.clone() };
    let substitution = execution.substitute().is_some();
    if let (Some(takeover), Some(stands)) = (&mut execution.takeover, &look.offer)
        && takeover.stands == OfferStands::Offered
    {
        takeover.stands = stands.clone();
    }
    let offer = execution.takeover.as_ref().map(|takeover| takeover.stands.clone());
    if let (
        Some(OfferStands::Offered),
        true,
        ExecutionState::Done { verification } | ExecutionState::Unknown { verification, .. },
    ) = (&offer, look.health.is_healthy(), &mut execution.state)
    {
        // It has as long as the offer lasts, as long as it lives.
        verification.deadline = verification.deadline.max(look.begun.plus(facts.timing.verify_for));
    }
    let (verdict, since) = match &mut execution.state {
        // A healthy substitute says nothing of whether it was ever told to take over; its answer does.
        ExecutionState::Unknown { verification, .. } if substitution && offer.is_none() => {
            (Verdict::GivenUp("nobody can say whether the packet was delivered".into()), verification.since)
        }
        ExecutionState::Done { verification } | ExecutionState::Unknown { verification, .. } => {
            let seen = verification.look(look, before.as_deref(), gap);
            (answered(seen, offer.as_ref()), verification.since)
        }
        ExecutionState::Ready
        | ExecutionState::Running { .. }
        | ExecutionState::CalledOff { .. }
        | ExecutionState::Failed { .. }
        | ExecutionState::Verified { .. }
        | ExecutionState::NotRecovered { .. } => return work.done(),
    };
    let (id, action) = (execution.id.clone(), execution.action.clone());
    match verdict {
        Verdict::Undecided => {}
        Verdict::Lives => {
            execution.state = ExecutionState::Verified { at: facts.now };
            work.case.incident.standing = match &action {
                Action::Restart => Standing::Revived { execution: id.clone() },
                Action::Substitute(by) => Standing::Substituted { by: by.clone() },
            };
            work.tell(Event::Verified { execution: id, action, after: facts.now.since(since) });
        }
        Verdict::GivenUp(why) => {
            execution.take_offer_back();
            execution.state = ExecutionState::NotRecovered { at: facts.now, why: why.clone() };
            let next = work.attempt_was_fruitless();
            work.tell(Event::NotRecovered { execution: id, action, why, next });
        }
    }
    work.done()
}

/// What the probes say, together with the substitute's own answer: until it has accepted, nobody is told that it took
/// over, however healthy it is.
fn answered(seen: Verdict, offer: Option<&OfferStands>) -> Verdict {
    match (offer, seen) {
        (Some(OfferStands::Declined { reason }), _) => Verdict::GivenUp(format!("it declined: {reason}")),
        (Some(OfferStands::Expired), _) => Verdict::GivenUp("it did not answer in time".into()),
        (Some(OfferStands::Offered), Verdict::Lives) => Verdict::Undecided,
        (None | Some(OfferStands::Offered | OfferStands::Accepted), seen) => seen,
    }
}

impl Work<'_, '_> {
    fn fail(&mut self, why: String) {
        let now = self.facts.now;
        let Some(execution) = self.case.execution.as_mut() else { return };
        execution.take_offer_back();
        execution.state = ExecutionState::Failed { at: now, why: why.clone() };
        let (id, action) = (execution.id.clone(), execution.action.clone());
        let next = self.attempt_was_fruitless();
        self.tell(Event::Failed { execution: id, action, why, next });
    }
}
