//! Buttons: what each token stands for, and under which ids a copy is known on the other side.

use super::error::StoreError;
use super::row::{self, sql, stored};
use super::tx::{Reads, Tx};
use crate::pool::Timestamp;

stored! { "tokens",
    /// One button of one copy.
    pub struct TokenRow {
        /// The only thing in the button's data.
        pub token: String,
        /// The message that has the button.
        pub copy: String,
        /// Where that message is.
        pub target: String,
        /// The newest id of that message on the other side.
        pub remote_id: Option<String>,
        /// What pressing it says, as JSON.
        pub press: String,
    }
}

/// A button that is made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its token; random, and never given twice.
    pub token: String,
    /// What pressing it says, as JSON.
    pub press: String,
}

/// Keeps what the buttons of `copy` stand for.
pub async fn insert(tx: &mut Tx, copy: &str, tokens: &[NewToken], now: Timestamp) -> Result<(), StoreError> {
    for token in tokens {
        let insert = sql("INSERT INTO tokens (token, copy, press, created_at) VALUES ($1, $2, $3, $4)")
            .bind(token.token.clone())
            .bind(copy.to_owned())
            .bind(token.press.clone())
            .bind(now.as_millis());
        tx.insert("tokens", &token.token, insert).await?;
    }
    Ok(())
}

/// What `token` stands for.
pub async fn load(db: &mut impl Reads, token: &str) -> Result<Option<TokenRow>, StoreError> {
    let select =
        sql("SELECT t.token, t.copy, m.target, m.remote_id, t.press FROM tokens t JOIN messages m ON m.id = t.copy
         WHERE t.token = $1");
    row::optional(db, select.bind(token.to_owned())).await
}

/// What the buttons of `copy` stand for.
pub async fn of_copy(db: &mut impl Reads, copy: &str) -> Result<Vec<TokenRow>, StoreError> {
    let select =
        sql("SELECT t.token, t.copy, m.target, m.remote_id, t.press FROM tokens t JOIN messages m ON m.id = t.copy
         WHERE t.copy = $1 ORDER BY t.created_at, t.token");
    row::all(db, select.bind(copy.to_owned())).await
}

/// `copy` is known on the other side by this id, too: a send whose answer was lost was sent again.
pub async fn learn(tx: &mut Tx, channel: &str, target: &str, remote_id: &str, copy: &str) -> Result<bool, StoreError> {
    let insert = sql("INSERT INTO remote_ids (channel, target, remote_id, copy) VALUES ($1, $2, $3, $4)
         ON CONFLICT (channel, target, remote_id) DO NOTHING")
    .bind(channel.to_owned())
    .bind(target.to_owned())
    .bind(remote_id.to_owned())
    .bind(copy.to_owned());
    Ok(tx.execute(insert).await? > 0)
}

/// All ids by which `copy` is known in the chat where it is.
pub async fn remote_ids(db: &mut impl Reads, copy: &str) -> Result<Vec<String>, StoreError> {
    let select = sql("SELECT r.remote_id FROM remote_ids r JOIN messages m ON m.id = r.copy AND m.target = r.target
         WHERE r.copy = $1 ORDER BY r.remote_id");
    row::texts(db, select.bind(copy.to_owned())).await
}

/// The copy that is known by `remote_id` in `target`.
pub async fn copy_of(
    db: &mut impl Reads,
    channel: &str,
    target: &str,
    remote_id: &str,
) -> Result<Option<String>, StoreError> {
    let select = sql("SELECT copy FROM remote_ids WHERE channel = $1 AND target = $2 AND remote_id = $3");
    row::text(db, select.bind(channel.to_owned()).bind(target.to_owned()).bind(remote_id.to_owned())).await
}

/// Where anything is known on the other side, of those targets that begin with `prefix`.
pub async fn targets(db: &mut impl Reads, channel: &str, prefix: &str) -> Result<Vec<String>, StoreError> {
    let select = sql("SELECT DISTINCT target FROM remote_ids
         WHERE channel = $1 AND substr(target, 1, length($2)) = $2 ORDER BY target");
    row::texts(db, select.bind(channel.to_owned()).bind(prefix.to_owned())).await
}

/// Up to `limit` ids under which cards of pending requests are known where the target's text begins with
/// `target`, those of the newest request first.
pub async fn ids_of_pending(
    db: &mut impl Reads,
    channel: &str,
    target: &str,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    let select = sql("SELECT r.remote_id FROM requests q JOIN messages m ON m.about = q.id AND m.kind = 'card'
             JOIN remote_ids r ON r.copy = m.id
         WHERE q.state = 'pending' AND r.channel = $1 AND substr(r.target, 1, $2) = $3
         ORDER BY q.created_at DESC, r.remote_id LIMIT $4");
    let length = i64::try_from(target.chars().count()).unwrap_or(0);
    let bound = select.bind(channel.to_owned()).bind(length).bind(target.to_owned()).bind(i64::from(limit));
    row::texts(db, bound).await
}

/// Deletes up to `limit` tokens made before `before` whose request is closed, or that belong to none.
pub async fn purge(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let delete = sql("DELETE FROM tokens WHERE token IN (
             SELECT t.token FROM tokens t JOIN messages m ON m.id = t.copy
                 LEFT JOIN requests r ON r.id = m.about
             WHERE t.created_at < $1 AND (r.id IS NULL OR r.closed_at < $1) ORDER BY t.created_at LIMIT $2)");
    tx.execute(delete.bind(before.as_millis()).bind(i64::from(limit))).await
}
