use crate::config::section::Section;
use crate::config::words::suggest;

/// What the daemon writes about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// From which importance on.
    pub level: LogLevel,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least important log line that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what should be looked at.
    Warn,
    /// And what happened.
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

impl LogLevel {
    /// The level's word, as filters of log lines take it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: LogLevel::Info }
    }
}

impl Log {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace]
            .map(|level| (level.as_str(), level));
        let log = Self {
            format: word(&mut section, "format", &formats, LogFormat::Text),
            level: word(&mut section, "level", &levels, LogLevel::Info),
        };
        section.finish();
        log
    }
}

/// One of a closed list of words.
pub(super) fn word<T: Copy>(section: &mut Section<'_>, key: &'static str, words: &[(&str, T)], default: T) -> T {
    let Some(text) = section.text(key) else { return default };
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, meaning)) => *meaning,
        None => {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            section.error(key, format!("{text:?} is not known{}", suggest(text, known)));
            default
        }
    }
}
