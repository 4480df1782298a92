use serde::{Deserialize, Serialize};

use crate::approval::{AnswerKind, ApprovalKey, Code, Request};
use crate::pool::{AgentName, MissionName};

/// What a message says. Kept on disk with the message: add optional fields, change none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The whole of it, for a channel without markup.
    pub text: String,
    /// The same with markup, for a chat that has it; already escaped and short enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The buttons under it, row by row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Vec<Button>>,
    /// What is said above it for as long as it stands, whatever else changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
    /// What else it says when it is too long for one message, page by page; `text` is one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<String>,
    /// The message on the other side that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replies_to: Option<String>,
    /// A file that comes with it; the text is said under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// Of the answer to a tap: it is to be confirmed before anything else is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alert: bool,
    /// It goes on without a sound: nobody has to do anything about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// What became of what it answers, for a program, where the channel can carry that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AnswerKind>,
    /// What a program may read of it, where it is a request and the channel can carry that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet: Option<Packet>,
    /// It is a reaction to the message that it answers, where there are reactions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reacts: bool,
}

/// A request as a program reads it. Kept on disk with the message: add optional fields, change none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// The request's key.
    pub key: ApprovalKey,
    /// Its code.
    pub code: Code,
    /// Who died.
    pub agent: AgentName,
    /// In which mission.
    pub mission: MissionName,
    /// How long it can be answered from its first delivery on, in milliseconds.
    pub ttl_ms: u64,
    /// A restart is offered.
    pub restart: bool,
    /// Who could take over.
    pub substitutes: Vec<AgentName>,
}

impl Packet {
    /// Of a request that can be answered for so long.
    pub fn of(request: &Request, ttl: std::time::Duration) -> Self {
        Self {
            key: request.key.clone(),
            code: request.code,
            agent: request.agent.clone(),
            mission: request.mission.clone(),
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            restart: request.offers.restart,
            substitutes: request.offers.substitutes.clone(),
        }
    }
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its name.
    pub name: String,
    /// What is in it: JSON.
    pub content: String,
}

/// A button under a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What stands on it.
    pub label: String,
    /// All that it sends when it is pressed.
    pub token: String,
}

impl Content {
    /// Nothing but text.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// The same under a banner.
    pub fn under(mut self, banner: Option<String>) -> Self {
        if let Some(banner) = &banner {
            self.text = format!("{banner}\n{}", self.text);
            self.html = self.html.map(|html| format!("<i>{}</i>\n{html}", super::html::escaped(banner)));
        }
        self.banner = banner;
        self
    }

    /// The same as an answer to a message on the other side.
    pub fn replying_to(self, message: Option<String>) -> Self {
        Self { replies_to: message, ..self }
    }
}
