use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::name::{AgentName, MissionName};
use super::problem::{Checked, ProblemKind};
use super::registry::AgentSpec;
use super::shape::{At, Problems};

/// Seconds without a healthy probe after which an agent is dead, if nothing else is said.
const DEFAULT_TIMEOUT_SECONDS: i64 = 600;

/// What may be done about a dead agent without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is revived by itself.
    Yes,
    /// Nothing is done and nobody is asked.
    No,
    /// An approver decides.
    Ask,
}

impl Mode {
    /// The word as it stands in the policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Yes => "yes",
            Mode::No => "no",
            Mode::Ask => "ask",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the policy says at one place: for everybody, for a mission or for an agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    /// The mode, if this layer says one.
    pub mode: Option<Mode>,
    /// The agent's mission; read in `agents` only.
    pub mission: Option<MissionName>,
    /// The agent's dead timeout in whole seconds; read in `agents` only.
    pub dead_timeout_seconds: Option<i64>,
    /// Every key of the layer as it stands (a boolean mode spelt out), to be merged.
    pub keys: Map<String, Value>,
}

/// The policy, as `resurrection_pool.json` has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Seconds without a healthy probe after which an agent is dead. Zero and less mean: as soon as it is unhealthy.
    pub dead_timeout_seconds: i64,
    /// What holds unless a mission or an agent says otherwise.
    pub default_policy: Layer,
    /// What holds for the agents of a mission.
    pub missions: BTreeMap<MissionName, Layer>,
    /// What holds for one agent.
    pub agents: BTreeMap<AgentName, Layer>,
    /// Who may stand in for whom, best first.
    pub substitutions: BTreeMap<AgentName, Vec<AgentName>>,
    /// Who is asked, by channel, as it stands; read with [`Policy::channel_targets`].
    pub approval_channels: Map<String, Value>,
    /// Top-level keys that mean nothing here, as they stand.
    pub extra: Map<String, Value>,
    timeout_as_written: Value,
}

/// One entry of `approval_channels`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelTarget<'p> {
    /// The channel: `telegram`, `nostr`, …
    pub name: &'p str,
    /// Whether requests go there.
    pub enabled: bool,
    /// To whom, in the words of the gateway's own configuration, such as `ops-room`.
    pub target: Option<&'p str>,
}

/// What the policy comes to for one agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved<'p> {
    /// What may be done.
    pub mode: Mode,
    /// The mission at stake.
    pub mission: Cow<'p, MissionName>,
    layers: [Option<&'p Map<String, Value>>; 3],
}

impl Resolved<'_> {
    /// Every key of the three layers, the later ones winning, with the `mode` and `mission` in force.
    pub fn merged(&self) -> Map<String, Value> {
        let mut merged = Map::new();
        for layer in self.layers.into_iter().flatten() {
            merged.extend(layer.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        merged.insert("mode".to_owned(), Value::from(self.mode.as_str()));
        merged.insert("mission".to_owned(), Value::from(self.mission.as_str()));
        merged
    }
}

impl Default for Policy {
    /// What holds without any policy file: ask, after 600 s.
    fn default() -> Self {
        let keys = Map::from_iter([("mode".to_owned(), json!("ask"))]);
        Self {
            dead_timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
            default_policy: Layer { mode: Some(Mode::Ask), keys, ..Layer::default() },
            missions: BTreeMap::new(),
            agents: BTreeMap::new(),
            substitutions: BTreeMap::new(),
            approval_channels: Map::new(),
            extra: Map::new(),
            timeout_as_written: Value::from(DEFAULT_TIMEOUT_SECONDS),
        }
    }
}

impl Policy {
    /// The policy that `document` describes, absent keys filled in, or everything that is wrong with it.
    pub fn from_value(document: Value) -> Checked<Self> {
        let mut problems = Problems::default();
        let top = At::Top;
        let mut document = problems.object(top, Some(document));
        let mut policy = Self::default();

        if let Some(written) = document.remove("dead_timeout_seconds") {
            if let Some(seconds) = timeout(&mut problems, top.key("dead_timeout_seconds"), &written) {
                policy.dead_timeout_seconds = seconds;
            }
            policy.timeout_as_written = written;
        }
        if let Some(layer) = document.remove("default_policy") {
            policy.default_policy = Layer::read(&mut problems, top.key("default_policy"), layer, For::Everybody);
        }
        let at_missions = top.key("missions");
        for (name, layer) in problems.object(at_missions, document.remove("missions")) {
            let at = at_missions.key(&name);
            let layer = Layer::read(&mut problems, at, layer, For::Mission);
            policy.missions.extend(problems.name_of(at, name.clone()).map(|name| (name, layer)));
        }
        let at_agents = top.key("agents");
        for (name, layer) in problems.object(at_agents, document.remove("agents")) {
            let at = at_agents.key(&name);
            let layer = Layer::read(&mut problems, at, layer, For::Agent);
            policy.agents.extend(problems.name_of(at, name.clone()).map(|name| (name, layer)));
        }
        let at_substitutions = top.key("substitutions");
        for (name, candidates) in problems.object(at_substitutions, document.remove("substitutions")) {
            let at = at_substitutions.key(&name);
            let candidates = problems.names(at, Some(candidates));
            policy.substitutions.extend(problems.name_of(at, name.clone()).map(|name| (name, candidates)));
        }
        let at_channels = top.key("approval_channels");
        policy.approval_channels = problems.object(at_channels, document.remove("approval_channels"));
        for (name, channel) in &policy.approval_channels {
            check_channel(&mut problems, at_channels.key(name), channel);
        }
        problems.unknown(top, document.keys());
        policy.extra = document;
        problems.finish(policy)
    }

    /// What holds for `agent`: default, then its mission, then itself, key by key; `ask` if no layer says a mode.
    ///
    /// Its mission is the one that its entry under `agents` names, else the registry's, else its own name.
    pub fn resolve<'p>(&'p self, agent: &AgentName, spec: Option<&'p AgentSpec>) -> Resolved<'p> {
        let own = self.agents.get(agent);
        let named = own.and_then(|layer| layer.mission.as_ref()).or_else(|| spec?.mission.as_ref());
        let (mission, mission_layer) = match named {
            Some(mission) => (Cow::Borrowed(mission), self.missions.get(mission)),
            None => (Cow::Owned(MissionName::from(agent)), self.missions.get(agent.as_str())),
        };
        let layers = [Some(&self.default_policy), mission_layer, own];
        let mode = layers.iter().rev().flatten().find_map(|layer| layer.mode).unwrap_or(Mode::Ask);
        Resolved { mode, mission, layers: layers.map(|layer| layer.map(|layer| &layer.keys)) }
    }

    /// The dead timeout of `agent` in whole seconds: its own, else the general one.
    pub fn dead_timeout_seconds_of(&self, agent: &AgentName) -> i64 {
        let own = self.agents.get(agent).and_then(|layer| layer.dead_timeout_seconds);
        own.unwrap_or(self.dead_timeout_seconds)
    }

    /// Who may stand in for `agent`: first those that the policy names, then those of the registry, each once.
    pub fn candidates<'a>(&'a self, agent: &AgentName, spec: Option<&'a AgentSpec>) -> Vec<&'a AgentName> {
        let mut seen = BTreeSet::new();
        self.candidates_with_repeats(agent, spec).filter(|candidate| seen.insert(*candidate)).collect()
    }

    /// The same without the care for repeats, which does not matter to who comes first.
    pub(super) fn candidates_with_repeats<'a>(
        &'a self,
        agent: &AgentName,
        spec: Option<&'a AgentSpec>,
    ) -> impl Iterator<Item = &'a AgentName> {
        let listed = self.substitutions.get(agent).into_iter().flatten();
        listed.chain(spec.into_iter().flat_map(|spec| &spec.substitutes))
    }

    /// The entries of `approval_channels`, by name; one without `enabled` is off.
    pub fn channel_targets(&self) -> impl Iterator<Item = ChannelTarget<'_>> {
        self.approval_channels.iter().map(|(name, channel)| ChannelTarget {
            name,
            enabled: channel.get("enabled").and_then(Value::as_bool).unwrap_or(false),
            target: channel.get("target").and_then(Value::as_str),
        })
    }
}

impl Serialize for Policy {
    /// The document as it was read, absent keys filled in.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let layers = |layers: &mut dyn Iterator<Item = (String, &Layer)>| -> Map<String, Value> {
            layers.map(|(name, layer)| (name, Value::Object(layer.keys.clone()))).collect()
        };
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("dead_timeout_seconds", &self.timeout_as_written)?;
        map.serialize_entry("default_policy", &self.default_policy.keys)?;
        map.serialize_entry("missions", &layers(&mut self.missions.iter().map(|(k, v)| (k.to_string(), v))))?;
        map.serialize_entry("agents", &layers(&mut self.agents.iter().map(|(k, v)| (k.to_string(), v))))?;
        map.serialize_entry("substitutions", &self.substitutions)?;
        map.serialize_entry("approval_channels", &self.approval_channels)?;
        for (key, value) in &self.extra {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Whom a layer is for, which decides what it may say.
#[derive(Clone, Copy, PartialEq)]
enum For {
    Everybody,
    Mission,
    Agent,
}

impl Layer {
    fn read(problems: &mut Problems, at: At<'_>, document: Value, whom: For) -> Self {
        let mut keys = problems.object(at, Some(document));
        let mut layer = Self::default();
        if let Some(written) = keys.get_mut("mode") {
            layer.mode = mode(problems, at.key("mode"), written);
            // Whoever reads the merged policy finds one spelling.
            if let Some(mode) = layer.mode {
                *written = Value::from(mode.as_str());
            }
        }
        for (key, value) in &keys {
            match (key.as_str(), whom) {
                ("mode", _) => {}
                ("mission", For::Agent) => layer.mission = problems.name(at.key(key), Some(value.clone())),
                ("dead_timeout_seconds", For::Agent) => {
                    layer.dead_timeout_seconds = timeout(problems, at.key(key), value);
                }
                ("mission" | "dead_timeout_seconds", For::Everybody | For::Mission) => {
                    let message = "has no effect here; it is read under agents (and dead_timeout_seconds at the top)";
                    problems.warning(at.key(key), ProblemKind::IgnoredKey, message);
                }
                _ => problems.unknown(at, std::iter::once(key)),
            }
        }
        layer.keys = keys;
        layer
    }
}

/// A file that came through YAML 1.1 may hold `yes` and `no` as booleans: both spellings mean the same.
fn mode(problems: &mut Problems, at: At<'_>, written: &Value) -> Option<Mode> {
    let mode = match written {
        Value::Bool(true) => Some(Mode::Yes),
        Value::Bool(false) => Some(Mode::No),
        Value::String(word) => match word.as_str() {
            "yes" => Some(Mode::Yes),
            "no" => Some(Mode::No),
            "ask" => Some(Mode::Ask),
            _ => None,
        },
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    };
    if mode.is_none() {
        problems.error(at, ProblemKind::BadMode, format!("{written} is no mode; write \"yes\", \"no\" or \"ask\""));
    }
    mode
}

/// A number of seconds, cut towards zero.
fn timeout(problems: &mut Problems, at: At<'_>, written: &Value) -> Option<i64> {
    // 2^53: up to there seconds are exact in the reference's floating point numbers and in ours.
    const MOST: f64 = 9_007_199_254_740_992.0;
    match written.as_f64().map(f64::trunc).filter(|seconds| seconds.abs() <= MOST) {
        Some(seconds) => Some(seconds as i64),
        None => {
            let message = format!("{written} is no number of seconds; write one such as 600, without quotes");
            problems.error(at, ProblemKind::BadTimeout, message);
            None
        }
    }
}

fn check_channel(problems: &mut Problems, at: At<'_>, channel: &Value) {
    let Value::Object(channel) = channel else {
        problems.error(at, ProblemKind::WrongType, "must be a mapping such as {\"enabled\": true, \"target\": \"…\"}");
        return;
    };
    for (key, value) in channel {
        match (key.as_str(), value) {
            ("enabled", Value::Bool(_)) | ("target", Value::String(_) | Value::Null) => {}
            ("enabled", _) => problems.error(at.key(key), ProblemKind::WrongType, "must be true or false"),
            ("target", _) => problems.error(at.key(key), ProblemKind::WrongType, "must be a text (put it in quotes)"),
            _ => problems.unknown(at, std::iter::once(key)),
        }
    }
}
