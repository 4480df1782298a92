use serde_json::{Value, json};

use super::super::error::StoreError;
use super::super::row::{self, sql};
use super::super::tx::{Tx, to_json};
use super::standing::Standing;
use super::{Actor, Decided, MissionPhase};
use crate::mission::chain::Head;
use crate::mission::{Capability, MissionConfig, MissionError, MissionParticipant, MissionRole};
use crate::pool::{AgentName, MissionName, Timestamp};

/// The name under which the gateway itself takes part in every mission, as a lead.
pub const GATEWAY: &str = "gateway";

/// A mission to be made.
#[derive(Clone, Debug)]
pub struct NewMission<'a> {
    /// Its name; policy missions and bus missions are one namespace.
    pub name: &'a MissionName,
    /// What people read.
    pub title: &'a str,
    /// Roles and profiles; what says nothing is the shipped default.
    pub config: &'a Value,
    /// Its first lead beside the gateway; None where the gateway makes it for itself.
    pub lead: Option<&'a AgentName>,
    /// Who made it.
    pub created_by: &'a str,
    /// When.
    pub at: Timestamp,
}

/// Makes a mission, with its first lead and the gateway.
pub async fn create(tx: &mut Tx, new: NewMission<'_>) -> Result<Decided<()>, StoreError> {
    let config = match MissionConfig::from_value(new.config.clone()) {
        Ok(config) => config,
        Err(refused) => return Ok(Err(refused)),
    };
    if exists(tx, new.name).await? {
        return Ok(Err(MissionError::MissionExists(new.name.to_string())));
    }
    insert(tx, &new, Some(new.title), config.raw(), MissionPhase::Open).await?;
    if let Some(lead) = new.lead.filter(|lead| lead.as_str() != GATEWAY) {
        set(tx, new.name, &MissionParticipant::new(lead.as_str(), MissionRole::Lead, Value::Null), new.at).await?;
    }
    gateway_joins(tx, new.name, new.at).await?;
    Ok(Ok(()))
}

/// That a mission and a participant are there, as a takeover needs them: what is missing is made, and
/// what is there stays as it is. The gateway does this for itself; nobody is asked for a role.
pub async fn ensure(
    tx: &mut Tx,
    new: NewMission<'_>,
    participant: &AgentName,
    role: MissionRole,
) -> Result<Decided<()>, StoreError> {
    if !exists(tx, new.name).await?
        && let Err(refused) = create(tx, new.clone()).await?
    {
        return Ok(Err(refused));
    }
    let standing = match Standing::load(tx, new.name, participant).await? {
        Ok(standing) => standing,
        Err(refused) => return Ok(Err(refused)),
    };
    gateway_joins(tx, new.name, new.at).await?;
    if standing.role.is_none() {
        set(tx, new.name, &MissionParticipant::new(participant.as_str(), role, Value::Null), new.at).await?;
    }
    Ok(Ok(()))
}

/// Sets who `name` is in the mission: a lead (`by`) may. Joining again replaces role and metadata.
pub async fn join(
    tx: &mut Tx,
    mission: &MissionName,
    by: Actor<'_>,
    name: &AgentName,
    role: MissionRole,
    metadata: Value,
    at: Timestamp,
) -> Result<Decided<MissionParticipant>, StoreError> {
    let standing = match acting(tx, mission, by).await? {
        Ok(standing) => standing,
        Err(refused) => return Ok(Err(refused)),
    };
    if standing.role != Some(MissionRole::Lead) {
        return Ok(Err(MissionError::NotALead { name: by.name.to_string(), doing: "say who takes part" }));
    }
    if name.as_str() == GATEWAY && role != MissionRole::Lead {
        return Ok(Err(MissionError::NotALead { name: GATEWAY.into(), doing: "hand over for the dead; it stays one" }));
    }
    let participant = MissionParticipant::new(name.as_str(), role, metadata);
    set(tx, mission, &participant, at).await?;
    Ok(Ok(participant))
}

/// Chooses the mission's isolation profile.
pub async fn isolate(
    tx: &mut Tx,
    mission: &MissionName,
    by: Actor<'_>,
    profile: &str,
) -> Result<Decided<()>, StoreError> {
    let standing = match acting(tx, mission, by).await? {
        Ok(standing) => standing,
        Err(refused) => return Ok(Err(refused)),
    };
    if let Err(refused) = standing.require(Capability::ConfigureIsolation) {
        return Ok(Err(refused));
    }
    let known: Vec<&str> = standing.config.profiles().iter().map(|one| one.name.as_str()).collect();
    if !known.contains(&profile) {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let (mission, profile) = (mission.to_string(), profile.to_owned());
        return Ok(Err(MissionError::UnknownProfile { mission, profile, known }));
    }
    let update = sql("UPDATE missions SET profile = $1 WHERE name = $2")
        .bind(profile.to_owned())
        .bind(mission.as_str().to_owned());
    tx.run(update).await?;
    Ok(Ok(()))
}

/// What somebody is whose incarnation may write.
async fn acting(tx: &mut Tx, mission: &MissionName, by: Actor<'_>) -> Result<Decided<Standing>, StoreError> {
    let standing = match Standing::load(tx, mission, by.name).await? {
        Ok(standing) => standing,
        Err(refused) => return Ok(Err(refused)),
    };
    Ok(standing.admit(tx, mission, by.claim).await?.map(|_| standing))
}

pub(super) async fn exists(tx: &mut Tx, mission: &MissionName) -> Result<bool, StoreError> {
    let select = sql("SELECT 1 FROM missions WHERE name = $1").bind(mission.as_str().to_owned());
    Ok(row::number(tx, select).await?.is_some())
}

/// The row of a mission, and the end of its empty stream.
pub(super) async fn insert(
    tx: &mut Tx,
    new: &NewMission<'_>,
    title: Option<&str>,
    config: &Value,
    state: MissionPhase,
) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO missions (name, title, config, state, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6)")
    .bind(new.name.as_str().to_owned())
    .bind(title.map(str::to_owned))
    .bind(to_json("missions", new.name.as_str(), config)?)
    .bind(state.as_str())
    .bind(new.at.as_millis())
    .bind(new.created_by.to_owned());
    tx.insert("missions", new.name.as_str(), insert).await?;
    let Head { seq, hash } = Head::beginning();
    let head = sql("INSERT INTO mission_heads (mission, seq, hash) VALUES ($1, $2, $3)")
        .bind(new.name.as_str().to_owned())
        .bind(seq)
        .bind(hash);
    tx.insert("mission_heads", new.name.as_str(), head).await
}

async fn gateway_joins(tx: &mut Tx, mission: &MissionName, at: Timestamp) -> Result<(), StoreError> {
    let there = sql("SELECT 1 FROM mission_participants WHERE mission = $1 AND name = $2 AND role = $3")
        .bind(mission.as_str().to_owned())
        .bind(GATEWAY)
        .bind(MissionRole::Lead.as_str());
    if row::number(tx, there).await?.is_some() {
        return Ok(());
    }
    set(tx, mission, &MissionParticipant::new(GATEWAY, MissionRole::Lead, json!({})), at).await
}

/// Stores a participant: the place and the first joining of one who was there stay. Whoever is new
/// owns the part of their own name.
pub(super) async fn set(
    tx: &mut Tx,
    mission: &MissionName,
    participant: &MissionParticipant,
    at: Timestamp,
) -> Result<(), StoreError> {
    let upsert = sql("INSERT INTO mission_participants (mission, name, place, role, metadata, joined_at)
         SELECT $1, $2, COALESCE(MAX(place), 0) + 1, $3, $4, $5 FROM mission_participants WHERE mission = $1
         ON CONFLICT (mission, name) DO UPDATE SET role = excluded.role, metadata = excluded.metadata")
    .bind(mission.as_str().to_owned())
    .bind(participant.name.clone())
    .bind(participant.role.as_str())
    .bind(to_json("mission_participants", &participant.name, &participant.metadata)?)
    .bind(at.as_millis());
    tx.run(upsert).await?;
    let part = sql("INSERT INTO mission_parts (mission, part, owner, since) VALUES ($1, $2, $2, $3)
         ON CONFLICT (mission, part) DO NOTHING")
    .bind(mission.as_str().to_owned())
    .bind(participant.name.clone())
    .bind(at.as_millis());
    tx.run(part).await
}
