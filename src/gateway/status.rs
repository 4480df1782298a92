use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::pool::Timestamp;
use crate::wording::Alarm;

/// The daemon's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskName {
    /// Probes the fleet.
    Sweep,
    /// Plans every open case.
    Plan,
    /// Works the inbox off.
    Inbox,
    /// Carries executions out and verifies them.
    Revive,
    /// Sends what is due.
    Deliver,
    /// Watches the files.
    Reload,
    /// Ends the handoffs that nobody answered.
    Missions,
    /// Deletes what is no longer needed.
    Retention,
}

impl TaskName {
    /// All of them, in the order in which `status` shows them.
    pub const ALL: [Self; 8] = [
        Self::Sweep,
        Self::Plan,
        Self::Inbox,
        Self::Revive,
        Self::Deliver,
        Self::Reload,
        Self::Missions,
        Self::Retention,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Plan => "plan",
            Self::Inbox => "inbox",
            Self::Revive => "revive",
            Self::Deliver => "deliver",
            Self::Reload => "reload",
            Self::Missions => "missions",
            Self::Retention => "retention",
        }
    }
}

/// What a task did last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskState {
    /// Whether that went well.
    pub ok: bool,
    /// In one line.
    pub says: String,
    /// When.
    pub at: Timestamp,
}

/// The last sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepState {
    /// When it began.
    pub begun: Timestamp,
    /// When it ended, on the clock that never jumps.
    pub ended: Duration,
    /// How much later than due that was.
    pub late: Duration,
    /// How long it took.
    pub took: Duration,
    /// How many agents it looked at.
    pub agents: usize,
}

/// How the daemon is; what the CLI, the dashboard and the metrics show.
#[derive(Debug)]
pub struct Status {
    /// When it was started.
    pub started_at: Timestamp,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    tasks: BTreeMap<TaskName, TaskState>,
    sweep: Option<SweepState>,
    stale_config: Option<String>,
    alarms: BTreeMap<String, (Timestamp, Alarm)>,
}

impl Status {
    /// Of a daemon that has just started.
    pub fn new(now: Timestamp) -> Self {
        Self { started_at: now, inner: Mutex::default() }
    }

    /// A task has done something, or failed to.
    pub fn task(&self, task: TaskName, ok: bool, says: impl Into<String>, at: Timestamp) {
        self.lock().tasks.insert(task, TaskState { ok, says: says.into(), at });
    }

    /// What the tasks did last.
    pub fn tasks(&self) -> Vec<(TaskName, Option<TaskState>)> {
        let inner = self.lock();
        TaskName::ALL.into_iter().map(|task| (task, inner.tasks.get(&task).cloned())).collect()
    }

    /// A sweep ended.
    pub fn swept(&self, sweep: SweepState) {
        self.lock().sweep = Some(sweep);
    }

    /// The last sweep.
    pub fn sweep(&self) -> Option<SweepState> {
        self.lock().sweep
    }

    /// The files have an error and are not in force; none: they are.
    pub fn set_stale_config(&self, error: Option<String>) {
        self.lock().stale_config = error;
    }

    /// That error.
    pub fn stale_config(&self) -> Option<String> {
        self.lock().stale_config.clone()
    }

    /// Something people should look at lasts, under a key that tells one cause from another.
    /// Tells whether it is new: an alarm is told once, not at each tick.
    pub fn raise(&self, cause: impl Into<String>, alarm: Alarm, now: Timestamp) -> bool {
        let mut inner = self.lock();
        let cause = cause.into();
        let since = inner.alarms.get(&cause).map(|(since, _)| *since);
        inner.alarms.insert(cause, (since.unwrap_or(now), alarm));
        since.is_none()
    }

    /// It is over.
    pub fn settle(&self, cause: &str) {
        self.lock().alarms.remove(cause);
    }

    /// What lasts, by cause, and since when.
    pub fn alarms(&self) -> Vec<(Timestamp, Alarm)> {
        self.lock().alarms.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
