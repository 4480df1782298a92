use super::World;
use super::exit::Exit;
use super::place::Place;
use super::say::{Alone, say};

/// Ask people anew about a dead agent
///
/// Also after a denial, and without waiting for the next reminder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate ask ezra")]
pub struct AskArgs {
    /// Which agent
    pub agent: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Sends the command and prints its answer.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &AskArgs) -> anyhow::Result<Exit> {
    say(world, &args.place, &format!("ask {}", args.agent), args.json, Alone::No)
}
