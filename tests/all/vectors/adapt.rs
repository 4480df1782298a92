//! From a case's JSON to the core's types. What the core cannot represent is refused here, as a file would be.

use std::collections::BTreeMap;

use lazarus_gate::config::TextError;
use lazarus_gate::pool::{
    AgentName, AgentSpec, Checked, Execution, GatewayAnswer, InvalidName, LocalHosts, Policy, Registry, Severity,
    SnapshotEntry, SnapshotHealth, SnapshotSignals, State, UnitTemplate,
};
use serde_json::{Map, Value};

use super::Refusal;

pub fn refusal(kind: &str, message: impl Into<String>) -> Refusal {
    Refusal { kinds: vec![kind.to_owned()], message: message.into() }
}

pub fn checked<T>(read: Checked<T>) -> Result<T, Refusal> {
    read.map(|(value, _)| value).map_err(|problems| {
        let errors = || problems.iter().filter(|problem| problem.severity == Severity::Error);
        Refusal {
            kinds: errors().map(|problem| format!("{:?}", problem.kind)).collect(),
            message: errors().map(|problem| problem.to_string()).collect::<Vec<_>>().join("; "),
        }
    })
}

impl From<TextError> for Refusal {
    fn from(error: TextError) -> Self {
        refusal("Text", error.to_string())
    }
}

impl From<InvalidName> for Refusal {
    fn from(error: InvalidName) -> Self {
        refusal("BadName", error.to_string())
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        refusal("WrongType", error.to_string())
    }
}

pub fn registry(of: &Value) -> Result<Registry, Refusal> {
    checked(Registry::from_value(of["registry"].clone()))
}

pub fn policy(of: &Value) -> Result<Policy, Refusal> {
    checked(Policy::from_value(of["policy"].clone()))
}

pub fn spec(of: &Value) -> Result<AgentSpec, Refusal> {
    checked(AgentSpec::from_value(of["spec"].clone()))
}

pub fn state(of: &Value) -> Result<State, Refusal> {
    checked(State::from_value(of["state"].clone()))
}

pub fn now(of: &Value) -> Result<f64, Refusal> {
    of["now_ts"].as_f64().ok_or_else(|| refusal("WrongType", "now_ts is no number"))
}

pub fn agent(of: &Value) -> Result<AgentName, Refusal> {
    Ok(AgentName::new(text(&of["agent_name"])?)?)
}

pub fn text(value: &Value) -> Result<&str, Refusal> {
    value.as_str().ok_or_else(|| refusal("WrongType", format!("{value} is no text")))
}

pub fn object(value: &Value) -> Result<&Map<String, Value>, Refusal> {
    value.as_object().ok_or_else(|| refusal("WrongType", format!("{value} is no mapping")))
}

/// Agents with what is known of each, whatever further keys stand there.
pub fn healths(value: &Value) -> Result<BTreeMap<AgentName, SnapshotHealth>, Refusal> {
    let mut healths = BTreeMap::new();
    for (agent, entry) in object(value)? {
        healths.insert(AgentName::new(agent.as_str())?, serde_json::from_value(entry.clone())?);
    }
    Ok(healths)
}

pub fn gateway(of: &Value, url: &str) -> GatewayAnswer {
    let Some(answer) = of["gateways"].get(url) else { return GatewayAnswer::default() };
    let status = answer[1].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
    GatewayAnswer { reachable: answer[0] == true, status }
}

pub fn command(of: &Value, line: &str) -> Execution {
    match of["commands"].get(line) {
        Some(answer) => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let code = answer[0].as_i64().and_then(|code| i32::try_from(code).ok()).unwrap_or(-1);
            Execution::of_command(code, text(&answer[1]), text(&answer[2]))
        }
        None => Execution::of_command(3, "inactive".to_owned(), String::new()),
    }
}

/// The snapshot as probing brings it, from the answers that `of` lists.
pub fn snapshot<'r>(registry: &'r Registry, of: &Value) -> Vec<SnapshotEntry<'r>> {
    let (hosts, units) = (LocalHosts::default(), UnitTemplate::default());
    let signals = |agent: &AgentName, spec: &AgentSpec| SnapshotSignals {
        gateway: spec.gateway().map(|url| gateway(of, url)),
        service_active: hosts
            .contains(spec.host_name())
            .then(|| command(of, &format!("systemctl is-active {}", units.unit(agent))).executed),
    };
    let fleet = registry.fleet.iter();
    fleet.map(|(agent, spec)| SnapshotEntry::new(registry, agent, spec, signals(agent, spec))).collect()
}
