use serde::{Deserialize, Serialize};

use super::plan::Action;
use super::unit::RestartCommand;

/// What carrying out one entry of a plan takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Run this and report its [`Execution`].
    Run(RestartCommand),
    /// Run nothing, and report this.
    Report(Execution),
}

/// What became of one entry of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Whether it was done: the command ended with 0, or would have been run but for the dry run.
    pub executed: bool,
    /// The command's exit code: 127 if it could not be started, -1 if it did not end in time, -n if signal n ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What it printed, without the space around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// What it complained of, without the space around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
}

impl Execution {
    /// What a command that ran comes to.
    pub fn of_command(exit_code: i32, stdout: String, stderr: String) -> Self {
        Self { executed: exit_code == 0, exit_code: Some(exit_code), stdout: Some(stdout), stderr: Some(stderr) }
    }
}

/// How an entry is carried out: only `auto_restart` runs anything, and a dry run only says that it would.
pub fn next_step(action: Action, restart: Option<RestartCommand>, dry_run: bool) -> Step {
    match (action, restart) {
        (Action::AutoRestart, Some(_)) if dry_run => {
            Step::Report(Execution::of_command(0, String::new(), String::new()))
        }
        (Action::AutoRestart, Some(command)) => Step::Run(command),
        // Without a command nothing can have been done, so nothing is claimed.
        (Action::AutoRestart, None)
        | (Action::Substitute | Action::Unrecoverable | Action::ApprovalRequired | Action::Suppressed, _) => {
            Step::Report(Execution::default())
        }
    }
}
