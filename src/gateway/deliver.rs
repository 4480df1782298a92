//! Sends what is due. A message is marked as sent only after its channel has it: after a kill in
//! between it is sent again (at least once).

use std::sync::Arc;

use super::ledger::{self, Entry};
use super::speak::{Body, TERMINAL};
use super::{Gateway, TaskName, inbox};
use crate::channel::{Channel, Delivery, Outgoing};
use crate::incident::{self, Step};
use crate::pool::IncidentId;
use crate::store::messages::{MessageKind, MessageRow};
use crate::store::{self, StoreError};
use crate::wording::Alarm;

/// Messages that are sent in one go and marked in one transaction.
const TOGETHER: u32 = 50;

/// Sends what is due on `channel`; tells how many messages.
pub async fn step(gateway: &Arc<Gateway>, channel: &dyn Channel) -> Result<usize, StoreError> {
    let mut sent = 0;
    if !gateway.in_force().config.gate.channels.terminal.enabled {
        return Ok(sent);
    }
    loop {
        let now = gateway.clock.now();
        let rows = {
            let mut read = gateway.store.read().await?;
            store::messages::due(&mut read, TERMINAL, now, TOGETHER).await?
        };
        if rows.is_empty() {
            return Ok(sent);
        }
        let mut outcomes = Vec::with_capacity(rows.len());
        for row in rows {
            let text = serde_json::from_str::<Body>(&row.body).map_or_else(|_| row.body.clone(), |body| body.text);
            let message = Outgoing { target: &row.target, text: &text, replaces: row.remote_id.as_deref() };
            let delivered = channel.deliver(message).await;
            let failed = matches!(delivered, Delivery::Retry { .. });
            outcomes.push((row, delivered));
            if failed {
                break;
            }
        }
        fail_point!("deliver.before_marked");
        let (marked, stuck) = match mark_together(gateway, outcomes.clone()).await {
            Err(error) if inbox::is_the_works_own(&error) => mark_one_by_one(gateway, outcomes).await?,
            marked => marked?,
        };
        fail_point!("deliver.after_marked");
        sent += marked;
        gateway.bells.plan.notify_one();
        if stuck {
            return Ok(sent);
        }
    }
}

async fn mark_together(
    gateway: &Arc<Gateway>,
    outcomes: Vec<(MessageRow, Delivery)>,
) -> Result<(usize, bool), StoreError> {
    let job = Arc::clone(gateway);
    gateway.store.write(move |tx| Box::pin(async move { mark(tx, &job, outcomes).await })).await
}

/// A message about a damaged case must not keep the others from being marked, or they would all be
/// sent again and again (invariant 13).
async fn mark_one_by_one(
    gateway: &Arc<Gateway>,
    outcomes: Vec<(MessageRow, Delivery)>,
) -> Result<(usize, bool), StoreError> {
    let (mut marked, mut stuck) = (0, false);
    for outcome in outcomes {
        let id = outcome.0.id.clone();
        match mark_together(gateway, vec![outcome]).await {
            Ok((one, later)) => {
                marked += one;
                stuck |= later;
            }
            Err(error) if inbox::is_the_works_own(&error) => {
                tracing::error!(message = id, error = inbox::chain(&error), "a message is given up");
                gateway.store.write(move |tx| Box::pin(async move { store::messages::gone(tx, &id).await })).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok((marked, stuck))
}

/// Marks what was sent; the first delivery of a request starts its clock.
async fn mark(
    tx: &mut store::Tx,
    gateway: &Arc<Gateway>,
    outcomes: Vec<(MessageRow, Delivery)>,
) -> Result<(usize, bool), StoreError> {
    let entry = Entry::open(tx, gateway).await?;
    let (mut marked, mut stuck) = (0, false);
    for (row, delivered) in outcomes {
        match delivered {
            Delivery::Delivered { remote_id } => {
                store::messages::sent(tx, &row, remote_id.as_deref(), entry.now, &entry.id()).await?;
                gateway.status.settle("terminal");
                marked += 1;
                if row.kind == MessageKind::Card {
                    delivered_card(tx, &entry, &row).await?;
                }
            }
            Delivery::Retry { after, why } => {
                tracing::warn!(channel = TERMINAL, why, "a message could not be sent and is tried again");
                let down = Alarm::ChannelDown { channel: TERMINAL.into(), why };
                gateway.status.raise("terminal", down, entry.now);
                store::messages::failed(tx, &row.id, entry.now.plus(after)).await?;
                stuck = true;
            }
            Delivery::Gone { why } => {
                tracing::warn!(channel = TERMINAL, why, "a message can never be sent");
                store::messages::gone(tx, &row.id).await?;
            }
        }
    }
    Ok((marked, stuck))
}

async fn delivered_card(tx: &mut store::Tx, entry: &Entry, row: &MessageRow) -> Result<(), StoreError> {
    let Some(about) = &row.about else { return Ok(()) };
    let Some(request) = store::requests::load(tx, about).await? else { return Ok(()) };
    let Some(case) = ledger::case_of(tx, &IncidentId(request.incident_id)).await? else { return Ok(()) };
    let ttl = entry.in_force().timing.approval_ttl;
    let is_newest = case.request.as_ref().is_some_and(|newest| newest.id.0 == *about);
    if is_newest && case.is_open() {
        let now = entry.now;
        entry.quietly(tx, case, |case| Step::quiet(incident::delivered(case, now, ttl))).await?;
    }
    Ok(())
}

/// Runs until the daemon stops; then sends what is still due, once.
pub async fn run(gateway: Arc<Gateway>, channel: Arc<dyn Channel>) {
    loop {
        let stopping = gateway.bells.is_stopping();
        match step(&gateway, channel.as_ref()).await {
            Ok(0) => {}
            Ok(sent) => {
                gateway.status.task(TaskName::Deliver, true, format!("{sent} messages sent"), gateway.clock.now());
            }
            Err(error) => {
                let says = inbox::chain(&error);
                tracing::error!(error = says, "messages wait");
                gateway.status.task(TaskName::Deliver, false, says, gateway.clock.now());
            }
        }
        if stopping {
            return;
        }
        let period = gateway.in_force().config.gate.timing.idle_tick;
        tokio::select! {
            () = gateway.bells.deliver.notified() => {}
            () = tokio::time::sleep(period) => {}
            () = gateway.bells.stopped() => {}
        }
    }
}
