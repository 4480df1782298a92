use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::name::{AgentName, HostName, MissionName};
use super::policy::Policy;
use super::problem::{Checked, Problem, ProblemKind};
use super::shape::{At, Problems};

/// The fleet and its providers, as `lazarus-registry.yaml` has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    /// Every agent, by name, in the order of code points.
    pub fleet: BTreeMap<AgentName, AgentSpec>,
    /// `provider_health_matrix`: what is known of each provider.
    pub providers: BTreeMap<String, Provider>,
    /// Top-level keys that mean nothing here, as they stand.
    pub extra: Map<String, Value>,
}

/// One agent of the fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentSpec {
    /// The host as written. None and empty text mean this machine; anything else passed the check of [`HostName`].
    pub host: Option<String>,
    /// `health_endpoints.gateway` as written. None and empty text mean that there is no gateway to probe.
    pub gateway_url: Option<String>,
    /// `primary.provider`.
    pub provider: Option<String>,
    /// `primary.model` as written: a text, or a number such as `4.1`.
    pub model: Value,
    /// The mission it serves unless the policy names another one.
    pub mission: Option<MissionName>,
    /// Who may stand in for it, best first, after those that the policy names.
    pub substitutes: Vec<AgentName>,
    /// Keys that mean nothing here, as they stand.
    pub extra: Map<String, Value>,
}

/// One entry of the provider matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provider {
    /// `status` as written, if there is one; only the texts `dead` and `degraded` matter.
    pub status: Option<Value>,
}

impl Registry {
    /// The registry that `document` describes, or everything that is wrong with it.
    ///
    /// A document that holds nothing (an empty file, `~`, `false`) is an empty registry, with a
    /// warning of kind [`ProblemKind::EmptyDocument`]: half-written files look like that too.
    pub fn from_value(document: Value) -> Checked<Self> {
        let mut problems = Problems::default();
        let top = At::Top;
        if is_falsy(&document) {
            problems.warning(top, ProblemKind::EmptyDocument, "the registry is empty: there is nobody to watch");
            return problems.finish(Self::default());
        }
        let mut document = problems.object(top, Some(document));

        let mut fleet = BTreeMap::new();
        let at_fleet = top.key("fleet");
        for (name, spec) in problems.object(at_fleet, document.remove("fleet")) {
            let at = at_fleet.key(&name);
            let spec = AgentSpec::read(&mut problems, at, spec);
            if let Some(name) = problems.name_of(at, name.clone()) {
                fleet.insert(name, spec);
            }
        }

        let mut providers = BTreeMap::new();
        let at_matrix = top.key("provider_health_matrix");
        for (name, entry) in problems.object(at_matrix, document.remove("provider_health_matrix")) {
            let at = at_matrix.key(&name);
            let mut entry = problems.object(at, Some(entry));
            let status = entry.remove("status").map(|status| problems.scalar(at.key("status"), Some(status)));
            providers.insert(name, Provider { status });
        }

        problems.unknown(top, document.keys());
        problems.finish(Self { fleet, providers, extra: document })
    }

    /// The status of the agent's primary provider, as the matrix has it: `unknown` if nothing is said.
    pub fn provider_status(&self, spec: &AgentSpec) -> Value {
        let known = spec.provider.as_deref().and_then(|name| self.providers.get(name));
        known.and_then(|provider| provider.status.clone()).unwrap_or_else(|| Value::from("unknown"))
    }
}

impl AgentSpec {
    /// The spec that stands alone in `document`, without the rest of the registry.
    pub fn from_value(document: Value) -> Checked<Self> {
        let mut problems = Problems::default();
        let spec = Self::read(&mut problems, At::Top, document);
        problems.finish(spec)
    }

    /// The host that commands for this agent must name; None for this machine.
    pub fn host_name(&self) -> Option<&str> {
        self.host.as_deref().filter(|host| !host.is_empty())
    }

    /// The gateway to probe, if there is one.
    pub fn gateway(&self) -> Option<&str> {
        self.gateway_url.as_deref().filter(|url| !url.is_empty())
    }

    fn read(problems: &mut Problems, at: At<'_>, document: Value) -> Self {
        let mut spec = problems.object(at, Some(document));
        let host = problems.text(at.key("host"), spec.remove("host"));
        if let Some(Err(invalid)) = host.as_deref().filter(|host| !host.is_empty()).map(check_host) {
            problems.error(at.key("host"), ProblemKind::BadName, format!("cannot be a host: {invalid}"));
        }
        let at_endpoints = at.key("health_endpoints");
        // Other endpoints than the gateway are free to stand there: they are for other programs.
        let mut endpoints = problems.object(at_endpoints, spec.remove("health_endpoints"));
        let gateway_url = problems.text(at_endpoints.key("gateway"), endpoints.remove("gateway"));

        let at_primary = at.key("primary");
        let mut primary = problems.object(at_primary, spec.remove("primary"));
        let provider = problems.text(at_primary.key("provider"), primary.remove("provider"));
        let model = problems.scalar(at_primary.key("model"), primary.remove("model"));
        problems.unknown(at_primary, primary.keys());

        let mission = problems.name(at.key("mission"), spec.remove("mission"));
        let substitutes = problems.names(at.key("substitutes"), spec.remove("substitutes"));
        problems.unknown(at, spec.keys());
        Self { host, gateway_url, provider, model, mission, substitutes, extra: spec }
    }
}

fn check_host(host: &str) -> Result<(), super::name::InvalidName> {
    HostName::new(host).map(|_| ())
}

/// Null, false, zero, and empty text, list or mapping: what an empty file amounts to.
fn is_falsy(document: &Value) -> bool {
    match document {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Names of agents that the fleet does not have: in the registry's own `substitutes`, and in the
/// policy's `agents` and `substitutions`. Warnings, since files in use hold leftovers of agents that went.
pub fn dangling_names(registry: &Registry, policy: &Policy) -> (Vec<Problem>, Vec<Problem>) {
    const MESSAGE: &str = "no agent of the fleet has this name";
    let fleet: HashSet<&str> = registry.fleet.keys().map(AgentName::as_str).collect();
    let known = |name: &AgentName| fleet.contains(name.as_str());
    let (mut in_registry, mut in_policy) = (Problems::default(), Problems::default());
    let top = At::Top;
    for (name, spec) in &registry.fleet {
        let at = top.key("fleet");
        let at = at.key(name.as_str());
        let at = at.key("substitutes");
        for (index, candidate) in spec.substitutes.iter().enumerate().filter(|(_, name)| !known(name)) {
            let message = format!("{candidate}: {MESSAGE}");
            in_registry.warning(At::Index(&at, index), ProblemKind::DanglingName, message);
        }
    }
    for name in policy.agents.keys().filter(|name| !known(name)) {
        in_policy.warning(top.key("agents").key(name.as_str()), ProblemKind::DanglingName, MESSAGE);
    }
    for (name, candidates) in &policy.substitutions {
        let at = top.key("substitutions");
        let at = at.key(name.as_str());
        if !known(name) {
            in_policy.warning(at, ProblemKind::DanglingName, MESSAGE);
        }
        for (index, candidate) in candidates.iter().enumerate().filter(|(_, name)| !known(name)) {
            let message = format!("{candidate}: {MESSAGE}");
            in_policy.warning(At::Index(&at, index), ProblemKind::DanglingName, message);
        }
    }
    (in_registry.into_vec(), in_policy.into_vec())
}
