//! State that is too large for an event: a file under the name of its hash, in the folder `states`
//! beside the store. The event refers to it ([`StateFile::to_value`]).
//!
//! A file is complete before it bears its name, and never changed; equal content is one file. These
//! functions block. A backup of the store takes them along ([`copy_states`]).

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::error::StoreError;
use super::super::place;
use crate::mission::limit::StateFile;

/// Most bytes of one state.
pub const STATE_BYTES: usize = 16 * 1024 * 1024;

/// Keeps `content` beside the store in the file `store`; durable when this returns.
pub fn keep_state(store: &Path, content: &[u8]) -> Result<StateFile, StoreError> {
    let file = StateFile::of(content);
    if content.len() > STATE_BYTES {
        let why = format!("it has {} bytes, at most {STATE_BYTES} are kept", content.len());
        return Err(StoreError::Invalid { table: "states", row: file.sha256, why });
    }
    let folder = folder(store);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(StoreError::io("create", &folder))?;
    place::sync_folder(&place::folder(store))?;
    // One that is there and whole is the same; a damaged one is replaced.
    if matches!(read_state(store, &file), Ok(Some(_))) {
        return Ok(file);
    }
    // Two may keep the same state at once: neither takes the other's half for its own.
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let part = folder.join(format!("{}.{}-{call}.part", file.sha256, std::process::id()));
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::io("remove", &part)(error)),
        _ => {}
    }
    let mut written = place::create(&part).map_err(StoreError::io("create", &part))?;
    written.write_all(content).map_err(StoreError::io("write", &part))?;
    written.sync_all().map_err(StoreError::io("sync", &part))?;
    let path = folder.join(&file.sha256);
    fs::rename(&part, &path).map_err(StoreError::io("rename", &path))?;
    place::sync_folder(&folder)?;
    Ok(file)
}

/// The content of a file that an event refers to; None if it is not here. One that does not have its
/// hash is an error, not an answer.
pub fn read_state(store: &Path, file: &StateFile) -> Result<Option<Vec<u8>>, StoreError> {
    let damaged = |why: &str| StoreError::Inconsistent {
        table: "states",
        column: "content",
        row: file.sha256.clone(),
        why: why.to_owned(),
    };
    // What is no hash of ours could be a path that leads elsewhere.
    if StateFile::from_value(&file.to_value()).is_none() {
        return Err(damaged("its name is no hash"));
    }
    let path = folder(store).join(&file.sha256);
    let opened = match fs::File::open(&path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("open", &path)(error)),
    };
    let mut content = Vec::new();
    opened.take(STATE_BYTES as u64 + 1).read_to_end(&mut content).map_err(StoreError::io("read", &path))?;
    if StateFile::of(&content) != *file {
        return Err(damaged("its content does not have its hash"));
    }
    Ok(Some(content))
}

/// Copies the files beside the store in the file `from` to where they are beside the one in the file `to`: those
/// that are there already are the same. To be called after the store itself was copied, so that no event in the
/// copy lacks its file. Tells how many were copied; a damaged one is an error.
pub fn copy_states(from: &Path, to: &Path) -> Result<u64, StoreError> {
    let source = folder(from);
    let entries = match fs::read_dir(&source) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(StoreError::io("read", &source)(error)),
    };
    let mut copied = 0;
    for entry in entries {
        let entry = entry.map_err(StoreError::io("read", &source))?;
        let sha256 = entry.file_name().to_string_lossy().into_owned();
        let bytes = entry.metadata().map_err(StoreError::io("look at", &entry.path()))?.len();
        let file = StateFile { sha256, bytes };
        // A part of one that is being written is no file of ours yet.
        if StateFile::from_value(&file.to_value()).is_none() || matches!(read_state(to, &file), Ok(Some(_))) {
            continue;
        }
        if let Some(content) = read_state(from, &file)? {
            keep_state(to, &content)?;
            copied += 1;
        }
    }
    Ok(copied)
}

fn folder(store: &Path) -> PathBuf {
    place::folder(store).join("states")
}
