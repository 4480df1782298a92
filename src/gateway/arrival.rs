//! What arrives goes into the inbox, durably. Where nothing stands in its way it is worked off in the same
//! transaction: a vote then costs one commit, and its intake and its effects are still two jobs, of which the
//! second can fail without the first.
//!
//! It waits for the inbox's own task instead while older inputs wait there, and while the daemon has only
//! just come up: an input that kills the process must be found in the inbox by the next one, which counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use super::Gateway;
use super::hear::{handle, prepare};
use crate::approval::Answer;
use crate::store::inbox::{Appended, Input};
use crate::store::{self, StoreError};

/// What became of an input that arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Whether it was new.
    pub appended: Appended,
    /// Its answer, if it was worked off at once.
    pub answer: Option<Answer>,
}

/// Whether what arrives may be worked off at once.
#[derive(Debug, Default)]
pub struct Gate(AtomicBool);

impl Gate {
    /// The inbox is empty, and its leftovers were seen to.
    pub fn open(&self) {
        if !keeps_apart() {
            self.0.store(true, Ordering::Release);
        }
    }

    /// Something waits there.
    pub fn close(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether what arrives is worked off at once.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A test that kills between the two wants two transactions.
fn keeps_apart() -> bool {
    #[cfg(feature = "failpoints")]
    return crate::fail_point::is_armed_in("inbox.");
    #[cfg(not(feature = "failpoints"))]
    false
}

/// Takes `inputs` in, together with how far their sources were read. Whoever is not answered by it is
/// answered by the inbox's task, whose bell was rung.
pub async fn take_in(
    gateway: &Arc<Gateway>,
    inputs: Vec<Input>,
    offsets: Vec<(&'static str, String)>,
) -> Result<Vec<Arrived>, StoreError> {
    let at_once = gateway.gate.is_open();
    // The inbox's task looks at these, and opens the gate again.
    let later = !at_once && !inputs.is_empty();
    let mut then = Vec::new();
    let new: Arc<[AtomicBool]> = inputs.iter().map(|_| AtomicBool::new(false)).collect();
    if at_once {
        for (nth, input) in inputs.iter().enumerate() {
            let prepared = prepare(gateway, input).await?;
            let (job, input, new) = (Arc::clone(gateway), input.clone(), Arc::clone(&new));
            then.push(a_job(move |tx| Box::pin(work(tx, job, input, prepared, new, nth))));
        }
    }
    let expected =
        gateway.owed.expect(if at_once { inputs.iter().map(|input| input.id.clone()).collect() } else { Vec::new() });
    let is_new = Arc::clone(&new);
    fail_point!("inbox.before_append");
    let first = a_job(move |tx| Box::pin(append(tx, inputs, offsets, is_new)));
    let (appended, answers) = gateway.store.write_all(first, then).await;
    let appended = appended?;
    fail_point!("inbox.after_append");
    let mut answers = answers.into_iter();
    let mut arrived = Vec::with_capacity(appended.len());
    let (mut plan, mut left, mut done) = (false, false, false);
    for (nth, appended) in appended.into_iter().enumerate() {
        let answer = match answers.next() {
            Some(Ok(Some((answer, plans)))) => {
                expected.committed(nth);
                plan |= plans;
                done = true;
                Some(answer)
            }
            // What failed is counted, and tried again, by the inbox's task.
            Some(Err(_)) | None => {
                left |= matches!(appended, Appended::New { .. } | Appended::AlreadyThere { answer: None, .. });
                None
            }
            Some(Ok(None)) => None,
        };
        arrived.push(Arrived { appended, answer });
    }
    drop(expected);
    if left {
        gateway.gate.close();
    }
    if left || later {
        gateway.bells.inbox.notify_one();
    }
    if done {
        // Whoever tapped looks at a spinner: on a quiet machine the answer is out before anything that follows is
        // begun, which would only take its processor.
        gateway.bells.answer(&gateway.owed);
        tokio::task::yield_now().await;
        gateway.run_files.make_noted(gateway);
        gateway.bells.revive.notify_one();
        if plan {
            gateway.bells.plan.notify_one();
        }
        gateway.bells.deliver();
    }
    Ok(arrived)
}

/// The closure as it came; the compiler learns from the signature that it takes any transaction.
fn a_job<T, F>(job: F) -> F
where
    F: for<'t> FnOnce(&'t mut store::Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
{
    job
}

async fn append(
    tx: &mut store::Tx,
    inputs: Vec<Input>,
    offsets: Vec<(&'static str, String)>,
    new: Arc<[AtomicBool]>,
) -> Result<Vec<Appended>, StoreError> {
    let mut appended = Vec::with_capacity(inputs.len());
    for (input, new) in inputs.iter().zip(new.iter()) {
        let one = store::inbox::append(tx, input).await?;
        new.store(matches!(one, Appended::New { .. }), Ordering::Release);
        appended.push(one);
    }
    for (source, position) in offsets {
        store::inbox::set_offset(tx, source, &position).await?;
    }
    Ok(appended)
}

/// Works one off, if it was new: another's answer is not given twice.
async fn work(
    tx: &mut store::Tx,
    gateway: Arc<Gateway>,
    input: Input,
    prepared: Option<String>,
    new: Arc<[AtomicBool]>,
    nth: usize,
) -> Result<Option<(Answer, bool)>, StoreError> {
    if !new.get(nth).is_some_and(|new| new.load(Ordering::Acquire)) {
        return Ok(None);
    }
    handle(tx, &gateway, &input, prepared).await.map(Some)
}
