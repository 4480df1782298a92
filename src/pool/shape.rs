//! Taking a document apart while noting everything that is wrong with it, not only the first.
//!
//! A place is a chain on the stack, turned into a path only when there is something to note:
//! a sound file of ten thousand agents pays nothing for it.

use serde_json::{Map, Value};

use super::name::InvalidName;
use super::problem::{Checked, PathStep, Problem, ProblemKind, Severity};

/// Where we are in the document.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    Top,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub(super) fn key(&'a self, key: &'a str) -> At<'a> {
        At::Key(self, key)
    }

    fn index(&'a self, index: usize) -> At<'a> {
        At::Index(self, index)
    }

    fn path(&self) -> Vec<PathStep> {
        let (mut path, step) = match self {
            At::Top => return Vec::new(),
            At::Key(parent, key) => (parent.path(), PathStep::Key((*key).to_owned())),
            At::Index(parent, index) => (parent.path(), PathStep::Index(*index)),
        };
        path.push(step);
        path
    }
}

/// The problems found so far.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn error(&mut self, at: At<'_>, kind: ProblemKind, message: impl Into<String>) {
        self.0.push(Problem { path: at.path(), severity: Severity::Error, kind, message: message.into() });
    }

    pub(super) fn warning(&mut self, at: At<'_>, kind: ProblemKind, message: impl Into<String>) {
        self.0.push(Problem { path: at.path(), severity: Severity::Warning, kind, message: message.into() });
    }

    /// `value` with the warnings if there was no error, else everything.
    pub(super) fn finish<T>(self, value: T) -> Checked<T> {
        match self.0.iter().any(|problem| problem.severity == Severity::Error) {
            true => Err(self.0),
            false => Ok((value, self.0)),
        }
    }

    /// Everything found.
    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    fn wrong_type(&mut self, at: At<'_>, found: &Value, due: &str) {
        self.error(at, ProblemKind::WrongType, format!("is {}, but must be {due}", describe(found)));
    }

    /// A mapping; absent is an empty one.
    pub(super) fn object(&mut self, at: At<'_>, value: Option<Value>) -> Map<String, Value> {
        match value {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(other) => {
                self.wrong_type(at, &other, "a mapping (leave it out if there is nothing)");
                Map::new()
            }
        }
    }

    /// A text; absent and null are none.
    pub(super) fn text(&mut self, at: At<'_>, value: Option<Value>) -> Option<String> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.wrong_type(at, &other, "a text (put it in quotes)");
                None
            }
        }
    }

    /// Notes that `found` is no moment.
    pub(super) fn time(&mut self, at: At<'_>, found: &Value) {
        self.wrong_type(at, found, "a number of seconds since 1970, or null");
    }

    /// A text, number or boolean as it stands; a list or mapping is wrong.
    pub(super) fn scalar(&mut self, at: At<'_>, value: Option<Value>) -> Value {
        match value {
            None => Value::Null,
            Some(other @ (Value::Array(_) | Value::Object(_))) => {
                self.wrong_type(at, &other, "a text");
                Value::Null
            }
            Some(scalar) => scalar,
        }
    }

    /// A checked name; absent, null and empty text are none.
    pub(super) fn name<N>(&mut self, at: At<'_>, value: Option<Value>) -> Option<N>
    where
        N: TryFrom<String, Error = InvalidName>,
    {
        let text = self.text(at, value).filter(|text| !text.is_empty())?;
        self.name_of(at, text)
    }

    /// `text` as a checked name.
    pub(super) fn name_of<N>(&mut self, at: At<'_>, text: String) -> Option<N>
    where
        N: TryFrom<String, Error = InvalidName>,
    {
        N::try_from(text)
            .map_err(|invalid| self.error(at, ProblemKind::BadName, format!("cannot be a name: {invalid}")))
            .ok()
    }

    /// A list of checked names; absent is an empty one.
    pub(super) fn names<N>(&mut self, at: At<'_>, value: Option<Value>) -> Vec<N>
    where
        N: TryFrom<String, Error = InvalidName>,
    {
        let items = match value {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.wrong_type(at, &other, "a list of names");
                return Vec::new();
            }
        };
        let mut names = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let at = at.index(index);
            match item {
                Value::String(text) => names.extend(self.name_of(at, text)),
                other => self.wrong_type(at, &other, "a name"),
            }
        }
        names
    }

    /// One warning for each of `keys`.
    pub(super) fn unknown<'k>(&mut self, at: At<'_>, keys: impl Iterator<Item = &'k String>) {
        for key in keys {
            self.warning(at.key(key), ProblemKind::UnknownKey, "means nothing here; it is kept and ignored");
        }
    }
}

/// What `value` is, in the words of somebody who edits the file.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("the boolean {flag}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}
