//! What can be read: facts from the store, as JSON and as text. The daemon answers with these, and the
//! command line uses the same functions on the store itself where there is no daemon.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::desk::{Live, Shown};
use super::missions::{self, BusReader};
use crate::approval::{Answer, AnswerKind, ApprovalKey, Code, Drill, InputId, PersonId, Request, Speaker};
use crate::channel::nostr;
use crate::incident::{Execution, Incident};
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::agents::{self, Health};
use crate::store::journal::{self, Filter, Head, Verified};
use crate::store::{Read, Reader, StoreError, door, drills, executions, inbox, incidents, messages, requests};
use crate::wording::{self, CardFacts, DrillCopy, IncidentView, LiveExecution, PendingView, Setting, StatusView};

/// Inputs that are listed at most: beyond, "many" is all that matters.
const INPUTS_MAX: u32 = 1000;

/// Entries of the journal on a card.
const LATELY: u32 = 5;

/// How the kinds of entries begin that are about a mission.
const ON_MISSIONS: &str = "mission.";

/// One request with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dossier {
    /// The request.
    pub request: Request,
    /// The death that it is about.
    pub incident: Incident,
    /// What was done about that death, the oldest first.
    pub executions: Vec<Execution>,
    /// How it can be answered, as lines of the grammar; nothing once it is closed.
    pub answers: Vec<String>,
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its place.
    pub seq: i64,
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    pub kind: String,
    /// To which agent.
    pub agent: Option<AgentName>,
    /// The facts.
    pub body: serde_json::Value,
}

/// An input that was set aside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetAside {
    /// Its id, for `inbox retry`.
    pub id: String,
    /// Where it came from.
    pub source: String,
    /// When.
    pub entered_at: Timestamp,
    /// How often it failed.
    pub attempts: u32,
}

/// Who the kernel says the caller is, and who that is here. Everybody may ask this.
pub fn whoami(uid: u32, person: Option<&PersonId>) -> Shown {
    let text = match person {
        Some(person) => format!("You are {person} (local user {uid})."),
        None => format!("You are nobody here. {}", wording::stranger(&Speaker::LocalUser(uid))),
    };
    Shown::new(text, &serde_json::json!({ "uid": uid, "person": person }))
}

/// Where the door for agents listens, and who has a token for it.
///
/// # Errors
/// As of the store.
pub async fn agents(
    reader: &Reader,
    listen: Option<std::net::SocketAddr>,
    setting: &Setting,
    now: Timestamp,
) -> Result<Shown, StoreError> {
    let tokens = door::tokens(&mut reader.read().await?).await?;
    let mut text = match listen {
        Some(listen) => format!("The door for agents is at http://{listen}/."),
        None => "The door for agents is shut; `agents.listen` in lazarus-gate.yaml opens it.".to_owned(),
    };
    for token in &tokens {
        let (agent, by) = (&token.agent, wording::harmless(&token.issued_by, 64));
        text.push_str(&format!("\n{agent}: token issued {} by {by}", setting.time(token.issued_at, now)));
    }
    if tokens.is_empty() {
        text.push_str("\nNo agent has a token.");
    }
    let agents: Vec<_> = tokens
        .into_iter()
        .map(|one| serde_json::json!({ "agent": one.agent, "issued_at": one.issued_at, "issued_by": one.issued_by }))
        .collect();
    let listen = listen.map(|listen| listen.to_string());
    Ok(Shown::new(text, &serde_json::json!({ "listen": listen, "agents": agents })))
}

/// The answer to the input `id`: none if there is no such input, some none if it waits.
///
/// # Errors
/// As of the store.
pub async fn answer(reader: &Reader, id: &InputId) -> Result<Option<Option<Answer>>, StoreError> {
    let mut db = reader.read().await?;
    let Some(row) = inbox::result(&mut db, &id.0).await? else { return Ok(None) };
    let kept = row.answer.as_deref().map(|json| body("inputs", &row.id, json)).transpose()?;
    Ok(Some(match row.state {
        inbox::InputState::New => None,
        inbox::InputState::Handled => kept,
        inbox::InputState::SetAside => {
            kept.or_else(|| Some(Answer::new(AnswerKind::SetAside, set_aside_text(&row.id))))
        }
    }))
}

/// All requests that wait for an answer, the oldest first.
///
/// # Errors
/// As of the store.
pub async fn pending(reader: &Reader, setting: &Setting, now: Timestamp) -> Result<Shown, StoreError> {
    let mut db = reader.read().await?;
    let mut views = Vec::new();
    let mut damaged = Vec::new();
    for row in requests::pending(&mut db).await? {
        let Some(death) = whole(incident(&mut db, &row.incident_id).await, &mut damaged)? else { continue };
        let Some(request) = whole(body("requests", &row.id, &row.body), &mut damaged)? else { continue };
        views.push(PendingView { request, opened_at: death.opened_at, snoozed_until: death.snoozed_until });
    }
    let text = wording::pending_text(&views, &damaged, setting, now);
    Ok(Shown::new(text, &serde_json::json!({ "requests": views, "damaged": damaged })))
}

/// One request by its code or its whole key; none if there is no such request.
///
/// # Errors
/// As of the store.
pub async fn request(
    reader: &Reader,
    target: &str,
    approval_ttl: Duration,
    setting: &Setting,
    now: Timestamp,
) -> Result<Option<Shown>, StoreError> {
    let mut db = reader.read().await?;
    let row = if let Ok(key) = ApprovalKey::parse(target) {
        requests::by_key(&mut db, &key.to_string()).await?
    } else if let Ok(code) = Code::parse(target) {
        requests::by_code(&mut db, &code.to_string()).await?
    } else {
        None
    };
    let Some(row) = row else { return Ok(None) };
    let incident = incident(&mut db, &row.incident_id).await?;
    let rows = executions::of_incident(&mut db, &row.incident_id).await?;
    let executions = rows
        .iter()
        .map(|row| body("executions", &row.id, &row.body))
        .collect::<Result<Vec<Execution>, StoreError>>()?;
    let request: Request = body("requests", &row.id, &row.body)?;
    let filter = Filter { agent: Some(request.agent.clone()), since: Some(incident.opened_at), ..Filter::default() };
    let entries = entries(&mut db, None, LATELY, &filter).await?;
    // Who is asked about a death need not take part in the mission.
    let recent = entries.iter().rev().filter(|entry| !entry.kind.starts_with(ON_MISSIONS));
    let recent: Vec<String> = recent.map(|entry| entry.line(setting, now)).collect();
    let known = CardFacts { execution: executions.last(), approval_ttl, recent: &recent };
    let card = wording::card(&incident, &request, &known, setting, now);
    let answers = card.answers.iter().map(|answer| answer.command(request.code)).collect();
    let dossier = Dossier { request, incident, executions, answers };
    Ok(Some(Shown::new(card.to_text(), &dossier)))
}

/// One drill by the input that started it, and where it arrived when; none if there is no such drill.
///
/// # Errors
/// As of the store.
pub async fn drill(reader: &Reader, id: &str, setting: &Setting, now: Timestamp) -> Result<Option<Shown>, StoreError> {
    let mut db = reader.read().await?;
    let Some(row) = drills::load(&mut db, id).await? else { return Ok(None) };
    let drill: Drill = body("drills", &row.id, &row.body)?;
    let cards = messages::cards(&mut db, &row.id).await?.into_iter();
    let copies: Vec<DrillCopy> = cards
        .map(|card| DrillCopy {
            given_up: card.state == messages::MessageState::Gone && card.sent_at.is_none(),
            channel: card.channel,
            target: card.target,
            arrived_at: card.sent_at,
        })
        .collect();
    let text = wording::drill_report(&drill, &copies, setting, now);
    let took_ms = drill.took().map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    Ok(Some(Shown::new(text, &serde_json::json!({ "drill": drill, "took_ms": took_ms, "copies": copies }))))
}

/// Everything at one glance; `live` is what only the running daemon knows, none if there is none.
///
/// # Errors
/// As of the store.
pub async fn status(
    reader: &Reader,
    live: Option<Live>,
    setting: &Setting,
    now: Timestamp,
) -> Result<Shown, StoreError> {
    let mut db = reader.read().await?;
    let mut view = StatusView::default();
    for row in agents::load(&mut db).await? {
        let counts = &mut view.health;
        *match row.health {
            Health::Healthy => &mut counts.healthy,
            Health::Unhealthy => &mut counts.unhealthy,
            Health::Unknown => &mut counts.unknown,
            Health::Unobservable => &mut counts.unobservable,
        } += 1;
    }
    let mut codes = BTreeMap::new();
    for row in requests::pending(&mut db).await? {
        let request: Option<Request> = whole(body("requests", &row.id, &row.body), &mut view.damaged)?;
        codes.extend(request.map(|request| (row.incident_id, request.code)));
    }
    for row in incidents::open(&mut db).await? {
        let incident: Option<Incident> = whole(body("incidents", &row.id, &row.body), &mut view.damaged)?;
        let Some(incident) = incident else { continue };
        view.incidents.push(IncidentView {
            agent: incident.agent,
            mission: incident.mission,
            opened_at: incident.opened_at,
            disposition: incident.disposition,
            code: codes.get(&row.id).copied(),
        });
    }
    for row in executions::live(&mut db).await? {
        let execution: Option<Execution> = whole(body("executions", &row.id, &row.body), &mut view.damaged)?;
        let Some(execution) = execution else { continue };
        view.executions.push(LiveExecution {
            state: execution.state.word().to_owned(),
            id: execution.id,
            agent: execution.agent,
            action: execution.action,
            ready_at: execution.ready_at,
        });
    }
    view.incidents.sort_by(|one, other| one.agent.cmp(&other.agent));
    view.executions.sort_by(|one, other| one.agent.cmp(&other.agent));
    view.messages_due = messages::count_due(&mut db).await?;
    view.set_aside = inbox::set_aside(&mut db, INPUTS_MAX).await?.into_iter().map(|row| InputId(row.id)).collect();
    if let Some(Live { since, sweep, alarms, tasks, relays, agents: _ }) = live {
        view = StatusView { daemon_since: Some(since), sweep, alarms, tasks, relays, ..view };
    }
    Ok(Shown::new(wording::status_text(&view, setting, now), &view))
}

/// A page of the journal, the newest entry first: of one agent or all, before the entry `before` or
/// from the end. What happened in a mission is left out where `who` may not see it there; a page may be
/// shorter by that.
///
/// # Errors
/// As of the store.
pub async fn history(
    reader: &Reader,
    agent: Option<AgentName>,
    before: Option<i64>,
    limit: u32,
    who: impl Fn(&MissionName) -> BusReader,
    setting: &Setting,
    now: Timestamp,
) -> Result<Shown, StoreError> {
    let mut db = reader.read().await?;
    let filter = Filter { agent, ..Filter::default() };
    let all = entries(&mut db, before, limit, &filter).await?;
    // A full page may have been the last one; then the next is empty, which says so.
    let next = all.last().filter(|_| all.len() == limit as usize).map(|entry| entry.seq);
    let mut entries = Vec::with_capacity(all.len());
    for entry in all {
        let mission = entry.kind.starts_with(ON_MISSIONS).then(|| entry.body["mission"].as_str()).flatten();
        let shown = match mission.and_then(|mission| MissionName::new(mission).ok()) {
            Some(mission) => missions::may_see(&mut db, &mission, &who(&mission), &entry.kind).await?,
            None => true,
        };
        if shown {
            entries.push(entry);
        }
    }
    // The newest at the end, where a terminal shows it.
    let mut lines: Vec<String> = entries.iter().rev().map(|entry| entry.line(setting, now)).collect();
    if lines.is_empty() {
        lines.push("There is nothing on record.".to_owned());
    }
    if let Some(seq) = next {
        lines.insert(0, format!("… older: --before {seq}"));
    }
    Ok(Shown::new(lines.join("\n"), &serde_json::json!({ "entries": entries, "next_before": next })))
}

/// The inputs that were set aside, the oldest first.
///
/// # Errors
/// As of the store.
pub async fn set_aside(reader: &Reader, setting: &Setting, now: Timestamp) -> Result<Shown, StoreError> {
    let mut db = reader.read().await?;
    let rows = inbox::set_aside(&mut db, INPUTS_MAX).await?;
    let inputs: Vec<SetAside> = rows
        .into_iter()
        .map(|row| SetAside { id: row.id, source: row.source, entered_at: row.entered_at, attempts: row.attempts })
        .collect();
    let lines = inputs.iter().map(|input| {
        let id = wording::harmless(&input.id, wording::SHORT_MAX);
        format!("{id}  by {}, {}; failed {} times", input.source, setting.time(input.entered_at, now), input.attempts)
    });
    let text = match lines.collect::<Vec<_>>() {
        lines if lines.is_empty() => "Nothing was set aside.".to_owned(),
        lines => format!("{}\n`inbox retry ID` runs one again.", lines.join("\n")),
    };
    Ok(Shown::new(text, &serde_json::json!({ "inputs": inputs })))
}

/// Reads the whole journal and tells whether its chain holds; `progress` gets how many entries were
/// read and how many there are.
///
/// # Errors
/// As of the store.
pub async fn verify(reader: &Reader, progress: impl FnMut(u64, u64) + Send) -> Result<Shown, StoreError> {
    let mut db = reader.read().await?;
    let verified = journal::verify(&mut db, progress).await?;
    let receipts = nostr::check_receipts(&mut db).await?;
    let mut value = match &verified {
        Verified::Whole { head: Head { seq, hash } } => {
            serde_json::json!({ "whole": receipts.is_whole(), "entries": seq, "head": hash })
        }
        Verified::Broken { seq, why } => serde_json::json!({ "whole": false, "entry": seq, "why": why }),
    };
    if receipts != nostr::Checked::default() {
        let listed = |all: &[(i64, String)]| {
            let all = all.iter().map(|(seq, why)| serde_json::json!({ "entry": seq, "why": why }));
            all.collect::<Vec<_>>()
        };
        value["receipts"] = serde_json::json!({
            "good": receipts.good, "attested": receipts.attested, "bad": listed(&receipts.bad),
        });
        value["decisions"] = serde_json::json!({ "proven": receipts.proven, "unproven": listed(&receipts.unproven) });
    }
    Ok(Shown::new(format!("{}{}", verified_text(&verified), receipts_text(&receipts)), &value))
}

/// What signatures prove; nothing where there are none.
fn receipts_text(receipts: &nostr::Checked) -> String {
    let mut text = String::new();
    if receipts.good > 0 {
        text.push_str(&format!("\n{} receipts prove what people signed.", receipts.good));
    }
    if receipts.attested > 0 {
        text.push_str(&format!(
            "\n{} receipts are attested by the gateway, and cannot be checked without it: a remote signer opened what \
             people wrote.",
            receipts.attested
        ));
    }
    if receipts.proven > 0 {
        text.push_str(&format!("\n{} decisions over Nostr are what their receipts say.", receipts.proven));
    }
    for (seq, why) in &receipts.bad {
        text.push_str(&format!("\nThe receipt of entry {seq} proves NOTHING: {why}."));
    }
    for (seq, why) in &receipts.unproven {
        let why = wording::harmless(why, wording::REASON_MAX);
        text.push_str(&format!("\nThe decision of entry {seq} is NOT PROVEN: {why}."));
    }
    if !receipts.is_whole() {
        text.push_str(
            "\nSomebody changed the store. Keep a copy of it, compare these entries with a backup, and ask whoever is \
             named whether they said so.",
        );
    }
    text
}

fn verified_text(verified: &Verified) -> String {
    match verified {
        Verified::Whole { head } if head.seq == 0 => "The journal is empty.".into(),
        Verified::Whole { head: Head { seq, hash } } => format!(
            "The journal is whole, up to entry {seq}. Its head is\n  {hash}\nNote it elsewhere: against it, a later look \
             shows whether the end was cut off."
        ),
        Verified::Broken { seq, why } => format!(
            "The journal is BROKEN at entry {seq}: {why}. What comes before it is whole.\nSomebody changed the store, or \
             the disk did. Keep a copy of it, and compare with a backup."
        ),
    }
}

/// What is answered in place of what an input that was set aside left without an answer.
fn set_aside_text(id: &str) -> String {
    format!("it could not be worked off three times and was set aside; `inbox retry {id}` runs it again")
}

async fn entries(db: &mut Read, before: Option<i64>, limit: u32, filter: &Filter) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    for row in journal::page(db, before, limit, filter).await? {
        let body = body("journal", &row.seq.to_string(), &row.body)?;
        entries.push(Entry { seq: row.seq, at: row.at, kind: row.kind, agent: row.agent, body });
    }
    Ok(entries)
}

impl Entry {
    fn line(&self, setting: &Setting, now: Timestamp) -> String {
        wording::journal_line(&self.kind, self.agent.as_ref(), &self.body, self.at, setting, now)
    }
}

/// The incident of a request; a key of the schema keeps it there.
async fn incident(db: &mut Read, id: &str) -> Result<Incident, StoreError> {
    let row = incidents::load(db, id).await?.ok_or_else(|| StoreError::Inconsistent {
        table: "requests",
        column: "incident_id",
        row: id.to_owned(),
        why: "there is no such incident".into(),
    })?;
    body("incidents", &row.id, &row.body)
}

/// What was read; none if its row is damaged, which is told beside all that is whole.
fn whole<T>(read: Result<T, StoreError>, damaged: &mut Vec<String>) -> Result<Option<T>, StoreError> {
    match read {
        Err(error @ StoreError::Inconsistent { .. }) => {
            damaged.push(error.to_string());
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// The value of a JSON column.
fn body<T: DeserializeOwned>(table: &'static str, row: &str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Inconsistent {
        table,
        column: if table == "inputs" { "answer" } else { "body" },
        row: row.to_owned(),
        why: error.to_string(),
    })
}
