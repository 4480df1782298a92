//! The way from "ready" to a started shim: look again, make the run file, commit "running", start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::conclude::await_shim;
use super::ledger::{self, Entry};
use super::mission::takeover::{self, Preparation};
use super::revive::{Further, PAUSE, said};
use super::{Gateway, PreparedCommand, jump, mission, verify};
use crate::approval::Action;
use crate::incident::{self, Beginning, Case, Conclusion, Execution, ExecutionState};
use crate::revival::{CommandSpec, RevivalError, RunFile, RunName};

/// Tries to find a run file's number that no crash has left behind.
const NUMBER_TRIES: u32 = 100;

/// Begins a ready execution, if all that allowed it still holds. A substitution needs its `case`, for the packet.
pub async fn begin(gateway: &Arc<Gateway>, case: Option<&Case>, execution: &Execution) -> Result<Further, String> {
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
    let seen_health = seen.as_ref().map(|look| look.health.clone());
    let hands_over = match takeover::prepare(gateway, execution, seen_health).await.map_err(said)? {
        Preparation::HandsOver(prepared) => Some(prepared),
        Preparation::Told => None,
        Preparation::Nothing => return Ok(Further::Goes(None)),
    };
    let resume = match &hands_over {
        Some(prepared) => {
            let mut db = gateway.store.read().await.map_err(said)?;
            let resume = prepared.resume(&mut db, execution).await.map_err(said)?.map_err(said)?;
            Some((prepared.handoff.as_str(), resume))
        }
        None => None,
    };
    let posts = hands_over.as_ref().is_some_and(|prepared| !prepared.runs_a_command());
    let prepared = command_of(&in_force, execution);
    let (run, spec) = match &prepared {
        Some(command) => {
            let spec = spec_of(gateway, (case, resume), execution, command);
            let run = match gateway.run_files.take(execution, &spec).await {
                Some(run) => run,
                None => make_file(gateway.runs.clone(), execution, &spec).await?,
            };
            (Some(run), Some(spec))
        }
        // The core calls it off: there is no way to do it any more.
        None => (None, None),
    };
    fail_point!("revive.before_running");
    let name = run.as_ref().map(|run| run.name().to_string());
    let job = Arc::clone(gateway);
    let (incident, id) = (execution.incident.clone(), execution.id.clone());
    let began = gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let entry = Entry::open(tx, &job).await?;
                let Some(case) = ledger::case_of(tx, &incident).await? else { return Ok(None) };
                let Some(execution) = case.execution.clone().filter(|one| one.id == id) else { return Ok(None) };
                if let Some(prepared) = &hands_over
                    && !takeover::is_current(tx, &entry, &execution, prepared).await?
                {
                    // It is prepared anew.
                    return Ok(None);
                }
                if command_of(entry.in_force(), &execution) != prepared {
                    // Other files came into force meanwhile: what is checked here is not what was made ready.
                    return Ok(None);
                }
                let (health, invocation) = match seen {
                    Some(look) => (Some(look.health), look.invocation),
                    None => (None, None),
                };
                let begun = |case, facts: &incident::Facts<'_>| {
                    let handoff = hands_over.as_ref().map(|prepared| prepared.handoff.clone());
                    let beginning = Beginning { run: name.clone(), invocation: invocation.clone(), handoff };
                    Ok::<_, std::convert::Infallible>(incident::begin(case, beginning, facts))
                };
                let Ok(step) = entry.apply(tx, case, health.as_ref(), &begun).await?;
                // Running under this very name: whatever else runs was not begun here.
                let ours = |one: &Execution| {
                    let began = execution.state == ExecutionState::Ready;
                    began && matches!(one.state, ExecutionState::Running { .. }) && one.run == name
                };
                let began = step.case.execution.clone().filter(ours);
                if let (Some(_), Some(prepared)) = (&began, &hands_over)
                    && let Err(refused) = takeover::offer(tx, &entry, &execution, prepared).await?
                {
                    let why = Conclusion::Failed(format!("nothing could be handed over: {refused}"));
                    let failed = |case, facts: &incident::Facts<'_>| {
                        Ok::<_, std::convert::Infallible>(incident::returned(case, why.clone(), facts))
                    };
                    let Ok(_) = entry.apply(tx, step.case, None, &failed).await?;
                    return Ok(None);
                }
                Ok(began)
            })
        })
        .await;
    if let (Ok(Some(_)), Action::Restart) = (&began, &execution.action) {
        // Signs of life of the process that dies now say nothing of the one that comes.
        gateway.heartbeats.forget(&execution.agent, gateway.clock.elapsed());
    }
    fail_point!("revive.after_running");
    match (began, run, spec) {
        (Ok(Some(began)), Some(run), Some(spec)) => {
            mission::committed(gateway);
            match gateway.launcher.start(&run, &spec).await {
                Ok(started) => await_shim(gateway, &began, Some((spec, started))).await,
                Err(error) => {
                    // Nothing was started, or hardly; settling says which, and proves it before anything is tried again.
                    tracing::error!(execution = execution.id.0, error = %error, "a shim could not be started");
                    tokio::time::sleep(PAUSE).await;
                    await_shim(gateway, &began, None).await
                }
            }
        }
        // The packet goes by HTTP, and that is the next step's.
        (Ok(Some(_)), None, _) if posts => {
            mission::committed(gateway);
            Ok(Further::Goes(None))
        }
        (Ok(_), run, _) => {
            discard(run).await;
            Ok(Further::Goes(None))
        }
        (Err(error), run, _) => {
            discard(run).await;
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

fn spec_of(
    gateway: &Gateway,
    (case, resume): (Option<&Case>, Option<(&str, Value)>),
    execution: &Execution,
    command: &PreparedCommand,
) -> CommandSpec {
    const ALWAYS: [&str; 3] = ["PATH", "HOME", "LANG"];
    let names: std::collections::BTreeSet<&str> =
        ALWAYS.into_iter().chain(command.env.iter().map(String::as_str)).collect();
    let env =
        names.into_iter().filter_map(|name| Some((name.to_owned(), gateway.environment.get(name)?.clone()))).collect();
    let mut spec = CommandSpec::new(command.argv.clone(), env);
    spec.timeout = command.timeout;
    spec.output_limit_bytes = command.output_limit;
    spec.descriptors = Some(gateway.sweeper.descriptors_before());
    if let (Action::Substitute(_), Some(case)) = (&execution.action, case) {
        spec.packet = Some(packet_of(case, execution, resume).into_bytes());
    }
    spec
}

/// What a substitute gets: everything that is known of the death and the order; and where it is asked whether it takes
/// over, the handoff's id and the resume packet.
pub(super) fn packet_of(case: &Case, execution: &Execution, handoff: Option<(&str, Value)>) -> String {
    let incident = &case.incident;
    let mut packet = json!({
        "version": 1,
        "execution": execution.id,
        "incident": incident.id,
        "agent": incident.agent,
        "mission": execution.mission,
        "host": execution.host,
        "substitute": execution.substitute(),
        "reasons": incident.reasons,
        "last_healthy_at_ms": incident.last_healthy_at,
        "dead_since_ms": incident.opened_at,
        "approval_key": case.request.as_ref().map(|request| request.key.to_string()),
        "basis": execution.basis,
    });
    if let (Some((id, resume)), Some(fields)) = (handoff, packet.as_object_mut()) {
        fields.insert("handoff_id".into(), json!(id));
        fields.insert("resume".into(), resume);
    }
    packet.to_string()
}

/// A run file under a number that was never used, durable before "running" is committed.
fn make_file(
    runs: PathBuf,
    execution: &Execution,
    spec: &CommandSpec,
) -> impl Future<Output = Result<RunFile, String>> + use<> {
    let made = tokio::task::spawn_blocking(making(runs, execution, spec));
    async move { made.await.map_err(said)? }
}

fn making(
    runs: PathBuf,
    execution: &Execution,
    spec: &CommandSpec,
) -> impl FnOnce() -> Result<RunFile, String> + Send + use<> {
    let (spec, id) = (spec.clone(), execution.id.0.clone());
    let first = execution.attempt.saturating_add(1);
    move || {
        for attempt in first..first.saturating_add(NUMBER_TRIES) {
            let name = RunName::new(id.clone(), attempt).map_err(said)?;
            match RunFile::create(&runs, &name, &spec) {
                Ok(run) => return Ok(run),
                // A crash came between making it and committing it; nothing was ever started there.
                Err(RevivalError::Exists(_)) => {}
                Err(error) => return Err(said(error)),
            }
        }
        Err("no free number for a run file could be found".to_owned())
    }
}

/// Run files that are made while whoever decided is being answered: the disk and the network work at once.
/// Losing one loses nothing but a file that was never used, and when many decisions come together each makes
/// its own when it is its turn.
#[derive(Debug, Default)]
pub struct RunFiles {
    /// Those that have just become ready.
    noted: Mutex<Vec<Execution>>,
    ahead: Mutex<BTreeMap<String, Ahead>>,
}

#[derive(Debug)]
struct Ahead {
    begun: Instant,
    spec: CommandSpec,
    making: JoinHandle<Result<RunFile, String>>,
}

/// Files that are made ahead at a time.
const AHEAD_MAX: usize = 4;
/// A file that nobody came for in so long is not needed: its decision was not committed.
const AHEAD_FOR: Duration = Duration::from_secs(60);

impl RunFiles {
    /// `execution` becomes ready in a transaction that goes on.
    pub fn note(&self, execution: &Execution) {
        let mut noted = self.noted();
        // A substitution's packet needs the case as it is when it begins.
        if execution.action == Action::Restart && noted.len() < AHEAD_MAX {
            noted.push(execution.clone());
        }
    }

    /// Begins to make the files of those that were noted and have not begun.
    pub fn make_noted(&self, gateway: &Gateway) {
        let noted = std::mem::take(&mut *self.noted());
        let mut ahead = self.ahead();
        for (_, stale) in ahead.extract_if(.., |_, one| one.begun.elapsed() > AHEAD_FOR) {
            tokio::spawn(async move { discard(stale.making.await.ok().and_then(Result::ok)).await });
        }
        for execution in noted {
            let Some(command) = command_of(&gateway.in_force(), &execution) else { continue };
            if ahead.len() < AHEAD_MAX {
                let spec = spec_of(gateway, (None, None), &execution, &command);
                let making = tokio::task::spawn_blocking(making(gateway.runs.clone(), &execution, &spec));
                ahead.insert(execution.id.0, Ahead { begun: Instant::now(), spec, making });
            }
        }
    }

    fn noted(&self) -> MutexGuard<'_, Vec<Execution>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ahead(&self) -> MutexGuard<'_, BTreeMap<String, Ahead>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of `execution`, if it was made ahead and for what is to be run now.
    async fn take(&self, execution: &Execution, spec: &CommandSpec) -> Option<RunFile> {
        self.noted().retain(|noted| noted.id != execution.id);
        let ahead = self.ahead().remove(&execution.id.0)?;
        let made = ahead.making.await.ok()?.ok()?;
        if ahead.spec == *spec {
            return Some(made);
        }
        // The files in force are others by now.
        discard(Some(made)).await;
        None
    }
}

async fn discard(run: Option<RunFile>) {
    if let Some(run) = run {
        // Left behind it costs a few bytes, until retention finds it.
        let _ = tokio::task::spawn_blocking(move || run.remove()).await;
    }
}
