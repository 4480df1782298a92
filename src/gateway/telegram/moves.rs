//! What becomes of chats: a group that turned into a supergroup, one that we were thrown out of or let
//! into again; and of the channel as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::SOURCE;
use super::state::{Me, end_of};
use crate::approval::Channel;
use crate::channel::telegram::Target;
use crate::gateway::ledger::{self, Entry};
use crate::gateway::speak::{self, Outlet};
use crate::gateway::{Gateway, copies, drill};
use crate::pool::Timestamp;
use crate::store::messages::{MessageRow, MessageState};
use crate::store::{self, StoreError, Tx};
use crate::wording::Alarm;

/// Where each chat has moved to, as JSON.
const MOVED: &str = "telegram.moved";
/// A refusal may be so much older than the news that we are back.
const STALE: Duration = Duration::from_secs(2);
/// Who our bot was when Telegram last told, as JSON.
const ME: &str = "telegram.me";

/// What an earlier run knew of moves, and of who we are: what it left in the inbox was said to that bot, and
/// is worked off before Telegram is asked again.
pub async fn remember(gateway: &Gateway) -> Result<(), StoreError> {
    let (moved, me) = {
        let mut read = gateway.store.read().await?;
        (store::meta::get(&mut read, MOVED).await?, store::meta::get(&mut read, ME).await?)
    };
    if let Some(text) = moved {
        gateway.telegram.set_moved(ledger::from_body("meta", MOVED, &text)?);
    }
    if let Some(text) = me {
        gateway.telegram.set_me(ledger::from_body("meta", ME, &text)?);
    }
    Ok(())
}

/// Telegram has told who we are: kept before anything is taken in.
pub async fn introduce(gateway: &Gateway, me: &Me) -> Result<(), StoreError> {
    if gateway.telegram.me().as_ref() != Some(me) {
        let text = json!(me).to_string();
        gateway.store.write(move |tx| Box::pin(async move { store::meta::set(tx, ME, &text).await })).await?;
        gateway.telegram.set_me(me.clone());
    }
    Ok(())
}

/// What people call the chat of a target: its name in the configuration, or its id.
pub fn name_of(gateway: &Gateway, target: &str) -> String {
    let in_force = gateway.in_force();
    let chats = &in_force.config.gate.channels.telegram.chats;
    let named = chats.iter().find(|(_, chat)| gateway.telegram.now_at(**chat).to_string() == target);
    named.map_or_else(|| target.to_owned(), |(name, chat)| format!("{name} ({})", chat.chat))
}

/// A message was refused because its chat has moved. Whatever the configuration says of that chat, the
/// message follows it; a card does not, and is given up there.
pub async fn follow(tx: &mut Tx, entry: &Entry, row: &MessageRow, to: &str) -> Result<(), StoreError> {
    moved(tx, entry, &row.target, to).await?;
    match &row.copy {
        Some(copy) => store::messages::forget_copy(tx, copy).await,
        None => store::messages::move_target(tx, SOURCE, &row.target, to).await,
    }
}

/// The group of the target `from` is now the supergroup of the target `to`. Believed only for a chat of
/// the configuration: it is Telegram that says so, and a stranger's group changes nothing.
pub async fn moved(tx: &mut Tx, entry: &Entry, from: &str, to: &str) -> Result<(), StoreError> {
    let (Ok(from), Ok(to)) = (from.parse::<Target>(), to.parse::<Target>()) else { return Ok(()) };
    let gateway = entry.gateway();
    let configured = entry.in_force().config.gate.channels.telegram.chats.clone();
    let mut moves: BTreeMap<i64, i64> = match store::meta::get(tx, MOVED).await? {
        Some(text) => ledger::from_body("meta", MOVED, &text)?,
        None => BTreeMap::new(),
    };
    // By the store's word: what an attempt that was taken back has left in memory must not make the next one
    // think that all of it is done.
    let ours: Vec<_> = configured.iter().filter(|(_, chat)| end_of(&moves, chat.chat) == from.chat).collect();
    if ours.is_empty() || from.chat == to.chat {
        return Ok(());
    }
    moves.insert(from.chat, to.chat);
    store::meta::set(tx, MOVED, &json!(moves).to_string()).await?;
    gateway.telegram.set_moved(moves);
    for (name, chat) in &ours {
        let before = Target { chat: from.chat, topic: chat.topic };
        let after = Target { chat: to.chat, topic: chat.topic };
        speak::found(tx, entry, &format!("{SOURCE}: {before}")).await?;
        store::messages::move_target(tx, SOURCE, &before.to_string(), &after.to_string()).await?;
        let alarm = Alarm::ChatMoved { chat: (*name).clone(), to: to.chat };
        speak::alarm(tx, gateway, &alarm, entry.now).await?;
        let banner = "This group has become a supergroup; the request stands here again.";
        let outlet = Outlet { channel: Channel::Telegram, target: after.to_string() };
        show_pending(tx, entry, &outlet, banner).await?;
    }
    Ok(())
}

/// Our bot is in a chat of the configuration again, or out of it.
pub async fn back(tx: &mut Tx, entry: &Entry, chat: i64, present: bool) -> Result<(), StoreError> {
    let gateway = entry.gateway();
    let outlets: Vec<Outlet> = entry
        .outlets()
        .into_iter()
        .filter(|outlet| outlet.target.parse::<Target>().is_ok_and(|target| target.chat == chat))
        .collect();
    for outlet in outlets {
        let cause = format!("{SOURCE}: {}", outlet.target);
        if present {
            speak::found(tx, entry, &cause).await?;
            gateway.telegram.let_in(chat, entry.now);
            store::messages::postpone_to(tx, SOURCE, &outlet.target, entry.now).await?;
            show_pending(tx, entry, &outlet, "I am back in this chat; this request still waits.").await?;
        } else {
            let why = "the bot was removed, or may not write".to_owned();
            let alarm = Alarm::ChatLost { chat: name_of(gateway, &outlet.target), why };
            speak::alarm_lasts(tx, gateway, cause, alarm, entry.now).await?;
        }
    }
    Ok(())
}

/// Shows every request that is pending, in one chat, unless a copy is already on its way there.
async fn show_pending(tx: &mut Tx, entry: &Entry, outlet: &Outlet, banner: &str) -> Result<(), StoreError> {
    for (request, case) in ledger::pending(tx).await? {
        let copies = store::messages::cards(tx, &request.id.0).await?;
        if copies.iter().any(|copy| copy.target == outlet.target && copy.state == MessageState::Due) {
            continue;
        }
        let card = copies::card(tx, entry, &case, &request).await?;
        copies::put(tx, entry, outlet, &request, &card, Some(banner.to_owned())).await?;
    }
    drill::show_pending(tx, entry, outlet, banner).await
}

/// Whether the chat of `target` took us in a moment ago: a refusal may be older than that.
pub fn was_just_let_in(gateway: &Gateway, target: &str, now: Timestamp) -> bool {
    let chat = target.parse::<Target>().ok().map(|target| target.chat);
    chat.and_then(|chat| gateway.telegram.let_in_at(chat)).is_some_and(|at| now.since(at) < STALE)
}

/// Stops the channel: nothing is sent or heard until somebody mends it. The other channels are told.
pub async fn stop(tx: &mut Tx, gateway: &Gateway, why: String, now: Timestamp) -> Result<(), StoreError> {
    let alarm = Alarm::ChannelStopped { channel: SOURCE.into(), why };
    if gateway.telegram.stop() {
        gateway.status.settle(SOURCE);
        gateway.status.raise(SOURCE, alarm.clone(), now);
        speak::alarm(tx, gateway, &alarm, now).await?;
    }
    Ok(())
}

/// The same, in a transaction of its own.
pub async fn stop_now(gateway: &Arc<Gateway>, why: String) {
    tracing::error!(why, "Telegram is stopped until that is mended");
    let job = Arc::clone(gateway);
    let stopped =
        gateway.store.write(move |tx| Box::pin(async move { stop(tx, &job, why, job.clock.now()).await })).await;
    if let Err(error) = stopped {
        tracing::error!(error = crate::gateway::inbox::chain(&error), "nobody could be told");
    }
    gateway.bells.deliver();
}

/// Tells an alarm on the other channels.
pub async fn tell(gateway: &Arc<Gateway>, alarm: Alarm) {
    if let Err(error) = speak::raise(gateway, alarm).await {
        tracing::error!(error = crate::gateway::inbox::chain(&error), "nobody could be told");
    }
}
