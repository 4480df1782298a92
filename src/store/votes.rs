//! Votes: who said what about a request, with the input that is the evidence.

use serde::Serialize;

use super::error::StoreError;
use super::row::{self, sql, stored};
use super::tx::{Reads, Tx, to_json};
use crate::pool::Timestamp;

stored! { "votes",
    /// One vote.
    pub struct VoteRow {
        /// Its id.
        pub id: String,
        /// On which request.
        pub request_id: String,
        /// Whose; votes are counted per person.
        pub person: String,
        /// The input that it came with; marked as evidence there.
        pub input_id: String,
        /// What was said: approve, deny, substitute, snooze, …
        pub kind: String,
        /// When the input entered.
        pub at: Timestamp,
        /// The whole vote, as JSON.
        pub body: String,
    }
}

/// A vote to be recorded.
#[derive(Clone, Debug)]
pub struct NewVote<'a, B> {
    /// Its id.
    pub id: &'a str,
    /// On which request.
    pub request_id: &'a str,
    /// Whose.
    pub person: &'a str,
    /// The input that it came with.
    pub input_id: &'a str,
    /// What was said.
    pub kind: &'a str,
    /// When the input entered.
    pub at: Timestamp,
    /// The whole vote.
    pub body: &'a B,
}

/// Records a vote.
pub async fn insert<B: Serialize + Sync>(tx: &mut Tx, new: NewVote<'_, B>) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO votes (id, request_id, person, input_id, kind, at, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7)")
    .bind(new.id.to_owned())
    .bind(new.request_id.to_owned())
    .bind(new.person.to_owned())
    .bind(new.input_id.to_owned())
    .bind(new.kind.to_owned())
    .bind(new.at.as_millis())
    .bind(to_json("votes", new.id, new.body)?);
    tx.insert("votes", new.id, insert).await
}

/// All votes on a request, in the order in which they entered.
pub async fn of_request(db: &mut impl Reads, request_id: &str) -> Result<Vec<VoteRow>, StoreError> {
    let select = sql("SELECT id, request_id, person, input_id, kind, at, body FROM votes
         WHERE request_id = $1 ORDER BY at, id");
    row::all(db, select.bind(request_id.to_owned())).await
}
