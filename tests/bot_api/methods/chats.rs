//! Chats and who is in them; and whether the bot may do something there.

use serde_json::{Value, json};

use super::super::params::Params;
use super::super::world::{Chat, Kind, Role};
use super::super::{BOT, State};
use super::ApiError;

/// The chat that a call is about, where the bot may at least read.
pub(super) fn readable(state: &State, params: &Params) -> Result<i64, ApiError> {
    let id = params.text("chat_id").unwrap_or_default();
    if id.is_empty() {
        return Err(ApiError::bad("chat_id is empty"));
    }
    let found = id.trim().parse().ok().and_then(|id: i64| state.world.chats.get(&id));
    let Some(chat) = found else { return Err(ApiError::bad("chat not found")) };
    match (chat.kind, chat.role(BOT)) {
        (Kind::Supergroup, Role::Kicked) => Err(forbidden("bot was kicked from the supergroup chat")),
        (Kind::Channel, Role::Kicked) => Err(forbidden("bot was kicked from the channel chat")),
        (Kind::Supergroup, Role::Left) => Err(forbidden("bot is not a member of the supergroup chat")),
        (Kind::Channel, Role::Left) => Err(forbidden("bot is not a member of the channel chat")),
        _ => Ok(chat.id),
    }
}

/// The chat that a call is about, where the bot may write, or at least edit what it wrote.
pub(super) fn writable(state: &State, params: &Params, sending: bool) -> Result<i64, ApiError> {
    let id = readable(state, params)?;
    let Some(chat) = state.world.chats.get(&id) else { return Err(ApiError::bad("chat not found")) };
    if let Some(new) = chat.migrated_to
        && sending
    {
        let mut error = ApiError::bad("group chat was upgraded to a supergroup chat");
        error.parameters = Some(json!({"migrate_to_chat_id": new}));
        return Err(error);
    }
    match (chat.kind, chat.role(BOT)) {
        (Kind::Private, Role::Kicked) => Err(forbidden("bot was blocked by the user")),
        (Kind::Private, Role::Left) => Err(forbidden("bot can't initiate conversation with a user")),
        (Kind::Group, Role::Kicked) => Err(forbidden("bot was kicked from the group chat")),
        (Kind::Group, Role::Left) if chat.migrated_to.is_none() => {
            Err(forbidden("bot is not a member of the group chat"))
        }
        (_, Role::Muted) if sending => Err(ApiError::bad("not enough rights to send text messages to the chat")),
        (Kind::Channel, Role::Member) if sending => Err(ApiError::bad("need administrator rights in the channel chat")),
        _ => Ok(id),
    }
}

/// The topic that a call is about, if any.
pub(super) fn topic(chat: &Chat, params: &Params) -> Result<Option<i64>, ApiError> {
    let Some(asked) = params.int("message_thread_id").filter(|id| *id != 0) else { return Ok(None) };
    match chat.kind {
        // The General topic has the number 1, which must not be given.
        Kind::Supergroup if chat.is_forum => match chat.topics.get(&asked) {
            Some(topic) if topic.closed && !matches!(chat.role(BOT), Role::Creator | Role::Administrator) => {
                Err(ApiError::bad("TOPIC_CLOSED"))
            }
            Some(_) => Ok(Some(asked)),
            None => Err(ApiError::bad("message thread not found")),
        },
        Kind::Private => Err(ApiError::bad("message thread not found")),
        // Elsewhere it is ignored.
        Kind::Supergroup | Kind::Group | Kind::Channel => Ok(None),
    }
}

pub(super) fn get_chat(state: &State, params: &Params) -> Result<Value, ApiError> {
    Ok(state.world.full_chat_json(readable(state, params)?))
}

pub(super) fn get_member(state: &State, params: &Params) -> Result<Value, ApiError> {
    let id = readable(state, params)?;
    let user = params.int("user_id").ok_or_else(|| ApiError::bad("invalid user_id specified"))?;
    let Some(chat) = state.world.chats.get(&id) else { return Err(ApiError::bad("chat not found")) };
    if user != BOT && !state.world.users.contains_key(&user) {
        return Err(ApiError::bad("PARTICIPANT_ID_INVALID"));
    }
    Ok(state.world.member_json(chat, user))
}

pub(super) fn get_administrators(state: &State, params: &Params) -> Result<Value, ApiError> {
    let id = readable(state, params)?;
    let Some(chat) = state.world.chats.get(&id) else { return Err(ApiError::bad("chat not found")) };
    if chat.kind == Kind::Private {
        return Err(ApiError::bad("there are no administrators in the private chat"));
    }
    let rules = |user: &i64| matches!(chat.role(*user), Role::Creator | Role::Administrator);
    Ok(chat.members.keys().copied().filter(rules).map(|user| state.world.member_json(chat, user)).collect())
}

pub(super) fn leave(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    let id = readable(state, params)?;
    if state.world.chat(id).kind == Kind::Private {
        return Err(ApiError::bad("chat member status can't be changed in private chats"));
    }
    state.world.chat(id).members.insert(BOT, Role::Left);
    Ok(json!(true))
}

fn forbidden(why: &str) -> ApiError {
    ApiError::new(403, format!("Forbidden: {why}"))
}
