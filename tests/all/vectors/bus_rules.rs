//! Where the bus leaves the reference on purpose; see [`super::rules`].

use serde_json::Value;

/// Whether some known key of the bus holds a value of another shape than the documentation tells.
pub fn has_wrong_shape(input: &Value) -> bool {
    match input {
        Value::Object(map) => map.iter().any(|(key, value)| wrong(key, value) || has_wrong_shape(value)),
        Value::Array(list) => list.iter().any(has_wrong_shape),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn wrong(key: &str, value: &Value) -> bool {
    let text_or_null = || !value.is_string() && !value.is_null();
    match key {
        "sequence" | "level" => !is_whole(value),
        "supports_resume" => !value.is_boolean() && !value.is_null(),
        "artifacts" | "events" | "isolation_profiles" => !value.is_array(),
        "roles" => value.as_object().is_none_or(|roles| roles.values().any(|list| !is_texts(list))),
        "participants" => !value.is_object(),
        "name" | "label" | "mechanism" | "sender" | "recipient" | "topic" | "summary" | "mission_id" => {
            !value.is_string()
        }
        "title" | "note" | "timestamp" | "description" | "checkpoint_id" | "checkpointId" => text_or_null(),
        "message_id" | "messageId" | "handoff_id" | "handoffId" => text_or_null(),
        _ => false,
    }
}

fn is_texts(list: &Value) -> bool {
    list.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

fn is_whole(value: &Value) -> bool {
    value.is_i64()
        || value.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0)
}
