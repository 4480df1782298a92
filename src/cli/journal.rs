use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use super::World;
use super::exit::Exit;
use super::out;
use super::place::Place;
use super::read::fetch;
use super::say::refuse;
use crate::web::{Shown, reads};

/// The append-only record of everything decided, refused, sent and done
#[derive(Debug, clap::Args)]
pub struct JournalArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Read all of it, and tell whether anything was changed, removed or moved
    ///
    /// Leaves with 1 if something was. Prints the head of the chain: noted elsewhere, it shows later
    /// whether the end was cut off.
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

impl JournalArgs {
    pub(super) fn before(&mut self, before: &Place) {
        match &mut self.verb {
            Verb::Verify { place, .. } => *place = place.or(before),
        }
    }
}

/// Does it.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &JournalArgs) -> anyhow::Result<Exit> {
    let Verb::Verify { json, place } = &args.verb;
    let fetched = fetch(world, place, "/v1/journal/verify", async |store| {
        let bar = progress();
        let shown = reads::verify(&store.reader, |read, all| {
            bar.set_length(all);
            bar.set_position(read);
        })
        .await;
        bar.finish_and_clear();
        shown.map(Some)
    })?;
    match fetched {
        Ok(shown) => {
            out::print(&shown.text, &shown, *json)?;
            Ok(if is_whole(&shown) { Exit::Done } else { Exit::Failed })
        }
        Err((exit, error, text)) => refuse(exit, &error, &text, *json),
    }
}

/// Whether it says that the chain holds.
pub(super) fn is_whole(shown: &Shown) -> bool {
    shown.value.get("whole").and_then(serde_json::Value::as_bool) == Some(true)
}

/// On standard error, and none where that is no terminal.
fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("verifying {wide_bar} {pos}/{len} entries") {
        bar.set_style(style);
    }
    bar
}
