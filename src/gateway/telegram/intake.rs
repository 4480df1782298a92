//! Takes in what comes from Telegram: each update, raw, and how far Telegram has been read, in one
//! transaction. The next poll is what tells Telegram that we have it, so nothing is lost by a crash. It is
//! worked off beside the next poll.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::state::Me;
use super::{SOURCE, moves, outage};
use crate::approval::Speaker;
use crate::channel::telegram::payloads::{GetUpdates, GetUpdatesSetters as _};
use crate::channel::telegram::types::AllowedUpdate;
use crate::channel::telegram::{Api, Fault, Update, command_for};
use crate::gateway::{Gateway, arrival};
use crate::pool::Timestamp;
use crate::store::inbox::Input;
use crate::store::{self, StoreError};
use crate::wording::Alarm;

/// Telegram gives at most so many at once.
const BATCH: u8 = 100;
/// The first wait after a poll that failed; it doubles.
const AGAIN: Duration = Duration::from_millis(250);
/// The longest such wait: when Telegram is back, we are within a second.
const AGAIN_MAX: Duration = Duration::from_secs(1);
/// So many conflicts in a row are another poller, and not the rest of an earlier poll of ours.
const CONFLICTS_MAX: u32 = 3;
/// Between two conflicts; Telegram itself waits up to 3 s.
const CONFLICT_AGAIN: Duration = Duration::from_secs(4);
/// After so long without an answer, people on the other channels hear of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many messages of strangers a minute are heard: they get an answer, and a flood of them gets none.
const STRANGERS: u32 = 30;
/// So many taps of strangers a minute are answered, and refused in the journal, which keeps them for ever.
const STRANGE_THUMBS: u32 = 100;

/// Polls until the channel is stopped, or the daemon.
pub async fn run(gateway: &Arc<Gateway>, api: Api, me: Me) {
    let mut intake = Intake {
        gateway,
        me,
        seen_before: outage::last_seen(gateway).await.ok().flatten(),
        answered: None,
        remembered: None,
        dropped: None,
        up: false,
        failing_since: None,
        told: false,
        conflicts: 0,
        wait: AGAIN,
        strangers: Door { minute: gateway.clock.now(), came: 0 },
        strange_thumbs: Door { minute: gateway.clock.now(), came: 0 },
    };
    while !gateway.bells.is_stopping() && !gateway.telegram.is_stopped() {
        let poll = match intake.next_poll().await {
            Ok(poll) => poll,
            Err(error) => {
                tracing::error!(%error, "the store does not say how far Telegram was read");
                intake.pause(AGAIN_MAX).await;
                continue;
            }
        };
        let polled = tokio::select! {
            polled = api.call(&poll) => polled,
            () = gateway.bells.stopped() => return,
        };
        match polled {
            Ok(raw) => match intake.take(&raw).await {
                Ok(()) => {}
                Err(error) => {
                    // Telegram still has them, and gives them again.
                    tracing::error!(error = crate::gateway::inbox::chain(&error), "what came in could not be kept");
                    intake.pause(AGAIN_MAX).await;
                }
            },
            Err(fault) => intake.failed(fault).await,
        }
    }
}

struct Intake<'g> {
    gateway: &'g Arc<Gateway>,
    me: Me,
    /// When Telegram last answered a poll of an earlier run.
    seen_before: Option<Timestamp>,
    /// When it last answered one of this run.
    answered: Option<Instant>,
    /// The same, as the store has it.
    remembered: Option<Timestamp>,
    /// Between these, taps may have been dropped; people are told as soon as all others are here.
    dropped: Option<(Timestamp, Timestamp)>,
    /// The last poll was answered.
    up: bool,
    failing_since: Option<Timestamp>,
    /// The others have heard of it.
    told: bool,
    conflicts: u32,
    wait: Duration,
    /// Strangers who wrote.
    strangers: Door,
    /// Strangers who tapped.
    strange_thumbs: Door,
}

impl Intake<'_> {
    async fn next_poll(&self) -> Result<GetUpdates, StoreError> {
        let position = {
            let mut read = self.gateway.store.read().await?;
            store::inbox::offset(&mut read, SOURCE).await?
        };
        let poll = self.gateway.in_force().config.gate.channels.telegram.poll;
        let seconds = u32::try_from(poll.as_secs().max(1)).unwrap_or(u32::MAX);
        // While something may still wait there, an empty answer is to come at once: then all of it is here.
        let timeout = if self.gateway.telegram.may_hold_votes(self.gateway.clock.now()) { 0 } else { seconds };
        let call = GetUpdates::new().limit(BATCH).timeout(timeout).allowed_updates([
            AllowedUpdate::Message,
            AllowedUpdate::CallbackQuery,
            AllowedUpdate::MyChatMember,
        ]);
        Ok(match position.and_then(|position| position.parse().ok()) {
            Some(offset) => call.offset(offset),
            None => call,
        })
    }

    /// Keeps what came, and how far Telegram was read.
    async fn take(&mut self, raw: &RawValue) -> Result<(), StoreError> {
        let Ok(updates) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
            self.failed(Fault::Unreadable { status: 200 }).await;
            return Ok(());
        };
        if !self.up {
            // Before the first of what waited there is read: nobody may come too late for our sake.
            outage::back(self.gateway, self.gateway.clock.now()).await?;
            self.up = true;
        }
        let now = self.gateway.clock.now();
        self.notice_silence(now);
        let mut inputs = Vec::new();
        let mut last: Option<i64> = None;
        for raw in &updates {
            let Ok(value) = serde_json::from_str::<Value>(raw.get()) else { continue };
            let Some(number) = value.get("update_id").and_then(Value::as_i64) else {
                tracing::warn!("an update without a number came from Telegram, and is passed over");
                continue;
            };
            last = last.max(Some(number));
            if let Some(id) = self.addressed(&value, number) {
                let source = SOURCE.to_owned();
                inputs.push(Input { id, source, raw: raw.get().to_owned(), entered_at: now });
            }
        }
        // Telegram may have given fewer than there are: a poll that repeats an offset soon gets only one.
        let drained = updates.is_empty();
        if let Some(last) = last {
            fail_point!("telegram.before_kept");
            let mut offsets = vec![(SOURCE, (last + 1).to_string())];
            // Until people were told, the next life must find how long nothing was heard.
            if self.dropped.is_none() {
                offsets.push((outage::SEEN, now.as_millis().to_string()));
            }
            if !self.gateway.telegram.is_caught_up() {
                // What waited there may be what killed us: it is in the inbox before it is looked at.
                self.gateway.gate.close();
            }
            arrival::take_in(self.gateway, inputs, offsets).await?;
            fail_point!("telegram.after_kept");
        } else if !updates.is_empty() {
            // Nothing of it can be confirmed, so it would come again at once, for ever.
            self.pause(AGAIN_MAX).await;
        }
        self.came_through(now, drained).await
    }

    /// A poll was answered, after how long? Within a run the clock that never jumps tells; before it, only the store.
    fn notice_silence(&mut self, now: Timestamp) {
        let silent = match self.answered.replace(Instant::now()) {
            Some(answered) => Some(answered.elapsed()),
            None => self.seen_before.map(|seen| now.since(seen)),
        };
        self.dropped = self.dropped.or_else(|| silent.and_then(|silent| outage::dropped(silent, now)));
    }

    /// The poll was answered.
    async fn came_through(&mut self, now: Timestamp, drained: bool) -> Result<(), StoreError> {
        self.failing_since = None;
        self.conflicts = 0;
        self.wait = AGAIN;
        self.told = false;
        self.gateway.status.settle(SOURCE);
        if drained && self.gateway.telegram.caught_up() {
            self.gateway.bells.plan.notify_one();
        }
        if drained && let Some((from, to)) = self.dropped {
            outage::show_pending(self.gateway, from, to).await?;
            self.dropped = None;
        }
        // What people are still to be told of must outlive us.
        if self.dropped.is_none() && self.remembered.is_none_or(|at| now.since(at) >= outage::REMEMBERED || at > now) {
            outage::remember(self.gateway, now).await?;
            self.remembered = Some(now);
        }
        Ok(())
    }

    async fn failed(&mut self, fault: Fault) {
        let now = self.gateway.clock.now();
        let since = *self.failing_since.get_or_insert(now);
        self.up = false;
        self.gateway.telegram.behind(now);
        let why = fault.to_string();
        tracing::warn!(why, "Telegram could not be polled");
        let wait = match fault {
            Fault::Unauthorized => return moves::stop_now(self.gateway, why).await,
            Fault::Conflict { .. } => {
                self.conflicts += 1;
                if self.conflicts >= CONFLICTS_MAX {
                    return moves::stop_now(self.gateway, why).await;
                }
                CONFLICT_AGAIN.min(self.gateway.in_force().config.gate.channels.telegram.poll)
            }
            Fault::Flood { after } => after,
            _ => {
                let wait = self.wait;
                self.wait = (self.wait * 2).min(AGAIN_MAX);
                wait
            }
        };
        let alarm = Alarm::ChannelDown { channel: SOURCE.into(), why };
        self.gateway.status.raise(SOURCE, alarm.clone(), now);
        if now.since(since) >= PATIENCE && !self.told {
            self.told = true;
            moves::tell(self.gateway, alarm).await;
        }
        self.pause(wait).await;
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.gateway.bells.stopped() => {}
        }
    }

    /// The id under which an update is kept, if it is for us. Every tap is, but for a flood of
    /// strangers' ones: whoever tapped watches a spinner. Of messages, only commands and replies to us; chatter leaves nothing.
    fn addressed(&mut self, raw: &Value, number: i64) -> Option<String> {
        match Update::read(raw, self.me.id) {
            Update::Tap(tap) => {
                let heard = self.is_known(tap.from) || self.hears_a_strange_thumb();
                heard.then(|| format!("{SOURCE}:tap:{}", tap.id))
            }
            Update::Message(message) => {
                let is_command = command_for(&message.text, &self.me.username).is_some();
                if !is_command && (message.replies_to.is_none() || message.text.is_empty()) {
                    return None;
                }
                let known = message.from.is_some_and(|id| self.is_known(id)) || self.is_ours(message.chat);
                // Numbers of updates come anew after a week of silence; those of messages never do, but where
                // another bot is put in this one's place, its private chats count from 1 again.
                let (bot, chat, message) = (self.me.id, message.chat, message.id);
                (known || self.hears_a_stranger()).then(|| format!("{SOURCE}:message:{bot}:{chat}:{message}"))
            }
            Update::Membership { chat, .. } => self.is_ours(chat).then(|| format!("{SOURCE}:update:{number}")),
            Update::Migrated { from, to } => {
                (self.is_ours(from) || self.is_ours(to)).then(|| format!("{SOURCE}:moved:{from}:{to}"))
            }
            Update::Other => None,
        }
    }

    fn is_known(&self, id: i64) -> bool {
        self.gateway.in_force().people.who(&Speaker::Telegram(id)).is_some()
    }

    fn is_ours(&self, chat: i64) -> bool {
        let in_force = self.gateway.in_force();
        self.gateway.telegram.is_among(&in_force.config.gate.channels.telegram.chats, chat)
    }

    fn hears_a_stranger(&mut self) -> bool {
        let now = self.gateway.clock.now();
        self.strangers.let_in(now, STRANGERS)
    }

    fn hears_a_strange_thumb(&mut self) -> bool {
        let now = self.gateway.clock.now();
        self.strange_thumbs.let_in(now, STRANGE_THUMBS)
    }
}

/// Those who came within a minute.
struct Door {
    minute: Timestamp,
    came: u32,
}

impl Door {
    /// Whether one more of at most so many a minute comes in.
    fn let_in(&mut self, now: Timestamp, at_most: u32) -> bool {
        if now.since(self.minute) >= Duration::from_secs(60) || now < self.minute {
            *self = Self { minute: now, came: 0 };
        }
        self.came = self.came.saturating_add(1);
        self.came <= at_most
    }
}
