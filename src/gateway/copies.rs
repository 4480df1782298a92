//! The copies of a request in chats: a card with buttons, which is edited as things go on. Every
//! change of a case goes to all of them in the transaction that makes it.

use std::collections::BTreeMap;

use serde_json::json;

use super::ledger::{Entry, from_body};
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
        if rows.is_empty() {
            continue;
        }
        let card = card_after(tx, entry, step, request).await?;
        for row in rows {
            // What was said on Nostr stays said; its end is told in its thread.
            if row.channel != Channel::Nostr.key() || row.state == MessageState::Due {
                edit(tx, entry, &row, request, &card).await?;
            }
            shown.0.insert((request.id.0.clone(), row.target), row.remote_id);
        }
    }
    Ok(shown)
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
    let of_this = |basis: &Basis| matches!(basis, Basis::Request { request: id, .. } if *id == request.id);
    let mut executions = step.case.execution.iter().chain(&step.former_execution);
    Ok(card_with(entry, &step.case, request, executions.find(|execution| of_this(&execution.basis)), &[]))
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
    let text = wording::pages(&card.to_text()).into_iter().next().unwrap_or_default();
    (Content { text, html: Some(card.to_html()), buttons: rows, ..Content::default() }, buttons.new)
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
