use std::collections::BTreeMap;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::config::MissionConfig;
use super::draft::Draft;
use super::error::MissionError;
use super::event::{EventKind, MissionCheckpoint, MissionEvent, MissionHandoff};
use super::packet::ResumePacket;
use super::participant::{MissionParticipant, Participants};
use super::permission::{Capability, MissionRole, Permissions};
use super::profile::IsolationProfile;
use super::shape::Shape;
use super::stamp::Stamp;

/// One mission in memory, as the reference has it: participants, roles, and one stream of events.
///
/// The reference asks for a role where something is written; `build_resume_packet` and exporting ask
/// for nobody. Whoever answers somebody uses [`MissionBus::stream_for`] and
/// [`MissionBus::resume_packet_for`], which do.
#[derive(Clone, Debug, PartialEq)]
pub struct MissionBus {
    mission_id: String,
    title: Option<String>,
    config: MissionConfig,
    participants: Participants,
    events: Vec<MissionEvent>,
    /// Where a checkpoint or handoff of an id stands; of equal ids the first.
    places: BTreeMap<(EventKind, String), usize>,
}

impl MissionBus {
    /// A mission without participants and events. A `config` that says nothing is the default.
    pub fn new(mission_id: impl Into<String>, title: impl Into<String>, config: Value) -> Result<Self, MissionError> {
        Ok(Self {
            mission_id: mission_id.into(),
            title: Some(title.into()),
            config: MissionConfig::from_value(config)?,
            participants: Participants::default(),
            events: Vec::new(),
            places: BTreeMap::new(),
        })
    }

    /// Sets who `name` is. Registering again replaces role and metadata at once.
    pub fn register_participant(&mut self, name: &str, role: MissionRole, metadata: Value) -> MissionParticipant {
        let participant = MissionParticipant::new(name, role, metadata);
        self.participants.set(name, participant.clone());
        participant
    }

    /// Whether `name` has the capability; exact text, strangers have none.
    pub fn allowed(&self, name: &str, capability: &str) -> bool {
        self.participants.get(name).is_some_and(|one| self.permissions().allows(one.role, capability))
    }

    /// Publishes a message on `topic`.
    pub fn publish(
        &mut self,
        sender: &str,
        topic: &str,
        payload: Value,
        stamp: &mut Stamp<'_>,
    ) -> Result<&MissionEvent, MissionError> {
        self.append(sender, Draft::Message { topic: topic.to_owned(), payload }, stamp)
    }

    /// Writes down how far the work is.
    pub fn create_checkpoint(
        &mut self,
        sender: &str,
        summary: &str,
        state: Value,
        artifacts: Vec<Value>,
        stamp: &mut Stamp<'_>,
    ) -> Result<&MissionEvent, MissionError> {
        self.append(sender, Draft::Checkpoint { summary: summary.to_owned(), state, artifacts }, stamp)
    }

    /// Hands the work over to `recipient` from a checkpoint on.
    pub fn handoff(
        &mut self,
        sender: &str,
        recipient: &str,
        checkpoint_id: &str,
        note: &str,
        stamp: &mut Stamp<'_>,
    ) -> Result<&MissionEvent, MissionError> {
        let (recipient, checkpoint_id, note) = (recipient.to_owned(), checkpoint_id.to_owned(), note.to_owned());
        self.append(sender, Draft::Handoff { recipient, checkpoint_id, note }, stamp)
    }

    /// Appends `draft`, after its checks in this order: permission, recipient, checkpoint. What is
    /// refused leaves no event and takes neither number nor id.
    pub fn append(&mut self, sender: &str, draft: Draft, stamp: &mut Stamp<'_>) -> Result<&MissionEvent, MissionError> {
        self.require(sender, draft.capability())?;
        if let Draft::Handoff { recipient, checkpoint_id, .. } = &draft {
            if self.participants.get(recipient).is_none() {
                return Err(MissionError::UnknownRecipient(recipient.clone()));
            }
            self.checkpoint(checkpoint_id)?;
        }
        let id = stamp.id();
        let event = draft.into_event(sender, self.stream_length() + 1, stamp.at, id);
        let place = self.push(event);
        Ok(&self.events[place])
    }

    /// The packet with which the recipient of the handoff goes on.
    pub fn build_resume_packet(&self, handoff_id: &str) -> Result<ResumePacket, MissionError> {
        let handoff = self.find_handoff(handoff_id)?;
        let checkpoint = match &handoff.checkpoint_id {
            Some(id) => self.checkpoint(id)?,
            None => return Err(MissionError::UnknownCheckpoint("None".into())),
        };
        let mission = (self.mission_id.as_str(), self.title.as_deref());
        let length = self.stream_length();
        Ok(ResumePacket::new(mission, handoff, checkpoint, self.participants.clone(), self.config.profiles(), length))
    }

    /// The packet, for `reader`, who must be allowed to read.
    pub fn resume_packet_for(&self, reader: &str, handoff_id: &str) -> Result<ResumePacket, MissionError> {
        self.require(reader, Capability::Read)?;
        self.build_resume_packet(handoff_id)
    }

    /// The stream, for `reader`, who must be allowed to read.
    pub fn stream_for(&self, reader: &str) -> Result<&[MissionEvent], MissionError> {
        self.require(reader, Capability::Read)?;
        Ok(&self.events)
    }

    /// That `name` has the capability.
    pub fn require(&self, name: &str, capability: Capability) -> Result<(), MissionError> {
        self.permissions().require(name, self.participants.get(name).map(|one| one.role), capability)
    }

    /// Its id.
    pub fn mission_id(&self) -> &str {
        &self.mission_id
    }

    /// Its title; None only after loading a file that says null.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Roles and profiles.
    pub fn config(&self) -> &MissionConfig {
        &self.config
    }

    /// Who takes part.
    pub fn participants(&self) -> &Participants {
        &self.participants
    }

    /// All events in their order.
    pub fn events(&self) -> &[MissionEvent] {
        &self.events
    }

    /// The mission without its events, and its events.
    pub fn split(mut self) -> (Self, Vec<MissionEvent>) {
        let events = std::mem::take(&mut self.events);
        self.places.clear();
        (self, events)
    }

    /// The isolation profiles to choose from.
    pub fn isolation_profiles(&self) -> &[IsolationProfile] {
        self.config.profiles()
    }

    /// Reads the reference's form. Nothing but its shape is checked: neither numbers nor senders nor
    /// permissions. What is not known is left out, except within `config`.
    pub fn from_value(mut value: Value, stamp: &mut Stamp<'_>) -> Result<Self, MissionError> {
        let events = value.get_mut("events").map(Value::take);
        let shape = Shape::new("mission", &value)?;
        let mut bus = Self {
            mission_id: shape.text("mission_id")?,
            title: shape.text_or("title", String::new)?,
            config: MissionConfig::from_value(shape.map.get("config").cloned().unwrap_or_default())?,
            participants: Participants::from_value(shape.map.get("participants"))?,
            events: Vec::new(),
            places: BTreeMap::new(),
        };
        match events {
            None => {}
            // One after the other is let go, so that a long stream is not held twice.
            Some(Value::Array(events)) => {
                for event in events {
                    bus.push(MissionEvent::from_value(&event, stamp)?);
                }
            }
            Some(other) => return Err(shape.wrong("events", &other, "a list")),
        }
        Ok(bus)
    }

    fn permissions(&self) -> &Permissions {
        self.config.permissions()
    }

    fn stream_length(&self) -> i64 {
        i64::try_from(self.events.len()).unwrap_or(i64::MAX)
    }

    fn push(&mut self, event: MissionEvent) -> usize {
        let place = self.events.len();
        if event.kind() != EventKind::Message {
            self.places.entry((event.kind(), event.id().to_owned())).or_insert(place);
        }
        self.events.push(event);
        place
    }

    fn find(&self, kind: EventKind, id: &str) -> Option<&MissionEvent> {
        self.places.get(&(kind, id.to_owned())).map(|&place| &self.events[place])
    }

    fn checkpoint(&self, id: &str) -> Result<&MissionCheckpoint, MissionError> {
        match self.find(EventKind::Checkpoint, id) {
            Some(MissionEvent::Checkpoint(checkpoint)) => Ok(checkpoint),
            _ => Err(MissionError::UnknownCheckpoint(id.to_owned())),
        }
    }

    fn find_handoff(&self, id: &str) -> Result<&MissionHandoff, MissionError> {
        match self.find(EventKind::Handoff, id) {
            Some(MissionEvent::Handoff(handoff)) => Ok(handoff),
            _ => Err(MissionError::UnknownHandoff(id.to_owned())),
        }
    }
}

/// The reference's form.
impl Serialize for MissionBus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bus = serializer.serialize_struct("MissionBus", 5)?;
        bus.serialize_field("mission_id", &self.mission_id)?;
        bus.serialize_field("title", &self.title)?;
        bus.serialize_field("config", self.config.raw())?;
        bus.serialize_field("participants", &self.participants)?;
        bus.serialize_field("events", &self.events)?;
        bus.end()
    }
}
