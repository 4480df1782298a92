//! Deletes what is no longer needed, in slices that go behind everything else. The evidence of
//! decisions and the journal stay.

use std::sync::Arc;
use std::time::Duration;

use super::{Gateway, TaskName};
use crate::pool::Timestamp;
use crate::revival::{self, RunFile, RunName};
use crate::store::{self, StoreError};

/// How often it runs.
const PERIOD: Duration = Duration::from_secs(600);
/// How long sent notes are kept, and what agents were answered; cards stay with their requests.
const NOTES_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Deletes everything that is due; tells how many rows and files.
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
                    let drills = store::drills::purge(tx, before.1, slice).await?;
                    let tokens = store::tokens::purge(tx, before.1, slice).await?;
                    let answers = store::door::purge(tx, before.2, slice).await?;
                    let notes = store::messages::purge(tx, before.2, slice).await?;
                    let previews = store::missions::purge_previews(tx, before.1, slice).await?;
                    let pages = store::messages::purge_pages(tx, before.2, slice).await?;
                    Ok(inputs + codes + drills + tokens + answers + notes + previews + pages)
                })
            })
            .await?;
        deleted += rows;
        if rows == 0 || gateway.bells.is_stopping() {
            break;
        }
    }
    let before = now.minus(kept.runs);
    Ok(deleted + run_files(gateway, before, slice).await? + stray_files(gateway, before).await?)
}

/// A run file goes a day after the final state of its execution was committed.
async fn run_files(gateway: &Arc<Gateway>, before: Timestamp, slice: u32) -> Result<u64, StoreError> {
    let rows = {
        let mut read = gateway.store.read().await?;
        store::executions::runs_to_remove(&mut read, before, slice).await?
    };
    let mut removed = 0;
    for row in rows {
        let Some(name) = row.run.as_deref().and_then(|run| run.parse::<RunName>().ok()) else { continue };
        if !remove(RunFile::at(&gateway.runs, &name)).await {
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

/// The files that no execution names any more: of attempts that never started, and of a store that was replaced by
/// an older one. The former go with their execution, the latter by their own age. A live execution keeps all of its
/// own: the newest may have been made for an attempt that is not committed yet.
async fn stray_files(gateway: &Arc<Gateway>, before: Timestamp) -> Result<u64, StoreError> {
    let runs = gateway.runs.clone();
    let files = match tokio::task::spawn_blocking(move || revival::list(&runs)).await {
        Ok(Ok(files)) => files,
        failed => {
            tracing::warn!(?failed, "the run files could not be listed");
            return Ok(0);
        }
    };
    let mut removed = 0;
    for file in files {
        let execution = {
            let mut read = gateway.store.read().await?;
            store::executions::load(&mut read, file.name().execution()).await?
        };
        let due = match execution {
            Some(row) if row.state.is_live() => false,
            // The one that the row names went above, or could not.
            Some(row) => row.updated_at < before && row.run.as_deref() != Some(file.name().to_string().as_str()),
            None => file.changed_at().is_ok_and(|changed| changed < before),
        };
        if due && remove(file).await {
            removed += 1;
        }
        if gateway.bells.is_stopping() {
            break;
        }
    }
    Ok(removed)
}

/// Whether the file is gone; one that a shim still holds stays, to be looked at the next time.
async fn remove(file: RunFile) -> bool {
    let name = file.name().clone();
    match tokio::task::spawn_blocking(move || file.remove()).await {
        Ok(Ok(())) => true,
        failed => {
            tracing::warn!(run = %name, ?failed, "a run file could not be removed");
            false
        }
    }
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
