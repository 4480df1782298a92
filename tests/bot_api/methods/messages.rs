//! What the bot does to messages that are there: edits, deletion, reactions, answers to taps.

use std::time::Instant;

use serde_json::{Value, json};

use super::super::params::Params;
use super::super::watch::Answer;
use super::super::world::{Kind, Message, Role};
use super::super::{BOT, State, keyboard};
use super::{ApiError, chats, sending};

const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup are exactly the \
                            same as a current content and reply markup of the message";

pub(super) fn edit_text(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let text = sending::formatted(params, "text", "parse_mode", "entities", 4096)?;
    if text.text.is_empty() {
        return Err(ApiError::bad("message text is empty"));
    }
    let markup = inline(params)?;
    let message = own_message(state, params)?;
    if message.document.is_some() {
        return Err(ApiError::bad("there is no text in the message to edit"));
    }
    if message.text == text.text && message.entities == text.entities && message.keyboard == markup {
        return Err(ApiError::bad(NOT_MODIFIED));
    }
    message.text = text.text;
    message.entities = text.entities;
    message.sent = text.sent;
    message.keyboard = markup;
    Ok(edited(state, params))
}

pub(super) fn edit_markup(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let markup = inline(params)?;
    let message = own_message(state, params)?;
    if message.keyboard == markup {
        return Err(ApiError::bad(NOT_MODIFIED));
    }
    message.keyboard = markup;
    Ok(edited(state, params))
}

pub(super) fn delete(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let now = state.clock.now();
    let chat_id = chats::writable(state, params, false)?;
    let chat = state.world.chat(chat_id);
    let id = params.int("message_id").unwrap_or(0);
    let Some(message) = chat.messages.get(&id) else { return Err(ApiError::bad("message to delete not found")) };
    let too_old = message.date + 48 * 3600 < now;
    let rules = matches!(chat.role(BOT), Role::Creator | Role::Administrator);
    let is_own = message.from == Some(BOT) || message.from.is_none();
    let may = match chat.kind {
        Kind::Private => !too_old,
        _ if is_own => rules || !too_old,
        _ => rules,
    };
    if !may {
        return Err(ApiError::bad("message can't be deleted"));
    }
    chat.messages.remove(&id);
    Ok(json!(true))
}

pub(super) fn react(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let chat_id = chats::writable(state, params, false)?;
    let reactions = match params.json("reaction") {
        None => Vec::new(),
        Some(Ok(Value::Array(reactions))) => reactions,
        Some(_) => return Err(ApiError::bad("can't parse reaction types JSON object")),
    };
    if reactions.len() > 1 {
        return Err(ApiError::bad("REACTIONS_TOO_MANY"));
    }
    let id = params.int("message_id").unwrap_or(0);
    let Some(message) = state.world.chat(chat_id).messages.get_mut(&id) else {
        return Err(ApiError::bad("message to react not found"));
    };
    message.reactions = reactions.iter().filter_map(|reaction| Some(reaction["emoji"].as_str()?.to_owned())).collect();
    Ok(json!(true))
}

pub(super) fn answer_tap(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let text = params.text("text").unwrap_or_default();
    if text.chars().count() > 200 {
        return Err(ApiError::bad("MESSAGE_TOO_LONG"));
    }
    let now_ms = state.clock.now_ms();
    let within = i64::try_from(state.settings.answer_within.as_millis()).unwrap_or(i64::MAX);
    let id = params.text("callback_query_id").unwrap_or_default();
    let open = state.world.taps.get_mut(&id).filter(|tap| tap.answer.is_none());
    let Some(tap) = open.filter(|tap| now_ms - tap.at_ms <= within) else {
        return Err(ApiError::bad("query is too old and response timeout expired or query ID is invalid"));
    };
    tap.answer = Some(Answer { text, show_alert: params.flag("show_alert") });
    tap.answered = Some(Instant::now());
    state.world.taps_answered += 1;
    Ok(json!(true))
}

/// The inline keyboard of an edit; other markup cannot be edited in.
fn inline(params: &Params) -> Result<Option<Value>, ApiError> {
    match keyboard::read(params)? {
        Some(markup) if markup.get("inline_keyboard").is_none() => Err(ApiError::bad("inline keyboard expected")),
        // No buttons are no keyboard.
        Some(markup) if markup["inline_keyboard"].as_array().is_none_or(|rows| rows.is_empty()) => Ok(None),
        markup => Ok(markup),
    }
}

/// The message of the bot's that is to be edited.
fn own_message<'state>(state: &'state mut State, params: &Params) -> Result<&'state mut Message, ApiError> {
    let chat = chats::writable(state, params, false)?;
    if params.text("message_id").unwrap_or_default().is_empty() {
        return Err(ApiError::bad("message identifier is not specified"));
    }
    let id = params.int("message_id").unwrap_or(0);
    let Some(message) = state.world.chat(chat).messages.get_mut(&id) else {
        return Err(ApiError::bad("message to edit not found"));
    };
    if message.from != Some(BOT) && message.sender_chat != Some(chat) {
        return Err(ApiError::bad("message can't be edited"));
    }
    Ok(message)
}

/// Marks the message of the call as edited, and shows it.
fn edited(state: &mut State, params: &Params) -> Value {
    let now = state.clock.now();
    let (chat, id) = (params.int("chat_id").unwrap_or(0), params.int("message_id").unwrap_or(0));
    let Some(message) = state.world.chat(chat).messages.get_mut(&id) else { return json!(true) };
    message.edited = Some(now);
    message.edits += 1;
    let message = message.clone();
    state.world.message_json(&message)
}
