//! Where people are asked and told. Nostr is not part of this version: its targets are read and
//! checked, so that the names in a policy resolve, but it cannot be on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::log::word;
use super::people::Person;
use super::telegram::Telegram;
use crate::config::report::{Notes, Step, Trail, spell};
use crate::config::section::{Section, as_flag, kind};
use crate::config::words::suggest;

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

/// Nostr: read, but not yet spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nostr {
    /// Always false in a configuration that was accepted.
    pub enabled: bool,
    /// The audiences a policy may name as target.
    pub audiences: BTreeMap<String, Audience>,
    /// The file with the gateway's secret key.
    pub key_file: Option<PathBuf>,
}

/// Some people on Nostr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// Their names in `people`.
    pub people: BTreeSet<String>,
    /// How they are written to.
    pub style: NostrStyle,
}

/// How an audience is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NostrStyle {
    /// Encrypted messages to each.
    Private,
    /// Notes that everybody can read.
    Note,
}

impl Channels {
    pub(super) fn read(mut section: Section<'_>, folder: &Path) -> Self {
        let channels = Self {
            terminal: read_terminal(&mut section),
            telegram: Telegram::read(&mut section, folder),
            nostr: read_nostr(&mut section),
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

    /// An audience is made of entries of `people`.
    pub(super) fn check_people(&self, people: &[Person], notes: &Notes) {
        for (name, audience) in &self.nostr.audiences {
            let keys = ["channels", "nostr", "audiences", name, "people"];
            let trail: Trail = keys.into_iter().map(|key| Step::Key(key.to_owned())).collect();
            for person in &audience.people {
                let known = people.iter().map(|person| person.id.as_str());
                match people.iter().find(|known| known.id.as_str() == person) {
                    None => {
                        let hint = suggest(person, known.collect::<Vec<_>>());
                        notes.error(&trail, format!("`{}`: {person:?} is not in `people`{hint}", spell(&trail)));
                    }
                    Some(found) if found.nostr.is_empty() => {
                        let message = format!("`{}`: {person} has no `nostr` key in `people`; add one", spell(&trail));
                        notes.warning(&trail, message);
                    }
                    Some(_) => {}
                }
            }
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

fn read_nostr(section: &mut Section<'_>) -> Nostr {
    let nostr = match given(section, "nostr") {
        Given::Word(enabled) => Nostr { enabled, ..Nostr::default() },
        Given::Mapping(mut own) => {
            refuse_secret(&mut own, "key", "key_file");
            refuse_secret(&mut own, "secret_key", "key_file");
            let read = Nostr {
                enabled: own.flag("enabled", false),
                audiences: read_audiences(own.section("audiences")),
                key_file: own.text("key_file").map(PathBuf::from),
            };
            own.finish();
            read
        }
    };
    refuse_unspoken(section, "nostr", "Nostr", nostr.enabled);
    nostr
}

fn read_audiences(section: Section<'_>) -> BTreeMap<String, Audience> {
    let mut audiences = BTreeMap::new();
    for (name, value) in section.entries() {
        let mut own = Section::new(Some(value), section.at(name), section.notes);
        let style = word(
            &mut own,
            "style",
            &[("private", NostrStyle::Private), ("note", NostrStyle::Note)],
            NostrStyle::Private,
        );
        let people = own.texts("people").unwrap_or_default().into_iter().map(|(_, name)| name.to_owned()).collect();
        audiences.insert(name.to_owned(), Audience { people, style });
        own.finish();
    }
    audiences
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

fn refuse_unspoken(section: &Section<'_>, key: &str, name: &str, enabled: bool) {
    if enabled {
        let mut trail = section.at(key);
        // The place of `enabled` where there is one; else the nearest on the way, the channel.
        trail.push(Step::Key("enabled".to_owned()));
        let message =
            format!("`channels.{key}`: {name} does not exist in this version; write `enabled: false` or `off`");
        section.notes.error(&trail, message);
    }
}
