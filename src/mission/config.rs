use std::sync::LazyLock;

use serde_json::Value;

use super::error::MissionError;
use super::permission::Permissions;
use super::profile::IsolationProfile;
use super::shape::{Shape, is_falsy};

/// The shipped roles and profiles, which are the reference's.
pub static DEFAULT_CONFIG: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../config/mission_bus_profiles.json")).expect("the shipped file is JSON")
});

/// Roles and isolation profiles of a mission. What stands in the file beside them is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct MissionConfig {
    raw: Value,
    permissions: Permissions,
    profiles: Vec<IsolationProfile>,
}

impl MissionConfig {
    /// Reads a configuration; one that says nothing is the default. Without `roles` nobody may do
    /// anything, without `isolation_profiles` there are none: only [`load_profiles`] fills in.
    pub fn from_value(config: Value) -> Result<Self, MissionError> {
        let raw = if is_falsy(&config) { DEFAULT_CONFIG.clone() } else { config };
        let shape = Shape::new("mission configuration", &raw)?;
        let permissions = match shape.map.get("roles") {
            Some(roles) => Permissions::from_value(roles)?,
            None => Permissions::default(),
        };
        let profiles = match shape.map.get("isolation_profiles") {
            Some(Value::Array(list)) => list.iter().map(IsolationProfile::from_value).collect::<Result<_, _>>()?,
            Some(other) => return Err(shape.wrong("isolation_profiles", other, "a list")),
            None => Vec::new(),
        };
        Ok(Self { raw, permissions, profiles })
    }

    /// The configuration as it was given, which is what exports hold.
    pub fn raw(&self) -> &Value {
        &self.raw
    }

    /// What each role may do.
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// The isolation profiles, with their defaults filled in.
    pub fn profiles(&self) -> &[IsolationProfile] {
        &self.profiles
    }
}

/// The configuration of the file with the content `file` (None: there is no file), with the shipped
/// `roles` and `isolation_profiles` where it has none. An explicit null stays, and is refused by
/// [`MissionConfig::from_value`].
pub fn load_profiles(file: Option<Value>) -> Result<Value, MissionError> {
    let mut config = file.unwrap_or_else(|| DEFAULT_CONFIG.clone());
    Shape::new("mission configuration", &config)?;
    for key in ["roles", "isolation_profiles"] {
        if config.get(key).is_none() {
            config[key] = DEFAULT_CONFIG[key].clone();
        }
    }
    Ok(config)
}
