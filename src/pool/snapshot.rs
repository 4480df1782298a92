use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::name::AgentName;
use super::reason::Reason;
use super::registry::{AgentSpec, Registry};

/// What a gateway answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatewayAnswer {
    /// Whether there was any HTTP answer.
    pub reachable: bool,
    /// Its status code; 0 without an answer.
    pub status: u16,
}

/// What probing one agent brought. None is a signal that does not exist for this agent (or, in the
/// daemon, one without an answer: it keeps account of those itself).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotSignals {
    /// The gateway's answer, for an agent that has a gateway.
    pub gateway: Option<GatewayAnswer>,
    /// Whether the unit is active, for an agent on this machine.
    pub service_active: Option<bool>,
}

/// How an agent is, in two values, as the reference keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHealth {
    /// Whether nothing is wrong.
    #[serde(rename = "healthy_now", default)]
    pub healthy: bool,
    /// What is wrong, in the order of the signals.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

/// What is wrong, in the fixed order gateway, service, provider; empty means healthy. A signal
/// that is None says nothing.
pub fn reasons_for(signals: &SnapshotSignals, provider_status: &Value) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if signals.gateway.is_some_and(|answer| !answer.reachable) {
        reasons.push(Reason::GatewayUnreachable);
    }
    if signals.service_active == Some(false) {
        reasons.push(Reason::ServiceInactive);
    }
    match provider_status.as_str() {
        Some("dead") => reasons.push(Reason::PrimaryDead),
        Some("degraded") => reasons.push(Reason::PrimaryDegraded),
        Some(_) | None => {}
    }
    reasons
}

/// One agent in the health snapshot; serialises to the reference's nine keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SnapshotEntry<'r> {
    /// The agent.
    pub agent: &'r AgentName,
    /// Its host as the registry has it.
    pub host: Option<&'r str>,
    /// Its gateway as the registry has it.
    pub gateway_url: Option<&'r str>,
    /// Whether the gateway answered; false also if there is none.
    pub gateway_reachable: bool,
    /// The gateway's status code; 0 also if there is none.
    pub gateway_status: u16,
    /// Whether the unit is active; None for an agent on another machine.
    pub service_active: Option<bool>,
    /// The provider it works with.
    pub primary_provider: PrimaryProvider<'r>,
    /// Whether it is well, and what is wrong.
    #[serde(flatten)]
    pub health: SnapshotHealth,
}

/// The provider an agent works with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrimaryProvider<'r> {
    /// Its name in the matrix.
    pub provider: Option<&'r str>,
    /// The model as the registry has it.
    pub model: &'r Value,
    /// Its status as the matrix has it, else `unknown`.
    pub status: Value,
}

impl<'r> SnapshotEntry<'r> {
    /// What `signals` say about an agent of the registry.
    pub fn new(registry: &Registry, agent: &'r AgentName, spec: &'r AgentSpec, signals: SnapshotSignals) -> Self {
        let status = registry.provider_status(spec);
        let reasons = reasons_for(&signals, &status);
        let answer = signals.gateway.unwrap_or_default();
        Self {
            agent,
            host: spec.host.as_deref(),
            gateway_url: spec.gateway_url.as_deref(),
            gateway_reachable: answer.reachable,
            gateway_status: answer.status,
            service_active: signals.service_active,
            primary_provider: PrimaryProvider { provider: spec.provider.as_deref(), model: &spec.model, status },
            health: SnapshotHealth { healthy: reasons.is_empty(), reasons },
        }
    }
}
