use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::exit::Exit;
use super::{Cli, out};

/// Write the manual pages, one for each subcommand; without a folder, print the first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lazarus-gate man | man -l -\n  lazarus-gate man /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Where they go; the folder is made if it is missing
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Writes them.
///
/// # Errors
/// The folder or standard output cannot be written to.
pub fn run(args: &ManArgs) -> anyhow::Result<Exit> {
    let command = Cli::command();
    match &args.dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            out::raw(&page)?;
        }
        Some(dir) => {
            let writing = || format!("writing the manual pages to {}", dir.display());
            std::fs::create_dir_all(dir).with_context(writing)?;
            clap_mangen::generate_to(command, dir).with_context(writing)?;
        }
    }
    Ok(Exit::Done)
}
