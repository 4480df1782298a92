use super::World;
use super::exit::Exit;
use super::place::Place;
use super::read::read;
use super::say::{Alone, say};
use crate::web::reads;

/// What came in and could not be worked off
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lazarus-gate inbox list\n  lazarus-gate inbox retry cli:1000:019d3f5e7c00-0a1b2c3d4e5f60718293"
)]
pub struct InboxArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the inputs that were set aside after three failed attempts
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Run an input again that was set aside
    Retry {
        /// Its id, as `inbox list` shows it
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

impl InboxArgs {
    pub(super) fn before(&mut self, before: &Place) {
        match &mut self.verb {
            Verb::List { place, .. } | Verb::Retry { place, .. } => *place = place.or(before),
        }
    }
}

/// Does it.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &InboxArgs) -> anyhow::Result<Exit> {
    match &args.verb {
        Verb::List { json, place } => read(world, place, "/v1/inbox/set-aside", *json, async |store| {
            reads::set_aside(&store.reader, &store.setting, store.now).await.map(Some)
        }),
        Verb::Retry { id, json, place } => say(world, place, &format!("inbox retry {id}"), *json, Alone::No),
    }
}
