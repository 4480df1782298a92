use serde_json::json;

use super::super::error::StoreError;
use super::super::journal::{self, Entry};
use super::super::open::Store;
use super::super::row::{self, sql};
use super::super::tx::{Tx, to_json};
use super::create::{self, NewMission};
use super::{Decided, EventRow, MissionPhase, append, verify};
use crate::mission::chain::Head;
use crate::mission::{MissionBus, MissionError, MissionEvent};
use crate::pool::{MissionName, Timestamp};
use crate::store::SLICE;

/// Takes a mission over from the reference's form, in slices behind everything else that writes. Its
/// events are of epoch 0, and its handoffs are history: none of them waits for an answer.
///
/// Everything is checked before anything is written. The mission takes no events until all of its own
/// are there, and is journaled when it is opened; what a crash leaves of it is taken away when it is imported
/// again, or by [`discard`]. Two imports of one mission at once are the caller's to prevent.
pub async fn import(
    store: &Store,
    bus: MissionBus,
    created_by: &str,
    event_bytes: usize,
    at: Timestamp,
) -> Result<Decided<i64>, StoreError> {
    let name = match bus.keepable(event_bytes) {
        Ok(name) => name,
        Err(refused) => return Ok(Err(refused)),
    };
    if let Err(refused) = discard(store, &name).await? {
        return Ok(Err(refused));
    }
    let created_by = created_by.to_owned();
    let (by, participants) = (created_by.clone(), bus.participants().iter().count());
    let (bus, events) = bus.split();
    let began = {
        let name = name.clone();
        store.write_low(move |tx| Box::pin(async move { begin(tx, &name, &bus, &created_by, at).await })).await?
    };
    if let Err(refused) = began {
        return Ok(Err(refused));
    }
    let mut head = Head::beginning();
    let mut events = events.into_iter();
    loop {
        let slice: Vec<MissionEvent> = events.by_ref().take(SLICE as usize).collect();
        if slice.is_empty() {
            break;
        }
        let name = name.clone();
        head = store.write_low(move |tx| Box::pin(async move { write_slice(tx, &name, head, slice).await })).await?;
    }
    let events = head.seq;
    store
        .write_low(move |tx| {
            Box::pin(async move {
                let update = sql("UPDATE missions SET state = 'open' WHERE name = $1 AND state = 'importing'")
                    .bind(name.as_str().to_owned());
                tx.update("missions", name.as_str(), MissionPhase::Importing.as_str(), update).await?;
                let body = json!({ "mission": name, "by": by, "events": events, "participants": participants });
                let entry = Entry { kind: "mission.imported".into(), agent: None, body };
                journal::append(tx, &[entry], at).await.map(drop)
            })
        })
        .await?;
    Ok(Ok(events))
}

/// The mission and its participants, without any event, closed to everybody until all of them are there.
async fn begin(
    tx: &mut Tx,
    name: &MissionName,
    bus: &MissionBus,
    created_by: &str,
    at: Timestamp,
) -> Result<Decided<()>, StoreError> {
    if create::exists(tx, name).await? {
        return Ok(Err(MissionError::MissionExists(name.to_string())));
    }
    let config = bus.config().raw();
    let new = NewMission { name, title: "", config, lead: None, created_by, at };
    create::insert(tx, &new, bus.title(), config, MissionPhase::Importing).await?;
    for (_, participant) in bus.participants().iter() {
        create::set(tx, name, participant, at).await?;
    }
    Ok(Ok(()))
}

async fn write_slice(
    tx: &mut Tx,
    name: &MissionName,
    from: Head,
    slice: Vec<MissionEvent>,
) -> Result<Head, StoreError> {
    let mut head = from.clone();
    let mut rows = Vec::with_capacity(slice.len());
    for event in slice {
        let body = to_json("mission_events", event.id(), &event)?;
        let row = EventRow::chained(name, &head, &event, body, 0);
        head = Head { seq: row.seq, hash: row.hash.clone() };
        rows.push(row);
    }
    append::insert_rows(tx, name, rows).await?;
    append::move_head(tx, name, &from, &head).await?;
    Ok(head)
}

/// Takes away, slice by slice, what an import that did not end has left; a mission that is open or
/// does not exist stays as it is.
pub async fn discard(store: &Store, name: &MissionName) -> Result<Decided<()>, StoreError> {
    let state = super::mission(&mut store.read().await?, name).await?.map(|row| row.state);
    match state {
        Some(MissionPhase::Importing) => {}
        Some(MissionPhase::Open) => return Ok(Err(MissionError::MissionExists(name.to_string()))),
        None => return Ok(Ok(())),
    }
    loop {
        let slice = name.clone();
        let left = store.write_low(move |tx| Box::pin(async move { delete_slice(tx, &slice).await })).await?;
        if !left {
            return Ok(Ok(()));
        }
    }
}

/// Deletes the last slice of events, then the mission; whether anything is left.
async fn delete_slice(tx: &mut Tx, name: &MissionName) -> Result<bool, StoreError> {
    let importing =
        sql("SELECT 1 FROM missions WHERE name = $1 AND state = 'importing'").bind(name.as_str().to_owned());
    if row::number(tx, importing).await?.is_none() {
        return Ok(false);
    }
    let Some(head) = verify::head(tx, name).await? else { return Ok(false) };
    let from = (head.seq - i64::from(SLICE)).max(0);
    let events =
        sql("DELETE FROM mission_events WHERE mission = $1 AND seq > $2").bind(name.as_str().to_owned()).bind(from);
    tx.run(events).await?;
    if from > 0 {
        // The hash means nothing in between: the mission never opens again.
        append::move_head(tx, name, &head, &Head { seq: from, hash: head.hash.clone() }).await?;
        return Ok(true);
    }
    for statement in [
        "DELETE FROM mission_heads WHERE mission = $1",
        "DELETE FROM mission_parts WHERE mission = $1",
        "DELETE FROM mission_participants WHERE mission = $1",
        "DELETE FROM missions WHERE name = $1",
    ] {
        tx.run(sql(statement).bind(name.as_str().to_owned())).await?;
    }
    Ok(false)
}
