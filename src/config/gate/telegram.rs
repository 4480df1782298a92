//! The Telegram channel: which bot, which chats.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::channels::{Given, given, refuse_secret};
use super::files::optional_path;
use crate::config::section::Section;

/// The environment variable that may hold the bot's token, where no `token_file` is named.
pub const TELEGRAM_TOKEN_VARIABLE: &str = "LAZARUS_TELEGRAM_TOKEN";
/// The systemd credential that may hold it, where neither is there.
pub const TELEGRAM_CREDENTIAL: &str = "telegram-token";

/// Where Telegram's own servers are.
const API_URL: &str = "https://api.telegram.org";
/// The server of the Bot API holds a poll open for 50 s at most.
const POLL_MAX: Duration = Duration::from_secs(50);

/// The Telegram channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telegram {
    /// People are asked there.
    pub enabled: bool,
    /// The chats a policy may name as target.
    pub chats: BTreeMap<String, Chat>,
    /// The file with the bot's token; without it, the environment or a systemd credential has it.
    pub token_file: Option<PathBuf>,
    /// Where the Bot API is: Telegram's, or a server of one's own. No slash at its end.
    pub api_url: String,
    /// How long a poll may wait for something to come.
    pub poll: Duration,
    /// How long any other call may take.
    pub call_deadline: Duration,
}

/// One Telegram chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chat {
    /// The numeric id; groups are negative.
    pub chat: i64,
    /// The topic in a forum, if any.
    pub topic: Option<i32>,
}

impl Default for Telegram {
    fn default() -> Self {
        Self {
            enabled: false,
            chats: BTreeMap::new(),
            token_file: None,
            api_url: API_URL.to_owned(),
            poll: Duration::from_secs(25),
            call_deadline: Duration::from_secs(15),
        }
    }
}

impl Telegram {
    pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Self {
        let default = Self::default();
        let trail = section.at("telegram");
        let telegram = match given(section, "telegram") {
            Given::Word(enabled) => Self { enabled, ..default },
            Given::Mapping(mut own) => {
                refuse_secret(&mut own, "token", "token_file");
                let poll = own.duration("poll", default.poll, Duration::from_secs(1));
                if poll > POLL_MAX {
                    own.error("poll", "is longer than Telegram holds a poll open; write at most 50s");
                }
                let read = Self {
                    enabled: own.flag("enabled", false),
                    chats: read_chats(own.section("chats")),
                    token_file: optional_path(&mut own, "token_file", folder),
                    api_url: read_api_url(&mut own).unwrap_or(default.api_url),
                    poll: poll.min(POLL_MAX),
                    call_deadline: own.duration("call_deadline", default.call_deadline, Duration::from_millis(1)),
                };
                own.finish();
                read
            }
        };
        if telegram.enabled && telegram.chats.is_empty() {
            let at = crate::config::report::below(&trail, "chats");
            let right =
                "`channels.telegram.chats`: is missing; name the chats, such as `ops-room: {chat: -1001234567890}`";
            section.notes.error(&at, right.to_owned());
        }
        telegram
    }
}

fn read_api_url(own: &mut Section<'_>) -> Option<String> {
    let text = own.text("api_url")?;
    match reqwest::Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
            own.error("api_url", "is no web address; write http://… or https://…");
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            own.error("api_url", "holds a name or password, which would end in logs; take them out");
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            own.error("api_url", "has a query or a fragment; write only scheme, host and path");
        }
        Ok(_) => return Some(text.trim_end_matches('/').to_owned()),
        Err(_) => own.error("api_url", "is no web address; write http://… or https://…"),
    }
    None
}

fn read_chats(section: Section<'_>) -> BTreeMap<String, Chat> {
    let mut chats = BTreeMap::new();
    for (name, value) in section.entries() {
        let mut own = Section::new(Some(value), section.at(name), section.notes);
        let chat = own.take("chat");
        let topic = own.take("topic").filter(|topic| !topic.is_null());
        let number = topic.and_then(Value::as_i64).and_then(|topic| i32::try_from(topic).ok());
        match chat.map(Value::as_i64) {
            Some(Some(chat)) if chat != 0 => {
                chats.insert(name.to_owned(), Chat { chat, topic: number });
            }
            Some(_) => own.error("chat", "is no chat id; write the number, negative for groups, without quotes"),
            None => own.error("chat", "is missing; write the chat's numeric id, negative for groups"),
        }
        if topic.is_some() && number.is_none_or(|topic| topic <= 0) {
            own.error("topic", "is no topic id; write the number of the topic, or remove the line");
        }
        own.finish();
    }
    chats
}
