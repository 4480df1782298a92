//! Backups: a whole, compact copy of the running store, stamped so that it is recognised when it is
//! put back.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::connect::off_the_runtime;
use super::error::StoreError;
use super::open::Reader;
use super::row::sql;
use super::{meta, place};
use crate::pool::Timestamp;

/// Copies the store to the new file `to` (mode 0600), without stopping anybody who writes.
///
/// The copy is made under another name in the same folder and gets its own only when it is whole,
/// stamped and on disk; an existing `to` is refused.
pub async fn write(source: &Reader, to: &Path, now: Timestamp) -> Result<(), StoreError> {
    if to.symlink_metadata().is_ok() {
        return Err(StoreError::Exists { path: to.to_owned() });
    }
    let part = part_of(to);
    let made = copy(source, &part, now).await.and_then(|()| publish(&part, to));
    if made.is_err() {
        // What failed is told; that the torn copy cannot be removed would only hide it.
        let _ = fs::remove_file(&part);
    }
    made
}

/// What SQLite finds wrong with the file underneath; nothing is good news. At most ten findings, each a
/// line. Reads the whole file.
pub async fn damage(source: &Reader) -> Result<Vec<String>, StoreError> {
    let rows = source.lend().await?.ask_at_length(sql("PRAGMA quick_check(10)")).await?;
    let findings = rows.iter().map(|row| Ok(row.nth::<String>(0)?)).collect::<Result<Vec<_>, StoreError>>()?;
    Ok(findings.into_iter().filter(|finding| finding != "ok").collect())
}

fn part_of(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    to.with_file_name(name)
}

async fn copy(source: &Reader, part: &Path, now: Timestamp) -> Result<(), StoreError> {
    // VACUUM INTO takes an empty file as it is, mode and all.
    place::create(part).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => StoreError::Exists { path: part.to_owned() },
        _ => StoreError::io("create", part)(error),
    })?;
    let name = part.to_str().ok_or_else(|| {
        StoreError::io("create", part)(std::io::Error::new(ErrorKind::InvalidInput, "the name is not UTF-8"))
    })?;
    source.lend().await?.ask_at_length(sql("VACUUM INTO $1").bind(name.to_owned())).await?;
    let part = part.to_owned();
    off_the_runtime(move || stamp(&part, now)).await?
}

/// Says in the copy that it is one.
fn stamp(part: &Path, now: Timestamp) -> Result<(), StoreError> {
    let connection = Connection::open(part)?;
    // No write-ahead log: the copy is one file.
    connection.pragma_update(None, "journal_mode", "delete")?;
    connection.pragma_update(None, "synchronous", "full")?;
    let stamp = sql("INSERT INTO meta (key, value) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value");
    stamp.bind(meta::key::STAMP).bind(now.as_millis().to_string()).run(&connection)?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(part).and_then(|file| file.sync_all()).map_err(StoreError::io("sync", part))
}

fn publish(part: &Path, to: &Path) -> Result<(), StoreError> {
    match renameat_with(CWD, part, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Err(StoreError::Exists { path: to.to_owned() }),
        // File systems without it: the look at the start has to do.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            fs::rename(part, to).map_err(StoreError::io("rename", to))?;
        }
        Err(error) => return Err(StoreError::io("rename", to)(error.into())),
    }
    place::sync_folder(&place::folder(to))
}
