//! Epochs: the number of an agent's incarnation in a mission.

use super::error::StoreError;
use super::row::{self, sql};
use super::tx::{Reads, Tx};
use crate::pool::{AgentName, MissionName, Timestamp};

/// Raises the epoch because `execution_id` starts; the same execution again raises nothing.
pub async fn raise(
    tx: &mut Tx,
    mission: &MissionName,
    agent: &AgentName,
    execution_id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let raise = sql("INSERT INTO epochs (mission, agent, epoch, raised_at, execution_id)
         SELECT $1, $2, COALESCE(MAX(epoch), 0) + 1, $3, $4 FROM epochs WHERE mission = $1 AND agent = $2
         ON CONFLICT (execution_id, mission, agent) DO NOTHING")
    .bind(mission.as_str().to_owned())
    .bind(agent.as_str().to_owned())
    .bind(now.as_millis())
    .bind(execution_id.to_owned());
    tx.run(raise).await
}

/// The epoch in force; 0 before the first.
pub async fn current(db: &mut impl Reads, mission: &MissionName, agent: &AgentName) -> Result<i64, StoreError> {
    let select = sql("SELECT MAX(epoch) FROM epochs WHERE mission = $1 AND agent = $2")
        .bind(mission.as_str().to_owned())
        .bind(agent.as_str().to_owned());
    Ok(row::number(db, select).await?.unwrap_or(0))
}
