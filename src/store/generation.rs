//! How a restored backup is recognised: each start raises a generation in the store, and then in a
//! file beside it. Whoever puts an old copy of the store back does not put the old file back too.
//!
//! ```text
//! found = detect(…)      before anything is read from the store
//! write(raise(…), and if found.restored is not No: withdraw, call off — one transaction)
//! found.settle(…)        the file, by rename
//! ```
//!
//! A kill between the last two leaves a file that is older than the store, which is no sign of a
//! backup. The very first start writes the file before the store's first generation, so that a kill
//! there does not look like a lost file. Not recognised: a snapshot of the whole folder, and a copy
//! of the bare file that was made and put back without a start in between.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::tx::{Reads, Tx};
use super::{meta, place};

/// Whether the store is a restored backup, and by which sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is the one that was used last.
    No,
    /// The file beside it has seen a later generation.
    Older,
    /// It has been started before, but not here: there is no (readable) file beside it.
    NoFileBeside,
    /// It is a copy made by `backup`.
    Stamped,
}

/// What store and file say at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whether the store is a restored backup.
    pub restored: Restored,
    /// The generation that this start raises to: past both the store's and the file's.
    pub next: i64,
}

/// The file beside the store in `store`.
pub fn file_beside(store: &Path) -> PathBuf {
    place::folder(store).join("generation")
}

/// Compares the store with its file; on a store that was never started, makes the file.
pub async fn detect(db: &mut impl Reads, store: &Path) -> Result<Found, StoreError> {
    let of_store = meta::number(db, meta::key::GENERATION).await?.unwrap_or(0);
    let stamped = meta::get(db, meta::key::STAMP).await?.is_some();
    let file = file_beside(store);
    let beside = read_file(&file)?;
    if of_store == 0 && beside.is_none() && !stamped {
        write_file(&file, 0)?;
    }
    let restored = match beside {
        _ if stamped => Restored::Stamped,
        None if of_store > 0 => Restored::NoFileBeside,
        Some(beside) if beside > of_store => Restored::Older,
        None | Some(_) => Restored::No,
    };
    Ok(Found { restored, next: of_store.max(beside.unwrap_or(0)).saturating_add(1) })
}

/// Raises the store's generation and clears the stamp, in the transaction that also withdraws what
/// a restored store may not act on.
pub async fn raise(tx: &mut Tx, found: Found) -> Result<(), StoreError> {
    meta::set(tx, meta::key::GENERATION, &found.next.to_string()).await?;
    meta::remove(tx, meta::key::STAMP).await
}

/// Writes the generation beside the store, after the transaction of [`raise`] was committed.
pub fn settle(store: &Path, found: Found) -> Result<(), StoreError> {
    write_file(&file_beside(store), found.next)
}

/// None for a file that is missing or does not hold a number: then the store is taken for restored,
/// the safe side.
fn read_file(file: &Path) -> Result<Option<i64>, StoreError> {
    match fs::read(file) {
        Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", file)(error)),
    }
}

fn write_file(file: &Path, generation: i64) -> Result<(), StoreError> {
    let new = file.with_extension("new");
    // Left over by a kill; only the holder of the daemon's lock comes here.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::io("replace", &new)(error)),
        _ => {}
    }
    let mut out = place::create(&new).map_err(StoreError::io("create", &new))?;
    out.write_all(format!("{generation}\n").as_bytes())
        .and_then(|()| out.sync_all())
        .map_err(StoreError::io("write", &new))?;
    fail_point!("generation.before_rename");
    fs::rename(&new, file).map_err(StoreError::io("rename", file))?;
    fail_point!("generation.after_rename");
    place::sync_folder(&place::folder(file))
}
