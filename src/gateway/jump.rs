//! Notices that somebody set the wall clock.
//!
//! The gateway's own time ([`SteadyClock`](super::SteadyClock)) flows on meanwhile, so nothing was
//! judged by the jump: here every deadline is given the time it had left, and then the wall clock's
//! word is taken again.

use std::sync::Arc;
use std::time::Duration;

use super::{Gateway, drill, ledger, speak};
use crate::incident::{self, Step};
use crate::store::{self, StoreError, Tx};
use crate::wording::Alarm;

/// A wall clock that differs by more than this from what passed was set by somebody; less is the
/// time service at work.
const JUMP_LEAST_MS: u64 = 5_000;

/// Compares the clocks. Runs before each sweep, each planning and each execution.
pub async fn notice(gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    let _one_at_a_time = gateway.jumping.lock().await;
    let ahead_ms = gateway.clock.ahead_ms();
    if ahead_ms.unsigned_abs() <= JUMP_LEAST_MS {
        gateway.clock.anchor();
        return Ok(());
    }
    move_deadlines(gateway, ahead_ms, Anchor::Now).await?;
    speak::raise(gateway, Alarm::ClockJumped { by_ms: ahead_ms }).await
}

/// Whether the wall clock is so far from the gateway's time that deadlines are still to be moved.
pub fn is_due(gateway: &Gateway) -> bool {
    gateway.clock.ahead_ms().unsigned_abs() > JUMP_LEAST_MS
}

/// Whether the gateway's time is set, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Yes: the clock jumped under the running daemon.
    Now,
    /// It was right from the start: the clock was set while the daemon was down.
    AlreadyRight,
}

/// Every open case's deadlines, what waits in the inbox and what is due keep the time they had left.
/// In one job of the one writer, and the gateway's time with it, so that nothing is judged by moved
/// deadlines and the old time, or the other way round.
pub async fn move_deadlines(gateway: &Arc<Gateway>, by_ms: i64, anchor: Anchor) -> Result<(), StoreError> {
    let (job, before) = (Arc::clone(gateway), gateway.clock.anchored());
    let outcome = gateway.store.write(move |tx| Box::pin(async move { moved(tx, &job, by_ms, anchor).await })).await;
    if outcome.is_err() && gateway.clock.anchored() != before {
        // The commit failed, so the deadlines are where they were, and the jump is still to be noticed.
        gateway.watches.clock_jumped(by_ms.saturating_neg());
        gateway.clock.anchor_at(before);
    }
    if outcome.is_ok() && by_ms < 0 {
        gateway.heartbeats.clock_set_back(Duration::from_millis(by_ms.unsigned_abs()));
    }
    outcome
}

async fn moved(tx: &mut Tx, gateway: &Arc<Gateway>, by_ms: i64, anchor: Anchor) -> Result<(), StoreError> {
    let entry = ledger::Entry::open(tx, gateway).await?;
    for row in store::incidents::open(tx).await? {
        let moved = match ledger::open_case_of(tx, &row.agent).await {
            Ok(Some(case)) => entry.quietly(tx, case, |case| Step::quiet(incident::deadlines_moved(case, by_ms))).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        ledger::unless_damaged(row.agent.as_str(), "a deadline cannot be moved", moved)?;
    }
    drill::move_ends(tx, by_ms).await?;
    store::inbox::move_waiting(tx, by_ms).await?;
    store::messages::move_due(tx, by_ms).await?;
    if by_ms < 0 {
        store::door::busy_ends_earlier(tx, Duration::from_millis(by_ms.unsigned_abs())).await?;
    }
    if anchor == Anchor::Now {
        gateway.watches.clock_jumped(by_ms);
        gateway.watches.break_off();
        gateway.clock.anchor();
    }
    Ok(())
}
