//! Under which name a person acts in a mission.

use crate::approval::PersonId;
use crate::config::gate::BusRole;
use crate::gateway::in_force::InForce;
use crate::mission::MissionRole;
use crate::pool::{AgentName, MissionName};
use crate::store::missions::GATEWAY;
use crate::web::missions::BusReader;
use crate::wording;

/// The name, and the role that the files give with it. Who stands in no `participant` acts under their own name,
/// unless that is an agent's or the gateway's: then under none, or a person could write as an agent.
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
    let is_free = name.as_str() != GATEWAY && in_force.member(&name).is_none();
    is_free.then_some((name, None))
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
