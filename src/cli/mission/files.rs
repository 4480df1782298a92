//! Missions and states in files.

use std::fs::OpenOptions as FileOptions;
use std::io::{BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde_json::{Value, json};

use super::Common;
use crate::approval::Speaker;
use crate::cli::World;
use crate::cli::exit::{Exit, Neither};
use crate::cli::place::Reach;
use crate::cli::{out, say};
use crate::gateway::mission::read_mission;
use crate::pool::MissionName;
use crate::store::missions::{ExportError, STATE_BYTES};
use crate::store::{DaemonLock, OpenOptions, Store, missions};
use crate::web::{ClientError, Shown};
use crate::wording;

/// Standard input or output.
const PIPE: &str = "-";

/// The state of a checkpoint from a file, or from standard input.
///
/// # Errors
/// It cannot be read, is too large, or is no JSON.
pub(super) fn state(from: &Path) -> anyhow::Result<Value> {
    let bytes = content(from, STATE_BYTES)?;
    serde_json::from_slice(&bytes).with_context(|| format!("{}: this is no JSON", named(from)))
}

fn named(path: &Path) -> String {
    if path == Path::new(PIPE) { "standard input".into() } else { path.display().to_string() }
}

fn content(from: &Path, at_most: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = at_most as u64 + 1;
    let read = if from == Path::new(PIPE) {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(from).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("{} cannot be read", named(from)))?;
    if bytes.len() > at_most {
        bail!("{} has more than {at_most} bytes, which is the most that is taken", named(from));
    }
    Ok(bytes)
}

/// Writes a mission to a new file, or to standard output. It is read from the store itself, whether or not the
/// daemon runs.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub(super) fn export(world: &World, common: &Common, mission: &MissionName, to: &Path) -> anyhow::Result<Exit> {
    let reach = common.place.reach(&world.ambient)?;
    let path = reach.store()?.to_owned();
    let piped = to == Path::new(PIPE);
    let exported = crate::cli::block_on(async {
        let reader = Store::open_read_only(&path).await?;
        let exported = if piped {
            // Slice by slice, as it is read; the lock must not be held meanwhile.
            let exported = missions::export(&reader, mission, None, |bytes| std::io::stdout().lock().write_all(bytes));
            let exported = exported.await;
            let _ = std::io::stdout().lock().flush();
            exported
        } else {
            let new = FileOptions::new().write(true).create_new(true).mode(0o600).open(to);
            let file = new.with_context(|| format!("{} cannot be made", to.display()))?;
            let mut file = BufWriter::new(file);
            let exported = missions::export(&reader, mission, None, |bytes| file.write_all(bytes)).await;
            let written = file.flush().and_then(|()| file.get_ref().sync_all());
            if exported.is_err() || written.is_err() {
                // Half a mission would be taken for a whole one.
                let _ = std::fs::remove_file(to);
            }
            written.with_context(|| format!("{} cannot be written", to.display()))?;
            exported
        };
        reader.close().await;
        anyhow::Ok(exported)
    })??;
    match exported {
        Ok(events) => {
            let text = format!("{mission}: {events} events were written to {}.", to.display());
            if piped {
                out::aside(&text);
            } else {
                out::print(
                    &text,
                    &json!({ "mission": mission, "events": events, "to": to, "text": text }),
                    common.json,
                )?;
            }
            Ok(Exit::Done)
        }
        Err(ExportError::Refused(refused)) => {
            say::refuse(Exit::NotFound, "unknown", &format!("{refused}."), common.json)
        }
        Err(ExportError::Write(error)) => out::tolerate(Err(error)).map(|()| Exit::Done),
        Err(ExportError::Store(error)) => Err(error.into()),
    }
}

/// Takes a mission over from a file: by the daemon, or where none runs into the store itself.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub(super) fn import(world: &World, common: &Common, from: &Path) -> anyhow::Result<Exit> {
    let bytes = content(from, IMPORT_MAX)?;
    let value: Value = serde_json::from_slice(&bytes).with_context(|| format!("{}: this is no JSON", named(from)))?;
    let reach = common.place.reach(&world.ambient)?;
    let sent = crate::cli::block_on(reach.client().send("/v1/missions", bytes))?;
    match sent {
        Ok(shown) => {
            out::print(&shown.text, &shown, common.json)?;
            Ok(Exit::Done)
        }
        Err(ClientError::Refused { status, problem }) => {
            let exit = Exit::from(&ClientError::Refused { status, problem: problem.clone() });
            say::refuse(exit, &problem.error, &problem.text, common.json)
        }
        Err(error @ ClientError::NoDaemon { .. }) => match alone(world, &reach, value) {
            Ok(Ok(shown)) => {
                out::print(&shown.text, &shown, common.json)?;
                Ok(Exit::Done)
            }
            Ok(Err(refused)) => say::refuse(Exit::Refused, "refused", &refused, common.json),
            Err(why) => Err(Neither(error, format!("{why:#}")).into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// Most bytes of a mission.
const IMPORT_MAX: usize = 512 * 1024 * 1024;

/// Into a store that no daemon holds, as its owner.
fn alone(world: &World, reach: &Reach, value: Value) -> anyhow::Result<Result<Shown, String>> {
    let path = reach.store()?.to_owned();
    let gate = reach.gate.as_ref().ok_or_else(|| anyhow!("no configuration could be read"))?;
    let limit = gate.mission.event_bytes;
    let now = world.ambient.now;
    let mut nth = 0_u64;
    let mut new_id = || {
        nth += 1;
        format!("{}-{nth}", world.ambient.command_id())
    };
    let bus = match read_mission(value, now, &mut new_id) {
        Ok(bus) => bus,
        Err(refused) => return Ok(Err(format!("refused: {refused}."))),
    };
    let name = match bus.keepable(limit) {
        Ok(name) => name,
        Err(refused) => return Ok(Err(format!("refused: {refused}."))),
    };
    let by = Speaker::LocalUser(world.ambient.uid).to_string();
    // Held until the store is closed again: no daemon may start meanwhile.
    let _lock = DaemonLock::take(&path)?;
    crate::cli::block_on(async {
        let store = Store::open(&path, OpenOptions { readers: 1, ..OpenOptions::default() }).await?;
        let imported = missions::import(&store, bus, &by, limit, now).await;
        let closed = store.close().await;
        let imported = imported?;
        closed?;
        Ok(match imported {
            Ok(events) => {
                Ok(Shown::new(wording::imported(&name, events), &json!({ "mission": name, "events": events })))
            }
            Err(refused) => Err(format!("refused: {refused}.")),
        })
    })?
}
