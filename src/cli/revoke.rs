use super::World;
use super::exit::Exit;
use super::place::Place;
use super::say::{Alone, say};

/// Take a person's vote away at once
///
/// For good: remove the person from `people` too. Without a daemon it is put into the inbox and is the first
/// thing that the next start does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate revoke kim")]
pub struct RevokeArgs {
    /// The name of an entry of `people`
    pub person: String,
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
pub fn run(world: &World, args: &RevokeArgs) -> anyhow::Result<Exit> {
    say(world, &args.place, &format!("revoke {}", args.person), args.json, Alone::Append)
}
