use super::super::error::StoreError;
use super::super::row::sql;
use super::super::tx::Tx;
use super::Decided;
use super::standing::{Standing, incarnations};
use crate::mission::{Attach, Capability, MissionError, Nonce};
use crate::pool::{AgentName, MissionName, Timestamp};

/// An incarnation of `agent` begins: the epoch under which it writes, if it is the first to attach
/// to it. Attaching again with the same nonce answers the same.
pub async fn attach(
    tx: &mut Tx,
    mission: &MissionName,
    agent: &AgentName,
    nonce: &Nonce,
    now: Timestamp,
) -> Result<Decided<i64>, StoreError> {
    let standing = match Standing::load(tx, mission, agent).await? {
        Ok(standing) => standing,
        Err(refused) => return Ok(Err(refused)),
    };
    if standing.role.is_none() {
        return Ok(Err(MissionError::Lacks { name: agent.to_string(), capability: Capability::Read }));
    }
    let epoch = match incarnations(tx, mission, agent).await?.attach(nonce) {
        Ok(Attach::Again { epoch }) => return Ok(Ok(epoch)),
        Ok(Attach::New { epoch }) => epoch,
        Err(refused) => return Ok(Err(refused)),
    };
    let insert = sql("INSERT INTO mission_attachments (mission, agent, epoch, nonce, attached_at)
         VALUES ($1, $2, $3, $4, $5)")
    .bind(mission.as_str().to_owned())
    .bind(agent.as_str().to_owned())
    .bind(epoch)
    .bind(nonce.as_hash().to_owned())
    .bind(now.as_millis());
    tx.insert("mission_attachments", agent.as_str(), insert).await?;
    Ok(Ok(epoch))
}
