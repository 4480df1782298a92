//! The door for agents: HTTP/1 with JSON on a TCP port, for programs that take part in missions.
//!
//! An agent shows its token; which one that is, is decided by the token's hash in the store. What it may do is
//! decided by the mission bus, where everybody else's word is decided too: no rule about that lives here. What is
//! asked for is done in **one** transaction together with its answer, and only then is the agent told, so a request
//! that is sent again under its key after a lost answer finds that answer and changes nothing.
//!
//! ```text
//! accept ──► head within seconds ──► token ──► allowance ──► body within seconds ──► desk ──► answer
//!    │ too many: the oldest that has shown no token gives way
//! ```
//!
//! Whatever comes is hostile until its token was found: until then a connection holds a place that it loses to the
//! next one who comes, and not a byte of a body is read.

mod allowance;
mod answers;
mod api;
mod asked;
mod desk;
mod problem;
mod routes;
mod server;
mod shared;

pub use allowance::Allowance;
pub use answers::{Answered, Appended, Attached, Beaten, Event, Handoff, Handoffs, Page};
pub use api::description;
pub use desk::{Acted, AgentDesk, Ask, Beat, Key, PageOf, Read, Refused, What};
pub use problem::{Code, Problem};
pub use server::{Limits, serve};
