//! A whole mission that comes in, in the reference's form. It goes in by slices behind everything else that
//! writes, so it has no transaction of its own; what a crash leaves takes no events, and is cleared at the next
//! start. It is a task of its own: whoever sent it may go away meanwhile. One comes in at a time.

use std::sync::Arc;

use serde_json::{Value, json};

use super::act::limits;
use super::who::name_of;
use crate::approval::{Approves, PersonId, Speaker};
use crate::config::gate::BusRole;
use crate::gateway::ledger::Entry;
use crate::gateway::{Gateway, inbox, speak};
use crate::mission::{MissionBus, MissionError, MissionRole, Stamp, event_time};
use crate::pool::{MissionName, Timestamp};
use crate::store::missions::{self, MissionPhase};
use crate::store::{Store, StoreError};
use crate::web::missions::{NotShown, Seen};
use crate::web::{self, ImportSlot, NoSlot, Shown};
use crate::wording::{self, Alarm};

/// Most bytes of a mission of the store's owner: a million events of some hundred bytes.
const OWNER_MAX: usize = 512 * 1024 * 1024;
/// Most bytes of anybody else's: it lies in the daemon's memory before it is known which mission it is.
const OTHERS_MAX: usize = 64 * 1024 * 1024;

/// Whether this user of the machine may send a mission now. Which one it is, and whether they may make that,
/// is only known once it is here; who may make none need not send any.
pub fn slot(gateway: &Gateway, uid: u32) -> Result<ImportSlot, NoSlot> {
    let max_bytes = if web::is_owner(uid) { OWNER_MAX } else { OTHERS_MAX };
    if !web::is_owner(uid) {
        let in_force = gateway.in_force();
        let speaker = Speaker::LocalUser(uid);
        let Some(person) = in_force.people.who(&speaker) else {
            return Err(NoSlot::NotAllowed { text: wording::stranger(&speaker) });
        };
        let decides = match &person.approves {
            Approves::All => true,
            Approves::Missions(missions) => !missions.is_empty(),
        };
        let known = in_force.config.gate.people.iter().find(|entry| entry.id == person.id);
        let leads = known.is_some_and(|entry| entry.participant.values().any(|one| one.role == BusRole::Lead));
        if !decides && !leads {
            return Err(NoSlot::NotAllowed { text: wording::may_make_none(&person.id) });
        }
    }
    match Arc::clone(&gateway.importing).try_lock_owned() {
        Ok(alone) => Ok(ImportSlot { max_bytes, alone }),
        Err(_) => Err(NoSlot::Busy),
    }
}

/// Takes it over for this user of the machine, if they may make it.
pub async fn import(gateway: &Arc<Gateway>, uid: u32, slot: ImportSlot, value: Value) -> Result<Seen, StoreError> {
    let job = Arc::clone(gateway);
    let alone = tokio::spawn(async move {
        let _slot = slot;
        take_over(&job, uid, value).await
    });
    alone.await.map_err(|error| StoreError::Panicked(error.to_string()))?
}

async fn take_over(gateway: &Arc<Gateway>, uid: u32, value: Value) -> Result<Seen, StoreError> {
    let now = gateway.clock.now();
    let refused = |refused: MissionError| {
        let text = wording::bus_refusal(&refused, &Default::default(), &gateway.setting(None), now);
        Ok(Err(NotShown::Refused { name: None, mission: None, refused, text }))
    };
    let limit = limits(gateway).event_bytes;
    let job = Arc::clone(gateway);
    // It may be as large as half a gigabyte.
    let looked_at = tokio::task::spawn_blocking(move || {
        let bus = read(value, now, &mut || job.ids.id(now))?;
        Ok((bus.keepable(limit)?, bus))
    });
    let (name, bus) = match looked_at.await.map_err(|error| StoreError::Panicked(error.to_string()))? {
        Ok(looked_at) => looked_at,
        Err(error) => return refused(error),
    };
    let (job, asked) = (Arc::clone(gateway), name.clone());
    // Who counts is read where everything else that decides reads it.
    let may = gateway.store.write(move |tx| {
        Box::pin(async move {
            let entry = Entry::open(tx, &job).await?;
            Ok(may_make(&entry, uid, &asked))
        })
    });
    let by = match may.await? {
        Ok(by) => by,
        Err(text) => return Ok(Err(NotShown::Nobody { text })),
    };
    let participants = bus.participants().iter().count();
    match missions::import(&gateway.store, bus, &by, limit, now).await {
        Ok(Ok(events)) => {
            let body = json!({ "mission": name, "by": by, "events": events, "participants": participants });
            Ok(Ok(Shown::new(wording::imported(&name, events), &body)))
        }
        Ok(Err(error)) => refused(error),
        Err(error) => {
            // At the end of the daemon this fails, too, and the next start does it.
            if let Err(left) = clear(gateway).await {
                tracing::error!(error = inbox::chain(&left), "what is left of an import could not be cleared");
            }
            Err(error)
        }
    }
}

/// Takes away what imports have left that were cut off by the end of the daemon; none can come in meanwhile.
pub fn clear_leftovers(gateway: &Arc<Gateway>) {
    let Ok(alone) = Arc::clone(&gateway.importing).try_lock_owned() else { return };
    let job = Arc::clone(gateway);
    tokio::spawn(async move {
        let _alone = alone;
        if let Err(error) = clear(&job).await {
            tracing::error!(error = inbox::chain(&error), "what is left of an import could not be cleared");
        }
    });
}

async fn clear(gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    for mission in half(&gateway.store).await? {
        // One that is open by now stays.
        if missions::discard(&gateway.store, &mission).await?.is_ok() {
            speak::raise(gateway, Alarm::ImportCut { mission }).await?;
        }
    }
    Ok(())
}

async fn half(store: &Store) -> Result<Vec<MissionName>, StoreError> {
    let all = missions::list(&mut store.read().await?).await?;
    Ok(all.into_iter().filter(|row| row.state == MissionPhase::Importing).map(|row| row.name).collect())
}

/// The mission of a file.
pub fn read(value: Value, now: Timestamp, new_id: &mut dyn FnMut() -> String) -> Result<MissionBus, MissionError> {
    let at = event_time(now);
    MissionBus::from_value(value, &mut Stamp { at: &at, new_id })
}

/// Who makes it, for the record; or what they are told.
fn may_make(entry: &Entry, uid: u32, mission: &MissionName) -> Result<String, String> {
    let speaker = Speaker::LocalUser(uid);
    let people = entry.people();
    match people.who(&speaker) {
        Some(person) if may_create(entry, &person.id, mission) => Ok(person.id.to_string()),
        // Whoever owns the store could put it there without us.
        _ if web::is_owner(uid) => Ok(speaker.to_string()),
        Some(person) => Err(wording::may_not_create(&person.id, mission, &who_may_create(entry, mission))),
        None => Err(wording::stranger(&speaker)),
    }
}

/// Whether a person may make the mission: who decides for it, and whom the files call its lead.
pub fn may_create(entry: &Entry, person: &PersonId, mission: &MissionName) -> bool {
    let leads = matches!(name_of(entry.in_force(), person, mission), Some((_, Some(MissionRole::Lead))));
    leads || entry.people().may_decide(person, mission)
}

/// Everybody who may.
pub fn who_may_create(entry: &Entry, mission: &MissionName) -> Vec<PersonId> {
    let people = entry.people().iter().map(|person| person.id.clone());
    people.filter(|person| may_create(entry, person, mission)).collect()
}
