//! What can be read of missions, as JSON and as text. Roles hold for reading as well: each of these is asked
//! for somebody, and the answer may be a refusal. The owner of the store reads everything, since the file is
//! theirs.

use std::path::Path;

use serde_json::{Value, json};

use super::desk::Shown;
use crate::mission::chain::Verified;
use crate::mission::limit::StateFile;
use crate::mission::{
    Capability, EventKind, HandoffRef, MissionError, MissionEvent, MissionRole, OfferEnd, event_moment,
};
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::missions::{self, Decided, HandoffPhase, HandoffRow, MissionPhase, MissionRow};
use crate::store::{Reads, StoreError};
use crate::wording::{self, HandoffStands, HandoffView, Holders, MissionLine, MissionView, Setting};

/// For whom something is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusReader {
    /// Whoever owns the store.
    Owner,
    /// Somebody under their name in the mission.
    Participant {
        /// The name.
        name: AgentName,
        /// The role that the files give, for who has not joined yet; once they have, the bus says it.
        role: Option<MissionRole>,
    },
    /// Somebody who acts under no name there.
    Nobody {
        /// What to tell them.
        text: String,
    },
}

/// Why something is not shown.
#[derive(Clone, Debug, PartialEq)]
pub enum NotShown {
    /// The bus refuses it.
    Refused {
        /// Who was refused; None for the owner, to whom only what is not there is refused.
        name: Option<AgentName>,
        /// In which mission.
        mission: Option<MissionName>,
        /// What.
        refused: MissionError,
        /// For the person.
        text: String,
    },
    /// Whoever asks is nobody in that mission.
    Nobody {
        /// For the person.
        text: String,
    },
}

impl NotShown {
    /// For the person.
    pub fn text(&self) -> &str {
        match self {
            Self::Refused { text, .. } | Self::Nobody { text } => text,
        }
    }
}

/// Something that is read: shown, or not.
pub type Seen<T = Shown> = Result<T, NotShown>;

/// How texts are written.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The zone and the like.
    pub setting: &'a Setting,
    /// The moment.
    pub now: Timestamp,
}

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

/// Whether an entry of the journal on a mission may be shown: refusals take `audit` there, everything else `read`.
///
/// # Errors
/// As of the store.
pub async fn may_see(
    db: &mut impl Reads,
    mission: &MissionName,
    reader: &BusReader,
    kind: &str,
) -> Result<bool, StoreError> {
    let (who, given) = match reader {
        BusReader::Owner => return Ok(true),
        BusReader::Nobody { .. } => return Ok(false),
        BusReader::Participant { name, role } => (name, *role),
    };
    let capability = if kind == "mission.refused" { Capability::Audit } else { Capability::Read };
    let roles = missions::roles(db, mission).await?;
    let role = roles.iter().find(|(name, _)| name == who).map(|(_, role)| *role).or(given);
    Ok(missions::permissions(db, mission).await?.require(who.as_str(), role, capability).is_ok())
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

/// A handoff for people: what it is about, and how it stands.
///
/// # Errors
/// As of the store.
pub async fn handoff_view(db: &mut impl Reads, row: &HandoffRow) -> Result<HandoffView, StoreError> {
    let handoff = missions::by_id(db, &row.mission, EventKind::Handoff, &row.id).await?;
    let (mut checkpoint_id, mut note) = (None, None);
    if let Some(MissionEvent::Handoff(handoff)) = handoff.map(|row| row.event()).transpose()? {
        (checkpoint_id, note) = (handoff.checkpoint_id, handoff.note);
    }
    let ended = |how| HandoffStands::Ended { how, at: row.closed_at.unwrap_or(row.expires_at) };
    let about = About {
        mission: &row.mission,
        part: &row.part,
        sender: &row.sender,
        recipient: &row.recipient,
        checkpoint_id: checkpoint_id.as_deref().unwrap_or_default(),
        note: note.unwrap_or_default(),
    };
    let state = match row.state {
        HandoffPhase::Offered => HandoffStands::Offered { until: row.expires_at },
        HandoffPhase::Accepted => ended(OfferEnd::Accepted),
        HandoffPhase::Declined => ended(OfferEnd::Declined { reason: row.reason.clone().unwrap_or_default() }),
        HandoffPhase::Expired => ended(OfferEnd::Expired),
    };
    about.view(db, Some(row.id.clone()), state).await
}

/// What a handoff is about.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// In which mission.
    pub mission: &'a MissionName,
    /// Whose part.
    pub part: &'a AgentName,
    /// Who hands it over.
    pub sender: &'a AgentName,
    /// To whom.
    pub recipient: &'a AgentName,
    /// From which checkpoint.
    pub checkpoint_id: &'a str,
    /// What the recipient should know.
    pub note: String,
}

impl About<'_> {
    /// The same for people, with what its checkpoint says.
    ///
    /// # Errors
    /// As of the store.
    pub async fn view(
        self,
        db: &mut impl Reads,
        id: Option<String>,
        state: HandoffStands,
    ) -> Result<HandoffView, StoreError> {
        let checkpoint = missions::by_id(db, self.mission, EventKind::Checkpoint, self.checkpoint_id).await?;
        let (mut summary, mut made_by, mut made_at) = (String::new(), self.part.clone(), None);
        if let Some(MissionEvent::Checkpoint(checkpoint)) = checkpoint.map(|row| row.event()).transpose()? {
            made_at = checkpoint.timestamp.as_deref().and_then(event_moment);
            made_by = AgentName::new(checkpoint.sender).unwrap_or(made_by);
            summary = checkpoint.summary;
        }
        let (mission, part, sender) = (self.mission.clone(), self.part.clone(), self.sender.clone());
        let (recipient, note) = (self.recipient.clone(), self.note);
        Ok(HandoffView { id, mission, part, sender, recipient, summary, made_by, made_at, note, state })
    }
}

/// A handoff for programs.
pub fn handoff_value(row: &HandoffRow) -> Value {
    json!({
        "id": row.id, "mission": row.mission, "sequence": row.seq, "part": row.part, "sender": row.sender,
        "recipient": row.recipient, "state": row.state.as_str(), "offered_at": row.offered_at,
        "expires_at": row.expires_at, "closed_at": row.closed_at, "reason": row.reason,
    })
}

/// As [`readable`], and not closed for an import.
async fn open(
    db: &mut impl Reads,
    name: &MissionName,
    reader: &BusReader,
    telling: Telling<'_>,
) -> Result<Seen<()>, StoreError> {
    match readable(db, name, reader, telling).await? {
        Ok(row) if row.state == MissionPhase::Importing => {
            let refused = MissionError::Importing(name.to_string());
            Ok(Err(refusal(db, name, reader, refused, telling).await?))
        }
        Ok(_) => Ok(Ok(())),
        Err(not) => Ok(Err(not)),
    }
}

/// The mission, if the reader may read it.
async fn readable(
    db: &mut impl Reads,
    name: &MissionName,
    reader: &BusReader,
    telling: Telling<'_>,
) -> Result<Seen<MissionRow>, StoreError> {
    allowed(db, name, reader, Capability::Read, telling).await
}

/// The mission, if the reader has the capability there.
async fn allowed(
    db: &mut impl Reads,
    name: &MissionName,
    reader: &BusReader,
    capability: Capability,
    telling: Telling<'_>,
) -> Result<Seen<MissionRow>, StoreError> {
    let Some(row) = missions::mission(db, name).await? else {
        let refused = MissionError::UnknownMission(name.to_string());
        return Ok(Err(refusal(db, name, reader, refused, telling).await?));
    };
    let (who, given) = match reader {
        BusReader::Owner => return Ok(Ok(row)),
        BusReader::Nobody { text } => return Ok(Err(NotShown::Nobody { text: text.clone() })),
        BusReader::Participant { name, role } => (name, *role),
    };
    let roles = missions::roles(db, name).await?;
    let role = roles.iter().find(|(name, _)| name == who).map(|(_, role)| *role).or(given);
    match missions::permissions(db, name).await?.require(who.as_str(), role, capability) {
        Ok(()) => Ok(Ok(row)),
        Err(refused) => Ok(Err(refusal(db, name, reader, refused, telling).await?)),
    }
}

/// A refusal with what is told of it.
async fn refusal(
    db: &mut impl Reads,
    mission: &MissionName,
    reader: &BusReader,
    refused: MissionError,
    telling: Telling<'_>,
) -> Result<NotShown, StoreError> {
    let text = told(db, mission, &refused, telling).await?;
    let name = match reader {
        BusReader::Participant { name, .. } => Some(name.clone()),
        BusReader::Owner | BusReader::Nobody { .. } => None,
    };
    Ok(NotShown::Refused { name, mission: Some(mission.clone()), refused, text })
}

/// What is told of a refusal: which capability is missing, and who has it.
///
/// # Errors
/// As of the store.
pub async fn told(
    db: &mut impl Reads,
    mission: &MissionName,
    refused: &MissionError,
    telling: Telling<'_>,
) -> Result<String, StoreError> {
    let holders = match refused {
        MissionError::Lacks { capability, .. } => {
            let permissions = missions::permissions(db, mission).await?;
            Holders::of(&permissions, *capability, &missions::roles(db, mission).await?)
        }
        _ => Holders::default(),
    };
    Ok(wording::bus_refusal(refused, &holders, telling.setting, telling.now))
}
