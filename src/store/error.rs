use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the store could not do what it was asked, and what to do about it.
///
/// Messages are fragments that fit after "failed to …: ". None holds a body or a raw input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file was written by a newer release.
    #[error(
        "{path}: the store has version {found}, this program knows up to {known}; run the newer release, or restore a backup made before the upgrade"
    )]
    NewerVersion {
        /// The database file.
        path: PathBuf,
        /// The newest migration that the file has had.
        found: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// The file still has to be migrated, which a reader may not do.
    #[error("{path}: the store has version {found}, this program reads {known}; start the daemon once to bring it up")]
    OlderVersion {
        /// The database file.
        path: PathBuf,
        /// The newest migration that the file has had; 0 if it has had none.
        found: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// A migration that was applied to the file reads differently in this program.
    #[error("{path}: migration {version} is not the one this store was made with; run the release that made it")]
    ChangedMigration {
        /// The database file.
        path: PathBuf,
        /// The migration whose checksum differs.
        version: i64,
    },
    /// A migration did not go through; the store is as it was before.
    #[error("{path}: migrating the store")]
    Migration {
        /// The database file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// There is no store at the place.
    #[error("{path}: there is no store; start the daemon once, or name the right file")]
    Missing {
        /// Where one was expected.
        path: PathBuf,
    },
    /// Another daemon holds the store.
    #[error("{}: another lazarus-gate holds the store{}; stop it first", path.display(), pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, as far as it has told.
        pid: Option<u32>,
    },
    /// Owner, mode or kind of a file or folder let others read or change the store.
    #[error("{path}: {why}")]
    Unsafe {
        /// What was looked at.
        path: PathBuf,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// A file that must not be overwritten.
    #[error("{path}: it exists already and is not overwritten; name another file")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A guarded update found the row in another state than expected, or not at all.
    #[error("{table} {row}: expected {expected}, found {found}")]
    Conflict {
        /// The table.
        table: &'static str,
        /// The row's id.
        row: String,
        /// What the update took for granted.
        expected: String,
        /// What there is.
        found: String,
    },
    /// A row was refused because another one already stands for the same thing.
    #[error("{table} {row}: another one is already there ({what})")]
    Taken {
        /// The table.
        table: &'static str,
        /// The id of the refused row.
        row: String,
        /// What must be unique.
        what: String,
    },
    /// A stored value that this program could not have written.
    #[error("{table}.{column} of {row}: {why}; the store was changed by something else or is damaged, see `doctor`")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        row: String,
        /// What is wrong with the value.
        why: String,
    },
    /// A value that cannot be stored as asked.
    #[error("{table} {row}: {why}")]
    Invalid {
        /// The table.
        table: &'static str,
        /// The row's id.
        row: String,
        /// What is wrong with the value.
        why: String,
    },
    /// The disk, the quota or the allowed size of the file is used up.
    #[error("the disk is full; free space on the store's file system, nothing is lost")]
    DiskFull(#[source] sqlx::Error),
    /// The disk failed underneath.
    #[error("the disk failed; look at the kernel's log")]
    Disk(#[source] sqlx::Error),
    /// The file cannot be written to.
    #[error("the store is read-only; see the file's mode and how its file system is mounted")]
    ReadOnly(#[source] sqlx::Error),
    /// Something else holds the database's lock for too long.
    #[error("another program keeps the database locked; close it")]
    Busy(#[source] sqlx::Error),
    /// The file is no database, or a damaged one.
    #[error("the file is damaged or is no SQLite database; restore a backup")]
    Corrupt(#[source] sqlx::Error),
    /// Any other answer of the database.
    #[error("the database said no")]
    Database(#[source] sqlx::Error),
    /// A file beside the store.
    #[error("{doing} {path}")]
    Io {
        /// What was tried: "open", "create", …
        doing: &'static str,
        /// Of which file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The transaction that held this job and others did not commit: none of them counts as done.
    #[error("the transaction was not committed")]
    NotCommitted(#[source] Arc<StoreError>),
    /// The job panicked; its effects were rolled back.
    #[error("a job of the store panicked: {0}; this is a bug, please report it")]
    Panicked(String),
    /// The store is closed or closing.
    #[error("the store is closed")]
    Closed,
}

/// The result codes of SQLite, whose lower eight bits tell the kind of an error.
mod code {
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const READONLY: u32 = 8;
    pub(super) const IOERR: u32 = 10;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const CANTOPEN: u32 = 14;
    pub(super) const NOTADB: u32 = 26;
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let primary = error
            .as_database_error()
            .and_then(|database| database.code())
            .and_then(|code| code.parse::<u32>().ok())
            .map(|code| code & 0xff);
        match primary {
            Some(code::FULL) => Self::DiskFull(error),
            Some(code::BUSY | code::LOCKED) => Self::Busy(error),
            Some(code::READONLY) => Self::ReadOnly(error),
            Some(code::IOERR | code::CANTOPEN) => Self::Disk(error),
            Some(code::CORRUPT | code::NOTADB) => Self::Corrupt(error),
            _ if matches!(error, sqlx::Error::PoolClosed) => Self::Closed,
            _ => Self::Database(error),
        }
    }
}

impl StoreError {
    /// For `map_err`: an error of the file system while `doing` something to `path`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// For `map_err` of an insert: a violated unique index becomes [`StoreError::Taken`].
    pub(crate) fn insert(table: &'static str, row: &str) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| match error.as_database_error() {
            Some(database) if database.is_unique_violation() => {
                Self::Taken { table, row: row.to_owned(), what: database.message().to_owned() }
            }
            _ => error.into(),
        }
    }
}
