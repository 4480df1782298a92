//! Load, validate and explain the files under `config/`.
//!
//! `lazarus-gate.yaml` names the other three; [`load`] reads all four and checks them against each
//! other. Nothing here stops at the first problem: a person who edits four files wants one list,
//! each entry with file, line, column and what would be right. What was loaded is plain and
//! immutable; a reload makes a new one and [`diff`] tells what changed.

mod cross;
mod diff;
pub mod gate;
mod load;
mod locate;
mod profiles;
mod report;
mod section;
mod source;
mod text;
mod users;
mod words;

pub use diff::diff;
pub use load::{Config, Loaded, load, load_gate_only, load_people_only};
pub use locate::Place;
pub use profiles::DEFAULT_PROFILES;
pub use report::{Problem, Problems, Severity, Step, Trail};
pub use text::{TextError, json_to_value, yaml_to_value};
pub use users::Users;
pub use words::spell_duration;

/// What loading asks of this machine.
pub trait Lookup {
    /// The id of the user of that name, if there is one.
    fn uid_of(&self, user: &str) -> Option<u32>;

    /// Whether systemd runs here (`/run/systemd/system` exists).
    fn has_service_manager(&self) -> bool {
        true
    }
}

impl<F: Fn(&str) -> Option<u32>> Lookup for F {
    fn uid_of(&self, user: &str) -> Option<u32> {
        self(user)
    }
}

#[cfg(test)]
mod tests;
