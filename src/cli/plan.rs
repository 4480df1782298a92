//! `lazarus-gate plan`: one round of the planner on the three files, without daemon or store.
//!
//! It stands in for the reference's script: same flags, same state file, same output. What it
//! reaches outside goes through [`PlanWorld`], so the conformance cases run the very command.
//!
//! The order is: read everything, probe, plan, **write the state, then restart**, then print. The
//! reference wrote last, so a full disk was found out only after the restarts, and nothing was
//! printed of them. The state does not depend on the restarts, so nothing is lost by writing first.

mod command;
mod output;
mod state_file;

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::{TextError, json_to_value, yaml_to_value};
use crate::pool::{
    AgentName, AgentSpec, Checked, DEFAULT_ISSUE, Dead, Execution, GatewayAnswer, LocalHosts, Planner, Policy, Problem,
    Registry, RestartCommand, Severity, SnapshotEntry, SnapshotSignals, State, Step, SummaryLine, UnitTemplate, detect,
    next_step, summary,
};

pub use command::SystemctlCommands;
pub use state_file::StateFile;

/// Agents probed at the same time.
const PROBES_AT_ONCE: usize = 256;
/// From this many agents on, a terminal is shown how far the probing is.
const LARGE_FLEET: usize = 50;

/// Plan what is to be done about dead agents, from three files and one round of probes.
///
/// Without --dry-run the state file is written; without --execute nothing is restarted.
#[derive(Clone, Debug, clap::Args)]
#[command(infer_long_args = true)]
pub struct PlanArgs {
    /// The fleet (YAML) [default: as the gateway's file that --config names says, else
    /// config/lazarus-registry.yaml]
    #[arg(long, value_name = "FILE")]
    pub registry: Option<PathBuf>,
    /// The policy (JSON); without the file: ask, after 600 seconds [default: as for --registry, else
    /// config/resurrection_pool.json]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// When each agent was last seen healthy (JSON), kept from run to run.
    #[arg(long, value_name = "FILE", default_value = "/var/lib/lazarus/resurrection_pool_state.json")]
    pub state: PathBuf,
    /// Print everything as JSON instead of the summary.
    #[arg(long)]
    pub json: bool,
    /// Restart what the plan says is to be restarted by itself. Refused while a daemon runs.
    #[arg(long)]
    pub execute: bool,
    /// Write no state; with --execute, only say what would be restarted.
    #[arg(long)]
    pub dry_run: bool,
}

/// What neither the flags nor the three files say; the defaults are the reference's.
#[derive(Clone, Debug)]
pub struct PlanSettings {
    /// The fleet, where no flag names it.
    pub registry: PathBuf,
    /// The policy, where no flag names it.
    pub policy: PathBuf,
    /// Which hosts are this machine.
    pub local_hosts: LocalHosts,
    /// How units are called.
    pub units: UnitTemplate,
    /// The issue that approval requests name.
    pub issue: u64,
}

impl Default for PlanSettings {
    fn default() -> Self {
        Self {
            registry: "config/lazarus-registry.yaml".into(),
            policy: "config/resurrection_pool.json".into(),
            local_hosts: LocalHosts::default(),
            units: UnitTemplate::default(),
            issue: DEFAULT_ISSUE,
        }
    }
}

/// Everything outside the three files.
pub trait PlanWorld: Sync {
    /// Seconds since the epoch; asked once, before anything else.
    fn now_seconds(&self) -> f64;

    /// What holds the configured store (say, `a daemon, pid 17`), if something does; asked only
    /// before something would be restarted.
    fn store_holder(&self) -> Option<String>;

    /// Probes one gateway, within a deadline of the world's own. A failed probe is an answer too.
    fn gateway(&self, url: &str) -> impl Future<Output = GatewayAnswer> + Send;

    /// Whether the service manager of this machine says that `unit` is active. No answer is no.
    fn is_active(&self, unit: &str) -> impl Future<Output = bool> + Send;

    /// Restarts, and tells how that ended.
    fn restart(&self, command: &RestartCommand) -> impl Future<Output = Execution> + Send;
}

/// Runs one round and prints it to `out`. An error is for standard error, with exit code 1;
/// dead agents and failed restarts are no errors.
pub async fn run(
    args: &PlanArgs,
    settings: &PlanSettings,
    world: &impl PlanWorld,
    out: &mut (impl Write + ?Sized),
) -> anyhow::Result<ExitCode> {
    let now = world.now_seconds();
    let acts = args.execute && !args.dry_run;
    if acts && let Some(holder) = world.store_holder() {
        bail!(
            "--execute is refused while {holder} holds the store: two would act on one fleet; stop it or leave --execute out"
        );
    }
    let registry = load_registry(args.registry.as_ref().unwrap_or(&settings.registry))?;
    let policy = load_policy(args.policy.as_ref().unwrap_or(&settings.policy))?;
    // Held from reading to writing, so that of two runs one waits its turn with an error.
    let state_file = if args.dry_run { None } else { Some(StateFile::open(&args.state)?) };
    let state = load_state(&args.state)?;

    let snapshot = probe(&registry, settings, world).await;
    let sweep = snapshot.iter().map(|entry| (entry.agent.as_str(), &entry.health));
    let state = state.updated(sweep, now);
    let detections: Vec<_> = snapshot
        .iter()
        .map(|entry| {
            let timeout = policy.dead_timeout_seconds_of(entry.agent);
            detect(entry.health.healthy, state.last_healthy_at(entry.agent.as_str()), timeout, now)
        })
        .collect();

    let healthy: HashSet<&str> =
        snapshot.iter().filter(|entry| entry.health.healthy).map(|entry| entry.agent.as_str()).collect();
    let dead =
        snapshot.iter().zip(&detections).filter(|(_, detection)| detection.dead).map(|(entry, detection)| Dead {
            agent: entry.agent,
            spec: registry.fleet.get(entry.agent),
            reasons: &entry.health.reasons,
            timeout_seconds: Some(detection.timeout_seconds),
        });
    let planner = Planner { policy: &policy, local_hosts: &settings.local_hosts };
    let plan = planner.plan(dead.collect(), |agent| healthy.contains(agent.as_str()));

    if let Some(file) = state_file {
        let text = output::python_json(&serde_json::to_value(&state)?)?;
        file.replace(&text)?;
    }
    let mut executions = Vec::new();
    if args.execute {
        for planned in &plan {
            executions.push(match next_step(planned.action, planned.restart(&settings.units), args.dry_run) {
                Step::Run(command) => world.restart(&command).await,
                Step::Report(execution) => execution,
            });
        }
    }

    let text = if args.json {
        let whole = output::Report { now, snapshot: &snapshot, detections: &detections, plan: &plan, executions };
        whole.render(&policy, settings)?
    } else {
        summary(healthy.len(), snapshot.len() - healthy.len(), plan.iter().map(SummaryLine::from))
    };
    super::out::tolerate(writeln!(out, "{text}").and_then(|()| out.flush()))?;
    Ok(ExitCode::SUCCESS)
}

/// Probes the whole fleet at once (a bounded part of it at any moment); the answers come in the order of names.
async fn probe<'r>(registry: &'r Registry, settings: &PlanSettings, world: &impl PlanWorld) -> Vec<SnapshotEntry<'r>> {
    let progress = progress(registry.fleet.len());
    let mut probes = Vec::with_capacity(registry.fleet.len());
    for (agent, spec) in &registry.fleet {
        probes.push(signals(agent, spec, settings, world));
    }
    let mut answers = stream::iter(probes).buffered(PROBES_AT_ONCE);
    let mut snapshot = Vec::with_capacity(registry.fleet.len());
    for (agent, spec) in &registry.fleet {
        let Some(signals) = answers.next().await else { break };
        snapshot.push(SnapshotEntry::new(registry, agent, spec, signals));
        progress.inc(1);
    }
    progress.finish_and_clear();
    snapshot
}

async fn signals(
    agent: &AgentName,
    spec: &AgentSpec,
    settings: &PlanSettings,
    world: &impl PlanWorld,
) -> SnapshotSignals {
    let gateway = async {
        match spec.gateway() {
            Some(url) => Some(world.gateway(url).await),
            None => None,
        }
    };
    let service = async {
        match settings.local_hosts.contains(spec.host_name()) {
            true => Some(world.is_active(&settings.units.unit(agent)).await),
            false => None,
        }
    };
    let (gateway, service_active) = futures_util::future::join(gateway, service).await;
    SnapshotSignals { gateway, service_active }
}

/// A bar on standard error; indicatif shows none where that is no terminal.
fn progress(agents: usize) -> ProgressBar {
    if agents < LARGE_FLEET {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(agents as u64);
    match ProgressStyle::with_template("probing {bar:40} {pos}/{len} agents") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn load_registry(path: &Path) -> anyhow::Result<Registry> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the registry {}", path.display()))?;
    parse(path, &text, yaml_to_value, Registry::from_value)
}

/// A missing policy is the default one; a missing registry is an error, as in the reference.
fn load_policy(path: &Path) -> anyhow::Result<Policy> {
    match read_if_there(path)? {
        Some(text) => parse(path, &text, json_to_value, Policy::from_value),
        None => Ok(Policy::default()),
    }
}

fn load_state(path: &Path) -> anyhow::Result<State> {
    match read_if_there(path)? {
        Some(text) => parse(path, &text, json_to_value, State::from_value),
        None => Ok(State::default()),
    }
}

fn read_if_there(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The value in `text`; every error of the file is told, warnings are left to `lazarus-gate check`.
fn parse<T>(
    path: &Path,
    text: &str,
    to_value: impl Fn(&str) -> Result<serde_json::Value, TextError>,
    from_value: impl Fn(serde_json::Value) -> Checked<T>,
) -> anyhow::Result<T> {
    let document = to_value(text).with_context(|| path.display().to_string())?;
    from_value(document).map(|(value, _)| value).map_err(|problems| anyhow::anyhow!(list(path, &problems)))
}

fn list(path: &Path, problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let lines: Vec<String> = errors.map(|problem| format!("{}: {problem}", path.display())).collect();
    lines.join("\n")
}
