use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::channel::telegram::Target;
use crate::config::gate::Chat;
use crate::gateway::intake::Intake;
use crate::pool::Timestamp;

/// Who our bot is. Kept on disk: what came in is read again after a crash, before Telegram was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// Its numeric id.
    pub id: i64,
    /// Its username, without the `@`.
    pub username: String,
}

/// What only the running daemon knows of its bot. All that must outlive it is in the store.
#[derive(Debug, Default)]
pub struct State(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    me: Option<Me>,
    moved: BTreeMap<i64, i64>,
    intake: Intake,
    let_in: BTreeMap<i64, Timestamp>,
}

impl State {
    /// A chat of the configuration has taken us in again.
    pub(super) fn let_in(&self, chat: i64, now: Timestamp) {
        self.lock().let_in.insert(chat, now);
    }

    /// When it did so last, in this run.
    pub(super) fn let_in_at(&self, chat: i64) -> Option<Timestamp> {
        self.lock().let_in.get(&chat).copied()
    }

    /// Who our bot is, once Telegram has told.
    pub fn me(&self) -> Option<Me> {
        self.lock().me.clone()
    }

    pub(super) fn set_me(&self, me: Me) {
        self.lock().me = Some(me);
    }

    /// Where a chat of the configuration is now: a group may have become a supergroup since it was written.
    pub fn now_at(&self, chat: Chat) -> Target {
        Target { chat: self.moved_to(chat.chat), topic: chat.topic }
    }

    /// The id that a chat has now.
    pub fn moved_to(&self, chat: i64) -> i64 {
        end_of(&self.lock().moved, chat)
    }

    /// Whether `chat` is one of these, under the id that it has or one that it had.
    pub fn is_among(&self, chats: &BTreeMap<String, Chat>, chat: i64) -> bool {
        let now_at = self.moved_to(chat);
        chats.values().any(|one| self.moved_to(one.chat) == now_at)
    }

    /// All moves, from the store.
    pub(super) fn set_moved(&self, moved: BTreeMap<i64, i64>) {
        self.lock().moved = moved;
    }

    /// The poll has come up, or has failed: something may wait at Telegram.
    pub(super) fn behind(&self, now: Timestamp) {
        let mut inner = self.lock();
        if !matches!(inner.intake, Intake::Behind(_)) {
            inner.intake = Intake::Behind(now);
        }
    }

    /// All that waited at Telegram is here; tells whether that is new.
    pub(super) fn caught_up(&self) -> bool {
        let mut inner = self.lock();
        let new = inner.intake != Intake::CaughtUp;
        inner.intake = Intake::CaughtUp;
        new
    }

    /// Whether all that had waited at Telegram is here.
    pub(super) fn is_caught_up(&self) -> bool {
        self.lock().intake == Intake::CaughtUp
    }

    /// The channel is stopped; tells whether that is new.
    pub(super) fn stop(&self) -> bool {
        self.lock().intake.stop()
    }

    /// Whether it is stopped until somebody mends it.
    pub fn is_stopped(&self) -> bool {
        self.lock().intake == Intake::Stopped
    }

    /// Whether a vote may still be on its way, so that nothing expires yet.
    pub fn may_hold_votes(&self, now: Timestamp) -> bool {
        self.lock().intake.may_hold_votes(now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where `chat` is after all these moves.
pub(super) fn end_of(moves: &BTreeMap<i64, i64>, chat: i64) -> i64 {
    let mut now = chat;
    // Moves do not come back; the bound is for a store that says they do.
    for _ in 0..8 {
        match moves.get(&now) {
            Some(to) => now = *to,
            None => break,
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_chat_is_found_where_it_moved_to() {
        let state = State::default();
        state.set_moved([(-1, -1001), (-1001, -1002), (-7, -7)].into());
        assert_eq!(state.now_at(Chat { chat: -1, topic: Some(3) }).to_string(), "-1002/3");
        assert_eq!(state.moved_to(-7), -7);
        assert_eq!(state.moved_to(5), 5);
    }

    #[test]
    fn nothing_expires_while_votes_may_wait_at_telegram() {
        let state = State::default();
        let at = |seconds: u64| Timestamp::from_millis(0).plus(Duration::from_secs(seconds));
        assert!(!state.may_hold_votes(at(0)), "a channel that is off is not waited for");
        state.behind(at(0));
        state.behind(at(500));
        assert!(state.may_hold_votes(at(599)) && !state.may_hold_votes(at(600)));
        assert!(state.caught_up() && !state.caught_up());
        assert!(!state.may_hold_votes(at(1)));
        state.behind(at(700));
        assert!(state.stop() && !state.may_hold_votes(at(701)));
    }
}
