use std::path::PathBuf;

use super::World;
use super::exit::Exit;
use super::out;
use super::place::Place;
use crate::store::{self, Store};

/// Copy the store to a new file, whether or not the daemon runs
///
/// The copy is whole and of one moment; put back, it is recognised as a backup: pending requests are
/// asked anew, and nothing that was approved back then runs. Large states of missions are copied to the folder
/// `states` beside it. As the store's owner or root.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate backup /backups/gate-2026-04-15.db")]
pub struct BackupArgs {
    /// The new file; an existing one is never overwritten
    #[arg(value_name = "TO")]
    pub to: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Does it.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &BackupArgs) -> anyhow::Result<Exit> {
    let reach = args.place.reach(&world.ambient)?;
    let path = reach.store()?;
    super::block_on(async {
        let reader = Store::open_read_only(path).await?;
        let written = store::backup(&reader, &args.to, world.ambient.now).await;
        reader.close().await;
        written
    })??;
    let bytes = args.to.metadata().map_or(0, |seen| seen.len());
    // After the store, so that no event in the copy lacks its file.
    let states = store::missions::copy_states(path, &args.to)?;
    let and_states = match states {
        0 => String::new(),
        states => format!(" {states} states of missions were copied beside it."),
    };
    let text = format!("{} was copied to {} ({bytes} bytes).{and_states}", path.display(), args.to.display());
    let value = serde_json::json!({ "from": path, "to": args.to, "bytes": bytes, "states": states, "text": text });
    out::print(&text, &value, args.json)?;
    Ok(Exit::Done)
}
