//! What became of a run: one function for the live daemon and for recovery.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use super::error::RevivalError;
use super::outcome::Outcome;
use super::run_folder::{self, RunFolder, open_lock, sync_folder};

/// What stands in a mark that was made here. A shim's mark is empty, and a torn one is not this.
const NEVER_STARTED: &[u8] = b"never started\n";

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Somebody holds the lock: the shim works, or another settling goes on this moment. Wait.
    StillRunning,
    /// The command ended, and its outcome was kept.
    Ended(Outcome),
    /// It is proven that the command never started and never can under this name. Make the next attempt.
    NeverStarted,
    /// The folder or its lock is gone: *unknown*, the command may have run.
    Missing,
    /// The shim died after its mark and before an outcome: *unknown*, the command may have run and may still run.
    Vanished,
    /// There is an outcome that cannot be read: *unknown*.
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
}

/// Settles a run under the lock that its shim works under. Blocks on file IO: at most a read, or two fsyncs.
///
/// May be called at any time and any number of times: after the first answer that is not
/// [`Settled::StillRunning`] it gives the same again while the folder is there. Called before the shim took its lock
/// it says [`Settled::NeverStarted`] and makes that true. An error (a full disk, no descriptors) proves nothing: try
/// again later.
pub fn settle(folder: &RunFolder) -> Result<Settled, RevivalError> {
    let path = folder.path();
    let lock = match open_lock(path) {
        Ok(lock) => lock,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Settled::Missing),
        Err(e) => return Err(RevivalError::io("open the lock in", path)(e)),
    };
    if !take(&lock, path)? {
        return Ok(Settled::StillRunning);
    }
    let settled = settle_locked(path);
    // Said aloud rather than left to the drop: a process that is just being spawned elsewhere in this program may
    // hold a copy of the descriptor for a moment.
    lock.unlock().map_err(RevivalError::io("unlock", path))?;
    settled
}

fn settle_locked(path: &Path) -> Result<Settled, RevivalError> {
    match Outcome::read(path) {
        Ok(Some(outcome)) => return Ok(Settled::Ended(outcome)),
        Ok(None) => {}
        Err(RevivalError::Unreadable { why, .. }) => return Ok(Settled::Unreadable { why }),
        Err(e) => return Err(e),
    }
    let mark_path = path.join(run_folder::MARK);
    fail_point!("settle.before_mark");
    match run_folder::create_private(&mark_path) {
        Ok(mark) => {
            fail_point!("settle.in_mark");
            if let Err(e) = make_never_started(mark, path) {
                // A mark without its text would read as the shim's. Nobody else can have seen it: we hold the lock.
                let _ = std::fs::remove_file(&mark_path);
                return Err(e);
            }
            fail_point!("settle.after_mark");
            Ok(Settled::NeverStarted)
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let text = std::fs::read(&mark_path).map_err(RevivalError::io("read", &mark_path))?;
            Ok(if text == NEVER_STARTED { Settled::NeverStarted } else { Settled::Vanished })
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Settled::Missing),
        Err(e) => Err(RevivalError::io("create", &mark_path)(e)),
    }
}

fn make_never_started(mut mark: File, path: &Path) -> Result<(), RevivalError> {
    mark.write_all(NEVER_STARTED)
        .and_then(|()| mark.sync_all())
        .map_err(RevivalError::io("make the mark durable in", path))?;
    sync_folder(path)
}

/// Takes the lock without waiting; false if somebody has it.
pub(super) fn take(lock: &File, path: &Path) -> Result<bool, RevivalError> {
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(RevivalError::io("lock", path)(e)),
    }
}

/// Waits until nobody holds the lock of a run: for runs whose shim is no child of ours, after a restart of the daemon.
/// Returns at once when the folder is gone; then [`settle`] says what became of the run.
///
/// It looks every `every` (50 to 200 ms is sensible) instead of blocking in flock: that would keep a thread for
/// each run and could not be called off. Each look takes the lock for an instant, and a shim that comes just then
/// leaves; that costs an attempt, not the promise. Call it off by dropping it.
pub async fn wait_unlocked(folder: &RunFolder, every: Duration) -> Result<(), RevivalError> {
    loop {
        let path = folder.path();
        match open_lock(path) {
            Ok(lock) => {
                if take(&lock, path)? {
                    return lock.unlock().map_err(RevivalError::io("unlock", path));
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
            Err(e) => return Err(RevivalError::io("open the lock in", path)(e)),
        }
        tokio::time::sleep(every).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::run_folder::{CommandSpec, RunName};
    use super::*;

    fn folder(runs: &Path) -> RunFolder {
        let spec = CommandSpec::new(vec!["true".into()], vec![]);
        RunFolder::create(runs, &RunName::new("e", 1).unwrap(), &spec).unwrap()
    }

    #[test]
    fn each_state_of_the_folder_has_its_answer_and_keeps_it() {
        type Prepare = fn(&Path);
        let table: [(&str, Prepare, Settled); 6] = [
            ("fresh", |_| {}, Settled::NeverStarted),
            ("gone", |path| std::fs::remove_dir_all(path).unwrap(), Settled::Missing),
            ("no lock", |path| std::fs::remove_file(path.join("lock")).unwrap(), Settled::Missing),
            ("marked", |path| std::fs::write(path.join("mark"), "").unwrap(), Settled::Vanished),
            ("torn mark", |path| std::fs::write(path.join("mark"), "never").unwrap(), Settled::Vanished),
            (
                "outcome only aside",
                |path| {
                    std::fs::write(path.join("mark"), "").unwrap();
                    std::fs::write(path.join(run_folder::OUTCOME_ASIDE), "{}").unwrap();
                },
                Settled::Vanished,
            ),
        ];
        for (what, prepare, answer) in table {
            let runs = tempfile::tempdir().unwrap();
            let folder = folder(runs.path());
            prepare(folder.path());
            for _ in 0..3 {
                assert_eq!(settle(&folder).unwrap(), answer, "{what}");
            }
        }
    }

    #[test]
    fn an_outcome_that_cannot_be_read_is_no_proof_of_anything() {
        for text in ["", "{\"version\":1", "{\"version\":99,\"end\":\"new\"}"] {
            let runs = tempfile::tempdir().unwrap();
            let folder = folder(runs.path());
            std::fs::write(folder.path().join("mark"), "").unwrap();
            std::fs::write(folder.path().join(run_folder::OUTCOME), text).unwrap();
            assert!(matches!(settle(&folder).unwrap(), Settled::Unreadable { .. }), "{text}");
        }
    }

    #[test]
    fn while_the_lock_is_taken_nothing_is_marked() {
        let runs = tempfile::tempdir().unwrap();
        let folder = folder(runs.path());
        let shim = open_lock(folder.path()).unwrap();
        shim.lock().unwrap();
        assert_eq!(settle(&folder).unwrap(), Settled::StillRunning);
        assert!(!folder.path().join("mark").exists());
        drop(shim);
        assert_eq!(settle(&folder).unwrap(), Settled::NeverStarted);
    }

    #[tokio::test]
    async fn the_wait_ends_with_the_lock_and_not_before() {
        let runs = tempfile::tempdir().unwrap();
        let folder = folder(runs.path());
        let shim = open_lock(folder.path()).unwrap();
        shim.lock().unwrap();
        let every = Duration::from_millis(1);
        let mut wait = std::pin::pin!(wait_unlocked(&folder, every));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut wait).await.is_err());
        drop(shim);
        wait.await.unwrap();
        std::fs::remove_dir_all(folder.path()).unwrap();
        wait_unlocked(&folder, every).await.unwrap();
    }
}
