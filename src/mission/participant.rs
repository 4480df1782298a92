use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::error::MissionError;
use super::permission::MissionRole;
use super::shape::{Shape, is_falsy};

/// Somebody who takes part in a mission: an agent, a person, or the gateway itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissionParticipant {
    /// The name under which it acts.
    pub name: String,
    /// What it may do.
    pub role: MissionRole,
    /// Whatever else is to be kept about it; usually a mapping.
    pub metadata: Value,
}

impl MissionParticipant {
    /// A participant; metadata that says nothing becomes an empty mapping.
    pub fn new(name: impl Into<String>, role: MissionRole, metadata: Value) -> Self {
        let metadata = if is_falsy(&metadata) { Value::Object(Map::new()) } else { metadata };
        Self { name: name.into(), role, metadata }
    }

    /// Reads the reference's form. An explicit null as metadata stays one.
    pub fn from_value(value: &Value) -> Result<Self, MissionError> {
        let shape = Shape::new("participant", value)?;
        let name = shape.text("name")?;
        let role = MissionRole::from_value(shape.required("role")?)?;
        let metadata = shape.map.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        Ok(Self { name, role, metadata })
    }
}

/// The participants of a mission in the order in which they joined, by the key they are known under.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Participants {
    list: Vec<(String, MissionParticipant)>,
    place: BTreeMap<String, usize>,
}

impl Participants {
    /// Sets who is known as `key`. Whoever was there keeps their place, not their role.
    pub fn set(&mut self, key: &str, participant: MissionParticipant) {
        match self.place.get(key) {
            Some(&place) => self.list[place].1 = participant,
            None => {
                self.place.insert(key.to_owned(), self.list.len());
                self.list.push((key.to_owned(), participant));
            }
        }
    }

    /// Who is known as `key`.
    pub fn get(&self, key: &str) -> Option<&MissionParticipant> {
        self.place.get(key).map(|&place| &self.list[place].1)
    }

    /// All of them with their keys, in the order in which they joined.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MissionParticipant)> {
        self.list.iter().map(|(key, participant)| (key.as_str(), participant))
    }

    pub(super) fn from_value(value: Option<&Value>) -> Result<Self, MissionError> {
        let mut participants = Self::default();
        let Some(value) = value else { return Ok(participants) };
        for (key, entry) in Shape::new("participants", value)?.map {
            participants.set(key, MissionParticipant::from_value(entry)?);
        }
        Ok(participants)
    }
}

impl Serialize for Participants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.list.len()))?;
        for (key, participant) in self.iter() {
            map.serialize_entry(key, participant)?;
        }
        map.end()
    }
}
