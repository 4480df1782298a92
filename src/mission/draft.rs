use serde_json::{Map, Value};

use super::event::{MissionCheckpoint, MissionEvent, MissionHandoff, MissionMessage};
use super::permission::Capability;

/// What somebody wants to append, before it has a place in the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Draft {
    /// A message.
    Message {
        /// What it is about.
        topic: String,
        /// What is said.
        payload: Value,
    },
    /// A checkpoint.
    Checkpoint {
        /// In a sentence.
        summary: String,
        /// Whatever it takes to go on.
        state: Value,
        /// Files and addresses that belong to it.
        artifacts: Vec<Value>,
    },
    /// A handoff.
    Handoff {
        /// To whom.
        recipient: String,
        /// From where on.
        checkpoint_id: String,
        /// What the recipient should know.
        note: String,
    },
}

impl Draft {
    /// A message of what a person typed: a JSON object passes as it is, anything else becomes
    /// `{"text": …}`.
    pub fn typed(topic: impl Into<String>, text: &str) -> Self {
        let payload = match serde_json::from_str(text) {
            Ok(Value::Object(map)) => map,
            _ => Map::from_iter([("text".to_owned(), Value::from(text))]),
        };
        Self::Message { topic: topic.into(), payload: Value::Object(payload) }
    }

    /// What it takes to append it.
    pub fn capability(&self) -> Capability {
        match self {
            Self::Message { .. } => Capability::Publish,
            Self::Checkpoint { .. } => Capability::Checkpoint,
            Self::Handoff { .. } => Capability::Handoff,
        }
    }

    /// The event that it becomes at the place `sequence`, made at `at` under the id `id`.
    pub fn into_event(self, sender: &str, sequence: i64, at: &str, id: String) -> MissionEvent {
        let (sender, timestamp) = (sender.to_owned(), Some(at.to_owned()));
        match self {
            Self::Message { topic, payload } => {
                MissionEvent::Message(MissionMessage { sender, topic, payload, sequence, timestamp, message_id: id })
            }
            Self::Checkpoint { summary, state, artifacts } => MissionEvent::Checkpoint(MissionCheckpoint {
                sender,
                summary,
                state,
                artifacts,
                sequence,
                timestamp,
                checkpoint_id: id,
            }),
            Self::Handoff { recipient, checkpoint_id, note } => MissionEvent::Handoff(MissionHandoff {
                sender,
                recipient,
                checkpoint_id: Some(checkpoint_id),
                note: Some(note),
                sequence,
                timestamp,
                handoff_id: id,
            }),
        }
    }
}
