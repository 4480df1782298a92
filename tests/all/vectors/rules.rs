//! Where we leave the reference on purpose. A rule looks at the case's input and at our answer,
//! never at the case's id, and decides by its own reading of both whether it explains the difference.

use serde_json::Value;

use super::{Answer, Case, Refusal, bus_rules, compare, yaml11};

/// One deviation; its name is that of a section of `docs/compatibility.md`.
pub struct Rule {
    pub name: &'static str,
    explains: fn(&Case, &Answer) -> bool,
}

pub const RULES: &[Rule] = &[
    Rule { name: "checked-names", explains: |case, answer| refused(answer, "BadName") && has_bad_name(&case.input) },
    Rule {
        name: "known-modes",
        explains: |case, answer| refused(answer, "BadMode") && has_mode(&case.input, is_no_mode),
    },
    Rule { name: "boolean-modes", explains: |case, answer| answer.is_ok() && has_mode(&case.input, Value::is_boolean) },
    Rule {
        name: "numeric-timeouts",
        explains: |case, answer| {
            refused(answer, "BadTimeout") && has_key(&case.input, "dead_timeout_seconds", is_no_timeout)
        },
    },
    Rule {
        name: "sound-shapes",
        explains: |case, answer| refused(answer, "WrongType") && has_wrong_shape(&case.input),
    },
    Rule { name: "duplicate-keys", explains: |_, answer| refused_text(answer, "stands here twice") },
    Rule { name: "text-keys", explains: |_, answer| refused_text(answer, "is no text; write it in quotes") },
    Rule { name: "yaml-1.2", explains: yaml_1_2 },
    Rule {
        name: "strict-yaml",
        explains: |case, answer| case.function == "load_registry" && refused(answer, "Text") && is_odd_yaml(case),
    },
    Rule {
        name: "yaml-tags",
        explains: |case, answer| answer.is_ok() && case.expected.is_none() && text_of(case).contains("!!"),
    },
    Rule {
        name: "strict-json",
        explains: |case, answer| {
            ["load_policy", "load_profiles"].contains(&case.function.as_str()) && refused(answer, "Text")
        },
    },
    Rule {
        name: "bus-shapes",
        explains: |case, answer| refused(answer, "WrongShape") && bus_rules::has_wrong_shape(&case.input),
    },
    Rule { name: "infinity-is-null", explains: infinity_is_null },
    Rule {
        name: "loopback-addresses",
        explains: |case, answer| answer.is_ok() && has_key(&case.input, "host", is_loopback_name),
    },
    Rule { name: "no-command-no-claim", explains: no_command_no_claim },
    Rule { name: "own-commands", explains: |_, answer| refused(answer, "ForeignCommand") },
    Rule { name: "http-gateways", explains: |case, answer| answer.is_ok() && has_answer_without_status(&case.input) },
];

/// The rule that explains why `answer` is not as recorded.
pub fn explaining(case: &Case, answer: &Answer) -> Option<&'static Rule> {
    RULES.iter().find(|rule| (rule.explains)(case, answer))
}

fn refused(answer: &Answer, kind: &str) -> bool {
    matches!(answer, Err(Refusal { kinds, .. }) if kinds.iter().any(|found| found == kind))
}

fn refused_text(answer: &Answer, part: &str) -> bool {
    matches!(answer, Err(Refusal { kinds, message }) if kinds == &["Text"] && message.contains(part))
}

fn text_of(case: &Case) -> &str {
    case.input["text"].as_str().unwrap_or_default()
}

/// Calls `see` with every key and value in the input; documents that stand there as text are read first.
fn walk(value: &Value, see: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                see(key, value);
                walk(value, see);
                if let (true, Some(Ok(inner))) = (
                    ["text", "policy", "state"].contains(&key.as_str()),
                    value.as_str().map(serde_json::from_str::<Value>),
                ) {
                    walk(&inner, see);
                } else if let (true, Some(Ok(inner))) = (
                    ["text", "registry"].contains(&key.as_str()),
                    value.as_str().map(lazarus_gate::config::yaml_to_value),
                ) {
                    walk(&inner, see);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|item| walk(item, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn has_key(input: &Value, wanted: &str, is: impl Fn(&Value) -> bool) -> bool {
    let mut found = false;
    walk(input, &mut |key, value| found |= key == wanted && is(value));
    found
}

fn has_mode(input: &Value, is: impl Fn(&Value) -> bool) -> bool {
    has_key(input, "mode", is)
}

fn is_no_mode(value: &Value) -> bool {
    !value.is_boolean() && !["yes", "no", "ask"].iter().any(|mode| value == mode)
}

fn is_no_timeout(value: &Value) -> bool {
    value.as_f64().is_none_or(|seconds| seconds.abs() > 9_007_199_254_740_992.0)
}

fn is_loopback_name(host: &Value) -> bool {
    host.as_str()
        .and_then(|host| host.strip_prefix("127."))
        .is_some_and(|rest| rest.contains(|c: char| !c.is_ascii_digit() && c != '.'))
}

/// Whether some name in the input is none by the rule `^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$` (hosts: their own).
fn has_bad_name(input: &Value) -> bool {
    let mut found = false;
    walk(input, &mut |key, value| {
        found |= match (key, value) {
            ("agent_name" | "agent" | "substitute", Value::String(name)) => !is_name(name),
            ("mission", Value::String(name)) => !name.is_empty() && !is_name(name),
            ("host", Value::String(host)) => {
                !host.is_empty()
                    && (host.len() > 253
                        || host.starts_with(['-', '.', '%', ']'])
                        || !host.chars().all(|c| c.is_ascii_alphanumeric() || "_.-:[]%".contains(c)))
            }
            ("substitutes", Value::Array(names)) => {
                names.iter().any(|name| name.as_str().is_some_and(|name| !is_name(name)))
            }
            ("substitutions", Value::Object(lists)) => lists.iter().any(|(name, list)| {
                let mut names = list.as_array().into_iter().flatten();
                !is_name(name) || names.any(|name| name.as_str().is_some_and(|name| !is_name(name)))
            }),
            (
                "fleet" | "agents" | "missions" | "snapshot" | "downed_agents" | "health_snapshot",
                Value::Object(map),
            ) => map.keys().any(|name| !is_name(name)),
            _ => false,
        };
    });
    found
}

/// Whether some known key holds a value of another shape than the documentation tells.
fn has_wrong_shape(input: &Value) -> bool {
    let mut found = false;
    let mappings = |map: &Value| map.as_object().is_none_or(|map| map.values().any(|entry| !entry.is_object()));
    walk(input, &mut |key, value| {
        found |= match key {
            "fleet"
            | "provider_health_matrix"
            | "missions"
            | "agents"
            | "approval_channels"
            | "snapshot"
            | "health_snapshot"
            | "downed_agents" => mappings(value),
            "default_policy" | "health_endpoints" | "primary" | "spec" => !value.is_object(),
            "substitutions" => value.as_object().is_none_or(|map| map.values().any(|list| !list.is_array())),
            "substitutes" | "reasons" => value.as_array().is_none_or(|list| !list.iter().all(Value::is_string)),
            "host" | "gateway" | "provider" | "target" | "agent_name" | "mission" => {
                !value.is_string() && !value.is_null()
            }
            "healthy_now" | "dead" | "enabled" => !value.is_boolean(),
            "last_healthy_at" => !value.is_number() && !value.is_null(),
            "status" | "model" => value.is_object() || value.is_array(),
            "state" | "policy" | "registry" => {
                let inner = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
                !inner.as_ref().unwrap_or(value).is_object() && !value.is_string()
                    || inner.is_some_and(|inner| !inner.is_object())
            }
            _ => false,
        };
    });
    found
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !text.is_empty() && text.len() <= 64 && !text.starts_with(['.', '-']) && text.chars().all(allowed)
}

/// Both readings are of the same characters; or only 1.1 takes `=` for something of its own.
fn yaml_1_2(case: &Case, answer: &Answer) -> bool {
    match (case.function.as_str(), &case.expected, answer) {
        ("load_registry", Some(recorded), Ok(ours)) => yaml11::same_characters(recorded, ours),
        ("load_registry", None, Ok(ours)) => ours.to_string().contains("\"=\""),
        _ => false,
    }
}

/// Numbers JSON does not have, local tags, aliases that contain themselves, too much of anything.
fn is_odd_yaml(case: &Case) -> bool {
    let text = text_of(case);
    let lower = text.to_ascii_lowercase();
    [".nan", ".inf", "!", "&"].iter().any(|sign| lower.contains(sign))
        || text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 19)
}

/// The output is the recorded one but for the one word that JSON does not have.
fn infinity_is_null(case: &Case, answer: &Answer) -> bool {
    let (Some(expected), Ok(ours)) = (&case.expected, answer) else { return false };
    let Some(stdout) = expected["stdout"].as_str() else { return false };
    let mut expected = expected.clone();
    expected["stdout"] =
        Value::from(stdout.replace("\"unhealthy_for_seconds\": Infinity", "\"unhealthy_for_seconds\": null"));
    compare::main_as_recorded(&expected, ours)
}

/// An `auto_restart` without a command is reported as not executed; everything else is as recorded.
fn no_command_no_claim(case: &Case, answer: &Answer) -> bool {
    let ("execute_plan", Some(expected), Ok(ours)) = (case.function.as_str(), &case.expected, answer) else {
        return false;
    };
    let (mut expected, mut ours) = (expected.clone(), ours.clone());
    let mut any = false;
    for plan in [&mut expected, &mut ours] {
        for entry in plan["plan"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            let has_command = entry.get("restart_command").is_some_and(|command| !command.is_null());
            if entry.get("action").is_some_and(|action| action == "auto_restart") && !has_command {
                any = true;
                entry.retain(|key, _| !["executed", "exit_code", "stdout", "stderr"].contains(&key.as_str()));
            }
        }
    }
    any && compare::equal(&expected, &ours)
}

fn has_answer_without_status(input: &Value) -> bool {
    let mut found = false;
    walk(input, &mut |key, value| {
        if let ("gateways", Value::Object(answers)) = (key, value) {
            found |= answers.values().any(|answer| answer[1].is_null());
        }
    });
    found
}
