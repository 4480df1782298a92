//! Carrying out: a command is started exactly once, or it is said plainly that this is not known.
//!
//! A command never starts from the daemon itself but through a **shim**, this same binary (or the small one
//! that is nothing but the shim) in a process group of its own, so that a kill -9 of the daemon loses neither the command nor its
//! outcome. What happened is told by files in a run folder that no two attempts share:
//!
//! ```text
//! runs/EXECUTION-ATTEMPT/      0700, made and made durable before *running* is committed
//!   spec.json                  what to run: arguments, timeout, bounds (no environment: it may hold secrets)
//!   packet                     what the command reads on standard input, if anything
//!   lock                       held by the shim while it works, and by whoever settles the run
//!   mark                       made once (O_EXCL), durable before the command starts
//!   outcome.json               how the command ended, complete or absent (written aside, then renamed)
//! ```
//!
//! | lock | mark | outcome | what [`settle()`] says |
//! | --- | --- | --- | --- |
//! | taken | | | still running |
//! | free | by the shim | there | ended, and how |
//! | free | by the shim | none | vanished: it may have run, so it is never started again |
//! | free | none | | never started; the mark is made here, so it never can |
//!
//! The promise holds while the host lives: whoever comes late finds the mark and leaves. No
//! decision is taken in this room, except that [`classify`] names what an outcome means.

mod command;
mod end;
mod error;
mod outcome;
mod output;
mod post;
mod run_folder;
mod settle;
pub mod shim;
mod small;
mod start;
mod template;

pub use end::end;
pub use error::RevivalError;
pub use outcome::{Conclusion, End, Outcome, WhyFailed, WhyUnknown, classify};
pub use output::CapturedOutput;
pub use post::{NotDelivered, Post, Reply, post};
pub use run_folder::{CommandSpec, InvalidRunName, RunFolder, RunName, list, prepare_runs};
pub use settle::{Settled, settle, wait_unlocked};
pub use start::{Launcher, Started};
pub use template::{InvalidTemplate, Template, Values};
