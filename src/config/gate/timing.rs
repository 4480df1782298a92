use std::time::Duration;

use crate::config::section::Section;
use crate::config::words::spell_duration;

/// How long everything but the probes takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long an agent must be healthy before its incident closes.
    pub healthy_for: Duration,
    /// How long a request can be answered, from its first confirmed delivery.
    pub approval_ttl: Duration,
    /// How long after an expired request people are asked anew; doubles each time.
    pub reask_after: Duration,
    /// Up to which wait that doubles.
    pub reask_max: Duration,
    /// For how long a request can be snoozed at most.
    pub snooze_max: Duration,
    /// Between the two healthy probes that verify a restart, at least.
    pub verify_gap: Duration,
    /// How long after a command an agent may take to come back.
    pub verify_for: Duration,
    /// How long the probe right before an execution may take.
    pub recheck_deadline: Duration,
    /// An execution that has been ready for longer is called off.
    pub ready_max_age: Duration,
    /// Waits after the first, second, … failed attempt under `yes`; then `yes` becomes `ask`.
    pub back_off: Vec<Duration>,
    /// For how long after a start pending requests can be answered at least.
    pub start_grace: Duration,
    /// How long past its timeout a command may stay unsettled before it is an alarm.
    pub unsettled_alarm: Duration,
    /// How long a stopping daemon may take.
    pub drain: Duration,
    /// How often a task looks for work although nobody nudged it.
    pub idle_tick: Duration,
    /// How often the files are looked at for changes.
    pub reload_check: Duration,
    /// How long the command line tries to get back to a daemon that went away.
    pub reconnect: Duration,
}

const MS: Duration = Duration::from_millis(1);
const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Timing {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let zero = Duration::ZERO;
        let timing = Self {
            healthy_for: section.duration("healthy_for", secs(60), zero),
            approval_ttl: section.duration("approval_ttl", secs(HOUR), MS),
            reask_after: section.duration("reask_after", secs(15 * MINUTE), MS),
            reask_max: section.duration("reask_max", secs(DAY), MS),
            snooze_max: section.duration("snooze_max", secs(DAY), MS),
            verify_gap: section.duration("verify_gap", secs(5), MS),
            verify_for: section.duration("verify_for", secs(2 * MINUTE), MS),
            recheck_deadline: section.duration("recheck_deadline", secs(2), MS),
            ready_max_age: section.duration("ready_max_age", secs(5 * MINUTE), MS),
            back_off: section.durations("back_off", &[secs(MINUTE), secs(5 * MINUTE), secs(15 * MINUTE)], MS),
            start_grace: section.duration("start_grace", secs(10 * MINUTE), zero),
            unsettled_alarm: section.duration("unsettled_alarm", secs(30), MS),
            drain: section.duration("drain", secs(10), MS),
            idle_tick: section.duration("idle_tick", secs(1), MS),
            reload_check: section.duration("reload_check", secs(5), MS),
            reconnect: section.duration("reconnect", secs(15), zero),
        };
        timing.check(&section);
        section.finish();
        timing
    }

    fn check(&self, section: &Section<'_>) {
        if self.reask_max < self.reask_after {
            let (max, after) = (spell_duration(self.reask_max), spell_duration(self.reask_after));
            let said = format!("{max} is shorter than `reask_after` ({after}); write at least {after}");
            section.error("reask_max", said);
        }
        if self.verify_for < self.verify_gap {
            let (whole, gap) = (spell_duration(self.verify_for), spell_duration(self.verify_gap));
            let said = format!(
                "{whole} is shorter than `verify_gap` ({gap}), so nothing could be verified; write more than {gap}"
            );
            section.error("verify_for", said);
        }
    }
}

/// How long what is done with is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Raw inputs that were handled; the evidence of decisions stays.
    pub inputs: Duration,
    /// Run files, after the final state of their execution was committed.
    pub runs: Duration,
    /// For how long a code is not given a second time, and late taps are told what was decided.
    pub codes: Duration,
}

impl Retention {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let retention = Self {
            inputs: section.duration("inputs", secs(30 * DAY), MS),
            runs: section.duration("runs", secs(DAY), MS),
            codes: section.duration("codes", secs(30 * DAY), MS),
        };
        section.finish();
        retention
    }
}
