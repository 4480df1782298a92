//! The mission bus in the daemon: one plain function an act, which a person's command and an agent's
//! request both call inside a job of the store.
//!
//! [`act`] does what somebody says, if the bus allows it: the stream, the participants and the handoffs, the
//! journal's entries, and what people are shown of it, in the one transaction of the job. What the bus does
//! not allow has changed nothing, is journaled once, and comes back as the refusal. After the commit, whoever
//! called rings [`committed`].
//!
//! ```text
//! a command in a chat, a line on the socket ──► command ──┐
//! an agent's request ─────────────────────────────────────┴─► act ──► stream, handoffs, journal, cards
//! ```

mod act;
mod card;
mod command;
pub mod expire;
mod import;
pub mod takeover;
mod understand;
mod who;

pub use act::{Act, Acting, Done, act, attempt, limits, named, small_document, small_state};
pub use card::put;
pub use command::{Obeyed, Shows, Speaking, note, obey};
pub use import::{clear_leftovers, import, read as read_mission, slot};
pub use understand::{Understood, understand};
pub use who::{name_of, reader_of, whose_name};

use super::Gateway;

/// Something on the bus was committed: messages may be due, and a handoff may end sooner than any before.
pub fn committed(gateway: &Gateway) {
    gateway.bells.mission.notify_one();
    gateway.bells.deliver();
}
