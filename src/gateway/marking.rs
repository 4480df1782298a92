//! What became of messages that were handed over, in the store.

use std::sync::Arc;
use std::time::Duration;

use super::ledger::{self, Entry};
use super::{Gateway, copies, drill, inbox, nostr, speak, telegram};
use crate::channel::Delivery;
use crate::incident::{self, Step};
use crate::store::messages::{MessageKind, MessageRow, MessageState};
use crate::store::{self, StoreError, Tx};
use crate::wording::Alarm;

/// What became of some messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marked {
    /// So many are on the other side.
    pub sent: usize,
    /// One of them is a request's card: only its first delivery sets a deadline.
    pub cards: bool,
    /// Their target takes no more until that is seen to.
    pub stuck: bool,
    /// Their target takes no more before this time has passed.
    pub again: Option<Duration>,
}

impl Marked {
    fn waits(&mut self, time: Duration) {
        // To whoever wants no pause nothing is sent again in the same breath.
        match time.is_zero() {
            true => self.stuck = true,
            false => self.again = Some(self.again.map_or(time, |known| known.min(time))),
        }
    }
}

/// So many attempts come at the channel's own pace, so that everything is out as soon as an outage ends; the
/// longer it lasts, the fewer there are.
const AT_ONCE: u32 = 20;
/// The longest wait, in times the channel's own wish.
const BACK_OFF_MAX: u32 = 30;
/// A chat that cannot be written to is tried again so soon the first time: the refusal may be older than the
/// news that we are back.
const LOST_FIRST: Duration = Duration::from_secs(2);
/// And from then on so often: somebody may have let us in again.
const LOST_AGAIN: Duration = Duration::from_secs(300);

/// So long a message to somebody waits for relays that are of no use before people are told.
const UNREACHED: Duration = Duration::from_secs(180);

/// Marks them, in one transaction.
pub async fn mark(gateway: &Arc<Gateway>, outcomes: &[(MessageRow, Delivery)]) -> Result<Marked, StoreError> {
    match mark_together(gateway, outcomes.to_vec()).await {
        Err(error) if inbox::is_the_works_own(&error) => mark_one_by_one(gateway, outcomes).await,
        marked => marked,
    }
}

async fn mark_together(gateway: &Arc<Gateway>, outcomes: Vec<(MessageRow, Delivery)>) -> Result<Marked, StoreError> {
    let job = Arc::clone(gateway);
    gateway.store.write(move |tx| Box::pin(async move { mark_all(tx, &job, outcomes).await })).await
}

/// A message about a damaged case must not keep the others from being marked, or they would all be
/// sent again and again (invariant 13).
async fn mark_one_by_one(gateway: &Arc<Gateway>, outcomes: &[(MessageRow, Delivery)]) -> Result<Marked, StoreError> {
    let mut all = Marked::default();
    for outcome in outcomes {
        let id = outcome.0.id.clone();
        match mark_together(gateway, vec![outcome.clone()]).await {
            Ok(one) => {
                all.sent += one.sent;
                all.cards |= one.cards;
                all.stuck |= one.stuck;
                all.again = [all.again, one.again].into_iter().flatten().min();
            }
            Err(error) if inbox::is_the_works_own(&error) => {
                tracing::error!(message = id, error = inbox::chain(&error), "a message is given up");
                gateway.store.write(move |tx| Box::pin(async move { store::messages::gone(tx, &id).await })).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

async fn mark_all(
    tx: &mut Tx,
    gateway: &Arc<Gateway>,
    outcomes: Vec<(MessageRow, Delivery)>,
) -> Result<Marked, StoreError> {
    let entry = Entry::open(tx, gateway).await?;
    let mut marked = Marked::default();
    for (row, delivered) in outcomes {
        let channel = row.channel.clone();
        match delivered {
            Delivery::Delivered { remote_id } => {
                marked.cards |= arrived(tx, gateway, &entry, &row, remote_id.as_deref()).await?;
                marked.sent += 1;
            }
            Delivery::Retry { after, why } => {
                tracing::warn!(channel, why, "a message could not be sent and is tried again");
                let said = why.clone();
                let down = Alarm::ChannelDown { channel: channel.clone(), why };
                gateway.status.raise(channel.clone(), down, entry.now);
                // One person's relays may be of no use while all of ours are there.
                let waits = entry.now.since(row.created_at) >= UNREACHED && row.attempts > 0;
                if waits && channel == nostr::SOURCE && is_ours(&entry, &row) {
                    let alarm = Alarm::ChatLost { chat: name_of(gateway, &row), why: said };
                    speak::alarm_lasts(tx, gateway, cause(&row), alarm, entry.now).await?;
                }
                let wait = after * (row.attempts / AT_ONCE).clamp(1, BACK_OFF_MAX);
                let again = entry.now.plus(wait);
                store::messages::failed(tx, &row.id, again).await?;
                // What stands behind it waits with it, or it would overtake.
                store::messages::postpone(tx, &channel, &row.target, again).await?;
                marked.waits(wait);
            }
            Delivery::Pause { after } => {
                store::messages::postpone(tx, &channel, &row.target, entry.now.plus(after)).await?;
                marked.waits(after);
            }
            Delivery::Moved { to } => {
                telegram::follow(tx, &entry, &row, &to).await?;
                marked.stuck = true;
            }
            Delivery::Lost { why } => {
                if let Some(wait) = lost(tx, gateway, &entry, &row, why).await? {
                    marked.waits(wait);
                }
            }
            Delivery::Gone { why } => {
                tracing::warn!(channel, why, "a message can never be sent");
                store::messages::gone(tx, &row.id).await?;
                shown_again(tx, gateway, &entry, &row).await?;
            }
            Delivery::Stopped { why } => {
                if row.channel == nostr::SOURCE {
                    nostr::stop(tx, gateway, why, entry.now).await?;
                } else {
                    telegram::stop(tx, gateway, why, entry.now).await?;
                }
                marked.stuck = true;
            }
        }
    }
    Ok(marked)
}

/// The other side has it. Of a card its id there is kept, and what happened meanwhile counts. Tells whether it
/// is a card of which that was news.
async fn arrived(
    tx: &mut Tx,
    gateway: &Gateway,
    entry: &Entry,
    row: &MessageRow,
    remote_id: Option<&str>,
) -> Result<bool, StoreError> {
    let is_card = row.kind == MessageKind::Card;
    let now = if is_card { store::messages::load(tx, &row.id).await? } else { None };
    if let Some(remote_id) = remote_id.filter(|_| is_card) {
        store::tokens::learn(tx, &row.channel, &row.target, remote_id, &row.id).await?;
    }
    match now {
        // It stands where the chat was, and is still to be shown where the chat is now.
        Some(now) if now.target != row.target => Ok(false),
        // A tap on it was quicker than Telegram's answer, or an earlier attempt had come through.
        Some(now) if now.state == MessageState::Sent => {
            if remote_id.is_some() {
                store::messages::edit_again(tx, &row.id, &entry.id(), row.priority, entry.now).await?;
            }
            Ok(false)
        }
        Some(_) | None => {
            store::messages::sent(tx, row, remote_id, entry.now, &entry.id()).await?;
            gateway.status.settle(&row.channel);
            speak::found(tx, entry, &cause(row)).await?;
            if is_card {
                delivered_card(tx, entry, row).await?;
            }
            Ok(is_card)
        }
    }
}

fn cause(row: &MessageRow) -> String {
    format!("{}: {}", row.channel, row.target)
}

/// The first delivery of a request starts its clock.
pub(super) async fn delivered_card(tx: &mut Tx, entry: &Entry, row: &MessageRow) -> Result<(), StoreError> {
    let Some(about) = &row.about else { return Ok(()) };
    let Some((request, case)) = ledger::request_and_case(tx, about).await? else { return Ok(()) };
    let ttl = entry.in_force().timing.approval_ttl;
    let is_newest = case.request.as_ref().is_some_and(|newest| newest.id == request.id);
    if is_newest && case.is_open() {
        let now = entry.now;
        entry.quietly(tx, case, |case| Step::quiet(incident::delivered(case, now, ttl))).await?;
    }
    Ok(())
}

/// A chat of the configuration is waited for, and the others hear of it; whoever else blocked us has
/// wanted no answer. Tells how long it is waited for.
async fn lost(
    tx: &mut Tx,
    gateway: &Gateway,
    entry: &Entry,
    row: &MessageRow,
    why: String,
) -> Result<Option<Duration>, StoreError> {
    if !is_ours(entry, row) {
        tracing::info!(chat = row.target, why, "somebody cannot be answered");
        store::messages::gone(tx, &row.id).await?;
        return Ok(None);
    }
    let wait = if row.attempts == 0 { LOST_FIRST } else { LOST_AGAIN };
    let again = entry.now.plus(wait);
    store::messages::failed(tx, &row.id, again).await?;
    store::messages::postpone(tx, &row.channel, &row.target, again).await?;
    if !telegram::was_just_let_in(gateway, &row.target, entry.now) {
        let alarm = Alarm::ChatLost { chat: name_of(gateway, row), why };
        speak::alarm_lasts(tx, gateway, cause(row), alarm, entry.now).await?;
    }
    Ok(Some(wait))
}

fn is_ours(entry: &Entry, row: &MessageRow) -> bool {
    entry.outlets().iter().any(|outlet| outlet.target == row.target)
}

fn name_of(gateway: &Gateway, row: &MessageRow) -> String {
    if row.channel == nostr::SOURCE {
        nostr::name_of(gateway, &row.target)
    } else {
        telegram::name_of(gateway, &row.target)
    }
}

/// Somebody deleted a card that still asks: it is shown again, or nobody would see how to answer. A card
/// that could never be shown is an alarm.
async fn shown_again(tx: &mut Tx, gateway: &Gateway, entry: &Entry, row: &MessageRow) -> Result<(), StoreError> {
    let Some(about) = row.about.as_ref().filter(|_| row.kind != MessageKind::Note) else { return Ok(()) };
    let Some((request, case)) = ledger::request_and_case(tx, about).await? else {
        return drill::shown_again(tx, entry, row).await;
    };
    if !request.is_pending() {
        return Ok(());
    }
    if row.kind == MessageKind::Card {
        let why = "it refuses the card of a request".to_owned();
        let alarm = Alarm::ChatLost { chat: name_of(gateway, row), why };
        return speak::alarm_lasts(tx, gateway, cause(row), alarm, entry.now).await;
    }
    let Some(outlet) = entry.outlets().into_iter().find(|outlet| outlet.target == row.target) else { return Ok(()) };
    if let Some(copy) = &row.copy {
        store::messages::forget_copy(tx, copy).await?;
    }
    let card = copies::card(tx, entry, &case, &request).await?;
    let banner = Some("The card of this request was deleted; here it is again.".to_owned());
    copies::put(tx, entry, &outlet, &request, &card, banner).await
}
