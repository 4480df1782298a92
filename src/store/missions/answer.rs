use super::super::error::StoreError;
use super::super::row::{self, sql};
use super::super::tx::{Reads, Tx};
use super::append::{close, load_part};
use super::standing::Standing;
use super::{Actor, Decided, HandoffPhase, HandoffRow, handoff_columns};
use crate::mission::{MissionError, Part};
use crate::pool::{MissionName, Timestamp};

/// The recipient takes the part over: from now on it is theirs. `said_at` is when the answer came in,
/// which decides whether it was in time. Accepting again changes nothing.
pub async fn accept(
    tx: &mut Tx,
    mission: &MissionName,
    handoff_id: &str,
    by: Actor<'_>,
    said_at: Timestamp,
    now: Timestamp,
) -> Result<Decided<HandoffRow>, StoreError> {
    let (mut row, part) = match answerable(tx, mission, handoff_id, by).await? {
        Ok(found) => found,
        Err(refused) => return Ok(Err(refused)),
    };
    if row.state == HandoffPhase::Accepted && row.recipient == *by.name {
        return Ok(Ok(row));
    }
    let after = match settled(&row).map_or_else(|| part.accept(handoff_id, by.name.as_str(), said_at), Err) {
        Ok(after) => after,
        Err(refused) => return Ok(Err(refused)),
    };
    close(tx, mission, handoff_id, HandoffPhase::Accepted, now, None).await?;
    own(tx, mission, &after.name, &after.owner, now).await?;
    (row.state, row.closed_at) = (HandoffPhase::Accepted, Some(now));
    Ok(Ok(row))
}

/// The recipient does not want the part: it stays with whom it was. Declining again changes nothing.
pub async fn decline(
    tx: &mut Tx,
    mission: &MissionName,
    handoff_id: &str,
    by: Actor<'_>,
    reason: &str,
    (said_at, now): (Timestamp, Timestamp),
) -> Result<Decided<HandoffRow>, StoreError> {
    let (mut row, part) = match answerable(tx, mission, handoff_id, by).await? {
        Ok(found) => found,
        Err(refused) => return Ok(Err(refused)),
    };
    if row.state == HandoffPhase::Declined && row.recipient == *by.name {
        return Ok(Ok(row));
    }
    match settled(&row).map_or_else(|| part.decline(handoff_id, by.name.as_str(), said_at), Err) {
        Ok(_) => {}
        Err(refused) => return Ok(Err(refused)),
    }
    close(tx, mission, handoff_id, HandoffPhase::Declined, now, Some(reason.to_owned())).await?;
    (row.state, row.closed_at, row.reason) = (HandoffPhase::Declined, Some(now), Some(reason.to_owned()));
    Ok(Ok(row))
}

/// Takes an offer back that nobody answered; tells whether it was open. The gateway does this for itself.
pub async fn withdraw(
    tx: &mut Tx,
    mission: &MissionName,
    handoff_id: &str,
    now: Timestamp,
) -> Result<Option<HandoffRow>, StoreError> {
    let Some(mut row) = super::handoff(tx, mission, handoff_id).await? else { return Ok(None) };
    if row.state != HandoffPhase::Offered {
        return Ok(None);
    }
    close(tx, mission, handoff_id, HandoffPhase::Expired, now, None).await?;
    (row.state, row.closed_at) = (HandoffPhase::Expired, Some(now));
    Ok(Some(row))
}

/// The recipient's answer as it came by the way on which the gateway asked it: accepted, or declined for a reason.
/// Whoever answers there is the recipient, whatever incarnations are attached. Tells whether it was open.
pub async fn answered_by_delivery(
    tx: &mut Tx,
    mission: &MissionName,
    handoff_id: &str,
    declined: Option<&str>,
    now: Timestamp,
) -> Result<Option<HandoffRow>, StoreError> {
    let Some(mut row) = super::handoff(tx, mission, handoff_id).await? else { return Ok(None) };
    if row.state != HandoffPhase::Offered {
        return Ok(None);
    }
    let state = if declined.is_some() { HandoffPhase::Declined } else { HandoffPhase::Accepted };
    close(tx, mission, handoff_id, state, now, declined.map(str::to_owned)).await?;
    if declined.is_none() {
        own(tx, mission, row.part.as_str(), row.recipient.as_str(), now).await?;
    }
    (row.state, row.closed_at, row.reason) = (state, Some(now), declined.map(str::to_owned));
    Ok(Some(row))
}

async fn own(tx: &mut Tx, mission: &MissionName, part: &str, owner: &str, now: Timestamp) -> Result<(), StoreError> {
    let upsert = sql("INSERT INTO mission_parts (mission, part, owner, since) VALUES ($1, $2, $3, $4)
         ON CONFLICT (mission, part) DO UPDATE SET owner = excluded.owner, since = excluded.since")
    .bind(mission.as_str().to_owned())
    .bind(part.to_owned())
    .bind(owner.to_owned())
    .bind(now.as_millis());
    tx.run(upsert).await
}

/// Ends up to `limit` handoffs whose time is over at `now`, the oldest first, and tells which: their
/// senders are to hear of it.
pub async fn expire_due(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<HandoffRow>, StoreError> {
    let due = sql(concat!(
        handoff_columns!(),
        "WHERE state = 'offered' AND expires_at <= $1 ORDER BY expires_at, mission, id LIMIT $2"
    ))
    .bind(now.as_millis())
    .bind(i64::from(limit));
    let mut rows: Vec<HandoffRow> = row::all(tx, due).await?;
    for row in &mut rows {
        close(tx, &row.mission, &row.id, HandoffPhase::Expired, now, None).await?;
        (row.state, row.closed_at) = (HandoffPhase::Expired, Some(now));
    }
    Ok(rows)
}

/// When the next handoff is over that waits for an answer; None if none waits.
pub async fn next_expiry(db: &mut impl Reads) -> Result<Option<Timestamp>, StoreError> {
    let select = sql("SELECT MIN(expires_at) FROM mission_handoffs WHERE state = 'offered'");
    Ok(row::number(db, select).await?.map(Timestamp::from_millis))
}

/// The handoff with the part that it moves, for somebody whose incarnation may write.
async fn answerable(
    tx: &mut Tx,
    mission: &MissionName,
    handoff_id: &str,
    by: Actor<'_>,
) -> Result<Decided<(HandoffRow, Part)>, StoreError> {
    let standing = match Standing::load(tx, mission, by.name).await? {
        Ok(standing) => standing,
        Err(refused) => return Ok(Err(refused)),
    };
    if let Err(refused) = standing.admit(tx, mission, by.claim).await? {
        return Ok(Err(refused));
    }
    let select = sql(concat!(handoff_columns!(), "WHERE mission = $1 AND id = $2"))
        .bind(mission.as_str().to_owned())
        .bind(handoff_id.to_owned());
    let Some(row) = row::optional::<HandoffRow>(tx, select).await? else {
        return Ok(Err(MissionError::UnknownHandoff(handoff_id.to_owned())));
    };
    let part = load_part(tx, mission, &row.part).await?;
    let part = part.unwrap_or_else(|| Part { offer: None, ..Part::new(row.part.as_str()) });
    Ok(Ok((row, part)))
}

/// Why a handoff that is over is not answered any more.
fn settled(row: &HandoffRow) -> Option<MissionError> {
    let closed = row.state != HandoffPhase::Offered;
    closed.then(|| MissionError::OfferClosed { handoff_id: row.id.clone(), state: row.state.as_str() })
}
