use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, Transaction};

use super::error::StoreError;
use super::journal::Head;
use super::row::{self, Sql, sql};

/// The write transaction that a job of [`Store::write`](super::Store::write) works in.
///
/// A job awaits nothing but functions that take this transaction: it stays open meanwhile, and
/// everything else that wants to write waits. A job also passes every error of theirs on: some
/// (a full disk) make the database end the transaction underneath.
pub struct Tx {
    pub(super) connection: SqliteConnection,
    /// The journal's last entry as this transaction sees it, so that a group of jobs reads it
    /// once. The writer forgets it at every begin and at every rollback, also of a savepoint.
    pub(super) journal_head: Option<Head>,
    /// The table `meta` as this transaction sees it, for the same reason and for as long.
    pub(super) meta: Option<Arc<BTreeMap<String, String>>>,
}

/// A reader's transaction: all its answers are of one moment. Holding one for long keeps the
/// write-ahead log from being reset, so read and let go.
pub struct Read {
    pub(super) transaction: Transaction<'static, Sqlite>,
}

/// What can be read from: a write transaction sees its own changes, a [`Read`] what is committed.
pub trait Reads: Send + sealed::Sealed {
    /// The connection underneath.
    #[doc(hidden)]
    fn connection(&mut self) -> &mut SqliteConnection;
}

impl Reads for Tx {
    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Reads for Read {
    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Tx {}
    impl Sealed for super::Read {}
}

impl Tx {
    /// Over `connection`, knowing nothing yet.
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self { connection, journal_head: None, meta: None }
    }

    /// Forgets what was read: it may not hold any more.
    pub(super) fn forget(&mut self) {
        self.journal_head = None;
        self.meta = None;
    }

    /// Runs a statement; tells how many rows it touched.
    pub(crate) async fn execute(&mut self, statement: Sql) -> Result<u64, StoreError> {
        Ok(statement.execute(&mut self.connection).await?.rows_affected())
    }

    /// Runs an INSERT of one row that a unique index may refuse.
    pub(crate) async fn insert(&mut self, table: &'static str, row: &str, statement: Sql) -> Result<(), StoreError> {
        statement.execute(&mut self.connection).await.map_err(StoreError::insert(table, row))?;
        Ok(())
    }

    /// Runs an UPDATE of one row guarded by the state that is `expected`.
    pub(crate) async fn update(
        &mut self,
        table: &'static str,
        row: &str,
        expected: &str,
        statement: Sql,
    ) -> Result<(), StoreError> {
        let touched = statement.execute(&mut self.connection).await.map_err(StoreError::insert(table, row))?;
        match touched.rows_affected() {
            1 => Ok(()),
            _ => Err(self.conflict(table, row, expected).await?),
        }
    }

    /// What stands in the way of a guarded update that touched nothing.
    async fn conflict(&mut self, table: &'static str, row: &str, expected: &str) -> Result<StoreError, StoreError> {
        let state = match table {
            "inputs" => sql("SELECT state FROM inputs WHERE id = $1"),
            "incidents" => sql("SELECT state FROM incidents WHERE id = $1"),
            "requests" => sql("SELECT state FROM requests WHERE id = $1"),
            "executions" => sql("SELECT state FROM executions WHERE id = $1"),
            _ => sql("SELECT state FROM messages WHERE id = $1"),
        };
        let found = row::text(self, state.bind(row.to_owned())).await?;
        Ok(StoreError::Conflict {
            table,
            row: row.to_owned(),
            expected: expected.to_owned(),
            found: found.unwrap_or_else(|| "none of that id".into()),
        })
    }
}

/// `body` as the JSON text of a column.
pub(crate) fn to_json<B: Serialize + ?Sized>(table: &'static str, row: &str, body: &B) -> Result<String, StoreError> {
    serde_json::to_string(body).map_err(|error| StoreError::Invalid {
        table,
        row: row.to_owned(),
        why: format!("its body is no JSON: {error}"),
    })
}

/// The value of a JSON column. The error names where, and what serde says, which quotes no secret
/// since none enters the store.
pub(crate) fn from_json<B: DeserializeOwned>(
    table: &'static str,
    column: &'static str,
    row: &str,
    body: &str,
) -> Result<B, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::Inconsistent {
        table,
        column,
        row: row.to_owned(),
        why: error.to_string(),
    })
}
