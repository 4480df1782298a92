use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::pool::{AgentName, Health, Timestamp, Watch};

/// What the probes say of each agent: the newest committed snapshot, in memory because every
/// decision looks at it. The store has it too, for the next start.
#[derive(Debug, Default)]
pub struct Watches {
    by_agent: RwLock<BTreeMap<AgentName, Watch>>,
}

impl Watches {
    /// The watch over one agent.
    pub fn of(&self, agent: &AgentName) -> Option<Watch> {
        self.read().get(agent).cloned()
    }

    /// Its newest health; unknown if it was not probed yet.
    pub fn health_of(&self, agent: &AgentName) -> Health {
        self.of(agent).map_or_else(|| Health::Unknown("not probed yet".into()), |watch| watch.health)
    }

    /// Whether it is dead, given its timeout.
    pub fn is_dead(&self, agent: &AgentName, timeout: Duration) -> bool {
        self.read().get(agent).is_some_and(|watch| watch.is_dead(timeout))
    }

    /// Takes over what an earlier run or the script's state file knew.
    pub fn begin(&self, agent: AgentName, watch: Watch) {
        self.write().insert(agent, watch);
    }

    /// Takes in one look at `agent` that began at `begun`; one that is older than what is known
    /// already says nothing. `counted_at` is when it counts as made: a sweep counts as one moment.
    pub fn observe(
        &self,
        agent: &AgentName,
        health: Health,
        begun: Timestamp,
        counted_at: Timestamp,
        interval: Duration,
    ) {
        let mut all = self.write();
        let watch = all.entry(agent.clone()).or_insert_with(|| Watch::new(None, counted_at));
        if begun >= watch.probed_at {
            watch.observe(health, counted_at.max(watch.probed_at), interval);
        }
    }

    /// Begins all watches anew: what came before a gap or a jump says nothing about durations.
    pub fn break_off(&self) {
        for watch in self.write().values_mut() {
            watch.break_off();
        }
    }

    /// The wall clock jumped: what is known keeps its age.
    pub fn clock_jumped(&self, by_ms: i64) {
        let moved = |at: Timestamp| Timestamp::from_millis(at.as_millis().saturating_add(by_ms));
        for watch in self.write().values_mut() {
            // Ahead, the machine may have slept: then what was seen is as old as it looks.
            if by_ms < 0 {
                watch.probed_at = moved(watch.probed_at);
            }
            watch.last_healthy_at = watch.last_healthy_at.map(moved);
        }
    }

    /// Forgets agents that `keep` does not know; returns them.
    pub fn forget(&self, keep: impl Fn(&AgentName) -> bool) -> Vec<AgentName> {
        let mut all = self.write();
        let gone: Vec<AgentName> = all.keys().filter(|agent| !keep(agent)).cloned().collect();
        for agent in &gone {
            all.remove(agent);
        }
        gone
    }

    /// A copy of everything, by name.
    pub fn all(&self) -> Vec<(AgentName, Watch)> {
        self.read().iter().map(|(agent, watch)| (agent.clone(), watch.clone())).collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<AgentName, Watch>> {
        self.by_agent.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<AgentName, Watch>> {
        self.by_agent.write().unwrap_or_else(PoisonError::into_inner)
    }
}
