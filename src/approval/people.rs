use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pool::{InvalidName, MissionName};

/// The name of an entry of `people`. Votes are counted per person, whichever way they come.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(MissionName);

impl PersonId {
    /// The person's checked name; the same characters as an agent's.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        MissionName::new(text).map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for PersonId {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

impl From<PersonId> for String {
    fn from(person: PersonId) -> String {
        person.0.into()
    }
}

/// For which missions somebody may decide, snooze and hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Approves {
    /// `'*'`
    All,
    /// These; may be none: somebody who only reads.
    Missions(BTreeSet<MissionName>),
}

impl Approves {
    /// Whether `mission` is among them.
    pub fn covers(&self, mission: &MissionName) -> bool {
        match self {
            Self::All => true,
            Self::Missions(these) => these.contains(mission),
        }
    }

    /// Whether there is any mission at all.
    pub fn anything(&self) -> bool {
        match self {
            Self::All => true,
            Self::Missions(these) => !these.is_empty(),
        }
    }
}

/// The ways on which people are asked and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The daemon's own standard input and output.
    Terminal,
    /// The command line over the local socket, or at the store itself.
    Cli,
    /// A Telegram chat.
    Telegram,
    /// Relays of Nostr.
    Nostr,
}

impl Channel {
    /// Its word in the store and in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Cli => "cli",
            Self::Telegram => "telegram",
            Self::Nostr => "nostr",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Terminal => "terminal",
            Self::Cli => "command line",
            Self::Telegram => "Telegram",
            Self::Nostr => "Nostr",
        })
    }
}

/// Who spoke, as the channel itself proves it: never a display name, a username or a chat.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// A user of this machine, as the kernel told the socket.
    LocalUser(u32),
    /// A Telegram user, by the numeric id, never a username.
    Telegram(i64),
    /// A Nostr public key, in lower-case hexadecimal.
    Nostr(String),
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalUser(uid) => write!(f, "the local user {uid}"),
            Self::Telegram(id) => write!(f, "the Telegram user {id}"),
            Self::Nostr(key) => write!(f, "the Nostr key {key}"),
        }
    }
}

/// One entry of `people`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The key of the entry.
    pub id: PersonId,
    /// What proves to each channel that it is this person.
    pub speaks_as: BTreeSet<Speaker>,
    /// For which missions the person may decide.
    pub approves: Approves,
}

/// Everybody who counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    by_id: BTreeMap<PersonId, Person>,
    by_speaker: BTreeMap<Speaker, PersonId>,
}

/// Two people would be told apart by nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{first} and {second} are both {speaker}; one identity belongs to one person")]
pub struct SameIdentity {
    /// The one who was there first.
    pub first: PersonId,
    /// The one who came second.
    pub second: PersonId,
    /// What both claim.
    pub speaker: Speaker,
}

impl People {
    /// Everybody in `people`, provided that no two share an identity.
    pub fn new(people: impl IntoIterator<Item = Person>) -> Result<Self, SameIdentity> {
        let mut all = Self::default();
        for person in people {
            for speaker in &person.speaks_as {
                if let Some(first) = all.by_speaker.insert(speaker.clone(), person.id.clone())
                    && first != person.id
                {
                    return Err(SameIdentity { first, second: person.id, speaker: speaker.clone() });
                }
            }
            all.by_id.insert(person.id.clone(), person);
        }
        Ok(all)
    }

    /// The person who speaks as `speaker`, if there is one.
    pub fn who(&self, speaker: &Speaker) -> Option<&Person> {
        self.by_id.get(self.by_speaker.get(speaker)?)
    }

    /// The person of that name.
    pub fn get(&self, id: &PersonId) -> Option<&Person> {
        self.by_id.get(id)
    }

    /// Whether `id` is somebody who may decide for `mission` (invariant 5).
    pub fn may_decide(&self, id: &PersonId, mission: &MissionName) -> bool {
        self.get(id).is_some_and(|person| person.approves.covers(mission))
    }

    /// Everybody who may decide for `mission`, by name.
    pub fn approvers_of<'a>(&'a self, mission: &'a MissionName) -> impl Iterator<Item = &'a Person> {
        self.by_id.values().filter(move |person| person.approves.covers(mission))
    }

    /// Everybody, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.by_id.values()
    }

    /// The same people without those whom `gone` names: what `revoke` leaves.
    pub fn without(&self, gone: &BTreeSet<PersonId>) -> Self {
        let mut left = self.clone();
        left.by_id.retain(|id, _| !gone.contains(id));
        left.by_speaker.retain(|_, id| !gone.contains(id));
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, uid: u32, missions: &[&str]) -> Person {
        Person {
            id: PersonId::new(name).unwrap(),
            speaks_as: [Speaker::LocalUser(uid)].into(),
            approves: Approves::Missions(missions.iter().map(|m| MissionName::new(*m).unwrap()).collect()),
        }
    }

    #[test]
    fn only_who_approves_that_mission_may_decide() {
        let people = People::new([person("kim", 1000, &["forge"]), person("lee", 1001, &[])]).unwrap();
        let forge = MissionName::new("forge").unwrap();
        let archive = MissionName::new("archive").unwrap();
        let kim = people.who(&Speaker::LocalUser(1000)).unwrap().id.clone();
        let lee = people.who(&Speaker::LocalUser(1001)).unwrap().id.clone();
        assert!(people.may_decide(&kim, &forge));
        assert!(!people.may_decide(&kim, &archive));
        assert!(!people.may_decide(&lee, &forge));
        assert!(people.who(&Speaker::LocalUser(0)).is_none());
        let left = people.without(&[kim.clone()].into());
        assert!(!left.may_decide(&kim, &forge));
        assert!(left.who(&Speaker::LocalUser(1000)).is_none());
    }

    #[test]
    fn one_identity_belongs_to_one_person() {
        let error = People::new([person("kim", 1000, &[]), person("lee", 1000, &[])]).unwrap_err();
        assert_eq!(error.to_string(), "kim and lee are both the local user 1000; one identity belongs to one person");
    }
}
