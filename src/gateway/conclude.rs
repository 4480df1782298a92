//! The way from a started shim to what became of it: wait, settle, commit. The same for a shim of
//! this process and for one that an earlier one started.

use std::sync::Arc;
use std::time::Duration;

use super::revive::{Further, move_case, said};
use super::{Gateway, handover, speak};
use crate::incident::{self, Conclusion, Execution};
use crate::revival::{self, CommandSpec, Reply, RevivalError, RunFile, RunName, Settled, Started};
use crate::wording::Alarm;

/// How often a shim that is not this process's child is looked at.
const WATCH: Duration = Duration::from_millis(100);
/// Assumed of a command whose spec cannot be read.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Waits for the shim and settles the run; the same way live and after a restart of the daemon.
pub async fn await_shim(
    gateway: &Arc<Gateway>,
    execution: &Execution,
    live: Option<(CommandSpec, Started)>,
) -> Result<Further, String> {
    let (run, started, command) = match live {
        Some((spec, started)) => (started.run().clone(), Some(started), (spec.argv, spec.timeout)),
        None => {
            let Some(name) = execution.run.as_deref().and_then(|name| name.parse::<RunName>().ok()) else {
                return conclude(gateway, execution, Settled::Missing, &[]).await;
            };
            let run = RunFile::at(&gateway.runs, &name);
            let command = command_of(&run)?;
            (run, None, command)
        }
    };
    let (argv, timeout) = command;
    let alarm = overdue(gateway, execution, timeout);
    let waiting = async {
        if let Some(started) = started
            && started.ended().await.is_ok()
        {
            return Ok(());
        }
        revival::wait_unlocked(&run, WATCH).await
    };
    tokio::select! {
        waited = waiting => waited.map_err(said)?,
        never = alarm => match never {},
    }
    gateway.status.settle(&format!("run: {}", execution.id.0));
    fail_point!("revive.before_settle");
    let settled_run = run.clone();
    let settled = tokio::task::spawn_blocking(move || revival::settle(&settled_run)).await;
    let settled = settled.map_err(said)?.map_err(said)?;
    if settled == Settled::StillRunning {
        return Ok(Further::Goes(None));
    }
    conclude(gateway, execution, settled, &argv).await
}

/// What `run` was to run, and for how long it may: nothing, and a guess, if nobody can ever say so again. What is only
/// not to be had right now (no descriptors) is waited for: without the arguments a cut ssh would pass for a failure.
fn command_of(run: &RunFile) -> Result<(Vec<String>, Duration), String> {
    match run.command() {
        Err(RevivalError::Gone(_) | RevivalError::Unreadable { .. }) => Ok((Vec::new(), DEFAULT_TIMEOUT)),
        command => command.map_err(said),
    }
}

/// Raises the alarm once a command should have ended long ago; never ends by itself.
async fn overdue(gateway: &Arc<Gateway>, execution: &Execution, timeout: Duration) -> std::convert::Infallible {
    tokio::time::sleep(timeout + gateway.in_force().config.gate.timing.unsettled_alarm).await;
    let alarm = Alarm::UnsettledRun { agent: execution.agent.clone(), execution: execution.id.clone() };
    if gateway.status.raise(format!("run: {}", execution.id.0), alarm.clone(), gateway.clock.now())
        && let Err(error) = speak::raise(gateway, alarm).await
    {
        tracing::error!(error = %error, "an alarm could not be recorded");
    }
    std::future::pending().await
}

async fn conclude(
    gateway: &Arc<Gateway>,
    execution: &Execution,
    settled: Settled,
    argv: &[String],
) -> Result<Further, String> {
    let reply = match &settled {
        Settled::Ended(outcome) => outcome.stdout.tail.lines().last().and_then(Reply::read),
        _ => None,
    };
    let conclusion = match settled {
        Settled::StillRunning => return Ok(Further::Goes(None)),
        Settled::NeverStarted => Conclusion::NeverStarted,
        Settled::Ended(outcome) => match revival::classify(argv, &outcome) {
            revival::Conclusion::Done => Conclusion::Done,
            revival::Conclusion::Failed { why } => Conclusion::Failed(with_output(&why.to_string(), &outcome)),
            revival::Conclusion::Unknown { why } => Conclusion::Unknown(with_output(&why.to_string(), &outcome)),
        },
        Settled::Missing => Conclusion::Unknown("its run file is gone".into()),
        Settled::Vanished => Conclusion::Unknown("its shim vanished while it ran".into()),
        Settled::Unreadable { why } => Conclusion::Unknown(format!("its outcome cannot be read: {why}")),
    };
    if execution.takeover.is_some() {
        return handover::conclude(gateway, execution, conclusion, reply).await;
    }
    fail_point!("revive.before_returned");
    let returned = move |case, facts: &incident::Facts<'_>| incident::returned(case, conclusion.clone(), facts);
    let by_now = move_case(gateway, execution, returned).await?;
    fail_point!("revive.after_returned");
    Ok(Further::Goes(by_now))
}

/// How it ended, with the last line it said: that is mostly the reason.
fn with_output(why: &str, outcome: &revival::Outcome) -> String {
    let last = |text: &str| text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned());
    match last(&outcome.stderr.tail).or_else(|| last(&outcome.stdout.tail)) {
        Some(line) => format!("{why}: {}", line.chars().take(LINE_MAX).collect::<String>()),
        None => why.to_owned(),
    }
}

/// Characters of a command's last line that are kept; the wording makes them harmless.
const LINE_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_cannot_be_read_right_now_is_not_taken_for_nothing() {
        let runs = tempfile::tempdir().expect("a folder");
        let run = RunFile::at(runs.path(), &"e-1".parse().expect("a name"));
        let unknown = Ok((Vec::new(), DEFAULT_TIMEOUT));
        assert_eq!(command_of(&run), unknown, "it is gone");
        fs::write(run.path(), "{\"version\":1,\"argv\":[\"ssh").expect("a torn spec");
        assert_eq!(command_of(&run), unknown);
        // It opens, and an error comes when it is read.
        fs::remove_file(run.path()).expect("it is there");
        fs::create_dir(run.path()).expect("a folder in its place");
        assert!(command_of(&run).is_err());
    }
}
