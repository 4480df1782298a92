use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Awaited, CalledOff, ExecutionId};
use crate::approval::{Action, ApprovalKey, Channel, Code, InputId, PersonId, RequestId, Withdrawal};
use crate::pool::{Reason, Timestamp};

/// All that can happen to a case. The journal keeps each, and [`crate::wording`] says those aloud
/// that people are told. Kept on disk: add variants and optional fields, change none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The agent was taken for dead.
    Opened {
        /// Why it is unhealthy.
        reasons: Vec<Reason>,
        /// When it was last seen healthy.
        last_healthy_at: Option<Timestamp>,
    },
    /// People are asked.
    Asked {
        /// The request.
        request: RequestId,
        /// Its key.
        key: ApprovalKey,
        /// Its code.
        code: Code,
    },
    /// What the request offers has changed: its copies show the new substitutes.
    OffersChanged {
        /// The request.
        request: RequestId,
    },
    /// The request is shown afresh: a snooze ended, or somebody asked for it.
    ShownAgain {
        /// The request.
        request: RequestId,
    },
    /// Somebody signed something off.
    Approved {
        /// The request.
        request: RequestId,
        /// What.
        action: Action,
        /// Who.
        by: PersonId,
        /// How.
        via: Channel,
        /// The evidence.
        input: InputId,
    },
    /// It was signed off, and nothing runs.
    NotRun {
        /// The request.
        request: RequestId,
        /// Why.
        because: CalledOff,
    },
    /// Somebody said no.
    Denied {
        /// The request.
        request: RequestId,
        /// Who.
        by: PersonId,
        /// How.
        via: Channel,
        /// The evidence.
        input: InputId,
        /// Why.
        reason: Option<String>,
    },
    /// Nobody answered in time.
    Expired {
        /// The request.
        request: RequestId,
        /// When people are asked anew, if it is dead then.
        next: Timestamp,
    },
    /// The request was taken back.
    Withdrawn {
        /// The request.
        request: RequestId,
        /// Why.
        because: Withdrawal,
    },
    /// Somebody wants quiet.
    Snoozed {
        /// Until then.
        until: Timestamp,
        /// Who.
        by: PersonId,
        /// How.
        via: Channel,
    },
    /// An approver wants people to be asked anew.
    AskedByHand {
        /// Who.
        by: PersonId,
        /// How.
        via: Channel,
    },
    /// An execution may begin.
    Ready {
        /// The execution.
        execution: ExecutionId,
        /// What it does.
        action: Action,
        /// By the policy's *yes*; else by a request.
        by_policy: bool,
    },
    /// An execution was not begun after all.
    CalledOff {
        /// The execution.
        execution: ExecutionId,
        /// The request it came from, if not from the policy.
        request: Option<RequestId>,
        /// Why.
        because: CalledOff,
    },
    /// A command is started.
    Started {
        /// The execution.
        execution: ExecutionId,
        /// What it does.
        action: Action,
        /// The name of its run file.
        run: String,
    },
    /// It is proven that the command never started, and it is tried again.
    NeverStarted {
        /// The execution.
        execution: ExecutionId,
    },
    /// The command ended well. "Restarted" is not "alive": that is looked at now.
    Done {
        /// The execution.
        execution: ExecutionId,
        /// What it did.
        action: Action,
        /// The substitute was told, and has not said yet whether it takes over.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        asks: bool,
    },
    /// The command failed.
    Failed {
        /// The execution.
        execution: ExecutionId,
        /// What it should have done.
        action: Action,
        /// How it failed.
        why: String,
        /// What comes next.
        next: Next,
    },
    /// Nobody can say what the command did; it may still run.
    Unknown {
        /// The execution.
        execution: ExecutionId,
        /// What it should have done.
        action: Action,
        /// Why nobody can say.
        why: String,
    },
    /// It really lives (of a substitution: the substitute does, and has the packet).
    Verified {
        /// The execution.
        execution: ExecutionId,
        /// What it did.
        action: Action,
        /// From the command's return to the proof.
        after: Duration,
    },
    /// It does not.
    NotRecovered {
        /// The execution.
        execution: ExecutionId,
        /// What it did.
        action: Action,
        /// What is missing.
        why: String,
        /// What comes next.
        next: Next,
    },
    /// It lived, and is unhealthy again before the incident was closed.
    Relapsed {
        /// Why it is unhealthy.
        reasons: Vec<Reason>,
        /// What comes next.
        next: Next,
    },
    /// Whoever stood in for it is dead or gone.
    StandInLost,
    /// The policy says no; nobody is asked.
    Suppressed,
    /// There is no way to revive it.
    Unrecoverable,
    /// It would have been acted on, were it not for the hold (or `--observe`).
    Held {
        /// What would have been done.
        action: Action,
        /// The gateway only observes.
        observing: bool,
    },
    /// It waits.
    Waits {
        /// For what.
        for_: Awaited,
    },
    /// The agent was healthy for long enough.
    Recovered {
        /// Healthy since.
        since: Timestamp,
    },
    /// The agent left the registry.
    Gone,
}

/// What comes after an execution that did not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// It is tried again at that time.
    TriesAgain(Timestamp),
    /// People are asked, at once.
    Asks,
    /// People are asked anew at that time.
    AsksAnew(Timestamp),
}

impl Event {
    /// The word the journal's `kind` column has: the variant's name.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Asked { .. } => "asked",
            Self::OffersChanged { .. } => "offers_changed",
            Self::ShownAgain { .. } => "shown_again",
            Self::Approved { .. } => "approved",
            Self::NotRun { .. } => "not_run",
            Self::Denied { .. } => "denied",
            Self::Expired { .. } => "expired",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Snoozed { .. } => "snoozed",
            Self::AskedByHand { .. } => "asked_by_hand",
            Self::Ready { .. } => "ready",
            Self::CalledOff { .. } => "called_off",
            Self::Started { .. } => "started",
            Self::NeverStarted { .. } => "never_started",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
            Self::Verified { .. } => "verified",
            Self::NotRecovered { .. } => "not_recovered",
            Self::Relapsed { .. } => "relapsed",
            Self::StandInLost => "stand_in_lost",
            Self::Suppressed => "suppressed",
            Self::Unrecoverable => "unrecoverable",
            Self::Held { .. } => "held",
            Self::Waits { .. } => "waits",
            Self::Recovered { .. } => "recovered",
            Self::Gone => "gone",
        }
    }
}
