//! The daemon's life: open, recover, work, drain, close.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::desk::GatewayDesk;
use super::heartbeat::{Heartbeat, Watchdog};
use super::sweep::Sweeping;
use super::{
    Bells, Gateway, MachineClock, Parts, SteadyClock, deliver, door, inbox, mission, nostr, plan, reload, retention,
    revive, speak, start, telegram,
};
use crate::approval::Channel;
use crate::channel::Terminal;
use crate::config::{self, Loaded, Problems};
use crate::probe::{
    DescriptorBudget, HttpProber, HttpSettings, ProbeError, Sweeper, Systemd, SystemdSettings, has_service_manager,
    system_ca_bundle,
};
use crate::revival::{self, Launcher, RevivalError};
use crate::store::{self, DaemonLock, OpenOptions, Store, StoreError};
use crate::web::{self, Limits, Socket, WebError};
use crate::wording::Alarm;

/// How a daemon is started.
pub struct RunOptions {
    /// The gateway's file.
    pub config: PathBuf,
    /// Decide, ask and tell, but run nothing.
    pub observe: bool,
    /// The shim's program: literally `/proc/self/exe` in the daemon.
    pub shim: PathBuf,
    /// Where the shim's own, small program would be.
    pub small_shim: Option<PathBuf>,
    /// The daemon's environment, read once.
    pub environment: BTreeMap<String, String>,
    /// Where the terminal channel writes.
    pub output: Terminal,
    /// Whether lines of standard input are taken in, whatever the file says.
    pub terminal_input: bool,
    /// Ends the daemon besides SIGTERM and SIGINT.
    pub stop: Option<tokio::sync::oneshot::Receiver<()>>,
}

/// Why a daemon did not come up, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The files have errors.
    #[error("the configuration has errors:\n{0}")]
    Config(Problems),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run files.
    #[error(transparent)]
    Runs(#[from] RevivalError),
    /// The local socket.
    #[error(transparent)]
    Socket(#[from] WebError),
    /// The probes.
    #[error(transparent)]
    Probes(#[from] ProbeError),
    /// A task of the daemon ended by itself.
    #[error("a task of the daemon broke off inside; please report it, with the log. It is safe to start again")]
    TaskEnded(#[source] Option<tokio::task::JoinError>),
    /// The signals of the operating system.
    #[error("the signals could not be listened for")]
    Signals(#[source] std::io::Error),
}

/// Runs until a signal comes.
pub async fn run(options: RunOptions) -> Result<(), RunError> {
    let has_manager = has_service_manager(std::path::Path::new("/"));
    let machine = reload::Machine::read(has_manager);
    let Loaded { config, warnings } = config::load(&options.config, &machine).map_err(RunError::Config)?;
    for warning in &warnings.0 {
        tracing::warn!("{warning}");
    }
    let files = reload::seen(&config);
    let gate = Arc::clone(&config.gate);
    let budget = DescriptorBudget::raise();
    let _lock = DaemonLock::take(&gate.store.path)?;
    let store = Store::open(&gate.store.path, OpenOptions::default()).await?;
    let runs = gate.store.path.with_file_name("runs");
    revival::prepare_runs(&runs)?;
    let clock = Arc::new(SteadyClock::over(Arc::new(MachineClock::start())));
    let probe_clock = Arc::clone(&clock);
    let http = HttpProber::new(&HttpSettings {
        deadline: gate.schedule.probe_deadline,
        keep_idle: (gate.schedule.interval * 3).max(Duration::from_secs(90)),
        ca_bundle: system_ca_bundle(),
        ..HttpSettings::default()
    })?;
    let systemd = has_manager.then(|| {
        Systemd::new(SystemdSettings {
            program: gate.schedule.systemctl.clone().into(),
            deadline: gate.schedule.systemctl_timeout,
        })
    });
    let slots = budget.slots.min(gate.schedule.concurrency);
    let capped =
        budget.is_capped().then(|| Alarm::DescriptorsCapped { slots: u32::try_from(slots).unwrap_or(u32::MAX) });
    let budget = DescriptorBudget { slots, ..budget };
    let launcher = Launcher::new(options.shim);
    let launcher = match &options.small_shim {
        Some(path) => launcher.or_by(path).await,
        None => launcher,
    };
    let gateway = Gateway::new(Parts {
        store,
        clock,
        launcher,
        runs,
        sweeper: Sweeper::new(http, systemd, budget, Arc::new(move || probe_clock.now())),
        config,
        environment: options.environment,
        has_manager,
        own_uid: rustix::process::geteuid().as_raw(),
        observe: options.observe,
    });

    recover(&gateway).await?;
    let rows = start::remember(&gateway).await?;
    telegram::remember(&gateway).await?;
    door::remember(&gateway).await?;
    nostr::remember(&gateway).await?;
    reload::note_keys(&gateway).await?;
    if let Some(file) = &gate.store.import_state {
        start::import_state(&gateway, file).await?;
    }
    start::notice_clock_set_back(&gateway).await?;
    start::extend_pending(&gateway).await?;
    mission::clear_leftovers(&gateway);
    let socket = Socket::open(&gate.socket).await?;
    let mut tasks = JoinSet::new();
    let desk = Arc::new(GatewayDesk(Arc::clone(&gateway)));
    let stopped = Arc::clone(&gateway);
    tasks.spawn(web::serve(socket, desk, Limits::default(), async move { stopped.bells.stopped().await }));
    let sweeping = Arc::new(Sweeping::new(&rows));
    let asked = signals(&gateway, options.stop);
    tokio::pin!(asked);
    // Nothing is decided on "not probed yet": the first sweep, which never acts, comes before the first
    // input. Who speaks meanwhile is heard, and answered after it.
    let outcome = tokio::select! {
        swept = sweeping.step(&gateway, Duration::ZERO) => {
            swept?;
            inbox::leftovers(&gateway).await?;
            if let Some(capped) = capped {
                gateway.status.raise("descriptors", capped.clone(), gateway.clock.now());
                speak::raise(&gateway, capped).await?;
            }
            start::announce(&gateway).await?;
            tasks.spawn(inbox::run(Arc::clone(&gateway)));
            tasks.spawn(plan::run(Arc::clone(&gateway)));
            tasks.spawn(revive::run(Arc::clone(&gateway)));
            tasks.spawn(Arc::clone(&sweeping).run(Arc::clone(&gateway), Heartbeat::new()));
            tasks.spawn(reload::run(Arc::clone(&gateway), files));
            tasks.spawn(mission::expire::run(Arc::clone(&gateway)));
            tasks.spawn(retention::run(Arc::clone(&gateway)));
            tasks.spawn(deliver::run(Arc::clone(&gateway), Arc::new(options.output.clone()), Channel::Terminal));
            if gate.channels.telegram.enabled {
                tasks.spawn(telegram::run(Arc::clone(&gateway)));
            }
            if let Some(agents) = gate.agents.clone() {
                tasks.spawn(door::run(Arc::clone(&gateway), agents));
            }
            if gate.channels.nostr.enabled {
                tasks.spawn(nostr::run(Arc::clone(&gateway)));
            }
            if let Some(watchdog) = Watchdog::of_systemd() {
                let gateway = Arc::clone(&gateway);
                tasks.spawn(async move { watchdog.run(gateway).await });
            }
            if options.terminal_input || (gate.channels.terminal.enabled && gate.channels.terminal.input) {
                // Not among the tasks: an input that ends is no defect.
                tokio::spawn(super::terminal_input::run(Arc::clone(&gateway), options.output));
            }
            Watchdog::ready();
            tokio::select! {
                asked = &mut asked => asked,
                // A task ends only when the daemon does. Without one of them the daemon would be a picture of itself.
                Some(ended) = tasks.join_next() => Err(RunError::TaskEnded(ended.err())),
            }
        }
        asked = &mut asked => asked,
    };
    drain(&gateway, tasks, gate.timing.drain).await;
    sweeping.remember(&gateway, &[], Duration::ZERO).await?;
    gateway.store.close().await?;
    outcome
}

/// A restored backup is recognised before anything else is read from it.
async fn recover(gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    let found = {
        let mut read = gateway.store.read().await?;
        store::generation::detect(&mut read, gateway.store.path()).await?
    };
    start::raise_generation(gateway, found).await
}

/// Ends when the daemon is to stop; SIGHUP loads the files anew.
async fn signals(gateway: &Arc<Gateway>, stop: Option<tokio::sync::oneshot::Receiver<()>>) -> Result<(), RunError> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(RunError::Signals);
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let asked = async {
        // A sender that is dropped has nothing to ask for.
        if let Some(stop) = stop
            && stop.await.is_ok()
        {
            return;
        }
        std::future::pending().await
    };
    tokio::pin!(asked);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = &mut asked => return Ok(()),
            _ = hangup.recv() => gateway.bells.reload.notify_one(),
        }
    }
}

/// Finishes what is in hand. Commands go on under their shims.
async fn drain(gateway: &Arc<Gateway>, mut tasks: JoinSet<()>, at_most: Duration) {
    Watchdog::stopping();
    Bells::stop(&gateway.bells);
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(at_most.mul_f64(0.8), all).await.is_err() {
        tracing::warn!("some tasks did not end in time; what they had begun is taken up at the next start");
    }
}
