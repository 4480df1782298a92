use super::World;
use super::exit::Exit;
use super::place::Place;
use super::read::read;
use crate::pool::AgentName;
use crate::web::missions::BusReader;
use crate::web::reads;

/// Show what was decided, refused, sent and done: of one agent, or of all
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lazarus-gate history ezra
  lazarus-gate history --limit 200 --json")]
pub struct HistoryArgs {
    /// Of this agent only
    pub agent: Option<AgentName>,
    /// So many entries, the newest ones
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// Only entries before the one of this number
    #[arg(long, value_name = "SEQ")]
    pub before: Option<i64>,
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
pub fn run(world: &World, args: &HistoryArgs) -> anyhow::Result<Exit> {
    let mut address = format!("/v1/history?limit={}", args.limit);
    if let Some(agent) = &args.agent {
        address.push_str(&format!("&agent={agent}"));
    }
    if let Some(before) = args.before {
        address.push_str(&format!("&before={before}"));
    }
    read(world, &args.place, &address, args.json, async |store| {
        let agent = args.agent.clone();
        reads::history(&store.reader, agent, args.before, args.limit, |_| BusReader::Owner, &store.setting, store.now)
            .await
            .map(Some)
    })
}
