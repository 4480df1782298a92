use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The state file, held by one run at a time and never half written.
///
/// The lock is a file of its own beside it (`.NAME.lock`, which stays), since the state itself is
/// replaced by another file. That both can be written is found out when it is opened, before
/// anything is probed or restarted.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    folder: PathBuf,
    temporary: PathBuf,
    file: File,
    lock: File,
}

impl StateFile {
    /// Takes the file for this run; missing folders are made.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot write the state {}", path.display());
        // A symlink stays one: what it points to is replaced.
        let path = match path.canonicalize() {
            Ok(resolved) => resolved,
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error).with_context(context),
        };
        let name = path.file_name().with_context(context)?.to_string_lossy().into_owned();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        std::fs::create_dir_all(&folder).with_context(context)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o644);
        let lock = options.open(folder.join(format!(".{name}.lock"))).with_context(context)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another run works with the state {}; try again", path.display()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        }
        let temporary = folder.join(format!(".{name}.new"));
        let file = options.open(&temporary).with_context(context)?;
        Ok(Self { path, folder, temporary, file, lock })
    }

    /// Puts `text` in place of what was there: whole, or not at all.
    pub fn replace(mut self, text: &str) -> anyhow::Result<()> {
        self.swap(text).with_context(|| format!("cannot write the state {}", self.path.display()))
    }

    fn swap(&mut self, text: &str) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_all()?;
        std::fs::rename(&self.temporary, &self.path)?;
        File::open(&self.folder)?.sync_all()
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        // Gone already if it took the state's place; under the lock it can only be our own.
        let _ = std::fs::remove_file(&self.temporary);
        // Said aloud, since a child that was just forked elsewhere still holds the descriptor until it execs.
        let _ = self.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time_and_never_half_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/state.json");
        let first = StateFile::open(&path).unwrap();
        assert!(StateFile::open(&path).unwrap_err().to_string().contains("another run"));
        first.replace("{}").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
        drop(StateFile::open(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}", "a run that gives up changes nothing");
        assert!(!path.with_file_name(".state.json.new").exists());
    }

    #[test]
    fn a_symlink_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        std::fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        StateFile::open(&link).unwrap().replace("new").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(StateFile::open(&folder.path().join("file/state.json")).is_err());
    }
}
