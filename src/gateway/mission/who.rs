//! Under which name a person acts in a mission.

use serde_json::{Value, json};

use crate::approval::PersonId;
use crate::config::gate::{BusRole, Person};
use crate::gateway::in_force::InForce;
use crate::gateway::ledger::Entry;
use crate::mission::MissionRole;
use crate::pool::{AgentName, MissionName};
use crate::store::missions::{self, GATEWAY, MissionPhase, NewMission};
use crate::store::{self, StoreError, Tx};
use crate::web::missions::BusReader;
use crate::wording;

/// The name, and the role that the files give with it. Who stands in no `participant` acts under their own name,
/// unless that is an agent's, the gateway's, or given to somebody else there: then under none, or they could write as
/// another.
pub fn name_of(
    in_force: &InForce,
    person: &PersonId,
    mission: &MissionName,
) -> Option<(AgentName, Option<MissionRole>)> {
    let entry = in_force.config.gate.people.iter().find(|entry| entry.id == *person);
    if let Some(given) = entry.and_then(|entry| entry.participant.get(mission)) {
        let name = AgentName::new(given.name.clone()).ok().filter(|name| name.as_str() != GATEWAY)?;
        return Some((name, Some(role_of(given.role))));
    }
    let name = AgentName::new(person.as_str()).ok()?;
    let others = in_force.config.gate.people.iter().filter(|entry| entry.id != *person);
    let is_given = |other: &Person| other.participant.get(mission).is_some_and(|given| given.name == *name.as_str());
    let is_free = name.as_str() != GATEWAY && in_force.member(&name).is_none() && !others.into_iter().any(is_given);
    is_free.then_some((name, None))
}

/// Who acts under that name on some bus and is no agent: the gateway itself, or one of the people, by a `participant`
/// or under their own name. No token may be for it.
pub fn whose_name(in_force: &InForce, name: &AgentName) -> Option<String> {
    if name.as_str() == GATEWAY {
        return Some("the gateway itself".into());
    }
    // An agent of the registry is one, whatever else bears its name: nobody of `people` acts under it.
    if in_force.member(name).is_some() {
        return None;
    }
    let is_theirs = |person: &&Person| {
        person.id.as_str() == name.as_str() || person.participant.values().any(|one| one.name == *name.as_str())
    };
    in_force.config.gate.people.iter().find(is_theirs).map(|person| person.id.to_string())
}

/// Who stands in the files as a participant, and has not joined yet, joins by that as what the files say; from
/// then on the bus says it. So people can be handed to before they ever said a word.
pub async fn join_of_the_files(tx: &mut Tx, entry: &Entry, mission: &MissionName) -> Result<(), StoreError> {
    let in_force = entry.in_force();
    let people = in_force.config.gate.people.iter().filter(|person| person.participant.contains_key(mission));
    let named = people.filter_map(|person| name_of(in_force, &person.id, mission));
    let mut missing: Vec<(AgentName, MissionRole)> =
        named.filter_map(|(name, role)| role.map(|role| (name, role))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    match missions::mission(tx, mission).await? {
        Some(row) if row.state == MissionPhase::Open => {}
        Some(_) | None => return Ok(()),
    }
    let there = missions::roles(tx, mission).await?;
    missing.retain(|(name, _)| there.iter().all(|(one, _)| one != name));
    for (name, role) in missing {
        let new = NewMission {
            name: mission,
            title: "",
            config: &Value::Null,
            lead: None,
            created_by: GATEWAY,
            at: entry.now,
        };
        // It is there and open, so there is nothing to refuse.
        if missions::ensure(tx, new, &name, role).await?.is_err() {
            continue;
        }
        let body = json!({ "mission": mission, "participant": name, "role": role, "by": "people.participant" });
        let written = store::journal::Entry { kind: "mission.joined".into(), agent: Some(name), body };
        store::journal::append(tx, &[written], entry.now).await?;
    }
    Ok(())
}

/// For whom something of the mission is read when this person asks.
pub fn reader_of(in_force: &InForce, person: &PersonId, mission: &MissionName) -> BusReader {
    match name_of(in_force, person, mission) {
        Some((name, role)) => BusReader::Participant { name, role },
        None => BusReader::Nobody { text: wording::no_name(person, mission) },
    }
}

fn role_of(role: BusRole) -> MissionRole {
    match role {
        BusRole::Lead => MissionRole::Lead,
        BusRole::Write => MissionRole::Write,
        BusRole::Read => MissionRole::Read,
        BusRole::Audit => MissionRole::Audit,
    }
}
