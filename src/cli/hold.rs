use super::World;
use super::exit::Exit;
use super::place::Place;
use super::say::{Alone, say};

/// Stop all executions until released
///
/// What runs already goes on. Without a daemon it is put into the inbox and holds from the next start on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate hold the racks are being moved")]
pub struct HoldArgs {
    /// Why, in your own words; people see it, and the journal keeps it
    #[arg(value_name = "REASON")]
    pub reason: Vec<String>,
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
pub fn run(world: &World, args: &HoldArgs) -> anyhow::Result<Exit> {
    say(world, &args.place, format!("hold {}", args.reason.join(" ")).trim_end(), args.json, Alone::Append)
}
