//! What is done to a store before the first input is read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::ledger::{self, Entry};
use super::{Gateway, speak};
use crate::incident::{self, Event, Step};
use crate::pool::{AgentName, State, Timestamp, Watch};
use crate::store::generation::{Found, Restored};
use crate::store::{self, StoreError};
use crate::wording::Alarm;

/// A journal that is ahead by less was written by the same clock before its time service slewed it.
const SET_BACK_LEAST_MS: i64 = 5_000;

/// What an earlier run knew of each agent.
pub async fn remember(gateway: &Arc<Gateway>) -> Result<Vec<store::agents::AgentRow>, StoreError> {
    let rows = {
        let mut read = gateway.store.read().await?;
        store::agents::load(&mut read).await?
    };
    let now = gateway.clock.now();
    for row in &rows {
        // What it was then says nothing of what it is now: only its last healthy moment counts. If the
        // clock went back meanwhile, a moment that lies ahead would hide a death until it came.
        let last_healthy_at = row.last_healthy_at.map(|at| at.min(now));
        gateway.watches.begin(row.agent.clone(), Watch::new(last_healthy_at, row.observed_at.min(now)));
    }
    Ok(rows)
}

/// At the very first start: known agents keep the `last_healthy_at` of the script's state file.
pub async fn import_state(gateway: &Arc<Gateway>, file: &Path) -> Result<usize, StoreError> {
    let imported = {
        let mut read = gateway.store.read().await?;
        store::meta::imported_at(&mut read).await?
    };
    if imported.is_some() {
        return Ok(0);
    }
    let mut known = 0;
    // What could not be read is not done with: the next start tries it again.
    match std::fs::read_to_string(file) {
        Ok(text) => match crate::config::json_to_value(&text).ok().and_then(|value| State::from_value(value).ok()) {
            Some((state, _)) => {
                for (name, seen) in state.agents() {
                    let (Ok(agent), Some(seconds)) = (AgentName::new(name), seen) else { continue };
                    let ms = (seconds * 1000.0).clamp(0.0, 9e15);
                    #[expect(clippy::cast_possible_truncation, reason = "clamped to what an i64 holds")]
                    let last = Timestamp::from_millis(ms as i64);
                    if gateway.in_force().member(&agent).is_some() && gateway.watches.of(&agent).is_none() {
                        // A file from a clock that was ahead must not hide a death until its time comes.
                        let last = last.min(gateway.clock.now());
                        gateway.watches.begin(agent, Watch::new(Some(last), last));
                        known += 1;
                    }
                }
            }
            None => {
                tracing::warn!(file = %file.display(), "the script's state file is no state, and is not imported");
                return Ok(0);
            }
        },
        Err(error) => {
            tracing::warn!(file = %file.display(), error = %error, "the script's state file is not imported");
            return Ok(0);
        }
    }
    let now = gateway.clock.now();
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                store::meta::set_imported(tx, now).await?;
                let body = serde_json::json!({ "agents": known });
                let entry = store::journal::Entry { kind: "state_imported".into(), agent: None, body };
                store::journal::append(tx, &[entry], now).await?;
                Ok(())
            })
        })
        .await?;
    Ok(known)
}

/// Raises the generation; of a restored backup, everything pending is withdrawn and everything
/// ready called off in the same transaction, so that an old copy revives no approval.
pub async fn raise_generation(gateway: &Arc<Gateway>, found: Found) -> Result<(), StoreError> {
    let job = Arc::clone(gateway);
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let entry = Entry::open(tx, &job).await?;
                if found.restored != Restored::No {
                    let (mut withdrawn, mut called_off) = (0, 0);
                    for row in store::incidents::open(tx).await? {
                        let case = ledger::open_case_of(tx, &row.agent).await;
                        let case = ledger::unless_damaged(row.agent.as_str(), "a case cannot be withdrawn", case)?;
                        let Some(case) = case.flatten() else { continue };
                        let restored = |case, facts: &incident::Facts<'_>| {
                            Ok::<_, std::convert::Infallible>(incident::restored(case, facts))
                        };
                        let Ok(step) = entry.apply(tx, case, None, &restored).await?;
                        for event in &step.events {
                            withdrawn += u32::from(matches!(event, Event::Withdrawn { .. }));
                            called_off += u32::from(matches!(event, Event::CalledOff { .. }));
                        }
                    }
                    let alarm = Alarm::RestoredBackup { withdrawn, called_off };
                    speak::alarm(tx, &job, &alarm, entry.now).await?;
                }
                store::generation::raise(tx, found).await
            })
        })
        .await?;
    fail_point!("start.before_generation_file");
    store::generation::settle(gateway.store.path(), found)
}

/// If the clock was set back while we were down, the journal's last entry lies ahead of it: every
/// deadline then moves back, too, or it would come an hour late.
pub async fn notice_clock_set_back(gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    let filter = store::journal::Filter::default();
    let last = {
        let mut read = gateway.store.read().await?;
        store::journal::page(&mut read, None, 1, &filter).await?
    };
    let ahead = last.first().map_or(0, |row| row.at.as_millis().saturating_sub(gateway.clock.now().as_millis()));
    if ahead > SET_BACK_LEAST_MS {
        super::jump::move_deadlines(gateway, -ahead, super::jump::Anchor::AlreadyRight).await?;
        speak::raise(gateway, Alarm::ClockJumped { by_ms: -ahead }).await?;
    }
    Ok(())
}

/// So much later than now at least. Channels come back one after the other: in steps, the second of them gives no
/// other time than the first, and no card is edited twice for it.
fn in_steps(now: Timestamp, grace: Duration) -> Timestamp {
    let until = now.plus(grace).as_millis();
    let step = i64::try_from((grace / 10).as_millis()).unwrap_or(i64::MAX).max(1);
    Timestamp::from_millis(until.saturating_add(step - 1).div_euclid(step).saturating_mul(step))
}

/// Nobody could answer while we were down: every pending request stays answerable for a while,
/// committed before the first input is read.
pub async fn extend_pending(gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    let job = Arc::clone(gateway);
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let entry = Entry::open(tx, &job).await?;
                let until = in_steps(entry.now, entry.in_force().config.gate.timing.start_grace);
                for row in store::requests::pending(tx).await? {
                    let case = ledger::open_case_of(tx, &row.agent).await;
                    let case = ledger::unless_damaged(row.agent.as_str(), "a deadline cannot be extended", case)?;
                    let Some(case) = case.flatten() else { continue };
                    entry.quietly(tx, case, |case| Step::quiet(incident::extended(case, until))).await?;
                }
                Ok(())
            })
        })
        .await?;
    // Cards that name the old deadline are edited.
    gateway.bells.deliver();
    Ok(())
}

/// Tells that the daemon is at work.
pub async fn announce(gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    speak::raise(gateway, Alarm::DaemonStarted { observing: gateway.observing() }).await?;
    let orphaned = gateway.in_force().missions_without_approvers(&gateway.in_force().people);
    for mission in orphaned {
        speak::raise(gateway, Alarm::MissionWithoutApprovers { mission }).await?;
    }
    Ok(())
}
