use clap::CommandFactory as _;
use clap_complete::Shell;

use super::exit::Exit;
use super::{Cli, out};

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate completions bash > /etc/bash_completion.d/lazarus-gate")]
pub struct CompletionsArgs {
    /// Of which shell
    pub shell: Shell,
}

/// Prints them.
///
/// # Errors
/// Standard output cannot be written to.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lazarus-gate", &mut script);
    out::raw(&script)?;
    Ok(Exit::Done)
}
