//! Where the store lies: files and folders that only their owner can read and change.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// The folder that `path` lies in.
pub(super) fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes folder and file where they are missing, and refuses ones that others could get at.
///
/// The file is made here, with its mode, because SQLite would follow the umask; `-wal` and `-shm`
/// take the mode of the file.
pub(super) fn prepare(path: &Path) -> Result<(), StoreError> {
    let folder = prepare_folder(path)?;
    match create(path) {
        Ok(file) => {
            file.sync_all().map_err(StoreError::io("sync", path))?;
            sync_folder(&folder)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => check_file(path, &[own_uid()]),
        Err(error) => Err(StoreError::io("create", path)(error)),
    }
}

/// Makes the folder that `path` lies in, with mode 0700; refuses one that others can write to.
pub(super) fn prepare_folder(path: &Path) -> Result<PathBuf, StoreError> {
    let folder = folder(path);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(StoreError::io("create", &folder))?;
    check_folder(&folder, &[own_uid()])?;
    Ok(folder)
}

/// That there is a store and it is the caller's own, or the caller is root.
pub(super) fn check_readable(path: &Path) -> Result<(), StoreError> {
    let seen = path.symlink_metadata().map_err(|error| match error.kind() {
        ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
        _ => StoreError::io("look at", path)(error),
    })?;
    let own = own_uid();
    let owners = if own == 0 { vec![own, seen.uid()] } else { vec![own] };
    check_folder(&folder(path), &[owners.as_slice(), &[0]].concat())?;
    check_file(path, &owners)
}

/// A new file with mode 0600; an existing one, also a dangling link, is an error.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(StoreError::io("sync", folder))
}

fn check_folder(folder: &Path, owners: &[u32]) -> Result<(), StoreError> {
    let seen = folder.metadata().map_err(StoreError::io("look at", folder))?;
    check_owner(folder, &seen, owners)?;
    refuse_mode(folder, &seen, 0o022, "others can write to the folder of the store; `chmod 700` it")
}

fn check_file(path: &Path, owners: &[u32]) -> Result<(), StoreError> {
    let seen = path.symlink_metadata().map_err(StoreError::io("look at", path))?;
    if !seen.is_file() {
        let why = "it is a link, a folder or a device; the store must be a plain file".to_owned();
        return Err(StoreError::Unsafe { path: path.to_owned(), why });
    }
    check_owner(path, &seen, owners)?;
    refuse_mode(path, &seen, 0o077, "others can read or change the store; `chmod 600` it")?;
    refuse_foreign_log(path)
}

/// Where the version of a database's format stands, and what says "no write-ahead log".
const FORMAT_AT: u64 = 18;
const FORMAT_WITHOUT_LOG: u8 = 1;

/// SQLite would apply a write-ahead log that lies beside a database to it, whosever log it is. After
/// a kill there is one, and whoever then puts a backup in place of the file leaves it there. A
/// backup has no log, and its format says so: then a log beside it is another store's.
fn refuse_foreign_log(path: &Path) -> Result<(), StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let log = PathBuf::from(name);
    if !log.symlink_metadata().is_ok_and(|seen| seen.len() > 0) {
        return Ok(());
    }
    let mut format = [0];
    let read = File::open(path).and_then(|file| file.read_at(&mut format, FORMAT_AT));
    if read.map_err(StoreError::io("read", path))? == 0 || format != [FORMAT_WITHOUT_LOG] {
        return Ok(());
    }
    let why = "it is the write-ahead log of another store, which would spoil the backup put beside it; \
               remove it and the -shm file"
        .to_owned();
    Err(StoreError::Unsafe { path: log, why })
}

fn check_owner(path: &Path, seen: &Metadata, owners: &[u32]) -> Result<(), StoreError> {
    if owners.contains(&seen.uid()) {
        return Ok(());
    }
    let why = format!("it belongs to uid {}, this program runs as uid {}; run it as the owner", seen.uid(), own_uid());
    Err(StoreError::Unsafe { path: path.to_owned(), why })
}

fn refuse_mode(path: &Path, seen: &Metadata, bits: u32, why: &str) -> Result<(), StoreError> {
    let mode = seen.mode() & 0o7777;
    if mode & bits == 0 {
        return Ok(());
    }
    Err(StoreError::Unsafe { path: path.to_owned(), why: format!("mode {mode:04o}: {why}") })
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
