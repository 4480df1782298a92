//! What is read of missions: from the daemon, or where none answers from the store itself.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use super::Common;
use crate::cli::World;
use crate::cli::exit::Exit;
use crate::cli::out;
use crate::cli::read::{Alone, NotDone, fetch_or};
use crate::cli::say::refuse;
use crate::mission::{HandoffRef, MissionError};
use crate::pool::MissionName;
use crate::store::StoreError;
use crate::store::missions::STATE_BYTES;
use crate::web::Shown;
use crate::web::missions::{self, BusReader, NotShown, Seen, Telling};
use crate::wording;

/// Lists the missions.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub(super) fn list(world: &World, common: &Common) -> anyhow::Result<Exit> {
    let fetched = fetch_or(world, &common.place, "/v1/missions", async |store| {
        missions::list(&mut store.reader.read().await?).await.map(Ok)
    });
    print(fetched?, common)
}

/// Shows one.
///
/// # Errors
/// As of [`list`].
pub(super) fn show(world: &World, common: &Common, mission: &MissionName) -> anyhow::Result<Exit> {
    let fetched = fetch_or(world, &common.place, &format!("/v1/missions/{mission}"), async |store| {
        let mut db = store.reader.read().await?;
        alone(missions::show(&mut db, mission, &BusReader::Owner, telling(store)).await)
    });
    print(fetched?, common)
}

/// Shows the newest events.
///
/// # Errors
/// As of [`list`].
pub(super) fn log(
    world: &World,
    common: &Common,
    mission: &MissionName,
    (before, events): (Option<i64>, u32),
) -> anyhow::Result<Exit> {
    let before_that = before.map(|before| format!("&before={before}")).unwrap_or_default();
    let address = format!("/v1/missions/{mission}/log?limit={events}{before_that}");
    let fetched = fetch_or(world, &common.place, &address, async |store| {
        let mut db = store.reader.read().await?;
        alone(missions::log(&mut db, mission, &BusReader::Owner, (before, events), telling(store)).await)
    });
    print(fetched?, common)
}

/// Shows what was refused lately.
///
/// # Errors
/// As of [`list`].
pub(super) fn refusals(world: &World, common: &Common, mission: &MissionName, count: u32) -> anyhow::Result<Exit> {
    let address = format!("/v1/missions/{mission}/refusals?limit={count}");
    let fetched = fetch_or(world, &common.place, &address, async |store| {
        let mut db = store.reader.read().await?;
        alone(missions::refusals(&mut db, mission, &BusReader::Owner, count as usize, telling(store)).await)
    });
    print(fetched?, common)
}

/// Prints a packet, which is JSON for people as well.
///
/// # Errors
/// As of [`list`].
pub(super) fn resume(world: &World, common: &Common, handoff: &str) -> anyhow::Result<Exit> {
    let (mission, id) = match handoff.split_once('/').map(|(mission, id)| (MissionName::new(mission), id)) {
        Some((Ok(mission), id)) => (Some(mission), id),
        _ => (None, handoff),
    };
    // Ids may come from files, so they are not taken for a part of an address.
    let query: Vec<(&str, &str)> =
        [("handoff", id)].into_iter().chain(mission.as_ref().map(|mission| ("mission", mission.as_str()))).collect();
    let address = format!("/v1/packets?{}", form(&query));
    let meant = HandoffRef { mission: mission.clone(), id: id.to_owned() };
    let fetched = fetch_or(world, &common.place, &address, async |store| {
        let mut db = store.reader.read().await?;
        match missions::named(&mut db, &meant).await? {
            Ok((mission, id)) => {
                let seen = missions::packet(&mut db, &mission, &id, &BusReader::Owner, telling(store)).await?;
                match seen {
                    Ok(shown) => Ok(Ok(missions::with_state(shown, store.reader.path(), STATE_BYTES as u64))),
                    Err(not) => alone(Ok(Err(not))),
                }
            }
            Err(refused) => {
                let text = wording::bus_refusal(&refused, &Default::default(), &store.setting, store.now);
                Ok(Err((Exit::NotFound, "unknown".into(), text)))
            }
        }
    });
    match fetched? {
        Ok(shown) if !common.json => {
            out::aside(&shown.text);
            let packet = shown.value.get("packet").cloned().unwrap_or_default();
            out::print("", &packet, true)?;
            Ok(Exit::Done)
        }
        fetched => print(fetched, common),
    }
}

/// Tells whether the stream is whole.
///
/// # Errors
/// As of [`list`].
pub(super) fn verify(world: &World, common: &Common, mission: &MissionName) -> anyhow::Result<Exit> {
    let fetched = fetch_or(world, &common.place, &format!("/v1/missions/{mission}/verify"), async |store| {
        let bar = progress("verifying");
        let mut db = store.reader.read().await?;
        let seen = missions::verify(&mut db, mission, &BusReader::Owner, telling(store), |read, all| {
            bar.set_length(all);
            bar.set_position(read);
        });
        let seen = seen.await;
        bar.finish_and_clear();
        alone(seen)
    });
    match fetched? {
        Ok(shown) => {
            out::print(&shown.text, &shown, common.json)?;
            let whole = shown.value.get("whole").and_then(serde_json::Value::as_bool) == Some(true);
            Ok(if whole { Exit::Done } else { Exit::Failed })
        }
        Err(not) => print(Err(not), common),
    }
}

/// A bar on standard error, and none where that is no terminal.
pub(super) fn progress(doing: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(&format!("{doing} {{wide_bar}} {{pos}}/{{len}} events")) {
        bar.set_style(style);
    }
    bar
}

fn telling(store: &Alone) -> Telling<'_> {
    Telling { setting: &store.setting, now: store.now }
}

fn alone(seen: Result<Seen, StoreError>) -> Result<Result<Shown, NotDone>, StoreError> {
    Ok(seen?.map_err(|not| {
        let (exit, error) = match &not {
            NotShown::Refused {
                refused: MissionError::UnknownMission(_) | MissionError::UnknownHandoff(_), ..
            } => (Exit::NotFound, "unknown"),
            NotShown::Refused { .. } | NotShown::Nobody { .. } => (Exit::Refused, "refused"),
        };
        (exit, error.to_owned(), not.text().to_owned())
    }))
}

fn print(fetched: Result<Shown, NotDone>, common: &Common) -> anyhow::Result<Exit> {
    match fetched {
        Ok(shown) => {
            out::print(&shown.text, &shown, common.json)?;
            Ok(Exit::Done)
        }
        Err((exit, error, text)) => refuse(exit, &error, &text, common.json),
    }
}

/// A query, with everything that is no letter or digit written as its number.
fn form(fields: &[(&str, &str)]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let written = |text: &str| {
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect::<String>()
    };
    fields.iter().map(|(name, value)| format!("{name}={}", written(value))).collect::<Vec<_>>().join("&")
}
