//! Notices that somebody set the wall clock.
//!
//! The gateway's own time ([`SteadyClock`](super::SteadyClock)) flows on meanwhile, so nothing was
//! judged by the jump: here every deadline is given the time it had left, and then the wall clock's
//! word is taken again.

use std::sync::Arc;

use super::{Gateway, ledger, speak};
use crate::incident::{self, Step};
use crate::pool::AgentName;
use crate::store::{self, StoreError};
use crate::wording::Alarm;

/// A wall clock that differs by more than this from what passed was set by somebody; less is the
/// time service at work.
const JUMP_LEAST_MS: u64 = 5_000;

/// Compares the clocks. Runs before each sweep and each planning.
pub async fn notice(gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    let _one_at_a_time = gateway.jumping.lock().await;
    let ahead_ms = gateway.clock.ahead_ms();
    if ahead_ms.unsigned_abs() > JUMP_LEAST_MS {
        move_deadlines(gateway, ahead_ms).await?;
        gateway.watches.clock_jumped(ahead_ms);
        gateway.watches.break_off();
        gateway.clock.anchor();
        speak::raise(gateway, Alarm::ClockJumped { by_ms: ahead_ms }).await?;
    } else {
        gateway.clock.anchor();
    }
    Ok(())
}

/// Every open case's deadlines keep the time they had left.
pub(super) async fn move_deadlines(gateway: &Arc<Gateway>, by_ms: i64) -> Result<(), StoreError> {
    let open: Vec<AgentName> = {
        let mut read = gateway.store.read().await?;
        store::incidents::open(&mut read).await?.into_iter().map(|row| row.agent).collect()
    };
    for slice in open.chunks(store::SLICE as usize) {
        let (job, agents) = (Arc::clone(gateway), slice.to_vec());
        gateway
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let entry = ledger::Entry::open(tx, &job).await?;
                    for agent in &agents {
                        if let Some(case) = ledger::open_case_of(tx, agent).await? {
                            entry.quietly(tx, case, |case| Step::quiet(incident::deadlines_moved(case, by_ms))).await?;
                        }
                    }
                    Ok(())
                })
            })
            .await?;
    }
    Ok(())
}
