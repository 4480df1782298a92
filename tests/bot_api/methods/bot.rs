//! What concerns the bot itself: who it is, its webhook, its commands.

use serde_json::{Value, json};

use super::super::params::Params;
use super::super::{BOT, State};
use super::ApiError;

const SCOPES: [&str; 7] = [
    "default",
    "all_private_chats",
    "all_group_chats",
    "all_chat_administrators",
    "chat",
    "chat_administrators",
    "chat_member",
];

pub(super) fn get_me(state: &State) -> Value {
    let mut me = state.world.user_json(BOT);
    for (key, value) in [
        ("can_join_groups", true),
        ("can_read_all_group_messages", state.settings.reads_all),
        ("supports_inline_queries", false),
        ("can_connect_to_business", false),
        ("has_main_web_app", false),
        ("has_topics_enabled", false),
        ("allows_users_to_create_topics", false),
        ("can_manage_bots", false),
    ] {
        me[key] = json!(value);
    }
    me
}

pub(super) fn get_webhook_info(state: &State) -> Value {
    let mut info = json!({
        "url": state.settings.webhook, "has_custom_certificate": false, "pending_update_count": state.queue.len(),
    });
    if !state.settings.webhook.is_empty() {
        info["max_connections"] = json!(40);
        info["ip_address"] = json!("127.0.0.1");
    }
    if let Some(allowed) = state.queue.allowed() {
        info["allowed_updates"] = allowed;
    }
    info
}

/// The webhook is noted, and stands in the way of polling; nothing is ever delivered to it.
pub(super) fn set_webhook(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let url = params.text("url").unwrap_or_default();
    if url.is_empty() {
        return delete_webhook(state, params);
    }
    if !url.starts_with("https://") {
        return Err(ApiError::bad("bad webhook: An HTTPS URL must be provided for webhook"));
    }
    state.queue.allow(params);
    drop_pending(state, params);
    state.settings.webhook = url;
    Ok(json!(true))
}

pub(super) fn delete_webhook(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    drop_pending(state, params);
    state.settings.webhook.clear();
    Ok(json!(true))
}

fn drop_pending(state: &mut State, params: &Params) {
    if params.flag("drop_pending_updates") {
        state.queue.clear();
    }
}

pub(super) fn set_commands(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let place = scope(params)?;
    let Some(Ok(Value::Array(commands))) = params.json("commands") else {
        return Err(ApiError::bad("can't parse commands: expected an Array of BotCommand"));
    };
    if commands.len() > 100 {
        return Err(ApiError::bad("BOT_COMMANDS_TOO_MUCH"));
    }
    for command in &commands {
        let name = command["command"].as_str().unwrap_or_default().trim_start_matches('/');
        let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(is_good) {
            return Err(ApiError::bad("BOT_COMMAND_INVALID"));
        }
        let description = command["description"].as_str().unwrap_or_default();
        if description.is_empty() || description.chars().count() > 256 {
            return Err(ApiError::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
    }
    state.settings.commands.insert(place, Value::Array(commands));
    Ok(json!(true))
}

pub(super) fn get_commands(state: &State, params: &Params) -> Result<Value, ApiError> {
    Ok(state.settings.commands.get(&scope(params)?).cloned().unwrap_or_else(|| json!([])))
}

pub(super) fn delete_commands(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    state.settings.commands.remove(&scope(params)?);
    Ok(json!(true))
}

/// Scope and language as one key, such as `chat -1001 / en`.
fn scope(params: &Params) -> Result<String, ApiError> {
    let scope = match params.json("scope") {
        None => json!({"type": "default"}),
        Some(Ok(scope)) if scope.is_object() => scope,
        Some(_) => return Err(ApiError::bad("can't parse BotCommandScope: BotCommandScope must be an Object")),
    };
    let kind = scope["type"].as_str().unwrap_or_default();
    if !SCOPES.contains(&kind) {
        return Err(ApiError::bad("can't parse BotCommandScope: unsupported type specified"));
    }
    let mut place = kind.to_owned();
    for part in ["chat_id", "user_id"] {
        if let Some(id) = scope.get(part) {
            place += &format!(" {}", id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        }
    }
    Ok(format!("{place} / {}", params.text("language_code").unwrap_or_default()).trim_end_matches(" / ").to_owned())
}
