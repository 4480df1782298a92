use serde::Serialize;

use super::event::{MissionCheckpoint, MissionEvent, MissionHandoff};
use super::participant::Participants;
use super::profile::IsolationProfile;

/// All that the recipient of a handoff needs to go on: the reference's form. Participants and the
/// length of the stream are those of the moment in which it is built, not of the handoff.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResumePacket {
    /// The mission.
    pub mission_id: String,
    /// Its title.
    pub title: Option<String>,
    /// Who goes on.
    pub recipient: String,
    /// Who handed over.
    pub sender: String,
    /// What the sender added.
    pub handoff_note: Option<String>,
    /// From where on, as the event that it is.
    pub checkpoint: MissionEvent,
    /// Who takes part.
    pub participants: Participants,
    /// The profiles to choose from.
    pub isolation_profiles: Vec<IsolationProfile>,
    /// How many events the stream has.
    pub stream_length: i64,
}

impl ResumePacket {
    /// Puts a packet together from what was looked up.
    pub fn new(
        (mission_id, title): (&str, Option<&str>),
        handoff: &MissionHandoff,
        checkpoint: &MissionCheckpoint,
        participants: Participants,
        profiles: &[IsolationProfile],
        stream_length: i64,
    ) -> Self {
        Self {
            mission_id: mission_id.to_owned(),
            title: title.map(str::to_owned),
            recipient: handoff.recipient.clone(),
            sender: handoff.sender.clone(),
            handoff_note: handoff.note.clone(),
            checkpoint: MissionEvent::Checkpoint(checkpoint.clone()),
            participants,
            isolation_profiles: profiles.to_vec(),
            stream_length,
        }
    }
}
