//! What is next for an open case, or why nothing is. Runs for each open case at each tick and
//! after each change; on unchanged facts it changes nothing.

use super::case::{Step, Work};
use super::revive::may_run;
use super::{
    AgentFacts, Awaited, Basis, Case, Disposition, Event, ExecutionState, Facts, IncidentState, Keeper, Standing, Told,
};
use crate::approval::{Action, RequestState, Withdrawal};
use crate::pool::{Health, Mode};

/// Plans `case` under the facts of the moment.
pub fn tick(case: Case, facts: &Facts<'_>) -> Step {
    let mut work = Work::new(case, facts);
    if work.case.is_open() {
        let disposition = work.plan();
        work.settle_into(disposition);
    }
    work.done()
}

impl Work<'_, '_> {
    pub(super) fn plan(&mut self) -> Disposition {
        let facts = self.facts;
        let Some(agent) = &facts.agent else {
            return self.plan_gone();
        };
        if let Some(reviving) = self.plan_live_execution(agent) {
            return reviving;
        }
        match &agent.health {
            Health::Healthy => return self.plan_healthy(agent),
            Health::Unhealthy(reasons) => self.case.incident.reasons = reasons.clone(),
            // No answer is no evidence: nothing new is begun, what is pending stays answerable.
            Health::Unknown(_) | Health::Unobservable => {}
        }
        let answers = matches!(agent.health, Health::Unhealthy(_));
        if answers {
            self.unsettle(agent);
        }
        if let Some(asking) = self.plan_pending(agent) {
            return asking;
        }
        if self.case.incident.mission != agent.mission || self.case.incident.host != agent.host {
            self.case.incident.mission = agent.mission.clone();
            self.case.incident.host = agent.host.clone();
        }
        if let Some(settled) = self.settled() {
            return settled;
        }
        if !answers {
            return Disposition::Waiting { for_: Awaited::Answer };
        }
        let mode = self.effective_mode(agent);
        if mode == Mode::No {
            if self.case.incident.tally.told != Some(Told::Suppressed) {
                self.case.incident.tally.told = Some(Told::Suppressed);
                self.tell(Event::Suppressed);
            }
            return Disposition::Suppressed;
        }
        if let Some(until) = self.case.incident.snoozed_until.filter(|until| facts.now < *until) {
            return Disposition::Snoozed { until };
        }
        self.case.incident.snoozed_until = None;
        if let Some(until) = self.case.incident.tally.wait_until.filter(|until| facts.now < *until) {
            return Disposition::Waiting { for_: Awaited::Time { until } };
        }
        match mode {
            Mode::Yes => self.plan_acting(agent),
            Mode::Ask | Mode::No => {
                self.make_request(agent);
                self.asking()
            }
        }
    }

    /// The agent left the registry: its death is over as soon as no command runs any more.
    fn plan_gone(&mut self) -> Disposition {
        self.call_off(super::CalledOff::Gone);
        if let Some(live) = self.case.live() {
            return Disposition::Reviving { execution: live.id.clone(), action: live.action.clone() };
        }
        self.withdraw(Withdrawal::Gone);
        self.case.incident.state = IncidentState::Gone { at: self.facts.now };
        self.tell(Event::Gone);
        self.case.incident.disposition.clone()
    }

    fn plan_live_execution(&mut self, agent: &AgentFacts) -> Option<Disposition> {
        let live = self.case.live()?;
        if live.state == ExecutionState::Ready
            && let Err(because) = may_run(live, self.case.request.as_ref(), self.effective_mode(agent), self.facts)
        {
            self.call_off(because);
            return None;
        }
        Some(Disposition::Reviving { execution: live.id.clone(), action: live.action.clone() })
    }

    fn plan_healthy(&mut self, agent: &AgentFacts) -> Disposition {
        let since = agent.healthy_since.unwrap_or(self.facts.now);
        // By probes, not by the clock: between two of them nobody has seen it.
        if agent.seen_at.since(since) < self.facts.timing.healthy_for {
            return Disposition::Recovering { since };
        }
        self.withdraw(Withdrawal::Recovered);
        self.case.incident.state = IncidentState::Recovered { at: self.facts.now };
        self.case.incident.snoozed_until = None;
        self.tell(Event::Recovered { since });
        Disposition::Recovering { since }
    }

    /// What was settled lasts until the world contradicts it.
    fn unsettle(&mut self, agent: &AgentFacts) {
        match &self.case.incident.standing {
            Standing::Revived { .. } => {
                let next = self.attempt_was_fruitless();
                self.tell(Event::Relapsed { reasons: agent.reasons().to_vec(), next });
            }
            Standing::Substituted { .. } if agent.stand_in_lost => {
                self.case.incident.standing = Standing::Open;
                self.tell(Event::StandInLost);
            }
            Standing::ApprovedNotRun { .. } if self.facts.keeper().is_none() => {
                self.case.incident.standing = Standing::Open;
            }
            Standing::Open
            | Standing::Denied { .. }
            | Standing::ApprovedNotRun { .. }
            | Standing::Substituted { .. } => {}
        }
    }

    fn settled(&self) -> Option<Disposition> {
        match &self.case.incident.standing {
            Standing::Open | Standing::Revived { .. } => None,
            Standing::Denied { by, .. } => Some(Disposition::Denied { by: by.clone() }),
            Standing::Substituted { by } => Some(Disposition::Substituted { by: by.clone() }),
            Standing::ApprovedNotRun { .. } => {
                Some(Disposition::Held { by: self.facts.keeper().unwrap_or(Keeper::Hold) })
            }
        }
    }

    /// The upkeep of a pending request; none if there is none, or none any more.
    fn plan_pending(&mut self, agent: &AgentFacts) -> Option<Disposition> {
        let now = self.facts.now;
        let mode = self.effective_mode(agent);
        let request = self.case.pending()?;
        if mode != Mode::Ask {
            self.withdraw(Withdrawal::PolicyChanged);
            return None;
        }
        if request.mission != agent.mission || request.host != agent.host {
            self.withdraw(Withdrawal::Moved);
            return None;
        }
        if request.too_late(now) && !self.facts.expiry_waits {
            let next = self.pause();
            if let Some(request) = self.close_request(RequestState::Expired { at: now }) {
                self.case.incident.tally.asked_by_hand = false;
                self.tell(Event::Expired { request, next });
            }
            return None;
        }
        let offers = self.offers(agent);
        let id = request.id.clone();
        if request.offers != offers {
            if let Some(request) = &mut self.case.request {
                request.offers = offers;
            }
            self.tell(Event::OffersChanged { request: id.clone() });
        }
        match self.case.incident.snoozed_until {
            Some(until) if now < until => return Some(Disposition::Snoozed { until }),
            Some(_) => {
                self.case.incident.snoozed_until = None;
                self.tell(Event::ShownAgain { request: id });
            }
            None => {}
        }
        Some(self.asking())
    }

    /// Under *yes*: a local agent is restarted, a remote one prefers a healthy substitute.
    fn plan_acting(&mut self, agent: &AgentFacts) -> Disposition {
        let substitute = agent.fit_substitutes().next().cloned().map(Action::Substitute);
        let restart = agent.can_restart.then_some(Action::Restart);
        let action = if agent.local { restart.or(substitute) } else { substitute.or(restart) };
        let Some(action) = action else {
            if self.case.incident.tally.told != Some(Told::Unrecoverable) {
                self.case.incident.tally.told = Some(Told::Unrecoverable);
                self.tell(Event::Unrecoverable);
            }
            return Disposition::GaveUp;
        };
        if let Some(by) = self.facts.keeper() {
            let (told, observing) = match by {
                Keeper::Hold => (Told::Held, false),
                Keeper::Observe => (Told::Observed, true),
            };
            if self.case.incident.tally.told != Some(told) {
                self.case.incident.tally.told = Some(told);
                self.tell(Event::Held { action, observing });
            }
            return Disposition::Held { by };
        }
        if agent.touched_by_other {
            return Disposition::Waiting { for_: Awaited::OtherExecution };
        }
        self.case.incident.tally.told = None;
        self.make_execution((agent.mission.clone(), agent.host.clone()), action.clone(), Basis::Policy);
        Disposition::Reviving { execution: self.facts.fresh.execution.clone(), action }
    }

    fn asking(&self) -> Disposition {
        match self.case.pending() {
            Some(request) => Disposition::Asking { request: request.id.clone() },
            None => Disposition::New,
        }
    }

    /// Waiting is journaled when it begins or changes, so that "why did it do nothing?" has an answer.
    pub(super) fn settle_into(&mut self, disposition: Disposition) {
        if disposition != self.case.incident.disposition
            && let Disposition::Waiting { for_ } = &disposition
        {
            self.tell(Event::Waits { for_: for_.clone() });
        }
        self.case.incident.disposition = disposition;
    }
}
