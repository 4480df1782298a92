use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};

use super::error::RevivalError;
use super::run_file::RunFile;
use super::settle::wait_unlocked;
use super::small::SmallShim;
use super::spec::CommandSpec;

/// Starts shims.
#[derive(Clone, Debug)]
pub struct Launcher {
    program: PathBuf,
    small: Option<Arc<SmallShim>>,
}

/// A shim that was started and has not been waited for. Dropping it ends nothing: the shim goes on, and the runtime
/// reaps it when it has ended.
#[derive(Debug)]
pub struct Started {
    child: Child,
    /// Nothing is ever written here; the shim lets go of it when the run is settled, or by dying.
    done: Option<ChildStdout>,
    run: RunFile,
}

impl Launcher {
    /// Starts `program shim …`: literally `/proc/self/exe` in the daemon, which goes on naming the running binary when
    /// the file was replaced; the built binary in tests.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), small: None }
    }

    /// The same, by the shim's own program at `path` as long as that is of this very build.
    pub async fn or_by(self, path: &Path) -> Self {
        let small = match SmallShim::find(path).await {
            Ok(small) => Some(Arc::new(small)),
            Err(why) => {
                tracing::debug!(path = %path.display(), why, "commands are started by the whole program");
                None
            }
        };
        Self { small, ..self }
    }

    /// What the next shim is started from.
    pub fn program(&self) -> PathBuf {
        let small = self.small.as_ref().filter(|small| small.is_unchanged());
        small.map_or_else(|| self.program.clone(), |small| small.path())
    }

    /// Starts the shim of `run`, which [`RunFile::create`] made from the same `spec`, and returns at once. Must be
    /// called within a tokio runtime. An error means that nothing was started; [`settle`](super::settle()) proves it.
    ///
    /// The shim gets a process group of its own, so no signal to the daemon's group reaches it, and the command's
    /// environment as its own. No `pre_exec`: it would make the daemon fork instead of spawn.
    pub fn start(&self, run: &RunFile, spec: &CommandSpec) -> Result<Started, RevivalError> {
        let program = self.program();
        let mut command = Command::new(&program);
        command
            .arg0("lazarus-gate")
            .arg("shim")
            .arg(run.path())
            .env_clear()
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(false);
        #[cfg(feature = "failpoints")]
        command.envs(crate::fail_point::settings().iter().map(|(name, value)| (name, value)));
        fail_point!("start.before_spawn");
        let failed = |source| RevivalError::Start { program: program.clone(), source };
        let mut child = command.spawn().map_err(failed)?;
        fail_point!("start.after_spawn");
        Ok(Started { done: child.stdout.take(), child, run: run.clone() })
    }
}

impl Started {
    /// The shim's process id, which is its group's as well; `None` when it has been reaped.
    pub fn shim_pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the run can be settled: the outcome is durable, or the shim is dead; the lock is free. An error
    /// (no descriptors) says nothing of the run: go on with [`wait_unlocked`].
    ///
    /// The shim's process may live on, as long as something that the command left behind (an agent it started) holds
    /// its output: somebody has to read that, or the agent would die of writing to a closed pipe.
    pub async fn ended(mut self) -> Result<(), RevivalError> {
        if let Some(mut done) = self.done.take() {
            // The end or an error: both say that there is nobody at the other side any more.
            while matches!(done.read(&mut [0; 64]).await, Ok(1..)) {}
        }
        // A killed shim's descriptors close one by one, this pipe before the lock.
        wait_unlocked(&self.run, Duration::from_millis(5)).await
    }
}
