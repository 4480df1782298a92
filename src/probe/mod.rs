//! Looks at the agents and says what was seen: gateways over HTTP, units over `systemctl`.
//!
//! Three decisions carry this room. **A failed probe is data**, not an error: every question comes back as a
//! [`GatewayAnswer`] or a [`UnitAnswer`], and what they mean for an agent's health is the core's to say. **What
//! we lack is told apart from what the agent lacks**: out of descriptors, ports, memory, routes, names or time of
//! our own, the answer is `NoAnswer`, and nobody is restarted for it. **Time is bounded as a whole**: one
//! deadline covers all that a probe does, and one covers all calls of `systemctl` in a sweep.

mod address;
mod answer;
mod descriptors;
mod fault;
mod http;
mod names;
mod sweep;
mod systemd;
#[cfg(test)]
mod tests;
mod together;
mod units;

pub use answer::{
    ActiveState, AddressFault, GatewayAnswer, GatewayFault, LoadState, Shortage, UnitAnswer, UnitSilence,
};
pub use descriptors::{DescriptorBudget, SLOTS_MAX};
pub use http::{Connection, HttpProber, HttpSettings, ProbeError, system_ca_bundle};
pub use sweep::{Clock, Progress, Signals, Sweeper, Target};
pub use systemd::{Systemd, SystemdSettings, has_service_manager};
