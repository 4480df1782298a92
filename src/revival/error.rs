use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What can go wrong around a run file or a shim; fits after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum RevivalError {
    /// The file system refused.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was tried, as a fragment: `make the mark`.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A run file of this name is there already, left by a crash: take the next attempt.
    #[error("make the run file {}: it exists, and none is used twice; take the next attempt", .0.display())]
    Exists(PathBuf),
    /// The run was removed, or never made.
    #[error("open the run {}: there is none of that name", .0.display())]
    Gone(PathBuf),
    /// The run still goes on.
    #[error("touch the run {}: its shim still holds the lock; wait until it ends", .0.display())]
    StillRunning(PathBuf),
    /// Somebody was here before: this run has been started, or settled as never started.
    #[error("start the run {}: it has been started or settled before", .0.display())]
    AlreadyMarked(PathBuf),
    /// The run file says something that this version cannot read.
    #[error("read {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The folder of the runs is not safe from others.
    #[error("use the folder of the runs {}: {why}", path.display())]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The shim itself could not be started.
    #[error("start the shim {}", program.display())]
    Start {
        /// The shim's program.
        program: PathBuf,
        /// Why not; the same for all runs that were to share it.
        source: Arc<io::Error>,
    },
    /// Nobody starts shims any more.
    #[error("start the run {}: the daemon is stopping; the next start of the daemon settles it", .0.display())]
    Stopping(PathBuf),
    /// The shim could not set itself up; nothing ran.
    #[error("{doing}")]
    Setup {
        /// What was tried, as a fragment.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl RevivalError {
    /// For `map_err`: what was tried with which file.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// For `map_err`: what the shim tried for itself.
    pub(super) fn setup<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Setup { doing, source: source.into() }
    }
}
