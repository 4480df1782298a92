use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::problem::Checked;
use super::shape::{At, Problems};
use super::snapshot::SnapshotHealth;

/// What is remembered of each agent between two runs: the reference's state file.
///
/// Times are seconds since the epoch as floating point numbers. Agents that left the fleet and
/// keys of unknown meaning stay for ever, as they stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct State(BTreeMap<String, Map<String, Value>>);

impl State {
    /// The state that `document` holds, or everything that is wrong with it.
    pub fn from_value(document: Value) -> Checked<Self> {
        let mut problems = Problems::default();
        let top = At::Top;
        let mut state = BTreeMap::new();
        for (agent, entry) in problems.object(top, Some(document)) {
            let at = top.key(&agent);
            let entry = problems.object(at, Some(entry));
            if let Some(last) = entry.get("last_healthy_at").filter(|last| !last.is_null() && !last.is_number()) {
                problems.time(at.key("last_healthy_at"), last);
            }
            state.insert(agent, entry);
        }
        problems.finish(Self(state))
    }

    /// When `agent` was last seen healthy, in seconds since the epoch; None if never.
    pub fn last_healthy_at(&self, agent: &str) -> Option<f64> {
        self.0.get(agent)?.get("last_healthy_at")?.as_f64()
    }

    /// Every agent that the file knows, with when it was last seen healthy.
    pub fn agents(&self) -> impl Iterator<Item = (&str, Option<f64>)> {
        self.0.keys().map(|agent| (agent.as_str(), self.last_healthy_at(agent)))
    }

    /// The state after a sweep at `now` (seconds since the epoch): whoever is healthy was seen
    /// healthy now, everybody else keeps the time of before.
    #[must_use]
    pub fn updated<'a>(mut self, sweep: impl IntoIterator<Item = (&'a str, &'a SnapshotHealth)>, now: f64) -> Self {
        for (agent, health) in sweep {
            if !self.0.contains_key(agent) {
                self.0.insert(agent.to_owned(), Map::new());
            }
            let Some(entry) = self.0.get_mut(agent) else { continue };
            entry.insert("last_checked_at".to_owned(), Value::from(now));
            let reasons = health.reasons.iter().map(|reason| Value::from(reason.as_str())).collect();
            entry.insert("last_reasons".to_owned(), Value::Array(reasons));
            if health.healthy {
                entry.insert("last_healthy_at".to_owned(), Value::from(now));
            } else if !entry.contains_key("last_healthy_at") {
                entry.insert("last_healthy_at".to_owned(), Value::Null);
            }
        }
        self
    }
}
