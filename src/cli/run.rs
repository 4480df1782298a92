use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::World;
use super::place::Place;
use crate::channel::Terminal;
use crate::config::Users;
use crate::config::gate::{Log, LogFormat};
use crate::gateway::{self, RunOptions};

/// Threads that the tasks share. The daemon mostly waits, and the writer has a thread of its own; more
/// threads would hold more memory on a large machine and be no faster.
pub(super) const WORKERS: usize = 2;

/// The daemon: watch, ask, revive, verify
///
/// Reads its files, takes the lock beside the store, and works until SIGTERM or SIGINT. Commands it
/// has started go on under their shims. SIGHUP, or a change of a file, loads the files anew.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Decide, ask and tell, but run nothing; every message says so
    #[arg(long)]
    pub observe: bool,
    /// Take in answers on standard input, as `channels.terminal.input: true` does
    #[arg(long)]
    pub stdin: bool,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Runs until a signal comes.
pub fn run(world: &World, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let config = args.place.config(&world.ambient)?;
    listen_to_the_log(&config);
    let options = RunOptions {
        config,
        observe: args.observe,
        // Goes on naming the running binary when the file is replaced by an upgrade.
        shim: PathBuf::from("/proc/self/exe"),
        small_shim: small_shim(),
        environment: environment(),
        output: Terminal::new(Box::new(anstream::stdout()))?,
        terminal_input: args.stdin,
        stop: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let outcome = runtime.block_on(gateway::run(options));
    // A look-up of a name that hangs in the system's resolver must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome?;
    Ok(ExitCode::SUCCESS)
}

/// Where the shim's own program is, if it is installed at all: beside this one.
pub(super) fn small_shim() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.with_file_name("lazarus-gate-shim"))
}

/// The environment that commands get parts of, as the daemon was started with it.
#[expect(clippy::disallowed_methods, reason = "the environment is read once, here")]
pub(super) fn environment() -> BTreeMap<String, String> {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut all: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    all.entry("PATH".into()).or_insert_with(|| PATH.into());
    all
}

/// The log goes to standard error; standard output is the terminal channel's. What the file says
/// of it is read ahead of everything else, so that loading itself can be logged.
fn listen_to_the_log(config: &Path) {
    let log = crate::config::load_gate_only(config, &Users::of_this_machine()).map(|gate| gate.log).unwrap_or_default();
    start_log(&log);
}

/// The libraries of Nostr log whole messages of others, secrets of their own calls among them at the finer
/// levels; what happens is told by us.
const LIBRARIES: &str = "nostr=off,nostr_sdk=off,nostr_relay_pool=off,nostr_relay_builder=off,nostr_database=off";

/// Starts the log once per process.
pub(super) fn start_log(log: &Log) {
    let filter = EnvFilter::new(format!("lazarus_gate={level},warn,{LIBRARIES}", level = log.level.as_str()));
    let registry = tracing_subscriber::registry().with(filter);
    // The journal of a service, or a file, is to hold no colours.
    let coloured = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(coloured);
    // A second start in one process (tests) keeps the first one's.
    let _ = match log.format {
        LogFormat::Text => registry.with(layer).try_init(),
        LogFormat::Json => registry.with(layer.json()).try_init(),
    };
}
