//! Deletes what is no longer needed, in slices that go behind everything else. The evidence of
//! decisions and the journal stay.

use std::sync::Arc;
use std::time::Duration;

use super::{Gateway, TaskName};
use crate::revival::{RunFolder, RunName};
use crate::store::{self, StoreError};

/// How often it runs.
const PERIOD: Duration = Duration::from_secs(600);
/// How long sent notes are kept; cards stay with their requests.
const NOTES_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Deletes everything that is due; tells how many rows and folders.
pub async fn step(gateway: &Arc<Gateway>) -> Result<u64, StoreError> {
    let kept = gateway.in_force().config.gate.retention.clone();
    let now = gateway.clock.now();
    let slice = store::SLICE;
    let mut deleted = 0;
    loop {
        let before = (now.minus(kept.inputs), now.minus(kept.codes), now.minus(NOTES_KEPT));
        let rows = gateway
            .store
            .write_low(move |tx| {
                Box::pin(async move {
                    let inputs = store::inbox::purge(tx, before.0, slice).await?;
                    let codes = store::requests::purge_codes(tx, before.1, slice).await?;
                    let notes = store::messages::purge(tx, before.2, slice).await?;
                    Ok(inputs + codes + notes)
                })
            })
            .await?;
        deleted += rows;
        if rows == 0 || gateway.bells.is_stopping() {
            break;
        }
    }
    Ok(deleted + run_folders(gateway, now.minus(kept.runs), slice).await?)
}

/// A run folder goes a day after the final state of its execution was committed.
async fn run_folders(gateway: &Arc<Gateway>, before: crate::pool::Timestamp, slice: u32) -> Result<u64, StoreError> {
    let rows = {
        let mut read = gateway.store.read().await?;
        store::executions::runs_to_remove(&mut read, before, slice).await?
    };
    let mut removed = 0;
    for row in rows {
        let Some(name) = row.run.as_deref().and_then(|run| run.parse::<RunName>().ok()) else { continue };
        let runs = gateway.runs.clone();
        let gone = tokio::task::spawn_blocking(move || RunFolder::at(&runs, &name).remove()).await;
        if !matches!(gone, Ok(Ok(()))) {
            tracing::warn!(execution = row.id, "its run folder could not be removed");
            continue;
        }
        let id = row.id;
        gateway
            .store
            .write_low(move |tx| Box::pin(async move { store::executions::forget_run(tx, &id).await }))
            .await?;
        removed += 1;
    }
    Ok(removed)
}

/// Runs until the daemon stops.
pub async fn run(gateway: Arc<Gateway>) {
    while !gateway.bells.is_stopping() {
        let now = gateway.clock.now();
        match step(&gateway).await {
            Ok(deleted) => gateway.status.task(TaskName::Retention, true, format!("{deleted} deleted"), now),
            Err(error) => gateway.status.task(TaskName::Retention, false, super::inbox::chain(&error), now),
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = gateway.bells.stopped() => {}
        }
    }
}
