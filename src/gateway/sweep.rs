//! Probes the fleet on a schedule, never two sweeps at once, and notices when the schedule was broken.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::status::SweepState;
use super::{Gateway, TaskName, jump, speak, verify};
use crate::pool::{AgentName, Health, Watch};
use crate::probe::Target;
use crate::store::agents::{AgentRow, REFRESH, Written};
use crate::store::{self, StoreError};
use crate::wording::Alarm;

/// A gap of more intervals than this breaks the watch.
const GAP_INTERVALS: u32 = 3;

/// What the sweep remembers between two of them.
pub struct Sweeping {
    written: Mutex<Written>,
    /// When the last sweep began, on the clock that never jumps.
    last: Mutex<Option<Duration>>,
}

impl Sweeping {
    /// The store holds `rows`.
    pub fn new(rows: &[AgentRow]) -> Self {
        Self { written: Mutex::new(Written::new(rows)), last: Mutex::new(None) }
    }

    /// One sweep: probe, judge, remember, commit.
    pub async fn step(&self, gateway: &Arc<Gateway>, late: Duration) -> Result<SweepState, StoreError> {
        jump::notice(gateway).await?;
        self.notice_gap(gateway).await;
        let in_force = gateway.in_force();
        let interval = in_force.config.gate.schedule.interval;
        let targets: Vec<Target> = in_force.members().map(|(_, member)| member.target.clone()).collect();
        let (begun, from) = (gateway.clock.now(), gateway.clock.elapsed());
        let seen = gateway.sweeper.sweep(&targets).await;
        let agents = seen.len();
        // If the clock was set back meanwhile, a look must not lie ahead of it: all later ones would be older.
        let now = gateway.clock.now();
        for (agent, seen) in seen {
            let Some(member) = in_force.member(&agent) else { continue };
            let looked = seen.begun;
            let health = verify::signals(gateway, &agent, seen, member.provider).health();
            gateway.watches.observe(&agent, health, looked.min(now), begun.min(now), interval);
        }
        let gone = gateway.watches.forget(|agent| in_force.member(agent).is_some());
        self.remember(gateway, &gone, REFRESH).await?;
        let ended = gateway.clock.elapsed();
        let took = ended.saturating_sub(from);
        let state = SweepState { begun, ended, late, took, agents };
        gateway.status.swept(state);
        self.judge(gateway, state).await?;
        Ok(state)
    }

    /// Writes what has changed, or everything at a clean stop (`refresh` of zero).
    pub async fn remember(
        &self,
        gateway: &Arc<Gateway>,
        gone: &[AgentName],
        refresh: Duration,
    ) -> Result<(), StoreError> {
        let rows: Vec<AgentRow> = gateway.watches.all().into_iter().map(|(agent, watch)| row(agent, &watch)).collect();
        fail_point!("sweep.before_remembered");
        let mut written = self.written.lock().await;
        let due: Vec<AgentRow> = match refresh {
            Duration::ZERO => written.all(&rows),
            refresh => written.due(&rows, refresh),
        }
        .into_iter()
        .cloned()
        .collect();
        for slice in due.chunks(store::SLICE as usize) {
            let rows = slice.to_vec();
            gateway.store.write(move |tx| Box::pin(async move { store::agents::record(tx, &rows).await })).await?;
        }
        written.note(&due);
        if !gone.is_empty() {
            let agents = gone.to_vec();
            gateway.store.write(move |tx| Box::pin(async move { store::agents::forget(tx, &agents).await })).await?;
            written.forget(gone);
        }
        fail_point!("sweep.after_remembered");
        Ok(())
    }

    /// After a gap in the schedule, what came before says nothing about how long a state has lasted.
    async fn notice_gap(&self, gateway: &Arc<Gateway>) {
        let now = gateway.clock.elapsed();
        let before = self.last.lock().await.replace(now);
        let interval = gateway.in_force().config.gate.schedule.interval;
        if before.is_some_and(|before| now.saturating_sub(before) > interval * GAP_INTERVALS) {
            gateway.watches.break_off();
        }
    }

    /// What of a sweep people should know: it was late, or agents have not answered for too long.
    async fn judge(&self, gateway: &Arc<Gateway>, state: SweepState) -> Result<(), StoreError> {
        let in_force = gateway.in_force();
        let interval = in_force.config.gate.schedule.interval;
        if state.late > interval {
            let alarm = Alarm::SweepLate { by: state.late };
            if gateway.status.raise("sweep_late", alarm.clone(), state.begun) {
                speak::raise(gateway, alarm).await?;
            }
        } else {
            gateway.status.settle("sweep_late");
        }
        let mut silent: std::collections::BTreeMap<String, u32> = Default::default();
        for (agent, watch) in gateway.watches.all() {
            let Some(member) = in_force.member(&agent) else { continue };
            // Whoever says that it is busy is expected not to answer.
            if gateway.heartbeats.busy(&agent, state.begun).is_some() {
                continue;
            }
            let too_long = watch.unknown_since.is_some_and(|since| state.begun.since(since) >= member.timeout);
            if let (Health::Unknown(why), true) = (&watch.health, too_long) {
                *silent.entry(why.clone()).or_default() += 1;
            }
        }
        for (_, alarm) in gateway.status.alarms() {
            if let Alarm::UnknownTooLong { cause, .. } = alarm
                && !silent.contains_key(&cause)
            {
                gateway.status.settle(&format!("unknown: {cause}"));
            }
        }
        for (cause, agents) in silent {
            let alarm = Alarm::UnknownTooLong { cause: cause.clone(), agents };
            if gateway.status.raise(format!("unknown: {cause}"), alarm.clone(), state.begun) {
                speak::raise(gateway, alarm).await?;
            }
        }
        Ok(())
    }

    /// Runs until the daemon stops; the first sweep was made by the start.
    pub async fn run(self: Arc<Self>, gateway: Arc<Gateway>, heartbeat: super::heartbeat::Heartbeat) {
        let mut due = gateway.clock.elapsed();
        loop {
            let schedule = &gateway.in_force().config.gate.schedule;
            // Only ever later: two probes of an agent must be an interval apart to count as two.
            due = due.max(gateway.clock.elapsed().saturating_sub(schedule.interval))
                + schedule.interval.mul_f64(1.0 + schedule.jitter * gateway.ids.share());
            tokio::select! {
                () = tokio::time::sleep(due.saturating_sub(gateway.clock.elapsed())) => {}
                () = gateway.bells.stopped() => return,
            }
            let started = gateway.clock.elapsed();
            match self.step(&gateway, started.saturating_sub(due)).await {
                Ok(state) => {
                    gateway.bells.plan.notify_one();
                    let says = format!("{} agents in {} ms", state.agents, state.took.as_millis());
                    gateway.status.task(TaskName::Sweep, true, says, state.begun);
                    heartbeat.beat(&gateway).await;
                }
                Err(error) => {
                    let says = super::inbox::chain(&error);
                    tracing::error!(error = says, "a sweep could not be recorded");
                    gateway.status.task(TaskName::Sweep, false, says, gateway.clock.now());
                }
            }
            due = started;
        }
    }
}

fn row(agent: AgentName, watch: &Watch) -> AgentRow {
    let health = match watch.health {
        Health::Healthy => store::agents::Health::Healthy,
        Health::Unhealthy(_) => store::agents::Health::Unhealthy,
        Health::Unknown(_) => store::agents::Health::Unknown,
        Health::Unobservable => store::agents::Health::Unobservable,
    };
    AgentRow {
        agent,
        observed_at: watch.probed_at,
        last_healthy_at: watch.last_healthy_at,
        healthy_since: watch.healthy_since,
        health,
        body: serde_json::json!({ "v": 1, "health": watch.health }).to_string(),
    }
}
