//! Missions, told to a real file.

mod files;
mod handoffs;
mod incarnations;
mod streams;

use serde_json::{Value, json};

use super::super::missions::{self, Actor, Append, Appended, Decided, EventRow, Limits, NewEvent, NewMission};
use super::super::{Store, StoreError, Tx};
use super::*;
use crate::mission::{Claim, Draft, MissionRole};

/// A store with the mission `forge`: kim leads, ada and bob write, rae reads, amy audits.
async fn forge(place: &Place) -> Store {
    let store = place.open().await;
    job!(store, |tx| make(tx, "forge").await).unwrap();
    store
}

async fn make(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    let (name, lead) = (mission(name), agent("kim"));
    let config = Value::Null;
    let new = NewMission {
        name: &name,
        title: "the forge",
        config: &config,
        lead: Some(&lead),
        created_by: "kim",
        at: at(1),
    };
    missions::create(tx, new).await?.unwrap();
    for (who, role) in [
        ("ada", MissionRole::Write),
        ("bob", MissionRole::Write),
        ("rae", MissionRole::Read),
        ("amy", MissionRole::Audit),
    ] {
        missions::join(tx, &name, Actor::plain(&lead), &agent(who), role, Value::Null, at(2)).await?.unwrap();
    }
    Ok(())
}

fn message(id: &str) -> NewEvent {
    NewEvent::new(id, Draft::Message { topic: "t".into(), payload: json!({"id": id}) })
}

fn checkpoint(id: &str) -> NewEvent {
    NewEvent::new(id, Draft::Checkpoint { summary: "half".into(), state: json!({"step": 3}), artifacts: vec![] })
}

fn handoff(id: &str, recipient: &str, checkpoint_id: &str) -> NewEvent {
    let (recipient, checkpoint_id) = (recipient.into(), checkpoint_id.into());
    NewEvent::new(id, Draft::Handoff { recipient, checkpoint_id, note: "go on".into() })
}

/// Appends to `forge` as `who`.
async fn append_as(
    store: &Store,
    who: &str,
    claim: Option<Claim>,
    ms: i64,
    events: Vec<NewEvent>,
) -> Decided<Vec<Appended>> {
    let who = agent(who);
    let appended = job!(store, |tx| {
        let forge = mission("forge");
        let by = Append {
            mission: &forge,
            by: Actor { name: &who, claim: claim.as_ref() },
            at: at(ms),
            limits: Limits::default(),
        };
        missions::append(tx, &by, events).await
    });
    appended.unwrap()
}

async fn append(store: &Store, who: &str, event: NewEvent) -> Decided<Vec<Appended>> {
    append_as(store, who, None, 1000, vec![event]).await
}

/// The whole stream of `forge`, oldest first.
async fn stream(store: &Store) -> Vec<EventRow> {
    let mut db = store.read().await.unwrap();
    let mut rows = missions::page(&mut db, &mission("forge"), &agent("rae"), None, u32::MAX).await.unwrap().unwrap();
    rows.reverse();
    rows
}
