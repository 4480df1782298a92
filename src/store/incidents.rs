//! Incidents: one death of one agent each; the index `incidents_one_open` allows an agent one open.

use serde::Serialize;

use super::error::StoreError;
use super::row::{self, sql, stored, words};
use super::tx::{Reads, Tx, to_json};
use crate::pool::{AgentName, MissionName, Timestamp};

words! {
    /// How an incident stands.
    pub enum IncidentPhase {
        /// The agent is dead, or not yet healthy for long enough.
        Open = "open",
        /// It was healthy for long enough.
        Recovered = "recovered",
        /// It left the registry.
        Gone = "gone",
    }
}

stored! { "incidents",
    /// One incident.
    pub struct IncidentRow {
        /// Its id.
        pub id: String,
        /// Who died.
        pub agent: AgentName,
        /// On which mission.
        pub mission: MissionName,
        /// How it stands.
        pub state: IncidentPhase,
        /// When it was opened.
        pub opened_at: Timestamp,
        /// When it ended.
        pub closed_at: Option<Timestamp>,
        /// The whole incident, as JSON.
        pub body: String,
    }
}

/// An incident to be opened.
#[derive(Clone, Debug)]
pub struct NewIncident<'a, B> {
    /// Its id.
    pub id: &'a str,
    /// Who died.
    pub agent: &'a AgentName,
    /// On which mission.
    pub mission: &'a MissionName,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The whole incident.
    pub body: &'a B,
}

/// Opens an incident; [`StoreError::Taken`] if the agent has an open one.
pub async fn insert<B: Serialize + Sync>(tx: &mut Tx, new: NewIncident<'_, B>) -> Result<(), StoreError> {
    let body = to_json("incidents", new.id, new.body)?;
    let insert = sql("INSERT INTO incidents (id, agent, mission, state, opened_at, body)
         VALUES ($1, $2, $3, 'open', $4, $5)")
    .bind(new.id.to_owned())
    .bind(new.agent.as_str().to_owned())
    .bind(new.mission.as_str().to_owned())
    .bind(new.opened_at.as_millis())
    .bind(body);
    tx.insert("incidents", new.id, insert).await
}

/// Changes an open incident; `mission` is written too, since the registry may have moved the agent.
pub async fn update<B: Serialize + Sync>(
    tx: &mut Tx,
    id: &str,
    mission: &MissionName,
    stand_in: Option<&AgentName>,
    body: &B,
) -> Result<(), StoreError> {
    let update = sql("UPDATE incidents SET mission = $2, stand_in = $3, body = $4 WHERE id = $1 AND state = 'open'")
        .bind(id.to_owned())
        .bind(mission.as_str().to_owned())
        .bind(stand_in.map(|agent| agent.as_str().to_owned()))
        .bind(to_json("incidents", id, body)?);
    tx.update("incidents", id, "open", update).await
}

/// Ends an open incident as `end`.
pub async fn close<B: Serialize + Sync>(
    tx: &mut Tx,
    id: &str,
    end: IncidentPhase,
    now: Timestamp,
    body: &B,
) -> Result<(), StoreError> {
    let update = sql("UPDATE incidents SET state = $2, closed_at = $3, body = $4 WHERE id = $1 AND state = 'open'")
        .bind(id.to_owned())
        .bind(end.as_str())
        .bind(now.as_millis())
        .bind(to_json("incidents", id, body)?);
    tx.update("incidents", id, "open", update).await
}

/// The incident of that id.
pub async fn load(db: &mut impl Reads, id: &str) -> Result<Option<IncidentRow>, StoreError> {
    let select = sql("SELECT id, agent, mission, state, opened_at, closed_at, body FROM incidents WHERE id = $1");
    row::optional(db, select.bind(id.to_owned())).await
}

/// All open incidents, the oldest first.
pub async fn open(db: &mut impl Reads) -> Result<Vec<IncidentRow>, StoreError> {
    let select = sql("SELECT id, agent, mission, state, opened_at, closed_at, body FROM incidents
         WHERE state = 'open' ORDER BY opened_at, id");
    row::all(db, select).await
}

/// The agent's open incident.
pub async fn open_of(db: &mut impl Reads, agent: &AgentName) -> Result<Option<IncidentRow>, StoreError> {
    let select = sql("SELECT id, agent, mission, state, opened_at, closed_at, body FROM incidents
         WHERE agent = $1 AND state = 'open'");
    row::optional(db, select.bind(agent.as_str().to_owned())).await
}

/// The dead agent for which `agent` stands in at present, if there is one.
pub async fn stood_in_for_by(db: &mut impl Reads, agent: &AgentName) -> Result<Option<String>, StoreError> {
    let select = sql("SELECT agent FROM incidents WHERE stand_in = $1 AND state = 'open' LIMIT 1");
    row::text(db, select.bind(agent.as_str().to_owned())).await
}

/// The agent's incidents, the newest first; of all agents with `None`.
pub async fn history(
    db: &mut impl Reads,
    agent: Option<&AgentName>,
    limit: u32,
) -> Result<Vec<IncidentRow>, StoreError> {
    let select = match agent {
        Some(agent) => sql("SELECT id, agent, mission, state, opened_at, closed_at, body FROM incidents
             WHERE agent = $2 ORDER BY opened_at DESC, id DESC LIMIT $1")
        .bind(i64::from(limit))
        .bind(agent.as_str().to_owned()),
        None => sql("SELECT id, agent, mission, state, opened_at, closed_at, body FROM incidents
             ORDER BY opened_at DESC, id DESC LIMIT $1")
        .bind(i64::from(limit)),
    };
    row::all(db, select).await
}
