use serde::{Deserialize, Serialize};

use super::Command;

/// What pressing a button says. Kept on disk under the button's token, which is all that the button itself
/// holds: so nobody can press what was never shown. Add variants, change none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "press")]
pub enum Press {
    /// The same as if it had been typed.
    Say {
        /// What.
        command: Command,
    },
    /// The same as if this line had been typed; for what has a grammar of its own.
    Line {
        /// The line.
        line: String,
    },
    /// Another page of a long answer.
    Page {
        /// Which, from 0.
        page: usize,
    },
}
