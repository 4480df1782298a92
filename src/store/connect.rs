//! How the store's file is connected to, for writing and for reading.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::StoreError;
use super::open::OpenOptions;
use super::row::{Row, Sql, sql};

/// Pages that a reading connection keeps, in KiB (negative, as SQLite wants it). The system keeps the file in memory
/// already; what every reader keeps besides is memory for little.
const READER_CACHE: i64 = -256;
/// The same of the writing connection. What a group of decisions has changed should fit in, or pages go to the log
/// several times before their commit.
const WRITER_CACHE: i64 = -3000;
/// Statements that the writing connection keeps prepared.
const PREPARED: usize = 128;
/// The same of a reading one, of which there are several.
const READER_PREPARED: usize = 48;
/// How long a closing pool waits for reads that are under way.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A connection that writes, to a file that is there.
pub(super) fn to_write(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | unshared())?;
    connection.busy_timeout(busy_timeout)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
    plan_once(&connection)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

fn to_read(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | unshared())?;
    connection.busy_timeout(busy_timeout)?;
    connection.pragma_update(None, "cache_size", READER_CACHE)?;
    plan_once(&connection)?;
    connection.set_prepared_statement_cache_capacity(READER_PREPARED);
    Ok(connection)
}

/// How a statement is carried out does not depend on its values. Otherwise SQLite compares them with the conditions of
/// partial indexes, and compiles such a statement anew each time it gets others, for longer than it then runs. So
/// what such an index is about stands in the text of a statement (`state = 'due'`), and never among its values.
fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// Each connection is used by one thread at a time, which the types see to.
fn unshared() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Connections that read, a fixed number of them at most. Cheap to clone.
#[derive(Clone)]
pub(super) struct Readers {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    busy_timeout: Duration,
    count: u32,
    /// A permit for each connection that may be in use.
    free: Arc<Semaphore>,
    /// Those that are connected and not in use.
    idle: Mutex<Vec<Connection>>,
}

impl Inner {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // Nothing that can panic happens while it is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readers {
    /// Connects once, so that a file that cannot be read is told now.
    pub(super) async fn connect(path: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        let count = options.readers.max(1);
        let inner = Inner {
            path: path.to_owned(),
            busy_timeout: options.busy_timeout,
            count,
            free: Arc::new(Semaphore::new(count as usize)),
            idle: Mutex::new(Vec::new()),
        };
        let readers = Self { inner: Arc::new(inner) };
        drop(readers.lend().await?);
        Ok(readers)
    }

    /// A connection, as soon as one is free.
    pub(super) async fn lend(&self) -> Result<Lent, StoreError> {
        let permit = Arc::clone(&self.inner.free).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let idle = self.inner.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let inner = Arc::clone(&self.inner);
                off_the_runtime(move || to_read(&inner.path, inner.busy_timeout)).await??
            }
        };
        Ok(Lent { connection: Some(connection), readers: Arc::clone(&self.inner), _permit: permit })
    }

    /// Lends no more, and waits a moment for what is lent.
    pub(super) async fn close(&self) {
        let all = self.inner.free.acquire_many(self.inner.count);
        let _held = tokio::time::timeout(CLOSE_PATIENCE, all).await;
        self.inner.free.close();
        self.inner.idle().clear();
    }
}

/// A connection that reads. It goes back when this is dropped, with no transaction open.
pub(super) struct Lent {
    /// Only what is being dropped has none.
    connection: Option<Connection>,
    readers: Arc<Inner>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    /// Begins a transaction, of the moment of its first read.
    pub(super) fn begin(&mut self) -> Result<(), StoreError> {
        let connection = self.connection.as_ref().ok_or(StoreError::Closed)?;
        // It reads nothing yet, so it blocks nobody.
        sql("BEGIN").run(connection)?;
        Ok(())
    }

    /// The rows that answer `statement`: few, or a page of many. It is asked on the caller's thread, which such
    /// an answer keeps for less time than handing it to another one and back.
    pub(super) fn ask(&mut self, statement: &Sql) -> Result<Vec<Row>, StoreError> {
        Ok(statement.run(self.connection.as_ref().ok_or(StoreError::Closed)?)?.rows)
    }

    /// As [`Lent::ask`], for what takes as long as the store is large.
    pub(super) async fn ask_at_length(mut self, statement: Sql) -> Result<Vec<Row>, StoreError> {
        off_the_runtime(move || self.ask(&statement)).await?
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let is_clean = connection.is_autocommit() || sql("ROLLBACK").run(&connection).is_ok();
        if is_clean && !self.readers.free.is_closed() {
            self.readers.idle().push(connection);
        }
    }
}

/// Does what may take long on a thread that may wait.
pub(super) async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => StoreError::panicked(&*panic),
        Err(_) => StoreError::Closed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    #[test]
    fn a_statement_is_compiled_once_whatever_its_values_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.db");
        drop(Connection::open(&path).unwrap());
        let connection = to_write(&path, Duration::ZERO).unwrap();
        let schema = "CREATE TABLE a (id INTEGER PRIMARY KEY, about TEXT, kind TEXT NOT NULL);
            CREATE INDEX a_about ON a (about) WHERE about IS NOT NULL AND kind = 'card'";
        connection.execute_batch(schema).unwrap();
        for connection in [connection, to_read(&path, Duration::ZERO).unwrap()] {
            let mut select = connection.prepare("SELECT id FROM a WHERE about = $1 AND kind = $2").unwrap();
            for values in [["x", "card"], ["y", "edit"], ["z", "card"]] {
                assert!(!select.exists(values).unwrap());
            }
            assert_eq!(select.get_status(StatementStatus::RePrepare), 0);
        }
    }
}
