use super::World;
use super::by_nostr::ByNostr;
use super::exit::Exit;
use super::place::Place;
use super::say::{Alone, say};
use crate::channel::nostr::Verb;

/// Restart the agent of a request
///
/// The daemon checks everything once more before the command starts, and verifies afterwards: the answer
/// says that it is approved, not that the agent lives.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate approve 7K3QXM")]
pub struct ApproveArgs {
    /// The request's code, or its whole key (AGENT:MISSION:SECONDS)
    #[arg(value_name = "CODE")]
    pub target: String,
    #[command(flatten)]
    pub(super) by: ByNostr,
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
pub fn run(world: &World, args: &ApproveArgs) -> anyhow::Result<Exit> {
    if args.by.nostr {
        return args.by.decide(world, &args.place, &args.target, Verb::Approve, "", args.json);
    }
    say(world, &args.place, &format!("approve {}", args.target), args.json, Alone::No)
}
