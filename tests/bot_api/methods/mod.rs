//! The Bot API's methods: what each checks, changes and answers.

mod bot;
mod chats;
mod files;
mod messages;
mod sending;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::State;
use super::params::Params;

/// What a call is answered when it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub code: u16,
    pub description: String,
    pub parameters: Option<Value>,
}

/// What the bot has set, and what the test has set for it.
pub(super) struct Settings {
    /// The test took the token away.
    pub revoked: bool,
    /// Whether the bot sees everything in groups; else it sees commands, replies to it, and service
    /// messages.
    pub reads_all: bool,
    pub webhook: String,
    /// Commands by scope and language, as they came.
    pub commands: Map<String, Value>,
    /// For so long a tap can be answered.
    pub answer_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            revoked: false,
            reads_all: false,
            webhook: String::new(),
            commands: Map::new(),
            answer_within: Duration::from_secs(15),
        }
    }
}

impl ApiError {
    pub(super) fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), parameters: None }
    }

    pub(super) fn bad(what: impl AsRef<str>) -> Self {
        Self::new(400, format!("Bad Request: {}", what.as_ref()))
    }

    pub(super) fn too_many(retry_after: u64) -> Self {
        Self {
            code: 429,
            description: format!("Too Many Requests: retry after {retry_after}"),
            parameters: Some(json!({"retry_after": retry_after})),
        }
    }

    pub(super) fn body(&self) -> Value {
        let mut body = json!({"ok": false, "error_code": self.code, "description": self.description});
        if let Some(parameters) = &self.parameters {
            body["parameters"] = parameters.clone();
        }
        body
    }
}

/// Carries out a call of any method but `getUpdates`, which has to wait. `method` is in lower case.
pub(super) fn call(state: &mut State, method: &str, params: &Params) -> Result<Value, ApiError> {
    match method {
        "getme" => Ok(bot::get_me(state)),
        "getwebhookinfo" => Ok(bot::get_webhook_info(state)),
        "setwebhook" => bot::set_webhook(state, params),
        "deletewebhook" => bot::delete_webhook(state, params),
        "setmycommands" => bot::set_commands(state, params),
        "getmycommands" => bot::get_commands(state, params),
        "deletemycommands" => bot::delete_commands(state, params),
        "getchat" => chats::get_chat(state, params),
        "getchatmember" => chats::get_member(state, params),
        "getchatadministrators" => chats::get_administrators(state, params),
        "leavechat" => chats::leave(state, params),
        "sendmessage" => sending::send_message(state, params),
        "sendchataction" => sending::send_action(state, params),
        "senddocument" => sending::send_document(state, params),
        "editmessagetext" => messages::edit_text(state, params),
        "editmessagereplymarkup" => messages::edit_markup(state, params),
        "deletemessage" => messages::delete(state, params),
        "setmessagereaction" => messages::react(state, params),
        "answercallbackquery" => messages::answer_tap(state, params),
        "getfile" => files::get_file(state, params),
        _ => Err(ApiError::new(404, "Not Found: method not found")),
    }
}

pub(super) use files::file_at;
