//! A whole mission that comes in, in the reference's form. It goes in by slices behind everything else that
//! writes, so it has no transaction of its own; what a crash leaves takes no events, and is cleared when it is
//! imported again.

use std::sync::Arc;

use serde_json::{Value, json};

use super::act::limits;
use super::who::name_of;
use crate::approval::{PersonId, Speaker};
use crate::gateway::Gateway;
use crate::gateway::ledger::Entry;
use crate::mission::{MissionBus, MissionError, MissionRole, Stamp, event_time};
use crate::pool::{MissionName, Timestamp};
use crate::store::{self, StoreError, missions};
use crate::web::missions::{NotShown, Seen};
use crate::web::{self, Shown};
use crate::wording;

/// Takes it over for this user of the machine, if they may make it.
pub async fn import(gateway: &Arc<Gateway>, uid: u32, value: Value) -> Result<Seen, StoreError> {
    let now = gateway.clock.now();
    let refused = |refused: MissionError| {
        let text = wording::bus_refusal(&refused, &Default::default(), &gateway.setting(None), now);
        Ok(Err(NotShown::Refused { name: None, mission: None, refused, text }))
    };
    let bus = match read(value, now, &mut || gateway.ids.id(now)) {
        Ok(bus) => bus,
        Err(error) => return refused(error),
    };
    let limit = limits(gateway).event_bytes;
    let name = match bus.keepable(limit) {
        Ok(name) => name,
        Err(error) => return refused(error),
    };
    let job = Arc::clone(gateway);
    let asked = name.clone();
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
    match missions::import(&gateway.store, bus, &by, limit, now).await? {
        Ok(events) => {
            let body = json!({ "mission": name, "by": by, "events": events, "participants": participants });
            let written = store::journal::Entry { kind: "mission.imported".into(), agent: None, body: body.clone() };
            let journaled = gateway
                .store
                .write(move |tx| Box::pin(async move { store::journal::append(tx, &[written], now).await.map(drop) }));
            journaled.await?;
            Ok(Ok(Shown::new(wording::imported(&name, events), &body)))
        }
        Err(error) => refused(error),
    }
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
