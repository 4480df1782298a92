use super::World;
use super::exit::Exit;
use super::out;
use super::place::Place;
use super::say::refuse;
use crate::pool::AgentName;
use crate::web::ClientError;

/// Tell why an agent is, or is not, being acted on
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate explain ezra")]
pub struct ExplainArgs {
    /// Which agent
    pub agent: AgentName,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Asks the daemon, which alone has probed lately and knows the policy in force.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &ExplainArgs) -> anyhow::Result<Exit> {
    let client = args.place.reach(&world.ambient)?.client();
    match super::block_on(client.read(&format!("/v1/explain/{}", args.agent)))? {
        Ok(shown) => {
            out::print(&shown.text, &shown, args.json)?;
            Ok(Exit::Done)
        }
        Err(error @ ClientError::Refused { .. }) => {
            let exit = Exit::from(&error);
            let ClientError::Refused { problem, .. } = error else { return Ok(exit) };
            refuse(exit, &problem.error, &problem.text, args.json)
        }
        Err(error @ ClientError::NoDaemon { .. }) => {
            Err(anyhow::Error::from(error)
                .context("only the daemon can explain; `history` and `status` read the store"))
        }
        Err(error) => Err(error.into()),
    }
}
