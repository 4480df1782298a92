//! Telegram in the daemon: what is known of the bot and its chats, what comes in, and what is done when
//! a chat moves, is lost or comes back.

mod documents;
mod hear;
mod intake;
mod moves;
mod outage;
mod questions;
mod start;
mod state;

pub(super) use hear::{apologise, hear, prepare};
pub(super) use moves::{follow, name_of, remember, stop, was_just_let_in};
pub(super) use questions::look_up;
pub use start::run;
pub use state::{Me, State};

/// The source of its inputs, and its key in the configuration.
pub const SOURCE: &str = "telegram";
