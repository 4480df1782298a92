use super::World;
use super::by_nostr::ByNostr;
use super::exit::Exit;
use super::place::Place;
use super::say::{Alone, say};
use crate::channel::nostr::Verb;

/// Leave the agent of a request dead
///
/// Nothing is done about it until it was healthy again, or somebody says `ask`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate deny 7K3QXM it is being moved")]
pub struct DenyArgs {
    /// The request's code, or its whole key (AGENT:MISSION:SECONDS)
    #[arg(value_name = "CODE")]
    pub target: String,
    /// Why, in your own words; people see it, and the journal keeps it
    #[arg(value_name = "REASON")]
    pub reason: Vec<String>,
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
pub fn run(world: &World, args: &DenyArgs) -> anyhow::Result<Exit> {
    if args.by.nostr {
        return args.by.decide(world, &args.place, &args.target, Verb::Deny, &args.reason.join(" "), args.json);
    }
    say(world, &args.place, &format!("deny {} {}", args.target, args.reason.join(" ")), args.json, Alone::No)
}
