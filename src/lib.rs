//! `lazarus-gate` watches a fleet of agents, asks a human before it revives the dead, carries
//! out exactly what was signed off and verifies that the agent really lives again.
//!
//! Three floors, each room importing only from its own floor's ground rooms or below:
//!
//! * **core** (pure: no IO, no clock, no randomness, no async): [`pool`], [`approval`],
//!   [`incident`], [`mission`], [`wording`];
//! * **edge** (IO, no decisions): [`config`], [`store`], [`probe`], [`channel`], [`revival`], [`web`];
//! * **shell**: [`gateway`] (the daemon's tasks, its clock and ids) and [`cli`].
//!
//! `docs/architecture.md` walks one restart, one refusal and one crash through the rooms.
#![forbid(unsafe_code)]

#[macro_use]
pub mod fail_point;

pub mod approval;
pub mod channel;
pub mod cli;
pub mod config;
pub mod gateway;
pub mod incident;
pub mod mission;
pub mod pool;
pub mod probe;
pub mod revival;
pub mod store;
pub mod web;
pub mod wording;
