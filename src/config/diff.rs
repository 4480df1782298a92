//! What a reload changed, in short sentences for people; no value that may be a secret.

use std::collections::BTreeMap;

use serde_json::Value;

use super::load::Config;
use super::report::{Step, Trail, below, item, spell};

/// Keys whose values are not repeated: addresses may hold passwords, files and variables names
/// of secrets.
const QUIET: [&str; 7] =
    ["heartbeat_url", "token_file", "secret_key_file", "remote_signer_file", "env", "token", "key"];

/// Most sentences of one reload; a fleet that was replaced need not be read out.
const MOST: usize = 100;

/// What is different in `new`, file by file, in a defined order; empty if nothing is.
pub fn diff(old: &Config, new: &Config) -> Vec<String> {
    let mut said = Vec::new();
    walk(&old.written, &new.written, &mut Trail::new(), &mut said);
    // The same file can mean something else: a user of this machine came or went.
    let uids = |config: &Config| -> BTreeMap<String, Option<u32>> {
        config.gate.people.iter().map(|person| (person.id.to_string(), person.uid)).collect()
    };
    let before = uids(old);
    for (person, uid) in uids(new) {
        let same_text = old.written.pointer("/people").and_then(|people| people.get(&person))
            == new.written.pointer("/people").and_then(|people| people.get(&person));
        if same_text && before.get(&person).is_some_and(|old| *old != uid) {
            said.push(match uid {
                Some(uid) => format!("people.{person}: the local user is now {uid}"),
                None => format!("people.{person}: the local user is gone"),
            });
        }
    }
    names("agent", "the registry", &old.registry.fleet, &new.registry.fleet, &mut said);
    names("provider", "the registry", &old.registry.providers, &new.registry.providers, &mut said);
    if old.policy != new.policy {
        let (before, after) = (&old.policy, &new.policy);
        if before.dead_timeout_seconds != after.dead_timeout_seconds {
            let (was, is) = (before.dead_timeout_seconds, after.dead_timeout_seconds);
            said.push(format!("policy: dead_timeout_seconds is now {is} (was {was})"));
        }
        if before.default_policy != after.default_policy {
            said.push("policy: default_policy changed".to_owned());
        }
        names("mission", "the policy", &before.missions, &after.missions, &mut said);
        names("agent", "the policy", &before.agents, &after.agents, &mut said);
        names("substitutes of", "the policy", &before.substitutions, &after.substitutions, &mut said);
        let channels = |all: &serde_json::Map<String, Value>| -> BTreeMap<String, Value> {
            all.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let (was, is) = (channels(&before.approval_channels), channels(&after.approval_channels));
        names("channel", "the policy", &was, &is, &mut said);
        if before.extra != after.extra {
            said.push("policy: keys without a meaning here changed".to_owned());
        }
    }
    if old.profiles != new.profiles {
        said.push("the mission bus's profiles changed".to_owned());
    }
    if said.len() > MOST {
        let more = said.len() - MOST;
        said.truncate(MOST);
        said.push(format!("and {more} more changes"));
    }
    said
}

fn walk(old: &Value, new: &Value, trail: &mut Trail, said: &mut Vec<String>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let mut deeper = below(trail, key);
                match (before.get(key), after.get(key)) {
                    (Some(was), Some(is)) => walk(was, is, &mut deeper, said),
                    (None, Some(is)) => said.push(sentence(&deeper, None, Some(is))),
                    (Some(was), None) => said.push(sentence(&deeper, Some(was), None)),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(before), Value::Array(after))
            if before.len() == after.len() && before.iter().all(Value::is_object) =>
        {
            for (at, (was, is)) in before.iter().zip(after).enumerate() {
                walk(was, is, &mut item(trail, at), said);
            }
        }
        _ => said.push(sentence(trail, Some(old), Some(new))),
    }
}

fn sentence(trail: &[Step], was: Option<&Value>, is: Option<&Value>) -> String {
    let name = spell(trail);
    let entry = matches!(trail, [Step::Key(top), Step::Key(_)] if top == "people" || top == "units");
    let quiet = trail.iter().any(|step| matches!(step, Step::Key(key) if QUIET.contains(&key.as_str())));
    let short = |value: &Value| match value {
        _ if quiet => None,
        Value::Object(_) => None,
        plain => Some(plain.to_string()).filter(|text| text.chars().count() <= 80),
    };
    match (was, is) {
        (None, Some(_)) if entry => format!("{name} was added"),
        (Some(_), None) if entry => format!("{name} was removed"),
        (Some(was), Some(is)) => match (short(was), short(is)) {
            (Some(was), Some(is)) => format!("{name} is now {is} (was {was})"),
            _ => format!("{name} changed"),
        },
        (None, Some(is)) => match short(is) {
            Some(is) => format!("{name} is now {is} (was not set)"),
            None => format!("{name} was set"),
        },
        (Some(was), None) => match short(was) {
            Some(was) => format!("{name} is no longer set (was {was})"),
            None => format!("{name} is no longer set"),
        },
        (None, None) => format!("{name} is unchanged"),
    }
}

fn names<K: Ord + std::fmt::Display, V: PartialEq>(
    what: &str,
    place: &str,
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    said: &mut Vec<String>,
) {
    for (name, was) in before {
        match after.get(name) {
            None => said.push(format!("{what} {name} left {place}")),
            Some(is) if is != was => said.push(format!("{what} {name} changed in {place}")),
            Some(_) => {}
        }
    }
    for name in after.keys().filter(|name| !before.contains_key(name)) {
        said.push(format!("{what} {name} is new in {place}"));
    }
}
