//! What a test sees of the bot's doings, and waits for.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use std::sync::PoisonError;

use super::{BotApi, Call, DEADLINE, Message, State};

/// What a tap was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the person is shown; may be empty.
    pub text: String,
    /// Whether in a window that must be closed, rather than for a moment.
    pub show_alert: bool,
}

impl BotApi {
    /// Everything in a chat as it stands now, oldest first; what was deleted is gone.
    pub fn messages(&self, chat: i64) -> Vec<Message> {
        self.state().world.chats.get(&chat).map(|chat| chat.messages.values().cloned().collect()).unwrap_or_default()
    }

    /// What the bot wrote in a chat, as it stands now, oldest first.
    pub fn cards(&self, chat: i64) -> Vec<Message> {
        let own = |message: &Message| message.from == Some(super::BOT) || message.sender_chat == Some(chat);
        self.messages(chat).into_iter().filter(own).collect()
    }

    /// A message as it stands now, if it is still there.
    pub fn message(&self, chat: i64, message: i64) -> Option<Message> {
        self.state().world.chats.get(&chat)?.messages.get(&message).cloned()
    }

    /// Waits for a message of the bot's that is as wanted, and returns the newest such one.
    pub fn wait_message(&self, chat: i64, mut wanted: impl FnMut(&Message) -> bool) -> Message {
        self.wait("a message of the bot's", |state| {
            let mut messages = state.world.chats.get(&chat)?.messages.values().rev();
            let own = |message: &Message| message.from == Some(super::BOT) || message.sender_chat == Some(chat);
            messages.find(|message| own(message) && wanted(message)).cloned()
        })
    }

    /// Waits until this message is as wanted, and returns it.
    pub fn wait_edited(&self, chat: i64, message: i64, mut wanted: impl FnMut(&Message) -> bool) -> Message {
        self.wait("an edit", |state| {
            state.world.chats.get(&chat)?.messages.get(&message).filter(|message| wanted(message)).cloned()
        })
    }

    /// Waits until a tap is answered.
    pub fn wait_answer(&self, callback: &str) -> Answer {
        self.wait("an answer to a tap", |state| state.world.taps.get(callback)?.answer.clone())
    }

    /// What a tap was answered so far.
    pub fn answer(&self, callback: &str) -> Option<Answer> {
        self.state().world.taps.get(callback)?.answer.clone()
    }

    /// Waits until so many taps in all were answered.
    pub fn wait_answers(&self, taps: usize) {
        self.wait("answers to taps", |state| (state.world.taps_answered >= taps).then_some(()));
    }

    /// How long it took from a tap to its answer, in real time.
    pub fn answer_took(&self, callback: &str) -> Option<Duration> {
        let state = self.state();
        let tap = state.world.taps.get(callback)?;
        Some(tap.answered?.duration_since(tap.tapped))
    }

    /// Waits for a call of a method that is as wanted, finished or not, and returns it.
    pub fn wait_call(&self, method: &str, mut wanted: impl FnMut(&Call) -> bool) -> Call {
        self.wait(method, |state| state.log.calls.iter().find(|call| call.is(method) && wanted(call)).cloned())
    }

    /// Waits until the bot has confirmed every update.
    pub fn wait_confirmed(&self) {
        self.wait("confirmation of all updates", |state| (state.queue.len() == 0).then_some(()));
    }

    /// Waits until `look` finds something; after [`DEADLINE`] it fails, and shows every call.
    #[track_caller]
    fn wait<T>(&self, what: &str, mut look: impl FnMut(&State) -> Option<T>) -> T {
        let ends = Instant::now() + DEADLINE;
        let mut state = self.state();
        loop {
            if let Some(found) = look(&state) {
                return found;
            }
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let told = history(&state);
                drop(state);
                panic!("waited {DEADLINE:?} in vain for {what}.\n{told}");
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Every call and every chat, for people.
    pub fn history(&self) -> String {
        history(&self.state())
    }
}

fn history(state: &State) -> String {
    let mut told = String::from("Calls:\n");
    for call in &state.log.calls {
        let _ = writeln!(told, "  {call}");
    }
    for chat in state.world.chats.values().filter(|chat| !chat.messages.is_empty()) {
        let _ = writeln!(told, "Chat {} {:?}:", chat.id, chat.title);
        for message in chat.messages.values() {
            let from = message.from.unwrap_or_default();
            let _ = writeln!(told, "  #{} {from}: {:?} {:?}", message.id, message.text, message.labels());
        }
    }
    let _ = writeln!(told, "Updates that wait: {}", state.queue.len());
    told
}
