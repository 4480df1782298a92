//! Where people are asked and told.

use std::path::Path;

use serde_json::Value;

use super::nostr::Nostr;
use super::telegram::Telegram;
use crate::config::section::{Section, as_flag, kind};

/// Where people are asked and told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// The daemon's own output and input.
    pub terminal: Terminal,
    /// Telegram chats.
    pub telegram: Telegram,
    /// Nostr audiences.
    pub nostr: Nostr,
}

/// The daemon's own output and input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Requests and reports are written to the daemon's output.
    pub enabled: bool,
    /// Answers are read from its standard input, as the user the daemon runs as.
    pub input: bool,
}

impl Default for Terminal {
    fn default() -> Self {
        Self { enabled: true, input: false }
    }
}

impl Channels {
    pub(super) fn read(mut section: Section<'_>, folder: &Path) -> Self {
        let channels = Self {
            terminal: read_terminal(&mut section),
            telegram: Telegram::read(&mut section, folder),
            nostr: Nostr::read(&mut section, folder),
        };
        section.finish();
        channels
    }

    /// Is the channel of that name on? None if there is no such channel.
    pub fn is_enabled(&self, name: &str) -> Option<bool> {
        match name {
            "terminal" => Some(self.terminal.enabled),
            "telegram" => Some(self.telegram.enabled),
            "nostr" => Some(self.nostr.enabled),
            _ => None,
        }
    }

    /// The names of the channels that are on.
    pub fn enabled(&self) -> Vec<&'static str> {
        let all = ["terminal", "telegram", "nostr"];
        all.into_iter().filter(|name| self.is_enabled(name) == Some(true)).collect()
    }

    /// The targets a policy may name for the channel of that name.
    pub fn targets(&self, name: &str) -> Vec<&str> {
        match name {
            "telegram" => self.telegram.chats.keys().map(String::as_str).collect(),
            "nostr" => self.nostr.audiences.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// A channel is a mapping, or a plain on or off.
pub(super) enum Given<'a> {
    Word(bool),
    Mapping(Section<'a>),
}

pub(super) fn given<'a>(section: &mut Section<'a>, key: &'static str) -> Given<'a> {
    match section.take(key) {
        Some(value @ (Value::Bool(_) | Value::String(_))) => match as_flag(value) {
            Some(flag) => Given::Word(flag),
            None => {
                section.error(key, format!("is {}; write on, off, or the channel's settings", kind(value)));
                Given::Word(false)
            }
        },
        value => Given::Mapping(Section::new(value, section.at(key), section.notes)),
    }
}

fn read_terminal(section: &mut Section<'_>) -> Terminal {
    let default = Terminal::default();
    match given(section, "terminal") {
        Given::Word(enabled) => Terminal { enabled, ..default },
        Given::Mapping(mut own) => {
            let read =
                Terminal { enabled: own.flag("enabled", default.enabled), input: own.flag("input", default.input) };
            own.finish();
            read
        }
    }
}

/// A secret in the file would end in backups, repositories and bug reports.
pub(super) fn refuse_secret(own: &mut Section<'_>, key: &'static str, instead: &str) {
    if own.take(key).is_some() {
        own.error(
            key,
            format!("a secret does not stand in this file; put it into a file of its own and name that in `{instead}`"),
        );
    }
}
