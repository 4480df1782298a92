//! What a step owes people, as due messages. Which events are told, and in which words, is the
//! wording room's; here they are addressed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Gateway;
use super::ledger::Entry;
use crate::approval::{Channel, Request};
use crate::incident::{Case, Event, Facts, Step};
use crate::pool::Timestamp;
use crate::store::messages::{MessageKind, NewMessage};
use crate::store::{self, StoreError, Tx};
use crate::wording::{self, Alarm, CardFacts, Setting};

/// The channel that the daemon's own output is, in the store's words.
pub const TERMINAL: &str = "terminal";

/// A message's body as the store keeps it. Kept on disk: add optional fields, change none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// What a channel without cards and buttons shows.
    pub text: String,
}

/// How many lines of an agent's history a card shows.
const RECENT: usize = 3;
/// How far back in the agent's journal they are looked for.
const RECENT_READ: u32 = 30;

/// The messages of a step, in the order of its events.
pub async fn messages(
    tx: &mut Tx,
    entry: &Entry,
    step: &Step,
    facts: &Facts<'_>,
) -> Result<Vec<NewMessage>, StoreError> {
    let mut due = Vec::new();
    if !entry.in_force().config.gate.channels.terminal.enabled {
        return Ok(due);
    }
    let setting = entry.setting();
    for event in &step.events {
        let request = request_of(event, step);
        let about = request.map_or_else(|| step.case.incident.id.0.clone(), |request| request.id.0.clone());
        match (event, request) {
            (Event::Asked { .. } | Event::ShownAgain { .. }, Some(request)) => {
                let recent = recent(tx, &step.case, &setting, entry.now).await?;
                let known = CardFacts {
                    execution: step.case.execution.as_ref(),
                    approval_ttl: facts.timing.approval_ttl,
                    recent: &recent,
                };
                let card = wording::card(&step.case.incident, request, &known, &setting, entry.now);
                due.push(message(entry, MessageKind::Card, about, card.to_text()));
            }
            _ => {
                if let Some(told) = wording::notice(event, &step.case.incident, request, &setting, entry.now) {
                    due.push(message(entry, MessageKind::Note, about, told.text));
                }
            }
        }
    }
    Ok(due)
}

/// What happened to the agent lately, before this death was asked about, oldest first.
async fn recent(tx: &mut Tx, case: &Case, setting: &Setting, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let agent = &case.incident.agent;
    let filter = store::journal::Filter { agent: Some(agent.clone()), ..Default::default() };
    let rows = store::journal::page(tx, None, RECENT_READ, &filter).await?;
    let mut lines: Vec<String> = rows
        .iter()
        .filter_map(|row| Some((row.at, serde_json::from_str::<Event>(&row.body).ok()?)))
        .filter(|(_, event)| is_history(event))
        .take(RECENT)
        .map(|(at, event)| wording::history_line(&event, agent, at, setting, now))
        .collect();
    lines.reverse();
    Ok(lines)
}

/// Whether an event says something about an agent's past to somebody who decides now.
fn is_history(event: &Event) -> bool {
    matches!(
        event,
        Event::Denied { .. }
            | Event::Expired { .. }
            | Event::CalledOff { .. }
            | Event::Failed { .. }
            | Event::Unknown { .. }
            | Event::Verified { .. }
            | Event::NotRecovered { .. }
            | Event::Relapsed { .. }
            | Event::StandInLost
            | Event::Recovered { .. }
    )
}

/// The request an event speaks of: of the case, or the one that made room in this very step.
fn request_of<'s>(event: &Event, step: &'s Step) -> Option<&'s Request> {
    match wording::speaks_of(event) {
        Some(id) => step.former_request.iter().chain(&step.case.request).find(|request| request.id == *id),
        None => step.case.request.as_ref(),
    }
}

fn message(entry: &Entry, kind: MessageKind, about: String, text: String) -> NewMessage {
    NewMessage {
        id: entry.id(),
        channel: TERMINAL.into(),
        target: String::new(),
        about: Some(about),
        kind,
        priority: 0,
        created_at: entry.now,
        body: json!(Body { text }).to_string(),
    }
}

/// Journals an alarm and tells it in every channel.
pub async fn alarm(tx: &mut Tx, gateway: &Gateway, alarm: &Alarm, now: Timestamp) -> Result<(), StoreError> {
    let agent = match alarm {
        Alarm::UnsettledRun { agent, .. } | Alarm::BrokenPromise { agent, .. } => Some(agent.clone()),
        _ => None,
    };
    let journaled = store::journal::Entry { kind: alarm.word().to_owned(), agent, body: json!(alarm) };
    store::journal::append(tx, &[journaled], now).await?;
    if !gateway.in_force().config.gate.channels.terminal.enabled {
        return Ok(());
    }
    let told = NewMessage {
        id: gateway.ids.id(now),
        channel: TERMINAL.into(),
        target: String::new(),
        about: None,
        kind: MessageKind::Note,
        priority: 0,
        created_at: now,
        body: json!(Body { text: alarm.text() }).to_string(),
    };
    store::messages::insert(tx, &[told]).await
}

/// Raises an alarm that is told at once, in a transaction of its own.
pub async fn raise(gateway: &Arc<Gateway>, told: Alarm) -> Result<(), StoreError> {
    let job = Arc::clone(gateway);
    let outcome =
        gateway.store.write(move |tx| Box::pin(async move { alarm(tx, &job, &told, job.clock.now()).await })).await;
    gateway.bells.deliver.notify_one();
    outcome
}

/// The source of an input, in the store's words.
pub fn source_of(channel: Channel) -> &'static str {
    match channel {
        Channel::Terminal => "terminal",
        Channel::Cli => "cli",
    }
}
