//! What agents send, as JSON. Unknown keys are refused: one that is misspelt would be lost in silence.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::mission::{Claim, MissionError, Nonce};

/// Which incarnation of the agent writes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Incarnation {
    /// The epoch that attaching told.
    #[schema(minimum = 0)]
    pub epoch: i64,
    /// The nonce that attached.
    #[schema(min_length = 16, max_length = 128, pattern = "^[A-Za-z0-9_-]+$")]
    pub nonce: String,
}

impl Incarnation {
    /// As the bus takes it.
    pub fn claim(of: Option<&Self>) -> Result<Option<Claim>, MissionError> {
        of.map(|one| Ok(Claim { epoch: one.epoch, nonce: Nonce::new(&one.nonce)? })).transpose()
    }
}

/// An incarnation begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAttach {
    /// Random, made anew at each boot of the agent: 16 to 128 of `A-Z a-z 0-9 - _`.
    #[schema(min_length = 16, max_length = 128, pattern = "^[A-Za-z0-9_-]+$")]
    pub nonce: String,
}

/// A message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// What it is about.
    #[schema(min_length = 1, max_length = 100)]
    pub topic: String,
    /// What is said.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// Who writes; needed from the agent's first attach on.
    pub incarnation: Option<Incarnation>,
}

/// A checkpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCheckpoint {
    /// How far the work is, in a sentence.
    #[schema(min_length = 1, max_length = 500)]
    pub summary: String,
    /// Whatever it takes to go on. One that is too large for an event becomes a file, which the event names.
    #[serde(default = "nothing")]
    #[schema(value_type = Object)]
    pub state: Value,
    /// Files and addresses that belong to it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub artifacts: Vec<Value>,
    /// Who writes; needed from the agent's first attach on.
    pub incarnation: Option<Incarnation>,
}

/// Work is offered to another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHandoff {
    /// To whom.
    pub recipient: String,
    /// From which checkpoint on, by its id; absent: the newest of one's own, or else of the mission.
    pub checkpoint: Option<String>,
    /// What the recipient should know.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub note: String,
    /// Who writes; needed from the agent's first attach on.
    pub incarnation: Option<Incarnation>,
}

/// An offer is taken.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccept {
    /// Who writes; needed from the agent's first attach on.
    pub incarnation: Option<Incarnation>,
}

/// An offer is not taken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDecline {
    /// Why not.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
    /// Who writes; needed from the agent's first attach on.
    pub incarnation: Option<Incarnation>,
}

/// A sign of life.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBeat {
    /// In which mission the incarnation attached; absent: the one that the policy has the agent on.
    pub mission: Option<String>,
    /// How far it is, by its own count: whatever changes when work is done.
    #[schema(minimum = 0)]
    pub progress: Option<u64>,
    /// Inside one long operation until then (RFC 3339): it is not taken for dead before. Absent: not busy.
    #[schema(format = DateTime)]
    pub busy_until: Option<String>,
    /// Who lives; needed from the agent's first attach on.
    pub incarnation: Option<Incarnation>,
}

fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Which page of the stream.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Events after this number, the oldest first: 0 begins at the beginning.
    #[param(minimum = 0)]
    pub after: Option<i64>,
    /// Events before this number, the newest first; without `after` and `before`, the newest.
    #[param(minimum = 1)]
    pub before: Option<i64>,
    /// At most so many, up to 200; 50 unless said otherwise.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// Which state.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StateQuery {
    /// Its size, as the event names it.
    #[param(minimum = 0)]
    pub bytes: u64,
}
