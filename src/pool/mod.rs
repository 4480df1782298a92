//! The planner: health snapshot, detection of the dead, policy, substitutes, plan and summary.
//!
//! Pure: facts in, plain values out. `docs/resurrection-pool.md` tells the model to its users,
//! `docs/compatibility.md` where it leaves the script that it stands in for.
//!
//! One rule lives in one place, for the daemon as well as for `lazarus-gate plan`:
//! [`reasons_for`] says what is wrong with an agent, [`is_dead`] when it is dead, [`Policy::resolve`]
//! what may be done then, [`choose_substitute`] who stands in, [`Planner`] what that comes to.
//! Planning borrows from registry and policy and copies no map, so a fleet of a hundred thousand
//! is planned in well under a tenth of a second.

mod approval_packet;
mod detect;
mod execute;
mod health;
mod host;
mod id;
mod name;
mod plan;
mod policy;
mod problem;
mod reason;
mod registry;
mod shape;
mod snapshot;
mod state;
mod substitute;
mod summary;
mod time;
mod unit;
mod watch;

pub use approval_packet::{ApprovalRequest, DEFAULT_ISSUE, approval_key, approval_message};
pub use detect::{Detection, detect, is_dead, unhealthy_for_seconds};
pub use execute::{Execution, Step, next_step};
pub use health::{Health, ProviderSignal, Signal, Signals};
pub use host::LocalHosts;
pub use id::IncidentId;
pub use name::{AgentName, HostName, InvalidName, MissionName};
pub use plan::{Action, Dead, Planned, Planner};
pub use policy::{ChannelTarget, Layer, Mode, Policy, Resolved};
pub use problem::{Checked, PathStep, Problem, ProblemKind, Severity};
pub use reason::Reason;
pub use registry::{AgentSpec, Provider, Registry, dangling_names};
pub use snapshot::{GatewayAnswer, SnapshotEntry, SnapshotHealth, SnapshotSignals, reasons_for};
pub use state::State;
pub use substitute::choose_substitute;
pub use summary::{SummaryLine, summary};
pub use time::Timestamp;
pub use unit::{InvalidUnit, RestartCommand, UnitTemplate};
pub use watch::Watch;
