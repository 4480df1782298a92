//! One file as text and as value, or one clear problem.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::locate::Place;
use super::report::{Notes, Problem, Problems, Severity, printable};
use super::text::{json_to_value, yaml_to_value};

/// Largest file that is read: some ten times a registry of 100,000 agents would be a mistake.
const SIZE_MAX: u64 = 256 * 1024 * 1024;

/// The language of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Yaml,
    Json,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct Source {
    pub path: PathBuf,
    pub text: String,
    pub value: Value,
}

impl Source {
    /// Reads `path`. `what` names the file to people: "the registry".
    pub fn read(path: &Path, language: Language, what: &str, set_by: Option<&str>) -> Result<Self, Box<Problem>> {
        let text = read_text(path, what, set_by)?;
        Self::of(path, text, language, what)
    }

    /// The value of a text that stands at `path`.
    pub fn of(path: &Path, text: String, language: Language, what: &str) -> Result<Self, Box<Problem>> {
        if language == Language::Json && text.starts_with('\u{feff}') {
            let message = "begins with a byte order mark, which JSON forbids; save it as UTF-8 without one";
            return Err(problem(path, Some(Place { line: 1, column: 1 }), message.to_owned()));
        }
        let read = match language {
            Language::Yaml => yaml_to_value(&text),
            Language::Json => json_to_value(&text),
        };
        let value = read.map_err(|error| {
            let place = error.line.map(|line| Place { line, column: error.column.unwrap_or(1) });
            problem(path, place, error.message)
        })?;
        // An editor or a full disk leaves empty files; taking one for "nobody" would call off
        // everything that is under way.
        if value.is_null() {
            return Err(problem(path, None, format!("{what} is empty; restore it, or write at least one key")));
        }
        Ok(Self { path: path.to_owned(), text, value })
    }

    /// The findings in this file with their lines.
    pub fn report(&self, notes: Notes, into: &mut Problems) {
        into.0.extend(notes.locate(&self.path, &self.text));
    }
}

/// The text of `path`, which must be a readable file of UTF-8.
pub(super) fn read_text(path: &Path, what: &str, set_by: Option<&str>) -> Result<String, Box<Problem>> {
    let named = set_by.map(|key| format!(" (or correct `{key}`)")).unwrap_or_default();
    let failed = |error: std::io::Error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => format!("{what} is not there; create it{named}"),
            std::io::ErrorKind::PermissionDenied => {
                format!("{what} cannot be read: permission denied; let this user read it")
            }
            std::io::ErrorKind::IsADirectory => format!("{what} is a folder; name a file{named}"),
            _ => format!("{what} cannot be read: {error}"),
        };
        problem(path, None, why)
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len().min(SIZE_MAX)).unwrap_or(0));
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(problem(path, None, format!("{what} is larger than 256 MiB; is it the right file{named}?")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&good[start..]).chars().count() + 1;
        problem(path, Some(Place { line, column }), format!("{what} is not UTF-8 here; save it as UTF-8"))
    })
}

fn problem(file: &Path, place: Option<Place>, message: String) -> Box<Problem> {
    Box::new(Problem { file: file.to_owned(), place, severity: Severity::Error, message: printable(message) })
}
