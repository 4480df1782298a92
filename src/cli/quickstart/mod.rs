//! The README's first command: a real death, a real request, a real answer, a real restart, without
//! any account, server, root or systemd.

mod fleet;
mod story;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::sync::oneshot;

use crate::channel::Terminal;
use crate::config::gate::{Log, LogLevel};
use crate::gateway::{self, RunOptions};
use crate::revival;
use fleet::Fleet;

/// How long the end waits for commands that still run under their shims.
const END_BY_THEMSELVES_WITHIN: Duration = Duration::from_secs(3);
/// How long it waits after each way to end them.
const END_WITHIN: Duration = Duration::from_secs(2);

/// See it work: a small fleet of real processes, one of them asked about
///
/// Needs no token, no server, no root and no systemd. Everything is in ./var/quickstart; nothing is
/// left running when it ends, however it ends.
#[derive(Clone, Debug, clap::Args)]
pub struct QuickstartArgs {
    /// Play the whole story without a person: kill, request, approval, restart, verification
    #[arg(long)]
    auto: bool,
    /// Where the example lives; what an earlier quickstart left there is replaced
    #[arg(long, default_value = "var/quickstart")]
    dir: PathBuf,
}

/// Runs the example until it is stopped, or the story is told.
pub fn run(args: &QuickstartArgs) -> anyhow::Result<ExitCode> {
    super::run::start_log(&Log { level: LogLevel::Warn, ..Log::default() });
    let uid = rustix::process::geteuid().as_raw();
    let fleet = Fleet::set_up(&args.dir, uid)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(play(args, &fleet));
    let ended = runtime.block_on(end_shims(&args.dir));
    runtime.shutdown_timeout(Duration::from_secs(1));
    fleet.stop()?;
    // Why it did not come up says more than what that leaves behind.
    let code = outcome?;
    ended?;
    Ok(code)
}

async fn play(args: &QuickstartArgs, fleet: &Fleet) -> anyhow::Result<ExitCode> {
    fleet.start().await?;
    let output = Terminal::new(Box::new(anstream::stdout()))?;
    let (stop, stopped) = oneshot::channel();
    let options = RunOptions {
        config: fleet.config(),
        observe: false,
        shim: PathBuf::from("/proc/self/exe"),
        small_shim: super::run::small_shim(),
        environment: super::run::environment(),
        output: output.clone(),
        terminal_input: !args.auto,
        stop: Some(stopped),
    };
    output.say(&fleet.introduction(args.auto)).await?;
    let daemon = gateway::run(options);
    if !args.auto {
        daemon.await?;
        output.say("\nThe quickstart has ended; its agents end with it.").await?;
        return Ok(ExitCode::SUCCESS);
    }
    let story = async {
        let told = story::tell(fleet, &output).await;
        // The daemon may have ended by itself; then its own error counts.
        let _ = stop.send(());
        told
    };
    tokio::pin!(daemon, story);
    tokio::select! {
        ended = &mut daemon => {
            ended?;
            anyhow::bail!("the daemon was stopped before the story was told")
        }
        told = &mut story => {
            daemon.await?;
            told.context("the story did not come to its end")?;
            output.say("\nAll of it happened. The agents end now.").await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Commands outlive the daemon; the example's do not outlive the example: they may end by themselves, then they
/// are asked to, then they are made to.
async fn end_shims(dir: &Path) -> anyhow::Result<()> {
    if !dir.join("runs").exists() || all_ended(dir, END_BY_THEMSELVES_WITHIN).await? {
        return Ok(());
    }
    for (signal, shims_too) in [(Signal::TERM, false), (Signal::KILL, false), (Signal::KILL, true)] {
        revival::end(&revival::list(&dir.join("runs"))?, signal, shims_too);
        if all_ended(dir, END_WITHIN).await? {
            return Ok(());
        }
    }
    anyhow::bail!("a restart command is still running; look for `lazarus-gate shim` among the processes")
}

/// Waits until nobody holds the lock of any run, for so long at most.
async fn all_ended(dir: &Path, at_most: Duration) -> anyhow::Result<bool> {
    let all = async {
        for run in revival::list(&dir.join("runs"))? {
            revival::wait_unlocked(&run, Duration::from_millis(50)).await?;
        }
        Ok::<_, revival::RevivalError>(())
    };
    match tokio::time::timeout(at_most, all).await {
        Ok(ended) => Ok(ended.map(|()| true)?),
        Err(_) => Ok(false),
    }
}
