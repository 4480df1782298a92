use serde::{Deserialize, Serialize};

use super::{Channel, Code, Speaker};

/// What somebody said, as it enters the inbox: raw, before anything is understood or allowed.
/// Kept on disk: add optional fields, change none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Who, as the channel proves it.
    pub speaker: Speaker,
    /// How.
    pub via: Channel,
    /// What, in the one grammar of [`Command::parse`](super::Command::parse).
    pub line: String,
    /// The request it replies to, where the channel knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Code>,
    /// The JSON document that came along; a large one is a reference to a file beside the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<serde_json::Value>,
}

/// What is answered to it (invariant 4: every accepted input gets an answer); kept with the input,
/// so that a client whose connection was cut can ask for it by the input's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// In one word.
    pub outcome: AnswerKind,
    /// For the person: one line or a few.
    pub text: String,
    /// For programs, where there is more to tell than the text: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
}

impl Answer {
    /// One that is all in its text.
    pub fn new(outcome: AnswerKind, text: impl Into<String>) -> Self {
        Self { outcome, text: text.into(), value: None }
    }
}

/// What an answer comes to; the command line's exit codes follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// It was done, or is under way now.
    Taken,
    /// It was understood and refused.
    Refused,
    /// It was understood, and what it names is not there: refused, too.
    NotFound,
    /// It is no command.
    Misunderstood,
    /// It could not be worked off three times, and was set aside with an alarm.
    SetAside,
}
