use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::error::MissionError;
use super::shape::Shape;

/// What a participant is in a mission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MissionRole {
    /// May do everything.
    Lead,
    /// May read, publish, make checkpoints and hand over.
    Write,
    /// May read.
    Read,
    /// May read, and see refusals and the journal.
    Audit,
}

impl MissionRole {
    /// All four, in the order of the table of roles.
    pub const ALL: [Self; 4] = [Self::Lead, Self::Write, Self::Read, Self::Audit];

    /// The word as files and people have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Write => "write",
            Self::Read => "read",
            Self::Audit => "audit",
        }
    }

    /// The role that `value` names: exactly one of the four words.
    pub fn from_value(value: &Value) -> Result<Self, MissionError> {
        match value {
            Value::String(word) => word.parse(),
            other => Err(MissionError::BadRole(other.to_string())),
        }
    }
}

impl std::str::FromStr for MissionRole {
    type Err = MissionError;
    fn from_str(word: &str) -> Result<Self, MissionError> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or_else(|| MissionError::BadRole(quoted(word)))
    }
}

impl fmt::Display for MissionRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MissionRole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for MissionRole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// As the reference quotes a word in its errors.
fn quoted(word: &str) -> String {
    let quote = if word.contains('\'') && !word.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in word.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if (c as u32) < 0x20 || c == '\x7f' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// What the gateway enforces. Configurations may name others; nothing asks for those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Publish a message.
    Publish,
    /// Make a checkpoint.
    Checkpoint,
    /// Hand over.
    Handoff,
    /// See the stream and resume packets.
    Read,
    /// See refusals and the journal.
    Audit,
    /// Choose the mission's isolation profile.
    ConfigureIsolation,
}

impl Capability {
    /// The word as configurations have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Checkpoint => "checkpoint",
            Self::Handoff => "handoff",
            Self::Read => "read",
            Self::Audit => "audit",
            Self::ConfigureIsolation => "configure_isolation",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What each role may do, as the `roles` of a configuration say; a role that is not there may nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    of: BTreeMap<MissionRole, Vec<String>>,
}

impl Permissions {
    /// Reads `roles`: role → list of capabilities. Roles of other names are looked at and have no effect.
    pub(super) fn from_value(roles: &Value) -> Result<Self, MissionError> {
        let shape = Shape::new("roles", roles)?;
        let mut of = BTreeMap::new();
        for (word, list) in shape.map {
            let texts =
                list.as_array().and_then(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect());
            let capabilities: Vec<String> = texts.ok_or_else(|| shape.wrong(word, list, "a list of texts"))?;
            if let Ok(role) = word.parse() {
                of.insert(role, capabilities);
            }
        }
        Ok(Self { of })
    }

    /// Whether `role` has the capability; exact text, so that a configuration may have its own.
    pub fn allows(&self, role: MissionRole, capability: &str) -> bool {
        self.of.get(&role).is_some_and(|list| list.iter().any(|one| one == capability))
    }

    /// That `name`, whose role is `role` (None: no participant), has the capability.
    pub fn require(&self, name: &str, role: Option<MissionRole>, capability: Capability) -> Result<(), MissionError> {
        match role {
            Some(role) if self.allows(role, capability.as_str()) => Ok(()),
            _ => Err(MissionError::Lacks { name: name.to_owned(), capability }),
        }
    }

    /// The roles that have the capability, for whoever lacks it.
    pub fn roles_with(&self, capability: Capability) -> Vec<MissionRole> {
        MissionRole::ALL.into_iter().filter(|role| self.allows(*role, capability.as_str())).collect()
    }
}
