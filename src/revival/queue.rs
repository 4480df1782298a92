//! The queue before the shims: runs that wait while one is being started are started together.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};

use super::error::RevivalError;
use super::run_file::RunFile;
use super::share::{Common, take_together};
use super::small::SmallShim;
use super::start::Started;
use super::telling::{TOLD_MAX, place_in};

/// Runs that wait to be started; who comes then waits for a place. More than the gateway ever begins at a time.
pub(super) const WAITING_MAX: usize = 64;

/// What shims are started from.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) whole: PathBuf,
    pub(super) small: Option<Arc<SmallShim>>,
}

/// A run that is to be started. It has no `Debug`: the environment may hold secrets.
pub(super) struct Waiting {
    pub(super) run: RunFile,
    pub(super) common: Common,
    pub(super) reply: oneshot::Sender<Result<Started, RevivalError>>,
}

impl Programs {
    /// What the next shim is started from.
    pub(super) fn next(&self) -> PathBuf {
        let small = self.small.as_ref().filter(|small| small.is_unchanged());
        small.map_or_else(|| self.whole.clone(), |small| small.path())
    }
}

/// Starts what arrives, until nobody is left who could send anything. It never waits for more to come: runs share a
/// shim only because they queued up while another was being started.
pub(super) async fn work_off(programs: Programs, mut arriving: mpsc::Receiver<Waiting>) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Some(first) = arriving.recv().await else { return };
            waiting.push_back(first);
        } else {
            // Whose turn it is to queue up does so.
            tokio::task::yield_now().await;
        }
        while waiting.len() < WAITING_MAX
            && let Ok(next) = arriving.try_recv()
        {
            waiting.push_back(next);
        }
        start(&programs, take_together(&mut waiting, |one: &Waiting| &one.common));
    }
}

/// Starts the shim of `together` and replies to each. Whoever asked may be gone by now: the run is started all the
/// same, since *running* was committed, and what becomes of it stands in its file.
fn start(programs: &Programs, together: Vec<Waiting>) {
    let program = programs.next();
    match spawn(&program, &together) {
        Ok(shim) => {
            let shim_pid = shim.id();
            let mut tell = Vec::with_capacity(together.len());
            for Waiting { run, reply, .. } in together {
                let (ended, told) = oneshot::channel();
                tell.push(Some(ended));
                let _ = reply.send(Ok(Started { shim_pid, told, run }));
            }
            tokio::spawn(listen(shim, tell));
        }
        Err(source) => {
            let source = Arc::new(source);
            for Waiting { reply, .. } in together {
                let (program, source) = (program.clone(), Arc::clone(&source));
                let _ = reply.send(Err(RevivalError::Start { program, source }));
            }
        }
    }
}

/// Starts one shim, by `program`, for all of `together`, which have the same in common.
fn spawn(program: &Path, together: &[Waiting]) -> io::Result<Child> {
    let mut command = Command::new(program);
    command
        .arg0("lazarus-gate")
        .arg("shim")
        .args(together.iter().map(|waiting| waiting.run.path()))
        .env_clear()
        .envs(together.iter().take(1).flat_map(|first| first.common.env.iter().map(|(name, value)| (name, value))))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(false);
    #[cfg(feature = "failpoints")]
    command.envs(crate::fail_point::settings().iter().map(|(name, value)| (name, value)));
    fail_point!("start.before_spawn");
    let child = command.spawn()?;
    fail_point!("start.after_spawn");
    Ok(child)
}

/// Hears which runs of a shim have ended, and tells those who wait for them. It listens to the end, also when nobody
/// waits any more; whoever is left then is told by the drop of `tell`.
async fn listen(mut shim: Child, mut tell: Vec<Option<oneshot::Sender<()>>>) {
    let Some(stdout) = shim.stdout.take() else { return };
    let mut lines = BufReader::with_capacity(64, stdout.take(TOLD_MAX)).lines();
    // The end or an error: both say that there is nobody at the other side any more.
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(told) = place_in(&line).and_then(|place| tell.get_mut(place)).and_then(Option::take) {
            let _ = told.send(());
        }
    }
}
