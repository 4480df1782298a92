//! Sends what is due, one loop a channel. A message is marked as sent only after its channel has it: after
//! a kill in between it is sent again (at least once).
//!
//! Each target gets its messages one after the other, in their order; targets do not wait for each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::OptionFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::marking::{self, Marked};
use super::{Gateway, TaskName, copies, inbox};
use crate::approval;
use crate::channel::{Channel, Delivery, Kind, Outgoing};
use crate::pool::Timestamp;
use crate::store::messages::{MessageKind, MessageRow, MessageState};
use crate::store::{self, StoreError};

/// Messages that are read at once.
const READ: u32 = 512;
/// Messages of one target that are sent in one go and marked in one transaction.
const TOGETHER: usize = 20;
/// Targets that are sent to at the same time.
const TARGETS: usize = 64;
/// New messages are looked for so often at most, while others are on their way.
const BREATH: Duration = Duration::from_millis(8);
/// And so many times as long as the last look took passes before the next: with thousands of messages due,
/// each look counts.
const REST: u32 = 9;
/// What was sent and could not be noted is noted again after so long the first time; that doubles.
const NOTED_AGAIN: Duration = Duration::from_millis(250);
/// The longest such wait, and the one after a store that could not be read.
const NOTED_AGAIN_MAX: Duration = Duration::from_secs(5);

/// Messages of one target, in their order.
type Group = (String, Vec<MessageRow>);

/// What waits to be sent on `channel` now, target by target, the most urgent first; none for `busy` targets,
/// and none for targets that are to be left alone for now: what came later must not overtake.
async fn waiting(gateway: &Gateway, channel: &str, busy: BTreeSet<String>) -> Result<Vec<Group>, StoreError> {
    let now = gateway.clock.now();
    let mut order: Vec<String> = Vec::new();
    let mut groups: BTreeMap<String, Vec<MessageRow>> = BTreeMap::new();
    let mut read = gateway.store.read().await?;
    let mut passed = store::messages::held(&mut read, channel, now).await?;
    passed.extend(busy);
    let mut rows = store::messages::due(&mut read, channel, now, READ).await?;
    loop {
        let all = rows.len() < READ as usize;
        for row in rows {
            if passed.contains(&row.target) {
                continue;
            }
            if !groups.contains_key(&row.target) {
                order.push(row.target.clone());
            }
            let group = groups.entry(row.target.clone()).or_default();
            if group.len() < TOGETHER {
                group.push(row);
            }
        }
        if all || order.len() >= TARGETS {
            break;
        }
        // A target with so many messages hides those behind it, which may be the only ones that can be sent now.
        passed.extend(order.iter().cloned());
        rows = store::messages::due_elsewhere(&mut read, channel, now, &passed, READ).await?;
    }
    drop(read);
    Ok(order.into_iter().filter_map(|target| groups.remove_entry(&target)).collect())
}

/// Sends a group and marks it; ends early where its target wants a pause.
async fn send(gateway: &Arc<Gateway>, channel: &dyn Channel, group: Group) -> (String, Result<Marked, StoreError>) {
    let (target, rows) = group;
    let (mut outcomes, mut failed) = (Vec::with_capacity(rows.len()), None);
    for (place, row) in rows.into_iter().enumerate() {
        // Those before it took their time, and it may have something else to say by now.
        let row = if place == 0 { Some(row) } else { as_it_is(gateway, row).await };
        let Some(row) = row else { continue };
        let delivered = match deliver(gateway, channel, &row).await {
            Ok(delivered) => delivered,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        let goes_on = matches!(delivered, Delivery::Delivered { .. } | Delivery::Gone { .. });
        outcomes.push((row, delivered));
        if !goes_on {
            break;
        }
    }
    fail_point!("deliver.before_marked");
    let marked = noted(gateway, &outcomes).await;
    fail_point!("deliver.after_marked");
    (target, failed.map_or(marked, Err))
}

/// Marks what was sent. As long as that cannot be kept (a full disk) it is tried again, and its target waits: to
/// send instead of marking would say the same again and again.
async fn noted(gateway: &Arc<Gateway>, outcomes: &[(MessageRow, Delivery)]) -> Result<Marked, StoreError> {
    if outcomes.is_empty() {
        return Ok(Marked::default());
    }
    let mut pause = NOTED_AGAIN;
    loop {
        let error = match marking::mark(gateway, outcomes).await {
            Err(error) if !matches!(error, StoreError::Closed) && !gateway.bells.is_stopping() => error,
            marked => return marked,
        };
        unwell(gateway, &error, "what was sent cannot be noted, and that is tried again");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = gateway.bells.stopped() => {}
        }
        pause = (pause * 2).min(NOTED_AGAIN_MAX);
    }
}

fn unwell(gateway: &Gateway, error: &StoreError, what: &str) {
    let says = inbox::chain(error);
    tracing::error!(error = says, "{what}");
    gateway.status.task(TaskName::Deliver, false, says, gateway.clock.now());
}

/// The message with what it says now; none if it is not to be sent there any more.
async fn as_it_is(gateway: &Gateway, row: MessageRow) -> Option<MessageRow> {
    let now = match gateway.store.read().await {
        Ok(mut read) => store::messages::load(&mut read, &row.id).await,
        Err(error) => Err(error),
    };
    match now {
        Ok(Some(now)) if now.state == MessageState::Due && now.target == row.target => {
            Some(MessageRow { body: now.body, attempts: now.attempts, priority: now.priority, ..row })
        }
        Ok(_) => None,
        // Marking will tell.
        Err(_) => Some(row),
    }
}

async fn deliver(gateway: &Gateway, channel: &dyn Channel, row: &MessageRow) -> Result<Delivery, StoreError> {
    let content = match copies::content_of(gateway, row).await {
        Ok(Some(content)) => content,
        Ok(None) => return Ok(Delivery::Gone { why: "its content cannot be read".into() }),
        // What is damaged keeps nothing else from being sent.
        Err(error) if inbox::is_the_works_own(&error) => {
            return Ok(Delivery::Gone { why: format!("its content cannot be read: {}", inbox::chain(&error)) });
        }
        Err(error) => return Err(error),
    };
    let copies = match (row.kind, &row.copy) {
        (MessageKind::Edit, Some(copy)) => {
            let mut read = gateway.store.read().await?;
            let known = store::tokens::remote_ids(&mut read, copy).await?;
            if known.is_empty() { row.remote_id.iter().cloned().collect() } else { known }
        }
        _ => Vec::new(),
    };
    let kind = match row.kind {
        MessageKind::Card | MessageKind::Note => Kind::New,
        MessageKind::Edit => Kind::Edit(&copies),
        MessageKind::Answer => Kind::Answer,
    };
    let (id, target) = (row.id.as_str(), row.target.as_str());
    Ok(channel.deliver(Outgoing { id, made_at: row.created_at, target, content: &content, kind }).await)
}

/// Sends what is due on `channel` until nothing more can be sent now; tells how many messages. Whatever
/// becomes due meanwhile goes along, `rung` by its bell: one target that does not answer keeps none waiting.
///
/// Nothing is awaited beside the sends that does not let them go on: one of them may hold the very
/// connection to the store that is waited for.
pub async fn step(gateway: &Arc<Gateway>, channel: &dyn Channel, rung: &Notify) -> Result<usize, StoreError> {
    let mut sent = 0;
    if !is_on(gateway, channel.name()) {
        return Ok(sent);
    }
    let look = |not_now: BTreeSet<String>| waiting(gateway, channel.name(), not_now).boxed();
    // Somebody looks at a spinner: nothing is looked for and drawn before their answer is out.
    let answers = gateway.owed.is_ready_on(channel.name());
    let mut looking = (!answers).then(|| look(BTreeSet::new()));
    let mut look_again = answers;
    let mut looked = Instant::now();
    let mut rested = looked + BREATH;
    let mut backlog: VecDeque<Group> = VecDeque::new();
    // Answers that were handed over, and to whom since the last look began.
    let mut ahead: VecDeque<Group> = VecDeque::new();
    let mut handed = BTreeSet::new();
    let mut busy = BTreeSet::new();
    let mut stuck = BTreeSet::new();
    // When targets that wanted a pause take more; until then the store holds their messages back.
    let mut again = BTreeSet::new();
    let mut failed = None;
    let mut running = FuturesUnordered::new();
    loop {
        for row in gateway.owed.take(channel.name()) {
            handed.insert(row.target.clone());
            ahead.push_back((row.target.clone(), vec![row]));
        }
        while running.len() < TARGETS
            && let Some(group) = ahead.pop_front().or_else(|| backlog.pop_front())
        {
            busy.insert(group.0.clone());
            running.push(send(gateway, channel, group));
        }
        if look_again && looking.is_none() && (running.is_empty() || Instant::now() >= rested) {
            look_again = false;
            looked = Instant::now();
            // What is left of the last look is found again, behind what is more urgent by now; nothing of it
            // is begun meanwhile, or it would be found although it has just been sent.
            backlog.clear();
            handed = ahead.iter().map(|(target, _)| target.clone()).collect();
            looking = Some(look(busy.union(&stuck).cloned().collect()));
        }
        if looking.is_none() && running.is_empty() {
            return failed.map_or(Ok(sent), Err);
        }
        tokio::select! {
            biased;
            Some((target, marked)) = running.next(), if !running.is_empty() => {
                busy.remove(&target);
                match marked {
                    Ok(marked) => {
                        sent += marked.sent;
                        if marked.cards {
                            gateway.bells.plan.notify_one();
                        }
                        if marked.stuck {
                            stuck.insert(target);
                        }
                        again.extend(marked.again.map(|wait| Instant::now() + wait));
                    }
                    // Those that are on their way are not broken off for it.
                    Err(error) => {
                        stuck.insert(target);
                        failed.get_or_insert(error);
                    }
                }
                look_again |= backlog.is_empty();
            }
            found = OptionFuture::from(looking.as_mut()), if looking.is_some() => {
                looking = None;
                match found.transpose() {
                    Ok(found) => backlog = found.unwrap_or_default().into(),
                    Err(error) => failed = Some(error),
                }
                // An answer that is handed over, or will be, was found all the same.
                handed.append(&mut gateway.owed.targets());
                backlog.retain(|(target, _)| !handed.contains(target));
                rested = looked + BREATH.max(looked.elapsed() * (REST + 1));
            }
            () = rung.notified() => look_again = true,
            () = tokio::time::sleep_until(rested), if look_again && looking.is_none() => {}
            Some(()) = OptionFuture::from(again.first().map(|at| tokio::time::sleep_until(*at))) => {
                again.pop_first();
                look_again = true;
            }
        }
    }
}

/// Whether the files in force want this channel.
fn is_on(gateway: &Gateway, channel: &str) -> bool {
    gateway.in_force().config.gate.channels.is_enabled(channel) == Some(true)
}

/// Runs until the daemon stops; then sends what is still due, once.
pub async fn run(gateway: Arc<Gateway>, channel: Arc<dyn Channel>, key: approval::Channel) {
    loop {
        let stopping = gateway.bells.is_stopping();
        let outcome =
            if gateway.is_stopped(key) { Ok(0) } else { step(&gateway, channel.as_ref(), gateway.bells.of(key)).await };
        match outcome {
            Ok(0) => {}
            Ok(sent) => {
                gateway.status.task(TaskName::Deliver, true, format!("{sent} messages sent"), gateway.clock.now());
            }
            Err(error) => {
                unwell(&gateway, &error, "messages wait");
                if !stopping {
                    // What keeps it from being read is not gone at the next ring.
                    tokio::select! {
                        () = tokio::time::sleep(NOTED_AGAIN_MAX) => {}
                        () = gateway.bells.stopped() => {}
                    }
                }
            }
        }
        if stopping {
            return;
        }
        let pause = pause(&gateway, key).await;
        tokio::select! {
            () = gateway.bells.of(key).notified() => if let Some(settle) = settle(key) {
                tokio::select! {
                    () = tokio::time::sleep(settle) => {}
                    () = gateway.bells.stopped() => {}
                }
            },
            () = tokio::time::sleep(pause) => {}
            () = gateway.bells.stopped() => {}
        }
    }
}

/// How long a ring is let pass. What was decided is mostly being begun at that moment, which a person waits
/// for, and its next message comes soon; on a terminal they are then sent and marked together. Whoever tapped
/// looks at a spinner.
fn settle(key: approval::Channel) -> Option<Duration> {
    match key {
        approval::Channel::Terminal | approval::Channel::Cli => Some(Duration::from_millis(20)),
        // Even to sleep for no time at all takes up to a millisecond.
        approval::Channel::Telegram | approval::Channel::Nostr => None,
    }
}

/// Until something is due again by itself, a tick at most.
async fn pause(gateway: &Gateway, key: approval::Channel) -> Duration {
    let tick = gateway.in_force().config.gate.timing.idle_tick;
    if !is_on(gateway, key.key()) || gateway.is_stopped(key) {
        return tick;
    }
    let next: Option<Timestamp> = match gateway.store.read().await {
        Ok(mut read) => store::messages::next_due(&mut read, key.key()).await.ok().flatten(),
        Err(_) => None,
    };
    let until = next.map_or(tick, |next| Timestamp::since(next, gateway.clock.now()));
    until.clamp(Duration::from_millis(5), tick)
}
