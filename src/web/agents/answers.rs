//! What agents are answered, as JSON.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The incarnation has the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attached {
    /// The mission.
    pub mission: String,
    /// The agent, by its token.
    pub agent: String,
    /// The epoch to be named in every write.
    #[schema(minimum = 0)]
    pub epoch: i64,
}

/// The event is in the stream.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Appended {
    /// Its number, from 1.
    #[schema(minimum = 1)]
    pub sequence: i64,
    /// Its id: of a checkpoint, what a handoff names.
    pub id: String,
    /// The epoch under which it was taken.
    #[schema(minimum = 0)]
    pub epoch: i64,
    /// Its hash, which the next event holds.
    pub hash: String,
}

/// How a handoff stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Handoff {
    /// The mission.
    pub mission: String,
    /// The handoff's id.
    pub handoff_id: String,
    /// Whose part of the mission it moves.
    pub part: String,
    /// Who offers it.
    pub sender: String,
    /// Who may accept.
    pub recipient: String,
    /// "offered", "accepted", "declined" or "expired".
    pub state: String,
    /// Until when it can be accepted (RFC 3339).
    pub expires_at: String,
}

/// The handoffs that wait for one's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Handoffs {
    /// The oldest first; at most 100.
    pub handoffs: Vec<Handoff>,
}

/// A handoff was accepted or declined, now or before.
pub type Answered = Handoff;

/// An event of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Event {
    /// Its number, from 1.
    #[schema(minimum = 1)]
    pub sequence: i64,
    /// The epoch under which it was taken.
    #[schema(minimum = 0)]
    pub epoch: i64,
    /// Its hash.
    pub hash: String,
    /// The event itself.
    #[schema(value_type = Object)]
    pub event: Value,
}

/// A page of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Page {
    /// The events: after `after` the oldest first, else the newest first.
    pub events: Vec<Event>,
    /// Whether there are more in that direction.
    pub more: bool,
}

/// The sign of life is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Beaten {
    /// Whether it is a signal of the agent's health: `agents.heartbeats` in the gateway's file says so.
    pub counts: bool,
    /// Until when the agent is taken to be busy (RFC 3339), if it said so; never longer than is allowed.
    pub busy_until: Option<String>,
    /// The gateway's clock (RFC 3339).
    pub now: String,
}
