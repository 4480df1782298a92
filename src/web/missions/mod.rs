//! What can be read of missions, as JSON and as text. Roles hold for reading as well: each of these is asked
//! for somebody, and the answer may be a refusal. The owner of the store reads everything, since the file is
//! theirs.

use std::path::Path;

use serde_json::{Value, json};

use super::desk::Shown;
use crate::mission::chain::Verified;
use crate::mission::limit::StateFile;
use crate::mission::{Capability, EventKind, HandoffRef, MissionError, MissionEvent};
use crate::pool::MissionName;
use crate::store::missions::{self, Decided, MissionPhase};
use crate::store::{Reads, StoreError};
use crate::wording::{self, MissionLine, MissionView};

mod handoff;
mod reader;

pub use handoff::{About, handoff_value, handoff_view};
pub use reader::{BusReader, NotShown, Seen, Telling, may_see, told};
use reader::{allowed, open, readable, refusal};

/// All missions.
///
/// # Errors
/// As of the store.
pub async fn list(db: &mut impl Reads) -> Result<Shown, StoreError> {
    let rows = missions::list(db).await?;
    let lines: Vec<MissionLine> = rows
        .iter()
        .map(|row| MissionLine {
            name: row.name.clone(),
            title: row.title.clone(),
            events: row.events,
            importing: row.state == MissionPhase::Importing,
        })
        .collect();
    let all: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({ "name": row.name, "title": row.title, "profile": row.profile, "state": row.state.as_str(),
                "events": row.events, "created_at": row.created_at })
        })
        .collect();
    Ok(Shown::new(wording::missions_text(&lines), &json!({ "missions": all })))
}

/// One mission: who takes part, who does whose work, what waits.
///
/// # Errors
/// As of the store.
pub async fn show(
    db: &mut impl Reads,
    name: &MissionName,
    reader: &BusReader,
    telling: Telling<'_>,
) -> Result<Seen, StoreError> {
    let mission = match readable(db, name, reader, telling).await? {
        Ok(mission) => mission,
        Err(not) => return Ok(Err(not)),
    };
    let events = missions::events(db, name, None, 1).await?.first().map_or(0, |row| row.seq);
    let participants = missions::participants(db, name).await?;
    let parts = missions::parts(db, name).await?;
    let offers = missions::open_offers(db, name).await?;
    let mut open = Vec::with_capacity(offers.len());
    for offer in &offers {
        open.push(handoff_view(db, offer).await?);
    }
    let importing = mission.state == MissionPhase::Importing;
    let view = MissionView {
        line: MissionLine { name: name.clone(), title: mission.title.clone(), events, importing },
        profile: mission.profile.clone(),
        participants: missions::roles(db, name).await?,
        moved: parts
            .iter()
            .filter(|row| row.part != row.owner)
            .map(|row| (row.part.clone(), row.owner.clone()))
            .collect(),
        open,
    };
    let participants: Vec<Value> = participants
        .iter()
        .map(|row| {
            let metadata: Value = serde_json::from_str(&row.metadata).unwrap_or_default();
            json!({ "name": row.name, "role": row.role, "metadata": metadata, "joined_at": row.joined_at })
        })
        .collect();
    let value = json!({
        "name": name, "title": mission.title, "profile": mission.profile, "state": mission.state.as_str(),
        "events": events, "created_at": mission.created_at, "created_by": mission.created_by,
        "participants": participants,
        "parts": parts.iter().map(|row| json!({ "part": row.part, "owner": row.owner, "since": row.since })).collect::<Vec<_>>(),
        "handoffs": offers.iter().map(handoff_value).collect::<Vec<_>>(),
    });
    Ok(Ok(Shown::new(wording::mission_text(&view, telling.setting, telling.now), &value)))
}

/// The newest events before the one of the number `before`, the oldest of them first.
///
/// # Errors
/// As of the store.
pub async fn log(
    db: &mut impl Reads,
    name: &MissionName,
    reader: &BusReader,
    (before, count): (Option<i64>, u32),
    telling: Telling<'_>,
) -> Result<Seen, StoreError> {
    if let Err(not) = open(db, name, reader, telling).await? {
        return Ok(Err(not));
    }
    let mut rows = missions::events(db, name, before, count).await?;
    rows.reverse();
    let events = rows.iter().map(|row| row.event()).collect::<Result<Vec<MissionEvent>, _>>()?;
    let text = wording::log_text(name, &events, telling.setting, telling.now);
    let earlier = rows.first().map(|row| row.seq).filter(|seq| *seq > 1);
    Ok(Ok(Shown::new(text, &json!({ "mission": name, "events": events, "before": earlier }))))
}

/// What was refused there lately, the newest last; that takes `audit`.
///
/// # Errors
/// As of the store.
pub async fn refusals(
    db: &mut impl Reads,
    name: &MissionName,
    reader: &BusReader,
    count: usize,
    telling: Telling<'_>,
) -> Result<Seen, StoreError> {
    if let Err(not) = allowed(db, name, reader, Capability::Audit, telling).await? {
        return Ok(Err(not));
    }
    let mut rows = missions::all_refusals(db, name, count).await?;
    rows.reverse();
    let mut lines = Vec::with_capacity(rows.len());
    let mut refusals = Vec::with_capacity(rows.len());
    for row in rows {
        let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
        let Telling { setting, now } = telling;
        lines.push(wording::journal_line(&row.kind, row.agent.as_ref(), &body, row.at, setting, now));
        refusals.push(json!({ "seq": row.seq, "at": row.at, "refused": body }));
    }
    if lines.is_empty() {
        lines.push(wording::no_refusals(name));
    }
    Ok(Ok(Shown::new(lines.join("\n"), &json!({ "mission": name, "refusals": refusals }))))
}

/// The packet to go on with.
///
/// # Errors
/// As of the store.
pub async fn packet(
    db: &mut impl Reads,
    mission: &MissionName,
    handoff: &str,
    reader: &BusReader,
    telling: Telling<'_>,
) -> Result<Seen, StoreError> {
    if let Err(not) = open(db, mission, reader, telling).await? {
        return Ok(Err(not));
    }
    match missions::packet(db, mission, handoff).await? {
        Ok(packet) => {
            let text = wording::packet_text(handoff, &packet);
            Ok(Ok(Shown::new(text, &json!({ "handoff": handoff, "packet": packet }))))
        }
        Err(refused) => Ok(Err(refusal(db, mission, reader, refused, telling).await?)),
    }
}

/// A packet with the state that lies in a file beside `store`, if that has at most `at_most` bytes and is whole;
/// what is not put in is told, so that nobody takes the reference for the state. This blocks.
pub fn with_state(mut shown: Shown, store: &Path, at_most: u64) -> Shown {
    let Some(state) = shown.value.get_mut("packet").and_then(|packet| packet.pointer_mut("/checkpoint/state")) else {
        return shown;
    };
    let Some(file) = StateFile::from_value(state) else { return shown };
    let content = if file.bytes > at_most { None } else { missions::read_state(store, &file).ok().flatten() };
    match content.and_then(|content| serde_json::from_slice(&content).ok()) {
        Some(whole) => *state = whole,
        None => {
            shown.text.push(' ');
            shown.text.push_str(&wording::state_left_out(file.bytes));
        }
    }
    shown
}

/// The handoff that somebody means; the reader's rights are not looked at. Ids are typed in any case.
///
/// # Errors
/// As of the store.
pub async fn named(db: &mut impl Reads, meant: &HandoffRef) -> Result<Decided<(MissionName, String)>, StoreError> {
    for id in [meant.id.clone(), meant.id.to_lowercase()] {
        let meant = HandoffRef { id, ..meant.clone() };
        if let Some(row) = missions::find_handoff(db, &meant).await? {
            return Ok(Ok((row.mission, row.id)));
        }
        // One that was imported stands in the stream only.
        if let Some(mission) = &meant.mission
            && let Some(row) = missions::by_id(db, mission, EventKind::Handoff, &meant.id).await?
        {
            return Ok(Ok((mission.clone(), row.id)));
        }
    }
    Ok(Err(MissionError::UnknownHandoff(meant.id.clone())))
}

/// Whether the stream is as it was written; the value says so under `whole`.
///
/// # Errors
/// As of the store.
pub async fn verify(
    db: &mut impl Reads,
    mission: &MissionName,
    reader: &BusReader,
    telling: Telling<'_>,
    progress: impl FnMut(u64, u64) + Send,
) -> Result<Seen, StoreError> {
    if let Err(not) = readable(db, mission, reader, telling).await? {
        return Ok(Err(not));
    }
    let verified = match missions::verify(db, mission, progress).await? {
        Ok(verified) => verified,
        Err(refused) => return Ok(Err(refusal(db, mission, reader, refused, telling).await?)),
    };
    Ok(Ok(match verified {
        Verified::Whole { head } => {
            let text = wording::verified(mission, head.seq, &head.hash);
            let value = json!({ "mission": mission, "whole": true, "events": head.seq, "hash": head.hash });
            Shown::new(text, &value)
        }
        Verified::Broken { seq, why } => {
            let text = wording::broken(mission, seq, &why);
            Shown::new(text, &json!({ "mission": mission, "whole": false, "event": seq, "why": why }))
        }
    }))
}
