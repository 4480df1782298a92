//! What Telegram may have dropped while we could not poll: it keeps taps for 150 s. Then people are told,
//! on fresh cards, and nothing expires before they could tap again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::SOURCE;
use crate::approval::Channel;
use crate::gateway::ledger::{self, Entry};
use crate::gateway::{Gateway, copies, drill, start};
use crate::pool::Timestamp;
use crate::store::messages::{MessageRow, MessageState};
use crate::store::{self, StoreError, Tx};

/// So long Telegram keeps a tap that nobody fetches.
const TAPS_KEPT: Duration = Duration::from_secs(150);
/// How exactly it is remembered when we last polled.
pub const REMEMBERED: Duration = Duration::from_secs(20);

/// When Telegram last answered a poll, kept as an offset of its own.
pub const SEEN: &str = "telegram.seen";

/// When Telegram last answered a poll, in this run or an earlier one.
pub async fn last_seen(gateway: &Gateway) -> Result<Option<Timestamp>, StoreError> {
    let mut read = gateway.store.read().await?;
    let text = store::inbox::offset(&mut read, SEEN).await?;
    Ok(text.and_then(|text| text.parse().ok()).map(Timestamp::from_millis))
}

/// Telegram has answered without anything new.
pub async fn remember(gateway: &Gateway, now: Timestamp) -> Result<(), StoreError> {
    let at = now.as_millis().to_string();
    gateway.store.write_low(move |tx| Box::pin(async move { store::inbox::set_offset(tx, SEEN, &at).await })).await
}

/// Between which moments Telegram may have dropped taps, if it did not hear from us for so long.
pub fn dropped(silent: Duration, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    (silent > TAPS_KEPT).then(|| (now.minus(silent), now.minus(TAPS_KEPT)))
}

/// Telegram answers again: what waits to be sent goes at once, and nobody loses the time to answer.
pub async fn back(gateway: &Arc<Gateway>, now: Timestamp) -> Result<(), StoreError> {
    gateway.store.write(move |tx| Box::pin(async move { store::messages::lift(tx, SOURCE, now).await })).await?;
    gateway.bells.deliver();
    start::extend_pending(gateway).await
}

/// Taps may have been dropped: every request that is still pending is shown afresh.
pub async fn show_pending(gateway: &Arc<Gateway>, from: Timestamp, to: Timestamp) -> Result<(), StoreError> {
    let job = Arc::clone(gateway);
    gateway.store.write(move |tx| Box::pin(async move { show_afresh(tx, &job, from, to).await })).await?;
    gateway.bells.deliver();
    Ok(())
}

async fn show_afresh(tx: &mut Tx, gateway: &Arc<Gateway>, from: Timestamp, to: Timestamp) -> Result<(), StoreError> {
    let entry = Entry::open(tx, gateway).await?;
    let setting = entry.setting();
    let gap = format!("between {} and {}", setting.time(from, entry.now), setting.time(to, entry.now));
    let body = json!({ "from": from, "to": to });
    let journaled = store::journal::Entry { kind: "taps_may_be_lost".into(), agent: None, body };
    store::journal::append(tx, &[journaled], entry.now).await?;
    for (request, case) in ledger::pending(tx).await? {
        let old: Vec<MessageRow> = store::messages::cards(tx, &request.id.0).await?;
        let old: Vec<MessageRow> =
            old.into_iter().filter(|copy| copy.channel == SOURCE && copy.state != MessageState::Gone).collect();
        let card = copies::card(tx, &entry, &case, &request).await?;
        for copy in &old {
            // A copy that is still on its way has missed nothing.
            if copy.state == MessageState::Due {
                continue;
            }
            let banner = format!(
                "Taps {gap} may not have reached me. This request stands again below; it can be answered here, too."
            );
            copies::edit_as(tx, &entry, copy, &request, &card, Some(banner)).await?;
        }
        let fresh = old.iter().any(|copy| copy.state == MessageState::Due);
        for outlet in entry.outlets().iter().filter(|outlet| outlet.channel == Channel::Telegram && !fresh) {
            let banner = format!("Taps {gap} may not have reached me. If you tapped then, please tap again.");
            copies::put(tx, &entry, outlet, &request, &card, Some(banner)).await?;
        }
    }
    drill::show_afresh(tx, &entry, &gap).await
}
