use super::World;
use super::exit::Exit;
use super::place::Place;
use super::read::read;
use crate::web::reads;

/// Show how everything is: daemon, agents, open deaths, executions, alarms
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
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
pub fn run(world: &World, args: &StatusArgs) -> anyhow::Result<Exit> {
    read(world, &args.place, "/v1/status", args.json, async |store| {
        reads::status(&store.reader, None, &store.setting, store.now).await.map(Some)
    })
}
