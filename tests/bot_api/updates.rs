//! The queue of updates, with the server's rules: what an offset confirms, how long an update is
//! kept, which kinds are kept at all, and what becomes of a second poller.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::BotApi;
use super::methods::ApiError;
use super::params::Params;

/// How long taps are kept.
const TAP_TTL_MS: i64 = 150 * 1000;
/// How long everything else is kept.
const TTL_MS: i64 = 24 * 3600 * 1000;
/// So far may an offset lie beyond the queue's end; further ones count as none.
const FAR_MAX: i64 = 10;
/// Kinds that are only sent to those who ask for them.
const ON_REQUEST: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

pub(super) const OTHER_POLLER: &str =
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
const WEBHOOK_SET: &str = "Conflict: terminated by setWebhook request";
const WEBHOOK_ACTIVE: &str =
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";

struct Queued {
    id: i64,
    kind: String,
    born_ms: i64,
    body: Value,
}

/// The updates that were not confirmed yet.
pub(super) struct Queue {
    waiting: VecDeque<Queued>,
    /// Handed out with the next answer whatever its offset: what the real server never sends, or
    /// sends when it has forgotten what it sent.
    forced: Vec<Value>,
    /// Every update so far, as handed out.
    history: Vec<Value>,
    next_id: i64,
    /// `None`: everything but what is only sent on request.
    allowed: Option<BTreeSet<String>>,
    /// The number of the poll that waits, or waited last.
    poller: u64,
    last_offset: Option<i64>,
    last_start: Option<Instant>,
    /// Until when a second 409 is held back.
    conflict_at: Option<Instant>,
    /// Whether polls and 409s that repeat quickly are slowed down, as the real server does.
    slow_repeats: bool,
    disorder: Disorder,
}

/// How answers are disturbed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Disorder {
    #[default]
    None,
    /// Each update stands twice in its answer.
    Twice,
    /// The newest comes first.
    Backwards,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            forced: Vec::new(),
            history: Vec::new(),
            next_id: 734_512_001,
            allowed: None,
            poller: 0,
            last_offset: None,
            last_start: None,
            conflict_at: None,
            slow_repeats: true,
            disorder: Disorder::None,
        }
    }
}

/// One poll, while it waits.
pub(super) struct Poll {
    /// Its turn, once it waits.
    number: Option<u64>,
    offset: i64,
    limit: usize,
    /// When it is answered with nothing.
    pub ends: Instant,
}

/// A 409, and how long it is held back.
pub(super) struct Conflict {
    pub error: ApiError,
    pub delay: Duration,
}

impl Queue {
    /// Takes an update in, unless the bot does not want its kind. Returns its id.
    pub(super) fn push(&mut self, kind: &str, content: Value, now_ms: i64) -> Option<i64> {
        let wanted = match &self.allowed {
            Some(allowed) => allowed.contains(kind),
            None => !ON_REQUEST.contains(&kind),
        };
        wanted.then(|| self.push_body(kind, json!({kind: content}), now_ms))
    }

    fn push_body(&mut self, kind: &str, mut body: Value, now_ms: i64) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        body["update_id"] = json!(id);
        self.history.push(body.clone());
        self.waiting.push_back(Queued { id, kind: kind.to_owned(), born_ms: now_ms, body });
        id
    }

    /// Drops what was kept for too long.
    pub(super) fn forget_expired(&mut self, now_ms: i64) {
        self.waiting.retain(|queued| {
            let ttl = if queued.kind == "callback_query" { TAP_TTL_MS } else { TTL_MS };
            queued.born_ms + ttl > now_ms
        });
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// `allowed_updates` as getWebhookInfo shows it; `None` for the default.
    pub(super) fn allowed(&self) -> Option<Value> {
        self.allowed.as_ref().map(|allowed| json!(allowed))
    }

    /// Remembers `allowed_updates` for good. What is no list of texts changes nothing, as on the server.
    pub(super) fn allow(&mut self, params: &Params) {
        let Some(Ok(Value::Array(kinds))) = params.json("allowed_updates") else { return };
        let kinds: BTreeSet<_> = kinds.iter().filter_map(Value::as_str).map(str::to_lowercase).collect();
        self.allowed = (!kinds.is_empty()).then_some(kinds);
    }

    /// Begins a poll: takes its settings and confirms what its offset confirms.
    pub(super) fn begin(&mut self, params: &Params, webhook: bool) -> Result<Poll, Conflict> {
        if webhook {
            return Err(self.conflict(WEBHOOK_ACTIVE));
        }
        self.allow(params);
        let offset = params.int("offset").unwrap_or(0);
        let mut limit = params.int("limit").unwrap_or(100).clamp(1, 100);
        let mut timeout = params.int("timeout").unwrap_or(0).clamp(0, 50);
        let now = Instant::now();
        let since_last = self.last_start.map(|last| now.duration_since(last));
        if let Some(since_last) = since_last
            && self.slow_repeats
            && self.last_offset == Some(offset)
        {
            if timeout < 3 && since_last < Duration::from_secs(3) {
                timeout = 3;
            }
            if since_last < Duration::from_millis(500) {
                limit = 1;
            }
        }
        self.last_offset = Some(offset);
        self.last_start = Some(now);
        self.confirm(offset);
        let wait = Duration::from_secs(timeout.unsigned_abs());
        Ok(Poll { number: None, offset, limit: usize::try_from(limit).unwrap_or(1), ends: now + wait })
    }

    /// Lets the poll wait; the one that waits already is ended by that. `false` if it waits already.
    pub(super) fn wait(&mut self, poll: &mut Poll) -> bool {
        if poll.number.is_some() {
            return false;
        }
        self.poller += 1;
        poll.number = Some(self.poller);
        true
    }

    /// A positive offset confirms everything before it; a negative one all but the last so many.
    fn confirm(&mut self, offset: i64) {
        if offset < 0 {
            let keep = usize::try_from(-offset).unwrap_or(usize::MAX);
            while self.waiting.len() > keep {
                self.waiting.pop_front();
            }
        } else if offset <= self.next_id + FAR_MAX {
            self.waiting.retain(|queued| queued.id >= offset);
        }
    }

    /// What a poll is answered now, if anything.
    pub(super) fn look(&mut self, poll: &Poll, webhook: bool) -> Option<Result<Value, Conflict>> {
        if poll.number.is_some_and(|number| number != self.poller) {
            return Some(Err(self.conflict(OTHER_POLLER)));
        }
        if webhook {
            return Some(Err(self.conflict(WEBHOOK_SET)));
        }
        let mut found = std::mem::take(&mut self.forced);
        let far = poll.offset > self.next_id + FAR_MAX;
        let due = self.waiting.iter().filter(|queued| poll.offset <= 0 || far || queued.id >= poll.offset);
        let room = poll.limit.saturating_sub(found.len());
        found.extend(due.take(room).map(|queued| queued.body.clone()));
        match self.disorder {
            Disorder::None => {}
            Disorder::Twice => found = found.into_iter().flat_map(|update| [update.clone(), update]).collect(),
            Disorder::Backwards => found.reverse(),
        }
        if found.is_empty() { None } else { Some(Ok(Value::Array(found))) }
    }

    /// Of several 409s within three seconds, all but the first are held back for three.
    fn conflict(&mut self, text: &str) -> Conflict {
        let now = Instant::now();
        let held_back = self.slow_repeats && self.conflict_at.is_some_and(|at| now < at);
        if !held_back {
            self.conflict_at = Some(now + Duration::from_secs(3));
        }
        let delay = if held_back { Duration::from_secs(3) } else { Duration::ZERO };
        Conflict { error: ApiError::new(409, text), delay }
    }
}

impl BotApi {
    /// How many updates wait for the bot: neither confirmed nor forgotten.
    pub fn pending_updates(&self) -> usize {
        self.state().queue.len()
    }

    /// Every update that ever came into the queue, oldest first, as the bot gets it.
    pub fn updates(&self) -> Vec<Value> {
        self.state().queue.history.clone()
    }

    /// Pushes an update that nobody made. Without `update_id` it gets the next one and is queued like
    /// others; anything else, even what is no object, goes out once, with the next answer, as it is.
    pub fn push_raw(&self, update: Value) {
        self.change(|state| {
            let kind = update.as_object().and_then(|fields| fields.keys().find(|key| *key != "update_id")).cloned();
            match update.as_object() {
                Some(fields) if !fields.contains_key("update_id") => {
                    let now_ms = state.clock.now_ms();
                    state.queue.push_body(&kind.unwrap_or_default(), update, now_ms);
                }
                _ => state.queue.forced.push(update),
            }
        });
    }

    /// Sends an update again that was handed out already, whatever the bot confirmed.
    pub fn redeliver(&self, update_id: i64) {
        self.change(|state| {
            let again: Vec<_> =
                state.queue.history.iter().filter(|update| update["update_id"] == update_id).cloned().collect();
            assert!(!again.is_empty(), "there was no update {update_id}");
            state.queue.forced.extend(again);
        });
    }

    /// From now on each update stands twice in its answer.
    pub fn deliver_twice(&self) {
        self.change(|state| state.queue.disorder = Disorder::Twice);
    }

    /// From now on the newest update of an answer comes first.
    pub fn deliver_backwards(&self) {
        self.change(|state| state.queue.disorder = Disorder::Backwards);
    }

    /// From now on each update comes once and in order, as it does from the start.
    pub fn deliver_in_order(&self) {
        self.change(|state| state.queue.disorder = Disorder::None);
    }

    /// The next update's id, as after a week without any: anything.
    pub fn next_update_id(&self, id: i64) {
        self.change(|state| state.queue.next_id = id);
    }

    /// Whether a poll that repeats the last one's offset within three seconds waits for three, and
    /// within half a second gets one update only; and whether a second 409 within three seconds is held
    /// back for three. The real server does so; so does this one at first.
    pub fn slow_repeats(&self, slow: bool) {
        self.change(|state| state.queue.slow_repeats = slow);
    }
}
