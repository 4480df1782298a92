//! The append-only record of everything decided, refused, sent and done. Each entry holds the hash
//! of the one before, so that none can be changed, taken out or moved unseen.
//!
//! The hash can be computed with other tools. It is SHA-256, in lower-case hex, over these seven
//! lines, joined by `\n`, without one at the end:
//!
//! ```text
//! v1
//! SEQ       decimal, from 1 on without gaps
//! AT        milliseconds since 1970, decimal
//! KIND      [a-z0-9_.-]+
//! AGENT     the agent's name; empty if the entry is about none
//! BODY      the JSON text exactly as stored; it holds no line break
//! PREV      the hash of the entry before; 64 zeros at the first
//! ```
//!
//! ```sh
//! sqlite3 -readonly lazarus.db "SELECT 'v1', seq, at, kind, ifnull(agent, ''), body, prev FROM journal WHERE seq = 7" \
//!     -separator $'\n' | head -c -1 | sha256sum
//! ```
//!
//! The chain shows what was changed inside it. That the *end* was cut off shows only against a head
//! that was noted elsewhere: [`verify`] returns it for that.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use super::row::{self, sql, stored};
use super::tx::{Reads, Tx};
use crate::pool::{AgentName, Timestamp};

/// The version of the bodies, in each as `v`.
pub const VERSION: u64 = 1;
/// Rows of one INSERT: 7 values each, far below SQLite's 32,766 and PostgreSQL's 65,535.
const ROWS: usize = 100;
/// Up to this many rows the statement is kept prepared: an input writes a few entries, rarely more.
const KEPT: usize = 8;
/// Entries that `verify` holds in memory at once.
const PAGE: i64 = 1000;

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What happened, `[a-z0-9_.-]+`.
    pub kind: String,
    /// The agent that it is about.
    pub agent: Option<AgentName>,
    /// The facts: a JSON object. `v` is added.
    pub body: Value,
}

stored! { "journal",
    /// A recorded entry.
    pub struct JournalRow {
        /// Its place, from 1 on.
        pub seq: i64,
        /// When it was recorded.
        pub at: Timestamp,
        /// What happened.
        pub kind: String,
        /// The agent that it is about.
        pub agent: Option<AgentName>,
        /// The facts, as JSON.
        pub body: String,
        /// The hash of the entry before.
        pub prev: String,
        /// The hash of this one.
        pub hash: String,
    }
}

/// The end of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last entry; 0 if there is none.
    pub seq: i64,
    /// Its hash; 64 zeros if there is none.
    pub hash: String,
}

/// What reading the whole chain has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Every entry is as it was written.
    Whole {
        /// The end of the chain.
        head: Head,
    },
    /// The chain is broken; what comes before `seq` is whole.
    Broken {
        /// The first entry that is wrong or missing.
        seq: i64,
        /// What is wrong with it.
        why: String,
    },
}

/// Which entries a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only entries about this agent.
    pub agent: Option<AgentName>,
    /// Only entries of this kind.
    pub kind: Option<String>,
    /// Only entries recorded at this moment or later.
    pub since: Option<Timestamp>,
}

/// Appends `entries` in their order, all at `now`; returns the new head.
pub async fn append(tx: &mut Tx, entries: &[Entry], now: Timestamp) -> Result<Head, StoreError> {
    let mut last = match tx.journal_head.clone() {
        Some(head) => head,
        None => head(tx).await?,
    };
    for slice in entries.chunks(ROWS) {
        let mut rows = Vec::with_capacity(slice.len());
        for entry in slice {
            let row = chained(&last, entry, now)?;
            last = Head { seq: row.seq, hash: row.hash.clone() };
            rows.push(row);
        }
        let keep_prepared = rows.len() <= KEPT;
        let mut insert = sql("INSERT INTO journal (seq, at, kind, agent, body, prev, hash)");
        insert.push_rows(rows.into_iter().map(|row| {
            let agent = row.agent.map(String::from);
            let (at, kind) = (row.at.as_millis(), row.kind);
            [row.seq.into(), at.into(), kind.into(), agent.into(), row.body.into(), row.prev.into(), row.hash.into()]
        }));
        tx.run(if keep_prepared { insert } else { insert.once() }).await?;
    }
    tx.journal_head = Some(last.clone());
    Ok(last)
}

/// The end of the chain.
pub async fn head(db: &mut impl Reads) -> Result<Head, StoreError> {
    let last = sql("SELECT seq, at, kind, agent, body, prev, hash FROM journal ORDER BY seq DESC LIMIT 1");
    let last: Option<JournalRow> = row::optional(db, last).await?;
    Ok(last.map_or_else(beginning, |row| Head { seq: row.seq, hash: row.hash }))
}

/// The newest entries before `before` (None: from the end) that pass the filter, newest first.
pub async fn page(
    db: &mut impl Reads,
    before: Option<i64>,
    limit: u32,
    filter: &Filter,
) -> Result<Vec<JournalRow>, StoreError> {
    let mut select = sql("SELECT seq, at, kind, agent, body, prev, hash FROM journal WHERE seq < ");
    select.push_bind(before.unwrap_or(i64::MAX));
    if let Some(agent) = &filter.agent {
        select.push(" AND agent = ").push_bind(agent.as_str().to_owned());
    }
    if let Some(kind) = &filter.kind {
        select.push(" AND kind = ").push_bind(kind.clone());
    }
    if let Some(since) = filter.since {
        select.push(" AND at >= ").push_bind(since.as_millis());
    }
    select.push(" ORDER BY seq DESC LIMIT ").push_bind(i64::from(limit));
    row::all(db, select).await
}

/// Reads the whole chain, page by page, in one snapshot. `progress` gets how many entries were
/// read and how many there are.
pub async fn verify(db: &mut impl Reads, mut progress: impl FnMut(u64, u64) + Send) -> Result<Verified, StoreError> {
    let count = row::number(db, sql("SELECT COUNT(*) FROM journal")).await?.unwrap_or(0);
    let count = u64::try_from(count).unwrap_or(0);
    let (mut head, mut read) = (beginning(), 0);
    loop {
        let next =
            sql("SELECT seq, at, kind, agent, body, prev, hash FROM journal WHERE seq > $1 ORDER BY seq LIMIT $2");
        let rows: Vec<JournalRow> = match row::all(db, next.bind(head.seq).bind(PAGE)).await {
            Ok(rows) => rows,
            // A column that cannot even be read was changed as well.
            Err(StoreError::Inconsistent { row, column, why, .. }) => {
                let seq = row.parse().unwrap_or(head.seq + 1);
                return Ok(Verified::Broken { seq, why: format!("{column}: {why}") });
            }
            Err(error) => return Err(error),
        };
        for row in &rows {
            if let Some(why) = fault(&head, row) {
                return Ok(Verified::Broken { seq: head.seq + 1, why });
            }
            head = Head { seq: row.seq, hash: row.hash.clone() };
        }
        if rows.is_empty() {
            // What numbers itself 0 or below stands before every page.
            let strays = row::number(db, sql("SELECT MIN(seq) FROM journal WHERE seq < 1")).await?;
            return Ok(match strays {
                Some(seq) => Verified::Broken { seq, why: "there is an entry before the first".into() },
                None => Verified::Whole { head },
            });
        }
        read += rows.len() as u64;
        progress(read, count);
    }
}

/// What is wrong with `row` as the one after `head`.
fn fault(head: &Head, row: &JournalRow) -> Option<String> {
    if row.seq != head.seq + 1 {
        return Some(format!("it is missing; the next one is {}", row.seq));
    }
    if row.prev != head.hash {
        return Some("it does not follow the one before".into());
    }
    if row.hash != hash_of(row) {
        return Some("its content does not have its hash".into());
    }
    None
}

fn beginning() -> Head {
    Head { seq: 0, hash: "0".repeat(64) }
}

fn chained(last: &Head, entry: &Entry, now: Timestamp) -> Result<JournalRow, StoreError> {
    let invalid = |why: &str| StoreError::Invalid { table: "journal", row: entry.kind.clone(), why: why.to_owned() };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
    if entry.kind.is_empty() || !entry.kind.chars().all(plain) {
        return Err(invalid("a kind has only a-z, 0-9, '_', '.' and '-'"));
    }
    let mut body = entry.body.as_object().cloned().ok_or_else(|| invalid("the body is no JSON object"))?;
    body.entry("v").or_insert(VERSION.into());
    let mut row = JournalRow {
        seq: last.seq + 1,
        at: now,
        kind: entry.kind.clone(),
        agent: entry.agent.clone(),
        body: Value::Object(body).to_string(),
        prev: last.hash.clone(),
        hash: String::new(),
    };
    row.hash = hash_of(&row);
    Ok(row)
}

fn hash_of(row: &JournalRow) -> String {
    let agent = row.agent.as_ref().map_or("", |agent| agent.as_str());
    let lines = format!("v1\n{}\n{}\n{}\n{agent}\n{}\n{}", row.seq, row.at.as_millis(), row.kind, row.body, row.prev);
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(lines) {
        hex.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        hex.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    hex
}
