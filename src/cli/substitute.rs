use anyhow::Context as _;

use super::World;
use super::by_nostr::ByNostr;
use super::exit::Exit;
use super::place::Place;
use super::say::{Alone, say};
use crate::channel::nostr::Verb;
use crate::pool::AgentName;

/// Let another agent take over from the dead one
///
/// Only one of the substitutes that the policy names, and only if it is healthy and free.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate substitute 7K3QXM timmy")]
pub struct SubstituteArgs {
    /// The request's code, or its whole key (AGENT:MISSION:SECONDS)
    #[arg(value_name = "CODE")]
    pub target: String,
    /// Who takes over
    pub agent: String,
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
pub fn run(world: &World, args: &SubstituteArgs) -> anyhow::Result<Exit> {
    if args.by.nostr {
        let agent = AgentName::new(args.agent.as_str()).context("that is no agent's name")?;
        return args.by.decide(world, &args.place, &args.target, Verb::Substitute(agent), "", args.json);
    }
    say(world, &args.place, &format!("substitute {} {}", args.target, args.agent), args.json, Alone::No)
}
