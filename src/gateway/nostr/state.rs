use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use super::awaited::Awaited;
use crate::gateway::intake::Intake;
use crate::pool::Timestamp;

/// So many answers a minute somebody gets who is refused: more tell nobody anything new.
const ANSWERS: u32 = 20;

/// What only the running daemon knows of its relays. All that must outlive it is in the store.
#[derive(Debug, Default)]
pub struct State {
    inner: Mutex<Inner>,
    /// Events of people who are nobody here.
    strangers: AtomicU64,
    /// Events that proved nothing.
    refused: AtomicU64,
    /// How often something was passed over that is to be read again.
    passed_over: AtomicU64,
    /// Events that came faster than anybody should have to look at them.
    waited: AtomicU64,
    awaited: watch::Sender<Arc<Awaited>>,
    note_went_out: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    us: Option<String>,
    intake: Intake,
    relays: BTreeMap<String, RelayState>,
    lists: BTreeMap<String, List>,
    answers: BTreeMap<String, (Timestamp, u32)>,
}

/// Where somebody takes private messages, as they say themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// When they said so, in seconds.
    pub at: u64,
    /// The relays.
    pub relays: Vec<String>,
}

/// What is known of one relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayState {
    /// There is a connection.
    pub connected: bool,
    /// All that it had for us is here.
    pub caught_up: bool,
    /// Its last word, or the network's.
    pub says: String,
    /// When.
    pub at: Timestamp,
}

impl State {
    /// Our public key in hexadecimal, once it is known.
    pub fn us(&self) -> Option<String> {
        self.lock().us.clone()
    }

    pub(super) fn set_us(&self, us: String) {
        self.lock().us = Some(us);
    }

    /// The channel comes up.
    pub(super) fn begin(&self, now: Timestamp) {
        let mut inner = self.lock();
        inner.intake = Intake::Behind(now);
        inner.relays.clear();
    }

    /// A relay of ours has said something, or the network for it. Those of other people's lists are not kept:
    /// they could be as many as anybody likes.
    pub(super) fn says(&self, relay: &str, says: impl Into<String>, now: Timestamp) {
        let mut inner = self.lock();
        let Some(state) = inner.relays.get_mut(relay) else { return };
        state.says = says.into();
        state.at = now;
    }

    /// There is a connection; tells whether it is the first after a time without any.
    pub(super) fn connected(&self, relay: &str, now: Timestamp) -> bool {
        let mut inner = self.lock();
        let first = !inner.relays.values().any(|relay| relay.connected);
        let state = inner.relays.entry(relay.to_owned()).or_insert_with(|| RelayState::unknown(now));
        *state = RelayState { connected: true, caught_up: false, says: "connected".into(), at: now };
        first
    }

    /// The connection is lost.
    pub(super) fn lost(&self, relay: &str, why: impl Into<String>, now: Timestamp) {
        let mut inner = self.lock();
        inner
            .relays
            .insert(relay.to_owned(), RelayState { connected: false, caught_up: false, says: why.into(), at: now });
        if !inner.relays.values().any(|relay| relay.connected) && inner.intake == Intake::CaughtUp {
            inner.intake = Intake::Behind(now);
        }
    }

    /// All that waited at this relay is here; tells whether that is news for the channel.
    pub(super) fn caught_up(&self, relay: &str) -> bool {
        let mut inner = self.lock();
        if let Some(state) = inner.relays.get_mut(relay) {
            state.caught_up = true;
        }
        let new = matches!(inner.intake, Intake::Behind(_));
        if new {
            inner.intake = Intake::CaughtUp;
        }
        new
    }

    /// Whether all that had waited at one relay is here.
    pub(super) fn is_caught_up(&self) -> bool {
        self.lock().intake == Intake::CaughtUp
    }

    /// Whether any relay is connected.
    pub(super) fn is_connected(&self) -> bool {
        self.lock().relays.values().any(|relay| relay.connected)
    }

    /// Whether a vote may still be on its way, so that nothing expires yet.
    pub fn may_hold_votes(&self, now: Timestamp) -> bool {
        self.lock().intake.may_hold_votes(now)
    }

    /// The channel is stopped; tells whether that is new.
    pub(super) fn stop(&self) -> bool {
        self.lock().intake.stop()
    }

    /// Whether it is stopped until somebody mends it.
    pub fn is_stopped(&self) -> bool {
        self.lock().intake == Intake::Stopped
    }

    /// What each relay says.
    pub fn relays(&self) -> BTreeMap<String, RelayState> {
        self.lock().relays.clone()
    }

    /// Somebody says where they take private messages; tells whether that is news.
    pub(super) fn learn_list(&self, key: &str, list: List) -> bool {
        let mut inner = self.lock();
        let known = inner.lists.get(key);
        let is_news = known.is_none_or(|known| known.at < list.at);
        let is_other = known.is_none_or(|known| known.relays != list.relays);
        if is_news {
            inner.lists.insert(key.to_owned(), list);
        }
        is_news && is_other
    }

    /// Where somebody takes private messages, if they say so.
    pub fn list_of(&self, key: &str) -> Option<List> {
        self.lock().lists.get(key).cloned()
    }

    pub(super) fn lists(&self) -> BTreeMap<String, List> {
        self.lock().lists.clone()
    }

    pub(super) fn set_lists(&self, lists: BTreeMap<String, List>) {
        self.lock().lists = lists;
    }

    /// Whether somebody gets one more answer in this minute.
    pub(super) fn may_answer(&self, key: &str, now: Timestamp) -> bool {
        let mut inner = self.lock();
        let (minute, given) = inner.answers.entry(key.to_owned()).or_insert((now, 0));
        if now.since(*minute) >= Duration::from_secs(60) || now < *minute {
            (*minute, *given) = (now, 0);
        }
        *given = given.saturating_add(1);
        *given <= ANSWERS
    }

    pub(super) fn count_stranger(&self) {
        self.strangers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Something that came in could not be looked at, and is to be read again.
    pub(super) fn pass_over(&self) {
        self.passed_over.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was.
    pub(super) fn passed_over(&self) -> u64 {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// What was said may not have been heard from now on, although relays are there.
    pub(super) fn fall_behind(&self, now: Timestamp) {
        let mut inner = self.lock();
        if inner.intake == Intake::CaughtUp {
            inner.intake = Intake::Behind(now);
        }
    }

    pub(super) fn count_waited(&self) {
        self.waited.fetch_add(1, Ordering::Relaxed);
    }

    /// Events that had to wait because too many came at once, since the start.
    pub fn waits(&self) -> u64 {
        self.waited.load(Ordering::Relaxed)
    }

    /// That is waited for from now on; those who ask relays hear of it if it is news.
    pub(super) fn awaits(&self, awaited: Awaited) {
        self.awaited.send_if_modified(|known| {
            let is_news = **known != awaited;
            if is_news {
                *known = Arc::new(awaited);
            }
            is_news
        });
    }

    /// What is waited for, and whatever it changes to.
    pub(super) fn awaited(&self) -> watch::Receiver<Arc<Awaited>> {
        self.awaited.subscribe()
    }

    /// Whether one of these ids is that of an open note of ours about a request that is still open.
    pub(super) fn is_awaited<'a>(&self, mut ids: impl Iterator<Item = &'a str>) -> bool {
        let awaited = self.awaited.borrow();
        ids.any(|id| awaited.notes.contains(id))
    }

    /// A note is about to go out: somebody may answer it.
    pub(super) fn note_goes_out(&self) {
        self.note_went_out.notify_one();
    }

    /// Ends when a note has gone out, or is about to.
    pub(super) async fn note_went_out(&self) {
        self.note_went_out.notified().await;
    }

    /// Events of nobody, and events that proved nothing, since the start.
    pub fn counts(&self) -> (u64, u64) {
        (self.strangers.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RelayState {
    fn unknown(now: Timestamp) -> Self {
        Self { connected: false, caught_up: false, says: String::new(), at: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_secs(seconds))
    }

    #[test]
    fn nothing_expires_until_one_relay_has_told_all() {
        let state = State::default();
        assert!(!state.may_hold_votes(at(0)), "a channel that is off is not waited for");
        state.begin(at(0));
        assert!(state.may_hold_votes(at(599)) && !state.may_hold_votes(at(600)));
        assert!(state.connected("a", at(1)) && !state.connected("b", at(1)));
        assert!(state.caught_up("a") && !state.caught_up("b"));
        assert!(!state.may_hold_votes(at(2)));
        state.lost("a", "gone", at(3));
        assert!(!state.may_hold_votes(at(4)), "the other one is there");
        state.lost("b", "gone", at(5));
        assert!(state.may_hold_votes(at(6)) && state.connected("b", at(7)));
        assert!(state.stop() && !state.stop() && !state.may_hold_votes(at(8)));
    }

    #[test]
    fn only_a_newer_list_counts() {
        let state = State::default();
        let list = |at, relay: &str| List { at, relays: vec![relay.to_owned()] };
        assert!(state.learn_list("kim", list(5, "a")));
        assert!(!state.learn_list("kim", list(4, "b")));
        assert!(!state.learn_list("kim", list(6, "a")), "it says the same");
        assert!(state.learn_list("kim", list(7, "b")));
        assert_eq!(state.list_of("kim"), Some(list(7, "b")));
    }

    #[test]
    fn a_flood_of_refusals_is_answered_a_few_times() {
        let state = State::default();
        let given = (0..100).filter(|_| state.may_answer("kim", at(0))).count();
        assert_eq!(given, 20);
        assert!(state.may_answer("lee", at(0)) && state.may_answer("kim", at(60)));
    }
}
