use std::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong with an agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Reason {
    /// Its gateway gave no HTTP answer.
    GatewayUnreachable,
    /// Its unit is not active.
    ServiceInactive,
    /// Its primary provider is marked dead.
    PrimaryDead,
    /// Its primary provider is marked degraded.
    PrimaryDegraded,
    /// No heartbeat has come for too long, or its progress stands still.
    HeartbeatLost,
    /// A word that some other version wrote; kept as it is.
    Other(String),
}

impl Reason {
    /// The word that stands for it in files and messages.
    pub fn as_str(&self) -> &str {
        match self {
            Reason::GatewayUnreachable => "gateway_unreachable",
            Reason::ServiceInactive => "service_inactive",
            Reason::PrimaryDead => "primary_dead",
            Reason::PrimaryDegraded => "primary_degraded",
            Reason::HeartbeatLost => "heartbeat_lost",
            Reason::Other(word) => word,
        }
    }
}

impl Reason {
    /// Whether it speaks of the provider only: no restart of the agent can mend that.
    pub fn is_the_providers(&self) -> bool {
        match self {
            Reason::PrimaryDead | Reason::PrimaryDegraded => true,
            Reason::GatewayUnreachable | Reason::ServiceInactive | Reason::HeartbeatLost | Reason::Other(_) => false,
        }
    }
}

impl From<String> for Reason {
    fn from(word: String) -> Self {
        match word.as_str() {
            "gateway_unreachable" => Reason::GatewayUnreachable,
            "service_inactive" => Reason::ServiceInactive,
            "primary_dead" => Reason::PrimaryDead,
            "primary_degraded" => Reason::PrimaryDegraded,
            "heartbeat_lost" => Reason::HeartbeatLost,
            _ => Reason::Other(word),
        }
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> String {
        reason.as_str().to_owned()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
