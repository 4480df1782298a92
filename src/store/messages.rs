//! Outgoing messages: what people are still to be told, and what they were told.
//!
//! A *card* is a request in one chat (a copy), a *note* stands for itself, an *edit* changes a card
//! and waits until that card has an id on the other side. At most one edit of a card is due: a newer
//! one takes its place. A card that is not sent yet takes the new content instead.

use std::collections::BTreeSet;

use super::error::StoreError;
use super::row::{self, Sql, sql, stored, words};
use super::tx::{Reads, Tx};
use crate::pool::Timestamp;

words! {
    /// What sending the message means.
    pub enum MessageKind {
        /// A new message with a request.
        Card = "card",
        /// New content for a card.
        Edit = "edit",
        /// A new message that is not edited any more.
        Note = "note",
        /// The answer to a tap: shown to whoever tapped, and to nobody else. Its target is the tap.
        Answer = "answer",
    }
}

words! {
    /// How far a message has come.
    pub enum MessageState {
        /// To be sent.
        Due = "due",
        /// The other side has confirmed it.
        Sent = "sent",
        /// It can no longer be sent: the chat is lost, the message was deleted.
        Gone = "gone",
    }
}

stored! { "messages",
    /// One message.
    pub struct MessageRow {
        /// Its id.
        pub id: String,
        /// Through which channel.
        pub channel: String,
        /// To which chat, recipient or terminal.
        pub target: String,
        /// The request or incident that it is about.
        pub about: Option<String>,
        /// Of an edit: the card that it changes.
        pub copy: Option<String>,
        /// What sending it means.
        pub kind: MessageKind,
        /// The smaller, the sooner.
        pub priority: i64,
        /// When it was made.
        pub created_at: Timestamp,
        /// How far it has come.
        pub state: MessageState,
        /// How often sending has failed.
        pub attempts: u32,
        /// Not before this moment.
        pub next_at: Timestamp,
        /// Its id on the other side; of an edit, the id of its card.
        pub remote_id: Option<String>,
        /// When the other side confirmed it.
        pub sent_at: Option<Timestamp>,
        /// Text and buttons, as JSON.
        pub body: String,
    }
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its id.
    pub id: String,
    /// Through which channel.
    pub channel: String,
    /// To which chat, recipient or terminal.
    pub target: String,
    /// The request or incident that it is about.
    pub about: Option<String>,
    /// Anything but an edit; those come from [`edit`].
    pub kind: MessageKind,
    /// The smaller, the sooner.
    pub priority: i64,
    /// When it was made; it is due from then on.
    pub created_at: Timestamp,
    /// Text and buttons, as JSON.
    pub body: String,
}

/// What an edit became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The card was not sent yet and will go out with the new content.
    Card,
    /// An edit that was still due has the new content.
    Replaced,
    /// A new edit is due.
    Queued,
    /// The card is gone, and nothing is sent.
    Gone,
    /// That is what it says already.
    Same,
}

/// Puts cards and notes on their way.
pub async fn insert(tx: &mut Tx, messages: &[NewMessage]) -> Result<(), StoreError> {
    for message in messages {
        if message.kind == MessageKind::Edit {
            let why = "an edit belongs to a card".to_owned();
            return Err(StoreError::Invalid { table: "messages", row: message.id.clone(), why });
        }
        let insert = sql("INSERT INTO messages
                 (id, channel, target, about, kind, priority, created_at, state, attempts, next_at, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'due', 0, $7, $8)")
        .bind(message.id.clone())
        .bind(message.channel.clone())
        .bind(message.target.clone())
        .bind(message.about.clone())
        .bind(message.kind.as_str())
        .bind(message.priority)
        .bind(message.created_at.as_millis())
        .bind(message.body.clone());
        tx.insert("messages", &message.id, insert).await?;
    }
    Ok(())
}

/// Gives the card `copy` new content; its row always has the newest. `id` is used only if a new edit
/// has to be queued.
pub async fn edit(
    tx: &mut Tx,
    copy: &str,
    id: &str,
    priority: i64,
    now: Timestamp,
    body: &str,
) -> Result<Edited, StoreError> {
    let card = load(tx, copy).await?;
    let card = card.filter(|card| card.kind == MessageKind::Card).ok_or_else(|| StoreError::Conflict {
        table: "messages",
        row: copy.to_owned(),
        expected: "a card".into(),
        found: "none of that id".into(),
    })?;
    edit_card(tx, card, id, priority, now, body).await
}

/// The same for a card as it was read in this very transaction.
pub async fn edit_card(
    tx: &mut Tx,
    card: MessageRow,
    id: &str,
    priority: i64,
    now: Timestamp,
    body: &str,
) -> Result<Edited, StoreError> {
    let copy = card.id.as_str();
    if card.body == body {
        return Ok(Edited::Same);
    }
    match card.state {
        MessageState::Gone => return Ok(Edited::Gone),
        // It may be on its way at this moment; `sent` compares what went out with what stands here.
        MessageState::Due => {
            let update = sql("UPDATE messages SET body = $2 WHERE id = $1 AND state = 'due'");
            tx.update("messages", copy, "due", update.bind(copy.to_owned()).bind(body.to_owned())).await?;
            return Ok(Edited::Card);
        }
        MessageState::Sent => {
            let update = sql("UPDATE messages SET body = $2 WHERE id = $1");
            tx.run(update.bind(copy.to_owned()).bind(body.to_owned())).await?;
        }
    }
    queue_edit(tx, card, id, priority, now, body).await
}

/// The card `copy` is said once more to all ids it is known by: one of them was not known before.
pub async fn edit_again(tx: &mut Tx, copy: &str, id: &str, priority: i64, now: Timestamp) -> Result<(), StoreError> {
    let Some(card) = load(tx, copy).await?.filter(|card| card.state == MessageState::Sent) else { return Ok(()) };
    // An edit that is due may be on its way at this moment, to fewer ids: it is made to look old (a space more says
    // nothing in JSON), so that `sent` leaves it due.
    let again = sql("UPDATE messages SET body = body || ' ', attempts = 0,
             priority = CASE WHEN priority < $2 THEN priority ELSE $2 END
         WHERE copy = $1 AND state = 'due'");
    if tx.execute(again.bind(copy.to_owned()).bind(priority)).await? > 0 {
        return Ok(());
    }
    let body = card.body.clone();
    queue_edit(tx, card, id, priority, now, &body).await.map(drop)
}

/// An edit of a card that is on the other side.
async fn queue_edit(
    tx: &mut Tx,
    card: MessageRow,
    id: &str,
    priority: i64,
    now: Timestamp,
    body: &str,
) -> Result<Edited, StoreError> {
    let copy = card.id;
    // The attempts begin anew with the content; the next time stays, it is the other side's wish.
    let replace = sql("UPDATE messages SET body = $2, attempts = 0,
             priority = CASE WHEN priority < $3 THEN priority ELSE $3 END
         WHERE copy = $1 AND state = 'due'");
    if tx.execute(replace.bind(copy.clone()).bind(body.to_owned()).bind(priority)).await? > 0 {
        return Ok(Edited::Replaced);
    }
    let insert = sql("INSERT INTO messages
             (id, channel, target, about, copy, kind, priority, created_at, state, attempts, next_at, body)
         VALUES ($1, $2, $3, $4, $5, 'edit', $6, $7, 'due', 0, $7, $8)")
    .bind(id.to_owned())
    .bind(card.channel)
    .bind(card.target)
    .bind(card.about)
    .bind(copy)
    .bind(priority)
    .bind(now.as_millis())
    .bind(body.to_owned());
    tx.insert("messages", id, insert).await?;
    Ok(Edited::Queued)
}

/// What `channel` may send now, in the order in which each target should get it: by priority, then
/// by age. An edit carries its card's id on the other side, and is not due before there is one.
pub async fn due(
    db: &mut impl Reads,
    channel: &str,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<MessageRow>, StoreError> {
    let mut select = select_due(channel, now);
    select.push(" ORDER BY m.priority, m.created_at, m.id LIMIT ").push_bind(i64::from(limit));
    row::all(db, select).await
}

/// The same, but nothing for those `targets`, of which there are some.
pub async fn due_elsewhere(
    db: &mut impl Reads,
    channel: &str,
    now: Timestamp,
    targets: &BTreeSet<String>,
    limit: u32,
) -> Result<Vec<MessageRow>, StoreError> {
    let mut select = select_due(channel, now);
    select.push(" AND m.target NOT IN ").push_list(targets.iter().cloned());
    select.push(" ORDER BY m.priority, m.created_at, m.id LIMIT ").push_bind(i64::from(limit));
    row::all(db, select.once()).await
}

fn select_due(channel: &str, now: Timestamp) -> Sql {
    sql("SELECT m.id, m.channel, m.target, m.about, m.copy, m.kind, m.priority, m.created_at, m.state,
             m.attempts, m.next_at, COALESCE(m.remote_id, card.remote_id) AS remote_id, m.sent_at, m.body
         FROM messages m LEFT JOIN messages card ON card.id = m.copy
         WHERE m.channel = $1 AND m.state = 'due' AND m.next_at <= $2
             AND (m.copy IS NULL OR card.remote_id IS NOT NULL)")
    .bind(channel.to_owned())
    .bind(now.as_millis())
}

/// The targets of `channel` for which something that is due has to wait beyond `now`: whatever came later
/// waits with it.
pub async fn held(db: &mut impl Reads, channel: &str, now: Timestamp) -> Result<BTreeSet<String>, StoreError> {
    let select = sql("SELECT DISTINCT target FROM messages WHERE channel = $1 AND state = 'due' AND next_at > $2");
    let targets = row::texts(db, select.bind(channel.to_owned()).bind(now.as_millis())).await?;
    Ok(targets.into_iter().collect())
}

/// When `channel` next has something to send; None if nothing is due at all. What came later for a target
/// waits for what came before.
pub async fn next_due(db: &mut impl Reads, channel: &str) -> Result<Option<Timestamp>, StoreError> {
    let select = sql("SELECT MIN(next_at) FROM (
             SELECT MAX(m.next_at) AS next_at FROM messages m LEFT JOIN messages card ON card.id = m.copy
             WHERE m.channel = $1 AND m.state = 'due' AND (m.copy IS NULL OR card.remote_id IS NOT NULL)
             GROUP BY m.target) AS targets");
    Ok(row::number(db, select.bind(channel.to_owned())).await?.map(Timestamp::from_millis))
}

/// The other side has `message`, as it was read from [`due`]. If its content was changed meanwhile,
/// what was sent is old: a card then gets an edit (of the id `edit_id`), an edit stays due.
pub async fn sent(
    tx: &mut Tx,
    message: &MessageRow,
    remote_id: Option<&str>,
    now: Timestamp,
    edit_id: &str,
) -> Result<(), StoreError> {
    let current = match message.kind {
        MessageKind::Card | MessageKind::Edit => load(tx, &message.id).await?.map(|current| current.body),
        // Nothing ever changes these.
        MessageKind::Note | MessageKind::Answer => None,
    };
    let is_old = current.as_ref().is_some_and(|current| *current != message.body);
    if is_old && message.kind == MessageKind::Edit {
        return Ok(());
    }
    let update = sql("UPDATE messages SET state = 'sent', remote_id = COALESCE($2, remote_id), sent_at = $3
         WHERE id = $1 AND state = 'due'")
    .bind(message.id.clone())
    .bind(remote_id.map(str::to_owned))
    .bind(now.as_millis());
    tx.update("messages", &message.id, "due", update).await?;
    if let Some(body) = current.filter(|_| is_old && message.kind == MessageKind::Card) {
        queue_edit(tx, message.clone(), edit_id, message.priority, now, &body).await?;
    }
    Ok(())
}

/// Sending failed; the next attempt is not before `next_at`.
pub async fn failed(tx: &mut Tx, id: &str, next_at: Timestamp) -> Result<(), StoreError> {
    let update = sql("UPDATE messages SET attempts = attempts + 1, next_at = $2 WHERE id = $1 AND state = 'due'");
    tx.update("messages", id, "due", update.bind(id.to_owned()).bind(next_at.as_millis())).await
}

/// The other side wants nothing for `target` before `next_at`; no attempt is counted.
pub async fn postpone(tx: &mut Tx, channel: &str, target: &str, next_at: Timestamp) -> Result<u64, StoreError> {
    let update = sql("UPDATE messages SET next_at = $3
         WHERE channel = $1 AND target = $2 AND state = 'due' AND next_at < $3");
    tx.execute(update.bind(channel.to_owned()).bind(target.to_owned()).bind(next_at.as_millis())).await
}

/// What waits for `target` waits no longer than until `at`.
pub async fn postpone_to(tx: &mut Tx, channel: &str, target: &str, at: Timestamp) -> Result<u64, StoreError> {
    let update = sql("UPDATE messages SET next_at = $3
         WHERE channel = $1 AND target = $2 AND state = 'due' AND next_at > $3");
    tx.execute(update.bind(channel.to_owned()).bind(target.to_owned()).bind(at.as_millis())).await
}

/// `channel` is back: what waits there because an attempt failed waits no longer.
pub async fn lift(tx: &mut Tx, channel: &str, now: Timestamp) -> Result<u64, StoreError> {
    let update = sql("UPDATE messages SET next_at = $2 WHERE channel = $1 AND state = 'due' AND next_at > $2");
    tx.execute(update.bind(channel.to_owned()).bind(now.as_millis())).await
}

/// The clock was set by `by_ms`: what is due waits as long as before.
pub async fn move_due(tx: &mut Tx, by_ms: i64) -> Result<(), StoreError> {
    let update = sql("UPDATE messages SET next_at = next_at + $1 WHERE state = 'due'");
    tx.run(update.bind(by_ms)).await
}

/// The message can no longer be sent, nor can the edits of it.
pub async fn gone(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    let update = sql("UPDATE messages SET state = 'gone' WHERE (id = $1 OR copy = $1) AND state = 'due'");
    tx.run(update.bind(id.to_owned())).await
}

/// The message of that id.
pub async fn load(db: &mut impl Reads, id: &str) -> Result<Option<MessageRow>, StoreError> {
    let select = sql("SELECT id, channel, target, about, copy, kind, priority, created_at, state, attempts, next_at,
             remote_id, sent_at, body FROM messages WHERE id = $1");
    row::optional(db, select.bind(id.to_owned())).await
}

/// The cards about a request or incident, sent or not, the oldest first: those that an end edits.
pub async fn cards(db: &mut impl Reads, about: &str) -> Result<Vec<MessageRow>, StoreError> {
    let select = sql("SELECT id, channel, target, about, copy, kind, priority, created_at, state, attempts, next_at,
             remote_id, sent_at, body FROM messages WHERE about = $1 AND kind = 'card' ORDER BY created_at, id");
    row::all(db, select.bind(about.to_owned())).await
}

/// How many messages are due, over all channels.
pub async fn count_due(db: &mut impl Reads) -> Result<u64, StoreError> {
    let count = row::number(db, sql("SELECT COUNT(*) FROM messages WHERE state = 'due'")).await?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

/// A card is no longer on the other side: it is not edited any more.
pub async fn forget_copy(tx: &mut Tx, copy: &str) -> Result<(), StoreError> {
    let update = sql("UPDATE messages SET state = 'gone' WHERE id = $1 OR (copy = $1 AND state = 'due')");
    tx.execute(update.bind(copy.to_owned())).await?;
    Ok(())
}

/// The other side calls `from` by another name now: what is due goes there. Cards that were sent stay where
/// they are, and so do the edits of them.
pub async fn move_target(tx: &mut Tx, channel: &str, from: &str, to: &str) -> Result<(), StoreError> {
    let due = sql("UPDATE messages SET target = $3, next_at = created_at
         WHERE channel = $1 AND target = $2 AND state = 'due' AND kind <> 'edit'");
    tx.execute(due.bind(channel.to_owned()).bind(from.to_owned()).bind(to.to_owned())).await?;
    Ok(())
}

/// Deletes up to `limit` edits, notes and answers that were sent or given up before `before`; tells how many.
pub async fn purge(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let delete = sql("DELETE FROM messages WHERE id IN (
             SELECT id FROM messages WHERE state <> 'due' AND kind <> 'card' AND created_at < $1
             ORDER BY created_at LIMIT $2)");
    tx.execute(delete.bind(before.as_millis()).bind(i64::from(limit))).await
}

/// Deletes up to `limit` long answers that were sent before `before`, once their edits have gone; tells how many.
pub async fn purge_pages(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let delete = sql("DELETE FROM messages WHERE id IN (
             SELECT page.id FROM messages page
             WHERE page.about IS NULL AND page.kind = 'card' AND page.state <> 'due' AND page.created_at < $1
                 AND NOT EXISTS (SELECT 1 FROM messages edit WHERE edit.copy = page.id)
             ORDER BY page.created_at LIMIT $2)");
    tx.execute(delete.bind(before.as_millis()).bind(i64::from(limit))).await
}
