//! The daemon's lock: one process at a time decides and acts on a store.
//!
//! The kernel holds it for as long as the file is open, so a killed daemon leaves none behind. The
//! file itself stays: to delete it would let two processes lock two files of one name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::error::StoreError;

/// [`holder`] itself takes a shared lock for an instant; so a taker tries again for a moment before
/// it believes that somebody holds the lock.
const TRIES: u32 = 10;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// The lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct DaemonLock {
    _file: File,
    path: PathBuf,
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, as far as it has told.
    pub pid: Option<u32>,
}

/// The lock file of the store in `store`.
pub fn lock_path(store: &Path) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    store.with_file_name(name)
}

impl DaemonLock {
    /// Takes the lock of the store in the file `store`, whose folder is made if it is missing;
    /// [`StoreError::Locked`] names the pid of who holds it. Waits for 0.2 s at most.
    pub fn take(store: &Path) -> Result<Self, StoreError> {
        let path = lock_path(store);
        super::place::prepare_folder(store)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        if !try_lock(&file, &path)? {
            return Err(StoreError::Locked { pid: read_pid(&mut file), path });
        }
        file.set_len(0).map_err(StoreError::io("write", &path))?;
        file.rewind().map_err(StoreError::io("write", &path))?;
        writeln!(file, "{}", std::process::id()).map_err(StoreError::io("write", &path))?;
        Ok(Self { _file: file, path })
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Who holds the lock of the store in the file `store` at this moment; None if nobody does. Who
/// must be sure that nobody takes it in the next moment takes it instead.
pub fn holder(store: &Path) -> Result<Option<Holder>, StoreError> {
    let path = lock_path(store);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("open", &path)(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(Holder { pid: read_pid(&mut file) })),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
    }
}

fn try_lock(file: &File, path: &Path) -> Result<bool, StoreError> {
    // Nothing is ever sent here; waiting for it is the pause.
    let (_never, pause) = mpsc::channel::<()>();
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => drop(pause.recv_timeout(PAUSE)),
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", path)(error)),
        }
    }
    Ok(false)
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
