//! Sending: texts and documents.

use serde_json::{Value, json};

use super::super::params::Params;
use super::super::world::{Message, World};
use super::super::{BOT, State, html, keyboard};
use super::{ApiError, chats, files};

/// A text as people read it, with its entities.
pub(super) struct Formatted {
    pub text: String,
    pub entities: Vec<Value>,
    /// As it came, with markup.
    pub sent: String,
}

pub(super) fn send_message(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let text = formatted(params, "text", "parse_mode", "entities", 4096)?;
    if text.text.is_empty() {
        return Err(ApiError::bad("message text is empty"));
    }
    let mut message = draft(state, params)?;
    message.text = text.text;
    message.sent = text.sent;
    message.entities = text.entities;
    Ok(post(state, message))
}

/// "typing": checked as a message is, and leaves nothing.
pub(super) fn send_action(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let id = chats::writable(state, params, true)?;
    if params.text("action").unwrap_or_default().is_empty() {
        return Err(ApiError::bad("wrong parameter action in request"));
    }
    chats::topic(state.world.chat(id), params)?;
    Ok(json!(true))
}

pub(super) fn send_document(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let caption = formatted(params, "caption", "parse_mode", "caption_entities", 1024)?;
    let document = params.text("document").unwrap_or_default();
    // `attach://name` names another part of the call.
    let attached = document.strip_prefix("attach://").unwrap_or("document");
    let (name, bytes) = match params.files.get(attached) {
        Some(upload) if upload.bytes.is_empty() => return Err(ApiError::bad("file must be non-empty")),
        Some(upload) => (upload.name.clone(), upload.bytes.clone()),
        None if document.is_empty() => return Err(ApiError::bad("there is no document in the request")),
        None => state
            .world
            .files
            .get(&document)
            .cloned()
            .ok_or_else(|| ApiError::bad("wrong remote file identifier specified: Wrong padding in the string"))?,
    };
    let mut message = draft(state, params)?;
    let id = state.world.keep_file(&name, &bytes);
    message.more.insert("document".to_owned(), files::document_json(&id, &name, bytes.len()));
    message.text = caption.text;
    message.sent = caption.sent;
    message.entities = caption.entities;
    message.document = Some((name, bytes));
    Ok(post(state, message))
}

/// The text of a call after its markup was read.
pub(super) fn formatted(
    params: &Params,
    name: &str,
    mode: &str,
    entities: &str,
    most: usize,
) -> Result<Formatted, ApiError> {
    let sent = params.text(name).unwrap_or_default();
    if sent.len() > 1 << 15 {
        return Err(ApiError::bad("text is too long"));
    }
    let mode = params.text(mode).unwrap_or_default().to_lowercase();
    let (text, entities) = match mode.as_str() {
        "" | "none" => {
            let given = match params.json(entities) {
                Some(Ok(Value::Array(entities))) => entities,
                _ => Vec::new(),
            };
            html::trimmed(sent.clone(), given)
        }
        "html" => {
            let (text, entities) =
                html::parse(&sent).map_err(|why| ApiError::bad(format!("can't parse entities: {why}")))?;
            html::trimmed(text, entities)
        }
        // Markdown is taken as it stands: nobody here writes it.
        "markdown" | "markdownv2" => (sent.clone(), Vec::new()),
        _ => return Err(ApiError::bad("unsupported parse_mode")),
    };
    // Telegram counts characters here as in lengths of entities: in UTF-16.
    if text.encode_utf16().count() > most {
        let what = if most == 4096 { "message is too long" } else { "message caption is too long" };
        return Err(ApiError::bad(what));
    }
    Ok(Formatted { text, entities, sent })
}

/// A message of the bot's with all but its content, once it is clear that it may be sent.
fn draft(state: &mut State, params: &Params) -> Result<Message, ApiError> {
    let markup = keyboard::read(params)?;
    let chat_id = chats::writable(state, params, true)?;
    let now = state.clock.now();
    let chat = state.world.chat(chat_id);
    let thread = chats::topic(chat, params)?;
    let reply = match params.json("reply_parameters") {
        Some(Ok(reply)) if reply.is_object() => Some(reply),
        Some(_) => return Err(ApiError::bad("can't parse reply parameters JSON object")),
        None => None,
    };
    let mut reply_to = reply.as_ref().and_then(|reply| {
        let id = &reply["message_id"];
        id.as_i64().or_else(|| id.as_str()?.parse().ok())
    });
    let mut or_without = reply.is_some_and(|reply| reply["allow_sending_without_reply"] == true);
    if reply_to.is_none() {
        reply_to = params.int("reply_to_message_id");
        or_without = params.flag("allow_sending_without_reply");
    }
    if reply_to.is_some_and(|id| !chat.messages.contains_key(&id)) {
        if !or_without {
            return Err(ApiError::bad("message to be replied not found"));
        }
        reply_to = None;
    }
    let mut message = chat.draft(Some(BOT), now);
    message.thread = chat.thread_for(thread, reply_to);
    message.reply_to = reply_to;
    message.silent = params.flag("disable_notification");
    match markup {
        Some(markup) if markup.get("inline_keyboard").is_some() => message.keyboard = Some(markup),
        Some(markup) if markup.get("force_reply").is_some() => message.force_reply = Some(markup),
        _ => {}
    }
    if chat.kind == super::super::world::Kind::Channel {
        message.from = None;
        message.sender_chat = Some(chat_id);
    }
    Ok(message)
}

/// Puts the message where it belongs, and shows it.
fn post(state: &mut State, message: Message) -> Value {
    let world: &mut World = &mut state.world;
    let shown = world.message_json(&message);
    world.chat(message.chat).messages.insert(message.id, message);
    json!(shown)
}
