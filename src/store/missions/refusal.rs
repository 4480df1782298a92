use serde_json::{Value, json};

use super::super::error::StoreError;
use super::super::journal::{self, Entry, Filter, JournalRow};
use super::super::tx::{Reads, Tx};
use super::Decided;
use super::standing::Standing;
use crate::mission::{Capability, MissionError};
use crate::pool::{AgentName, MissionName, Timestamp};

/// What refusals are called in the journal.
const KIND: &str = "mission.refused";
/// Entries of the journal that are looked through at once for those of one mission.
const PAGE: u32 = 200;
/// Pages that are looked through at most: what lies further back is found in the journal.
const PAGES: u32 = 50;

/// Writes down that `name` was refused what it wanted (`doing`, in a word or two). Who is no
/// participant at all should be written down sparingly: a flood of strangers fills the journal.
pub async fn note_refusal(
    tx: &mut Tx,
    mission: &MissionName,
    name: &AgentName,
    doing: &str,
    refused: &MissionError,
    now: Timestamp,
) -> Result<(), StoreError> {
    let capability = match refused {
        MissionError::Lacks { capability, .. } => Value::from(capability.as_str()),
        _ => Value::Null,
    };
    let body = json!({
        "mission": mission.as_str(), "name": name.as_str(), "doing": doing,
        "capability": capability, "why": refused.to_string(),
    });
    journal::append(tx, &[Entry { kind: KIND.into(), agent: Some(name.clone()), body }], now).await?;
    Ok(())
}

/// The mission's newest refusals, newest first, for `reader`, who must have `audit`.
pub async fn refusals(
    db: &mut impl Reads,
    mission: &MissionName,
    reader: &AgentName,
    limit: usize,
) -> Result<Decided<Vec<JournalRow>>, StoreError> {
    let standing = Standing::load(db, mission, reader).await?;
    if let Err(refused) = standing.and_then(|standing| standing.require(Capability::Audit)) {
        return Ok(Err(refused));
    }
    all_refusals(db, mission, limit).await.map(Ok)
}

/// The same for whoever was found to be allowed to audit, such as the owner of the store.
pub async fn all_refusals(
    db: &mut impl Reads,
    mission: &MissionName,
    limit: usize,
) -> Result<Vec<JournalRow>, StoreError> {
    let filter = Filter { kind: Some(KIND.into()), ..Filter::default() };
    let (mut found, mut before) = (Vec::new(), None);
    for _ in 0..PAGES {
        let rows = journal::page(db, before, PAGE, &filter).await?;
        let Some(last) = rows.last() else { break };
        before = Some(last.seq);
        let is_ours = |row: &JournalRow| {
            let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
            body["mission"] == mission.as_str()
        };
        found.extend(rows.into_iter().filter(is_ours));
        if found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}
