//! Drills, at most one pending per mission.

use serde::Serialize;

use super::error::StoreError;
use super::row::{self, sql, stored, words};
use super::tx::{Reads, Tx, to_json};
use crate::pool::{MissionName, Timestamp};

words! {
    /// How a drill stands.
    pub enum DrillPhase {
        /// People are asked.
        Pending = "pending",
        /// Somebody was there.
        Answered = "answered",
        /// Nobody was.
        Expired = "expired",
    }
}

stored! { "drills",
    /// One drill.
    pub struct DrillRow {
        /// The input that started it.
        pub id: String,
        /// Whose approvers are asked.
        pub mission: MissionName,
        /// By which it is answered.
        pub code: String,
        /// How it stands.
        pub state: DrillPhase,
        /// When it was started.
        pub started_at: Timestamp,
        /// From when on it is too late.
        pub ends_at: Timestamp,
        /// The whole drill, as JSON.
        pub body: String,
    }
}

/// A drill as it is to be kept.
#[derive(Clone, Debug)]
pub struct DrillRecord<'a, B> {
    /// The input that started it.
    pub id: &'a str,
    /// Whose approvers are asked.
    pub mission: &'a MissionName,
    /// A code that was given to it.
    pub code: String,
    /// How it stands.
    pub state: DrillPhase,
    /// When it was started.
    pub started_at: Timestamp,
    /// From when on it is too late.
    pub ends_at: Timestamp,
    /// The whole drill.
    pub body: &'a B,
}

/// Starts a drill; [`StoreError::Taken`] if there is one of that id, or a pending one of that mission.
pub async fn insert<B: Serialize + Sync>(tx: &mut Tx, new: DrillRecord<'_, B>) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO drills (id, mission, code, state, started_at, ends_at, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7)")
    .bind(new.id.to_owned())
    .bind(new.mission.as_str().to_owned())
    .bind(new.code)
    .bind(new.state.as_str())
    .bind(new.started_at.as_millis())
    .bind(new.ends_at.as_millis())
    .bind(to_json("drills", new.id, new.body)?);
    tx.insert("drills", new.id, insert).await
}

/// Changes a pending drill; [`StoreError::Conflict`] if it is over already.
pub async fn update<B: Serialize + Sync>(tx: &mut Tx, new: DrillRecord<'_, B>) -> Result<(), StoreError> {
    let update = sql("UPDATE drills SET state = $2, started_at = $3, ends_at = $4, body = $5
         WHERE id = $1 AND state = 'pending'")
    .bind(new.id.to_owned())
    .bind(new.state.as_str())
    .bind(new.started_at.as_millis())
    .bind(new.ends_at.as_millis())
    .bind(to_json("drills", new.id, new.body)?);
    tx.update("drills", new.id, "pending", update).await
}

/// The drill of that id.
pub async fn load(db: &mut impl Reads, id: &str) -> Result<Option<DrillRow>, StoreError> {
    let select = sql("SELECT id, mission, code, state, started_at, ends_at, body FROM drills WHERE id = $1");
    row::optional(db, select.bind(id.to_owned())).await
}

/// The drill that was last given that code.
pub async fn by_code(db: &mut impl Reads, code: &str) -> Result<Option<DrillRow>, StoreError> {
    let select = sql("SELECT id, mission, code, state, started_at, ends_at, body FROM drills
         WHERE code = $1 ORDER BY started_at DESC, id DESC LIMIT 1");
    row::optional(db, select.bind(code.to_owned())).await
}

/// All pending drills, the one that ends first at the beginning.
pub async fn pending(db: &mut impl Reads) -> Result<Vec<DrillRow>, StoreError> {
    let select = sql("SELECT id, mission, code, state, started_at, ends_at, body FROM drills
         WHERE state = 'pending' ORDER BY ends_at, id");
    row::all(db, select).await
}

/// Deletes up to `limit` drills that ended before `before`; tells how many.
pub async fn purge(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let delete = sql("DELETE FROM drills WHERE id IN (
             SELECT id FROM drills WHERE state <> 'pending' AND ends_at < $1 ORDER BY ends_at LIMIT $2)");
    tx.execute(delete.bind(before.as_millis()).bind(i64::from(limit))).await
}
