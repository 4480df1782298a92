//! Ends the handoffs that nobody answered in time, and tells those who wait for them. An answer counts by when
//! it came in, so nothing ends while an earlier input waits to be worked off.

use std::sync::Arc;
use std::time::Duration;

use super::act::{Acting, moved};
use crate::gateway::ledger::Entry;
use crate::gateway::{Gateway, TaskName, inbox};
use crate::pool::AgentName;
use crate::store::missions::{self, GATEWAY};
use crate::store::{self, StoreError, Tx};

/// The shortest look at what is due next.
const BREATH: Duration = Duration::from_millis(5);

/// Ends what is due; tells how many.
pub async fn step(gateway: &Arc<Gateway>) -> Result<usize, StoreError> {
    let mut all = 0;
    loop {
        let now = gateway.clock.now();
        let next = missions::next_expiry(&mut gateway.store.read().await?).await?;
        if next.is_none_or(|next| next > now) {
            return Ok(all);
        }
        let job = Arc::clone(gateway);
        let ended = gateway.store.write(move |tx| Box::pin(async move { end(tx, &job).await })).await?;
        if ended == 0 {
            return Ok(all);
        }
        all += ended;
        gateway.bells.deliver();
    }
}

async fn end(tx: &mut Tx, gateway: &Arc<Gateway>) -> Result<usize, StoreError> {
    let mut entry = Entry::open(tx, gateway).await?;
    entry.let_expire(tx).await?;
    if entry.expiry_waits() {
        return Ok(0);
    }
    let rows = missions::expire_due(tx, entry.now, store::SLICE).await?;
    let Ok(name) = AgentName::new(GATEWAY) else { return Ok(0) };
    let who = Acting { name: &name, claim: None, by: GATEWAY };
    for row in &rows {
        moved(tx, &entry, who, "mission.handoff_expired", row, None).await?;
    }
    Ok(rows.len())
}

/// Runs until the daemon stops.
pub async fn run(gateway: Arc<Gateway>) {
    while !gateway.bells.is_stopping() {
        match step(&gateway).await {
            Ok(0) => {}
            Ok(ended) => {
                let says = format!("{ended} handoffs expired");
                gateway.status.task(TaskName::Missions, true, says, gateway.clock.now());
            }
            Err(error) => {
                let says = inbox::chain(&error);
                tracing::error!(error = says, "handoffs that are over wait");
                gateway.status.task(TaskName::Missions, false, says, gateway.clock.now());
            }
        }
        let pause = pause(&gateway).await;
        tokio::select! {
            () = gateway.bells.mission.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = gateway.bells.stopped() => {}
        }
    }
}

/// Until the next one is over, a tick at most; one that is over and has to wait is looked at again in a tick.
async fn pause(gateway: &Gateway) -> Duration {
    let tick = gateway.in_force().config.gate.timing.idle_tick;
    let next = match gateway.store.read().await {
        Ok(mut read) => missions::next_expiry(&mut read).await.ok().flatten(),
        Err(_) => None,
    };
    let left = next.map(|next| next.since(gateway.clock.now())).filter(|left| !left.is_zero());
    left.map_or(tick, |left| left.clamp(BREATH, tick.max(BREATH)))
}
