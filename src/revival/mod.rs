//! Carrying out: a command is started exactly once, or it is said plainly that this is not known.
//!
//! A command never starts from the daemon itself but through a **shim**, this same binary (or the small one
//! that is nothing but the shim) in a process group of its own, so that a kill -9 of the daemon loses neither the command nor its
//! outcome. Runs that are begun together, and would get the same from it, share one ([`Launcher::start`]); for each of
//! them all is as if it were alone. What happened is told by a file that no two attempts share and that is only ever added to:
//!
//! ```text
//! runs/EXECUTION-ATTEMPT          0600, made and made durable before *running* is committed
//!   {"version":1,"argv":…}        what to run: arguments, timeout, bounds (no environment: it may hold secrets)
//!   started                       the mark, durable before the command starts; or "never started"
//!   {"version":1,"end":…}         how the command ended, whole once its line has an end
//! runs/EXECUTION-ATTEMPT.packet   what the command reads on standard input, if anything
//! ```
//!
//! The file itself is the lock (flock): the shim holds it while it works, and so does whoever settles the run or
//! removes it. Nobody adds to it, and nobody goes by what it says, without.
//!
//! | lock | mark | outcome | what [`settle()`] says |
//! | --- | --- | --- | --- |
//! | taken | | | still running |
//! | free | `started` | there | ended, and how |
//! | free | `started`, or anything | none, or torn | vanished: it may have run, so it is never started again |
//! | free | none | | never started; `never started` is added here, so it never can |
//!
//! The promise holds while the host lives: whoever comes late finds the mark and leaves. No
//! decision is taken in this room, except that [`classify`] names what an outcome means.

mod command;
mod end;
mod error;
mod held;
mod outcome;
mod output;
mod post;
mod queue;
mod run_file;
mod run_name;
mod settle;
mod share;
pub mod shim;
mod side_by_side;
mod small;
mod spec;
mod start;
mod telling;
mod template;
mod text;

pub use end::end;
pub use error::RevivalError;
pub use outcome::{Conclusion, End, Outcome, WhyFailed, WhyUnknown, classify};
pub use output::CapturedOutput;
pub use post::{NotDelivered, Post, Reply, post};
pub use run_file::{RunFile, list, prepare_runs};
pub use run_name::{InvalidRunName, RunName};
pub use settle::{Settled, settle, wait_unlocked};
pub use spec::CommandSpec;
pub use start::{Launcher, Started};
pub use template::{InvalidTemplate, Template, Values};
