//! Who may decide what.
//!
//! An entry says how each channel proves that it is this person. Two entries may not claim one
//! identity, in whatever spelling; an entry with a problem is never half used.

use std::collections::{BTreeMap, BTreeSet};

use nostr_sdk::RelayUrl;
use serde_json::Value;

use super::log::word;
use super::nostr::read_relays;
use super::npub;
use crate::approval::{Approves, PersonId};
use crate::config::Lookup;
use crate::config::report::{Notes, Trail, below, spell};
use crate::config::section::{Section, kind};
use crate::pool::{AgentName, MissionName};

/// The gateway's own name on every mission's bus.
const GATEWAY: &str = "gateway";

/// One entry of `people`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The key of the entry.
    pub id: PersonId,
    /// The user of this machine, as the kernel tells it; absent too when a named user is unknown.
    pub uid: Option<u32>,
    /// The numeric Telegram id.
    pub telegram: Option<i64>,
    /// Nostr public keys in lower-case hexadecimal.
    pub nostr: BTreeSet<String>,
    /// Where the person takes private messages on Nostr, for want of a list of their own there.
    pub relays: Vec<RelayUrl>,
    /// For which missions the person may decide, snooze and hold.
    pub approves: Approves,
    /// Who the person is on the bus of a mission; authorises nothing.
    pub participant: BTreeMap<MissionName, Participant>,
}

/// Who a person is on the bus of a mission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// The name there.
    pub name: String,
    /// What the person may do there.
    pub role: BusRole,
}

/// A role on the mission bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusRole {
    /// Everything.
    Lead,
    /// Publish, checkpoint, hand off, read.
    Write,
    /// Read.
    Read,
    /// Read and audit.
    Audit,
}

/// What can be said of `people` when the rest of the configuration is broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeopleSeen {
    /// Entries without a problem.
    pub people: Vec<Person>,
    /// Names that are there, with a problem: nothing is known of them but that they were not removed.
    pub unclear: BTreeSet<String>,
}

impl PeopleSeen {
    pub(super) fn read(section: Section<'_>, users: &dyn Lookup, notes: &Notes) -> Option<Self> {
        let names: Vec<String> = section.entries().map(|(name, _)| name.to_owned()).collect();
        let trail = section.trail().to_vec();
        let people = read(section, users);
        // `people: []` or `people: kim` is no list of people: nothing can be read from it.
        if names.is_empty() && notes.has_error_under(&trail) {
            return None;
        }
        let unclear: BTreeSet<String> =
            names.into_iter().filter(|name| notes.has_error_under(&below(&trail, name))).collect();
        let people = people.into_iter().filter(|person| !unclear.contains(person.id.as_str())).collect();
        Some(Self { people, unclear })
    }

    /// What is left of `before` when these people are all that can be read: who was removed is
    /// gone, who lost a mission or an identity lost it, nobody gains anything.
    pub fn narrow(&self, before: &[Person]) -> Vec<Person> {
        let mut left = Vec::new();
        for old in before {
            if self.unclear.contains(old.id.as_str()) {
                left.push(old.clone());
            } else if let Some(new) = self.people.iter().find(|new| new.id == old.id) {
                left.push(Person {
                    id: old.id.clone(),
                    uid: old.uid.filter(|uid| new.uid == Some(*uid)),
                    telegram: old.telegram.filter(|id| new.telegram == Some(*id)),
                    nostr: old.nostr.intersection(&new.nostr).cloned().collect(),
                    relays: old.relays.clone(),
                    approves: match (&old.approves, &new.approves) {
                        (Approves::All, new) => new.clone(),
                        (old, Approves::All) => old.clone(),
                        (Approves::Missions(old), Approves::Missions(new)) => {
                            Approves::Missions(old.intersection(new).cloned().collect())
                        }
                    },
                    participant: old.participant.clone(),
                });
            }
        }
        left
    }
}

/// An identity as it must be unique, for the check and its message.
type Claims = BTreeMap<String, String>;

pub(super) fn read(section: Section<'_>, users: &dyn Lookup) -> Vec<Person> {
    let mut people = Vec::new();
    let mut claims = Claims::new();
    for (name, value) in section.entries() {
        let id = match PersonId::new(name) {
            Ok(id) => id,
            Err(why) => {
                section.notes.error(&section.at(name), format!("`people`: {name:?} is no name for a person: {why}"));
                continue;
            }
        };
        people.push(read_person(id, Section::new(Some(value), section.at(name), section.notes), users, &mut claims));
    }
    check_participants(&people, &section);
    people
}

/// Under one name in a mission acts one person: who stands in no `participant` there acts under their own.
fn check_participants(people: &[Person], section: &Section<'_>) {
    for (at, person) in people.iter().enumerate() {
        for (mission, given) in &person.participant {
            let same = |other: &Person| match other.participant.get(mission) {
                Some(theirs) => theirs.name == given.name,
                None => other.id.as_str() == given.name,
            };
            let mut others = people.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other);
            let Some(other) = others.find(|other| same(other)) else { continue };
            let mut trail = section.at(person.id.as_str());
            for key in ["participant", mission.as_str(), "name"] {
                trail = below(&trail, key);
            }
            let (name, other) = (&given.name, &other.id);
            let message = format!(
                "`{}`: {other} acts as {name} in {mission}, too; give each a name of their own there",
                spell(&trail)
            );
            section.notes.error(&trail, message);
        }
    }
}

fn read_person(id: PersonId, mut section: Section<'_>, users: &dyn Lookup, claims: &mut Claims) -> Person {
    let name = id.as_str();
    let person = Person {
        id: id.clone(),
        uid: read_local_user(name, &mut section, users, claims),
        telegram: read_telegram(name, &mut section, claims),
        nostr: read_nostr(name, &mut section, claims),
        relays: read_relays(&mut section),
        approves: read_approves(&mut section),
        participant: read_participant(section.section("participant")),
    };
    let known = section.has("local_user") || section.has("telegram") || section.has("nostr");
    if !known {
        let trail = section.trail().to_vec();
        let message = format!(
            "`{}`: nothing says how {name} is recognised; write `local_user`, `telegram` or `nostr`",
            spell(&trail)
        );
        section.notes.warning(&trail, message);
    }
    section.finish();
    person
}

/// Notes it when somebody else claims `identity` already.
fn claim(name: &str, identity: String, trail: &Trail, notes: &Notes, claims: &mut Claims) {
    match claims.get(&identity) {
        Some(first) if first != name => notes.error(
            trail,
            format!("`{}`: {first} and {name} are both {identity}; one identity belongs to one person", spell(trail)),
        ),
        Some(_) => {}
        None => {
            claims.insert(identity, name.to_owned());
        }
    }
}

fn read_local_user(name: &str, section: &mut Section<'_>, users: &dyn Lookup, claims: &mut Claims) -> Option<u32> {
    let value = section.take("local_user")?;
    let trail = section.at("local_user");
    let uid = match value {
        // The last uid means "nobody in particular" to the kernel.
        Value::Number(number) => match number.as_u64().and_then(|uid| u32::try_from(uid).ok()) {
            Some(uid) if uid != u32::MAX => uid,
            _ => {
                section.error("local_user", format!("{number} is no user id; write a user's name or numeric id"));
                return None;
            }
        },
        Value::String(user) => match users.uid_of(user) {
            Some(uid) => uid,
            None => {
                let message = format!(
                    "`{}`: there is no user {user:?} on this machine, so {name} cannot speak on the command line; \
                     write a user of /etc/passwd or a numeric id",
                    spell(&trail)
                );
                section.notes.warning(&trail, message);
                claim(name, format!("the local user {user:?}"), &trail, section.notes, claims);
                return None;
            }
        },
        other => {
            section.error("local_user", format!("is {}; write a user's name or numeric id", kind(other)));
            return None;
        }
    };
    claim(name, format!("the local user {uid}"), &trail, section.notes, claims);
    Some(uid)
}

/// The ids that Telegram puts where it does not tell who speaks.
const EVERYBODY: [i64; 3] = [1_087_968_824, 136_817_688, 777_000];

fn read_telegram(name: &str, section: &mut Section<'_>, claims: &mut Claims) -> Option<i64> {
    let value = section.take("telegram")?;
    match value.as_i64() {
        // In their name speaks whoever is an anonymous admin, or a channel, or Telegram itself.
        Some(id) if EVERYBODY.contains(&id) => {
            section.error("telegram", "is no person: anonymous admins, channels and Telegram itself speak as this id");
            None
        }
        // User ids are positive; a negative one is a group, and a group is nobody.
        Some(id) if id > 0 => {
            claim(name, format!("the Telegram user {id}"), &section.at("telegram"), section.notes, claims);
            Some(id)
        }
        Some(_) => {
            section.error("telegram", "is the id of a group or channel; write the person's own numeric user id");
            None
        }
        None => {
            let right = "write the numeric user id without quotes, never a username";
            section.error("telegram", format!("is {}; {right}", kind(value)));
            None
        }
    }
}

fn read_nostr(name: &str, section: &mut Section<'_>, claims: &mut Claims) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (trail, text) in section.texts("nostr").unwrap_or_default() {
        match npub::to_hex(text) {
            Ok(hex) => {
                claim(name, format!("the Nostr key {hex}"), &trail, section.notes, claims);
                keys.insert(hex);
            }
            Err(said) => section.notes.error(&trail, format!("`{}` {said}", spell(&trail))),
        }
    }
    keys
}

fn read_approves(section: &mut Section<'_>) -> Approves {
    let mut missions = BTreeSet::new();
    for (trail, mission) in section.texts("approves").unwrap_or_default() {
        if mission == "*" {
            return Approves::All;
        }
        match MissionName::new(mission) {
            Ok(mission) => {
                missions.insert(mission);
            }
            Err(why) => {
                let message = format!("`{}`: {mission:?} is no mission name: {why} ('*' means all)", spell(&trail));
                section.notes.error(&trail, message);
            }
        }
    }
    Approves::Missions(missions)
}

fn read_participant(section: Section<'_>) -> BTreeMap<MissionName, Participant> {
    let roles =
        [("lead", BusRole::Lead), ("write", BusRole::Write), ("read", BusRole::Read), ("audit", BusRole::Audit)];
    let mut all = BTreeMap::new();
    for (mission, value) in section.entries() {
        let trail = section.at(mission);
        let mission = match MissionName::new(mission) {
            Ok(mission) => mission,
            Err(why) => {
                section.notes.error(&trail, format!("`{}`: {mission:?} is no mission name: {why}", spell(&trail)));
                continue;
            }
        };
        let mut entry = Section::new(Some(value), trail, section.notes);
        let role = word(&mut entry, "role", &roles, BusRole::Read);
        match entry.text("name") {
            Some(name) => match AgentName::new(name) {
                Ok(known) if known.as_str() == GATEWAY => {
                    entry.error("name", "the gateway itself has that name on every mission's bus; write another");
                }
                Ok(_) => {
                    all.insert(mission, Participant { name: name.to_owned(), role });
                }
                Err(why) => entry.error("name", format!("{name:?} is no name on a mission's bus: {why}")),
            },
            None if entry.has("name") => {}
            None => entry.error("name", "is missing; write the name this person has on the mission's bus"),
        }
        entry.finish();
    }
    all
}
