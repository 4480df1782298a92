//! Telegram: the calls of the Bot API, what comes in, and how a message goes out.
//!
//! Coming in and going out never touch each other: a poll has connections of its own. What came in is
//! read from its raw form ([`Update`]), for typed reading loses the text of a message that has something
//! newer than the reader in it. Nothing is decided here.

mod api;
mod fault;
mod form;
mod pace;
mod send;
mod token;
mod update;

pub use api::Api;
pub use fault::Fault;
pub use form::File;
pub use pace::{Paces, Turn};
pub use send::{Sender, Target};
pub use token::{Token, TokenError};
pub use update::{Attached, Message, Replied, Tap, Update, Void, command_for};

pub use teloxide_core::payloads;
pub use teloxide_core::types;
