//! Drills: the whole way from a command over the store, the outbox, the channels and people back to the
//! inbox, with nothing at its end. The machine is [`Drill`]; here it is stored and told, each step in the
//! transaction of its cause.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Gateway;
use super::copies::Buttons;
use super::hear::{Heard, Speech, Why};
use super::ledger::{Entry, from_body};
use super::speak::{self, Outlet, Priority};
use crate::approval::{Channel, Code, Command, Drill, DrillState, NotHere, Person, PersonId, Press, Target};
use crate::incident::Refusal;
use crate::pool::{MissionName, Timestamp};
use crate::store::drills::{DrillPhase, DrillRecord};
use crate::store::messages::{MessageKind, MessageRow, MessageState};
use crate::store::tokens::{NewToken, TokenRow};
use crate::store::{self, Reads, StoreError, Tx};
use crate::wording::{self, Content, NoDrill};

/// How often another code is drawn because one was given before.
const CODE_TRIES: u32 = 8;

/// Starts a drill: for people who may decide for its mission, and for the store's owner.
pub(super) async fn start(
    tx: &mut Tx,
    entry: &Entry,
    speech: &Speech<'_>,
    mission: Option<MissionName>,
    wait: Duration,
) -> Result<Heard, StoreError> {
    let (setting, now) = (entry.setting(), entry.now);
    let refused = |why: &NoDrill<'_>| {
        let text = wording::no_drill(why, &setting, now);
        Ok(Heard::refused(speech.input, &speech.said.speaker, None, Why::Text, text))
    };
    let missions: BTreeSet<&MissionName> = entry.in_force().members().map(|(_, member)| &member.mission).collect();
    let known: Vec<MissionName> = missions.into_iter().cloned().collect();
    let may = |mission: &MissionName| {
        speech.owner || speech.person.as_ref().is_some_and(|person| entry.people().may_decide(person, mission))
    };
    let mission = match mission {
        Some(given) if !known.contains(&given) => {
            return refused(&NoDrill::NoSuchMission { given: Some(&given), known: &known });
        }
        Some(given) if may(&given) => given,
        Some(given) => return Ok(not_allowed(entry, speech, given)),
        None => match known.iter().find(|mission| may(mission)) {
            Some(first) => first.clone(),
            None => return refused(&NoDrill::NoSuchMission { given: None, known: &known }),
        },
    };
    for row in store::drills::pending(tx).await? {
        if row.mission == mission {
            return refused(&NoDrill::UnderWay(&from_body("drills", &row.id, &row.body)?));
        }
    }
    let outlets = entry.outlets();
    if outlets.is_empty() {
        return refused(&NoDrill::NoChannel);
    }
    let id = speech.input.id.clone();
    let drill = Drill {
        code: fresh_code(tx, entry, &id).await?,
        id,
        mission,
        started_by: speech.by.clone(),
        started_at: now,
        ends_at: now.plus(wait),
        state: DrillState::Pending,
    };
    store::drills::insert(tx, record(&drill)).await?;
    let body = json!({ "drill": "started", "code": drill.code, "mission": drill.mission, "by": drill.started_by,
        "id": drill.id, "ends_at": drill.ends_at });
    journal(tx, "drill_started", body, now).await?;
    for outlet in &outlets {
        put(tx, entry, outlet, &drill, None).await?;
    }
    let approvers: Vec<&PersonId> =
        entry.people().approvers_of(&drill.mission).map(|person: &Person| &person.id).collect();
    Ok(Heard::taken(wording::drill_started(&drill, approvers, &setting, now)).and_plans())
}

/// Somebody answers one.
pub(super) async fn here(
    tx: &mut Tx,
    entry: &Entry,
    speech: &Speech<'_>,
    target: &Target,
) -> Result<Heard, StoreError> {
    let Some(by) = speech.person.clone() else { return Ok(speech.stranger()) };
    let refused = |text| Ok(Heard::refused(speech.input, &speech.said.speaker, None, Why::Text, text));
    let Some(mut drill) = of(tx, target).await? else { return refused(wording::no_such_drill(target)) };
    let via = speech.said.via;
    match drill.here(&by, via, speech.input.entered_at, entry.people()) {
        Err(NotHere::NotAllowed) => Ok(not_allowed(entry, speech, drill.mission)),
        Err(NotHere::Over) => refused(wording::drill_over(&drill, &entry.setting(), entry.now)),
        Ok(()) => {
            let took = u64::try_from(drill.took().unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
            let body = json!({ "drill": "answered", "code": drill.code, "mission": drill.mission, "by": by,
                "via": via.to_string(), "took_ms": took, "id": drill.id, "input": speech.input.id });
            over(tx, entry, &drill, "drill_answered", body).await?;
            Ok(Heard::taken(wording::drill_here(&drill)))
        }
    }
}

fn not_allowed(entry: &Entry, speech: &Speech<'_>, mission: MissionName) -> Heard {
    let Some(person) = speech.person.clone() else { return speech.stranger() };
    let refusal = Refusal::NotAllowed { person, mission };
    let text = wording::refusal(&refusal, &entry.setting(), entry.now);
    Heard::refused(speech.input, &speech.said.speaker, None, Why::Refusal(&refusal), text)
}

/// The drill that `target` names; only a code names one.
pub(super) async fn of(tx: &mut impl Reads, target: &Target) -> Result<Option<Drill>, StoreError> {
    let Target::Code(code) = target else { return Ok(None) };
    let row = store::drills::by_code(tx, &code.to_string()).await?;
    row.map(|row| from_body("drills", &row.id, &row.body)).transpose()
}

/// Ends those whose time is over, unless an answer may still be on its way; tells when the next one ends.
pub(super) async fn expire(gateway: &Arc<Gateway>) -> Result<Option<Timestamp>, StoreError> {
    let next = {
        let mut read = gateway.store.read().await?;
        store::drills::pending(&mut read).await?.first().map(|row| row.ends_at)
    };
    let now = gateway.clock.now();
    if next.is_none_or(|at| at > now) {
        return Ok(next);
    }
    let job = Arc::clone(gateway);
    gateway.store.write_low(move |tx| Box::pin(async move { expire_due(tx, &job).await })).await?;
    gateway.bells.deliver();
    // What still waits for an answer on its way is looked at again soon.
    Ok(Some(now.plus(gateway.in_force().config.gate.timing.idle_tick)))
}

async fn expire_due(tx: &mut Tx, gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    let mut entry = Entry::open(tx, gateway).await?;
    entry.let_expire(tx).await?;
    if entry.expiry_waits() {
        return Ok(());
    }
    for row in store::drills::pending(tx).await? {
        let mut drill: Drill = from_body("drills", &row.id, &row.body)?;
        if drill.expire(entry.now) {
            let body = json!({ "drill": "expired", "code": drill.code, "mission": drill.mission, "id": drill.id });
            over(tx, &entry, &drill, "drill_expired", body).await?;
        }
    }
    Ok(())
}

/// The clock was set: pending drills keep the time they had left.
pub(super) async fn move_ends(tx: &mut Tx, by_ms: i64) -> Result<(), StoreError> {
    for row in store::drills::pending(tx).await? {
        let mut drill: Drill = from_body("drills", &row.id, &row.body)?;
        drill.move_by(by_ms);
        store::drills::update(tx, record(&drill)).await?;
    }
    Ok(())
}

/// Stores how it ended, and tells it wherever it was asked.
async fn over(tx: &mut Tx, entry: &Entry, drill: &Drill, kind: &str, body: Value) -> Result<(), StoreError> {
    store::drills::update(tx, record(drill)).await?;
    journal(tx, kind, body, entry.now).await?;
    for row in store::messages::cards(tx, &drill.id).await? {
        if row.state == MessageState::Gone {
            continue;
        }
        let content = text_of(entry, drill);
        if row.channel == Channel::Terminal.key() {
            let outlet = Outlet { channel: Channel::Terminal, target: row.target };
            let about = Some(drill.id.clone());
            let told =
                speak::message(entry.id(), &outlet, MessageKind::Note, about, Priority::Answer, &content, entry.now);
            store::messages::insert(tx, &[told]).await?;
        } else {
            let (body, priority) = (json!(content).to_string(), Priority::Decision.number());
            store::messages::edit(tx, &row.id, &entry.id(), priority, entry.now, &body).await?;
        }
    }
    Ok(())
}

/// Shows every drill that is pending in one chat, unless a copy is already on its way there.
pub(super) async fn show_pending(tx: &mut Tx, entry: &Entry, outlet: &Outlet, banner: &str) -> Result<(), StoreError> {
    for (drill, copies) in pending(tx).await? {
        if !copies.iter().any(|copy| copy.target == outlet.target && copy.state == MessageState::Due) {
            put(tx, entry, outlet, &drill, Some(banner.to_owned())).await?;
        }
    }
    Ok(())
}

/// Taps may have been dropped, in the time that `gap` tells of: what is pending is shown afresh.
pub(super) async fn show_afresh(tx: &mut Tx, entry: &Entry, gap: &str) -> Result<(), StoreError> {
    for (drill, copies) in pending(tx).await? {
        let old: Vec<&MessageRow> = copies.iter().filter(|copy| copy.channel == Channel::Telegram.key()).collect();
        for copy in old.iter().filter(|copy| copy.state == MessageState::Sent) {
            let banner = format!("Taps {gap} may not have reached me. This drill stands again below.");
            let known = store::tokens::of_copy(tx, &copy.id).await?;
            let (content, new) = card_of(entry, Channel::Telegram, &drill, &known);
            let (body, priority) = (json!(content.under(Some(banner))).to_string(), Priority::Progress.number());
            store::tokens::insert(tx, &copy.id, &new, entry.now).await?;
            store::messages::edit_card(tx, (*copy).clone(), &entry.id(), priority, entry.now, &body).await?;
        }
        let is_coming = old.iter().any(|copy| copy.state == MessageState::Due);
        for outlet in entry.outlets().iter().filter(|outlet| outlet.channel == Channel::Telegram && !is_coming) {
            let banner = format!("Taps {gap} may not have reached me. If you tapped then, please tap again.");
            put(tx, entry, outlet, &drill, Some(banner)).await?;
        }
    }
    Ok(())
}

/// Somebody deleted a card of a drill that waits: if it was the only one in its chat, it is shown again.
pub(super) async fn shown_again(tx: &mut Tx, entry: &Entry, row: &MessageRow) -> Result<(), StoreError> {
    let Some(deleted) = row.copy.as_ref().filter(|_| row.kind == MessageKind::Edit) else { return Ok(()) };
    for (drill, copies) in pending(tx).await? {
        if row.about.as_ref() != Some(&drill.id) {
            continue;
        }
        store::messages::forget_copy(tx, deleted).await?;
        let stands = |copy: &MessageRow| copy.id != *deleted && copy.target == row.target;
        let outlet = entry.outlets().into_iter().find(|outlet| outlet.target == row.target);
        if let Some(outlet) = outlet.filter(|_| !copies.iter().any(stands)) {
            let banner = "The card of this drill was deleted; here it is again.".to_owned();
            put(tx, entry, &outlet, &drill, Some(banner)).await?;
        }
    }
    Ok(())
}

/// The drills that wait, each with its cards that are there or on their way.
async fn pending(tx: &mut Tx) -> Result<Vec<(Drill, Vec<MessageRow>)>, StoreError> {
    let mut all = Vec::new();
    for row in store::drills::pending(tx).await? {
        let drill: Drill = from_body("drills", &row.id, &row.body)?;
        let mut copies = store::messages::cards(tx, &drill.id).await?;
        copies.retain(|copy| copy.state != MessageState::Gone);
        all.push((drill, copies));
    }
    Ok(all)
}

/// A card of the drill, on its way to `outlet`.
async fn put(
    tx: &mut Tx,
    entry: &Entry,
    outlet: &Outlet,
    drill: &Drill,
    banner: Option<String>,
) -> Result<(), StoreError> {
    let id = entry.id();
    let (content, tokens) = card_of(entry, outlet.channel, drill, &[]);
    let (content, about) = (content.under(banner), Some(drill.id.clone()));
    let card = speak::message(id.clone(), outlet, MessageKind::Card, about, Priority::Request, &content, entry.now);
    store::messages::insert(tx, &[card]).await?;
    store::tokens::insert(tx, &id, &tokens, entry.now).await
}

/// What a card of a drill that waits says, with its button where there are buttons; one that it has had stays.
fn card_of(entry: &Entry, channel: Channel, drill: &Drill, known: &[TokenRow]) -> (Content, Vec<NewToken>) {
    let mut content = text_of(entry, drill);
    let mut buttons = Buttons::of(entry, known);
    if channel == Channel::Telegram {
        let press = Press::Say { command: Command::Here { target: Target::Code(drill.code) } };
        content.buttons = vec![vec![buttons.button(wording::drill_button(), &press)]];
    }
    (content, buttons.new)
}

fn text_of(entry: &Entry, drill: &Drill) -> Content {
    let setting = entry.setting();
    Content {
        html: Some(wording::drill_html(drill, &setting, entry.now)),
        ..Content::plain(wording::drill_text(drill, &setting, entry.now))
    }
}

async fn fresh_code(tx: &mut Tx, entry: &Entry, drill: &str) -> Result<Code, StoreError> {
    for _ in 0..CODE_TRIES {
        let code = entry.gateway().ids.fresh(entry.now).code;
        if store::requests::give_code(tx, &code.to_string(), drill, entry.now).await? {
            return Ok(code);
        }
    }
    let why = "no code could be found that was not given before".to_owned();
    Err(StoreError::Invalid { table: "drills", row: drill.to_owned(), why })
}

async fn journal(tx: &mut Tx, kind: &str, body: Value, now: Timestamp) -> Result<(), StoreError> {
    let entry = store::journal::Entry { kind: kind.to_owned(), agent: None, body };
    store::journal::append(tx, &[entry], now).await.map(drop)
}

fn record(drill: &Drill) -> DrillRecord<'_, Drill> {
    DrillRecord {
        id: &drill.id,
        mission: &drill.mission,
        code: drill.code.to_string(),
        state: match drill.state {
            DrillState::Pending => DrillPhase::Pending,
            DrillState::Answered { .. } => DrillPhase::Answered,
            DrillState::Expired { .. } => DrillPhase::Expired,
        },
        started_at: drill.started_at,
        ends_at: drill.ends_at,
        body: drill,
    }
}
