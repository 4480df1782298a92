//! The planner: health snapshot, detection of the dead, policy, substitutes, plan and summary.
//!
//! Pure: facts in, plain values out. `docs/resurrection-pool.md` tells the model to its users.

mod name;
mod time;

pub use name::{AgentName, HostName, InvalidName, MissionName};
pub use time::Timestamp;
