//! The world that `plan` looks at in earnest: this machine's clock, network, systemd and lock.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::anyhow;

use super::World;
use super::place::Place;
use super::plan::{self, PlanArgs, PlanSettings, PlanWorld, SystemctlCommands};
use crate::config::{self, Users};
use crate::pool::{Execution, GatewayAnswer, RestartCommand};
use crate::probe::{self, HttpProber, HttpSettings, ProbeError, system_ca_bundle};
use crate::store::{DaemonLock, StoreError};

/// Runs `plan` on this machine. The three files come from its flags; what lies outside of them (which
/// hosts are local, how units are called, the issue, the store) from the gateway's file, if one is there.
/// One that was named tells which fleet and policy are meant, too; one that merely lies there does not, so
/// that a timer which ran the script goes on as before.
pub(super) fn run(world: &World, place: &Place, args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let is_named = place.names_a_config(&world.ambient);
    let gate = if is_named {
        let path = place.config(&world.ambient)?;
        Some(config::load_gate_only(&path, &Users::of_this_machine()).map_err(|problem| anyhow!("{problem}"))?)
    } else {
        place.reach(&world.ambient)?.gate
    };
    let mut settings = PlanSettings::default();
    if let Some(gate) = &gate {
        if is_named {
            settings.registry.clone_from(&gate.files.registry);
            settings.policy.clone_from(&gate.files.policy);
        }
        settings.local_hosts.clone_from(&gate.local_hosts);
        settings.units.clone_from(&gate.unit);
        settings.issue = gate.issue;
    }
    let machine = Machine::new(gate.map(|gate| gate.store.path))?;
    super::block_on(plan::run(args, &settings, &machine, &mut anstream::stdout().lock()))?
}

/// This machine.
pub struct Machine {
    http: HttpProber,
    systemctl: SystemctlCommands,
    store: Option<PathBuf>,
    held: Mutex<Option<DaemonLock>>,
}

impl Machine {
    /// `store` is the configured store, if there is one: `--execute` is refused while a daemon holds it.
    pub fn new(store: Option<PathBuf>) -> Result<Self, ProbeError> {
        let http = HttpProber::new(&HttpSettings { ca_bundle: system_ca_bundle(), ..HttpSettings::default() })?;
        Ok(Self { http, systemctl: SystemctlCommands::default(), store, held: Mutex::default() })
    }
}

impl PlanWorld for Machine {
    #[expect(clippy::disallowed_methods, reason = "a command reads its clock once, here")]
    fn now_seconds(&self) -> f64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }

    fn store_holder(&self) -> Option<String> {
        let store = self.store.as_deref().filter(|store| store.exists())?;
        // Taken and kept, not only looked at: a daemon must not start in the middle of this either.
        match DaemonLock::take(store) {
            Ok(lock) => {
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
                None
            }
            Err(StoreError::Locked { pid: Some(pid), .. }) => Some(format!("a daemon, pid {pid},")),
            Err(StoreError::Locked { pid: None, .. }) => Some("a daemon".to_owned()),
            Err(error) => Some(format!("something unknown ({error})")),
        }
    }

    async fn gateway(&self, url: &str) -> GatewayAnswer {
        match self.http.probe(url).await {
            probe::GatewayAnswer::Answered { status } => GatewayAnswer { reachable: true, status },
            // The script has two values only: no answer of ours is no answer of theirs.
            probe::GatewayAnswer::Unreachable { .. } | probe::GatewayAnswer::NoAnswer { .. } => {
                GatewayAnswer { reachable: false, status: 0 }
            }
        }
    }

    async fn is_active(&self, unit: &str) -> bool {
        self.systemctl.is_active(unit).await
    }

    async fn restart(&self, command: &RestartCommand) -> Execution {
        self.systemctl.restart(command).await
    }
}
