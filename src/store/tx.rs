use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connect::Lent;
use super::error::StoreError;
use super::journal::Head;
use super::row::{Row, Sql, sql};
use super::statement::Ran;
use crate::pool::AgentName;

/// The write transaction that a job of [`Store::write`](super::Store::write) works in.
///
/// A job awaits nothing but functions that take this transaction: it stays open meanwhile, and
/// everything else that wants to write waits. A job also passes every error of theirs on: some
/// (a full disk) make the database end the transaction underneath.
///
/// A job that fails is taken back on its own without any savepoint, which would cost every job the
/// copying of each page that it changes: the transaction is rolled back, and the changes of the jobs before
/// it, which are kept until the commit, are made again (`Tx::undo_job`).
pub struct Tx {
    connection: Connection,
    /// The journal's last entry, once it was read: nobody but the one writer adds to it. Forgotten with every
    /// job that fails and every transaction that was not committed.
    pub(super) journal_head: Option<Head>,
    /// The table `meta`, for the same reason and for as long.
    pub(super) meta: Option<Arc<BTreeMap<String, String>>>,
    /// Of some agents, the incident whose live execution touches them, as the job sees it: none where
    /// there is none. Whatever changes an execution forgets it.
    pub(super) touched: BTreeMap<AgentName, Option<String>>,
    /// The job's changes.
    own: Vec<Made>,
    /// Those of the jobs before it in this transaction.
    made: Vec<Made>,
    /// There is only one job: nothing is ever made again, so nothing is kept for it.
    alone: bool,
    /// A statement failed: the database may have ended the transaction.
    shaken: bool,
}

/// A change, and how many rows it touched.
struct Made {
    statement: Sql,
    touched: u64,
}

/// A reader's transaction: all its answers are of one moment. Holding one for long keeps the
/// write-ahead log from being reset, so read and let go.
pub struct Read {
    pub(super) lent: Lent,
}

/// What can be read from: a write transaction sees its own changes, a [`Read`] what is committed.
pub trait Reads: Send + sealed::Sealed {
    /// The rows that answer a statement.
    #[doc(hidden)]
    fn ask(&mut self, statement: Sql) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;
}

impl Reads for Tx {
    async fn ask(&mut self, statement: Sql) -> Result<Vec<Row>, StoreError> {
        Ok(self.change(statement)?.rows)
    }
}

impl Reads for Read {
    async fn ask(&mut self, statement: Sql) -> Result<Vec<Row>, StoreError> {
        let rows = self.lent.ask(&statement)?;
        // It never waits, so whoever reads page after page lets the others run now and then.
        tokio::task::consume_budget().await;
        Ok(rows)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Tx {}
    impl Sealed for super::Read {}
}

impl Tx {
    /// Over `connection`, knowing nothing yet.
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            journal_head: None,
            meta: None,
            touched: BTreeMap::new(),
            own: Vec::new(),
            made: Vec::new(),
            alone: false,
            shaken: false,
        }
    }

    /// Begins the transaction, for one job `alone` or for several.
    pub(super) fn begin(&mut self, alone: bool) -> Result<(), StoreError> {
        self.touched.clear();
        self.alone = alone;
        self.own.clear();
        self.made.clear();
        self.shaken = false;
        sql("BEGIN IMMEDIATE").run(&self.connection)?;
        Ok(())
    }

    /// The job went well; what follows is the next one's.
    pub(super) fn next_job(&mut self) {
        self.touched.clear();
        self.made.append(&mut self.own);
    }

    /// That no statement of the job failed: after an error that it did not pass on, there may be no
    /// transaction any more, and what follows would be committed piece by piece.
    pub(super) fn is_sound(&self) -> bool {
        !self.shaken
    }

    /// Whether the job that failed leaves anything to take back.
    pub(super) fn is_changed_by_job(&self) -> bool {
        !self.own.is_empty() || self.shaken
    }

    /// Takes back what the job has done, and nothing else: rolls everything back and makes the changes
    /// of the jobs before it again. An error means that the transaction is lost.
    pub(super) fn undo_job(&mut self) -> Result<(), StoreError> {
        // After some errors the database has done that already.
        let _ = self.roll_back();
        let made = std::mem::take(&mut self.made);
        self.begin(false)?;
        for one in &made {
            let touched = one.statement.run(&self.connection)?.touched;
            // Nobody else writes, so it comes out as before; should somebody have, nothing is kept.
            if touched != one.touched {
                let why = "something else has written to the store meanwhile".to_owned();
                return Err(StoreError::Invalid { table: "the store", row: "as a whole".into(), why });
            }
        }
        self.made = made;
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn commit(&mut self) -> Result<(), StoreError> {
        sql("COMMIT").run(&self.connection)?;
        Ok(())
    }

    /// Ends the transaction and keeps nothing. The database may have ended it already, which comes to the same.
    pub(super) fn roll_back(&mut self) -> Result<(), StoreError> {
        self.forget();
        if !self.connection.is_autocommit() {
            sql("ROLLBACK").run(&self.connection)?;
        }
        Ok(())
    }

    /// The connection, with no transaction open.
    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Forgets what was read, which may not hold any more.
    pub(super) fn forget(&mut self) {
        self.journal_head = None;
        self.meta = None;
        self.touched.clear();
    }

    /// Runs a statement; tells how many rows it touched.
    pub(crate) async fn execute(&mut self, statement: Sql) -> Result<u64, StoreError> {
        Ok(self.change(statement)?.touched)
    }

    /// Runs a statement of which only matters that it goes through.
    pub(crate) async fn run(&mut self, statement: Sql) -> Result<(), StoreError> {
        self.change(statement)?;
        Ok(())
    }

    /// Runs an INSERT of one row that a unique index may refuse.
    pub(crate) async fn insert(&mut self, table: &'static str, row: &str, statement: Sql) -> Result<(), StoreError> {
        self.change(statement).map(drop).map_err(StoreError::insert(table, row))
    }

    /// As [`Tx::insert`]; the statement inserts no row if `unless` is the case.
    pub(crate) async fn insert_if(
        &mut self,
        table: &'static str,
        row: &str,
        unless: &'static str,
        statement: Sql,
    ) -> Result<(), StoreError> {
        match self.change(statement).map_err(StoreError::insert(table, row))?.touched {
            1 => Ok(()),
            _ => Err(StoreError::Taken { table, row: row.to_owned(), what: unless.to_owned() }),
        }
    }

    /// Runs an UPDATE of one row guarded by the state that is `expected`.
    pub(crate) async fn update(
        &mut self,
        table: &'static str,
        row: &str,
        expected: &str,
        statement: Sql,
    ) -> Result<(), StoreError> {
        match self.change(statement)?.touched {
            1 => Ok(()),
            _ => Err(self.conflict(table, row, expected)?),
        }
    }

    fn change(&mut self, statement: Sql) -> rusqlite::Result<Ran> {
        let ran = statement.run(&self.connection).inspect_err(|_| self.shaken = true)?;
        if ran.changes && !self.alone {
            self.own.push(Made { statement, touched: ran.touched });
        }
        Ok(ran)
    }

    /// What stands in the way of a guarded update that touched nothing.
    fn conflict(&mut self, table: &'static str, row: &str, expected: &str) -> Result<StoreError, StoreError> {
        let state = match table {
            "inputs" => sql("SELECT state FROM inputs WHERE id = $1"),
            "incidents" => sql("SELECT state FROM incidents WHERE id = $1"),
            "requests" => sql("SELECT state FROM requests WHERE id = $1"),
            "executions" => sql("SELECT state FROM executions WHERE id = $1"),
            _ => sql("SELECT state FROM messages WHERE id = $1"),
        };
        let rows = self.change(state.bind(row.to_owned()))?.rows;
        let found: Option<String> = rows.first().map(|row| row.nth(0)).transpose()?;
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
