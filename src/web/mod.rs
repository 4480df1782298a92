//! The local socket: HTTP/1 with JSON, for the command line and whatever else runs on this machine.
//!
//! Everybody can connect; who counts is decided by the uid that the kernel tells (`SO_PEERCRED`). What
//! changes something goes into the inbox like a tap in a chat, by the one way of [`Desk::submit`]: no
//! rule about who may say what lives here. What is read comes from the store ([`reads`]), as JSON and
//! as text, so that the command line prints and decides nothing.
//!
//! Each command carries an id made by the client. If the connection is cut, the [`Client`] comes back
//! and asks for the answer by that id; sending it again changes nothing.

pub mod agents;
mod bus;
mod client;
mod converse;
mod desk;
mod error;
pub mod missions;
pub mod reads;
mod routes;
mod server;
mod socket;

#[cfg(test)]
mod tests;

pub use bus::{is_owner, nobody};
pub use client::{Client, ClientError, Patience};
pub use desk::{Desk, ImportSlot, Live, NoSlot, Shown, Submitted};
pub use error::WebError;
pub use routes::{CommandState, NewCommand, Problem, input_id, input_of, is_id};
pub use server::{Limits, Peer, serve};
pub use socket::{Socket, folder_fault};
