use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::gate::HeartbeatRule;
use crate::config::spell_duration;
use crate::pool::{AgentName, Signal, Timestamp};

/// A longer end of being busy is kept at once; a slightly longer one can wait until it is more.
const KEPT_STEP: Duration = Duration::from_secs(5);

/// The agents' signs of life. In memory: a silence is counted anew from the start of the daemon. Only until when an
/// agent is busy is in the store as well, since being busy may last longer than a run of the daemon.
#[derive(Debug, Default)]
pub struct Heartbeats {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// When the door was opened, by the clock that never jumps.
    opened: Option<Duration>,
    by_agent: BTreeMap<AgentName, Pulse>,
}

#[derive(Debug, Default)]
struct Pulse {
    /// When its process was replaced, by the clock that never jumps: its silence counts from then.
    anew: Option<Duration>,
    /// The newest sign of life of this run, by the clock that never jumps.
    at: Option<Duration>,
    progress: Option<u64>,
    /// When its own count changed last.
    moved: Option<Duration>,
    busy_until: Option<Timestamp>,
    /// What of that the store knows.
    kept: Option<Timestamp>,
}

/// What is to be kept of a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing has changed that must survive.
    Nothing,
    /// Until when it is busy; none: it is not any more.
    Busy(Option<Timestamp>),
}

impl Heartbeats {
    /// From now on they can come.
    pub fn open(&self, elapsed: Duration) {
        self.lock().opened.get_or_insert(elapsed);
    }

    /// An earlier run was told that the agent is busy until then.
    pub fn remember_busy(&self, agent: AgentName, until: Timestamp) {
        let pulse = Pulse { busy_until: Some(until), kept: Some(until), ..Pulse::default() };
        self.lock().by_agent.entry(agent).or_insert(pulse);
    }

    /// The wall clock was set back: whoever is busy is so for no longer than before. Set forward, it leaves the
    /// moment that the agent has named.
    pub fn clock_set_back(&self, by: Duration) {
        for pulse in self.lock().by_agent.values_mut() {
            pulse.busy_until = pulse.busy_until.map(|until| until.minus(by));
            pulse.kept = pulse.kept.map(|until| until.minus(by));
        }
    }

    /// The agent's process is being replaced: what the old one said is not the new one's.
    pub fn forget(&self, agent: &AgentName, elapsed: Duration) {
        let pulse = Pulse { anew: Some(elapsed), ..Pulse::default() };
        self.lock().by_agent.insert(agent.clone(), pulse);
    }

    /// A sign of life of `agent`. Tells until when it is taken to be busy, and what is to be kept.
    pub fn beat(
        &self,
        agent: &AgentName,
        rule: &HeartbeatRule,
        (progress, busy_until): (Option<u64>, Option<Timestamp>),
        now: Timestamp,
        elapsed: Duration,
    ) -> (Option<Timestamp>, Keep) {
        let mut inner = self.lock();
        let pulse = inner.by_agent.entry(agent.clone()).or_default();
        pulse.at = Some(elapsed);
        if pulse.moved.is_none() || progress != pulse.progress {
            (pulse.progress, pulse.moved) = (progress, Some(elapsed));
        }
        pulse.busy_until = busy_until.filter(|until| *until > now).map(|until| until.min(now.plus(rule.busy_at_most)));
        let keep = match (pulse.busy_until, pulse.kept) {
            (Some(until), Some(kept)) if kept <= until && until.since(kept) < KEPT_STEP => Keep::Nothing,
            (None, None) => Keep::Nothing,
            (until, _) => Keep::Busy(until),
        };
        if let Keep::Busy(until) = keep {
            pulse.kept = until;
        }
        (pulse.busy_until, keep)
    }

    /// Until when the agent says to be busy, if that is not over.
    pub fn busy(&self, agent: &AgentName, now: Timestamp) -> Option<Timestamp> {
        self.lock().by_agent.get(agent).and_then(|pulse| pulse.busy_until).filter(|until| *until > now)
    }

    /// What the heartbeat says of the agent's health.
    pub fn signal(&self, agent: &AgentName, rule: &HeartbeatRule, now: Timestamp, elapsed: Duration) -> Signal {
        if self.busy(agent, now).is_some() {
            return Signal::Good;
        }
        let inner = self.lock();
        // What was not there to be heard says nothing (invariant 6).
        let Some(opened) = inner.opened else {
            return Signal::NoAnswer("the door for agents is not open, so no heartbeat can come".into());
        };
        let pulse = inner.by_agent.get(agent);
        let beat = pulse.and_then(|pulse| pulse.at);
        let anew = pulse.and_then(|pulse| pulse.anew).unwrap_or(opened);
        let silent = elapsed.saturating_sub(beat.unwrap_or(anew).max(opened));
        if silent > rule.within {
            return Signal::Bad(format!("no heartbeat for {}", spell_duration(whole_seconds(silent))));
        }
        let Some(moved) = beat.and(pulse.and_then(|pulse| pulse.moved)) else {
            return Signal::NoAnswer("no heartbeat has come since its process, or the gateway, was started".into());
        };
        let still = elapsed.saturating_sub(moved);
        match rule.stalled_after {
            Some(after) if still > after => {
                Signal::Bad(format!("its progress stands still for {}", spell_duration(whole_seconds(still))))
            }
            Some(_) | None => Signal::Good,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn whole_seconds(length: Duration) -> Duration {
    if length.as_secs() == 0 { length } else { Duration::from_secs(length.as_secs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: HeartbeatRule = HeartbeatRule {
        within: Duration::from_secs(90),
        busy_at_most: Duration::from_secs(3600),
        stalled_after: Some(Duration::from_secs(600)),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ada() -> AgentName {
        AgentName::new("ada").unwrap()
    }

    fn says(beats: &Heartbeats, second: u64) -> Signal {
        beats.signal(&ada(), &RULE, at(second as i64), secs(second))
    }

    fn beat(beats: &Heartbeats, second: u64, progress: u64, busy: Option<i64>) -> (Option<Timestamp>, Keep) {
        beats.beat(&ada(), &RULE, (Some(progress), busy.map(at)), at(second as i64), secs(second))
    }

    #[test]
    fn what_cannot_be_heard_says_nothing_and_a_silence_counts_from_the_opening() {
        let beats = Heartbeats::default();
        assert!(matches!(says(&beats, 1000), Signal::NoAnswer(_)));
        beats.open(secs(1000));
        assert!(matches!(says(&beats, 1090), Signal::NoAnswer(_)));
        assert_eq!(says(&beats, 1091), Signal::Bad("no heartbeat for 1m 31s".into()));
        beat(&beats, 1100, 1, None);
        assert_eq!(says(&beats, 1190), Signal::Good);
        assert!(matches!(says(&beats, 1191), Signal::Bad(_)));
    }

    #[test]
    fn who_counts_on_and_gets_nowhere_is_not_well() {
        let beats = Heartbeats::default();
        beats.open(secs(0));
        for second in (0..=660).step_by(60) {
            beat(&beats, second, 7, None);
        }
        assert_eq!(says(&beats, 600), Signal::Good);
        assert_eq!(says(&beats, 660), Signal::Bad("its progress stands still for 11m".into()));
        beat(&beats, 670, 8, None);
        assert_eq!(says(&beats, 680), Signal::Good);
    }

    #[test]
    fn who_is_busy_is_well_until_then_and_no_longer_than_is_allowed() {
        let beats = Heartbeats::default();
        beats.open(secs(0));
        assert_eq!(beat(&beats, 10, 1, Some(1010)), (Some(at(1010)), Keep::Busy(Some(at(1010)))));
        assert_eq!(says(&beats, 1009), Signal::Good);
        assert!(matches!(says(&beats, 1010), Signal::Bad(_)));
        assert_eq!(beat(&beats, 1010, 1, Some(1_000_000)).0, Some(at(4610)), "an hour at most");
        assert_eq!(beat(&beats, 1011, 1, None), (None, Keep::Busy(None)), "it is busy no more");
        assert_eq!(beat(&beats, 1012, 1, Some(900)), (None, Keep::Nothing), "what is past is not busy");
    }

    #[test]
    fn saying_the_same_again_writes_nothing() {
        let beats = Heartbeats::default();
        beats.open(secs(0));
        beat(&beats, 10, 1, Some(1000));
        assert_eq!(beat(&beats, 20, 2, Some(1000)).1, Keep::Nothing);
        assert_eq!(beat(&beats, 20, 2, Some(1004)).1, Keep::Nothing);
        assert_eq!(beat(&beats, 20, 2, Some(1005)).1, Keep::Busy(Some(at(1005))));
        assert_eq!(beat(&beats, 20, 2, Some(900)).1, Keep::Busy(Some(at(900))));
    }

    #[test]
    fn what_the_replaced_process_said_is_not_the_new_ones() {
        let beats = Heartbeats::default();
        beats.open(secs(0));
        beat(&beats, 10, 7, Some(3000));
        beats.forget(&ada(), secs(1000));
        assert_eq!(beats.busy(&ada(), at(1001)), None);
        assert!(matches!(says(&beats, 1090), Signal::NoAnswer(_)), "it has its time to come up");
        assert!(matches!(says(&beats, 1091), Signal::Bad(_)));
        assert_eq!(
            beat(&beats, 1092, 7, Some(2000)).1,
            Keep::Busy(Some(at(2000))),
            "the store was told to forget, too"
        );
    }

    #[test]
    fn whoever_is_busy_is_so_no_longer_in_a_clock_that_was_set_back() {
        let beats = Heartbeats::default();
        beats.remember_busy(ada(), at(90_500));
        beats.clock_set_back(secs(86_400));
        assert_eq!(beats.busy(&ada(), at(4_000)), Some(at(4_100)));
        assert_eq!(beats.busy(&ada(), at(4_100)), None);
    }

    #[test]
    fn a_restart_of_the_gateway_does_not_forget_who_is_busy() {
        let beats = Heartbeats::default();
        beats.remember_busy(ada(), at(500));
        beats.open(secs(0));
        assert_eq!(beats.signal(&ada(), &RULE, at(400), secs(300)), Signal::Good);
        assert!(matches!(beats.signal(&ada(), &RULE, at(500), secs(400)), Signal::Bad(_)));
    }
}
