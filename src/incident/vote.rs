//! What people say about a case, and why it may be refused. A refusal is a value with a name: its
//! sender gets an answer, and the request stays as it was.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::case::{Step, Work};
use super::{Basis, CalledOff, Case, Disposition, Event, Execution, ExecutionState, Facts, Standing};
use crate::approval::{Action, Channel, Decision, InputId, PersonId, RequestState, Speaker};
use crate::pool::{AgentName, Health, MissionName, Mode, Timestamp};

/// What a person wants of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ballot {
    /// Restart it.
    Approve,
    /// Leave it dead.
    Deny {
        /// Why.
        reason: Option<String>,
    },
    /// Let that one take over.
    Substitute(AgentName),
    /// Be quiet for so long from when it was said.
    Snooze(Duration),
}

/// One person's word on one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who, as the channel proved it.
    pub by: PersonId,
    /// How.
    pub via: Channel,
    /// The evidence.
    pub input: InputId,
    /// When it entered the inbox; lateness is judged by this.
    pub entered_at: Timestamp,
    /// What.
    pub ballot: Ballot,
    /// The key or account that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<Speaker>,
}

/// Why a candidate cannot take over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unfit {
    /// It is not among the agent's configured substitutes.
    NotConfigured,
    /// It is not healthy.
    NotHealthy,
    /// Something else is being done with it, or it stands in for another agent already.
    NotFree,
    /// There is no `substitute` command that could tell it.
    NoDelivery,
}

/// Why somebody's word was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "refused")]
pub enum Refusal {
    /// The person does not approve that mission.
    NotAllowed {
        /// Who.
        person: PersonId,
        /// Which mission.
        mission: MissionName,
    },
    /// It came after the request's end.
    TooLate {
        /// That end.
        expired_at: Timestamp,
    },
    /// The request is closed already.
    Closed {
        /// How.
        state: RequestState,
    },
    /// The agent cannot be restarted from here.
    NotRestartable {
        /// Who could take over instead.
        substitutes: Vec<AgentName>,
    },
    /// That agent cannot take over.
    Unfit {
        /// Who.
        agent: AgentName,
        /// Why not.
        why: Unfit,
        /// Who could.
        substitutes: Vec<AgentName>,
    },
    /// Another execution touches the agent at this moment.
    Busy,
    /// A snooze longer than allowed.
    SnoozeTooLong {
        /// The longest.
        at_most: Duration,
    },
    /// The agent left the registry.
    Gone,
    /// Nothing to ask about: it is being revived.
    BeingRevived,
    /// Nothing to ask about: it is healthy, or not dead for long enough.
    NotDead {
        /// Who.
        agent: AgentName,
    },
    /// The policy says no for that mission; asking by hand does not change it.
    PolicySaysNo {
        /// Which mission.
        mission: MissionName,
    },
}

/// Takes in one person's word on the case's newest request.
pub fn vote(case: Case, vote: &Vote, facts: &Facts<'_>) -> Result<Step, Refusal> {
    let mut work = Work::new(case, facts);
    let Some(request) = &work.case.request else {
        return Err(Refusal::NotDead { agent: work.case.incident.agent.clone() });
    };
    if !facts.may_decide(&vote.by, &request.mission) {
        return Err(Refusal::NotAllowed { person: vote.by.clone(), mission: request.mission.clone() });
    }
    if !request.is_pending() {
        return work.vote_after_the_end(vote).map(|()| work.done());
    }
    if request.too_late(vote.entered_at) {
        return Err(Refusal::TooLate { expired_at: request.expires().unwrap_or(vote.entered_at) });
    }
    match &vote.ballot {
        Ballot::Approve => work.sign_off(Action::Restart, vote)?,
        Ballot::Substitute(who) => work.sign_off(Action::Substitute(who.clone()), vote)?,
        Ballot::Deny { reason } => work.deny(reason.clone(), vote),
        Ballot::Snooze(for_) => work.snooze(*for_, vote)?,
    }
    Ok(work.done())
}

/// An approver wants people to be asked (anew), also after a denial.
pub fn ask(case: Case, by: &PersonId, via: Channel, facts: &Facts<'_>) -> Result<Step, Refusal> {
    let mut work = Work::new(case, facts);
    let agent = facts.agent.as_ref().ok_or(Refusal::Gone)?;
    if !facts.may_decide(by, &agent.mission) {
        return Err(Refusal::NotAllowed { person: by.clone(), mission: agent.mission.clone() });
    }
    if !work.case.is_open() || agent.health == Health::Healthy {
        return Err(Refusal::NotDead { agent: work.case.incident.agent.clone() });
    }
    if agent.mode == Mode::No {
        return Err(Refusal::PolicySaysNo { mission: agent.mission.clone() });
    }
    if work.case.live().is_some() {
        return Err(Refusal::BeingRevived);
    }
    work.tell(Event::AskedByHand { by: by.clone(), via });
    let incident = &mut work.case.incident;
    incident.standing = Standing::Open;
    incident.snoozed_until = None;
    incident.tally.wait_until = None;
    incident.tally.fruitless = 0;
    incident.tally.asked_by_hand = true;
    let pending = work.case.pending().map(|request| request.id.clone());
    // Planned at once: whoever asks is told whether people really are asked, and if not, what that waits for.
    let disposition = work.plan();
    work.settle_into(disposition);
    if let Some(request) = pending.filter(|id| work.case.pending().is_some_and(|request| request.id == *id)) {
        work.tell(Event::ShownAgain { request });
    }
    Ok(work.done())
}

impl Work<'_, '_> {
    fn sign_off(&mut self, action: Action, vote: &Vote) -> Result<(), Refusal> {
        let facts = self.facts;
        let agent = facts.agent.as_ref().ok_or(Refusal::Gone)?;
        let fit = || agent.fit_substitutes().cloned().collect::<Vec<_>>();
        match &action {
            Action::Restart if !agent.can_restart => return Err(Refusal::NotRestartable { substitutes: fit() }),
            Action::Restart => {}
            Action::Substitute(who) => {
                let candidate = agent.candidates.iter().find(|candidate| candidate.agent == *who);
                let why = match candidate {
                    None => Some(Unfit::NotConfigured),
                    Some(one) if !agent.can_substitute || !one.reachable => Some(Unfit::NoDelivery),
                    Some(one) if !one.health.is_healthy() => Some(Unfit::NotHealthy),
                    Some(one) if !one.free => Some(Unfit::NotFree),
                    Some(_) => None,
                };
                if let Some(why) = why {
                    return Err(Refusal::Unfit { agent: who.clone(), why, substitutes: fit() });
                }
            }
        }
        if agent.touched_by_other || self.case.live().is_some() {
            return Err(Refusal::Busy);
        }
        let decision = Decision {
            action: action.clone(),
            by: vote.by.clone(),
            via: vote.via,
            input: vote.input.clone(),
            at: facts.now,
            speaker: vote.speaker.clone(),
        };
        // Signed off is what was asked about: if mission or host are others by now, it is called off
        // before it runs, and people are asked about those.
        let asked = match &self.case.request {
            Some(request) => (request.mission.clone(), request.host.clone()),
            None => (agent.mission.clone(), agent.host.clone()),
        };
        let Some(request) = self.close_request(RequestState::Approved { decision }) else {
            return Err(Refusal::Busy);
        };
        self.answered();
        self.tell(Event::Approved {
            request: request.clone(),
            action: action.clone(),
            by: vote.by.clone(),
            via: vote.via,
            input: vote.input.clone(),
        });
        let kept_by = facts.keeper().map(|keeper| match keeper {
            super::Keeper::Hold => CalledOff::OnHold,
            super::Keeper::Observe => CalledOff::Observing,
        });
        match kept_by {
            Some(because) => {
                self.case.incident.standing = Standing::ApprovedNotRun { request: request.clone() };
                if let Some(by) = facts.keeper() {
                    self.case.incident.disposition = Disposition::Held { by };
                }
                self.tell(Event::NotRun { request, because });
            }
            None => {
                let execution = facts.fresh.execution.clone();
                self.case.incident.disposition = Disposition::Reviving { execution, action: action.clone() };
                self.make_execution(asked, action, Basis::Request { request, by: vote.by.clone() });
            }
        }
        Ok(())
    }

    fn deny(&mut self, reason: Option<String>, vote: &Vote) {
        let state =
            RequestState::Denied { by: vote.by.clone(), via: vote.via, at: self.facts.now, reason: reason.clone() };
        if let Some(request) = self.close_request(state) {
            self.answered();
            self.denied(request, reason, vote);
        }
    }

    fn denied(&mut self, request: crate::approval::RequestId, reason: Option<String>, vote: &Vote) {
        self.case.incident.standing = Standing::Denied { by: vote.by.clone(), at: self.facts.now };
        self.case.incident.disposition = Disposition::Denied { by: vote.by.clone() };
        self.tell(Event::Denied { request, by: vote.by.clone(), via: vote.via, input: vote.input.clone(), reason });
    }

    /// Snoozing is no decision: the request stays pending, and lives on past the snooze.
    fn snooze(&mut self, for_: Duration, vote: &Vote) -> Result<(), Refusal> {
        let timing = self.facts.timing;
        if for_ > timing.snooze_max {
            return Err(Refusal::SnoozeTooLong { at_most: timing.snooze_max });
        }
        let until = vote.entered_at.plus(for_);
        self.case.incident.snoozed_until = Some(until);
        self.case.incident.disposition = Disposition::Snoozed { until };
        self.case.incident.tally.fruitless = 0;
        if let Some(request) = &mut self.case.request {
            request.extend(until.plus(timing.approval_ttl));
        }
        self.tell(Event::Snoozed { until, by: vote.by.clone(), via: vote.via });
        Ok(())
    }

    /// A decision ends what snoozing, asking by hand and fruitless asking had built up.
    fn answered(&mut self) {
        self.case.incident.snoozed_until = None;
        self.case.incident.tally.fruitless = 0;
        self.case.incident.tally.asked_by_hand = false;
    }

    /// A closed request takes no vote, except one: a *deny* stops what was approved and has not
    /// begun yet.
    fn vote_after_the_end(&mut self, vote: &Vote) -> Result<(), Refusal> {
        let Some(request) = &self.case.request else { return Err(Refusal::Gone) };
        let refusal = Refusal::Closed { state: request.state.clone() };
        let id = request.id.clone();
        let ready = matches!(&self.case.execution, Some(Execution { state: ExecutionState::Ready, basis: Basis::Request { request, .. }, .. })
            if *request == id);
        let held = self.case.is_open()
            && matches!(&self.case.incident.standing, Standing::ApprovedNotRun { request } if *request == id);
        match &vote.ballot {
            Ballot::Deny { reason } if ready || held => {
                self.call_off(CalledOff::LaterDeny);
                self.denied(id, reason.clone(), vote);
                Ok(())
            }
            Ballot::Deny { .. } | Ballot::Approve | Ballot::Substitute(_) | Ballot::Snooze(_) => Err(refusal),
        }
    }
}
