use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::FromSqlError;
use rusqlite::{ErrorCode, ffi};

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
    /// A migration did not go through; the store is as it was before it.
    #[error("{path}: bringing the store to version {version} failed; it is as it was")]
    Migration {
        /// The database file.
        path: PathBuf,
        /// The migration.
        version: i64,
        /// What went wrong.
        #[source]
        source: Box<StoreError>,
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
    DiskFull(#[source] rusqlite::Error),
    /// The disk failed underneath.
    #[error("the disk failed; look at the kernel's log")]
    Disk(#[source] rusqlite::Error),
    /// The file cannot be written to.
    #[error("the store is read-only; see the file's mode and how its file system is mounted")]
    ReadOnly(#[source] rusqlite::Error),
    /// Something else holds the database's lock for too long.
    #[error("another program keeps the database locked; close it")]
    Busy(#[source] rusqlite::Error),
    /// The file is no database, or a damaged one.
    #[error("the file is damaged or is no SQLite database; restore a backup")]
    Corrupt(#[source] rusqlite::Error),
    /// Any other answer of the database.
    #[error("the database said no")]
    Database(#[source] rusqlite::Error),
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

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(error),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Disk(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error),
            _ => Self::Database(error),
        }
    }
}

impl From<FromSqlError> for StoreError {
    fn from(error: FromSqlError) -> Self {
        Self::Database(error.into())
    }
}

impl StoreError {
    /// A job fell over with this panic.
    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let why = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let why = why.or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panicked(why.unwrap_or_else(|| "no message".into()))
    }

    /// For `map_err`: an error of the file system while `doing` something to `path`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// For `map_err` of an insert: a violated unique index becomes [`StoreError::Taken`].
    pub(crate) fn insert(table: &'static str, row: &str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |error| match error {
            rusqlite::Error::SqliteFailure(ref failure, Some(ref what)) if is_of_a_unique_index(failure) => {
                Self::Taken { table, row: row.to_owned(), what: what.clone() }
            }
            _ => error.into(),
        }
    }
}

fn is_of_a_unique_index(failure: &ffi::Error) -> bool {
    matches!(failure.extended_code, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
}
