use super::World;
use super::exit::Exit;
use super::place::Place;
use super::say::{Alone, say};
use crate::pool::AgentName;

/// Offer an agent that is back the work that another took over
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate handback ada")]
pub struct HandbackArgs {
    /// Which agent
    agent: AgentName,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub place: Place,
}

/// Says it.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &HandbackArgs) -> anyhow::Result<Exit> {
    say(world, &args.place, &format!("handback {}", args.agent), args.json, Alone::No)
}
