//! A handoff, for people and for programs.

use serde_json::{Value, json};

use crate::mission::{EventKind, MissionEvent, OfferEnd, event_moment};
use crate::pool::{AgentName, MissionName};
use crate::store::missions::{self, HandoffPhase, HandoffRow};
use crate::store::{Reads, StoreError};
use crate::wording::{HandoffStands, HandoffView};

/// A handoff for people: what it is about, and how it stands.
///
/// # Errors
/// As of the store.
pub async fn handoff_view(db: &mut impl Reads, row: &HandoffRow) -> Result<HandoffView, StoreError> {
    let handoff = missions::by_id(db, &row.mission, EventKind::Handoff, &row.id).await?;
    let (mut checkpoint_id, mut note) = (None, None);
    if let Some(MissionEvent::Handoff(handoff)) = handoff.map(|row| row.event()).transpose()? {
        (checkpoint_id, note) = (handoff.checkpoint_id, handoff.note);
    }
    let ended = |how| HandoffStands::Ended { how, at: row.closed_at.unwrap_or(row.expires_at) };
    let about = About {
        mission: &row.mission,
        part: &row.part,
        sender: &row.sender,
        recipient: &row.recipient,
        checkpoint_id: checkpoint_id.as_deref().unwrap_or_default(),
        note: note.unwrap_or_default(),
    };
    let state = match row.state {
        HandoffPhase::Offered => HandoffStands::Offered { until: row.expires_at },
        HandoffPhase::Accepted => ended(OfferEnd::Accepted),
        HandoffPhase::Declined => ended(OfferEnd::Declined { reason: row.reason.clone().unwrap_or_default() }),
        HandoffPhase::Expired => ended(OfferEnd::Expired),
    };
    about.view(db, Some(row.id.clone()), state).await
}

/// What a handoff is about.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// In which mission.
    pub mission: &'a MissionName,
    /// Whose part.
    pub part: &'a AgentName,
    /// Who hands it over.
    pub sender: &'a AgentName,
    /// To whom.
    pub recipient: &'a AgentName,
    /// From which checkpoint.
    pub checkpoint_id: &'a str,
    /// What the recipient should know.
    pub note: String,
}

impl About<'_> {
    /// The same for people, with what its checkpoint says.
    ///
    /// # Errors
    /// As of the store.
    pub async fn view(
        self,
        db: &mut impl Reads,
        id: Option<String>,
        state: HandoffStands,
    ) -> Result<HandoffView, StoreError> {
        let checkpoint = missions::by_id(db, self.mission, EventKind::Checkpoint, self.checkpoint_id).await?;
        let (mut summary, mut made_by, mut made_at) = (String::new(), self.part.clone(), None);
        if let Some(MissionEvent::Checkpoint(checkpoint)) = checkpoint.map(|row| row.event()).transpose()? {
            made_at = checkpoint.timestamp.as_deref().and_then(event_moment);
            made_by = AgentName::new(checkpoint.sender).unwrap_or(made_by);
            summary = checkpoint.summary;
        }
        let (mission, part, sender) = (self.mission.clone(), self.part.clone(), self.sender.clone());
        let (recipient, note) = (self.recipient.clone(), self.note);
        Ok(HandoffView { id, mission, part, sender, recipient, summary, made_by, made_at, note, state })
    }
}

/// A handoff for programs.
pub fn handoff_value(row: &HandoffRow) -> Value {
    json!({
        "id": row.id, "mission": row.mission, "sequence": row.seq, "part": row.part, "sender": row.sender,
        "recipient": row.recipient, "state": row.state.as_str(), "offered_at": row.offered_at,
        "expires_at": row.expires_at, "closed_at": row.closed_at, "reason": row.reason,
    })
}
