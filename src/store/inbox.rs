//! Whatever comes from outside, raw, in the order in which it came: a tap, a reply, a signed event,
//! a command. It is here before its source is told that we have it, and it is answered from here.

use super::error::StoreError;
use super::row::{self, sql, stored, words};
use super::tx::{Reads, Tx};
use crate::pool::Timestamp;

/// After this many failed attempts an input is set aside and blocks nothing any more.
pub const ATTEMPTS: u32 = 3;

words! {
    /// How far an input has come.
    pub enum InputState {
        /// Waits to be worked off.
        New = "new",
        /// Was worked off; its answer is kept.
        Handled = "handled",
        /// Failed three times; `inbox retry ID` makes it new again.
        SetAside = "set_aside",
    }
}

stored! { "inputs",
    /// One input.
    pub struct InputRow {
        /// Made by the sender: an update's id, an event's id, a command's id.
        pub id: String,
        /// Its place in the order of arrival; increasing, never given twice.
        pub seq: i64,
        /// Where it came from: `telegram`, `nostr`, `cli`, …
        pub source: String,
        /// What came, as JSON.
        pub raw: String,
        /// When it came; a vote is judged by this moment.
        pub entered_at: Timestamp,
        /// How far it has come.
        pub state: InputState,
        /// How often working it off has failed.
        pub attempts: u32,
        /// When it was worked off.
        pub handled_at: Option<Timestamp>,
        /// What its sender is told, as JSON.
        pub answer: Option<String>,
        /// It is the evidence of a decision and is never purged.
        pub keep: bool,
    }
}

/// What is put into the inbox.
#[derive(Clone, Debug)]
pub struct Input {
    /// Made by the sender; the same id again is the same input again.
    pub id: String,
    /// Where it came from.
    pub source: String,
    /// What came, as JSON.
    pub raw: String,
    /// When it came.
    pub entered_at: Timestamp,
}

impl InputRow {
    /// The input as it was put in.
    pub fn input(&self) -> Input {
        Input { id: self.id.clone(), source: self.source.clone(), raw: self.raw.clone(), entered_at: self.entered_at }
    }
}

/// What became of an input that was put into the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in.
    New {
        /// Its place in the order.
        seq: i64,
    },
    /// One of that id was there before; nothing was changed.
    AlreadyThere {
        /// Whether source and content are the same too. If not, somebody uses another's id: no
        /// answer of the first may be given to the second.
        same: bool,
        /// The answer, once there is one.
        answer: Option<String>,
    },
}

/// What follows from a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// How many attempts have failed so far.
    pub attempts: u32,
    /// It was the last one: alarm, and tell the sender.
    pub set_aside: bool,
}

/// Puts `input` in, once.
pub async fn append(tx: &mut Tx, input: &Input) -> Result<Appended, StoreError> {
    // The row with the largest number is never purged, so the next one is new for ever.
    let insert = sql("INSERT INTO inputs (id, seq, source, raw, entered_at, state, attempts, keep)
         VALUES ($1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM inputs), $2, $3, $4, 'new', 0, 0)
         ON CONFLICT (id) DO NOTHING RETURNING seq")
    .bind(input.id.clone())
    .bind(input.source.clone())
    .bind(input.raw.clone())
    .bind(input.entered_at.as_millis());
    if let Some(seq) = row::number(tx, insert).await? {
        return Ok(Appended::New { seq });
    }
    let there = result(tx, &input.id).await?.ok_or_else(|| StoreError::Conflict {
        table: "inputs",
        row: input.id.clone(),
        expected: "no input, or one of that id".into(),
        found: "neither".into(),
    })?;
    let same = there.source == input.source && there.raw == input.raw;
    Ok(Appended::AlreadyThere { same, answer: there.answer })
}

/// Puts inputs of one source in, together with how far it has been read.
pub async fn append_with_offset(
    tx: &mut Tx,
    inputs: &[Input],
    source: &str,
    position: &str,
) -> Result<Vec<Appended>, StoreError> {
    let mut appended = Vec::with_capacity(inputs.len());
    for input in inputs {
        appended.push(append(tx, input).await?);
    }
    set_offset(tx, source, position).await?;
    Ok(appended)
}

/// Remembers how far `source` has been read.
pub async fn set_offset(tx: &mut Tx, source: &str, position: &str) -> Result<(), StoreError> {
    let upsert = sql("INSERT INTO source_offsets (source, position) VALUES ($1, $2)
         ON CONFLICT (source) DO UPDATE SET position = excluded.position");
    tx.run(upsert.bind(source.to_owned()).bind(position.to_owned())).await
}

/// How far `source` has been read.
pub async fn offset(db: &mut impl Reads, source: &str) -> Result<Option<String>, StoreError> {
    row::text(db, sql("SELECT position FROM source_offsets WHERE source = $1").bind(source.to_owned())).await
}

/// The next inputs to work off, in the order in which they came.
pub async fn pending(db: &mut impl Reads, limit: u32) -> Result<Vec<InputRow>, StoreError> {
    let select = sql("SELECT id, seq, source, raw, entered_at, state, attempts, handled_at, answer, keep
         FROM inputs WHERE state = 'new' ORDER BY seq LIMIT $1");
    row::all(db, select.bind(i64::from(limit))).await
}

/// Those that were set aside and wait for a human.
pub async fn set_aside(db: &mut impl Reads, limit: u32) -> Result<Vec<InputRow>, StoreError> {
    let select = sql("SELECT id, seq, source, raw, entered_at, state, attempts, handled_at, answer, keep
         FROM inputs WHERE state = 'set_aside' ORDER BY seq LIMIT $1");
    row::all(db, select.bind(i64::from(limit))).await
}

/// The input worked off, in the transaction of its effects. `keep` marks the evidence of a decision.
pub async fn finish(tx: &mut Tx, id: &str, answer: &str, now: Timestamp, keep: bool) -> Result<(), StoreError> {
    let update = sql("UPDATE inputs SET state = 'handled', handled_at = $2, answer = $3, keep = $4
         WHERE id = $1 AND state = 'new'")
    .bind(id.to_owned())
    .bind(now.as_millis())
    .bind(answer.to_owned())
    .bind(i64::from(keep));
    tx.update("inputs", id, "new", update).await
}

/// Counts a failed attempt; the third sets the input aside.
pub async fn fail_attempt(tx: &mut Tx, id: &str) -> Result<Failed, StoreError> {
    let update = sql("UPDATE inputs SET attempts = attempts + 1,
             state = CASE WHEN attempts + 1 >= $2 THEN 'set_aside' ELSE state END
         WHERE id = $1 AND state = 'new'")
    .bind(id.to_owned())
    .bind(i64::from(ATTEMPTS));
    tx.update("inputs", id, "new", update).await?;
    let failed = result(tx, id)
        .await?
        .map(|input| Failed { attempts: input.attempts, set_aside: input.state == InputState::SetAside });
    failed.ok_or_else(|| StoreError::Conflict {
        table: "inputs",
        row: id.to_owned(),
        expected: "new".into(),
        found: "none of that id".into(),
    })
}

/// Takes back an attempt that was counted before it began (at a start) and then went through
/// without an effect on the input.
pub async fn forgive_attempt(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    let update = sql("UPDATE inputs SET attempts = attempts - 1 WHERE id = $1 AND state = 'new' AND attempts > 0");
    tx.run(update.bind(id.to_owned())).await
}

/// Makes an input that was set aside new again, with all its attempts.
pub async fn retry(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    let update = sql("UPDATE inputs SET state = 'new', attempts = 0 WHERE id = $1 AND state = 'set_aside'");
    tx.update("inputs", id, "set_aside", update.bind(id.to_owned())).await
}

/// The input with what has become of it.
pub async fn result(db: &mut impl Reads, id: &str) -> Result<Option<InputRow>, StoreError> {
    let select = sql("SELECT id, seq, source, raw, entered_at, state, attempts, handled_at, answer, keep
         FROM inputs WHERE id = $1");
    row::optional(db, select.bind(id.to_owned())).await
}

/// The clock was set by `by_ms`: what waits entered as long ago as before.
pub async fn move_waiting(tx: &mut Tx, by_ms: i64) -> Result<(), StoreError> {
    let update = sql("UPDATE inputs SET entered_at = entered_at + $1 WHERE state = 'new'");
    tx.run(update.bind(by_ms)).await
}

/// Whether an input that entered at or before `moment` still waits: then nothing expires yet.
pub async fn has_earlier_unhandled(db: &mut impl Reads, moment: Timestamp) -> Result<bool, StoreError> {
    let exists = sql("SELECT EXISTS (SELECT 1 FROM inputs WHERE state = 'new' AND entered_at <= $1)");
    Ok(row::number(db, exists.bind(moment.as_millis())).await? == Some(1))
}

/// Deletes up to `limit` inputs that were handled before `before` and are no evidence; tells how
/// many went. Call it until that is 0.
pub async fn purge(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let delete = sql("DELETE FROM inputs WHERE id IN (
             SELECT id FROM inputs WHERE state = 'handled' AND keep = 0 AND handled_at < $1
                 AND seq < (SELECT MAX(seq) FROM inputs)
             ORDER BY handled_at LIMIT $2)");
    tx.execute(delete.bind(before.as_millis()).bind(i64::from(limit))).await
}
