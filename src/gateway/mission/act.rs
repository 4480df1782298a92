use std::sync::Arc;

use serde_json::{Value, json};

use super::card;
use super::who::join_of_the_files;
use crate::gateway::Gateway;
use crate::gateway::ledger::Entry;
use crate::mission::{
    Claim, Draft, HandFrom, HandoffRef, MissionError, MissionParticipant, MissionRole, load_profiles,
};
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::missions::{
    self, Actor, Append, Appended, Decided, HandoffPhase, HandoffRow, Limits, NewEvent, NewMission,
};
use crate::store::{self, Reads, StoreError, Tx};

/// How often another short id is drawn because one was given before.
const ID_TRIES: u32 = 16;
/// Bytes that an event has besides a state or payload: names, a summary, ids, the time.
const AROUND: usize = 3 * 1024;

/// Who acts on the bus.
#[derive(Clone, Copy, Debug)]
pub struct Acting<'a> {
    /// The participant.
    pub name: &'a AgentName,
    /// Its incarnation; None for who never attached, such as people.
    pub claim: Option<&'a Claim>,
    /// Who that is for the journal: the person, or "agent ezra".
    pub by: &'a str,
}

/// Something to be done on the bus.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Make a mission, led by who acts. Whether they may is the caller's to say: the bus knows nobody before.
    Create {
        /// Its name.
        mission: MissionName,
        /// What people read.
        title: String,
    },
    /// Say who somebody is in it.
    Join {
        /// Which one.
        mission: MissionName,
        /// Who.
        name: AgentName,
        /// As what.
        role: MissionRole,
        /// What is kept about it.
        metadata: Value,
    },
    /// Publish a message.
    Publish {
        /// In which mission.
        mission: MissionName,
        /// What it is about.
        topic: String,
        /// What is said.
        payload: Value,
    },
    /// Make a checkpoint. A state that is too large goes into a file before ([`small_state`]).
    Checkpoint {
        /// In which mission.
        mission: MissionName,
        /// In a sentence.
        summary: String,
        /// What it takes to go on.
        state: Value,
        /// Files and addresses that belong to it.
        artifacts: Vec<Value>,
    },
    /// Hand over.
    Handoff {
        /// In which mission.
        mission: MissionName,
        /// To whom.
        recipient: AgentName,
        /// From where on.
        from: HandFrom,
        /// What the recipient should know.
        note: String,
        /// Whose part; None: of whom the checkpoint is.
        part: Option<AgentName>,
        /// Under which id; None: a new one.
        id: Option<String>,
    },
    /// Take over.
    Accept {
        /// In which mission.
        mission: MissionName,
        /// Which handoff.
        handoff: String,
    },
    /// Do not.
    Decline {
        /// In which mission.
        mission: MissionName,
        /// Which handoff.
        handoff: String,
        /// Why not.
        reason: String,
    },
    /// Choose the isolation profile.
    Isolate {
        /// Of which mission.
        mission: MissionName,
        /// Its name.
        profile: String,
    },
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// The mission is there.
    Created,
    /// Somebody takes part.
    Joined(MissionParticipant),
    /// A message or a checkpoint is in the stream.
    Appended(Appended),
    /// A handoff is in the stream, and offered.
    Offered(HandoffRow),
    /// A handoff was accepted or declined, now or before.
    Answered(HandoffRow),
    /// The profile is chosen.
    Isolated,
}

impl Act {
    /// In which mission.
    pub fn mission(&self) -> &MissionName {
        match self {
            Self::Create { mission, .. }
            | Self::Join { mission, .. }
            | Self::Publish { mission, .. }
            | Self::Checkpoint { mission, .. }
            | Self::Handoff { mission, .. }
            | Self::Accept { mission, .. }
            | Self::Decline { mission, .. }
            | Self::Isolate { mission, .. } => mission,
        }
    }

    /// What it is, in a word; for the journal.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Join { .. } => "join",
            Self::Publish { .. } => "publish",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Handoff { .. } => "handoff",
            Self::Accept { .. } => "accept",
            Self::Decline { .. } => "decline",
            Self::Isolate { .. } => "isolation",
        }
    }
}

/// Does it, if the bus allows it; `said_at` is when it came in, which decides whether an answer was in time.
/// A refusal has changed nothing but the journal. After the commit, [`committed`](super::committed) rings.
pub async fn act(
    tx: &mut Tx,
    entry: &Entry,
    who: Acting<'_>,
    act: Act,
    said_at: Timestamp,
) -> Result<Decided<Done>, StoreError> {
    act_in(tx, entry, who, act, said_at, None).await
}

/// As [`act`], said in the chat `heard_in`, which is answered there.
pub(super) async fn act_in(
    tx: &mut Tx,
    entry: &Entry,
    who: Acting<'_>,
    act: Act,
    said_at: Timestamp,
    heard_in: Option<&str>,
) -> Result<Decided<Done>, StoreError> {
    let (mission, word) = (act.mission().clone(), act.word());
    let done = attempt(tx, entry, who, act, said_at, heard_in).await?;
    if let Err(refused) = &done {
        missions::note_refusal(tx, &mission, who.name, word, refused, entry.now).await?;
    }
    Ok(done)
}

/// As [`act`], without a word of a refusal in the journal: for callers who write down some only.
pub async fn attempt(
    tx: &mut Tx,
    entry: &Entry,
    who: Acting<'_>,
    act: Act,
    said_at: Timestamp,
    heard_in: Option<&str>,
) -> Result<Decided<Done>, StoreError> {
    let (now, actor) = (entry.now, Actor { name: who.name, claim: who.claim });
    match act {
        Act::Create { mission, title } => {
            let config = match load_profiles(Some((*entry.in_force().config.profiles).clone())) {
                Ok(config) => config,
                Err(refused) => return Ok(Err(refused)),
            };
            let (name, lead) = (&mission, Some(who.name));
            let new = NewMission { name, title: &title, config: &config, lead, created_by: who.by, at: now };
            if let Err(refused) = missions::create(tx, new).await? {
                return Ok(Err(refused));
            }
            journal(tx, entry, "mission.created", &mission, who, json!({ "title": title })).await?;
            Ok(Ok(Done::Created))
        }
        Act::Join { mission, name, role, metadata } => {
            let joined = match missions::join(tx, &mission, actor, &name, role, metadata, now).await? {
                Ok(joined) => joined,
                Err(refused) => return Ok(Err(refused)),
            };
            journal(tx, entry, "mission.joined", &mission, who, json!({ "participant": name, "role": role })).await?;
            Ok(Ok(Done::Joined(joined)))
        }
        Act::Publish { mission, topic, payload } => {
            let event = NewEvent::new(entry.id(), Draft::Message { topic, payload });
            Ok(append_one(tx, entry, &mission, actor, event).await?.map(Done::Appended))
        }
        Act::Checkpoint { mission, summary, state, artifacts } => {
            let id = event_id(tx, entry, &mission, "c").await?;
            let event = NewEvent::new(id, Draft::Checkpoint { summary, state, artifacts });
            Ok(append_one(tx, entry, &mission, actor, event).await?.map(Done::Appended))
        }
        Act::Handoff { mission, recipient, from, note, part, id } => {
            join_of_the_files(tx, entry, &mission).await?;
            let checkpoint_id = match checkpoint_meant(tx, &mission, &from, who.name).await? {
                Ok(id) => id,
                Err(refused) => return Ok(Err(refused)),
            };
            let id = match id {
                Some(id) => id,
                None => event_id(tx, entry, &mission, "h").await?,
            };
            let draft = Draft::Handoff { recipient: recipient.to_string(), checkpoint_id, note };
            let event = NewEvent { id: id.clone(), draft, part };
            if let Err(refused) = append_one(tx, entry, &mission, actor, event).await? {
                return Ok(Err(refused));
            }
            let row = missions::handoff(tx, &mission, &id).await?.ok_or_else(|| missing(&id))?;
            moved(tx, entry, who, "mission.handoff_offered", &row, heard_in).await?;
            Ok(Ok(Done::Offered(row)))
        }
        Act::Accept { mission, handoff } => {
            let before = missions::handoff(tx, &mission, &handoff).await?;
            let row = match missions::accept(tx, &mission, &handoff, actor, said_at, now).await? {
                Ok(row) => row,
                Err(refused) => return Ok(Err(refused)),
            };
            answered(tx, entry, who, before, &row, heard_in).await?;
            Ok(Ok(Done::Answered(row)))
        }
        Act::Decline { mission, handoff, reason } => {
            let before = missions::handoff(tx, &mission, &handoff).await?;
            let row = match missions::decline(tx, &mission, &handoff, actor, &reason, (said_at, now)).await? {
                Ok(row) => row,
                Err(refused) => return Ok(Err(refused)),
            };
            answered(tx, entry, who, before, &row, heard_in).await?;
            Ok(Ok(Done::Answered(row)))
        }
        Act::Isolate { mission, profile } => {
            if let Err(refused) = missions::isolate(tx, &mission, actor, &profile).await? {
                return Ok(Err(refused));
            }
            journal(tx, entry, "mission.isolation", &mission, who, json!({ "profile": profile })).await?;
            Ok(Ok(Done::Isolated))
        }
    }
}

async fn append_one(
    tx: &mut Tx,
    entry: &Entry,
    mission: &MissionName,
    by: Actor<'_>,
    event: NewEvent,
) -> Result<Decided<Appended>, StoreError> {
    let id = event.id.clone();
    let append = Append { mission, by, at: entry.now, limits: limits(entry.gateway()) };
    match missions::append(tx, &append, vec![event]).await? {
        Ok(mut appended) => appended.pop().map(Ok).ok_or_else(|| missing(&id)),
        Err(refused) => Ok(Err(refused)),
    }
}

/// An answer that changed something is journaled and shown; said again, it is neither.
async fn answered(
    tx: &mut Tx,
    entry: &Entry,
    who: Acting<'_>,
    before: Option<HandoffRow>,
    row: &HandoffRow,
    heard_in: Option<&str>,
) -> Result<(), StoreError> {
    if before.is_some_and(|before| before.state == row.state) {
        return Ok(());
    }
    let accepted = row.state == HandoffPhase::Accepted;
    let kind = if accepted { "mission.handoff_accepted" } else { "mission.handoff_declined" };
    moved(tx, entry, who, kind, row, heard_in).await
}

/// A handoff stands otherwise than before: journaled and shown.
pub(super) async fn moved(
    tx: &mut Tx,
    entry: &Entry,
    who: Acting<'_>,
    kind: &str,
    row: &HandoffRow,
    heard_in: Option<&str>,
) -> Result<(), StoreError> {
    let told = json!({
        "handoff": row.id, "part": row.part, "sender": row.sender, "recipient": row.recipient, "reason": row.reason,
    });
    journal(tx, entry, kind, &row.mission, who, told).await?;
    card::refresh(tx, entry, row, heard_in).await
}

async fn journal(
    tx: &mut Tx,
    entry: &Entry,
    kind: &str,
    mission: &MissionName,
    who: Acting<'_>,
    mut body: Value,
) -> Result<(), StoreError> {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
        fields.insert("mission".into(), json!(mission));
        fields.insert("name".into(), json!(who.name));
        fields.insert("by".into(), json!(who.by));
    }
    let written = store::journal::Entry { kind: kind.into(), agent: Some(who.name.clone()), body };
    store::journal::append(tx, &[written], entry.now).await.map(drop)
}

/// What missions allow, by the files in force.
pub fn limits(gateway: &Gateway) -> Limits {
    let mission = &gateway.in_force().config.gate.mission;
    Limits { event_bytes: mission.event_bytes, handoff_ttl: mission.handoff_ttl }
}

/// The id of the checkpoint that `by` means; ids are typed in any case. The last one is their own, if they have made
/// any: it says whose part is handed over, and nobody gives away another's by a word less.
pub(super) async fn checkpoint_meant(
    db: &mut impl Reads,
    mission: &MissionName,
    from: &HandFrom,
    by: &AgentName,
) -> Result<Decided<String>, StoreError> {
    let id = match from {
        HandFrom::Last => match missions::last_checkpoint(db, mission, Some(by)).await? {
            Some(own) => Some(own.id),
            None => missions::last_checkpoint(db, mission, None).await?.map(|row| row.id),
        },
        HandFrom::Id(id) => {
            let kind = crate::mission::EventKind::Checkpoint;
            match missions::by_id(db, mission, kind, id).await? {
                Some(row) => Some(row.id),
                None => missions::by_id(db, mission, kind, &id.to_lowercase()).await?.map(|row| row.id),
            }
        }
    };
    let meant = match from {
        HandFrom::Last => "last",
        HandFrom::Id(id) => id,
    };
    Ok(id.ok_or_else(|| MissionError::UnknownCheckpoint(meant.to_owned())))
}

/// The handoff that somebody means; ids are typed in any case.
pub async fn named(db: &mut impl Reads, meant: &HandoffRef) -> Result<Decided<HandoffRow>, StoreError> {
    if let Some(row) = missions::find_handoff(db, meant).await? {
        return Ok(Ok(row));
    }
    let lower = HandoffRef { id: meant.id.to_lowercase(), ..meant.clone() };
    let row = missions::find_handoff(db, &lower).await?;
    Ok(row.ok_or_else(|| MissionError::UnknownHandoff(meant.id.clone())))
}

/// A short id for a checkpoint or handoff, since people type these: `c-7k3qxm`. It has a digit, so that the
/// grammar knows it from a word, and is new in its mission.
pub(super) async fn event_id(
    tx: &mut Tx,
    entry: &Entry,
    mission: &MissionName,
    letter: &str,
) -> Result<String, StoreError> {
    for _ in 0..ID_TRIES {
        let code = entry.gateway().ids.fresh(entry.now).code.to_string().to_lowercase();
        let id = format!("{letter}-{code}");
        if code.bytes().any(|byte| byte.is_ascii_digit()) && !is_given(tx, mission, &id).await? {
            return Ok(id);
        }
    }
    Ok(format!("{letter}-{}", entry.id()))
}

async fn is_given(tx: &mut Tx, mission: &MissionName, id: &str) -> Result<bool, StoreError> {
    use crate::mission::EventKind::{Checkpoint, Handoff};
    // One that is the same in two missions could not be named by itself.
    let anywhere = HandoffRef { mission: None, id: id.to_owned() };
    Ok(missions::find_handoff(tx, &anywhere).await?.is_some()
        || missions::by_id(tx, mission, Checkpoint, id).await?.is_some()
        || missions::by_id(tx, mission, Handoff, id).await?.is_some())
}

fn missing(id: &str) -> StoreError {
    let why = "it is not there although it was just written".to_owned();
    StoreError::Invalid { table: "mission_events", row: id.to_owned(), why }
}

/// `state` as an event may hold it: one that is too large goes into a file beside the store, and what comes
/// back refers to it. To be called before the job, since it writes files.
pub async fn small_state(gateway: &Arc<Gateway>, state: Value) -> Result<Value, StoreError> {
    let content = state.to_string().into_bytes();
    if is_small(gateway, &content) { Ok(state) } else { kept(gateway, content).await }
}

/// The same of a document as it came: its own bytes are kept, since written anew they could be more than are allowed.
/// What is no JSON is told.
pub async fn small_document(
    gateway: &Arc<Gateway>,
    content: Vec<u8>,
) -> Result<Result<Value, serde_json::Error>, StoreError> {
    let read = tokio::task::spawn_blocking(move || {
        let value: Value = serde_json::from_slice(&content)?;
        Ok((value.to_string(), value, content))
    });
    let (written, value, content) = match read.await.map_err(|error| StoreError::Panicked(error.to_string()))? {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    let small = is_small(gateway, written.as_bytes());
    Ok(Ok(if small { value } else { kept(gateway, content).await? }))
}

fn is_small(gateway: &Gateway, content: &[u8]) -> bool {
    content.len() + AROUND <= limits(gateway).event_bytes
}

async fn kept(gateway: &Arc<Gateway>, content: Vec<u8>) -> Result<Value, StoreError> {
    let path = gateway.store.path().to_owned();
    let kept = tokio::task::spawn_blocking(move || missions::keep_state(&path, &content)).await;
    match kept {
        Ok(kept) => Ok(kept?.to_value()),
        Err(error) => Err(StoreError::Panicked(error.to_string())),
    }
}
