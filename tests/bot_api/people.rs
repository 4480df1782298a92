//! What people do: write, reply, forward, edit, delete, and tap buttons.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::world::{Chat, GROUP_ANONYMOUS_BOT, Kind, Message, Role, Tap};
use super::{BOT, BOT_NAME, BotApi, State};

/// The id of a callback query.
pub type CallbackId = String;

/// How something is said, where it is not said plainly.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The message it replies to.
    pub reply_to: Option<i64>,
    /// The topic it is said in.
    pub thread: Option<i64>,
    /// Forwarded from this user: they wrote it, somebody else passes it on.
    pub forwarded_from: Option<i64>,
    /// Made through this inline bot.
    pub via_bot: Option<i64>,
    /// Said by an administrator in the name of the group.
    pub anonymous: bool,
    /// Entities, also such as `date_time` that a bot's library may not know; without any given, a
    /// command at the start is marked as one.
    pub entities: Option<Vec<Value>>,
    /// Further fields of the message.
    pub more: Map<String, Value>,
}

/// A button: by its label or, from 0 on, by its place.
#[derive(Clone, Debug)]
pub enum Which {
    /// By its label.
    Label(String),
    /// By its place, row after row.
    Place(usize),
}

impl From<&str> for Which {
    fn from(label: &str) -> Self {
        Self::Label(label.to_owned())
    }
}

impl From<usize> for Which {
    fn from(place: usize) -> Self {
        Self::Place(place)
    }
}

impl BotApi {
    /// Somebody writes a message. Returns its number in the chat. In a channel nobody is named.
    pub fn say(&self, chat: i64, user: i64, text: &str) -> i64 {
        self.say_so(chat, user, text, Said::default())
    }

    /// Somebody replies to a message.
    pub fn reply(&self, chat: i64, user: i64, to: i64, text: &str) -> i64 {
        self.say_so(chat, user, text, Said { reply_to: Some(to), ..Said::default() })
    }

    /// Somebody writes a message in a special way.
    pub fn say_so(&self, chat: i64, user: i64, text: &str, how: Said) -> i64 {
        self.change(|state| {
            let message = written(state, chat, user, text, how);
            publish(state, message)
        })
    }

    /// Somebody sends a file.
    pub fn send_file(&self, chat: i64, user: i64, name: &str, bytes: &[u8], caption: &str) -> i64 {
        self.change(|state| {
            let id = state.world.keep_file(name, bytes);
            let document = json!({
                "file_id": id, "file_unique_id": format!("Ag{id}"), "file_name": name, "file_size": bytes.len(),
            });
            let more = Map::from_iter([("document".to_owned(), document)]);
            let mut message = written(state, chat, user, caption, Said { more, ..Said::default() });
            message.document = Some((name.to_owned(), bytes.to_vec()));
            publish(state, message)
        })
    }

    /// Somebody edits what they wrote: the bot is told, in an update of another kind.
    pub fn edit(&self, chat: i64, message: i64, text: &str) {
        self.change(|state| {
            let now = state.clock.now();
            let edited = message_mut(state, chat, message);
            text.clone_into(&mut edited.text);
            edited.entities = command_entities(text);
            edited.edited = Some(now);
            edited.edits += 1;
            let edited = edited.clone();
            let kind = if edited.from.is_some() { "edited_message" } else { "edited_channel_post" };
            deliver(state, &edited, kind);
        });
    }

    /// Somebody deletes a message, the bot's or another's. Bots are not told.
    pub fn delete_message(&self, chat: i64, message: i64) {
        self.change(|state| {
            message_mut(state, chat, message);
            state.world.chat(chat).messages.remove(&message);
        });
    }

    /// Somebody taps a button that is there now.
    pub fn tap(&self, chat: i64, message: i64, button: impl Into<Which>, user: i64) -> CallbackId {
        let which = button.into();
        self.change(|state| {
            let buttons = message_mut(state, chat, message).buttons();
            let found = match &which {
                Which::Label(label) => buttons.iter().find(|button| button.text == *label),
                Which::Place(place) => buttons.get(*place),
            };
            let found = found.unwrap_or_else(|| panic!("message {message} has no button {which:?}, only {buttons:?}"));
            tap(state, chat, message, &found.data, user)
        })
    }

    /// Somebody's client sends data that need not be on any button; nor need the message still exist.
    pub fn tap_data(&self, chat: i64, message: i64, data: &str, user: i64) -> CallbackId {
        self.change(|state| tap(state, chat, message, data, user))
    }
}

/// The message, in the chat but not yet there for anyone.
fn written(state: &mut State, chat: i64, user: i64, text: &str, how: Said) -> Message {
    let now = state.clock.now();
    let (forwarded, via) =
        (how.forwarded_from.map(|id| state.world.user_json(id)), how.via_bot.map(|id| state.world.user_json(id)));
    let place = state.world.chat(chat);
    let mut message = place.draft(Some(user), now);
    message.thread = place.thread_for(how.thread, how.reply_to);
    if let Some(thread) = message.thread.filter(|_| place.is_forum) {
        let topic = place.topics.get(&thread).unwrap_or_else(|| panic!("there is no topic {thread}"));
        assert!(!topic.closed, "topic {thread} is closed: people cannot write there");
    }
    if place.kind == Kind::Channel {
        message.from = None;
        message.sender_chat = Some(chat);
    } else if how.anonymous {
        message.from = Some(GROUP_ANONYMOUS_BOT);
        message.sender_chat = Some(chat);
    }
    message.reply_to = how.reply_to;
    text.clone_into(&mut message.text);
    text.clone_into(&mut message.sent);
    message.entities = how.entities.unwrap_or_else(|| command_entities(text));
    message.more = how.more;
    if let Some(sender) = forwarded {
        message
            .more
            .insert("forward_origin".to_owned(), json!({"type": "user", "sender_user": sender, "date": now - 60}));
    }
    if let Some(via) = via {
        message.more.insert("via_bot".to_owned(), via);
    }
    message
}

/// Puts the message into its chat and tells the bot. Returns its number.
pub(super) fn publish(state: &mut State, message: Message) -> i64 {
    let (chat, id) = (message.chat, message.id);
    state.world.chat(chat).messages.insert(id, message.clone());
    let kind = if state.world.chat(chat).kind == Kind::Channel { "channel_post" } else { "message" };
    deliver(state, &message, kind);
    id
}

/// Tells the bot of a message, if it gets to see it.
fn deliver(state: &mut State, message: &Message, kind: &str) {
    let chat = state.world.chat(message.chat);
    if !sees(chat, message, state.settings.reads_all) {
        return;
    }
    let shown = state.world.message_json(message);
    state.queue.push(kind, shown, state.clock.now_ms());
}

/// Bots see only some messages of groups, unless they may read all or are administrators there.
fn sees(chat: &Chat, message: &Message, reads_all: bool) -> bool {
    match chat.role(BOT) {
        Role::Left | Role::Kicked => false,
        Role::Creator | Role::Administrator => true,
        Role::Member | Role::Muted => {
            let command = message.text.split_whitespace().next().unwrap_or_default();
            let to_us = command.starts_with('/')
                && command.split_once('@').is_none_or(|(_, bot)| bot.eq_ignore_ascii_case(BOT_NAME));
            let replied = message.reply_to.and_then(|id| chat.messages.get(&id));
            let is_service = message.text.is_empty() && !message.more.contains_key("document");
            reads_all
                || chat.kind == Kind::Private
                || to_us
                || is_service
                || replied.is_some_and(|replied| replied.from == Some(BOT))
        }
    }
}

fn tap(state: &mut State, chat: i64, message: i64, data: &str, user: i64) -> CallbackId {
    let id = format!("{}", 4_400_000_000_000_000_000_u64 + state.world.taps.len() as u64);
    let at_ms = state.clock.now_ms();
    let shown = match state.world.chat(chat).messages.get(&message).cloned() {
        Some(message) => state.world.message_json(&message),
        // What is there no more is "inaccessible".
        None => json!({"chat": state.world.chat_json(chat), "message_id": message, "date": 0}),
    };
    let from = state.world.user_json(user);
    let tap = Tap { at_ms, tapped: Instant::now(), answered: None, answer: None };
    state.world.taps.insert(id.clone(), tap);
    let query = json!({
        "id": id, "from": from, "message": shown, "chat_instance": format!("{}", chat.wrapping_mul(-7_919)), "data": data,
    });
    state.queue.push("callback_query", query, at_ms);
    id
}

fn message_mut(state: &mut State, chat: i64, message: i64) -> &mut Message {
    let found = state.world.chat(chat).messages.get_mut(&message);
    found.unwrap_or_else(|| panic!("chat {chat} has no message {message}"))
}

/// A command at the start, as Telegram's clients mark it.
fn command_entities(text: &str) -> Vec<Value> {
    let command = text.split(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '/' | '_' | '@'))).next();
    let command = command.filter(|command| command.starts_with('/') && command.len() > 1);
    command.map(|command| json!({"type": "bot_command", "offset": 0, "length": command.len()})).into_iter().collect()
}
