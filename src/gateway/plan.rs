//! Plans every open case, opens one for each agent that has died, and lets requests and drills expire.
//!
//! Runs after each sweep, after each change, and when the next deadline of any case is reached. In
//! slices, so that a fleet that died as a whole does not keep taps waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ledger::{self, Entry};
use super::{Gateway, TaskName, drill, inbox, jump, speak};
use crate::incident::Case;
use crate::pool::{AgentName, Timestamp};
use crate::store::{self, StoreError};
use crate::wording::Alarm;

/// Cases that one transaction plans: a few milliseconds of the writer's time.
const SLICE: usize = 16;
/// How long a ring is let pass: whoever rings mostly has something urgent under way (a command that
/// is to start), and rings again soon.
const SETTLE: Duration = Duration::from_millis(10);
/// After a pass planning rests for so many times as long as that took, so that a large fleet in
/// trouble does not keep the writer busy with its own planning.
const REST: u32 = 3;
/// The longest such rest.
const REST_MAX: Duration = Duration::from_secs(2);

/// Plans everything once; tells when the next deadline is.
pub async fn step(gateway: &Arc<Gateway>) -> Result<Option<Timestamp>, StoreError> {
    jump::notice(gateway).await?;
    let open: BTreeSet<AgentName> = {
        let mut read = gateway.store.read().await?;
        store::incidents::open(&mut read).await?.into_iter().map(|row| row.agent).collect()
    };
    fail_point!("plan.before");
    let in_force = gateway.in_force();
    let dead = in_force
        .members()
        .filter(|(agent, member)| gateway.watches.is_dead(agent, member.timeout) && !open.contains(*agent))
        .map(|(agent, _)| agent.clone());
    let all: Vec<AgentName> = dead.chain(open.iter().cloned()).collect();
    let mut next: Option<Timestamp> = None;
    for slice in all.chunks(SLICE) {
        let due = match plan_together(gateway, slice).await {
            Err(error) if inbox::is_the_works_own(&error) => plan_one_by_one(gateway, slice).await?,
            planned => {
                let due = planned?;
                for agent in slice {
                    gateway.status.settle(&format!("plan: {agent}"));
                }
                due
            }
        };
        next = [next, due].into_iter().flatten().min();
    }
    next = [next, drill::expire(gateway).await?].into_iter().flatten().min();
    fail_point!("plan.after");
    if !all.is_empty() {
        gateway.bells.revive.notify_one();
        gateway.bells.deliver();
    }
    Ok(next)
}

async fn plan_together(gateway: &Arc<Gateway>, agents: &[AgentName]) -> Result<Option<Timestamp>, StoreError> {
    let (job, agents) = (Arc::clone(gateway), agents.to_vec());
    // Behind what people say and what is being carried out.
    gateway.store.write_low(move |tx| Box::pin(async move { plan_slice(tx, &job, &agents).await })).await
}

/// One case that cannot be planned, because its step would break a promise or its rows are damaged,
/// must not stop the others (invariant 13): it stays as it is, with an alarm.
async fn plan_one_by_one(gateway: &Arc<Gateway>, agents: &[AgentName]) -> Result<Option<Timestamp>, StoreError> {
    let mut next = None;
    for agent in agents {
        let cause = format!("plan: {agent}");
        match plan_together(gateway, std::slice::from_ref(agent)).await {
            Ok(due) => {
                gateway.status.settle(&cause);
                next = [next, due].into_iter().flatten().min();
            }
            Err(error) if inbox::is_the_works_own(&error) => {
                let what = inbox::chain(&error);
                tracing::error!(agent = agent.as_str(), error = what, "a case cannot be planned");
                let alarm = Alarm::BrokenPromise { agent: agent.clone(), what };
                if gateway.status.raise(cause, alarm.clone(), gateway.clock.now()) {
                    speak::raise(gateway, alarm).await?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(next)
}

async fn plan_slice(
    tx: &mut store::Tx,
    gateway: &Arc<Gateway>,
    agents: &[AgentName],
) -> Result<Option<Timestamp>, StoreError> {
    let mut entry = Entry::open(tx, gateway).await?;
    entry.let_expire(tx).await?;
    let mut open = BTreeMap::new();
    for row in store::cases::open_of(tx, agents).await? {
        open.insert(row.agent.clone(), row);
    }
    store::executions::know_touching(tx, agents).await?;
    let mut next = None;
    for agent in agents {
        let case = match open.remove(agent) {
            Some(row) => {
                let case = ledger::case_from(tx, row).await?;
                Some(entry.tick(tx, case).await?)
            }
            // The sweep's word may have changed since it was read: only who is dead now.
            None => match entry.in_force().member(agent) {
                Some(member) if gateway.watches.is_dead(agent, member.timeout) => entry.open_case(tx, agent).await?,
                Some(_) | None => continue,
            },
        };
        let Some(case) = case else { continue };
        next = [next, deadline(&case, entry.in_force().timing.healthy_for, gateway)].into_iter().flatten().min();
    }
    Ok(next)
}

/// When a case wants to be planned again although nothing happens to it.
fn deadline(case: &Case, healthy_for: Duration, gateway: &Gateway) -> Option<Timestamp> {
    if !case.is_open() {
        return None;
    }
    let healthy_since = gateway.watches.of(&case.incident.agent).and_then(|watch| watch.healthy_since);
    [
        case.pending().and_then(|request| request.expires()),
        case.incident.snoozed_until,
        case.incident.tally.wait_until,
        healthy_since.map(|since| since.plus(healthy_for)),
    ]
    .into_iter()
    .flatten()
    .filter(|at| *at > gateway.clock.now())
    .min()
}

/// Runs until the daemon stops.
pub async fn run(gateway: Arc<Gateway>) {
    let (mut next, mut rested) = (None, Instant::now());
    while !gateway.bells.is_stopping() {
        let timing = &gateway.in_force().config.gate.timing;
        // Without a deadline, changes ring the bell and sweeps do; the long period is for a lost ring.
        let pause = match next {
            Some(at) => Timestamp::since(at, gateway.clock.now()).max(Duration::from_millis(1)),
            None => timing.idle_tick * 10,
        };
        tokio::select! {
            () = gateway.bells.plan.notified() => {}
            () = tokio::time::sleep(pause.min(timing.idle_tick * 10)) => {}
            () = gateway.bells.stopped() => return,
        }
        tokio::select! {
            () = tokio::time::sleep_until(rested.max(Instant::now() + SETTLE)) => {}
            () = gateway.bells.stopped() => return,
        }
        let (now, began) = (gateway.clock.now(), Instant::now());
        let planned = step(&gateway).await;
        rested = Instant::now() + (began.elapsed() * REST).min(REST_MAX);
        match planned {
            Ok(at) => {
                next = at;
                gateway.status.task(TaskName::Plan, true, "planned", now);
            }
            Err(error) => {
                let says = inbox::chain(&error);
                tracing::error!(error = says, "planning failed, and is tried again");
                gateway.status.task(TaskName::Plan, false, says, now);
                next = Some(gateway.clock.now().plus(timing.idle_tick));
            }
        }
    }
}
