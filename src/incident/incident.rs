use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CalledOff, ExecutionId};
use crate::approval::{Action, PersonId, RequestId};
use crate::pool::{AgentName, IncidentId, MissionName, Reason, Timestamp};

/// Whether a death is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum IncidentState {
    /// The agent is dead, or not healthy for long enough yet.
    Open,
    /// It was healthy for `healthy_for`.
    Recovered {
        /// When it was closed.
        at: Timestamp,
    },
    /// It left the registry.
    Gone {
        /// When it was closed.
        at: Timestamp,
    },
}

impl IncidentState {
    /// The word the store and `--json` use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Recovered { .. } => "recovered",
            Self::Gone { .. } => "gone",
        }
    }
}

/// What people or executions have settled about a death; it lasts until something unsettles it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing: the policy decides what happens next.
    #[default]
    Open,
    /// Somebody said no: nothing happens until it was healthy, or an approver asks anew.
    Denied {
        /// Who.
        by: PersonId,
        /// When.
        at: Timestamp,
    },
    /// Somebody signed it off while nothing may run: it stays so until the hold ends.
    ApprovedNotRun {
        /// Which request.
        request: RequestId,
    },
    /// Another agent does its work; asks no more until that one dies.
    Substituted {
        /// Which one.
        by: AgentName,
    },
    /// A restart was verified; what is left is that it stays healthy.
    Revived {
        /// By which execution.
        execution: ExecutionId,
    },
}

/// What was tried and asked so far, for back-off, escalation and the history on the card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Executions that failed, did not help or are unknown.
    pub attempts: u32,
    /// How often in a row asking or trying led nowhere; each doubles the wait.
    pub fruitless: u32,
    /// Until when nothing new is begun.
    pub wait_until: Option<Timestamp>,
    /// A command may still be running: *yes* becomes *ask* (invariant 6).
    pub may_still_run: bool,
    /// An approver asked for a request by hand: *yes* becomes *ask*.
    pub asked_by_hand: bool,
    /// Substitutes that took over nothing although they were asked to: they declined, stayed silent or died. They
    /// are not suggested again, and *yes* becomes *ask*.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub did_not_take_over: Vec<AgentName>,
    /// What the last execution was called off for; the second time in a row waits.
    pub called_off: Option<CalledOff>,
    /// The last thing people were told that is told only once.
    pub told: Option<Told>,
}

/// Things that are told once, and again only after they changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// There is no way to revive it.
    Unrecoverable,
    /// The policy says no.
    Suppressed,
    /// It would have been acted on, were it not for the hold.
    Held,
    /// It would have been acted on, were the gateway not only observing.
    Observed,
}

/// What becomes of an open incident at present, and why nothing more: recomputed at each tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "disposition")]
pub enum Disposition {
    /// Not planned yet.
    #[default]
    New,
    /// People are asked.
    Asking {
        /// By this request.
        request: RequestId,
    },
    /// People are asked, and want quiet for a while.
    Snoozed {
        /// Until then.
        until: Timestamp,
    },
    /// It would be acted on, but nothing may run.
    Held {
        /// What keeps it.
        by: Keeper,
    },
    /// An execution is under way.
    Reviving {
        /// This one.
        execution: ExecutionId,
        /// Which does that.
        action: Action,
    },
    /// The agent is healthy; the incident closes once it stays so.
    Recovering {
        /// Healthy since.
        since: Timestamp,
    },
    /// Another agent does its work.
    Substituted {
        /// This one.
        by: AgentName,
    },
    /// Somebody said no.
    Denied {
        /// Who.
        by: PersonId,
    },
    /// The policy says no.
    Suppressed,
    /// Something is awaited.
    Waiting {
        /// What.
        for_: Awaited,
    },
    /// There is nothing the gateway could do.
    GaveUp,
}

/// What keeps an execution from being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// A hold.
    Hold,
    /// `--observe`.
    Observe,
}

/// What a waiting incident waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// The end of a back-off, or of the pause before people are asked anew.
    Time {
        /// Its end.
        until: Timestamp,
    },
    /// An answer from its health signals.
    Answer,
    /// The end of another execution that touches the agent.
    OtherExecution,
}

impl Disposition {
    /// The word the store and `--json` use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Asking { .. } => "asking",
            Self::Snoozed { .. } => "snoozed",
            Self::Held { .. } => "held",
            Self::Reviving { .. } => "reviving",
            Self::Recovering { .. } => "recovering",
            Self::Substituted { .. } => "substituted",
            Self::Denied { .. } => "denied",
            Self::Suppressed => "suppressed",
            Self::Waiting { .. } => "waiting",
            Self::GaveUp => "gave_up",
        }
    }
}

/// One death of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its identity in the store.
    pub id: IncidentId,
    /// Who died.
    pub agent: AgentName,
    /// In which mission, by the policy in force when it was last planned.
    pub mission: MissionName,
    /// Where; none is this machine.
    pub host: Option<String>,
    /// When the gateway took it for dead.
    pub opened_at: Timestamp,
    /// When it was last seen healthy; none: never.
    pub last_healthy_at: Option<Timestamp>,
    /// The `dead_timeout_seconds` that it exceeded.
    pub timeout: Duration,
    /// Why it is unhealthy, by the newest bad probe.
    pub reasons: Vec<Reason>,
    /// Whether it is over.
    pub state: IncidentState,
    /// What was settled about it.
    pub standing: Standing,
    /// What becomes of it at present.
    pub disposition: Disposition,
    /// The newest request about it.
    pub request: Option<RequestId>,
    /// The newest execution for it.
    pub execution: Option<ExecutionId>,
    /// Quiet until then.
    pub snoozed_until: Option<Timestamp>,
    /// What was tried and asked.
    pub tally: Tally,
}
