//! Missions: participants, one stream of events each, handoffs, and who may write.
//!
//! An append is one transaction: the sender's role and incarnation, the next number, the event with
//! its hash, the new end. The end stands in a row of its own, so neither an append nor the last page
//! depends on how long the stream is; the primary key holds that no number is given twice.
//!
//! Whoever asks for something that the rules do not allow is refused, which is no failure of the
//! store: such functions answer [`Decided`], and have changed nothing where it is a refusal. So a
//! caller can write down the refusal ([`note_refusal`]) in the same transaction. What the rules are
//! is decided in [`crate::mission`].

mod answer;
mod append;
mod attach;
mod create;
mod export;
mod import;
mod preview;
mod read;
mod refusal;
mod standing;
mod state_file;
mod verify;

pub use answer::{accept, answered_by_delivery, decline, expire_due, next_expiry, withdraw};
pub use append::{Append, Appended, Limits, NewEvent, append, would_append};
pub use attach::attach;
pub use create::{GATEWAY, NewMission, create, ensure, isolate, join};
pub use export::{ExportError, export};
pub use import::{discard, import};
pub use preview::{PreviewPhase, PreviewRow, change_preview, close_preview, insert_preview, preview, purge_previews};
pub use read::{
    MissionSummary, PartRow, admit, by_id, events, find_handoff, given_by, handoff, last_checkpoint, list, mission,
    offers_to, open_offers, packet, packet_of, page, page_after, participants, parts, permissions, resume_packet,
    roles,
};
pub use refusal::{all_refusals, note_refusal, refusals};
pub use state_file::{STATE_BYTES, copy_states, keep_state, read_state};
pub use verify::verify;

use super::error::StoreError;
use super::row::{stored, words};
use super::tx::from_json;
use crate::mission::chain::{Head, Link};
use crate::mission::{Claim, MissionError, MissionEvent, Stamp};
use crate::pool::{AgentName, MissionName, Timestamp};

/// Who acts: under which name, and as which incarnation.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    /// The participant.
    pub name: &'a AgentName,
    /// Its incarnation; None for who never attached, such as people.
    pub claim: Option<&'a Claim>,
}

impl<'a> Actor<'a> {
    /// Somebody who never attached.
    pub fn plain(name: &'a AgentName) -> Self {
        Self { name, claim: None }
    }
}

/// An answer, or why the rules of the bus do not allow it; then nothing was changed.
pub type Decided<T> = Result<T, MissionError>;

words! {
    /// Whether a mission takes events.
    pub enum MissionPhase {
        /// It does.
        Open = "open",
        /// Its events are being read in, slice by slice.
        Importing = "importing",
    }
}

words! {
    /// How a handoff stands.
    pub enum HandoffPhase {
        /// Its recipient has not answered.
        Offered = "offered",
        /// The part is the recipient's.
        Accepted = "accepted",
        /// The recipient does not want it.
        Declined = "declined",
        /// Nobody answered in time.
        Expired = "expired",
    }
}

stored! { "missions",
    /// A mission.
    pub struct MissionRow {
        /// Its name.
        pub name: MissionName,
        /// Its title; None only after an import that says null.
        pub title: Option<String>,
        /// Its roles and profiles, as JSON.
        pub config: String,
        /// The isolation profile that was chosen.
        pub profile: Option<String>,
        /// Whether it takes events.
        pub state: MissionPhase,
        /// When it was made.
        pub created_at: Timestamp,
        /// By whom.
        pub created_by: String,
    }
}

stored! { "mission_participants",
    /// A participant.
    pub struct ParticipantRow {
        /// Under which name it acts.
        pub name: AgentName,
        /// Its role, one of the four words.
        pub role: String,
        /// What is kept about it, as JSON.
        pub metadata: String,
        /// When it joined first.
        pub joined_at: Timestamp,
    }
}

stored! { "mission_events",
    /// An event of a stream.
    pub struct EventRow {
        /// Its number, from 1.
        pub seq: i64,
        /// "message", "checkpoint" or "handoff".
        pub kind: String,
        /// Its id.
        pub id: String,
        /// Who made it.
        pub sender: String,
        /// The epoch of the sender's incarnation; 0 if it never attached.
        pub epoch: i64,
        /// The event as JSON, in the reference's form.
        pub body: String,
        /// The hash of the event before.
        pub prev: String,
        /// The hash of this one.
        pub hash: String,
    }
}

impl EventRow {
    /// The event.
    pub fn event(&self) -> Result<MissionEvent, StoreError> {
        let row = self.seq.to_string();
        let value = from_json("mission_events", "body", &row, &self.body)?;
        let mut new_id = || self.id.clone();
        let stamp = &mut Stamp { at: "", new_id: &mut new_id };
        MissionEvent::from_value(&value, stamp).map_err(|error| StoreError::Inconsistent {
            table: "mission_events",
            column: "body",
            row,
            why: error.to_string(),
        })
    }

    fn link<'e>(&'e self, mission: &'e MissionName) -> Link<'e> {
        let Self { seq, kind, id, sender, epoch, body, prev, .. } = self;
        Link { mission: mission.as_str(), seq: *seq, kind, id, sender, epoch: *epoch, body, prev }
    }

    /// The event as the one after `head`.
    fn chained(mission: &MissionName, head: &Head, event: &MissionEvent, body: String, epoch: i64) -> Self {
        let mut row = Self {
            seq: head.seq + 1,
            kind: event.kind().as_str().to_owned(),
            id: event.id().to_owned(),
            sender: event.sender().to_owned(),
            epoch,
            body,
            prev: head.hash.clone(),
            hash: String::new(),
        };
        row.hash = row.link(mission).hash();
        row
    }
}

stored! { "mission_handoffs",
    /// How a handoff stands.
    pub struct HandoffRow {
        /// Its id.
        pub id: String,
        /// In which mission.
        pub mission: MissionName,
        /// Its number in the stream.
        pub seq: i64,
        /// Whose part is handed over.
        pub part: AgentName,
        /// Who hands over.
        pub sender: AgentName,
        /// To whom.
        pub recipient: AgentName,
        /// How it stands.
        pub state: HandoffPhase,
        /// When it was offered.
        pub offered_at: Timestamp,
        /// Until when it can be accepted.
        pub expires_at: Timestamp,
        /// When it was answered or expired.
        pub closed_at: Option<Timestamp>,
        /// Why it was declined, in the recipient's words.
        pub reason: Option<String>,
    }
}

/// The columns of [`EventRow`], for every SELECT.
macro_rules! event_columns {
    () => {
        "SELECT seq, kind, id, sender, epoch, body, prev, hash FROM mission_events "
    };
}
use event_columns;

/// The columns of [`HandoffRow`], for every SELECT.
macro_rules! handoff_columns {
    () => {
        "SELECT id, mission, seq, part, sender, recipient, state, offered_at, expires_at, closed_at, reason \
         FROM mission_handoffs "
    };
}
use handoff_columns;
