//! A handoff as people see it in a chat: a preview with two buttons, then the same card as it goes on. Each
//! change of a handoff gives all of its cards what they say now, in the transaction that makes it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::approval::{Channel, Press};
use crate::gateway::Gateway;
use crate::gateway::copies::Buttons;
use crate::gateway::ledger::{Entry, from_body};
use crate::gateway::speak::{self, Outlet, Priority};
use crate::mission::{Draft, HandFrom, MissionError};
use crate::pool::{AgentName, Health, MissionName};
use crate::store::messages::{MessageKind, MessageState};
use crate::store::missions::{
    self, Actor, Append, Decided, HandoffPhase, HandoffRow, NewEvent, PreviewPhase, PreviewRow,
};
use crate::store::tokens::{NewToken, TokenRow};
use crate::store::{self, StoreError, Tx};
use crate::web::missions::{About, handoff_view};
use crate::wording::{self, Content, HandoffStands, HandoffView, RecipientHealth};

use super::act::{self, Acting, limits};

/// What would be posted. Kept on disk: add optional fields, change none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Who hands over.
    pub sender: AgentName,
    /// To whom.
    pub recipient: AgentName,
    /// From which checkpoint.
    pub checkpoint_id: String,
    /// Whose part.
    pub part: AgentName,
    /// What the recipient should know.
    pub note: String,
    /// How well the recipient was when it was shown.
    pub health: RecipientHealth,
}

/// A handoff to be looked at before it is posted.
pub struct Wanted<'a> {
    /// In which mission.
    pub mission: &'a MissionName,
    /// To whom.
    pub recipient: AgentName,
    /// From where on.
    pub from: HandFrom,
    /// What the recipient should know.
    pub note: String,
}

/// Makes a preview of what `who` wants to hand over, as far as the bus would allow it at this moment.
pub async fn preview(
    tx: &mut Tx,
    entry: &Entry,
    who: Acting<'_>,
    person: &str,
    wanted: Wanted<'_>,
) -> Result<Decided<PreviewRow>, StoreError> {
    let Wanted { mission, recipient, from, note } = wanted;
    let checked = attempt(tx, entry, who, mission, &recipient, &from, &note).await?;
    let (id, checkpoint_id, part) = match checked {
        Ok(checked) => checked,
        Err(refused) => {
            missions::note_refusal(tx, mission, who.name, "handoff", &refused, entry.now).await?;
            return Ok(Err(refused));
        }
    };
    let health = health_of(entry.gateway(), &recipient);
    let shown = Shown { sender: who.name.clone(), recipient, checkpoint_id, part, note, health };
    let row = PreviewRow {
        id,
        mission: mission.clone(),
        person: person.to_owned(),
        state: PreviewPhase::Waiting,
        created_at: entry.now,
        body: json!(shown).to_string(),
    };
    missions::insert_preview(tx, &row).await?;
    Ok(Ok(row))
}

/// Whether the bus would take it: its id, its checkpoint, whose part it moves.
async fn attempt(
    tx: &mut Tx,
    entry: &Entry,
    who: Acting<'_>,
    mission: &MissionName,
    recipient: &AgentName,
    from: &HandFrom,
    note: &str,
) -> Result<Decided<(String, String, AgentName)>, StoreError> {
    // Whether there is such a mission, and whether they may hand over, comes before what they would hand over.
    let roles = missions::roles(tx, mission).await?;
    if missions::mission(tx, mission).await?.is_none() {
        return Ok(Err(MissionError::UnknownMission(mission.to_string())));
    }
    let role = roles.iter().find(|(name, _)| name == who.name).map(|(_, role)| *role);
    let permissions = missions::permissions(tx, mission).await?;
    if let Err(refused) = permissions.require(who.name.as_str(), role, crate::mission::Capability::Handoff) {
        return Ok(Err(refused));
    }
    let checkpoint_id = match act::checkpoint_meant(tx, mission, from, who.name).await? {
        Ok(id) => id,
        Err(refused) => return Ok(Err(refused)),
    };
    let id = act::event_id(tx, entry, mission, "h").await?;
    let draft = Draft::Handoff {
        recipient: recipient.to_string(),
        checkpoint_id: checkpoint_id.clone(),
        note: note.to_owned(),
    };
    let by = Actor { name: who.name, claim: who.claim };
    let append = Append { mission, by, at: entry.now, limits: limits(entry.gateway()) };
    let appended = match missions::would_append(tx, &append, vec![NewEvent::new(id.clone(), draft)]).await? {
        Ok(mut appended) => appended.pop(),
        Err(refused) => return Ok(Err(refused)),
    };
    let part = appended.and_then(|appended| appended.part);
    Ok(part.map(|part| (id, checkpoint_id.clone(), part)).ok_or(MissionError::UnknownCheckpoint(checkpoint_id)))
}

/// What a preview shows.
pub fn shown(row: &PreviewRow) -> Result<Shown, StoreError> {
    from_body("mission_previews", &row.id, &row.body)
}

/// A preview for people.
pub async fn preview_view(tx: &mut Tx, entry: &Entry, row: &PreviewRow) -> Result<HandoffView, StoreError> {
    let Shown { sender, recipient, checkpoint_id, part, note, health } = shown(row)?;
    let (mission, note) = (&row.mission, note);
    let about =
        About { mission, part: &part, sender: &sender, recipient: &recipient, checkpoint_id: &checkpoint_id, note };
    let state = match row.state {
        PreviewPhase::Waiting | PreviewPhase::Posted => {
            HandoffStands::Preview { recipient: health, ttl: limits(entry.gateway()).handoff_ttl }
        }
        PreviewPhase::Cancelled => HandoffStands::Cancelled,
    };
    about.view(tx, None, state).await
}

/// How well somebody is, as far as it is known.
pub fn health_of(gateway: &Gateway, name: &AgentName) -> RecipientHealth {
    if gateway.in_force().member(name).is_none() {
        return RecipientHealth::NotWatched;
    }
    match gateway.watches.health_of(name) {
        Health::Healthy => RecipientHealth::Healthy,
        Health::Unhealthy(_) => RecipientHealth::Unhealthy,
        Health::Unknown(_) => RecipientHealth::Unknown,
        Health::Unobservable => RecipientHealth::NotWatched,
    }
}

/// What the cards of a handoff are about, as messages have it.
fn about(mission: &MissionName, id: &str) -> String {
    format!("handoff:{mission}/{id}")
}

/// Puts a card of a preview on its way to a chat.
pub async fn put(
    tx: &mut Tx,
    entry: &Entry,
    outlet: &Outlet,
    row: &PreviewRow,
    replies_to: Option<String>,
) -> Result<(), StoreError> {
    let view = preview_view(tx, entry, row).await?;
    let (content, tokens) = content(entry, &row.id, &view, &[]);
    let (id, about) = (entry.id(), Some(about(&row.mission, &row.id)));
    let content = content.replying_to(replies_to);
    let card = speak::message(id.clone(), outlet, MessageKind::Card, about, Priority::Answer, &content, entry.now);
    store::messages::insert(tx, &[card]).await?;
    store::tokens::insert(tx, &id, &tokens, entry.now).await
}

/// Gives every card of a preview what it says now.
pub async fn refresh_preview(tx: &mut Tx, entry: &Entry, row: &PreviewRow) -> Result<(), StoreError> {
    let view = preview_view(tx, entry, row).await?;
    edit_all(tx, entry, &row.mission, &row.id, &view).await.map(drop)
}

/// A handoff stands otherwise than before: its cards say so, the chats where they are hear of it, and so does
/// the terminal. The chat `heard_in` needs no word of its own: it was answered there.
pub async fn refresh(tx: &mut Tx, entry: &Entry, row: &HandoffRow, heard_in: Option<&str>) -> Result<(), StoreError> {
    let view = handoff_view(tx, row).await?;
    let cards = edit_all(tx, entry, &row.mission, &row.id, &view).await?;
    let text = wording::handoff_line(&view, &entry.setting(), entry.now);
    let about = Some(about(&row.mission, &row.id));
    let mut due = Vec::new();
    for (target, remote_id) in cards {
        // That it was posted, the card itself shows to who posted it.
        if row.state == HandoffPhase::Offered || heard_in == Some(&target) {
            continue;
        }
        let outlet = Outlet { channel: Channel::Telegram, target };
        let content = Content::plain(text.clone()).replying_to(remote_id);
        let (id, about) = (entry.id(), about.clone());
        due.push(speak::message(id, &outlet, MessageKind::Note, about, Priority::Request, &content, entry.now));
    }
    for outlet in entry.outlets().into_iter().filter(|outlet| outlet.channel == Channel::Terminal) {
        let (id, content) = (entry.id(), Content::plain(text.clone()));
        due.push(speak::message(id, &outlet, MessageKind::Note, about.clone(), Priority::Answer, &content, entry.now));
    }
    store::messages::insert(tx, &due).await
}

/// Edits all cards of a handoff in chats; where they are, and their ids there.
async fn edit_all(
    tx: &mut Tx,
    entry: &Entry,
    mission: &MissionName,
    id: &str,
    view: &HandoffView,
) -> Result<Vec<(String, Option<String>)>, StoreError> {
    let mut there = Vec::new();
    for row in store::messages::cards(tx, &about(mission, id)).await? {
        if row.state == MessageState::Gone {
            continue;
        }
        let old: Content = from_body("messages", &row.id, &row.body)?;
        let known = store::tokens::of_copy(tx, &row.id).await?;
        let (content, tokens) = content(entry, id, view, &known);
        store::tokens::insert(tx, &row.id, &tokens, entry.now).await?;
        there.push((row.target.clone(), row.remote_id.clone()));
        let body = json!(content.replying_to(old.replies_to)).to_string();
        let (edit, priority) = (entry.id(), Priority::Decision.number());
        store::messages::edit_card(tx, row, &edit, priority, entry.now, &body).await?;
    }
    Ok(there)
}

/// The card; as long as it can be posted, with its buttons.
fn content(entry: &Entry, id: &str, view: &HandoffView, known: &[TokenRow]) -> (Content, Vec<NewToken>) {
    let text = wording::handoff_card(view, &entry.setting(), entry.now);
    let text = wording::pages(&text).into_iter().next().unwrap_or_default();
    let mut buttons = Buttons::of(entry, known);
    let rows = match &view.state {
        HandoffStands::Preview { .. } => {
            let mut button = |label: &str, verb: &str| {
                buttons.button(label.to_owned(), &Press::Line { line: format!("{verb} {id}") })
            };
            vec![vec![button("Post", "post"), button("Cancel", "cancel")]]
        }
        HandoffStands::Cancelled | HandoffStands::Offered { .. } | HandoffStands::Ended { .. } => Vec::new(),
    };
    (Content { text, buttons: rows, ..Content::default() }, buttons.new)
}
