//! ```text
//!            ┌─► approved   a person's vote: restart, or substitute whom
//!            ├─► denied     a person's vote
//!  pending ──┤
//!            ├─► expired    nobody answered in time; nothing runs (invariant 6)
//!            └─► withdrawn  it recovered, the policy no longer asks, it moved, or was superseded
//! ```
//! One way only. `expires` is unset until the request was first delivered to anybody: the clock
//! must not run before a person could have read the packet.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ApprovalKey, Channel, Code, PersonId, Speaker};
use crate::pool::{AgentName, IncidentId, MissionName, Timestamp};

/// Identifies a request in the store; people use its [`Code`] or [`ApprovalKey`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub String);

/// Identifies an input: what somebody said, as it entered the inbox. Made by the sender, so that
/// saying it again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InputId(pub String);

/// What is to be done to a dead agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Restart this very agent.
    Restart,
    /// Let this one take over.
    Substitute(AgentName),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart => f.write_str("restart"),
            Self::Substitute(who) => write!(f, "substitute {who}"),
        }
    }
}

/// A vote that closed a request with something to do, and where its evidence is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was signed off.
    pub action: Action,
    /// By whom.
    pub by: PersonId,
    /// On which channel.
    pub via: Channel,
    /// The raw input that said so, kept in the inbox for good.
    pub input: InputId,
    /// When that input was worked off.
    pub at: Timestamp,
    /// The very key or account that said so: it must still be that person's when something is done about it.
    /// Unknown of what was decided before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<Speaker>,
}

/// What the packet offers to its readers; what is not offered is not accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offers {
    /// Whether it can be restarted: local, or a template applies.
    pub restart: bool,
    /// Who could take over right now, best first.
    pub substitutes: Vec<AgentName>,
}

/// Why a request was taken back without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// The agent is healthy again.
    Recovered,
    /// The agent left the registry.
    Gone,
    /// The policy now says yes or no.
    PolicyChanged,
    /// Its mission or host is another one now.
    Moved,
    /// The store is a restored backup: everything pending is asked anew under new keys.
    Restored,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RequestState {
    /// People may answer.
    Pending {
        /// From when on it is too late; unset until first delivered.
        expires: Option<Timestamp>,
    },
    /// Somebody signed something off.
    Approved {
        /// What, who, when, how.
        decision: Decision,
    },
    /// Somebody said no.
    Denied {
        /// Who.
        by: PersonId,
        /// On which channel.
        via: Channel,
        /// When.
        at: Timestamp,
        /// Why, as told.
        reason: Option<String>,
    },
    /// Nobody answered in time.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// It was taken back.
    Withdrawn {
        /// When.
        at: Timestamp,
        /// Why.
        because: Withdrawal,
    },
}

impl RequestState {
    /// The word the store and `--json` use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Approved { .. } => "approved",
            Self::Denied { .. } => "denied",
            Self::Expired { .. } => "expired",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }
}

/// One packet that asks people about one incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its identity in the store.
    pub id: RequestId,
    /// The death it is about.
    pub incident: IncidentId,
    /// The reference's key; the same as long as it is pending.
    pub key: ApprovalKey,
    /// The key's short form.
    pub code: Code,
    /// Who died.
    pub agent: AgentName,
    /// In which mission.
    pub mission: MissionName,
    /// Where; none is this machine.
    pub host: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it offered when it was last shown.
    pub offers: Offers,
    /// Where it stands.
    pub state: RequestState,
}

/// The request is closed already, and a closed request stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed;

impl Request {
    /// Whether people may still answer.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, RequestState::Pending { .. })
    }

    /// When it was closed, if it was.
    pub fn closed_at(&self) -> Option<Timestamp> {
        match &self.state {
            RequestState::Pending { .. } => None,
            RequestState::Approved { decision } => Some(decision.at),
            RequestState::Denied { at, .. } | RequestState::Expired { at } | RequestState::Withdrawn { at, .. } => {
                Some(*at)
            }
        }
    }

    /// From when on it is too late, where that is known.
    pub fn expires(&self) -> Option<Timestamp> {
        match self.state {
            RequestState::Pending { expires } => expires,
            _ => None,
        }
    }

    /// Somebody has it before them: the clock starts, once.
    pub fn delivered(&mut self, now: Timestamp, ttl: Duration) -> bool {
        match &mut self.state {
            RequestState::Pending { expires: expires @ None } => {
                *expires = Some(now.plus(ttl));
                true
            }
            _ => false,
        }
    }

    /// Makes it answerable until `until` at least: after a start, an outage or a snooze. A request
    /// that was never delivered has no end yet, and gets none by this.
    pub fn extend(&mut self, until: Timestamp) -> bool {
        match &mut self.state {
            RequestState::Pending { expires: Some(expires) } if *expires < until => {
                *expires = until;
                true
            }
            _ => false,
        }
    }

    /// Whether a vote that entered the inbox at `entered` came too late.
    pub fn too_late(&self, entered: Timestamp) -> bool {
        self.expires().is_some_and(|expires| entered >= expires)
    }

    /// Closes it; refused where it is closed already.
    pub fn close(&mut self, state: RequestState) -> Result<(), Closed> {
        if !self.is_pending() || matches!(state, RequestState::Pending { .. }) {
            return Err(Closed);
        }
        self.state = state;
        Ok(())
    }
}
