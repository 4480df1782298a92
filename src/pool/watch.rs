//! When an agent counts as dead.
//!
//! The reference calls an agent dead as soon as one probe is bad and its last healthy one lies
//! long enough back, or it was never seen healthy. A daemon that did so would act on its first
//! sweep, after a suspended laptop woke, or when somebody set the clock. So here an agent is dead
//! only after at least two unhealthy probes, an interval apart, in an unbroken watch: since the
//! daemon's start, the last gap in the schedule and the last jump of the wall clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Health, Timestamp};

/// What is known of one agent's health over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The newest probe's word.
    pub health: Health,
    /// When that probe began.
    pub probed_at: Timestamp,
    /// When it was last seen healthy; none: never.
    pub last_healthy_at: Option<Timestamp>,
    /// Since when every probe was healthy, if the newest is.
    pub healthy_since: Option<Timestamp>,
    /// Since when there is no answer, if the newest has none.
    pub unknown_since: Option<Timestamp>,
    /// Unhealthy probes in an unbroken watch, an interval apart each; forgotten at a restart.
    #[serde(skip)]
    bad_probes: u32,
    /// When the last of those began.
    #[serde(skip)]
    bad_at: Option<Timestamp>,
}

impl Watch {
    /// An agent that was never probed; `last_healthy_at` as an imported state file knows it.
    pub fn new(last_healthy_at: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            health: Health::Unknown("not probed yet".into()),
            probed_at: now,
            last_healthy_at,
            healthy_since: None,
            unknown_since: None,
            bad_probes: 0,
            bad_at: None,
        }
    }

    /// Begins the watch anew: after a gap in the schedule or a jump of the wall clock, what came
    /// before says nothing about how long a state has lasted.
    pub fn break_off(&mut self) {
        self.bad_probes = 0;
        self.bad_at = None;
        self.healthy_since = None;
        self.unknown_since = None;
    }

    /// Takes in a probe that began at `probed_at`, in a schedule of one probe an `interval`.
    pub fn observe(&mut self, health: Health, probed_at: Timestamp, interval: Duration) {
        match &health {
            Health::Healthy => {
                self.last_healthy_at = Some(probed_at);
                self.healthy_since = self.healthy_since.or(Some(probed_at));
                self.unknown_since = None;
                (self.bad_probes, self.bad_at) = (0, None);
            }
            Health::Unhealthy(_) => {
                self.healthy_since = None;
                self.unknown_since = None;
                if self.bad_at.is_none_or(|before| probed_at >= before.plus(interval)) {
                    self.bad_probes = self.bad_probes.saturating_add(1);
                    self.bad_at = Some(probed_at);
                }
            }
            // Unknown is no evidence either way: an unhealthy series neither grows nor ends by it.
            Health::Unknown(_) | Health::Unobservable => {
                self.healthy_since = None;
                self.unknown_since = self.unknown_since.or(Some(probed_at));
            }
        }
        self.health = health;
        self.probed_at = probed_at;
    }

    /// Whether it is dead at the newest probe, given its `dead_timeout_seconds`.
    pub fn is_dead(&self, timeout: Duration) -> bool {
        matches!(self.health, Health::Unhealthy(_))
            && self.bad_probes >= 2
            && self.last_healthy_at.is_none_or(|seen| self.probed_at.since(seen) >= timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Reason;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn bad() -> Health {
        Health::Unhealthy(vec![Reason::GatewayUnreachable])
    }

    #[test]
    fn dead_needs_two_bad_probes_an_interval_apart_and_the_timeout() {
        let minute = Duration::from_secs(60);
        let mut watch = Watch::new(None, at(0));
        watch.observe(Health::Healthy, at(0), INTERVAL);
        watch.observe(bad(), at(30), INTERVAL);
        assert!(!watch.is_dead(Duration::ZERO), "one bad probe is not enough, even with a timeout of 0");
        watch.observe(bad(), at(40), INTERVAL);
        assert!(!watch.is_dead(Duration::ZERO), "a second one too soon does not count");
        watch.observe(bad(), at(60), INTERVAL);
        assert!(watch.is_dead(Duration::ZERO));
        assert!(watch.is_dead(minute), "exactly the timeout is dead");
        assert!(!watch.is_dead(minute + Duration::from_millis(1)));
    }

    #[test]
    fn never_seen_healthy_is_dead_at_the_second_probe() {
        let mut watch = Watch::new(None, at(0));
        watch.observe(bad(), at(0), INTERVAL);
        assert!(!watch.is_dead(Duration::from_secs(600)), "the first sweep never acts");
        watch.observe(bad(), at(30), INTERVAL);
        assert!(watch.is_dead(Duration::from_secs(600)));
    }

    #[test]
    fn a_gap_or_a_jump_asks_for_two_more_probes() {
        let mut watch = Watch::new(Some(at(0)), at(0));
        watch.observe(bad(), at(30), INTERVAL);
        watch.break_off();
        watch.observe(bad(), at(7200), INTERVAL);
        assert!(!watch.is_dead(Duration::from_secs(600)), "two hours of sleep are no two hours of death");
        watch.observe(bad(), at(7230), INTERVAL);
        assert!(watch.is_dead(Duration::from_secs(600)));
    }

    #[test]
    fn a_clock_that_went_back_makes_nobody_dead() {
        let mut watch = Watch::new(Some(at(7200)), at(0));
        watch.observe(bad(), at(0), INTERVAL);
        watch.observe(bad(), at(30), INTERVAL);
        assert!(!watch.is_dead(Duration::from_secs(1)));
    }

    #[test]
    fn unknown_neither_grows_nor_ends_a_series() {
        let mut watch = Watch::new(None, at(0));
        watch.observe(bad(), at(0), INTERVAL);
        watch.observe(Health::Unknown("no answer".into()), at(30), INTERVAL);
        assert!(!watch.is_dead(Duration::ZERO));
        assert_eq!(watch.unknown_since, Some(at(30)));
        watch.observe(bad(), at(60), INTERVAL);
        assert!(watch.is_dead(Duration::ZERO));
        assert_eq!(watch.unknown_since, None);
    }
}
