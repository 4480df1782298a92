//! One function of `bus.json` after the other, on the real core.

use lazarus_gate::config::json_to_value;
use lazarus_gate::mission::{
    IsolationProfile, MissionBus, MissionError, MissionEvent, MissionParticipant, MissionRole, Stamp, load_profiles,
};
use serde_json::{Value, json};

use super::adapt::{refusal, text};
use super::{Answer, Case, Refusal, compare};

pub fn run(case: &Case) -> Answer {
    let input = &case.input;
    let mut ids = Ids::of(input);
    match case.function.as_str() {
        "bus_scenario" => scenario(input),
        "bus_from_dict" => Ok(json!(ids.stamped(at(input), |stamp| load(input, stamp))?)),
        "bus_continue" => ids.stamped(at(input), |stamp| go_on(input, stamp)),
        "event_from_dict" => {
            Ok(json!(ids.stamped(at(input), |stamp| MissionEvent::from_value(&input["data"], stamp))?))
        }
        "participant_from_dict" => Ok(json!(MissionParticipant::from_value(&input["data"])?)),
        "isolation_profile_from_dict" => Ok(json!(IsolationProfile::from_value(&input["data"])?)),
        "build_resume_packet" => {
            let bus = ids.stamped(at(input), |stamp| load(input, stamp))?;
            Ok(json!(bus.build_resume_packet(text(&input["handoff_id"])?)?))
        }
        "load_profiles" => profiles(input),
        other => panic!("{}: no such function: {other}", case.id),
    }
}

/// As recorded; of the errors whose wording is part of the contract also sort and words.
pub fn as_recorded(case: &Case, answer: &Answer) -> bool {
    match (&case.expected, &case.error, answer) {
        (Some(expected), _, Ok(ours)) if case.function == "bus_scenario" => {
            compare::equal(&expected["final"], &ours["final"]) && same_results(&expected["results"], &ours["results"])
        }
        (None, Some(error), Err(Refusal { kinds, message })) => {
            same_error(error, &json!({"type": kinds.first(), "message": message}))
        }
        _ => compare::as_recorded(case, answer),
    }
}

fn same_results(expected: &Value, ours: &Value) -> bool {
    let (Some(expected), Some(ours)) = (expected.as_array(), ours.as_array()) else { return false };
    expected.len() == ours.len()
        && expected.iter().zip(ours).all(|(expected, ours)| match (expected.get("error"), ours.get("error")) {
            (Some(expected), Some(ours)) => same_error(expected, ours),
            (None, None) => compare::equal(expected, ours),
            _ => false,
        })
}

fn same_error(expected: &Value, ours: &Value) -> bool {
    let message = expected["message"].as_str().unwrap_or_default();
    let is_key = message.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let in_the_contract = match expected["type"].as_str() {
        Some("PermissionError") => true,
        Some("KeyError") => message.starts_with("Unknown ") || is_key,
        Some("ValueError") => {
            message.starts_with("Unknown mission event type:") || message.ends_with(" is not a valid MissionRole")
        }
        _ => false,
    };
    !in_the_contract || compare::equal(expected, ours)
}

/// Hands out the recorded identifiers, in order.
struct Ids {
    left: std::vec::IntoIter<String>,
}

impl Ids {
    fn of(input: &Value) -> Self {
        let ids = input["ids"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        Self { left: ids.collect::<Vec<_>>().into_iter() }
    }

    fn stamped<T>(&mut self, at: &str, f: impl FnOnce(&mut Stamp<'_>) -> T) -> T {
        let mut new_id = || self.left.next().unwrap_or_else(|| "(no id is left)".into());
        f(&mut Stamp { at, new_id: &mut new_id })
    }
}

fn at(of: &Value) -> &str {
    of["at"].as_str().unwrap_or_default()
}

fn load(input: &Value, stamp: &mut Stamp<'_>) -> Result<MissionBus, MissionError> {
    MissionBus::from_value(input["data"].clone(), stamp)
}

fn go_on(input: &Value, stamp: &mut Stamp<'_>) -> Answer {
    let mut bus = load(input, stamp)?;
    let message = json!(bus.publish(text(&input["sender"])?, "resumed", json!({"ok": true}), stamp)?);
    let sequences: Vec<i64> = bus.events().iter().map(MissionEvent::sequence).collect();
    Ok(json!({"message": message, "sequences": sequences}))
}

fn profiles(input: &Value) -> Answer {
    let file = match &input["text"] {
        Value::Null => None,
        other => Some(json_to_value(text(other)?)?),
    };
    Ok(load_profiles(file)?)
}

fn scenario(input: &Value) -> Answer {
    let mut ids = Ids::of(input);
    let mut bus = MissionBus::new(text(&input["mission_id"])?, text(&input["title"])?, input["config"].clone())?;
    let mut results = Vec::new();
    for one in input["steps"].as_array().into_iter().flatten() {
        let result = ids.stamped(at(one), |stamp| step(&mut bus, one, stamp));
        results.push(match result {
            Ok(value) => json!({"ok": value}),
            Err(Refusal { kinds, message }) => json!({"error": {"type": kinds.first(), "message": message}}),
        });
    }
    Ok(json!({"results": results, "final": bus}))
}

fn step(bus: &mut MissionBus, step: &Value, stamp: &mut Stamp<'_>) -> Answer {
    let word = |key: &str| text(&step[key]);
    match word("op")? {
        "register" => {
            let role = MissionRole::from_value(&step["role"])?;
            Ok(json!(bus.register_participant(word("name")?, role, step["metadata"].clone())))
        }
        "publish" => Ok(json!(bus.publish(word("sender")?, word("topic")?, step["payload"].clone(), stamp)?)),
        "checkpoint" => {
            let artifacts = match &step["artifacts"] {
                Value::Null => Vec::new(),
                Value::Array(list) => list.clone(),
                other => return Err(refusal("WrongShape", format!("{other} is no list"))),
            };
            let (sender, summary) = (word("sender")?, word("summary")?);
            Ok(json!(bus.create_checkpoint(sender, summary, step["state"].clone(), artifacts, stamp)?))
        }
        "handoff" => {
            let note = step["note"].as_str().unwrap_or_default();
            Ok(json!(bus.handoff(word("sender")?, word("recipient")?, word("checkpoint_id")?, note, stamp)?))
        }
        "allowed" => Ok(json!(bus.allowed(word("name")?, word("capability")?))),
        "resume" => Ok(json!(bus.build_resume_packet(word("handoff_id")?)?)),
        "export" => Ok(json!(bus)),
        "reload" => {
            let json = serde_json::to_string(bus)?;
            *bus = MissionBus::from_value(json_to_value(&json)?, stamp)?;
            Ok(json!(true))
        }
        other => panic!("no such step: {other}"),
    }
}

/// The reference's sort of error, and its message as the reference has it.
impl From<MissionError> for Refusal {
    fn from(error: MissionError) -> Self {
        let (kind, message) = match &error {
            MissionError::Lacks { .. } => ("PermissionError", error.to_string()),
            MissionError::UnknownRecipient(_)
            | MissionError::UnknownCheckpoint(_)
            | MissionError::UnknownHandoff(_) => ("KeyError", error.to_string()),
            MissionError::MissingKey { key, .. } => ("KeyError", (*key).to_owned()),
            MissionError::UnknownEventType(_) | MissionError::BadRole(_) => ("ValueError", error.to_string()),
            _ => ("WrongShape", error.to_string()),
        };
        refusal(kind, message)
    }
}
