//! Approval requests, at most one pending per incident, and the codes they were given.

use serde::Serialize;

use super::error::StoreError;
use super::row::{self, sql, stored, words};
use super::tx::{Reads, Tx, to_json};
use crate::pool::{AgentName, MissionName, Timestamp};

words! {
    /// How a request stands.
    pub enum RequestPhase {
        /// People are asked.
        Pending = "pending",
        /// Somebody signed it off.
        Approved = "approved",
        /// Somebody refused.
        Denied = "denied",
        /// Nobody answered in time.
        Expired = "expired",
        /// It no longer needs an answer.
        Withdrawn = "withdrawn",
    }
}

stored! { "requests",
    /// One request.
    pub struct RequestRow {
        /// Its id.
        pub id: String,
        /// The incident that asks.
        pub incident_id: String,
        /// Who died.
        pub agent: AgentName,
        /// On which mission.
        pub mission: MissionName,
        /// `agent:mission:unix-seconds`.
        pub approval_key: String,
        /// The short form of the key.
        pub code: String,
        /// How it stands.
        pub state: RequestPhase,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it expires; none until it was first delivered.
        pub expires_at: Option<Timestamp>,
        /// When it ended.
        pub closed_at: Option<Timestamp>,
        /// The whole request, as JSON.
        pub body: String,
    }
}

/// A request to be made.
#[derive(Clone, Debug)]
pub struct NewRequest<'a, B> {
    /// Its id.
    pub id: &'a str,
    /// The incident that asks.
    pub incident_id: &'a str,
    /// Who died.
    pub agent: &'a AgentName,
    /// On which mission.
    pub mission: &'a MissionName,
    /// `agent:mission:unix-seconds`.
    pub approval_key: &'a str,
    /// The second in that key.
    pub key_second: i64,
    /// A code that [`give_code`] has given.
    pub code: &'a str,
    /// When it was made.
    pub created_at: Timestamp,
    /// The whole request.
    pub body: &'a B,
}

/// What a guarded change makes of a request.
#[derive(Clone, Debug)]
pub struct RequestChange<'a, B> {
    /// How it stands from now on.
    pub state: RequestPhase,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it ended; none while it is pending.
    pub closed_at: Option<Timestamp>,
    /// The whole request.
    pub body: &'a B,
}

/// Makes a request; [`StoreError::Taken`] if the incident has a pending one or the key was used.
pub async fn insert<B: Serialize + Sync>(tx: &mut Tx, new: NewRequest<'_, B>) -> Result<(), StoreError> {
    let body = to_json("requests", new.id, new.body)?;
    let insert = sql("INSERT INTO requests
             (id, incident_id, agent, mission, approval_key, key_second, code, state, created_at, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9)")
    .bind(new.id.to_owned())
    .bind(new.incident_id.to_owned())
    .bind(new.agent.as_str().to_owned())
    .bind(new.mission.as_str().to_owned())
    .bind(new.approval_key.to_owned())
    .bind(new.key_second)
    .bind(new.code.to_owned())
    .bind(new.created_at.as_millis())
    .bind(body);
    tx.insert("requests", new.id, insert).await
}

/// Changes a request that stands as `expected`; [`StoreError::Conflict`] if it stands otherwise.
pub async fn update<B: Serialize + Sync>(
    tx: &mut Tx,
    id: &str,
    expected: RequestPhase,
    change: RequestChange<'_, B>,
) -> Result<(), StoreError> {
    let update = sql("UPDATE requests SET state = $3, expires_at = $4, closed_at = $5, body = $6
         WHERE id = $1 AND state = $2")
    .bind(id.to_owned())
    .bind(expected.as_str())
    .bind(change.state.as_str())
    .bind(change.expires_at.map(Timestamp::as_millis))
    .bind(change.closed_at.map(Timestamp::as_millis))
    .bind(to_json("requests", id, change.body)?);
    tx.update("requests", id, expected.as_str(), update).await
}

/// The request of that id.
pub async fn load(db: &mut impl Reads, id: &str) -> Result<Option<RequestRow>, StoreError> {
    let select = sql("SELECT id, incident_id, agent, mission, approval_key, code, state, created_at, expires_at,
             closed_at, body FROM requests WHERE id = $1");
    row::optional(db, select.bind(id.to_owned())).await
}

/// The request of that full key.
pub async fn by_key(db: &mut impl Reads, key: &str) -> Result<Option<RequestRow>, StoreError> {
    let select = sql("SELECT id, incident_id, agent, mission, approval_key, code, state, created_at, expires_at,
             closed_at, body FROM requests WHERE approval_key = $1");
    row::optional(db, select.bind(key.to_owned())).await
}

/// The request that was last given that code.
pub async fn by_code(db: &mut impl Reads, code: &str) -> Result<Option<RequestRow>, StoreError> {
    let select = sql("SELECT id, incident_id, agent, mission, approval_key, code, state, created_at, expires_at,
             closed_at, body FROM requests WHERE code = $1 ORDER BY created_at DESC, id DESC LIMIT 1");
    row::optional(db, select.bind(code.to_owned())).await
}

/// All pending requests, the oldest first.
pub async fn pending(db: &mut impl Reads) -> Result<Vec<RequestRow>, StoreError> {
    let select = sql("SELECT id, incident_id, agent, mission, approval_key, code, state, created_at, expires_at,
             closed_at, body FROM requests WHERE state = 'pending' ORDER BY created_at, id");
    row::all(db, select).await
}

/// When the oldest pending request was made.
pub async fn oldest_pending(db: &mut impl Reads) -> Result<Option<Timestamp>, StoreError> {
    let oldest = row::number(db, sql("SELECT MIN(created_at) FROM requests WHERE state = 'pending'")).await?;
    Ok(oldest.map(Timestamp::from_millis))
}

/// All requests of an incident, the oldest first.
pub async fn of_incident(db: &mut impl Reads, incident_id: &str) -> Result<Vec<RequestRow>, StoreError> {
    let select = sql("SELECT id, incident_id, agent, mission, approval_key, code, state, created_at, expires_at,
             closed_at, body FROM requests WHERE incident_id = $1 ORDER BY created_at, id");
    row::all(db, select.bind(incident_id.to_owned())).await
}

/// The largest second in the keys of the agent's requests; the next key lies past it, whatever the
/// clock says.
pub async fn last_key_second(db: &mut impl Reads, agent: &AgentName) -> Result<Option<i64>, StoreError> {
    let select = sql("SELECT MAX(key_second) FROM requests WHERE agent = $1");
    row::number(db, select.bind(agent.as_str().to_owned())).await
}

/// Gives `code` to a request; false if it was given before and has not been purged since.
pub async fn give_code(tx: &mut Tx, code: &str, request_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let insert =
        sql("INSERT INTO codes (code, request_id, given_at) VALUES ($1, $2, $3) ON CONFLICT (code) DO NOTHING")
            .bind(code.to_owned())
            .bind(request_id.to_owned())
            .bind(now.as_millis());
    Ok(tx.execute(insert).await? == 1)
}

/// Frees up to `limit` codes that were given before `before` to requests no longer pending; tells
/// how many. `before` lies 30 days back.
pub async fn purge_codes(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let delete = sql("DELETE FROM codes WHERE code IN (
             SELECT code FROM codes WHERE given_at < $1
                 AND NOT EXISTS (SELECT 1 FROM requests WHERE requests.id = codes.request_id AND state = 'pending')
             ORDER BY given_at LIMIT $2)");
    tx.execute(delete.bind(before.as_millis()).bind(i64::from(limit))).await
}
