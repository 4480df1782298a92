//! A mapping of the gateway's file while it is read.
//!
//! Reading never stops at the first problem: what is wrong is noted, its default stands in, and
//! the walk goes on. What was never asked for is an unknown key.

use std::time::Duration;

use serde_json::{Map, Value};

use super::report::{Notes, Step, Trail, below, item, spell};
use super::words;

/// One mapping, its place, and the keys asked for so far.
pub(super) struct Section<'a> {
    map: Option<&'a Map<String, Value>>,
    trail: Trail,
    known: Vec<&'static str>,
    /// Where problems go.
    pub notes: &'a Notes,
}

/// What a value is, for a message; never the value itself, which may be a misplaced secret.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing (null)",
        Value::Bool(_) => "true/false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

impl<'a> Section<'a> {
    /// The mapping `value` at `trail`; anything else but null is noted and read as empty.
    pub fn new(value: Option<&'a Value>, trail: Trail, notes: &'a Notes) -> Self {
        let map = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map),
            Some(other) => {
                let name = if trail.is_empty() { "the file".to_owned() } else { format!("`{}`", spell(&trail)) };
                notes.error(&trail, format!("{name} is {}; write `key: value` lines", kind(other)));
                None
            }
        };
        Self { map, trail, known: Vec::new(), notes }
    }

    /// The way to this mapping.
    pub fn trail(&self) -> &[Step] {
        &self.trail
    }

    /// The way to `key` in this mapping.
    pub fn at(&self, key: &str) -> Trail {
        below(&self.trail, key)
    }

    /// Notes an error at `key`; the message begins with the key's full name.
    pub fn error(&self, key: &str, message: impl std::fmt::Display) {
        let trail = self.at(key);
        self.notes.error(&trail, format!("`{}`: {message}", spell(&trail)));
    }

    /// The value of `key`, whatever it is; null counts as absent.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.map?.get(key).filter(|value| !value.is_null())
    }

    /// Is `key` there, with a value?
    pub fn has(&self, key: &str) -> bool {
        self.map.and_then(|map| map.get(key)).is_some_and(|value| !value.is_null())
    }

    /// All keys with their values: for mappings whose keys are names.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.map.into_iter().flatten().map(|(key, value)| (key.as_str(), value))
    }

    /// The mapping at `key`; an absent one reads as empty.
    pub fn section(&mut self, key: &'static str) -> Section<'a> {
        let value = self.take(key);
        Section::new(value, self.at(key), self.notes)
    }

    /// Text at `key`.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        match self.take(key)? {
            Value::String(text) if text.trim().is_empty() => {
                self.error(key, "is empty; write a value or remove the line");
                None
            }
            Value::String(text) => Some(text),
            other => {
                self.error(key, format!("is {}; write text (in quotes if need be)", kind(other)));
                None
            }
        }
    }

    /// `true` or `false` at `key`; the words on, off, yes and no mean the same.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.take(key) else { return default };
        as_flag(value).unwrap_or_else(|| {
            self.error(key, format!("is {}; write true or false", kind(value)));
            default
        })
    }

    /// A whole number at `key` from `least` to `most`.
    pub fn number(&mut self, key: &'static str, default: u64, least: u64, most: u64) -> u64 {
        let Some(value) = self.take(key) else { return default };
        match value.as_u64() {
            Some(number) if (least..=most).contains(&number) => number,
            Some(number) => {
                self.error(key, format!("{number} is out of range; write {least} to {most}"));
                default
            }
            None => {
                self.error(key, format!("is {}; write a whole number from {least} to {most}", describe(value)));
                default
            }
        }
    }

    /// A length of time at `key`, at least `least`.
    pub fn duration(&mut self, key: &'static str, default: Duration, least: Duration) -> Duration {
        let Some(value) = self.take(key) else { return default };
        self.one_duration(&self.at(key), value, least).unwrap_or(default)
    }

    /// A list of lengths of time at `key`, each at least `least`; one alone is a list of one.
    pub fn durations(&mut self, key: &'static str, default: &[Duration], least: Duration) -> Vec<Duration> {
        let Some(value) = self.take(key) else { return default.to_vec() };
        let trail = self.at(key);
        let Value::Array(items) = value else {
            return self.one_duration(&trail, value, least).map_or_else(|| default.to_vec(), |one| vec![one]);
        };
        if items.is_empty() {
            self.error(key, "is an empty list; write at least one length of time, such as [1m, 5m, 15m]");
            return default.to_vec();
        }
        let read = items.iter().enumerate().map(|(at, value)| self.one_duration(&item(&trail, at), value, least));
        read.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>().unwrap_or_else(|| default.to_vec())
    }

    fn one_duration(&self, trail: &[Step], value: &Value, least: Duration) -> Option<Duration> {
        let said = match value {
            Value::String(text) => match words::duration(text) {
                Ok(length) if length >= least => return Some(length),
                Ok(_) => format!("{text:?} is too short; write at least {}", words::spell_duration(least)),
                Err(said) => said,
            },
            Value::Number(number) => format!("{number} has no unit; write for example {number}s or {number}ms"),
            other => format!("is {}; write a length of time such as 30s", kind(other)),
        };
        self.notes.error(trail, format!("`{}`: {said}", spell(trail)));
        None
    }

    /// A list of texts at `key`; one text alone is a list of one. Items that are no text are noted
    /// and left out.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<(Trail, &'a str)>> {
        let value = self.take(key)?;
        Some(texts(value, &self.at(key), self.notes))
    }

    /// Notes every key that was never asked for, with the nearest one that exists.
    pub fn finish(self) {
        for (key, _) in self.entries() {
            if !self.known.contains(&key) {
                let trail = self.at(key);
                let hint = words::suggest(key, self.known.iter().copied());
                self.notes.error(&trail, format!("unknown key `{}`{hint}", spell(&trail)));
            }
        }
    }
}

/// The texts of a list, or the one text; each with its place.
pub(super) fn texts<'a>(value: &'a Value, trail: &[Step], notes: &Notes) -> Vec<(Trail, &'a str)> {
    let items: Vec<(Trail, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (item(trail, at), value)).collect(),
        other => vec![(trail.to_vec(), other)],
    };
    let mut read = Vec::with_capacity(items.len());
    for (trail, value) in items {
        match value {
            Value::String(text) => read.push((trail, text.as_str())),
            other => {
                let message = format!("`{}` is {}; write text (in quotes if need be)", spell(&trail), kind(other));
                notes.error(&trail, message);
            }
        }
    }
    read
}

/// `true`, `false` and the words that mean the same.
pub(super) fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(word) => match word.to_ascii_lowercase().as_str() {
            "on" | "yes" | "true" => Some(true),
            "off" | "no" | "false" => Some(false),
            _ => None,
        },
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number as it stands, anything else by its kind.
fn describe(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}
