use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Sqlite, Transaction};

use super::error::StoreError;
use super::journal::Head;
use super::row::{Sql, sql};
use super::statement::{self, Ran};
use crate::pool::AgentName;

/// Statements that wait at most before they are sent together: a job of an import must not gather its
/// thousands in memory.
const TOGETHER: usize = 32;
/// Statements that are sent together when changes are made again.
const AGAIN_TOGETHER: usize = 64;

/// The write transaction that a job of [`Store::write`](super::Store::write) works in.
///
/// A job awaits nothing but functions that take this transaction: it stays open meanwhile, and
/// everything else that wants to write waits. A job also passes every error of theirs on: some
/// (a full disk) make the database end the transaction underneath.
///
/// Changes whose outcome a job does not look at wait until the next read, or the end of the job, and
/// then travel together. So the error of a change, which names it, may be that of a later call.
///
/// A job that fails is taken back on its own without any savepoint, which would cost every job the
/// copying of each page that it changes: nothing was sent yet, or the transaction is rolled back and the
/// changes of the jobs before, which are kept until the commit, are made again (`Tx::undo_job`).
pub struct Tx {
    connection: SqliteConnection,
    /// The journal's last entry as this transaction sees it, so that a group of jobs reads it
    /// once. It is forgotten at every begin and with every job that fails.
    pub(super) journal_head: Option<Head>,
    /// The table `meta` as this transaction sees it, for the same reason and for as long.
    pub(super) meta: Option<Arc<BTreeMap<String, String>>>,
    /// Of some agents, the incident whose live execution touches them, as the job sees it: none where
    /// there is none. Whatever changes an execution forgets it.
    pub(super) touched: BTreeMap<AgentName, Option<String>>,
    waiting: Vec<Waiting>,
    /// The job's changes that were sent.
    own: Vec<Made>,
    /// Those of the jobs before it in this transaction.
    made: Vec<Made>,
    /// There is only one job: nothing is ever made again, so nothing is kept for it.
    alone: bool,
    /// A statement failed, or its answer was not waited for: the database may have ended the transaction.
    shaken: bool,
}

/// A change that was sent.
struct Made {
    statement: Sql,
    touched: u64,
}

/// A change that was not sent yet, and what must come of it.
struct Waiting {
    statement: Sql,
    expects: Expects,
}

/// What must come of a change.
enum Expects {
    /// That it goes through.
    Nothing,
    /// As that, but a unique index may refuse it.
    Inserted { table: &'static str, row: String },
    /// As that, and it inserts its row only if `unless` is not the case.
    InsertedIf { table: &'static str, row: String, unless: &'static str },
    /// It finds its row in the state `expected`.
    Updated { table: &'static str, row: String, expected: String },
}

/// A reader's transaction: all its answers are of one moment. Holding one for long keeps the
/// write-ahead log from being reset, so read and let go.
pub struct Read {
    pub(super) transaction: Transaction<'static, Sqlite>,
}

/// What can be read from: a write transaction sees its own changes, a [`Read`] what is committed.
pub trait Reads: Send + sealed::Sealed {
    /// The rows that answer a statement.
    #[doc(hidden)]
    fn ask(&mut self, statement: Sql) -> impl Future<Output = Result<Vec<SqliteRow>, StoreError>> + Send;
}

impl Reads for Tx {
    async fn ask(&mut self, statement: Sql) -> Result<Vec<SqliteRow>, StoreError> {
        Ok(self.send(Some(statement)).await?.rows)
    }
}

impl Reads for Read {
    async fn ask(&mut self, statement: Sql) -> Result<Vec<SqliteRow>, StoreError> {
        Ok(statement.fetch_all(&mut self.transaction).await?)
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
        Self {
            connection,
            journal_head: None,
            meta: None,
            touched: BTreeMap::new(),
            waiting: Vec::new(),
            own: Vec::new(),
            made: Vec::new(),
            alone: false,
            shaken: false,
        }
    }

    /// Begins the transaction, for one job `alone` or for several.
    pub(super) async fn begin(&mut self, alone: bool) -> Result<(), StoreError> {
        self.forget();
        self.alone = alone;
        self.own.clear();
        self.made.clear();
        self.shaken = false;
        Ok(sql("BEGIN IMMEDIATE").execute(&mut self.connection).await?)
    }

    /// The job went well, and its every statement was sent ([`Tx::flush`]); what follows is the next one's.
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
    pub(super) async fn undo_job(&mut self) -> Result<(), StoreError> {
        // After some errors the database has done that already.
        let _ = self.roll_back().await;
        let made = std::mem::take(&mut self.made);
        self.begin(false).await?;
        for some in made.chunks(AGAIN_TOGETHER) {
            let statements = some.iter().map(|one| one.statement.clone().once()).collect();
            let ran = statement::run(&mut self.connection, statement::joined(statements)).await;
            if let Some(error) = ran.error {
                return Err(error.into());
            }
            // Nobody else writes, so it comes out as before; should somebody have, nothing is kept.
            if !ran.touched.iter().eq(some.iter().map(|one| &one.touched)) {
                let why = "something else has written to the store meanwhile".to_owned();
                return Err(StoreError::Invalid { table: "the store", row: "as a whole".into(), why });
            }
        }
        self.made = made;
        Ok(())
    }

    /// Makes everything durable.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        Ok(sql("COMMIT").execute(&mut self.connection).await?)
    }

    /// Ends the transaction and keeps nothing.
    pub(super) async fn roll_back(&mut self) -> Result<(), sqlx::Error> {
        self.forget();
        sql("ROLLBACK").execute(&mut self.connection).await
    }

    /// The connection, with no transaction open.
    pub(super) fn into_connection(self) -> SqliteConnection {
        self.connection
    }

    /// Forgets what was read, which may not hold any more, and what was not sent yet.
    pub(super) fn forget(&mut self) {
        self.journal_head = None;
        self.meta = None;
        self.touched.clear();
        self.waiting.clear();
    }

    /// Runs a statement; tells how many rows it touched.
    pub(crate) async fn execute(&mut self, statement: Sql) -> Result<u64, StoreError> {
        Ok(self.send(Some(statement)).await?.touched.last().copied().unwrap_or(0))
    }

    /// Runs a statement before the next read, or at the end of the job.
    pub(crate) async fn later(&mut self, statement: Sql) -> Result<(), StoreError> {
        self.wait(statement, Expects::Nothing).await
    }

    /// Runs an INSERT of one row that a unique index may refuse, as [`Tx::later`].
    pub(crate) async fn insert(&mut self, table: &'static str, row: &str, statement: Sql) -> Result<(), StoreError> {
        self.wait(statement, Expects::Inserted { table, row: row.to_owned() }).await
    }

    /// Runs an INSERT that inserts no row if `unless` is the case, as [`Tx::later`].
    pub(crate) async fn insert_if(
        &mut self,
        table: &'static str,
        row: &str,
        unless: &'static str,
        statement: Sql,
    ) -> Result<(), StoreError> {
        self.wait(statement, Expects::InsertedIf { table, row: row.to_owned(), unless }).await
    }

    /// Runs an UPDATE of one row guarded by the state that is `expected`, as [`Tx::later`].
    pub(crate) async fn update(
        &mut self,
        table: &'static str,
        row: &str,
        expected: &str,
        statement: Sql,
    ) -> Result<(), StoreError> {
        self.wait(statement, Expects::Updated { table, row: row.to_owned(), expected: expected.to_owned() }).await
    }

    async fn wait(&mut self, statement: Sql, expects: Expects) -> Result<(), StoreError> {
        self.waiting.push(Waiting { statement, expects });
        if self.waiting.len() < TOGETHER { Ok(()) } else { self.flush().await }
    }

    /// Sends what waits.
    pub(crate) async fn flush(&mut self) -> Result<(), StoreError> {
        if self.waiting.is_empty() { Ok(()) } else { self.send(None).await.map(drop) }
    }

    /// Sends what waits, and then `last`, all at once.
    async fn send(&mut self, last: Option<Sql>) -> Result<Ran, StoreError> {
        let mut statements = Vec::with_capacity(self.waiting.len() + 1);
        let mut expected = Vec::with_capacity(self.waiting.len());
        for Waiting { statement, expects } in self.waiting.drain(..) {
            statements.push(statement);
            expected.push(expects);
        }
        statements.extend(last);
        let changes: Vec<Sql> = match self.alone {
            true => Vec::new(),
            false => statements.iter().filter(|one| !one.reads()).cloned().collect(),
        };
        // Until the answer is here nobody knows: should the job be given up meanwhile, it counts as failed.
        let was_shaken = std::mem::replace(&mut self.shaken, true);
        let mut ran = statement::run(&mut self.connection, statement::joined(statements)).await;
        self.shaken = was_shaken || ran.error.is_some();
        // Only the last one may have been a read, so the others stand in the same places.
        self.own.extend(
            changes.into_iter().zip(&ran.touched).map(|(statement, touched)| Made { statement, touched: *touched }),
        );
        for (expects, touched) in expected.iter().zip(&ran.touched) {
            match expects {
                Expects::Nothing | Expects::Inserted { .. } => {}
                Expects::InsertedIf { .. } | Expects::Updated { .. } if *touched == 1 => {}
                Expects::InsertedIf { table, row, unless } => {
                    return Err(StoreError::Taken { table, row: row.clone(), what: (*unless).to_owned() });
                }
                Expects::Updated { table, row, expected } => return Err(self.conflict(table, row, expected).await?),
            }
        }
        let Some(error) = ran.error.take() else { return Ok(ran) };
        Err(match expected.get(ran.touched.len()) {
            Some(
                Expects::Inserted { table, row }
                | Expects::InsertedIf { table, row, .. }
                | Expects::Updated { table, row, .. },
            ) => StoreError::insert(table, row)(error),
            Some(Expects::Nothing) | None => error.into(),
        })
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
        let rows = state.bind(row.to_owned()).fetch_all(&mut self.connection).await?;
        let found: Option<String> = rows.first().map(|row| row.try_get(0)).transpose()?;
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
