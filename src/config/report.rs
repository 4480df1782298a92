//! What is wrong with a configuration, said so that it can be mended at once: which file, which
//! line and column, what is there, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::locate::{Marks, Place};

/// One step of the way from a file's root to a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Step {
    /// The key of a mapping.
    Key(String),
    /// The place in a list, from 0.
    Index(usize),
}

/// The way from a file's root to a value.
pub type Trail = Vec<Step>;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is taken, but a person should look.
    Warning,
}

/// One thing that is wrong in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as it was named to us or as the gateway's file names it.
    pub file: PathBuf,
    /// Line and column, from 1; absent when the file as a whole is meant.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// Does it refuse the configuration?
    pub severity: Severity,
    /// What is wrong and what would be right; holds no secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}: {}", self.message)
    }
}

/// Every problem of every file, errors and warnings, file by file in the order of their lines.
/// As an error it says that at least one of them is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Those that refuse the configuration.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter().filter(|problem| problem.severity == Severity::Error)
    }

    /// Those that do not.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter().filter(|problem| problem.severity == Severity::Warning)
    }

    /// Is the configuration refused?
    pub fn is_refused(&self) -> bool {
        self.errors().next().is_some()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A problem before its line is known: where it lies in the tree of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub trail: Trail,
    pub severity: Severity,
    pub message: String,
}

/// The findings of one file while it is read.
#[derive(Debug, Default)]
pub(super) struct Notes(std::cell::RefCell<Vec<Finding>>);

impl Notes {
    pub fn error(&self, trail: &[Step], message: impl Into<String>) {
        self.add(trail, Severity::Error, message.into());
    }

    pub fn warning(&self, trail: &[Step], message: impl Into<String>) {
        self.add(trail, Severity::Warning, message.into());
    }

    pub fn add(&self, trail: &[Step], severity: Severity, message: String) {
        self.0.borrow_mut().push(Finding { trail: trail.to_vec(), severity, message: printable(message) });
    }

    /// Has anything at or below `trail` been found in error?
    pub fn has_error_under(&self, trail: &[Step]) -> bool {
        self.0.borrow().iter().any(|found| found.severity == Severity::Error && found.trail.starts_with(trail))
    }

    /// Has the value at `trail` itself been found in error?
    pub fn has_error_at(&self, trail: &[Step]) -> bool {
        self.0.borrow().iter().any(|found| found.severity == Severity::Error && found.trail == trail)
    }

    /// The findings with their lines, in the order of the file. Only now, and only if there are
    /// any, is `text` read a second time for its line numbers.
    pub fn locate(self, file: &Path, text: &str) -> Vec<Problem> {
        let found = self.0.into_inner();
        if found.is_empty() {
            return Vec::new();
        }
        let marks = Marks::of(text, found.iter().map(|finding| finding.trail.as_slice()));
        let mut problems: Vec<_> = found
            .into_iter()
            .map(|finding| Problem {
                file: file.to_owned(),
                place: marks.find(&finding.trail),
                severity: finding.severity,
                message: finding.message,
            })
            .collect();
        problems.sort_by_key(|problem| problem.place);
        problems.dedup();
        problems
    }
}

/// A message with what a terminal would obey, or that would turn its text around, made visible.
pub(super) fn printable(message: String) -> String {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if !message.contains(unseen) {
        return message;
    }
    message.chars().map(|c| if unseen(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// `trail` and one key more.
pub(super) fn below(trail: &[Step], key: &str) -> Trail {
    let mut longer = trail.to_vec();
    longer.push(Step::Key(key.to_owned()));
    longer
}

/// `trail` and one list index more.
pub(super) fn item(trail: &[Step], index: usize) -> Trail {
    let mut longer = trail.to_vec();
    longer.push(Step::Index(index));
    longer
}

/// A trail as people write it: `people.kim.nostr[1]`.
pub(super) fn spell(trail: &[Step]) -> String {
    let mut text = String::new();
    for step in trail {
        match step {
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}
