//! The planner: health snapshot, detection of the dead, policy, substitutes, plan and summary.
//!
//! Pure: facts in, plain values out. `docs/resurrection-pool.md` tells the model to its users.

mod health;
mod id;
mod name;
mod reason;
mod time;
mod watch;

pub use health::{Health, ProviderSignal, Signal, Signals};
pub use id::IncidentId;
pub use name::{AgentName, HostName, InvalidName, MissionName};
pub use reason::Reason;
pub use time::Timestamp;
pub use watch::Watch;
