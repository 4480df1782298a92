//! The contract of the store, told to a real file.

mod aggregates;
mod copies;
mod inbox;
mod journal;
mod messages;
mod missions;
mod opening;
mod restored;
mod writer;

use std::path::PathBuf;

use tempfile::TempDir;

use super::{OpenOptions, Store, StoreError, Tx, incidents, requests};
use crate::pool::{AgentName, MissionName, Timestamp};

/// A store in a folder of its own, which goes with it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("store").join("lazarus.db")
    }

    async fn open(&self) -> Store {
        Store::open(&self.file(), OpenOptions::default()).await.unwrap()
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

fn mission(name: &str) -> MissionName {
    MissionName::new(name).unwrap()
}

/// Writes in the closure's transaction and returns what it returns.
macro_rules! job {
    ($store:expr, |$tx:ident| $body:expr) => {
        $store.write(move |$tx| Box::pin(async move { $body })).await
    };
}
use job;

async fn open_incident(tx: &mut Tx, id: &str, who: &str) -> Result<(), StoreError> {
    let new = incidents::NewIncident {
        id,
        agent: &agent(who),
        mission: &mission("forge"),
        opened_at: at(1),
        body: &serde_json::json!({"v": 1}),
    };
    incidents::insert(tx, new).await
}

async fn ask(tx: &mut Tx, id: &str, incident_id: &str, who: &str, key: &str) -> Result<(), StoreError> {
    let new = requests::NewRequest {
        id,
        incident_id,
        agent: &agent(who),
        mission: &mission("forge"),
        approval_key: key,
        key_second: key.rsplit(':').next().and_then(|second| second.parse().ok()).unwrap_or(0),
        code: "K7M2QX",
        created_at: at(2),
        body: &serde_json::json!({"v": 1}),
    };
    requests::insert(tx, new).await
}
