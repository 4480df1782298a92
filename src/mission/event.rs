use serde::Serialize;
use serde_json::{Map, Value};

use super::error::MissionError;
use super::shape::Shape;
use super::stamp::Stamp;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// Somebody said something.
    Message,
    /// Somebody wrote down how far the work is.
    Checkpoint,
    /// Somebody hands the work over.
    Handoff,
}

impl EventKind {
    /// The word that events have as `event_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Checkpoint => "checkpoint",
            Self::Handoff => "handoff",
        }
    }
}

/// A message on a topic.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissionMessage {
    /// Who said it.
    pub sender: String,
    /// What it is about.
    pub topic: String,
    /// What is said; usually a mapping.
    pub payload: Value,
    /// Its place in the stream, from 1.
    pub sequence: i64,
    /// When; see [`event_time`](super::event_time). None only in a file that says null.
    pub timestamp: Option<String>,
    /// Its id.
    pub message_id: String,
}

/// How far the work is, so that somebody else can go on from there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissionCheckpoint {
    /// Who made it.
    pub sender: String,
    /// In a sentence.
    pub summary: String,
    /// Whatever it takes to go on; usually a mapping.
    pub state: Value,
    /// Files and addresses that belong to it; usually texts.
    pub artifacts: Vec<Value>,
    /// Its place in the stream, from 1.
    pub sequence: i64,
    /// When; None only in a file that says null.
    pub timestamp: Option<String>,
    /// Its id.
    pub checkpoint_id: String,
}

/// Work is handed over from a checkpoint on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissionHandoff {
    /// Who hands over.
    pub sender: String,
    /// To whom.
    pub recipient: String,
    /// From where on; None only in a file that says null.
    pub checkpoint_id: Option<String>,
    /// What the recipient should know; None only in a file that says null.
    pub note: Option<String>,
    /// Its place in the stream, from 1.
    pub sequence: i64,
    /// When; None only in a file that says null.
    pub timestamp: Option<String>,
    /// Its id.
    pub handoff_id: String,
}

/// An event of a mission's stream; as JSON exactly the reference's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event_type", rename_all = "lowercase")]
pub enum MissionEvent {
    /// See [`MissionMessage`].
    Message(MissionMessage),
    /// See [`MissionCheckpoint`].
    Checkpoint(MissionCheckpoint),
    /// See [`MissionHandoff`].
    Handoff(MissionHandoff),
}

impl MissionEvent {
    /// Reads the reference's form. Ids may be in camelCase, and are drawn where there are none; a
    /// time that is absent is that of `stamp`. Numbers, ids and times are taken as they are.
    pub fn from_value(value: &Value, stamp: &mut Stamp<'_>) -> Result<Self, MissionError> {
        match Shape::new("event", value)?.required("event_type")? {
            Value::String(word) => match word.as_str() {
                "message" => Ok(Self::Message(MissionMessage::from_value(value, stamp)?)),
                "checkpoint" => Ok(Self::Checkpoint(MissionCheckpoint::from_value(value, stamp)?)),
                "handoff" => Ok(Self::Handoff(MissionHandoff::from_value(value, stamp)?)),
                other => Err(MissionError::UnknownEventType(other.to_owned())),
            },
            Value::Null => Err(MissionError::UnknownEventType("None".into())),
            other => Err(MissionError::UnknownEventType(other.to_string())),
        }
    }

    /// What it is.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Message(_) => EventKind::Message,
            Self::Checkpoint(_) => EventKind::Checkpoint,
            Self::Handoff(_) => EventKind::Handoff,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Message(message) => &message.message_id,
            Self::Checkpoint(checkpoint) => &checkpoint.checkpoint_id,
            Self::Handoff(handoff) => &handoff.handoff_id,
        }
    }

    /// Who made it.
    pub fn sender(&self) -> &str {
        match self {
            Self::Message(message) => &message.sender,
            Self::Checkpoint(checkpoint) => &checkpoint.sender,
            Self::Handoff(handoff) => &handoff.sender,
        }
    }

    /// Its place in the stream, from 1.
    pub fn sequence(&self) -> i64 {
        match self {
            Self::Message(message) => message.sequence,
            Self::Checkpoint(checkpoint) => checkpoint.sequence,
            Self::Handoff(handoff) => handoff.sequence,
        }
    }

    /// When it was made, as it stands in the event.
    pub fn timestamp(&self) -> Option<&str> {
        match self {
            Self::Message(message) => message.timestamp.as_deref(),
            Self::Checkpoint(checkpoint) => checkpoint.timestamp.as_deref(),
            Self::Handoff(handoff) => handoff.timestamp.as_deref(),
        }
    }
}

impl MissionMessage {
    fn from_value(value: &Value, stamp: &mut Stamp<'_>) -> Result<Self, MissionError> {
        let shape = Shape::new("message", value)?;
        Ok(Self {
            sender: shape.text("sender")?,
            topic: shape.text("topic")?,
            payload: shape.required("payload")?.clone(),
            sequence: shape.whole("sequence")?,
            timestamp: shape.text_or("timestamp", || stamp.at.to_owned())?,
            message_id: shape.id("message_id", "messageId", || stamp.id())?,
        })
    }
}

impl MissionCheckpoint {
    /// Reads the reference's form, as [`MissionEvent::from_value`] does.
    pub fn from_value(value: &Value, stamp: &mut Stamp<'_>) -> Result<Self, MissionError> {
        let shape = Shape::new("checkpoint", value)?;
        Ok(Self {
            sender: shape.text("sender")?,
            summary: shape.text("summary")?,
            state: shape.map.get("state").cloned().unwrap_or_else(|| Value::Object(Map::new())),
            artifacts: match shape.map.get("artifacts") {
                None => Vec::new(),
                Some(Value::Array(list)) => list.clone(),
                Some(other) => return Err(shape.wrong("artifacts", other, "a list")),
            },
            sequence: shape.whole("sequence")?,
            timestamp: shape.text_or("timestamp", || stamp.at.to_owned())?,
            checkpoint_id: shape.id("checkpoint_id", "checkpointId", || stamp.id())?,
        })
    }
}

impl MissionHandoff {
    fn from_value(value: &Value, stamp: &mut Stamp<'_>) -> Result<Self, MissionError> {
        let shape = Shape::new("handoff", value)?;
        Ok(Self {
            sender: shape.text("sender")?,
            recipient: shape.text("recipient")?,
            // Other than with ids, the snake_case key wins here by being there.
            checkpoint_id: match shape.map.get("checkpoint_id") {
                Some(Value::Null) => None,
                Some(_) => Some(shape.text("checkpoint_id")?),
                None if shape.map.get("checkpointId").is_some_and(Value::is_null) => None,
                None => Some(shape.text("checkpointId")?),
            },
            note: shape.text_or("note", String::new)?,
            sequence: shape.whole("sequence")?,
            timestamp: shape.text_or("timestamp", || stamp.at.to_owned())?,
            handoff_id: shape.id("handoff_id", "handoffId", || stamp.id())?,
        })
    }
}
