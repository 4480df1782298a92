//! The copies of a request in chats: a card with buttons, which is edited as things go on. Every
//! change of a case goes to all of them in the transaction that makes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Gateway;
use super::ledger::{self, Entry, from_body};
use super::speak::{self, Outlet, Priority};
use crate::approval::{Channel, Command, Press, Request, RequestId, RequestState, Target};
use crate::incident::{Basis, Case, Event, Execution, Step};
use crate::store::messages::{MessageKind, MessageRow, MessageState};
use crate::store::tokens::{NewToken, TokenRow};
use crate::store::{self, StoreError, Tx};
use crate::wording::{self, AnswerOption, Button, Card, CardFacts, Content, Packet};

/// How many lines of an agent's history a card shows.
const RECENT: usize = 3;
/// How far back in the agent's journal they are looked for.
const RECENT_READ: u32 = 30;

/// Which requests have a copy in which chat, and the newest one's id there.
#[derive(Debug, Default)]
pub struct Shown(BTreeMap<(String, String), Option<String>>);

impl Shown {
    /// The copy of `request` in that chat: none if there is none, its id there once it has one.
    pub fn in_chat(&self, request: &RequestId, target: &str) -> Option<Option<String>> {
        self.0.get(&(request.0.clone(), target.to_owned())).cloned()
    }
}

/// Puts a new copy of `request` on its way to `outlet`.
pub async fn put(
    tx: &mut Tx,
    entry: &Entry,
    outlet: &Outlet,
    request: &Request,
    card: &Card,
    banner: Option<String>,
) -> Result<(), StoreError> {
    let id = entry.id();
    let (content, tokens) = match outlet.channel {
        Channel::Terminal | Channel::Cli => (Content::plain(card.to_text()), Vec::new()),
        Channel::Telegram => content(entry, request, card, &[]),
        Channel::Nostr => (packet(entry, request, card), Vec::new()),
    };
    let content = content.under(banner);
    let about = Some(request.id.0.clone());
    let message = speak::message(id.clone(), outlet, MessageKind::Card, about, Priority::Request, &content, entry.now);
    store::messages::insert(tx, &[message]).await?;
    store::tokens::insert(tx, &id, &tokens, entry.now).await
}

/// Gives every copy of the step's requests what it says now.
pub async fn refresh(tx: &mut Tx, entry: &Entry, step: &Step) -> Result<Shown, StoreError> {
    let mut shown = Shown::default();
    for request in step.former_request.iter().chain(&step.case.request) {
        let rows = store::messages::cards(tx, &request.id.0).await?;
        let rows: Vec<MessageRow> =
            rows.into_iter().filter(|row| row.channel != "terminal" && row.state != MessageState::Gone).collect();
        let mut card = None;
        for row in rows {
            let is_sent = row.state == MessageState::Sent;
            if is_sent && !request.is_pending() && row.channel == Channel::Telegram.key() {
                draw_later(tx, entry, &row).await?;
            } else if !is_sent || row.channel != Channel::Nostr.key() {
                let card = match &card {
                    Some(card) => card,
                    None => card.insert(card_after(tx, entry, step, request).await?),
                };
                edit(tx, entry, &row, request, card).await?;
            }
            // What was said on Nostr stays said; its end is told in its thread.
            shown.0.insert((request.id.0.clone(), row.target), row.remote_id);
        }
    }
    Ok(shown)
}

/// What is kept of a copy, and of the edit of it, once its request is decided: not what it says, since much
/// happens in a short time, of which most is over before it can be sent. It is drawn when it is sent.
#[derive(Serialize, Deserialize)]
struct DrawnLater {
    /// Another one with each step, so that an edit that is on its way meanwhile is known to be old.
    drawn_when_sent: String,
}

async fn draw_later(tx: &mut Tx, entry: &Entry, row: &MessageRow) -> Result<(), StoreError> {
    let body = json!(DrawnLater { drawn_when_sent: entry.id() }).to_string();
    let priority = Priority::Decision.number();
    store::messages::edit_card(tx, row.clone(), &entry.id(), priority, entry.now, &body).await.map(drop)
}

/// What a message says: what is kept with it, or what it comes to now. None if that cannot be read.
pub async fn content_of(gateway: &Gateway, row: &MessageRow) -> Result<Option<Content>, StoreError> {
    if let Ok(kept) = serde_json::from_str(&row.body) {
        return Ok(Some(kept));
    }
    let Some(about) = row.about.as_ref().filter(|_| serde_json::from_str::<DrawnLater>(&row.body).is_ok()) else {
        return Ok(None);
    };
    let mut read = gateway.store.read().await?;
    let Some((request, case)) = ledger::request_and_case(&mut read, about).await? else { return Ok(None) };
    let newest = case.execution.clone().filter(|execution| is_of(execution, &request));
    let execution: Option<Execution> = match newest {
        Some(newest) => Some(newest),
        None => match store::executions::of_request(&mut read, about).await? {
            Some(row) => Some(from_body("executions", &row.id, &row.body)?),
            None => None,
        },
    };
    drop(read);
    let known =
        CardFacts { execution: execution.as_ref(), approval_ttl: gateway.in_force().timing.approval_ttl, recent: &[] };
    let setting = gateway.setting(gateway.hold_seen().as_ref());
    let card = wording::card(&case.incident, &request, &known, &setting, gateway.clock.now());
    Ok(Some(without_buttons(&card)))
}

fn is_of(execution: &Execution, request: &Request) -> bool {
    matches!(&execution.basis, Basis::Request { request: id, .. } if *id == request.id)
}

fn without_buttons(card: &Card) -> Content {
    let text = wording::pages(&card.to_text()).into_iter().next().unwrap_or_default();
    Content { html: Some(card.to_html()), ..Content::plain(text) }
}

/// The card of `request`, one of `case`, with what happened to its agent lately.
pub async fn card(tx: &mut Tx, entry: &Entry, case: &Case, request: &Request) -> Result<Card, StoreError> {
    let recent = recent(tx, entry, case).await?;
    Ok(card_with(entry, case, request, case.execution.as_ref(), &recent))
}

/// The card of a request of a step, for a copy that is there already.
async fn card_after(tx: &mut Tx, entry: &Entry, step: &Step, request: &Request) -> Result<Card, StoreError> {
    // Whoever decides wants the past; whoever reads the end wants the end.
    if request.is_pending() {
        return card(tx, entry, &step.case, request).await;
    }
    let mut executions = step.case.execution.iter().chain(&step.former_execution);
    Ok(card_with(entry, &step.case, request, executions.find(|execution| is_of(execution, request)), &[]))
}

fn card_with(entry: &Entry, case: &Case, request: &Request, execution: Option<&Execution>, recent: &[String]) -> Card {
    let known = CardFacts { execution, approval_ttl: entry.in_force().timing.approval_ttl, recent };
    wording::card(&case.incident, request, &known, &entry.setting(), entry.now)
}

/// What happened to the agent lately, before this death was asked about, oldest first.
async fn recent(tx: &mut Tx, entry: &Entry, case: &Case) -> Result<Vec<String>, StoreError> {
    let setting = entry.setting();
    let agent = &case.incident.agent;
    let filter = store::journal::Filter { agent: Some(agent.clone()), ..Default::default() };
    let rows = store::journal::page(tx, None, RECENT_READ, &filter).await?;
    let mut lines: Vec<String> = rows
        .iter()
        .filter_map(|row| Some((row.at, serde_json::from_str::<Event>(&row.body).ok()?)))
        .filter(|(_, event)| is_history(event))
        .take(RECENT)
        .map(|(at, event)| wording::history_line(&event, agent, at, &setting, entry.now))
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

/// Gives one copy, as it was read in this transaction, what it says now.
pub async fn edit(
    tx: &mut Tx,
    entry: &Entry,
    row: &MessageRow,
    request: &Request,
    card: &Card,
) -> Result<(), StoreError> {
    let old: Content = from_body("messages", &row.id, &row.body)?;
    let banner = old.banner.filter(|_| request.is_pending());
    edit_as(tx, entry, row, request, card, banner).await
}

/// The same under a banner of its own.
pub async fn edit_as(
    tx: &mut Tx,
    entry: &Entry,
    row: &MessageRow,
    request: &Request,
    card: &Card,
    banner: Option<String>,
) -> Result<(), StoreError> {
    let known = if request.is_pending() { store::tokens::of_copy(tx, &row.id).await? } else { Vec::new() };
    let (content, tokens) = if row.channel == Channel::Nostr.key() {
        (packet(entry, request, card), Vec::new())
    } else {
        content(entry, request, card, &known)
    };
    store::tokens::insert(tx, &row.id, &tokens, entry.now).await?;
    let priority = match request.state {
        RequestState::Pending { .. } => Priority::Progress,
        RequestState::Approved { .. }
        | RequestState::Denied { .. }
        | RequestState::Expired { .. }
        | RequestState::Withdrawn { .. } => Priority::Decision,
    };
    let body = json!(content.under(banner)).to_string();
    store::messages::edit_card(tx, row.clone(), &entry.id(), priority.number(), entry.now, &body).await?;
    Ok(())
}

/// The card for people, and for programs as long as it can be answered.
fn packet(entry: &Entry, request: &Request, card: &Card) -> Content {
    let ttl = entry.in_force().timing.approval_ttl;
    let packet = request.is_pending().then(|| Packet::of(request, ttl));
    Content { packet, ..Content::plain(card.to_message()) }
}

/// The card with its buttons.
fn content(entry: &Entry, request: &Request, card: &Card, known: &[TokenRow]) -> (Content, Vec<NewToken>) {
    let mut buttons = Buttons::of(entry, known);
    let mut button = |label, answer| buttons.button(label, &Press::Say { command: command(request, &answer) });
    let rows = card.button_rows().into_iter();
    let rows = rows.map(|row| row.into_iter().map(|(label, answer)| button(label, answer)).collect()).collect();
    (Content { buttons: rows, ..without_buttons(card) }, buttons.new)
}

/// Makes the buttons of one message. A button that it has had keeps its token, so that a press that is on
/// its way still finds it.
pub struct Buttons<'a> {
    entry: &'a Entry,
    known: &'a [TokenRow],
    /// What is to be kept with the message.
    pub new: Vec<NewToken>,
}

impl<'a> Buttons<'a> {
    /// Of a message whose tokens until now are `known`.
    pub fn of(entry: &'a Entry, known: &'a [TokenRow]) -> Self {
        Self { entry, known, new: Vec::new() }
    }

    /// One that says `press`.
    pub fn button(&mut self, label: String, press: &Press) -> Button {
        let press = json!(press).to_string();
        let token = match self.known.iter().find(|token| token.press == press) {
            Some(known) => known.token.clone(),
            None => {
                let token = self.entry.token();
                self.new.push(NewToken { token: token.clone(), press });
                token
            }
        };
        Button { label, token }
    }
}

/// What a button says, with the whole key: a code comes again some day.
fn command(request: &Request, answer: &AnswerOption) -> Command {
    let target = Target::Key(request.key.clone());
    match answer {
        AnswerOption::Approve => Command::Approve { target },
        AnswerOption::Substitute(agent) => Command::Substitute { target, agent: agent.clone() },
        AnswerOption::Deny => Command::Deny { target, reason: None },
        AnswerOption::Snooze(for_) => Command::Snooze { target, for_: *for_ },
    }
}
