//! The few facts of which there is one: the hold, the generation, what was imported.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::row::{self, sql};
use super::tx::{Reads, Tx, from_json, to_json};
use crate::pool::Timestamp;

/// The keys in use.
pub(super) mod key {
    pub(in crate::store) const HOLD: &str = "hold";
    pub(in crate::store) const GENERATION: &str = "generation";
    pub(in crate::store) const STAMP: &str = "stamp";
    pub(in crate::store) const IMPORTED: &str = "imported";
}

/// A durable stop of all executions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why, in the words of the person.
    pub reason: Option<String>,
    /// Who.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

/// All facts; they are read once, and again after one was changed. There are only a few.
pub async fn all(tx: &mut Tx) -> Result<Arc<BTreeMap<String, String>>, StoreError> {
    if let Some(known) = &tx.meta {
        return Ok(Arc::clone(known));
    }
    let mut all = BTreeMap::new();
    for row in tx.ask(sql("SELECT key, value FROM meta")).await? {
        all.insert(row.nth(0)?, row.nth(1)?);
    }
    let all = Arc::new(all);
    tx.meta = Some(Arc::clone(&all));
    Ok(all)
}

/// The hold in force by [`all`] facts, if there is one.
pub fn hold_in(all: &BTreeMap<String, String>) -> Result<Option<Hold>, StoreError> {
    all.get(key::HOLD).map(|value| from_json("meta", "value", key::HOLD, value)).transpose()
}

/// The hold in force, if there is one.
pub async fn hold(db: &mut impl Reads) -> Result<Option<Hold>, StoreError> {
    get(db, key::HOLD).await?.map(|value| from_json("meta", "value", key::HOLD, &value)).transpose()
}

/// Stops all executions from now on; a hold that is there already stays. Tells which is in force.
pub async fn set_hold(tx: &mut Tx, new: &Hold) -> Result<Hold, StoreError> {
    if let Some(there) = hold(tx).await? {
        return Ok(there);
    }
    let value = to_json("meta", key::HOLD, new)?;
    set(tx, key::HOLD, &value).await?;
    Ok(new.clone())
}

/// Ends the hold; returns it.
pub async fn release(tx: &mut Tx) -> Result<Option<Hold>, StoreError> {
    let there = hold(tx).await?;
    remove(tx, key::HOLD).await?;
    Ok(there)
}

/// When, at the first start, the script's state file was imported (or found absent).
pub async fn imported_at(db: &mut impl Reads) -> Result<Option<Timestamp>, StoreError> {
    Ok(number(db, key::IMPORTED).await?.map(Timestamp::from_millis))
}

/// The import is done, once and for all.
pub async fn set_imported(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    set(tx, key::IMPORTED, &now.as_millis().to_string()).await
}

/// The value of a key. Rooms with facts of their own use keys that begin with the room's name.
pub async fn get(db: &mut impl Reads, key: &str) -> Result<Option<String>, StoreError> {
    row::text(db, sql("SELECT value FROM meta WHERE key = $1").bind(key.to_owned())).await
}

/// Sets the value of a key.
pub async fn set(tx: &mut Tx, key: &str, value: &str) -> Result<(), StoreError> {
    let upsert = sql("INSERT INTO meta (key, value) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value");
    tx.meta = None;
    tx.run(upsert.bind(key.to_owned()).bind(value.to_owned())).await
}

/// Removes a key.
pub async fn remove(tx: &mut Tx, key: &str) -> Result<(), StoreError> {
    tx.meta = None;
    tx.run(sql("DELETE FROM meta WHERE key = $1").bind(key.to_owned())).await
}

/// The value of a key that holds a number.
pub(super) async fn number(db: &mut impl Reads, key: &str) -> Result<Option<i64>, StoreError> {
    let Some(value) = get(db, key).await? else { return Ok(None) };
    value.parse().map(Some).map_err(|error| StoreError::Inconsistent {
        table: "meta",
        column: "value",
        row: key.to_owned(),
        why: format!("{error}"),
    })
}
