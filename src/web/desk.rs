use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::missions::{BusReader, NotShown, Seen};
use crate::approval::{Answer, InputId, PersonId, Said};
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::{Reader, StoreError};
use crate::wording::{AlarmView, RelayView, Setting, SweepView, TaskView};

/// What the running daemon offers to those who come in by the local socket or its terminal.
///
/// One desk, one way in: [`Desk::submit`] puts what was said into the inbox and waits for its answer.
/// All that is read comes from the store; the rest here is what only the running daemon knows.
pub trait Desk: Send + Sync + 'static {
    /// Puts `said` into the inbox under `id` (the same id again is the same input again) and waits
    /// until it was worked off, some seconds at most. The future may be dropped at any await: the
    /// input stays in the inbox, and its answer is kept there.
    fn submit(&self, id: InputId, said: Said) -> impl Future<Output = Result<Submitted, StoreError>> + Send;

    /// Who this user of the machine is, by the people in force.
    fn person_of(&self, uid: u32) -> Option<PersonId>;

    /// Where everything is read from.
    fn reader(&self) -> &Reader;

    /// How texts are to be written: the zone and the like.
    fn setting(&self) -> Setting;

    /// The daemon's clock.
    fn now(&self) -> Timestamp;

    /// How long after its first delivery a request expires.
    fn approval_ttl(&self) -> Duration;

    /// What only the running daemon knows of itself.
    fn live(&self) -> Live;

    /// Why things stand with `agent` as they do; none if no such agent is configured or stored.
    fn explain(&self, agent: &AgentName) -> impl Future<Output = Result<Option<Shown>, StoreError>> + Send;

    /// `document` as an event may hold it: a large one goes into a file beside the store.
    fn small_document(
        &self,
        document: serde_json::Value,
    ) -> impl Future<Output = Result<serde_json::Value, StoreError>> + Send;

    /// For whom something of `mission` is read when this user of the machine asks.
    fn bus_reader(&self, uid: u32, mission: &MissionName) -> BusReader;

    /// Journals that something was not shown to somebody who wanted it (`doing`).
    fn note_not_shown(&self, not: NotShown, doing: &'static str)
    -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether this user of the machine may send a mission now, and how large; to be asked before it is read.
    fn import_slot(&self, uid: u32) -> Result<ImportSlot, NoSlot>;

    /// Takes a whole mission over from the reference's form, for this user of the machine. It goes on when the
    /// future is dropped.
    fn import(
        &self,
        uid: u32,
        slot: ImportSlot,
        mission: serde_json::Value,
    ) -> impl Future<Output = Result<Seen, StoreError>> + Send;

    /// All metrics in the Prometheus text format.
    fn metrics_text(&self) -> String;
}

/// The place of the one mission that comes in at a time.
#[derive(Debug)]
pub struct ImportSlot {
    /// How large it may be.
    pub max_bytes: usize,
    /// Held until it is in.
    pub alone: tokio::sync::OwnedMutexGuard<()>,
}

/// Why no mission is taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSlot {
    /// Whoever asks may make none.
    NotAllowed {
        /// For the person.
        text: String,
    },
    /// Another one comes in.
    Busy,
}

/// What became of something said, as far as it is known by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It was worked off, now or before, and this is its answer.
    Answered(Answer),
    /// It is safe in the inbox and still being worked off; the answer can be asked for by the id.
    Pending,
    /// The id stands for something else that was said: nothing was taken in.
    IdTaken,
}

impl Submitted {
    /// For the person, where nothing but words can be told.
    pub fn into_text(self) -> String {
        match self {
            Self::Answered(answer) => answer.text,
            Self::Pending => "It was received and is being worked off; see `history`.".into(),
            Self::IdTaken => "It was not received; say it again.".into(),
        }
    }
}

/// Something to read: for programs and for people, made from the same facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// For people: some lines, without a line break at the end.
    pub text: String,
    /// For programs: a JSON object.
    #[serde(flatten)]
    pub value: serde_json::Map<String, serde_json::Value>,
}

impl Shown {
    /// `text`, and the fields of `value`, which serialises to an object (anything else stands alone under
    /// `value`).
    pub fn new(text: impl Into<String>, value: &impl Serialize) -> Self {
        let value = match serde_json::to_value(value) {
            Ok(serde_json::Value::Object(fields)) => fields,
            Ok(other) => [("value".to_owned(), other)].into_iter().collect(),
            // Only a map with keys that are no text gets here; nothing shown has one.
            Err(_) => serde_json::Map::new(),
        };
        Self { text: text.into(), value }
    }
}

/// What only the running daemon knows of itself; the rest of [`StatusView`](crate::wording::StatusView) is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Since when it is at work.
    pub since: Timestamp,
    /// The newest sweep; none: not one has ended yet.
    pub sweep: Option<SweepView>,
    /// Alarms in force, the oldest first.
    pub alarms: Vec<AlarmView>,
    /// Where agents come in; none: that door is shut.
    pub agents: Option<std::net::SocketAddr>,
    /// Its tasks, by name.
    pub tasks: Vec<TaskView>,
    /// Relays, by address.
    pub relays: Vec<RelayView>,
}
