//! Comparing as the vectors' README tells: objects without order, numbers by value.

use serde_json::Value;

use super::{Answer, Case};

/// Whether the answer is the recorded one. Of a recorded failure only the fact of failing counts.
pub fn as_recorded(case: &Case, answer: &Answer) -> bool {
    match (&case.expected, answer) {
        (None, Err(_)) => true,
        (Some(expected), Ok(answer)) if case.function == "main" => main_as_recorded(expected, answer),
        (Some(expected), Ok(answer)) => equal(expected, answer),
        (None, Ok(_)) | (Some(_), Err(_)) => false,
    }
}

/// Equal values; `Infinity` in the recording is null in ours, the one spelling JSON has.
pub fn equal(expected: &Value, ours: &Value) -> bool {
    match (expected, ours) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal_at(key, value, other)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => expected == ours,
    }
}

fn equal_at(key: &str, expected: &Value, ours: &Value) -> bool {
    equal(expected, ours)
        || match (key, expected) {
            ("unhealthy_for_seconds", Value::String(text)) => text == "Infinity" && ours.is_null(),
            ("unhealthy_for_seconds", Value::Object(by_agent)) => {
                let Some(ours) = ours.as_object() else { return false };
                by_agent.len() == ours.len()
                    && by_agent
                        .iter()
                        .all(|(agent, value)| ours.get(agent).is_some_and(|other| equal_at(key, value, other)))
            }
            _ => false,
        }
}

/// Exit code, output and restarts as recorded; the state by its value; questions to systemctl as a set.
pub fn main_as_recorded(expected: &Value, ours: &Value) -> bool {
    if expected.get("crash").is_some() {
        let file = |of: &Value| of["state_file"].clone();
        return ours["exit_code"] != 0 && file(expected) == file(ours);
    }
    let state = |of: &Value| of["state_file"].as_str().map(|text| serde_json::from_str::<Value>(text).ok());
    let same_state = match (state(expected), state(ours)) {
        (Some(Some(a)), Some(Some(b))) => equal(&a, &b),
        (a, b) => a == b,
    };
    let commands = |of: &Value, asks: bool| {
        let all = of["commands_run"].as_array().cloned().unwrap_or_default();
        let is_question =
            |command: &Value| command.as_str().is_some_and(|text| text.starts_with("systemctl is-active "));
        let mut some: Vec<String> =
            all.iter().filter(|command| is_question(command) == asks).map(Value::to_string).collect();
        if asks {
            some.sort();
        }
        some
    };
    expected["exit_code"] == ours["exit_code"]
        && expected["stdout"] == ours["stdout"]
        && same_state
        && commands(expected, true) == commands(ours, true)
        && commands(expected, false) == commands(ours, false)
}
