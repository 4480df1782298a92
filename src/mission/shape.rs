//! Reading the reference's JSON: what must be there, what has a default, and what a null means.

use serde_json::{Map, Value};

use super::error::MissionError;

/// An object of a known kind, for errors that name it.
pub(super) struct Shape<'v> {
    pub what: &'static str,
    pub map: &'v Map<String, Value>,
}

impl<'v> Shape<'v> {
    pub fn new(what: &'static str, value: &'v Value) -> Result<Self, MissionError> {
        match value.as_object() {
            Some(map) => Ok(Self { what, map }),
            None => Err(MissionError::WrongShape { what, key: "(all)".into(), why: wrong(value, "a mapping") }),
        }
    }

    pub fn wrong(&self, key: &str, found: &Value, due: &str) -> MissionError {
        MissionError::WrongShape { what: self.what, key: key.to_owned(), why: wrong(found, due) }
    }

    pub fn required(&self, key: &'static str) -> Result<&'v Value, MissionError> {
        self.map.get(key).ok_or(MissionError::MissingKey { what: self.what, key })
    }

    pub fn text(&self, key: &'static str) -> Result<String, MissionError> {
        let value = self.required(key)?;
        value.as_str().map(str::to_owned).ok_or_else(|| self.wrong(key, value, "a text"))
    }

    /// A text with a default; an explicit null stays one.
    pub fn text_or(&self, key: &str, default: impl FnOnce() -> String) -> Result<Option<String>, MissionError> {
        match self.map.get(key) {
            None => Ok(Some(default())),
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(key, other, "a text")),
        }
    }

    /// A whole number within 64 bits.
    pub fn whole(&self, key: &'static str) -> Result<i64, MissionError> {
        let value = self.required(key)?;
        whole(value).ok_or_else(|| self.wrong(key, value, "a whole number"))
    }

    /// The id under its snake_case or camelCase key, the first that says something; else a new one.
    pub fn id(&self, snake: &str, camel: &str, new: impl FnOnce() -> String) -> Result<String, MissionError> {
        for key in [snake, camel] {
            match self.map.get(key) {
                Some(Value::String(id)) if !id.is_empty() => return Ok(id.clone()),
                Some(other) if !is_falsy(other) => return Err(self.wrong(key, other, "a text")),
                _ => {}
            }
        }
        Ok(new())
    }
}

fn wrong(found: &Value, due: &str) -> String {
    let kind = match found {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "another number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    format!("is {kind}, but must be {due}")
}

#[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, checked right before")]
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
    })
}

/// What the reference's language takes for nothing where it says `a or b`.
pub(super) fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}
