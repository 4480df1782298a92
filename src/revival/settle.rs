//! What became of a run: one function for the live daemon and for recovery.

use std::time::Duration;

use super::error::RevivalError;
use super::held::{Held, Opened};
use super::outcome::Outcome;
use super::run_file::RunFile;
use super::text::{NEVER_STARTED, Told};

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Somebody holds the lock: the shim works, or another settling goes on this moment. Wait.
    StillRunning,
    /// The command ended, and its outcome was kept.
    Ended(Outcome),
    /// It is proven that the command never started and never can under this name. Make the next attempt.
    NeverStarted,
    /// The file is gone: *unknown*, the command may have run.
    Missing,
    /// The shim died after its mark and before an outcome: *unknown*, the command may have run and may still run.
    Vanished,
    /// There is an outcome that cannot be read: *unknown*.
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
}

/// Settles a run under the lock that its shim works under. Blocks on file IO: at most a read and an fsync.
///
/// May be called at any time and any number of times: after the first answer that is not
/// [`Settled::StillRunning`] it gives the same again while the file is there. Called before the shim took its lock
/// it says [`Settled::NeverStarted`] and makes that true. An error (a full disk, no descriptors) proves nothing: try
/// again later.
pub fn settle(run: &RunFile) -> Result<Settled, RevivalError> {
    let held = match Held::open(run.path())? {
        Opened::Held(held) => held,
        Opened::Busy => return Ok(Settled::StillRunning),
        Opened::Gone => return Ok(Settled::Missing),
    };
    let settled = settle_held(&held);
    held.unlock()?;
    settled
}

fn settle_held(held: &Held) -> Result<Settled, RevivalError> {
    let text = held.read()?;
    match text.told() {
        Told::Ended(outcome) => Ok(Settled::Ended(outcome)),
        Told::Unreadable { why } => Ok(Settled::Unreadable { why }),
        Told::NeverStarted => Ok(Settled::NeverStarted),
        Told::Started => Ok(Settled::Vanished),
        Told::Nothing => {
            fail_point!("settle.before_mark");
            held.mark(&text, NEVER_STARTED)?;
            fail_point!("settle.in_mark");
            held.keep_mark(&text)?;
            fail_point!("settle.after_mark");
            Ok(Settled::NeverStarted)
        }
    }
}

/// Waits until nobody holds the lock of a run: for runs whose shim is no child of ours, after a restart of the daemon.
/// Returns at once when the file is gone; then [`settle`] says what became of the run.
///
/// It looks every `every` (50 to 200 ms is sensible) instead of blocking in flock: that would keep a thread for
/// each run and could not be called off. Each look takes the lock for an instant, and a shim that comes just then
/// leaves; that costs an attempt, not the promise. Call it off by dropping it.
pub async fn wait_unlocked(run: &RunFile, every: Duration) -> Result<(), RevivalError> {
    loop {
        match Held::open(run.path())? {
            Opened::Held(held) => return held.unlock(),
            Opened::Gone => return Ok(()),
            Opened::Busy => tokio::time::sleep(every).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::run_name::RunName;
    use super::super::spec::CommandSpec;
    use super::*;

    fn run(runs: &Path) -> RunFile {
        let spec = CommandSpec::new(vec!["true".into()], vec![]);
        RunFile::create(runs, &RunName::new("e", 1).unwrap(), &spec).unwrap()
    }

    fn hold(run: &RunFile) -> Held {
        match Held::open(run.path()).unwrap() {
            Opened::Held(held) => held,
            _ => panic!("it is not free"),
        }
    }

    #[test]
    fn each_state_of_the_file_has_its_answer_and_keeps_it() {
        type Prepare = fn(&Path);
        let table: [(&str, Prepare, Settled); 9] = [
            ("fresh", |_| {}, Settled::NeverStarted),
            ("gone", |path| std::fs::remove_file(path).unwrap(), Settled::Missing),
            ("no folder", |path| std::fs::remove_dir_all(path.parent().unwrap()).unwrap(), Settled::Missing),
            ("empty", |path| std::fs::write(path, "").unwrap(), Settled::NeverStarted),
            ("torn", |path| std::fs::write(path, "{\"version\":1").unwrap(), Settled::NeverStarted),
            ("marked", |path| std::fs::write(path, "{}\nstarted\n").unwrap(), Settled::Vanished),
            ("torn mark", |path| std::fs::write(path, "{}\nnever").unwrap(), Settled::Vanished),
            ("torn outcome", |path| std::fs::write(path, "{}\nstarted\n{\"ver").unwrap(), Settled::Vanished),
            ("two marks", |path| std::fs::write(path, "{}\nnever started\nstarted\n").unwrap(), Settled::Vanished),
        ];
        for (what, prepare, answer) in table {
            let runs = tempfile::tempdir().unwrap();
            let run = run(runs.path());
            prepare(run.path());
            for _ in 0..3 {
                assert_eq!(settle(&run).unwrap(), answer, "{what}");
            }
        }
    }

    #[test]
    fn an_outcome_that_cannot_be_read_is_no_proof_of_anything() {
        for line in ["", "{\"version\":1", "{\"version\":99,\"end\":\"new\"}"] {
            let runs = tempfile::tempdir().unwrap();
            let run = run(runs.path());
            let text = format!("{{}}\nstarted\n{line}\n");
            std::fs::write(run.path(), &text).unwrap();
            assert!(matches!(settle(&run).unwrap(), Settled::Unreadable { .. }), "{line}");
            assert_eq!(std::fs::read_to_string(run.path()).unwrap(), text, "nothing was added");
        }
    }

    #[test]
    fn a_file_that_is_longer_than_any_is_not_read_to_its_end() {
        let runs = tempfile::tempdir().unwrap();
        let run = run(runs.path());
        let file = std::fs::OpenOptions::new().write(true).open(run.path()).unwrap();
        file.set_len(1 << 40).unwrap();
        assert!(matches!(settle(&run).unwrap(), Settled::Unreadable { .. }));
    }

    #[test]
    fn while_the_lock_is_taken_nothing_is_marked() {
        let runs = tempfile::tempdir().unwrap();
        let run = run(runs.path());
        let before = std::fs::read(run.path()).unwrap();
        let shim = hold(&run);
        assert_eq!(settle(&run).unwrap(), Settled::StillRunning);
        assert_eq!(std::fs::read(run.path()).unwrap(), before);
        drop(shim);
        assert_eq!(settle(&run).unwrap(), Settled::NeverStarted);
        assert_eq!(std::fs::read(run.path()).unwrap(), [&before, NEVER_STARTED].concat());
    }

    #[tokio::test]
    async fn the_wait_ends_with_the_lock_and_not_before() {
        let runs = tempfile::tempdir().unwrap();
        let run = run(runs.path());
        let shim = hold(&run);
        let every = Duration::from_millis(1);
        let mut wait = std::pin::pin!(wait_unlocked(&run, every));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut wait).await.is_err());
        drop(shim);
        wait.await.unwrap();
        std::fs::remove_file(run.path()).unwrap();
        wait_unlocked(&run, every).await.unwrap();
    }
}
