use super::super::error::StoreError;
use super::super::row::{self, sql, stored};
use super::super::tx::{Reads, from_json};
use super::standing::{self, Standing};
use super::verify;
use super::{Decided, EventRow, HandoffRow, MissionPhase, MissionRow, ParticipantRow, event_columns, handoff_columns};
use crate::mission::{
    Capability, Claim, EventKind, HandoffRef, MissionError, MissionEvent, MissionHandoff, MissionParticipant,
    MissionRole, Participants, Permissions, ResumePacket,
};
use crate::pool::{AgentName, MissionName, Timestamp};

stored! { "missions",
    /// A mission in a list.
    pub struct MissionSummary {
        /// Its name.
        pub name: MissionName,
        /// Its title.
        pub title: Option<String>,
        /// The isolation profile that was chosen.
        pub profile: Option<String>,
        /// Whether it takes events.
        pub state: MissionPhase,
        /// How many events it has.
        pub events: i64,
        /// When it was made.
        pub created_at: Timestamp,
    }
}

stored! { "mission_parts",
    /// Who owns a part.
    pub struct PartRow {
        /// Whose it is by name.
        pub part: AgentName,
        /// Who owns it.
        pub owner: AgentName,
        /// Since when.
        pub since: Timestamp,
    }
}

/// All missions, by name.
pub async fn list(db: &mut impl Reads) -> Result<Vec<MissionSummary>, StoreError> {
    let select = sql("SELECT m.name, m.title, m.profile, m.state, h.seq AS events, m.created_at
         FROM missions m JOIN mission_heads h ON h.mission = m.name ORDER BY m.name");
    row::all(db, select).await
}

/// A mission as it was made.
pub async fn mission(db: &mut impl Reads, name: &MissionName) -> Result<Option<MissionRow>, StoreError> {
    let select =
        sql("SELECT name, title, config, profile, state, created_at, created_by FROM missions WHERE name = $1")
            .bind(name.as_str().to_owned());
    row::optional(db, select).await
}

/// Who takes part, in the order in which they joined.
pub async fn participants(db: &mut impl Reads, mission: &MissionName) -> Result<Vec<ParticipantRow>, StoreError> {
    let select = sql("SELECT name, role, metadata, joined_at FROM mission_participants
         WHERE mission = $1 ORDER BY place, name")
    .bind(mission.as_str().to_owned());
    row::all(db, select).await
}

/// Who takes part, and as what, in the order in which they joined.
pub async fn roles(db: &mut impl Reads, mission: &MissionName) -> Result<Vec<(AgentName, MissionRole)>, StoreError> {
    let rows = participants(db, mission).await?;
    rows.into_iter().map(|row| Ok((row.name, standing::role(mission, &row.role)?))).collect()
}

/// What each role may do in the mission, for whoever was refused.
pub async fn permissions(db: &mut impl Reads, name: &MissionName) -> Result<Permissions, StoreError> {
    Ok(match mission(db, name).await? {
        Some(row) => standing::config(name, &row.config)?.permissions().clone(),
        None => Permissions::default(),
    })
}

/// Who owns which part, by part.
pub async fn parts(db: &mut impl Reads, mission: &MissionName) -> Result<Vec<PartRow>, StoreError> {
    let select = sql("SELECT part, owner, since FROM mission_parts WHERE mission = $1 ORDER BY part")
        .bind(mission.as_str().to_owned());
    row::all(db, select).await
}

/// The newest events before the number `before` (None: from the end), newest first, for `reader`,
/// who must be allowed to read.
pub async fn page(
    db: &mut impl Reads,
    mission: &MissionName,
    reader: &AgentName,
    before: Option<i64>,
    limit: u32,
) -> Result<Decided<Vec<EventRow>>, StoreError> {
    if let Err(refused) = readable(db, mission, reader).await? {
        return Ok(Err(refused));
    }
    events(db, mission, before, limit).await.map(Ok)
}

/// The same for whoever was found to be allowed to read, such as the owner of the store.
pub async fn events(
    db: &mut impl Reads,
    mission: &MissionName,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<EventRow>, StoreError> {
    let select = sql(concat!(event_columns!(), "WHERE mission = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3"))
        .bind(mission.as_str().to_owned())
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit));
    row::all(db, select).await
}

/// The oldest events after the number `after`, oldest first, for `reader`, who must be allowed to read.
pub async fn page_after(
    db: &mut impl Reads,
    mission: &MissionName,
    reader: &AgentName,
    after: i64,
    limit: u32,
) -> Result<Decided<Vec<EventRow>>, StoreError> {
    if let Err(refused) = readable(db, mission, reader).await? {
        return Ok(Err(refused));
    }
    let select = sql(concat!(event_columns!(), "WHERE mission = $1 AND seq > $2 ORDER BY seq LIMIT $3"))
        .bind(mission.as_str().to_owned())
        .bind(after)
        .bind(i64::from(limit));
    Ok(Ok(row::all(db, select).await?))
}

/// The epoch under which a write of `name` would count, or why it would not; nothing is written.
pub async fn admit(
    db: &mut impl Reads,
    mission: &MissionName,
    name: &AgentName,
    claim: Option<&Claim>,
) -> Result<Decided<i64>, StoreError> {
    match Standing::load(db, mission, name).await? {
        Ok(standing) => standing.admit(db, mission, claim).await,
        Err(refused) => Ok(Err(refused)),
    }
}

/// The handoffs that wait for the answer of `recipient`, in all missions, the oldest first; `limit` at most.
pub async fn offers_to(db: &mut impl Reads, recipient: &AgentName, limit: u32) -> Result<Vec<HandoffRow>, StoreError> {
    let select = sql(concat!(
        handoff_columns!(),
        "WHERE state = 'offered' AND recipient = $1 ORDER BY offered_at, mission, id LIMIT $2"
    ))
    .bind(recipient.as_str().to_owned())
    .bind(i64::from(limit));
    row::all(db, select).await
}

/// The checkpoint or handoff of this id; of two the first. Messages are not looked up by id.
pub async fn by_id(
    db: &mut impl Reads,
    mission: &MissionName,
    kind: EventKind,
    id: &str,
) -> Result<Option<EventRow>, StoreError> {
    let select = sql(concat!(
        event_columns!(),
        "WHERE mission = $1 AND kind = $2 AND id = $3 AND kind <> 'message' ORDER BY seq LIMIT 1"
    ))
    .bind(mission.as_str().to_owned())
    .bind(kind.as_str())
    .bind(id.to_owned());
    row::optional(db, select).await
}

/// The newest checkpoint of `sender` (None: of anybody).
pub async fn last_checkpoint(
    db: &mut impl Reads,
    mission: &MissionName,
    sender: Option<&AgentName>,
) -> Result<Option<EventRow>, StoreError> {
    let select = match sender {
        Some(sender) => sql(concat!(
            event_columns!(),
            "WHERE mission = $1 AND sender = $2 AND kind = 'checkpoint' ORDER BY seq DESC LIMIT 1"
        ))
        .bind(mission.as_str().to_owned())
        .bind(sender.as_str().to_owned()),
        None => sql(concat!(event_columns!(), "WHERE mission = $1 AND kind = 'checkpoint' ORDER BY seq DESC LIMIT 1"))
            .bind(mission.as_str().to_owned()),
    };
    row::optional(db, select).await
}

/// The handoff by which `owner` has `part`: the newest that it accepted. None where that was not made here.
pub async fn given_by(
    db: &mut impl Reads,
    mission: &MissionName,
    part: &AgentName,
    owner: &AgentName,
) -> Result<Option<HandoffRow>, StoreError> {
    let select = sql(concat!(
        handoff_columns!(),
        "WHERE mission = $1 AND part = $2 AND recipient = $3 AND state = 'accepted' ORDER BY seq DESC LIMIT 1"
    ))
    .bind(mission.as_str().to_owned())
    .bind(part.as_str().to_owned())
    .bind(owner.as_str().to_owned());
    row::optional(db, select).await
}

/// How a handoff stands that was made here.
pub async fn handoff(db: &mut impl Reads, mission: &MissionName, id: &str) -> Result<Option<HandoffRow>, StoreError> {
    let select = sql(concat!(handoff_columns!(), "WHERE mission = $1 AND id = $2"))
        .bind(mission.as_str().to_owned())
        .bind(id.to_owned());
    row::optional(db, select).await
}

/// How the handoff stands that somebody means: one named by its id alone is looked for in all
/// missions, and found if it is in one only.
pub async fn find_handoff(db: &mut impl Reads, meant: &HandoffRef) -> Result<Option<HandoffRow>, StoreError> {
    if let Some(mission) = &meant.mission {
        return handoff(db, mission, &meant.id).await;
    }
    let select = sql(concat!(handoff_columns!(), "WHERE id = $1 ORDER BY mission LIMIT 2")).bind(meant.id.clone());
    let mut rows: Vec<HandoffRow> = row::all(db, select).await?;
    Ok(if rows.len() == 1 { rows.pop() } else { None })
}

/// The mission's handoffs that wait for an answer, the oldest first.
pub async fn open_offers(db: &mut impl Reads, mission: &MissionName) -> Result<Vec<HandoffRow>, StoreError> {
    let select = sql(concat!(handoff_columns!(), "WHERE mission = $1 AND state = 'offered' ORDER BY offered_at, seq"))
        .bind(mission.as_str().to_owned());
    row::all(db, select).await
}

/// The packet with which the recipient of a handoff goes on, for `reader`, who must be allowed to
/// read. What it costs does not depend on how long the stream is.
pub async fn resume_packet(
    db: &mut impl Reads,
    mission: &MissionName,
    reader: &AgentName,
    handoff_id: &str,
) -> Result<Decided<ResumePacket>, StoreError> {
    match readable(db, mission, reader).await? {
        Ok(_) => packet(db, mission, handoff_id).await,
        Err(refused) => Ok(Err(refused)),
    }
}

/// The same for whoever was found to be allowed to read.
pub async fn packet(
    db: &mut impl Reads,
    mission: &MissionName,
    handoff_id: &str,
) -> Result<Decided<ResumePacket>, StoreError> {
    if self::mission(db, mission).await?.is_none() {
        return Ok(Err(MissionError::UnknownMission(mission.to_string())));
    }
    let handoff = by_id(db, mission, EventKind::Handoff, handoff_id).await?;
    let handoff = match handoff.map(|row| row.event()).transpose()? {
        Some(MissionEvent::Handoff(handoff)) => handoff,
        _ => return Ok(Err(MissionError::UnknownHandoff(handoff_id.to_owned()))),
    };
    packet_of(db, mission, &handoff).await
}

/// The packet of a handoff that need not be in the stream yet: one that is about to be made.
pub async fn packet_of(
    db: &mut impl Reads,
    mission: &MissionName,
    handoff: &MissionHandoff,
) -> Result<Decided<ResumePacket>, StoreError> {
    let Some(row) = self::mission(db, mission).await? else {
        return Ok(Err(MissionError::UnknownMission(mission.to_string())));
    };
    let checkpoint_id = handoff.checkpoint_id.clone().unwrap_or_else(|| "None".into());
    let checkpoint = by_id(db, mission, EventKind::Checkpoint, &checkpoint_id).await?;
    let checkpoint = match checkpoint.map(|row| row.event()).transpose()? {
        Some(MissionEvent::Checkpoint(checkpoint)) if handoff.checkpoint_id.is_some() => checkpoint,
        _ => return Ok(Err(MissionError::UnknownCheckpoint(checkpoint_id))),
    };
    let participants = registered(db, mission).await?;
    let config = standing::config(mission, &row.config)?;
    let length = verify::head(db, mission).await?.map_or(0, |head| head.seq);
    let mission = (mission.as_str(), row.title.as_deref());
    Ok(Ok(ResumePacket::new(mission, handoff, &checkpoint, participants, config.profiles(), length)))
}

/// The participants as the core has them.
pub(super) async fn registered(db: &mut impl Reads, mission: &MissionName) -> Result<Participants, StoreError> {
    let mut registered = Participants::default();
    for row in participants(db, mission).await? {
        let metadata = from_json("mission_participants", "metadata", row.name.as_str(), &row.metadata)?;
        let role = standing::role(mission, &row.role)?;
        registered.set(row.name.as_str(), MissionParticipant { name: row.name.to_string(), role, metadata });
    }
    Ok(registered)
}

/// That `reader` may read the mission.
pub(super) async fn readable(
    db: &mut impl Reads,
    mission: &MissionName,
    reader: &AgentName,
) -> Result<Decided<Standing>, StoreError> {
    let standing = Standing::load(db, mission, reader).await?;
    Ok(standing.and_then(|standing| standing.require(Capability::Read).map(|()| standing)))
}
