use super::World;
use super::exit::Exit;
use super::place::Place;
use super::read::read;
use crate::web::reads;

/// Show the requests that wait for an answer
#[derive(Debug, clap::Args)]
pub struct PendingArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Reads and prints it.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &PendingArgs) -> anyhow::Result<Exit> {
    read(world, &args.place, "/v1/pending", args.json, async |store| {
        reads::pending(&store.reader, &store.setting, store.now).await.map(Some)
    })
}
