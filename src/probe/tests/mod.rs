//! Probes against real servers on loopback and against fake `systemctl` programs.
//!
//! Only the kind of an answer is asserted, never how long it took: a deadline that does not hold shows
//! as a test that never ends.

mod http;
mod servers;
mod sweep;
mod systemd;
