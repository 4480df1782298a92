//! Nostr in the daemon: what comes in over the relays, what becomes of it, and what goes out.
//!
//! ```text
//! relay ──► intake: verified, opened ──► inbox ──► hear ──► case, answers, ends told in threads
//!   ▲          │ waits while the inbox is full, and that relay with it
//!   └── send ◄─┴── messages; one task for each message and relay
//! ```

mod awaited;
mod bucket;
mod catch_up;
mod compare;
mod hear;
mod intake;
mod known;
mod opening;
mod pages;
mod people;
mod questions;
mod receipts;
mod relay;
mod send;
mod standing;
mod start;
mod state;

pub(super) use hear::{apologise, hear};
pub(super) use people::{is_open, is_out, name_of, outlets};
pub(super) use questions::prepare;
pub(super) use receipts::note_keys;
pub use start::run;
pub(super) use start::{remember, stop};
pub use state::{RelayState, State};

/// The source of its inputs, and its key in the configuration.
pub const SOURCE: &str = "nostr";
