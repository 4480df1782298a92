//! The world that `plan` looks at in earnest: this machine's clock, network, systemd and lock.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::World;
use super::place::Place;
use super::plan::{self, PlanArgs, PlanSettings, PlanWorld, SystemctlCommands};
use crate::pool::{Execution, GatewayAnswer, RestartCommand};
use crate::probe::{self, HttpProber, HttpSettings, ProbeError, system_ca_bundle};
use crate::store::{DaemonLock, StoreError};

/// Runs `plan` on this machine. The three files come from its flags; what lies outside of them (which
/// hosts are local, how units are called, the issue, the store) from the gateway's file, if one is there.
pub(super) fn run(world: &World, before: &Place, args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let gate = before.reach(&world.ambient)?.gate;
    let settings = gate.as_ref().map_or_else(PlanSettings::default, |gate| PlanSettings {
        local_hosts: gate.local_hosts.clone(),
        units: gate.unit.clone(),
        issue: gate.issue,
    });
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
