//! The daemon: its tasks and their wiring, its clock, its ids, its shutdown.
//!
//! The store is the only thing the tasks share. A task reads work from it, does it, and commits the
//! result; a [`Bells`] ring only wakes the next one earlier. So a crash, a restart and a lost ring
//! need no code of their own.
//!
//! ```text
//! sweep ──► watches ──► plan ──► cases ──► revive ──► shims ──► verification
//!                        ▲         │
//! socket, terminal ──► inbox ──────┘──► messages ──► deliver
//! ```
//!
//! One file a task; each has a `step` that tests call on a clock of their own, and a dull loop
//! around it.

mod agent_tokens;
pub mod arrival;
mod begin;
mod bell;
mod clock;
mod conclude;
mod copies;
pub mod deliver;
mod desk;
pub mod door;
mod drill;
mod hand_back;
mod handover;
mod hear;
mod heartbeat;
mod ids;
mod in_force;
pub mod inbox;
mod intake;
mod jump;
mod ledger;
mod marking;
mod metrics;
pub mod mission;
pub mod nostr;
mod owed;
pub mod plan;
mod reload;
mod retention;
pub mod revive;
mod rows;
mod run;
mod speak;
pub mod start;
mod status;
pub mod sweep;
pub mod telegram;
mod terminal_input;
mod verify;
mod watches;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

pub use bell::Bells;
pub use clock::{Clock, MachineClock, SetClock, SteadyClock};
pub use desk::GatewayDesk;
pub use ids::Ids;
pub use in_force::{InForce, Member, PreparedCommand, people_of};
pub use run::{RunError, RunOptions, run};
pub use status::{Status, TaskName};
pub use watches::Watches;

use crate::approval::Channel;
use crate::config::Config;
use crate::probe::Sweeper;
use crate::revival::Launcher;
use crate::store::Store;
use crate::store::meta::Hold;
use crate::wording::{HoldInfo, Setting};

/// Looks of verifications that are under way at the same time.
const LOOKS_MAX: usize = 64;

/// What all tasks are given: the store, the clocks, the ids, the files in force.
pub struct Gateway {
    /// The truth.
    pub store: Store,
    /// The gateway's time.
    pub clock: Arc<SteadyClock>,
    /// The one source of ids.
    pub ids: Ids,
    /// Wakes tasks.
    pub bells: Bells,
    /// What the probes say of each agent.
    pub watches: Watches,
    /// How the tasks are.
    pub status: Status,
    /// Starts shims.
    pub launcher: Launcher,
    /// Where run files are, beside the store.
    pub runs: PathBuf,
    /// Looks at agents.
    pub sweeper: Sweeper,
    /// The daemon's environment, read once at its start: commands get parts of it.
    pub environment: BTreeMap<String, String>,
    /// Whether systemd runs here.
    pub has_manager: bool,
    /// Who the daemon itself is on this machine.
    pub own_uid: u32,
    /// `--observe`: not to be undone by a file.
    observe: bool,
    in_force: RwLock<Arc<InForce>>,
    /// The hold as the newest job saw it; for texts only, decisions read the store.
    hold_seen: RwLock<Option<Hold>>,
    waiting: inbox::Waiting,
    /// The agents' signs of life.
    pub heartbeats: door::Heartbeats,
    /// Where the door for agents is open.
    agents_at: RwLock<Option<std::net::SocketAddr>>,
    /// Whether what arrives may be worked off at once.
    gate: arrival::Gate,
    /// What is known of the bot and its chats.
    pub telegram: telegram::State,
    /// What is known of the relays, and of who is where.
    pub nostr: nostr::State,
    run_files: begin::RunFiles,
    /// Answers on the short way.
    owed: owed::Owed,
    /// Looks of verifications at the same time: after a mass death they must not become a storm of
    /// probes that makes the living look dead.
    looks: tokio::sync::Semaphore,
    /// One at a time compares the clocks.
    jumping: tokio::sync::Mutex<()>,
    /// One mission is imported at a time.
    importing: Arc<tokio::sync::Mutex<()>>,
}

/// What a gateway is made of.
pub struct Parts {
    /// The truth.
    pub store: Store,
    /// The gateway's time; the sweeper is to go by the same.
    pub clock: Arc<SteadyClock>,
    /// Starts shims.
    pub launcher: Launcher,
    /// Where run files are, beside the store.
    pub runs: PathBuf,
    /// Looks at agents.
    pub sweeper: Sweeper,
    /// The files in force.
    pub config: Config,
    /// The daemon's environment.
    pub environment: BTreeMap<String, String>,
    /// Whether systemd runs here.
    pub has_manager: bool,
    /// Who the daemon itself is on this machine.
    pub own_uid: u32,
    /// `--observe`: nothing is ever executed.
    pub observe: bool,
}

impl Gateway {
    /// Puts the parts together; nothing runs yet.
    pub fn new(parts: Parts) -> Arc<Self> {
        let now = parts.clock.now();
        Arc::new(Self {
            store: parts.store,
            clock: parts.clock,
            ids: Ids::default(),
            bells: Bells::default(),
            watches: Watches::default(),
            status: Status::new(now),
            launcher: parts.launcher,
            runs: parts.runs,
            sweeper: parts.sweeper,
            environment: parts.environment,
            has_manager: parts.has_manager,
            own_uid: parts.own_uid,
            observe: parts.observe,
            in_force: RwLock::new(Arc::new(InForce::new(parts.config, parts.has_manager))),
            hold_seen: RwLock::default(),
            waiting: inbox::Waiting::default(),
            heartbeats: door::Heartbeats::default(),
            agents_at: RwLock::default(),
            gate: arrival::Gate::default(),
            telegram: telegram::State::default(),
            nostr: nostr::State::default(),
            run_files: begin::RunFiles::default(),
            owed: owed::Owed::default(),
            looks: tokio::sync::Semaphore::new(LOOKS_MAX),
            jumping: tokio::sync::Mutex::default(),
            importing: Arc::default(),
        })
    }

    /// The files in force at this moment.
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other files in force.
    pub fn put_in_force(&self, in_force: InForce) {
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(in_force);
    }

    /// Remembers the hold for texts.
    fn see_hold(&self, hold: Option<Hold>) {
        *self.hold_seen.write().unwrap_or_else(PoisonError::into_inner) = hold;
    }

    /// The hold as it was last seen.
    fn hold_seen(&self) -> Option<Hold> {
        self.hold_seen.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where people are told, by the files in force.
    pub fn outlets(&self) -> Vec<speak::Outlet> {
        let config = &self.in_force().config;
        let mut outlets = Vec::new();
        if config.gate.channels.terminal.enabled {
            outlets.push(speak::Outlet { channel: Channel::Terminal, target: String::new() });
        }
        let telegram = &config.gate.channels.telegram;
        if telegram.enabled {
            let targets = config.policy.channel_targets().filter(|target| target.enabled && target.name == "telegram");
            let chats = targets.filter_map(|target| telegram.chats.get(target.target?));
            outlets.extend(chats.map(|chat| speak::Outlet {
                channel: Channel::Telegram,
                target: self.telegram.now_at(*chat).to_string(),
            }));
        }
        outlets.extend(nostr::outlets(&self.in_force()));
        outlets
    }

    /// How texts are to be written, with this hold in force.
    pub fn setting(&self, hold: Option<&Hold>) -> Setting {
        let gate = &self.in_force().config.gate;
        Setting {
            zone: gate.timezone.clone(),
            issue: gate.issue,
            observing: self.observing(),
            hold: hold.map(|hold| HoldInfo { by: hold.by.clone(), since: hold.since, reason: hold.reason.clone() }),
        }
    }

    /// Whether a channel is stopped until somebody mends it.
    pub fn is_stopped(&self, channel: Channel) -> bool {
        match channel {
            Channel::Terminal | Channel::Cli => false,
            Channel::Telegram => self.telegram.is_stopped(),
            Channel::Nostr => self.nostr.is_stopped(),
        }
    }

    /// Whether nothing is executed: in this run, or by the file in force.
    pub fn observing(&self) -> bool {
        self.observe || self.in_force().config.gate.observe
    }
}
