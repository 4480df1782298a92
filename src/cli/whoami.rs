use super::World;
use super::exit::Exit;
use super::out;
use super::place::Place;

/// Tell who you are to the daemon: your user id, and the person that stands for
#[derive(Debug, clap::Args)]
pub struct WhoamiArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Asks the daemon, which goes by the people in force.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &WhoamiArgs) -> anyhow::Result<Exit> {
    let client = args.place.reach(&world.ambient)?.client();
    let shown = super::block_on(client.read("/v1/whoami"))??;
    out::print(&shown.text, &shown, args.json)?;
    Ok(Exit::Done)
}
