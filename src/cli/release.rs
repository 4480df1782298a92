use super::World;
use super::exit::Exit;
use super::place::Place;
use super::say::{Alone, say};

/// End a hold
///
/// What waits is planned and checked again before it runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate release")]
pub struct ReleaseArgs {
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
pub fn run(world: &World, args: &ReleaseArgs) -> anyhow::Result<Exit> {
    say(world, &args.place, "release", args.json, Alone::No)
}
