use serde_json::Value;

use super::bus::bus_happened;
use super::happened::happened;
use super::plain::{REASON_MAX, SHORT_MAX, harmless};
use super::{Alarm, Setting, refusal};
use crate::incident::{Event, Refusal};
use crate::pool::{AgentName, Timestamp};

/// Characters of one line of the journal; enough for a whole alarm.
const LINE_MAX: usize = 600;

/// One line of an agent's history, for a card: the time, and what happened.
pub fn history_line(event: &Event, agent: &AgentName, at: Timestamp, setting: &Setting, now: Timestamp) -> String {
    line(at, &happened(event, agent, setting, now), setting, now)
}

/// One line of the journal: the time, the agent, what happened. `body` is the entry's JSON; what is
/// an [`Event`], an [`Alarm`] or a [`Refusal`] is said in words, anything else (of a newer version,
/// say) by its kind and its fields.
pub fn journal_line(
    kind: &str,
    agent: Option<&AgentName>,
    body: &Value,
    at: Timestamp,
    setting: &Setting,
    now: Timestamp,
) -> String {
    let said = in_words(agent, body, setting, now).or_else(|| bus_happened(kind, body));
    let said = said.unwrap_or_else(|| fields(kind, body));
    match agent {
        Some(agent) => line(at, &format!("{agent}: {said}"), setting, now),
        None => line(at, &said, setting, now),
    }
}

fn in_words(agent: Option<&AgentName>, body: &Value, setting: &Setting, now: Timestamp) -> Option<String> {
    let is = |tag: &str| body.get(tag).is_some_and(Value::is_string);
    if is("event") {
        let event: Event = serde_json::from_value(body.clone()).ok()?;
        return Some(happened(&event, agent?, setting, now));
    }
    if is("alarm") {
        let alarm: Alarm = serde_json::from_value(body.clone()).ok()?;
        return Some(alarm.text());
    }
    if is("refused") {
        let refused: Refusal = serde_json::from_value(body.clone()).ok()?;
        let by = body.get("by").and_then(Value::as_str).map(|by| format!("{}: ", harmless(by, SHORT_MAX)));
        return Some(format!("{}{}", by.unwrap_or_default(), refusal(&refused, setting, now)));
    }
    if is("drill") {
        return super::drill::drill_line(body);
    }
    None
}

/// `kind a=1 b=text`, in the order of the fields' names.
fn fields(kind: &str, body: &Value) -> String {
    let mut said = harmless(kind, SHORT_MAX);
    let Value::Object(object) = body else {
        return if body.is_null() { said } else { format!("{said} {}", value(body)) };
    };
    let mut sorted: Vec<_> = object.iter().filter(|(name, _)| *name != "v").collect();
    sorted.sort_by_key(|(name, _)| *name);
    for (name, field) in sorted {
        said.push_str(&format!(" {}={}", harmless(name, SHORT_MAX), value(field)));
    }
    said
}

fn value(of: &Value) -> String {
    match of {
        Value::String(text) => harmless(text, REASON_MAX),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            harmless(&of.to_string(), REASON_MAX)
        }
    }
}

fn line(at: Timestamp, what: &str, setting: &Setting, now: Timestamp) -> String {
    format!("{}  {}", setting.time(at, now), harmless(what, LINE_MAX))
}
