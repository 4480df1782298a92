use super::super::error::StoreError;
use super::super::row::{self, sql, stored, words};
use super::super::tx::{Reads, Tx};
use crate::pool::{MissionName, Timestamp};

words! {
    /// How a preview stands.
    pub enum PreviewPhase {
        /// Whoever asked for it has not said what is to become of it.
        Waiting = "waiting",
        /// It was posted: the handoff of its id is in the stream.
        Posted = "posted",
        /// It was taken back.
        Cancelled = "cancelled",
    }
}

stored! { "mission_previews",
    /// A handoff that was shown and is not posted yet.
    pub struct PreviewRow {
        /// Its id; once posted, the handoff's.
        pub id: String,
        /// In which mission.
        pub mission: MissionName,
        /// Who asked for it, and alone may post it.
        pub person: String,
        /// How it stands.
        pub state: PreviewPhase,
        /// When it was asked for.
        pub created_at: Timestamp,
        /// What would be posted, as JSON.
        pub body: String,
    }
}

/// Keeps a preview that waits; [`StoreError::Taken`] if there is one of that id.
pub async fn insert_preview(tx: &mut Tx, new: &PreviewRow) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO mission_previews (id, mission, person, state, created_at, body)
         VALUES ($1, $2, $3, $4, $5, $6)")
    .bind(new.id.clone())
    .bind(new.mission.as_str().to_owned())
    .bind(new.person.clone())
    .bind(new.state.as_str())
    .bind(new.created_at.as_millis())
    .bind(new.body.clone());
    tx.insert("mission_previews", &new.id, insert).await
}

/// The preview of that id.
pub async fn preview(db: &mut impl Reads, id: &str) -> Result<Option<PreviewRow>, StoreError> {
    let select = sql("SELECT id, mission, person, state, created_at, body FROM mission_previews WHERE id = $1");
    row::optional(db, select.bind(id.to_owned())).await
}

/// One that waits is over: posted or cancelled.
pub async fn close_preview(tx: &mut Tx, id: &str, state: PreviewPhase) -> Result<(), StoreError> {
    let update = sql("UPDATE mission_previews SET state = $1 WHERE id = $2 AND state = 'waiting'")
        .bind(state.as_str())
        .bind(id.to_owned());
    tx.update("mission_previews", id, PreviewPhase::Waiting.as_str(), update).await
}

/// It would be posted otherwise from now on.
pub async fn change_preview(tx: &mut Tx, id: &str, body: String) -> Result<(), StoreError> {
    let update =
        sql("UPDATE mission_previews SET body = $1 WHERE id = $2 AND state = 'waiting'").bind(body).bind(id.to_owned());
    tx.update("mission_previews", id, PreviewPhase::Waiting.as_str(), update).await
}

/// Deletes up to `limit` previews made before `before`; tells how many.
pub async fn purge_previews(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let delete = sql("DELETE FROM mission_previews WHERE id IN (
             SELECT id FROM mission_previews WHERE created_at < $1 ORDER BY created_at LIMIT $2)");
    tx.execute(delete.bind(before.as_millis()).bind(i64::from(limit))).await
}
