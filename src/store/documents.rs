//! Documents that came with a command and are still to be fetched. The command was taken in and answered for
//! in the transaction that put the row here; what becomes of it is committed with the row's end.

use super::error::StoreError;
use super::row::{self, sql, stored};
use super::tx::{Reads, Tx};
use crate::pool::Timestamp;

stored! { "documents",
    /// One that is to be fetched.
    pub struct DocumentRow {
        /// The input that it came with.
        pub id: String,
        /// From which channel.
        pub channel: String,
        /// When it came.
        pub created_at: Timestamp,
        /// Not before this moment.
        pub next_at: Timestamp,
        /// How often it could not be fetched.
        pub attempts: u32,
        /// What is to be fetched, and what for, as JSON.
        pub body: String,
    }
}

/// Puts one down to be fetched.
pub async fn insert(tx: &mut Tx, id: &str, channel: &str, now: Timestamp, body: &str) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO documents (id, channel, created_at, next_at, attempts, body)
         VALUES ($1, $2, $3, $3, 0, $4)")
    .bind(id.to_owned())
    .bind(channel.to_owned())
    .bind(now.as_millis())
    .bind(body.to_owned());
    tx.insert("documents", id, insert).await
}

/// Up to `limit` of those of `channel` that are due, the oldest first.
pub async fn due(
    db: &mut impl Reads,
    channel: &str,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DocumentRow>, StoreError> {
    let select = sql("SELECT id, channel, created_at, next_at, attempts, body FROM documents
         WHERE channel = $1 AND next_at <= $2 ORDER BY created_at, id LIMIT $3");
    row::all(db, select.bind(channel.to_owned()).bind(now.as_millis()).bind(i64::from(limit))).await
}

/// It could not be fetched; the next attempt is not before `next_at`.
pub async fn failed(tx: &mut Tx, id: &str, next_at: Timestamp) -> Result<(), StoreError> {
    let update = sql("UPDATE documents SET attempts = attempts + 1, next_at = $2 WHERE id = $1");
    tx.execute(update.bind(id.to_owned()).bind(next_at.as_millis())).await.map(drop)
}

/// What it was for is done, or given up. False if that was so before.
pub async fn done(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    Ok(tx.execute(sql("DELETE FROM documents WHERE id = $1").bind(id.to_owned())).await? > 0)
}
