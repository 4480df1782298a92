//! What the door for agents keeps: who may act as which agent, what they were answered, who said to be busy.

use std::time::Duration;

use super::error::StoreError;
use super::row::{self, sql, stored};
use super::tx::{Reads, Tx};
use crate::pool::{AgentName, Timestamp};

stored! { "agent_tokens",
    /// An agent's token, as far as it is kept.
    pub struct AgentToken {
        /// Whose it is.
        pub agent: AgentName,
        /// When it was issued.
        pub issued_at: Timestamp,
        /// By whom.
        pub issued_by: String,
    }
}

stored! { "agent_answers",
    /// What was answered to a request.
    pub struct AnswerRow {
        /// The key under which it was sent.
        pub key: String,
        /// What was asked, as a hash.
        pub request: String,
        /// The answer, as JSON.
        pub body: String,
    }
}

stored! { "agent_busy",
    /// Until when an agent said to be busy.
    pub struct BusyRow {
        /// Which agent.
        pub agent: AgentName,
        /// Until then.
        pub until: Timestamp,
        /// When it said so.
        pub said_at: Timestamp,
    }
}

/// Keeps the hash of the agent's token; an earlier one counts no more.
pub async fn issue(tx: &mut Tx, agent: &AgentName, hash: &str, by: &str, now: Timestamp) -> Result<(), StoreError> {
    let upsert = sql("INSERT INTO agent_tokens (agent, hash, issued_at, issued_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (agent) DO UPDATE SET hash = excluded.hash, issued_at = excluded.issued_at,
         issued_by = excluded.issued_by")
    .bind(agent.as_str().to_owned())
    .bind(hash.to_owned())
    .bind(now.as_millis())
    .bind(by.to_owned());
    tx.insert("agent_tokens", agent.as_str(), upsert).await
}

/// Takes the agent's token away; tells whether it had one.
pub async fn revoke(tx: &mut Tx, agent: &AgentName) -> Result<bool, StoreError> {
    let delete = sql("DELETE FROM agent_tokens WHERE agent = $1").bind(agent.as_str().to_owned());
    Ok(tx.execute(delete).await? > 0)
}

/// Whose token has this hash. What is compared are hashes of what nobody can guess, so how long it takes tells
/// nothing.
pub async fn whose(db: &mut impl Reads, hash: &str) -> Result<Option<AgentToken>, StoreError> {
    let select = sql("SELECT agent, issued_at, issued_by FROM agent_tokens WHERE hash = $1").bind(hash.to_owned());
    row::optional(db, select).await
}

/// Who has a token, by name.
pub async fn tokens(db: &mut impl Reads) -> Result<Vec<AgentToken>, StoreError> {
    row::all(db, sql("SELECT agent, issued_at, issued_by FROM agent_tokens ORDER BY agent")).await
}

/// What the agent was answered under this key.
pub async fn answer(db: &mut impl Reads, agent: &AgentName, key: &str) -> Result<Option<AnswerRow>, StoreError> {
    let select = sql("SELECT key, request, body FROM agent_answers WHERE agent = $1 AND key = $2")
        .bind(agent.as_str().to_owned())
        .bind(key.to_owned());
    row::optional(db, select).await
}

/// Keeps an answer; `request` is the hash of what was asked.
pub async fn keep_answer(tx: &mut Tx, agent: &AgentName, answer: AnswerRow, now: Timestamp) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO agent_answers (agent, key, request, body, answered_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(agent.as_str().to_owned())
        .bind(answer.key.clone())
        .bind(answer.request)
        .bind(answer.body)
        .bind(now.as_millis());
    tx.insert("agent_answers", &answer.key, insert).await
}

/// Deletes up to `limit` answers from before `before`; tells how many.
pub async fn purge(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let delete = sql("DELETE FROM agent_answers WHERE (agent, key) IN (
             SELECT agent, key FROM agent_answers WHERE answered_at < $1 ORDER BY answered_at LIMIT $2)");
    tx.execute(delete.bind(before.as_millis()).bind(i64::from(limit))).await
}

/// Keeps until when the agent is busy; none: it is not any more.
pub async fn set_busy(
    tx: &mut Tx,
    agent: &AgentName,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let change = match until {
        Some(until) => sql("INSERT INTO agent_busy (agent, until, said_at) VALUES ($1, $2, $3)
             ON CONFLICT (agent) DO UPDATE SET until = excluded.until, said_at = excluded.said_at")
        .bind(agent.as_str().to_owned())
        .bind(until.as_millis())
        .bind(now.as_millis()),
        None => sql("DELETE FROM agent_busy WHERE agent = $1").bind(agent.as_str().to_owned()),
    };
    tx.run(change).await
}

/// Whoever is busy is so until earlier by that: the clock was set back.
pub async fn busy_ends_earlier(tx: &mut Tx, by: Duration) -> Result<(), StoreError> {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    tx.execute(sql("UPDATE agent_busy SET until = until - $1").bind(by)).await.map(drop)
}

/// Who said to be busy beyond `now`.
pub async fn busy(db: &mut impl Reads, now: Timestamp) -> Result<Vec<BusyRow>, StoreError> {
    let select = sql("SELECT agent, until, said_at FROM agent_busy WHERE until > $1 ORDER BY agent");
    row::all(db, select.bind(now.as_millis())).await
}
