use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::error::RevivalError;
use super::queue::{Programs, WAITING_MAX, Waiting, work_off};
use super::run_file::RunFile;
use super::settle::wait_unlocked;
use super::share::Common;
use super::small::SmallShim;
use super::spec::CommandSpec;

/// Starts shims. Its copies are one and the same.
#[derive(Clone, Debug)]
pub struct Launcher {
    programs: Programs,
    /// To the task that starts them, which the first run makes.
    queue: Arc<OnceLock<mpsc::Sender<Waiting>>>,
}

/// A run whose shim was started and that has not been waited for. Dropping it ends nothing: the shim goes on, and the
/// runtime reaps it when it has ended.
#[derive(Debug)]
pub struct Started {
    pub(super) shim_pid: Option<u32>,
    /// Comes when the shim tells of this run, or ends with the shim.
    pub(super) told: oneshot::Receiver<()>,
    pub(super) run: RunFile,
}

impl Launcher {
    /// Starts `program shim …`: literally `/proc/self/exe` in the daemon, which goes on naming the running binary when
    /// the file was replaced; the built binary in tests.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self::of(Programs { whole: program.into(), small: None })
    }

    fn of(programs: Programs) -> Self {
        Self { programs, queue: Arc::default() }
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
        Self::of(Programs { small, ..self.programs })
    }

    /// What the next shim is started from.
    pub fn program(&self) -> PathBuf {
        self.programs.next()
    }

    /// Starts the shim of `run`, which [`RunFile::create`] made from the same `spec`, and returns once it is started.
    /// Must be called within a tokio runtime, of which the first call makes a task that starts this one and all later
    /// ones. After an error nothing was started, or a shim of which the system refused us the rest (its output, its
    /// end): [`settle`](super::settle()) tells. Dropped before it returns, it says nothing: the shim may be started, now
    /// or a little later.
    ///
    /// Runs that come while another is being started share one shim, if their environment and their limit of
    /// descriptors are the same: only those does a command have of its shim. A lone one waits for nobody.
    ///
    /// The shim gets a process group of its own, so no signal to the daemon's group reaches it, and the command's
    /// environment as its own. No `pre_exec`: it would make the daemon fork instead of spawn.
    pub async fn start(&self, run: &RunFile, spec: &CommandSpec) -> Result<Started, RevivalError> {
        let queue = self.queue.get_or_init(|| {
            let (queue, arriving) = mpsc::channel(WAITING_MAX);
            tokio::spawn(work_off(self.programs.clone(), arriving));
            queue
        });
        let (reply, started) = oneshot::channel();
        let common = Common { env: spec.env.clone(), descriptors: spec.descriptors };
        let sent = queue.send(Waiting { run: run.clone(), common, reply }).await;
        let stopping = || RevivalError::Stopping(run.path().to_owned());
        sent.map_err(|_| stopping())?;
        started.await.unwrap_or_else(|_| Err(stopping()))
    }
}

impl Started {
    /// The shim's process id, which is its group's as well; other runs may share it. It is what it was at the start:
    /// when the shim has ended, it can come to mean somebody else.
    pub fn shim_pid(&self) -> Option<u32> {
        self.shim_pid
    }

    /// What was started.
    pub fn run(&self) -> &RunFile {
        &self.run
    }

    /// Waits until the run can be settled: its outcome is durable, or its shim is dead or would not have it. Should its
    /// lock be taken all the same (by another shim), [`settle`](super::settle()) says so. An error (no descriptors) says
    /// nothing of the run: go on with [`wait_unlocked`].
    ///
    /// The shim's process may live on, for other runs that share it, or as long as something that the command left
    /// behind (an agent it started) holds its output: somebody has to read that, or the agent would die of writing to
    /// a closed pipe.
    pub async fn ended(self) -> Result<(), RevivalError> {
        match self.told.await {
            // The shim lets go of the lock before it tells.
            Ok(()) => Ok(()),
            // A killed shim's descriptors close one by one, its standard output before the lock.
            Err(_) => wait_unlocked(&self.run, Duration::from_millis(5)).await,
        }
    }
}
