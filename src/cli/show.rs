use super::World;
use super::exit::Exit;
use super::place::Place;
use super::read::read;
use crate::approval::Target;
use crate::web::reads;

/// Show one request, with the answers it takes
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate show 7K3QXM")]
pub struct ShowArgs {
    /// The request's code, or its whole key (AGENT:MISSION:SECONDS)
    #[arg(value_name = "CODE", value_parser = super::target)]
    pub target: Target,
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
pub fn run(world: &World, args: &ShowArgs) -> anyhow::Result<Exit> {
    let target = args.target.to_string();
    read(world, &args.place, &format!("/v1/requests/{target}"), args.json, async |store| {
        reads::request(&store.reader, &target, store.approval_ttl, &store.setting, store.now).await
    })
}
