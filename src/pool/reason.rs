use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an agent is unhealthy, in the reference's words and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its HTTP gateway does not answer.
    GatewayUnreachable,
    /// Its unit is not active.
    ServiceInactive,
    /// Its model provider is dead.
    PrimaryDead,
    /// Its model provider is degraded.
    PrimaryDegraded,
}

impl Reason {
    /// The reference's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::GatewayUnreachable => "gateway_unreachable",
            Self::ServiceInactive => "service_inactive",
            Self::PrimaryDead => "primary_dead",
            Self::PrimaryDegraded => "primary_degraded",
        }
    }

    /// Whether it speaks of the provider only: no restart of the agent can mend that.
    pub fn is_the_providers(self) -> bool {
        match self {
            Self::PrimaryDead | Self::PrimaryDegraded => true,
            Self::GatewayUnreachable | Self::ServiceInactive => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
