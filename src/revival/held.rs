//! A run file under its lock: whoever reads what it tells, or adds to it, holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::error::RevivalError;
use super::text::{SIZE_MAX, Text};

/// A run file whose lock is ours. The lock is on the file itself and goes with the process, if not before.
pub(super) struct Held {
    file: File,
    path: PathBuf,
}

/// What came of trying to hold one.
pub(super) enum Opened {
    /// It is ours.
    Held(Held),
    /// Somebody else holds it.
    Busy,
    /// There is none of that name.
    Gone,
}

impl Held {
    /// Opens the run file at `path` and takes its lock, without waiting for it. It never makes one: a shim that is late
    /// must not bring a removed run back to life.
    pub(super) fn open(path: &Path) -> Result<Opened, RevivalError> {
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Opened::Gone),
            Err(e) => return Err(RevivalError::io("open", path)(e)),
        };
        match file.try_lock() {
            Ok(()) => Ok(Opened::Held(Self { file, path: path.to_owned() })),
            Err(TryLockError::WouldBlock) => Ok(Opened::Busy),
            Err(TryLockError::Error(e)) => Err(RevivalError::io("lock", path)(e)),
        }
    }

    /// Reads all of it, up to one byte more than it may have. Only once: it reads on from where it stopped.
    pub(super) fn read(&self) -> Result<Text, RevivalError> {
        // Room for what a spec mostly needs: it is read in one go.
        let mut bytes = Vec::with_capacity(4 << 10);
        let most = SIZE_MAX as u64 + 1;
        (&self.file).take(most).read_to_end(&mut bytes).map_err(RevivalError::io("read", &self.path))?;
        Ok(Text::new(bytes))
    }

    /// Adds `mark` behind `text`, which is all there is; durable only after [`Self::keep_mark`]. If it fails, what was
    /// there before is left.
    pub(super) fn mark(&self, text: &Text, mark: &[u8]) -> Result<(), RevivalError> {
        let written = self.append("mark", &text.with_mark(mark));
        self.or_take_back(text, written)
    }

    /// Makes the mark behind `text` durable. If it fails, the mark is taken back: nobody else can have seen it, and
    /// nothing was done on the strength of it.
    pub(super) fn keep_mark(&self, text: &Text) -> Result<(), RevivalError> {
        let durable = self.make_durable("make the mark durable in");
        self.or_take_back(text, durable)
    }

    fn or_take_back(&self, text: &Text, done: Result<(), RevivalError>) -> Result<(), RevivalError> {
        if done.is_err() {
            // Should that fail as well, a mark stays that says less than is known, and nothing that is not so.
            let _ = self.file.set_len(text.len());
        }
        done
    }

    /// Adds `bytes` at the end.
    pub(super) fn append(&self, doing: &'static str, bytes: &[u8]) -> Result<(), RevivalError> {
        (&self.file).write_all(bytes).map_err(RevivalError::io(doing, &self.path))
    }

    /// Makes all that stands in it durable, and its length.
    pub(super) fn make_durable(&self, doing: &'static str) -> Result<(), RevivalError> {
        self.file.sync_data().map_err(RevivalError::io(doing, &self.path))
    }

    /// Lets go of the lock, and tells if that could not be.
    pub(super) fn unlock(self) -> Result<(), RevivalError> {
        self.file.unlock().map_err(RevivalError::io("unlock", &self.path))
    }
}

impl Drop for Held {
    /// Also after an error or a panic, and said aloud rather than left to the file's own drop: a process that is just
    /// being spawned elsewhere in this program may hold a copy of the descriptor for a moment.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_drops_it_lets_go_although_a_copy_of_the_descriptor_is_held() {
        let runs = tempfile::tempdir().unwrap();
        let path = runs.path().join("e-1");
        std::fs::write(&path, "").unwrap();
        let Opened::Held(held) = Held::open(&path).unwrap() else { panic!("it is free") };
        // As a process has it that another thread is just starting.
        let copy = held.file.try_clone().unwrap();
        assert!(matches!(Held::open(&path).unwrap(), Opened::Busy));
        drop(held);
        assert!(matches!(Held::open(&path).unwrap(), Opened::Held(_)));
        drop(copy);
    }
}
