use super::World;
use super::exit::Exit;
use super::place::Place;
use super::say::{Alone, say};

/// Be quiet about a request for a while
///
/// It can be answered all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lazarus-gate snooze 7K3QXM 2h\n  lazarus-gate snooze 7K3QXM 90m")]
pub struct SnoozeArgs {
    /// The request's code, or its whole key (AGENT:MISSION:SECONDS)
    #[arg(value_name = "CODE")]
    pub target: String,
    /// For how long: 90m, 2h, 1d
    #[arg(value_name = "FOR", required = true, num_args = 1..)]
    pub for_: Vec<String>,
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
pub fn run(world: &World, args: &SnoozeArgs) -> anyhow::Result<Exit> {
    say(world, &args.place, &format!("snooze {} {}", args.target, args.for_.join(" ")), args.json, Alone::No)
}
