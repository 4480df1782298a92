//! The store: the one truth, and the only thing that the daemon's tasks share.
//!
//! An SQLite file (write-ahead log, `synchronous=FULL`) with one writer and a few readers. The
//! modules speak of inputs, requests, executions, not of rows; each aggregate is its versioned JSON
//! body beside the columns that queries, indexes and guards need. A function that changes something
//! takes the transaction ([`Tx`]); one that reads takes anything that can be read from ([`Reads`]).
//!
//! * [`Store::write`]: one writer, jobs that wait together commit together, and one that fails is taken
//!   back alone;
//! * every change of a state is guarded by the state it expects, and says so if it found another;
//! * unique indexes hold what must never be twice: one open incident per agent, one pending request
//!   and one live execution per incident, one input per id;
//! * [`journal`]: append-only, each entry chained to the one before;
//! * [`missions`]: streams of events, each numbered without gaps and chained as the journal is;
//! * [`generation`]: a restored backup is recognised and may not revive what it once knew;
//! * [`DaemonLock`]: one process at a time.

mod backup;
mod connect;
mod error;
mod lock;
mod open;
mod place;
mod row;
mod schema;
mod statement;
mod tx;
mod writer;

pub mod agents;
pub mod cases;
pub mod documents;
pub mod door;
pub mod drills;
pub mod epochs;
pub mod executions;
pub mod generation;
pub mod inbox;
pub mod incidents;
pub mod journal;
pub mod messages;
pub mod meta;
pub mod missions;
pub mod requests;
pub mod tokens;
pub mod votes;

pub use backup::{damage, write as backup};
pub use error::StoreError;
pub use lock::{DaemonLock, Holder, holder, lock_path};
pub use open::{OpenOptions, Reader, Store};
pub use schema::newest_version;
pub use tx::{Read, Reads, Tx};

/// Rows that one job of retention or an import touches at most: the writer is back for the inputs
/// within milliseconds.
pub const SLICE: u32 = 500;

#[cfg(test)]
mod tests;
