use std::time::Duration;

use super::ExecutionId;
use crate::approval::{Code, Decision, People, PersonId, RequestId};
use crate::pool::{AgentName, Health, IncidentId, MissionName, Mode, Reason, Timestamp};

/// The durations that the machines go by; each is a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// An incident ends after the agent was healthy for so long.
    pub healthy_for: Duration,
    /// A request expires so long after its first delivery.
    pub approval_ttl: Duration,
    /// The pause before people are asked anew; doubles up to `reask_max`.
    pub reask_after: Duration,
    /// The longest such pause.
    pub reask_max: Duration,
    /// The longest snooze.
    pub snooze_max: Duration,
    /// How far apart the two healthy probes of a verification are.
    pub verify_gap: Duration,
    /// How long a verification may take.
    pub verify_for: Duration,
    /// An execution that could not begin for so long is called off.
    pub ready_max_age: Duration,
    /// The pauses after failed attempts under *yes*; the last one stands for all further ones.
    pub back_off: Vec<Duration>,
    /// After so many attempts in one incident, *yes* becomes *ask*.
    pub attempts_max: u32,
}

impl Default for Timing {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            healthy_for: minutes(1),
            approval_ttl: minutes(60),
            reask_after: minutes(15),
            reask_max: minutes(24 * 60),
            snooze_max: minutes(24 * 60),
            verify_gap: Duration::from_secs(5),
            verify_for: minutes(2),
            ready_max_age: minutes(5),
            back_off: vec![minutes(1), minutes(5), minutes(15)],
            attempts_max: 3,
        }
    }
}

/// Who could take over, and whether that is so right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The configured substitute.
    pub agent: AgentName,
    /// Its newest health.
    pub health: Health,
    /// No live execution touches it, and it stands in for nobody else.
    pub free: bool,
    /// There is a way to tell it.
    pub reachable: bool,
}

/// All that is known of a dead agent besides its own case: from the files in force, from the newest
/// committed probes, and from the other cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFacts {
    /// Its mission by the policy in force.
    pub mission: MissionName,
    /// Its host; none is this machine.
    pub host: Option<String>,
    /// Whether that is this machine.
    pub local: bool,
    /// What the policy says.
    pub mode: Mode,
    /// Its newest health.
    pub health: Health,
    /// When the probe that saw it began.
    pub seen_at: Timestamp,
    /// Since when it is healthy, if it is.
    pub healthy_since: Option<Timestamp>,
    /// When it was last seen healthy.
    pub last_healthy_at: Option<Timestamp>,
    /// Whether it can be restarted: locally, or by a template that applies.
    pub can_restart: bool,
    /// Whether a substitution can be delivered.
    pub can_substitute: bool,
    /// Its configured substitutes, in order.
    pub candidates: Vec<Candidate>,
    /// Whoever stands in for it, if somebody does, is dead or left the registry.
    pub stand_in_lost: bool,
    /// A live execution of another incident touches it.
    pub touched_by_other: bool,
}

impl AgentFacts {
    /// The substitutes that could take over right now, best first.
    pub fn fit_substitutes(&self) -> impl Iterator<Item = &AgentName> {
        let can = self.can_substitute;
        self.candidates
            .iter()
            .filter(move |one| can && one.reachable && one.free && one.health.is_healthy())
            .map(|one| &one.agent)
    }

    /// Whether `agent` could take over right now.
    pub fn is_fit(&self, agent: &AgentName) -> bool {
        self.fit_substitutes().any(|fit| fit == agent)
    }

    /// Why it is unhealthy by the newest probe; nothing if it is not.
    pub fn reasons(&self) -> &[Reason] {
        match &self.health {
            Health::Unhealthy(reasons) => reasons,
            Health::Healthy | Health::Unknown(_) | Health::Unobservable => &[],
        }
    }
}

/// Everything a step of a case may look at. `now` and the fresh ids are arguments like all else.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The gateway's clock.
    pub now: Timestamp,
    /// What is known of the agent; none: it left the registry.
    pub agent: Option<AgentFacts>,
    /// Nothing may be executed until somebody releases it.
    pub on_hold: bool,
    /// Nothing is ever executed in this run.
    pub observing: bool,
    /// Inputs that came before now are still to be worked off, or a channel still catches up: no
    /// request expires meanwhile.
    pub expiry_waits: bool,
    /// Who counts.
    pub people: &'a People,
    /// The durations in force.
    pub timing: &'a Timing,
    /// Ids for what this step may make.
    pub fresh: Fresh,
}

/// Ids and randomness for one step, made by the gateway; unused ones are thrown away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// For an incident.
    pub incident: IncidentId,
    /// For a request.
    pub request: RequestId,
    /// For a request; not given within the last 30 days.
    pub code: Code,
    /// The second of the agent's last approval key.
    pub last_key_second: Option<i64>,
    /// For an execution.
    pub execution: ExecutionId,
}

impl Facts<'_> {
    /// Whether anything may be executed at all, and if not, why.
    pub fn keeper(&self) -> Option<super::Keeper> {
        match (self.observing, self.on_hold) {
            (true, _) => Some(super::Keeper::Observe),
            (false, true) => Some(super::Keeper::Hold),
            (false, false) => None,
        }
    }

    /// Whether `person` may decide for `mission`.
    pub fn may_decide(&self, person: &PersonId, mission: &MissionName) -> bool {
        self.people.may_decide(person, mission)
    }

    /// Whether the key or account that decided is still that person's.
    pub fn is_still_theirs(&self, decision: &Decision) -> bool {
        let Some(speaker) = &decision.speaker else { return true };
        self.people.who(speaker).is_some_and(|person| person.id == decision.by)
    }
}
