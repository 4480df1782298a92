//! What a step owes people, as due messages. Which events are told, and in which words, is the
//! wording room's; here they are addressed.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::Gateway;
use super::ledger::{self, Entry};
use super::{copies, nostr, telegram};
use crate::approval::{Channel, Request};
use crate::incident::{Basis, Event, Step};
use crate::pool::Timestamp;
use crate::store::messages::{MessageKind, NewMessage};
use crate::store::{self, StoreError, Tx};
use crate::wording::{self, Alarm, Content, Urgency};

/// A place where people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlet {
    /// By which channel.
    pub channel: Channel,
    /// Where there, in the channel's own form.
    pub target: String,
}

/// The smaller, the sooner, among the messages of one chat; a terminal has them as they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody looks at a spinner.
    Answer,
    /// Somebody decided, and everybody else should see it.
    Decision,
    /// Somebody is to decide, or something is wrong.
    Request,
    /// Something goes on.
    Progress,
}

impl Priority {
    /// As the store has it.
    pub fn number(self) -> i64 {
        match self {
            Self::Answer => 0,
            Self::Decision => 1,
            Self::Request => 2,
            Self::Progress => 3,
        }
    }
}

/// Puts the messages of a step on their way, in the order of its events, and gives the copies that are
/// there already what they say now.
pub async fn step(tx: &mut Tx, entry: &Entry, step: &Step) -> Result<(), StoreError> {
    let outlets = entry.outlets();
    if outlets.is_empty() || step.events.is_empty() {
        return Ok(());
    }
    let setting = entry.setting();
    let chats = outlets.iter().any(|outlet| outlet.channel != Channel::Terminal);
    let shown = if chats { copies::refresh(tx, entry, step).await? } else { copies::Shown::default() };
    let mut due = Vec::new();
    for event in &step.events {
        let request = request_of(event, step);
        let about = request.map_or_else(|| step.case.incident.id.0.clone(), |request| request.id.0.clone());
        if let (Event::Asked { .. } | Event::ShownAgain { .. }, Some(request)) = (event, request) {
            // What was to be told before it stands before it.
            store::messages::insert(tx, &std::mem::take(&mut due)).await?;
            let card = copies::card(tx, entry, &step.case, request).await?;
            for outlet in &outlets {
                copies::put(tx, entry, outlet, request, &card, None).await?;
            }
            continue;
        }
        let Some(told) = wording::notice(event, &step.case.incident, request, &setting, entry.now) else { continue };
        for outlet in &outlets {
            let (priority, content) = match outlet.channel {
                Channel::Terminal | Channel::Cli => (Priority::Answer, Content::plain(told.text.clone())),
                Channel::Telegram => {
                    let card = request.and_then(|request| shown.in_chat(&request.id, &outlet.target));
                    if !wording::rings(event, told.urgency, card.is_some()) {
                        continue;
                    }
                    let content = Content {
                        silent: told.urgency == Urgency::Progress,
                        ..Content::plain(told.text.clone()).replying_to(card.flatten())
                    };
                    (Priority::Request, content)
                }
                Channel::Nostr => {
                    let card = request.and_then(|request| shown.in_chat(&request.id, &outlet.target));
                    // A card that is still on its way says it itself.
                    let says_it = card == Some(None) && told.urgency < Urgency::Alarm;
                    if says_it || !wording::told_in_thread(event, told.urgency) {
                        continue;
                    }
                    let note = card.flatten();
                    if let (Some(note), Some(mark)) = (&note, mark_of(event, step, request, outlet)) {
                        let content = Content { reacts: true, ..Content::plain(mark).replying_to(Some(note.clone())) };
                        let (kind, about) = (MessageKind::Note, Some(about.clone()));
                        due.push(message(entry.id(), outlet, kind, about, Priority::Request, &content, entry.now));
                    }
                    (Priority::Request, Content::plain(told.text.clone()).replying_to(note))
                }
            };
            due.push(message(
                entry.id(),
                outlet,
                MessageKind::Note,
                Some(about.clone()),
                priority,
                &content,
                entry.now,
            ));
        }
    }
    store::messages::insert(tx, &due).await
}

/// The request an event speaks of: of the case, or the one that made room in this very step.
fn request_of<'s>(event: &Event, step: &'s Step) -> Option<&'s Request> {
    match wording::speaks_of(event) {
        Some(id) => step.former_request.iter().chain(&step.case.request).find(|request| request.id == *id),
        None => step.case.request.as_ref(),
    }
}

/// The mark on the open note that asked, at its end.
fn mark_of(event: &Event, step: &Step, request: Option<&Request>, outlet: &Outlet) -> Option<&'static str> {
    if !nostr::is_open(outlet) {
        return None;
    }
    let executions = step.former_execution.iter().chain(&step.case.execution);
    let is_its = executions.filter_map(|execution| match &execution.basis {
        Basis::Request { request, .. } => Some(request),
        Basis::Policy => None,
    });
    let is_its = request.is_some_and(|request| is_its.into_iter().any(|id| *id == request.id));
    wording::mark(event, is_its)
}

/// A message that is due at once.
pub(super) fn message(
    id: String,
    outlet: &Outlet,
    kind: MessageKind,
    about: Option<String>,
    priority: Priority,
    content: &Content,
    now: Timestamp,
) -> NewMessage {
    NewMessage {
        id,
        channel: outlet.channel.key().into(),
        target: outlet.target.clone(),
        about,
        kind,
        priority: if outlet.channel == Channel::Terminal { 0 } else { priority.number() },
        created_at: now,
        body: json!(content).to_string(),
    }
}

/// Journals an alarm and tells it in every channel, but not in the one that it says is down.
pub async fn alarm(tx: &mut Tx, gateway: &Gateway, alarm: &Alarm, now: Timestamp) -> Result<(), StoreError> {
    let agent = match alarm {
        Alarm::UnsettledRun { agent, .. } | Alarm::BrokenPromise { agent, .. } => Some(agent.clone()),
        _ => None,
    };
    let journaled = store::journal::Entry { kind: alarm.word().to_owned(), agent, body: json!(alarm) };
    store::journal::append(tx, &[journaled], now).await?;
    let mut due = Vec::new();
    let left = gateway.in_force().people.without(&ledger::revoked(tx).await?);
    for outlet in gateway.outlets().into_iter().filter(|outlet| !nostr::is_out(outlet, &left)) {
        let down = match alarm {
            Alarm::ChannelDown { channel, .. } | Alarm::ChannelStopped { channel, .. } => {
                *channel == outlet.channel.key()
            }
            // Once it is let in again, that would be news from yesterday.
            Alarm::ChatLost { chat, .. } => match outlet.channel {
                Channel::Telegram => *chat == telegram::name_of(gateway, &outlet.target),
                Channel::Nostr => *chat == nostr::name_of(gateway, &outlet.target),
                Channel::Terminal | Channel::Cli => false,
            },
            _ => false,
        };
        let told = outlet.channel == Channel::Terminal || alarm.urgency() > Urgency::Progress;
        if told && !down {
            let content = Content::plain(alarm.text());
            let id = gateway.ids.id(now);
            due.push(message(id, &outlet, MessageKind::Note, None, Priority::Request, &content, now));
        }
    }
    store::messages::insert(tx, &due).await
}

/// The causes of the chats whose loss was told, as JSON.
pub const LOST: &str = "chats_lost";

/// A chat is lost, under a key that tells one cause from another; it is journaled and told once until it is
/// [found](found) again, over restarts, too.
pub async fn alarm_lasts(
    tx: &mut Tx,
    gateway: &Gateway,
    cause: String,
    lasting: Alarm,
    now: Timestamp,
) -> Result<(), StoreError> {
    gateway.status.raise(cause.clone(), lasting.clone(), now);
    let mut told = lost(tx).await?;
    if told.insert(cause) {
        store::meta::set(tx, LOST, &json!(told).to_string()).await?;
        alarm(tx, gateway, &lasting, now).await?;
    }
    Ok(())
}

/// The chat of that cause is there.
pub async fn found(tx: &mut Tx, entry: &Entry, cause: &str) -> Result<(), StoreError> {
    entry.gateway().status.settle(cause);
    // Mostly none is lost, and then nothing is read for it.
    if entry.lost().is_none_or(|lost| lost == "[]") {
        return Ok(());
    }
    let mut told = lost(tx).await?;
    if told.remove(cause) {
        store::meta::set(tx, LOST, &json!(told).to_string()).await?;
    }
    Ok(())
}

async fn lost(tx: &mut Tx) -> Result<BTreeSet<String>, StoreError> {
    match store::meta::get(tx, LOST).await? {
        Some(text) => ledger::from_body("meta", LOST, &text),
        None => Ok(BTreeSet::new()),
    }
}

/// Raises an alarm that is told at once, in a transaction of its own.
pub async fn raise(gateway: &Arc<Gateway>, told: Alarm) -> Result<(), StoreError> {
    let job = Arc::clone(gateway);
    let outcome =
        gateway.store.write(move |tx| Box::pin(async move { alarm(tx, &job, &told, job.clock.now()).await })).await;
    gateway.bells.deliver();
    outcome
}
