//! What the store has on record, read as the daemon's own readers do.

use std::fmt;

use lazarus_gate::pool::AgentName;
use lazarus_gate::store::executions::{self, ExecutionRow};
use lazarus_gate::store::journal::{self, Filter};
use lazarus_gate::store::requests::{self, RequestRow};
use lazarus_gate::store::{Read, Store, StoreError};
use serde_json::Value;

use super::World;

/// One entry of the journal.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub seq: i64,
    /// When, in unix milliseconds.
    pub at_ms: i64,
    /// What happened, in a word.
    pub kind: String,
    /// To whom.
    pub agent: Option<String>,
    /// All of it.
    pub body: Value,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, at_ms, kind, agent, body } = self;
        write!(f, "{seq:>4} {at_ms} {kind} {} {body}", agent.as_deref().unwrap_or("-"))
    }
}

/// Entries that are read at most; no story is longer.
const ENTRIES_MAX: u32 = 100_000;

impl World {
    /// The store's database file.
    pub fn store(&self) -> std::path::PathBuf {
        self.path("store/gate.db")
    }

    /// Reads something from the store; none while there is no store, or none that can be read.
    pub fn read<T>(&self, job: impl AsyncFnOnce(&mut Read) -> Result<T, StoreError>) -> Option<T> {
        self.runtime.block_on(async {
            let known = self.reader.borrow().clone();
            let reader = match known {
                Some(reader) => reader,
                None => {
                    let opened = Store::open_read_only(&self.store()).await.ok()?;
                    self.reader.borrow_mut().insert(opened).clone()
                }
            };
            let mut read = reader.read().await.ok()?;
            job(&mut read).await.ok()
        })
    }

    /// The whole journal, oldest first.
    pub fn journal(&self) -> Vec<Entry> {
        self.entries(Filter::default())
    }

    /// The journal's entries of one kind about an agent (`""`: about whomever), oldest first.
    pub fn journaled(&self, agent: &str, kind: &str) -> Vec<Entry> {
        let agent = (!agent.is_empty()).then(|| AgentName::new(agent).expect("an agent's name"));
        self.entries(Filter { agent, kind: Some(kind.to_owned()), ..Filter::default() })
    }

    fn entries(&self, filter: Filter) -> Vec<Entry> {
        let rows = self.read(async |read| journal::page(read, None, ENTRIES_MAX, &filter).await);
        let entries = rows.unwrap_or_default().into_iter().rev().map(|row| Entry {
            seq: row.seq,
            at_ms: row.at.as_millis(),
            kind: row.kind,
            agent: row.agent.map(|agent| agent.to_string()),
            body: serde_json::from_str(&row.body).expect("the journal's bodies are JSON"),
        });
        entries.collect()
    }

    /// Waits until the journal tells this of an agent; returns the newest such entry.
    pub fn until_journal(&self, agent: &str, kind: &str) -> Entry {
        self.until_journaled(agent, kind, 1)
    }

    /// Runs a statement on the store, as somebody with a database tool would.
    pub fn change_store(&self, statement: &'static str) {
        let connection = rusqlite::Connection::open(self.store()).expect("the store opens");
        connection.execute_batch(statement).expect("the statement runs");
        connection.close().expect("the store closes");
    }

    /// Waits until the journal tells this of an agent so many times; returns the newest such entry.
    pub fn until_journaled(&self, agent: &str, kind: &str, times: usize) -> Entry {
        self.until(&format!("the journal tells {kind:?} of {agent:?} {times} times"), |world| {
            let mut found = world.journaled(agent, kind);
            (found.len() >= times).then(|| found.pop()).flatten()
        })
    }

    /// How far a source was read, as the store has it.
    pub fn offset(&self, source: &str) -> Option<String> {
        self.read(async |read| lazarus_gate::store::inbox::offset(read, source).await).flatten()
    }

    /// An execution.
    pub fn execution(&self, id: &str) -> Option<ExecutionRow> {
        self.read(async |read| executions::load(read, id).await).flatten()
    }

    /// Executions that still can take effect, or are not verified yet.
    pub fn live_executions(&self) -> Vec<ExecutionRow> {
        self.read(async |read| executions::live(read).await).unwrap_or_default()
    }

    /// A request.
    pub fn request(&self, id: &str) -> Option<RequestRow> {
        self.read(async |read| requests::load(read, id).await).flatten()
    }
}
