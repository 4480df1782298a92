//! Works the inbox off: each input in a transaction of its own effects, in the order in which they
//! came, and each gets an answer (invariants 3 and 4).
//!
//! A panic or an error of an input takes back its own effects and counts; after three it is set
//! aside with an alarm, its sender is told, and it blocks nothing. At a start the leftovers run one
//! by one with the attempt committed first, so that an input that kills the process is found, too.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::oneshot;

use super::arrival::{self, Arrived};
use super::hear::{handle, prepare};
use super::{Gateway, TaskName, ledger, nostr, speak, telegram};
use crate::approval::{Answer, InputId, Said};
use crate::store::inbox::{Appended, Input, InputRow};
use crate::store::{self, StoreError};
use crate::web::Submitted;
use crate::wording::{Alarm, Reply};

/// Inputs that are worked off together: the writer commits them as one group.
const TOGETHER: u32 = 256;
/// How long somebody waits for an answer before being told to come back for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Those who wait for an answer; losing one loses nothing, the answer is kept with its input.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashMap<String, oneshot::Sender<Answer>>>);

impl Waiting {
    fn wait_for(&self, id: &str) -> oneshot::Receiver<Answer> {
        let (tell, told) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), tell);
        told
    }

    fn answer(&self, id: &str, answer: &Answer) {
        if let Some(tell) = self.forget(id) {
            // Whoever asked may have gone; the answer is kept.
            let _ = tell.send(answer.clone());
        }
    }

    fn forget(&self, id: &str) -> Option<oneshot::Sender<Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}

/// Takes something said into the inbox, durably, and waits until it was worked off.
pub async fn submit(gateway: &Arc<Gateway>, id: InputId, said: Said) -> Result<Submitted, StoreError> {
    let told = gateway.waiting.wait_for(&id.0);
    let input = Input {
        id: id.0.clone(),
        source: said.via.key().to_owned(),
        raw: json!(said).to_string(),
        entered_at: gateway.clock.now(),
    };
    let (job, of) = (Arc::clone(gateway), id.0.clone());
    // In a task of its own: whoever asked may leave at any moment, and what follows from it is still to be called.
    let taken = tokio::spawn(async move {
        let arrived = arrival::take_in(&job, vec![input], Vec::new()).await.map(|mut all| all.pop());
        let is_waited_for = match &arrived {
            Ok(Some(Arrived { answer: None, appended })) => !matches!(
                appended,
                Appended::AlreadyThere { same: false, .. } | Appended::AlreadyThere { answer: Some(_), .. }
            ),
            Ok(_) | Err(_) => false,
        };
        if !is_waited_for {
            job.waiting.forget(&of);
        }
        arrived
    });
    match taken.await.unwrap_or_else(|error| Err(StoreError::Panicked(error.to_string()))) {
        Err(error) => Err(error),
        Ok(Some(Arrived { answer: Some(answer), .. })) => Ok(Submitted::Answered(answer)),
        Ok(Some(Arrived { appended: Appended::AlreadyThere { same: false, .. }, .. })) => Ok(Submitted::IdTaken),
        Ok(Some(Arrived { appended: Appended::AlreadyThere { answer: Some(answer), .. }, .. })) => {
            Ok(Submitted::Answered(ledger::from_body("inputs", &id.0, &answer)?))
        }
        Ok(_) => {
            match tokio::time::timeout(PATIENCE, told).await {
                Ok(Ok(answer)) => Ok(Submitted::Answered(answer)),
                // Too slow, or somebody else waits for the same id by now: the answer will be kept.
                Ok(Err(_)) | Err(_) => Ok(Submitted::Pending),
            }
        }
    }
}

/// Works off what waits; tells how many.
pub async fn step(gateway: &Arc<Gateway>) -> Result<usize, StoreError> {
    let mut worked = 0;
    loop {
        let rows = {
            let mut read = gateway.store.read().await?;
            store::inbox::pending(&mut read, TOGETHER).await?
        };
        if rows.is_empty() {
            return Ok(worked);
        }
        // Each sends its job to the writer when it is first polled, in order; the writer commits
        // what waits together.
        let outcomes = join_all(rows.iter().map(|row| work_off(gateway, row, Counted::NotYet))).await;
        worked += outcomes.len();
        let mut plan = false;
        for outcome in outcomes {
            plan |= matches!(outcome?, Worked::Off { plan: true });
        }
        gateway.bells.revive.notify_one();
        gateway.bells.deliver();
        if plan {
            gateway.bells.plan.notify_one();
        }
    }
}

/// Works off what an earlier run left, one by one: who kills the process three times is set aside.
pub async fn leftovers(gateway: &Arc<Gateway>) -> Result<usize, StoreError> {
    let mut worked = 0;
    let mut own_reasons: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let mut rows = {
            let mut read = gateway.store.read().await?;
            store::inbox::pending(&mut read, 1).await?
        };
        let Some(row) = rows.pop() else { return Ok(worked) };
        let died = "the daemon died three times while working on it";
        let why = own_reasons.get(&row.id).cloned().unwrap_or_else(|| died.to_owned());
        if !count_failure(gateway, &row, why, Counted::NotYet).await? {
            let worked_off = work_off(gateway, &row, Counted::Already).await;
            if worked_off.is_err() {
                // The disk's fault, not the input's, and no death either.
                let id = row.id.clone();
                gateway
                    .store
                    .write(move |tx| Box::pin(async move { store::inbox::forgive_attempt(tx, &id).await }))
                    .await?;
            }
            if let Worked::Failed { why } = worked_off? {
                own_reasons.insert(row.id, why);
            }
        }
        worked += 1;
    }
}

/// Whether this attempt was counted before it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Already,
    NotYet,
}

/// What became of an attempt to work an input off.
enum Worked {
    /// It was answered.
    Off {
        /// Other cases want to be planned anew for it.
        plan: bool,
    },
    /// It has a fault of its own, and its attempt was counted.
    Failed {
        /// Which.
        why: String,
    },
}

/// Works one input off.
async fn work_off(gateway: &Arc<Gateway>, row: &InputRow, counted: Counted) -> Result<Worked, StoreError> {
    let (job, input) = (Arc::clone(gateway), row.input());
    fail_point!("inbox.before_handled");
    let prepared = prepare(gateway, &input).await?;
    match gateway.store.write(move |tx| Box::pin(async move { handle(tx, &job, &input, prepared).await })).await {
        Ok((answer, plan)) => {
            fail_point!("inbox.after_handled");
            gateway.waiting.answer(&row.id, &answer);
            Ok(Worked::Off { plan })
        }
        Err(error) if is_the_works_own(&error) => {
            tracing::error!(input = row.id, error = %chain(&error), "an input could not be worked off");
            let why = chain(&error);
            count_failure(gateway, row, why.clone(), counted).await?;
            Ok(Worked::Failed { why })
        }
        // The disk, not the input: it stays, and is tried again.
        Err(error) => Err(error),
    }
}

/// Whether an error speaks of this piece of work rather than of the disk under all of them.
pub(super) fn is_the_works_own(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Conflict { .. }
            | StoreError::Taken { .. }
            | StoreError::Inconsistent { .. }
            | StoreError::Invalid { .. }
            | StoreError::Panicked(_)
    )
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Counts a failed attempt. The third sets the input aside, with the alarm in the same transaction,
/// and its sender is told; `inbox retry` runs it again. Tells whether it was set aside.
async fn count_failure(
    gateway: &Arc<Gateway>,
    row: &InputRow,
    why: String,
    counted: Counted,
) -> Result<bool, StoreError> {
    let (job, input) = (Arc::clone(gateway), row.input());
    let reply = Reply::SetAside { id: row.id.clone() };
    let answer = reply.answer(&gateway.setting(None), gateway.clock.now());
    let told = answer.clone();
    let counting = gateway.store.write(move |tx| {
        Box::pin(async move {
            if counted == Counted::Already {
                store::inbox::forgive_attempt(tx, &input.id).await?;
            }
            let failed = store::inbox::fail_attempt(tx, &input.id).await?;
            if failed.set_aside {
                let alarm = Alarm::InputSetAside { id: InputId(input.id.clone()), why };
                speak::alarm(tx, &job, &alarm, job.clock.now()).await?;
                telegram::apologise(tx, &job, &input, told.clone()).await?;
                nostr::apologise(tx, &job, &input, told).await?;
            }
            Ok(failed.set_aside)
        })
    });
    let set_aside = counting.await?;
    if set_aside {
        gateway.bells.deliver();
        gateway.waiting.answer(&row.id, &answer);
    }
    Ok(set_aside)
}

/// Runs until the daemon stops.
pub async fn run(gateway: Arc<Gateway>) {
    let period = || gateway.in_force().config.gate.timing.idle_tick;
    while !gateway.bells.is_stopping() {
        let worked = step(&gateway).await;
        if worked.is_ok() {
            gateway.gate.open();
        }
        match worked {
            Ok(0) => {}
            Ok(worked) => {
                let says = format!("{worked} inputs worked off");
                gateway.status.task(TaskName::Inbox, true, says, gateway.clock.now());
            }
            Err(error) => {
                let says = chain(&error);
                tracing::error!(error = says, "the inbox waits");
                gateway.status.task(TaskName::Inbox, false, says, gateway.clock.now());
            }
        }
        tokio::select! {
            () = gateway.bells.inbox.notified() => {}
            () = tokio::time::sleep(period()) => {}
            () = gateway.bells.stopped() => {}
        }
    }
}
