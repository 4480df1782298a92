use futures_util::future::BoxFuture;
use serde_json::Value;

use super::answers::{Beaten, Handoffs, Page};
use super::problem::Problem;
use crate::mission::limit::StateFile;
use crate::mission::{Claim, MissionError, Nonce, ResumePacket};
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::{Reader, StoreError};

/// What the running daemon offers to agents.
pub trait AgentDesk: Send + Sync + 'static {
    /// Where tokens are looked up.
    fn reader(&self) -> &Reader;

    /// The daemon's clock.
    fn now(&self) -> Timestamp;

    /// Who of the people (or the gateway itself) acts under this name by now: a token that was issued before counts
    /// for nothing then.
    fn whose_name(&self, agent: &AgentName) -> Option<String>;

    /// Does what an agent asks for, in one transaction with its answer.
    fn act(&self, ask: Ask) -> BoxFuture<'_, Result<Acted, StoreError>>;

    /// A page of a mission's stream.
    fn page(&self, agent: AgentName, mission: MissionName, of: PageOf) -> BoxFuture<'_, Read<Page>>;

    /// The handoffs that wait for the agent's answer.
    fn offers(&self, agent: AgentName) -> BoxFuture<'_, Result<Handoffs, StoreError>>;

    /// What the recipient of a handoff goes on with.
    fn packet(&self, agent: AgentName, mission: MissionName, handoff: String) -> BoxFuture<'_, Read<ResumePacket>>;

    /// A state that was too large for its event, as the event names it.
    fn state(&self, agent: AgentName, mission: MissionName, file: StateFile) -> BoxFuture<'_, Read<Option<Vec<u8>>>>;

    /// An agent lives.
    fn beat(&self, agent: AgentName, beat: Beat) -> BoxFuture<'_, Read<Beaten>>;
}

/// Something to read, or why the bus does not allow it.
pub type Read<T> = Result<Result<T, Refused>, StoreError>;

/// Which events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageOf {
    /// Those after this number, the oldest first.
    pub after: Option<i64>,
    /// Else those before this number, the newest first; none: from the end.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// What an agent asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who, by its token.
    pub agent: AgentName,
    /// In which mission.
    pub mission: MissionName,
    /// As which incarnation.
    pub claim: Option<Claim>,
    /// Under which key, if it is to be done once however often it is sent.
    pub key: Option<Key>,
    /// When it came in.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// Under which key something was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The agent's own.
    pub key: String,
    /// A hash of what was asked for: a key stands for one thing.
    pub request: String,
}

/// What can be done.
#[derive(Clone, Debug)]
pub enum What {
    /// An incarnation begins.
    Attach(Nonce),
    /// A message.
    Publish {
        /// What it is about.
        topic: String,
        /// What is said.
        payload: Value,
    },
    /// A checkpoint.
    Checkpoint {
        /// In a sentence.
        summary: String,
        /// What it takes to go on.
        state: Value,
        /// Files and addresses that belong to it.
        artifacts: Vec<Value>,
    },
    /// The work is offered to another.
    Handoff {
        /// To whom.
        recipient: AgentName,
        /// From which checkpoint on; none: the newest of the agent's own, or else of the mission.
        checkpoint: Option<String>,
        /// What the recipient should know.
        note: String,
    },
    /// An offer is taken.
    Accept {
        /// Which handoff.
        handoff: String,
    },
    /// An offer is not taken.
    Decline {
        /// Which handoff.
        handoff: String,
        /// Why not.
        reason: String,
    },
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Acted {
    /// It was done, now or under the same key before; the answer.
    Done(Value),
    /// The key stands for something else.
    KeyTaken,
    /// The bus does not allow it.
    Refused(Refused),
}

/// A refusal of the bus, with those who could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub error: MissionError,
    /// Who has the capability that is missing, by name.
    pub held_by: Vec<AgentName>,
}

impl Refused {
    /// As it is told: `what` was refused.
    pub fn problem(self, what: &str) -> Problem {
        Problem::refused(what, &self.error, &self.held_by)
    }
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// In which mission its incarnation attached; none: the one that the policy has it on.
    pub mission: Option<MissionName>,
    /// As which incarnation.
    pub claim: Option<Claim>,
    /// How far it is, by its own count.
    pub progress: Option<u64>,
    /// Until when it says to be busy.
    pub busy_until: Option<Timestamp>,
}
