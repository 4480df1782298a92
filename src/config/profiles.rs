//! The file of the mission bus: roles and isolation profiles. It is kept as it stands, and only its shape is
//! looked at here; what it means is read where a mission is made.

use serde_json::{Value, json};

use super::report::{Notes, Trail, below, item, spell};
use super::section::kind;
use super::words::suggest;

/// The shipped file, which is the reference's default.
pub const DEFAULT_PROFILES: &str = include_str!("../../config/mission_bus_profiles.json");

const ROLES: [&str; 4] = ["lead", "write", "read", "audit"];
const PROFILE_KEYS: [&str; 6] = ["name", "label", "level", "mechanism", "description", "supports_resume"];

/// Notes what is wrong with the file's shape, and warns of what means nothing.
pub(super) fn check(value: &Value, notes: &Notes) {
    let Value::Object(top) = value else {
        notes.error(&[], format!("the file is {}, but must be a mapping", kind(value)));
        return;
    };
    for (key, value) in top {
        let trail = below(&[], key);
        match (key.as_str(), value) {
            ("roles", Value::Object(roles)) => {
                for (role, capabilities) in roles {
                    check_role(role, capabilities, below(&trail, role), notes);
                }
            }
            ("isolation_profiles", Value::Array(profiles)) => {
                for (at, profile) in profiles.iter().enumerate() {
                    check_profile(profile, item(&trail, at), notes);
                }
            }
            ("roles", other) => notes.error(&trail, format!("`roles` is {}, but must be a mapping", kind(other))),
            ("isolation_profiles", other) => {
                notes.error(&trail, format!("`isolation_profiles` is {}, but must be a list", kind(other)));
            }
            _ => {
                let hint = suggest(key, ["roles", "isolation_profiles"]);
                notes.warning(&trail, format!("`{key}` means nothing here (it is kept){hint}"));
            }
        }
    }
}

fn check_role(role: &str, capabilities: &Value, trail: Trail, notes: &Notes) {
    if !ROLES.contains(&role) {
        notes.warning(&trail, format!("`{}`: there is no such role{}", spell(&trail), suggest(role, ROLES)));
    }
    let texts = capabilities.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    if !texts {
        notes.error(&trail, format!("`{}` must be a list of texts, such as [\"read\"]", spell(&trail)));
    }
}

fn check_profile(profile: &Value, trail: Trail, notes: &Notes) {
    let Value::Object(profile) = profile else {
        notes.error(&trail, format!("`{}` is {}, but must be a mapping", spell(&trail), kind(profile)));
        return;
    };
    for key in ["name", "label"] {
        if !profile.get(key).is_some_and(Value::is_string) {
            notes.error(&trail, format!("`{}`: `{key}` must be there, as text", spell(&trail)));
        }
    }
    if !profile.get("level").is_some_and(Value::is_i64) {
        notes.error(&trail, format!("`{}`: `level` must be there, as a whole number", spell(&trail)));
    }
    for key in profile.keys().filter(|key| !PROFILE_KEYS.contains(&key.as_str())) {
        let at = below(&trail, key);
        notes.warning(&at, format!("`{}` means nothing here (it is kept)", spell(&at)));
    }
}

/// What holds without a file: nobody is isolated, and the four roles are as the bus has them.
pub(super) fn default() -> Value {
    json!({})
}
