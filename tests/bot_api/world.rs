//! What there is: people, chats, messages, taps and files.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Map, Value};

/// Anonymous administrators write as this account.
pub(super) const GROUP_ANONYMOUS_BOT: i64 = 1_087_968_824;

/// A chat's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Private,
    Group,
    Supergroup,
    Channel,
}

/// What somebody is in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one owner.
    Creator,
    /// May do everything but what only owners may.
    Administrator,
    /// A member without special rights.
    Member,
    /// A member who may not write.
    Muted,
    /// Went by themselves, or was never there.
    Left,
    /// Was thrown out; in a private chat: the person blocked the bot.
    Kicked,
}

/// Somebody.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub id: i64,
    pub name: String,
    pub username: Option<String>,
    pub language: Option<String>,
    pub is_bot: bool,
}

/// A topic of a forum.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub name: String,
    pub closed: bool,
}

/// A chat, with everything said in it.
#[derive(Clone, Debug)]
pub(super) struct Chat {
    pub id: i64,
    pub kind: Kind,
    pub title: String,
    pub is_forum: bool,
    pub members: BTreeMap<i64, Role>,
    pub topics: BTreeMap<i64, Topic>,
    pub migrated_to: Option<i64>,
    pub messages: BTreeMap<i64, Message>,
    pub last_message: i64,
}

/// A message as it stands now.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its number in the chat.
    pub id: i64,
    /// The chat.
    pub chat: i64,
    /// The topic, or the first message of a chain of replies.
    pub thread: Option<i64>,
    /// Who wrote it; nobody in a channel.
    pub from: Option<i64>,
    /// The chat in whose name it was written.
    pub sender_chat: Option<i64>,
    /// Unix seconds.
    pub date: i64,
    /// When it was last edited, in unix seconds.
    pub edited: Option<i64>,
    /// How often it was edited.
    pub edits: u32,
    /// What people read, without markup.
    pub text: String,
    /// The text as the bot sent it, markup included.
    pub sent: String,
    /// Entities as Telegram lists them.
    pub entities: Vec<Value>,
    /// `reply_markup`, while it is an inline keyboard.
    pub keyboard: Option<Value>,
    /// `reply_markup`, where the sender's client was asked to reply.
    pub force_reply: Option<Value>,
    /// The message it replies to.
    pub reply_to: Option<i64>,
    /// Whether it came without a sound.
    pub silent: bool,
    /// A document's name and bytes.
    pub document: Option<(String, Vec<u8>)>,
    /// The bot's reactions to it, as emoji.
    pub reactions: Vec<String>,
    /// Every other field of Telegram's message: forwards, service messages, files.
    pub more: Map<String, Value>,
}

/// One button of an inline keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// What people read on it.
    pub text: String,
    /// What comes back when it is tapped; empty for links.
    pub data: String,
}

impl Message {
    /// The buttons of its inline keyboard, row after row.
    pub fn buttons(&self) -> Vec<Button> {
        let rows = self.keyboard.as_ref().and_then(|markup| markup["inline_keyboard"].as_array());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rows.into_iter()
            .flatten()
            .filter_map(Value::as_array)
            .flatten()
            .map(|button| Button { text: text(&button["text"]), data: text(&button["callback_data"]) })
            .collect()
    }

    /// The labels of its buttons, row after row.
    pub fn labels(&self) -> Vec<String> {
        self.buttons().into_iter().map(|button| button.text).collect()
    }
}

/// A tap on a button.
#[derive(Clone, Debug)]
pub(super) struct Tap {
    pub at_ms: i64,
    pub tapped: Instant,
    pub answered: Option<Instant>,
    pub answer: Option<super::Answer>,
}

/// Everything there is.
#[derive(Debug, Default)]
pub(super) struct World {
    pub users: BTreeMap<i64, User>,
    pub chats: BTreeMap<i64, Chat>,
    pub taps: BTreeMap<String, Tap>,
    pub taps_answered: usize,
    /// Files by id: name and bytes.
    pub files: BTreeMap<String, (String, Vec<u8>)>,
}

impl Chat {
    pub(super) fn new(id: i64, kind: Kind, title: &str) -> Self {
        Self {
            id,
            kind,
            title: title.to_owned(),
            is_forum: false,
            members: BTreeMap::new(),
            topics: BTreeMap::new(),
            migrated_to: None,
            messages: BTreeMap::new(),
            last_message: 0,
        }
    }

    /// What this user is here.
    pub(super) fn role(&self, user: i64) -> Role {
        self.members.get(&user).copied().unwrap_or(Role::Left)
    }

    /// An empty message with the next number, not yet in the chat.
    pub(super) fn draft(&mut self, from: Option<i64>, date: i64) -> Message {
        self.last_message += 1;
        Message {
            id: self.last_message,
            chat: self.id,
            thread: None,
            from,
            sender_chat: None,
            date,
            edited: None,
            edits: 0,
            text: String::new(),
            sent: String::new(),
            entities: Vec::new(),
            keyboard: None,
            force_reply: None,
            reply_to: None,
            silent: false,
            document: None,
            reactions: Vec::new(),
            more: Map::new(),
        }
    }

    /// In forums the topic of `asked`; in other supergroups the start of the chain that `reply_to` is in.
    pub(super) fn thread_for(&self, asked: Option<i64>, reply_to: Option<i64>) -> Option<i64> {
        match self.kind {
            Kind::Supergroup if self.is_forum => {
                let of_reply = reply_to.and_then(|id| self.messages.get(&id)?.thread);
                asked.or(of_reply)
            }
            Kind::Supergroup => {
                reply_to.map(|id| self.messages.get(&id).and_then(|replied| replied.thread).unwrap_or(id))
            }
            _ => None,
        }
    }
}

impl World {
    pub(super) fn chat(&mut self, id: i64) -> &mut Chat {
        self.chats.get_mut(&id).unwrap_or_else(|| panic!("the test's world has no chat {id}"))
    }

    /// Keeps a file, and returns its id.
    pub(super) fn keep_file(&mut self, name: &str, bytes: &[u8]) -> String {
        let id = format!("BQACAgQAAx{:08}", self.files.len() + 1);
        self.files.insert(id.clone(), (name.to_owned(), bytes.to_vec()));
        id
    }
}
