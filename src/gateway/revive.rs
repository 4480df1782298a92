//! Carries executions out: each by a routine of its own that goes by what the store says, so that
//! it makes no difference whether this process began it or one before.
//!
//! ```text
//!  ready ──► look at the agent ──► make the run file ──► commit "running" ──► start the shim
//!  running ──► wait for the shim ──► settle ──► commit what became of it
//!  done, unknown ──► look, again and again ──► commit the verdict
//! ```

use std::collections::HashSet;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::begin::begin;
use super::conclude::await_shim;
use super::ledger::{self, Entry};
use super::mission::takeover;
use super::{Gateway, TaskName, handover, speak, verify};
use crate::approval::Action;
use crate::incident::{self, Case, Execution, ExecutionId, ExecutionState, Facts, Look, Step};
use crate::pool::IncidentId;
use crate::store::executions::{ExecutionPhase, LiveRow};
use crate::store::{self, StoreError};
use crate::wording::Alarm;

/// The pause after an error that says nothing of the execution (a full disk).
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// After a look at the live executions so many times as long as that took passes before the next:
/// with thousands of them each look counts.
const REST: u32 = 4;
/// And not less than this, or cheap looks would be many. The first ring after a quiet while waits for nothing.
const REST_MIN: Duration = Duration::from_millis(5);

/// So often all live executions are looked through, and not only new ones. None should be without its routine.
const ALL_AGAIN: Duration = Duration::from_secs(1);

/// Commands that run at the same time: a fleet that died as a whole must not become as many
/// processes on this machine at once. The others stay ready, and are checked again when it is their turn.
const COMMANDS_MAX: usize = 64;

/// Errors in a row after which people are told that an execution is stuck.
const STUCK_AFTER: u32 = 5;
/// The longest pause between two tries of a stuck execution.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The executions that have their routine.
struct Attended {
    ids: Mutex<HashSet<String>>,
    commands: Semaphore,
}

/// An execution that has its routine, until that ends in whatever way.
struct Attending<'a> {
    attended: &'a Attended,
    id: &'a str,
}

impl Drop for Attending<'_> {
    fn drop(&mut self) {
        self.attended.end(self.id);
    }
}

impl Default for Attended {
    fn default() -> Self {
        Self { ids: Mutex::default(), commands: Semaphore::new(COMMANDS_MAX) }
    }
}

impl Attended {
    fn is_attended(&self, id: &str) -> bool {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn begin(&self, id: &str) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
    }

    fn end(&self, id: &str) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// How far the store was looked through for executions: mostly only new ones are looked for.
#[derive(Debug, Default)]
struct Seen {
    /// The newest one's row.
    newest: i64,
    /// When all were last looked through.
    all_at: Option<Instant>,
}

impl Seen {
    /// Executions that may need a routine.
    async fn look(&mut self, read: &mut store::Read) -> Result<Vec<LiveRow>, StoreError> {
        let all = self.all_at.is_none_or(|at| at.elapsed() >= ALL_AGAIN);
        let live = if all {
            store::executions::live_in_short(read).await?
        } else {
            store::executions::live_after(read, self.newest).await?
        };
        if all {
            // Not only as far as those that are live: what has ended would be looked through at each ring.
            *self = Self { newest: store::executions::newest(read).await?, all_at: Some(Instant::now()) };
        }
        self.newest = live.iter().map(|row| row.number).fold(self.newest, i64::max);
        Ok(live)
    }
}

/// Starts a routine for each live execution that has none; tells how many.
async fn step(
    gateway: &Arc<Gateway>,
    attended: &Arc<Attended>,
    seen: &mut Seen,
    routines: &mut JoinSet<()>,
) -> Result<usize, StoreError> {
    let mut read = gateway.store.read().await?;
    let live = seen.look(&mut read).await?;
    let mut begun = 0;
    for row in live {
        if attended.is_attended(&row.id) {
            continue;
        }
        // A fresh one is begun at once, on the word of this row: what is decided is read again anyway.
        let fresh = match row.state {
            ExecutionPhase::Ready => store::executions::load(&mut read, &row.id)
                .await?
                .and_then(|whole| ledger::from_body("executions", &row.id, &whole.body).ok()),
            _ => None,
        };
        attended.begin(&row.id);
        begun += 1;
        let (gateway, attended) = (Arc::clone(gateway), Arc::clone(attended));
        let (execution, incident) = (ExecutionId(row.id), IncidentId(row.incident_id));
        routines.spawn(async move {
            let attending = Attending { attended: &attended, id: &execution.0 };
            let carried = AssertUnwindSafe(carry(&gateway, &attended, &execution, &incident, fresh)).catch_unwind();
            if carried.await.is_err() {
                // It is taken up again, from what the store says; nobody would know why it does not come to an end.
                tell_stuck(&gateway, &execution, &incident, "its routine broke off inside".to_owned()).await;
                pause_for(&gateway, PAUSE).await;
            }
            drop(attending);
            // Another one may have become ready while this one stood in its list.
            gateway.bells.committed();
        });
    }
    Ok(begun)
}

/// Runs until the daemon stops. Commands go on under their shims; their routines end where they
/// stand, and the next start takes them up.
pub async fn run(gateway: Arc<Gateway>) {
    let attended = Arc::new(Attended::default());
    let (mut seen, mut routines) = (Seen::default(), JoinSet::new());
    while !gateway.bells.is_stopping() {
        let (now, began) = (gateway.clock.now(), Instant::now());
        let stepped = step(&gateway, &attended, &mut seen, &mut routines).await;
        let rested = Instant::now() + REST_MIN.max(began.elapsed() * REST);
        match stepped {
            Ok(0) => {}
            Ok(begun) => gateway.status.task(TaskName::Revive, true, format!("{begun} executions taken up"), now),
            Err(error) => {
                let says = super::inbox::chain(&error);
                tracing::error!(error = says, "executions wait");
                gateway.status.task(TaskName::Revive, false, says, now);
            }
        }
        while routines.try_join_next().is_some() {}
        let period = gateway.in_force().config.gate.timing.idle_tick;
        tokio::select! {
            () = gateway.bells.revive.notified() => {}
            () = tokio::time::sleep(period) => {}
            () = gateway.bells.stopped() => {}
        }
        tokio::select! {
            () = tokio::time::sleep_until(rested) => {}
            () = gateway.bells.stopped() => {}
        }
    }
    while routines.join_next().await.is_some() {}
}

/// Takes one execution as far as it goes.
async fn carry(
    gateway: &Arc<Gateway>,
    attended: &Attended,
    id: &ExecutionId,
    incident: &IncidentId,
    fresh: Option<Execution>,
) {
    let mut turn = Turn { commands: &attended.commands, held: None, has_just_begun: false };
    // Also for what runs already: a start takes a whole fleet up.
    tokio::select! {
        () = turn.take() => {}
        () = gateway.bells.stopped() => return,
    }
    let mut errors = 0;
    let mut known = fresh;
    loop {
        let had_turn = turn.held.is_some();
        let outcome = tokio::select! {
            outcome = further(gateway, id, incident, known.take(), &mut turn) => outcome,
            () = gateway.bells.stopped() => return,
        };
        match outcome {
            // To have waited for its turn is no step yet: the errors before it go on counting.
            Ok(Further::Goes(_)) if !had_turn && turn.held.is_some() => {}
            Ok(Further::Goes(by_now)) => {
                if errors >= STUCK_AFTER {
                    gateway.status.settle(&stuck(id));
                }
                errors = 0;
                known = by_now;
                gateway.bells.deliver();
            }
            Ok(Further::Ended) => {
                gateway.status.settle(&stuck(id));
                return;
            }
            Err(error) => {
                // Whoever waits for the disk must not stand before those that need not.
                turn.give_back();
                errors += 1;
                tracing::error!(execution = id.0, error = error, "an execution waits");
                gateway.status.task(TaskName::Revive, false, error.clone(), gateway.clock.now());
                if errors == STUCK_AFTER {
                    tell_stuck(gateway, id, incident, error).await;
                }
                pause_for(gateway, PAUSE.saturating_mul(1 << errors.min(6)).min(PAUSE_MAX)).await;
                if gateway.bells.is_stopping() {
                    return;
                }
            }
        }
    }
}

/// Some time passes, or the daemon stops.
async fn pause_for(gateway: &Gateway, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = gateway.bells.stopped() => {}
    }
}

/// A routine's turn to run a command: held over the command, not over its verification, which is only looking.
struct Turn<'a> {
    commands: &'a Semaphore,
    held: Option<SemaphorePermit<'a>>,
    /// The step before this one has begun it, so nothing of it can have been done yet.
    has_just_begun: bool,
}

impl Turn<'_> {
    /// Waits for it, unless it is held already.
    async fn take(&mut self) {
        if self.held.is_none() {
            self.held = self.commands.acquire().await.ok();
        }
    }

    fn give_back(&mut self) {
        self.held = None;
    }
}

/// The cause of the alarm that an execution is stuck.
fn stuck(id: &ExecutionId) -> String {
    format!("execution: {}", id.0)
}

/// An execution fails again and again for a reason of its own (a damaged row, a promise that its step
/// would break): people are told once.
async fn tell_stuck(gateway: &Arc<Gateway>, id: &ExecutionId, incident: &IncidentId, what: String) {
    let agent = {
        let Ok(mut read) = gateway.store.read().await else { return };
        match store::incidents::load(&mut read, &incident.0).await {
            Ok(Some(row)) => row.agent,
            Ok(None) | Err(_) => return,
        }
    };
    let alarm = Alarm::BrokenPromise { agent, what };
    if gateway.status.raise(stuck(id), alarm.clone(), gateway.clock.now())
        && let Err(error) = speak::raise(gateway, alarm).await
    {
        tracing::error!(error = %error, "an alarm could not be recorded");
    }
}

/// Where an execution's routine stands after a step.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub(super) enum Further {
    /// It goes on; what the execution is by now, where the step has seen that.
    Goes(Option<Execution>),
    /// There is nothing more to do for it.
    Ended,
}

/// The next step of an execution: as it is `known`, or else as the store has it. What a step decides is read again
/// in the transaction that decides it.
async fn further(
    gateway: &Arc<Gateway>,
    id: &ExecutionId,
    incident: &IncidentId,
    known: Option<Execution>,
    turn: &mut Turn<'_>,
) -> Result<Further, String> {
    // The packet of a substitution tells the whole case.
    let known = known.filter(|execution| execution.id == *id && execution.action == Action::Restart);
    let (case, execution) = match known {
        Some(execution) => (None, execution),
        None => {
            let Some(case) = load(gateway, incident).await.map_err(said)? else { return Ok(Further::Ended) };
            let Some(execution) = case.execution.clone().filter(|execution| execution.id == *id) else {
                return Ok(Further::Ended);
            };
            (Some(case), execution)
        }
    };
    let is_first = std::mem::take(&mut turn.has_just_begun);
    match (&execution.state, &case) {
        (ExecutionState::Ready, _) if turn.held.is_none() => {
            // An earlier try failed, or its command never started. What was read before the wait is old after it.
            turn.take().await;
            Ok(Further::Goes(None))
        }
        (ExecutionState::Ready, case) => {
            let further = begin(gateway, case.as_ref(), &execution).await;
            turn.has_just_begun = further.is_ok();
            further
        }
        (ExecutionState::Running { .. }, Some(case)) if execution.takeover.is_some() && execution.run.is_none() => {
            handover::deliver(gateway, case, &execution, is_first).await
        }
        (ExecutionState::Running { .. }, _) => await_shim(gateway, &execution, None).await,
        (ExecutionState::Done { .. } | ExecutionState::Unknown { .. }, _) => {
            turn.give_back();
            look(gateway, &execution).await
        }
        (
            ExecutionState::CalledOff { .. }
            | ExecutionState::Failed { .. }
            | ExecutionState::Verified { .. }
            | ExecutionState::NotRecovered { .. },
            _,
        ) => Ok(Further::Ended),
    }
}

/// An error that says nothing of the execution, for the log and the status.
pub(super) fn said(error: impl std::error::Error) -> String {
    super::inbox::chain(&error)
}

async fn load(gateway: &Arc<Gateway>, incident: &IncidentId) -> Result<Option<Case>, StoreError> {
    let mut read = gateway.store.read().await?;
    ledger::case_of(&mut read, incident).await
}

/// One look of the verification, after a pause.
async fn look(gateway: &Arc<Gateway>, execution: &Execution) -> Result<Further, String> {
    let timing = gateway.in_force().config.gate.timing.clone();
    // A few looks in each gap, so that a flap is seen; not so many that probing is all we do.
    tokio::time::sleep((timing.verify_gap / 4).clamp(Duration::from_millis(20), Duration::from_secs(2))).await;
    let turn = gateway.looks.acquire().await;
    let seen = verify::look(gateway, execution.looked_at(), timing.recheck_deadline).await;
    drop(turn);
    if !execution.learns_from(&seen, timing.verify_gap) {
        // Read anew: its times are others once somebody has set the clock.
        return Ok(Further::Goes(None));
    }
    fail_point!("revive.before_looked");
    let job = Arc::clone(gateway);
    let (incident, id) = (execution.incident.clone(), execution.id.clone());
    let looked = gateway.store.write(move |tx| {
        Box::pin(async move {
            let entry = Entry::open(tx, &job).await?;
            let Some(case) = ledger::case_of(tx, &incident).await? else { return Ok(None) };
            let Some(execution) = case.execution.clone().filter(|one| one.id == id) else { return Ok(None) };
            // How the offer stands is read where it is decided on: an answer that comes later finds it taken back.
            let look = Look { offer: takeover::stands(tx, &execution).await?, ..seen.clone() };
            let moved = |case, facts: &Facts<'_>| Ok::<_, Infallible>(incident::looked(case, &look, facts));
            let Ok(step) = entry.apply(tx, case, None, &moved).await?;
            Ok(step.case.execution)
        })
    });
    let by_now = looked.await.map_err(said)?;
    fail_point!("revive.after_looked");
    Ok(Further::Goes(by_now))
}

/// Moves the case of `execution` by a step of the core, provided that it still is its case's newest; the newest
/// one after it.
pub(super) async fn move_case(
    gateway: &Arc<Gateway>,
    execution: &Execution,
    step: impl Fn(Case, &Facts<'_>) -> Step + Send + Sync + 'static,
) -> Result<Option<Execution>, String> {
    let job = Arc::clone(gateway);
    let (incident, id) = (execution.incident.clone(), execution.id.clone());
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let entry = Entry::open(tx, &job).await?;
                let Some(case) = ledger::case_of(tx, &incident).await? else { return Ok(None) };
                if case.execution.as_ref().is_none_or(|one| one.id != id) {
                    return Ok(case.execution);
                }
                let moved = |case, facts: &Facts<'_>| Ok::<_, Infallible>(step(case, facts));
                let Ok(step) = entry.apply(tx, case, None, &moved).await?;
                Ok(step.case.execution)
            })
        })
        .await
        .map_err(said)
}
