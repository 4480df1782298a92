//! What was last observed of each agent, so that a restart does not forget who was healthy when.
//!
//! A sweep over 10,000 agents every 30 s must not rewrite 10,000 rows of which none has changed. So
//! a row is written when health or body changed, and otherwise only when it is older than a
//! refresh interval: [`Written`] remembers what the store holds and picks the rows that are due.
//! Every row gets a share of the interval of its own, between a half and the whole, so the refreshes
//! spread over the sweeps instead of coming all at once.
//!
//! What a kill can lose by this: `last_healthy_at` and `observed_at` of an agent *that stayed
//! healthy* are older by up to the interval. They are exact whenever its health changed, since the
//! changed row carries them. Too old a `last_healthy_at` can only make an agent that died while the
//! gate was down count as dead that much earlier, never a living one: it takes two unhealthy probes
//! after the start as well. A clean stop writes everything ([`Written::all`]).

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use super::row::{self, sql, stored, words};
use super::tx::{Reads, Tx};
use crate::pool::{AgentName, Timestamp};

/// How old the row of an unchanged agent may become.
pub const REFRESH: Duration = Duration::from_secs(180);
/// Rows of one INSERT: 6 values each.
const ROWS: usize = 500;

words! {
    /// What the probes say of an agent.
    pub enum Health {
        /// Every configured signal is good.
        Healthy = "healthy",
        /// A signal is bad.
        Unhealthy = "unhealthy",
        /// A signal gave no answer, and none is bad.
        Unknown = "unknown",
        /// The agent has no signal.
        Unobservable = "unobservable",
    }
}

stored! { "agents",
    /// What was last observed of one agent.
    pub struct AgentRow {
        /// Who.
        pub agent: AgentName,
        /// When it was last probed.
        pub observed_at: Timestamp,
        /// When it was last seen healthy.
        pub last_healthy_at: Option<Timestamp>,
        /// Since when it has been healthy without a break.
        pub healthy_since: Option<Timestamp>,
        /// What the probes say.
        pub health: Health,
        /// The signals behind that, as JSON.
        pub body: String,
    }
}

/// All agents, by name.
pub async fn load(db: &mut impl Reads) -> Result<Vec<AgentRow>, StoreError> {
    let select =
        sql("SELECT agent, observed_at, last_healthy_at, healthy_since, health, body FROM agents ORDER BY agent");
    row::all(db, select).await
}

/// One agent.
pub async fn find(db: &mut impl Reads, agent: &AgentName) -> Result<Option<AgentRow>, StoreError> {
    let select =
        sql("SELECT agent, observed_at, last_healthy_at, healthy_since, health, body FROM agents WHERE agent = $1");
    row::optional(db, select.bind(agent.as_str().to_owned())).await
}

/// Writes the rows, whether they are there already or not.
pub async fn record(tx: &mut Tx, rows: &[AgentRow]) -> Result<(), StoreError> {
    for slice in rows.chunks(ROWS) {
        let mut upsert = sql("INSERT INTO agents (agent, observed_at, last_healthy_at, healthy_since, health, body)");
        upsert.push_rows(slice.iter().map(|row| {
            let times = (row.last_healthy_at.map(Timestamp::as_millis), row.healthy_since.map(Timestamp::as_millis));
            let (agent, at) = (row.agent.as_str().to_owned(), row.observed_at.as_millis());
            [
                agent.into(),
                at.into(),
                times.0.into(),
                times.1.into(),
                row.health.as_str().into(),
                row.body.clone().into(),
            ]
        }));
        upsert.push(
            " ON CONFLICT (agent) DO UPDATE SET observed_at = excluded.observed_at,
                last_healthy_at = excluded.last_healthy_at, healthy_since = excluded.healthy_since,
                health = excluded.health, body = excluded.body",
        );
        tx.execute(if slice.len() == ROWS { upsert } else { upsert.once() }).await?;
    }
    Ok(())
}

/// Forgets agents that left the registry.
pub async fn forget(tx: &mut Tx, agents: &[AgentName]) -> Result<(), StoreError> {
    for agent in agents {
        tx.run(sql("DELETE FROM agents WHERE agent = $1").bind(agent.as_str().to_owned())).await?;
    }
    Ok(())
}

/// What the store holds of each agent, as far as the choice of due rows needs it.
#[derive(Clone, Debug, Default)]
pub struct Written {
    rows: BTreeMap<AgentName, Held>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    health: Health,
    /// A digest instead of the body: 10,000 bodies need not be held twice.
    body: [u8; 8],
    observed_at: Timestamp,
}

impl Written {
    /// The store holds `rows` ([`load`]).
    pub fn new(rows: &[AgentRow]) -> Self {
        let mut written = Self::default();
        written.note(rows);
        written
    }

    /// The rows that must be written now: new, changed, or unchanged and older than their share of
    /// `refresh`.
    pub fn due<'r>(&self, observed: &'r [AgentRow], refresh: Duration) -> Vec<&'r AgentRow> {
        observed.iter().filter(|row| self.is_due(row, refresh)).collect()
    }

    /// The rows that differ from what is stored in any way, if only in their times: for a clean stop.
    pub fn all<'r>(&self, observed: &'r [AgentRow]) -> Vec<&'r AgentRow> {
        observed.iter().filter(|row| self.is_due(row, Duration::ZERO)).collect()
    }

    /// `rows` are stored: the transaction that wrote them was committed.
    pub fn note<'r>(&mut self, rows: impl IntoIterator<Item = &'r AgentRow>) {
        for row in rows {
            self.rows.insert(row.agent.clone(), held(row));
        }
    }

    /// These agents are no longer stored.
    pub fn forget(&mut self, agents: &[AgentName]) {
        for agent in agents {
            self.rows.remove(agent);
        }
    }

    fn is_due(&self, row: &AgentRow, refresh: Duration) -> bool {
        let Some(stored) = self.rows.get(&row.agent) else { return true };
        let new = held(row);
        if (stored.health, stored.body) != (new.health, new.body) || new.observed_at < stored.observed_at {
            return true;
        }
        let age = new.observed_at.since(stored.observed_at);
        age > Duration::ZERO && age >= share(row.agent.as_str(), stored.observed_at, refresh)
    }
}

fn held(row: &AgentRow) -> Held {
    Held { health: row.health, body: digest(row.body.as_bytes()), observed_at: row.observed_at }
}

/// Between a half and the whole of `refresh`. Mixed from the agent and the time of its row, so that
/// agents once written together drift apart, and nothing random is needed.
fn share(agent: &str, stored_at: Timestamp, refresh: Duration) -> Duration {
    let part = u32::from(digest(format!("{agent} {}", stored_at.as_millis()).as_bytes())[0]);
    refresh / 2 + refresh * part / 512
}

fn digest(bytes: &[u8]) -> [u8; 8] {
    let digest = Sha256::digest(bytes);
    let mut short = [0; 8];
    short.copy_from_slice(&digest[..8]);
    short
}
