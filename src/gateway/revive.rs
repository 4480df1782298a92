//! Carries executions out: each by a routine of its own that goes by what the store says, so that
//! it makes no difference whether this process began it or one before.
//!
//! ```text
//!  ready ──► look at the agent ──► make the run folder ──► commit "running" ──► start the shim
//!  running ──► wait for the shim ──► settle ──► commit what became of it
//!  done, unknown ──► look, again and again ──► commit the verdict
//! ```

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ledger::{self, Entry};
use super::{Gateway, PreparedCommand, TaskName, jump, speak, verify};
use crate::approval::Action;
use crate::incident::{self, Case, Conclusion, Execution, ExecutionId, ExecutionState};
use crate::pool::IncidentId;
use crate::revival::{self, CommandSpec, RevivalError, RunFolder, RunName, Settled, Started};
use crate::store::executions::ExecutionPhase;
use crate::store::{self, StoreError};
use crate::wording::Alarm;

/// How often a shim that is not this process's child is looked at.
const WATCH: Duration = Duration::from_millis(100);
/// The pause after an error that says nothing of the execution (a full disk).
const PAUSE: Duration = Duration::from_secs(1);
/// Assumed of a command whose spec cannot be read.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// After a look at the live executions so many times as long as that took passes before the next:
/// with thousands of them each look counts.
const REST: u32 = 4;
/// Tries to find a run folder's number that no crash has left behind.
const FOLDER_TRIES: u32 = 100;

/// Commands that run at the same time: a fleet that died as a whole must not become as many
/// processes on this machine at once. The others stay ready, and are checked again when it is their turn.
const COMMANDS_MAX: usize = 64;

/// Errors in a row after which people are told that an execution is stuck.
const STUCK_AFTER: u32 = 5;
/// The longest pause between two tries of a stuck execution.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The executions that have their routine.
pub struct Attended {
    ids: Mutex<HashSet<String>>,
    commands: Semaphore,
}

/// An execution that has its routine, until that ends in whatever way.
struct Attending<'a> {
    attended: &'a Attended,
    id: &'a str,
}

impl Drop for Attending<'_> {
    fn drop(&mut self) {
        self.attended.end(self.id);
    }
}

impl Default for Attended {
    fn default() -> Self {
        Self { ids: Mutex::default(), commands: Semaphore::new(COMMANDS_MAX) }
    }
}

impl Attended {
    fn begin(&self, id: &str) -> bool {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned())
    }

    fn end(&self, id: &str) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// Starts a routine for each live execution that has none; tells how many.
pub async fn step(
    gateway: &Arc<Gateway>,
    attended: &Arc<Attended>,
    routines: &mut JoinSet<()>,
) -> Result<usize, StoreError> {
    let live = {
        let mut read = gateway.store.read().await?;
        store::executions::live(&mut read).await?
    };
    let mut begun = 0;
    for row in live {
        if !attended.begin(&row.id) {
            continue;
        }
        begun += 1;
        let (gateway, attended) = (Arc::clone(gateway), Arc::clone(attended));
        // A fresh one is begun at once, on the word of this row: what is decided is read again anyway.
        let fresh = match row.state {
            ExecutionPhase::Ready => ledger::from_body("executions", &row.id, &row.body).ok(),
            _ => None,
        };
        let (execution, incident) = (ExecutionId(row.id), IncidentId(row.incident_id));
        routines.spawn(async move {
            let attending = Attending { attended: &attended, id: &execution.0 };
            carry(&gateway, &attended, &execution, &incident, fresh).await;
            drop(attending);
            // Another one may have become ready while this one stood in its list.
            gateway.bells.committed();
        });
    }
    Ok(begun)
}

/// Runs until the daemon stops. Commands go on under their shims; their routines end where they
/// stand, and the next start takes them up.
pub async fn run(gateway: Arc<Gateway>) {
    let attended = Arc::new(Attended::default());
    let mut routines = JoinSet::new();
    while !gateway.bells.is_stopping() {
        let (now, began) = (gateway.clock.now(), Instant::now());
        let stepped = step(&gateway, &attended, &mut routines).await;
        let rested = Instant::now() + began.elapsed() * REST;
        match stepped {
            Ok(0) => {}
            Ok(begun) => gateway.status.task(TaskName::Revive, true, format!("{begun} executions taken up"), now),
            Err(error) => {
                let says = super::inbox::chain(&error);
                tracing::error!(error = says, "executions wait");
                gateway.status.task(TaskName::Revive, false, says, now);
            }
        }
        while routines.try_join_next().is_some() {}
        let period = gateway.in_force().config.gate.timing.idle_tick;
        tokio::select! {
            () = gateway.bells.revive.notified() => {}
            () = tokio::time::sleep(period) => {}
            () = gateway.bells.stopped() => {}
        }
        tokio::select! {
            () = tokio::time::sleep_until(rested) => {}
            () = gateway.bells.stopped() => {}
        }
    }
    while routines.join_next().await.is_some() {}
}

/// Takes one execution as far as it goes.
async fn carry(
    gateway: &Arc<Gateway>,
    attended: &Attended,
    id: &ExecutionId,
    incident: &IncidentId,
    fresh: Option<Execution>,
) {
    // Held over the command, not over its verification: that is only looking.
    let mut turn = tokio::select! {
        turn = attended.commands.acquire() => turn.ok(),
        () = gateway.bells.stopped() => return,
    };
    let mut errors = 0;
    let mut fresh = fresh.filter(|execution| execution.action == Action::Restart);
    loop {
        let next = async {
            match fresh.take() {
                Some(execution) => begin(gateway, None, &execution).await,
                None => further(gateway, id, incident).await,
            }
        };
        let outcome = tokio::select! {
            outcome = next => outcome,
            () = gateway.bells.stopped() => return,
        };
        if outcome.is_ok() {
            drop(turn.take());
            errors = 0;
        }
        match outcome {
            Ok(Further::Goes) => gateway.bells.deliver.notify_one(),
            Ok(Further::Ended) => return,
            Err(error) => {
                drop(turn.take());
                errors += 1;
                tracing::error!(execution = id.0, error = error, "an execution waits");
                gateway.status.task(TaskName::Revive, false, error.clone(), gateway.clock.now());
                if errors == STUCK_AFTER {
                    tell_stuck(gateway, incident, error).await;
                }
                let pause = PAUSE.saturating_mul(1 << errors.min(6)).min(PAUSE_MAX);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = gateway.bells.stopped() => return,
                }
            }
        }
    }
}

/// An execution fails again and again for a reason of its own (a damaged row, a promise that its step
/// would break): people are told once.
async fn tell_stuck(gateway: &Arc<Gateway>, incident: &IncidentId, what: String) {
    let agent = {
        let Ok(mut read) = gateway.store.read().await else { return };
        match store::incidents::load(&mut read, &incident.0).await {
            Ok(Some(row)) => row.agent,
            Ok(None) | Err(_) => return,
        }
    };
    let alarm = Alarm::BrokenPromise { agent, what };
    if gateway.status.raise(format!("execution: {}", incident.0), alarm.clone(), gateway.clock.now())
        && let Err(error) = speak::raise(gateway, alarm).await
    {
        tracing::error!(error = %error, "an alarm could not be recorded");
    }
}

enum Further {
    Goes,
    Ended,
}

async fn further(gateway: &Arc<Gateway>, id: &ExecutionId, incident: &IncidentId) -> Result<Further, String> {
    let Some(case) = load(gateway, incident).await.map_err(said)? else { return Ok(Further::Ended) };
    let Some(execution) = case.execution.clone().filter(|execution| execution.id == *id) else {
        return Ok(Further::Ended);
    };
    match &execution.state {
        ExecutionState::Ready => begin(gateway, Some(&case), &execution).await,
        ExecutionState::Running { .. } => await_shim(gateway, &execution, None).await,
        ExecutionState::Done { .. } | ExecutionState::Unknown { .. } => look(gateway, &execution).await,
        ExecutionState::CalledOff { .. }
        | ExecutionState::Failed { .. }
        | ExecutionState::Verified { .. }
        | ExecutionState::NotRecovered { .. } => Ok(Further::Ended),
    }
}

/// An error that says nothing of the execution, for the log and the status.
fn said(error: impl std::error::Error) -> String {
    super::inbox::chain(&error)
}

async fn load(gateway: &Arc<Gateway>, incident: &IncidentId) -> Result<Option<Case>, StoreError> {
    let mut read = gateway.store.read().await?;
    ledger::case_of(&mut read, incident).await
}

/// Begins a ready execution, if all that allowed it still holds. A substitution needs its `case`, for the packet.
async fn begin(gateway: &Arc<Gateway>, case: Option<&Case>, execution: &Execution) -> Result<Further, String> {
    jump::notice(gateway).await.map_err(said)?;
    let in_force = gateway.in_force();
    // The newest snapshot if it is young enough, else one look; no answer is no recovery.
    let deadline = in_force.config.gate.timing.recheck_deadline;
    let has_unit = in_force.member(&execution.agent).is_some_and(|member| member.target.unit.is_some());
    let seen = async {
        // The incarnation that died must be known, or a restart that changed nothing could pass.
        let enough = !has_unit && verify::is_fresh(gateway, &execution.agent);
        if enough {
            return None;
        }
        let look = verify::look(gateway, &execution.agent, deadline).await;
        if has_unit && look.invocation.is_none() {
            // Asked once more: without it, a restart that changed nothing could pass for one.
            return Some(verify::look(gateway, &execution.agent, deadline).await);
        }
        Some(look)
    };
    let substitute = async {
        if let Some(who) = execution.substitute().filter(|who| !verify::is_fresh(gateway, who)) {
            verify::look(gateway, who, deadline).await;
        }
    };
    let (seen, ()) = tokio::join!(seen, substitute);
    let prepared = command_of(&in_force, execution);
    let (run, spec) = match prepared {
        Some(command) => {
            let spec = spec_of(gateway, case, execution, &command);
            (Some(make_folder(gateway, execution, &spec).await?), Some(spec))
        }
        // The core calls it off: there is no way to do it any more.
        None => (None, None),
    };
    fail_point!("revive.before_running");
    let name = run.as_ref().map_or_else(String::new, |run| run.name().to_string());
    let job = Arc::clone(gateway);
    let (incident, id) = (execution.incident.clone(), execution.id.clone());
    let began = gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let entry = Entry::open(tx, &job).await?;
                let Some(case) = ledger::case_of(tx, &incident).await? else { return Ok(false) };
                if case.execution.as_ref().is_none_or(|one| one.id != id) {
                    return Ok(false);
                }
                let (health, invocation) = match seen {
                    Some(look) => (Some(look.health), look.invocation),
                    None => (None, None),
                };
                let begun = |case, facts: &incident::Facts<'_>| {
                    Ok::<_, std::convert::Infallible>(incident::begin(case, &name, invocation.clone(), facts))
                };
                let Ok(step) = entry.apply(tx, case, health.as_ref(), &begun).await?;
                // Running under this very folder: whatever else runs was not begun here.
                let ours = |one: Execution| {
                    matches!(one.state, ExecutionState::Running { .. }) && one.run.as_deref() == Some(name.as_str())
                };
                Ok(step.case.execution.is_some_and(ours))
            })
        })
        .await;
    fail_point!("revive.after_running");
    match (began, run, spec) {
        (Ok(true), Some(folder), Some(spec)) => {
            gateway.bells.deliver.notify_one();
            match gateway.launcher.start(&folder, &spec) {
                Ok(started) => await_shim(gateway, execution, Some((folder, started))).await,
                Err(error) => {
                    // Nothing was started; settling proves it, and it is tried again.
                    tracing::error!(execution = execution.id.0, error = %error, "a shim could not be started");
                    tokio::time::sleep(PAUSE).await;
                    await_shim(gateway, execution, None).await
                }
            }
        }
        (Ok(_), folder, _) => {
            discard(folder).await;
            Ok(Further::Goes)
        }
        (Err(error), folder, _) => {
            discard(folder).await;
            Err(said(error))
        }
    }
}

/// The command that carries `execution` out, under the files in force.
fn command_of(in_force: &super::InForce, execution: &Execution) -> Option<PreparedCommand> {
    match &execution.action {
        Action::Restart => in_force.member(&execution.agent)?.restart.clone(),
        Action::Substitute(who) => in_force.substitute_command(&execution.agent, &execution.mission, who),
    }
}

fn spec_of(gateway: &Gateway, case: Option<&Case>, execution: &Execution, command: &PreparedCommand) -> CommandSpec {
    const ALWAYS: [&str; 3] = ["PATH", "HOME", "LANG"];
    let names: std::collections::BTreeSet<&str> =
        ALWAYS.into_iter().chain(command.env.iter().map(String::as_str)).collect();
    let env =
        names.into_iter().filter_map(|name| Some((name.to_owned(), gateway.environment.get(name)?.clone()))).collect();
    let mut spec = CommandSpec::new(command.argv.clone(), env);
    spec.timeout = command.timeout;
    spec.output_limit_bytes = command.output_limit;
    if let (Action::Substitute(who), Some(case)) = (&execution.action, case) {
        spec.packet = Some(packet(case, execution, who.as_str()).into_bytes());
    }
    spec
}

/// What the `substitute` command reads: everything that is known of the death and the order.
fn packet(case: &Case, execution: &Execution, substitute: &str) -> String {
    let incident = &case.incident;
    json!({
        "version": 1,
        "execution": execution.id,
        "incident": incident.id,
        "agent": incident.agent,
        "mission": execution.mission,
        "host": execution.host,
        "substitute": substitute,
        "reasons": incident.reasons,
        "last_healthy_at_ms": incident.last_healthy_at,
        "dead_since_ms": incident.opened_at,
        "approval_key": case.request.as_ref().map(|request| request.key.to_string()),
        "basis": execution.basis,
    })
    .to_string()
}

/// A run folder under a number that was never used, durable before "running" is committed.
async fn make_folder(gateway: &Arc<Gateway>, execution: &Execution, spec: &CommandSpec) -> Result<RunFolder, String> {
    let (runs, spec, id) = (gateway.runs.clone(), spec.clone(), execution.id.0.clone());
    let first = execution.attempt.saturating_add(1);
    let made = tokio::task::spawn_blocking(move || {
        for attempt in first..first.saturating_add(FOLDER_TRIES) {
            let name = RunName::new(id.clone(), attempt).map_err(said)?;
            match RunFolder::create(&runs, &name, &spec) {
                Ok(folder) => return Ok(folder),
                // A crash came between making it and committing it; nothing was ever started there.
                Err(RevivalError::FolderExists { .. }) => {}
                Err(error) => return Err(said(error)),
            }
        }
        Err("no free run folder could be found".to_owned())
    });
    made.await.map_err(said)?
}

async fn discard(folder: Option<RunFolder>) {
    if let Some(folder) = folder {
        // Left behind it costs a few bytes; retention looks only at committed runs.
        let _ = tokio::task::spawn_blocking(move || folder.remove()).await;
    }
}

/// Waits for the shim and settles the run; the same way live and after a restart of the daemon.
async fn await_shim(
    gateway: &Arc<Gateway>,
    execution: &Execution,
    live: Option<(RunFolder, Started)>,
) -> Result<Further, String> {
    let (folder, started) = match live {
        Some((folder, started)) => (folder, Some(started)),
        None => {
            let Some(case) = load(gateway, &execution.incident).await.map_err(said)? else {
                return Ok(Further::Ended);
            };
            let name = case.execution.filter(|one| one.id == execution.id).and_then(|one| one.run);
            let Some(name) = name.as_deref().and_then(|name| name.parse::<RunName>().ok()) else {
                return conclude(gateway, execution, Settled::Missing, &[]).await;
            };
            (RunFolder::at(&gateway.runs, &name), None)
        }
    };
    // A spec that cannot be read any more leaves a run folder that says nothing: unknown, in the end.
    let (argv, timeout) = folder.command().unwrap_or_else(|_| (Vec::new(), DEFAULT_TIMEOUT));
    let alarm = overdue(gateway, execution, timeout);
    let waiting = async {
        if let Some(started) = started
            && started.ended().await.is_ok()
        {
            return Ok(());
        }
        revival::wait_unlocked(&folder, WATCH).await
    };
    tokio::select! {
        waited = waiting => waited.map_err(said)?,
        never = alarm => match never {},
    }
    gateway.status.settle(&format!("run: {}", execution.id.0));
    fail_point!("revive.before_settle");
    let settled_folder = folder.clone();
    let settled = tokio::task::spawn_blocking(move || revival::settle(&settled_folder)).await;
    let settled = settled.map_err(said)?.map_err(said)?;
    if settled == Settled::StillRunning {
        return Ok(Further::Goes);
    }
    conclude(gateway, execution, settled, &argv).await
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
    let conclusion = match settled {
        Settled::StillRunning => return Ok(Further::Goes),
        Settled::NeverStarted => Conclusion::NeverStarted,
        Settled::Ended(outcome) => match revival::classify(argv, &outcome) {
            revival::Conclusion::Done => Conclusion::Done,
            revival::Conclusion::Failed { why } => Conclusion::Failed(with_output(&why.to_string(), &outcome)),
            revival::Conclusion::Unknown { why } => Conclusion::Unknown(with_output(&why.to_string(), &outcome)),
        },
        Settled::Missing => Conclusion::Unknown("its run folder is gone".into()),
        Settled::Vanished => Conclusion::Unknown("its shim vanished while it ran".into()),
        Settled::Unreadable { why } => Conclusion::Unknown(format!("its outcome cannot be read: {why}")),
    };
    fail_point!("revive.before_returned");
    let job = Arc::clone(gateway);
    let (incident, id) = (execution.incident.clone(), execution.id.clone());
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let entry = Entry::open(tx, &job).await?;
                let Some(case) = ledger::case_of(tx, &incident).await? else { return Ok(()) };
                if case.execution.as_ref().is_some_and(|one| one.id == id) {
                    let returned = |case, facts: &incident::Facts<'_>| {
                        Ok::<_, std::convert::Infallible>(incident::returned(case, conclusion.clone(), facts))
                    };
                    let Ok(_) = entry.apply(tx, case, None, &returned).await?;
                }
                Ok(())
            })
        })
        .await
        .map_err(said)?;
    fail_point!("revive.after_returned");
    Ok(Further::Goes)
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

/// One look of the verification, after a pause.
async fn look(gateway: &Arc<Gateway>, execution: &Execution) -> Result<Further, String> {
    let timing = gateway.in_force().config.gate.timing.clone();
    // A few looks in each gap, so that a flap is seen; not so many that probing is all we do.
    tokio::time::sleep((timing.verify_gap / 4).clamp(Duration::from_millis(20), Duration::from_secs(2))).await;
    let turn = gateway.looks.acquire().await;
    let seen = verify::look(gateway, execution.looked_at(), timing.recheck_deadline).await;
    drop(turn);
    fail_point!("revive.before_looked");
    let job = Arc::clone(gateway);
    let (incident, id) = (execution.incident.clone(), execution.id.clone());
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let entry = Entry::open(tx, &job).await?;
                let Some(case) = ledger::case_of(tx, &incident).await? else { return Ok(()) };
                if case.execution.as_ref().is_some_and(|one| one.id == id) {
                    let looked = |case, facts: &incident::Facts<'_>| {
                        Ok::<_, std::convert::Infallible>(incident::looked(case, &seen, facts))
                    };
                    let Ok(_) = entry.apply(tx, case, None, &looked).await?;
                }
                Ok(())
            })
        })
        .await
        .map_err(said)?;
    fail_point!("revive.after_looked");
    Ok(Further::Goes)
}
