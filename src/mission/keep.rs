//! What a mission from a file must be to be kept among those that live.

use crate::pool::{AgentName, MissionName};

use super::bus::MissionBus;
use super::error::MissionError;
use super::event::MissionEvent;
use super::limit;

/// Longest id of an event, in characters.
const ID_MAX: usize = 200;

impl MissionBus {
    /// That the mission can be kept, and under which name: names that are names, events numbered from
    /// 1 without gaps, none of more than `event_bytes` bytes. What is wrong first is told, with its place.
    pub fn keepable(&self, event_bytes: usize) -> Result<MissionName, MissionError> {
        let bad = |what: &'static str, name: &str, why: &dyn ToString| MissionError::BadName {
            what,
            name: name.to_owned(),
            why: why.to_string(),
        };
        let name = MissionName::new(self.mission_id()).map_err(|why| bad("mission", self.mission_id(), &why))?;
        for (key, participant) in self.participants().iter() {
            AgentName::new(key).map_err(|why| bad("participant", key, &why))?;
            if participant.name != key {
                return Err(bad("participant", key, &format!("the name within is {:?}", participant.name)));
            }
        }
        for (place, event) in (1..).zip(self.events()) {
            check(place, event, event_bytes)?;
        }
        Ok(name)
    }
}

fn check(place: i64, event: &MissionEvent, event_bytes: usize) -> Result<(), MissionError> {
    if event.sequence() != place {
        return Err(MissionError::BadNumber { place, found: event.sequence() });
    }
    let bad = |what: &'static str, name: &str, why: String| {
        Err(MissionError::BadName { what, name: name.to_owned(), why: format!("of event {place}: {why}") })
    };
    if let Err(why) = AgentName::new(event.sender()) {
        return bad("sender", event.sender(), why.to_string());
    }
    let id = event.id();
    if id.chars().count() > ID_MAX || id.chars().any(char::is_control) {
        return bad("id", id, format!("an id has at most {ID_MAX} characters, none of them a control character"));
    }
    let bytes = serde_json::to_vec(event).map_or(usize::MAX, |body| body.len());
    limit::check(bytes, event_bytes)
}
