//! A second, independent reading of every step: what must never be, whatever led there. It knows
//! nothing of how steps are made. The property tests call it after each step, and the gateway before
//! it stores one.

use std::collections::BTreeMap;

use super::{Basis, Case, Event, Execution, ExecutionState, Facts, IncidentState, OfferStands, Step};
use crate::approval::{Request, RequestState};
use crate::pool::{AgentName, Mode};

/// A promise that a step would break; the step must not be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{agent}: {what}")]
pub struct BrokenPromise {
    /// Whose case.
    pub agent: AgentName,
    /// What must never be.
    pub what: &'static str,
}

/// Reads the step from `before` for broken promises.
pub fn broken_promises(before: Option<&Case>, step: &Step, facts: &Facts<'_>) -> Vec<BrokenPromise> {
    let after = &step.case;
    let mut broken = Vec::new();
    let mut promise = |kept: bool, what: &'static str| {
        if !kept {
            broken.push(BrokenPromise { agent: after.incident.agent.clone(), what });
        }
    };
    let request_before = before.and_then(|case| case.request.as_ref());
    let execution_before = before.and_then(|case| case.execution.as_ref());

    if let Some(before) = before {
        promise(before.is_open() || before.incident == after.incident, "a closed incident changed");
        promise(
            before.incident.id == after.incident.id && before.incident.agent == after.incident.agent,
            "an incident became another one",
        );
    }
    if let Some(now) = &after.request {
        let former = step.former_request.as_ref();
        promise(request_goes_one_way(request_before, former, now), "a request's machine went a way it does not have");
        promise(now.incident == after.incident.id, "a request belongs to another incident");
    }
    if let Some(now) = &after.execution {
        let former = step.former_execution.as_ref();
        promise(
            execution_goes_one_way(execution_before, former, now),
            "an execution's machine went a way it does not have",
        );
        promise(now.incident == after.incident.id, "an execution belongs to another incident");
        let made_here = execution_before.is_none_or(|old| old.id != now.id);
        if made_here {
            promise(
                former.is_none_or(|old| !old.is_live()),
                "an execution was made while another one of its incident is live",
            );
            promise(has_a_right(now, after.request.as_ref(), facts), "an execution without approval or policy");
            promise(facts.keeper().is_none(), "an execution was made on hold or while observing");
            promise(
                does_what_was_asked(now, after.request.as_ref()),
                "an execution is for another mission or host than was asked",
            );
        }
        if let Some(takeover) = &now.takeover {
            let accepted = takeover.stands == OfferStands::Accepted;
            promise(now.substitute().is_some(), "a handoff belongs to what is no substitution");
            promise(
                accepted || !matches!(now.state, ExecutionState::Verified { .. }),
                "a substitution was called done before it was accepted",
            );
        }
        let begun_here = matches!(now.state, ExecutionState::Running { .. })
            && !execution_before.is_some_and(|old| matches!(old.state, ExecutionState::Running { .. }));
        if begun_here {
            promise(facts.keeper().is_none(), "an execution began on hold or while observing");
            promise(has_a_right(now, after.request.as_ref(), facts), "an execution began without a right to");
            promise(
                facts.agent.as_ref().is_some_and(|agent| !agent.health.is_healthy()),
                "a healthy agent was touched",
            );
        }
    }
    if after.incident.state != IncidentState::Open {
        promise(after.pending().is_none(), "a closed incident still asks");
        promise(after.live().is_none(), "a closed incident still acts");
    }
    promise(after.pending().is_none() || after.live().is_none(), "people are asked about what is being carried out");
    promise(
        after.incident.request.as_ref() == after.request.as_ref().map(|request| &request.id)
            && (after.execution.as_ref().map(|one| &one.id)) == after.incident.execution.as_ref(),
        "an incident names other parts than it has",
    );
    for event in &step.events {
        promise(says_what_is_so(event, after), "a message claims more than the case knows");
    }
    broken
}

/// Reads all open cases together: at most one live execution may touch an agent, and one approved
/// request has at most one execution that takes effect.
pub fn crossed_promises<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Vec<BrokenPromise> {
    let mut touched: BTreeMap<&AgentName, &AgentName> = BTreeMap::new();
    let mut broken = Vec::new();
    for case in cases {
        let Some(live) = case.live() else { continue };
        for agent in [Some(&live.agent), live.substitute()].into_iter().flatten() {
            if touched.insert(agent, &live.agent).is_some() {
                broken.push(BrokenPromise { agent: agent.clone(), what: "two live executions touch one agent" });
            }
        }
    }
    broken
}

fn request_goes_one_way(before: Option<&Request>, former: Option<&Request>, now: &Request) -> bool {
    match before {
        None => former.is_none() && now.is_pending(),
        // A new one has come; the one from before was kept, and closed by then.
        Some(old) if old.id != now.id => former.is_some_and(|former| {
            former.id == old.id
                && !former.is_pending()
                && request_goes_one_way(before, None, former)
                && now.is_pending()
                && old.key != now.key
        }),
        Some(old) if old.is_pending() => old.key == now.key && old.code == now.code,
        Some(old) => old.state == now.state,
    }
}

fn execution_goes_one_way(before: Option<&Execution>, former: Option<&Execution>, now: &Execution) -> bool {
    use ExecutionState as S;
    let Some(old) = before else { return former.is_none() && now.state == S::Ready };
    if old.id != now.id {
        let kept = former.is_some_and(|former| {
            former.id == old.id && !former.is_live() && execution_goes_one_way(before, None, former)
        });
        return kept && now.state == S::Ready && now.attempt == 0;
    }
    if (&old.action, &old.basis) != (&now.action, &now.basis) {
        return false;
    }
    if !offer_goes_one_way(old, now) {
        return false;
    }
    match (&old.state, &now.state) {
        (S::Ready, S::Running { .. }) => now.attempt == old.attempt + 1,
        (S::Ready, S::Ready | S::CalledOff { .. })
        | (S::Running { .. }, S::Ready | S::Done { .. } | S::Failed { .. } | S::Unknown { .. })
        | (S::Done { .. }, S::Done { .. } | S::Verified { .. } | S::NotRecovered { .. })
        | (S::Unknown { .. }, S::Unknown { .. } | S::Verified { .. } | S::NotRecovered { .. }) => true,
        (old, now) => old == now,
    }
}

/// A handoff is made when an execution begins, is answered once, and stays as it was answered.
fn offer_goes_one_way(old: &Execution, now: &Execution) -> bool {
    let begins = matches!((&old.state, &now.state), (ExecutionState::Ready, ExecutionState::Running { .. }));
    match (&old.takeover, &now.takeover) {
        (_, Some(new)) if begins => new.stands == OfferStands::Offered,
        (Some(old), Some(new)) => {
            old.handoff == new.handoff && (old.stands == OfferStands::Offered || old.stands == new.stands)
        }
        (old, new) => begins || old.is_none() == new.is_none(),
    }
}

/// What a person signed off is what the packet asked about, and nothing else.
fn does_what_was_asked(execution: &Execution, request: Option<&Request>) -> bool {
    match &execution.basis {
        Basis::Policy => true,
        Basis::Request { .. } => {
            request.is_some_and(|asked| asked.mission == execution.mission && asked.host == execution.host)
        }
    }
}

/// Invariant 1, at the moment an execution is made and again when it begins.
fn has_a_right(execution: &Execution, request: Option<&Request>, facts: &Facts<'_>) -> bool {
    match &execution.basis {
        Basis::Policy => facts.agent.as_ref().is_some_and(|agent| agent.mode == Mode::Yes),
        Basis::Request { request: id, by } => request.is_some_and(|request| {
            request.id == *id
                && facts.may_decide(by, &request.mission)
                && matches!(&request.state, RequestState::Approved { decision }
                    if decision.action == execution.action && decision.by == *by && facts.is_still_theirs(decision))
        }),
    }
}

/// Invariant 8: "approved" is not "restarted", "restarted" is not "alive".
fn says_what_is_so(event: &Event, case: &Case) -> bool {
    let is = |id: &super::ExecutionId, wanted: fn(&ExecutionState) -> bool| {
        case.execution.as_ref().is_some_and(|one| one.id == *id && wanted(&one.state))
    };
    match event {
        Event::Verified { execution, .. } => is(execution, |state| matches!(state, ExecutionState::Verified { .. })),
        Event::Done { execution, .. } => is(execution, |state| matches!(state, ExecutionState::Done { .. })),
        Event::Started { execution, .. } => is(execution, |state| matches!(state, ExecutionState::Running { .. })),
        Event::Failed { execution, .. } => is(execution, |state| matches!(state, ExecutionState::Failed { .. })),
        Event::Unknown { execution, .. } => is(execution, |state| matches!(state, ExecutionState::Unknown { .. })),
        Event::Approved { request, action, .. } => case.request.as_ref().is_some_and(|one| {
            one.id == *request
                && matches!(&one.state, RequestState::Approved { decision } if decision.action == *action)
        }),
        Event::Recovered { .. } => matches!(case.incident.state, IncidentState::Recovered { .. }),
        // The others claim nothing about what runs or lives.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::Action;

    #[test]
    fn a_checker_that_finds_nothing_wrong_is_worth_nothing() {
        let world = super::super::tests::World::new();
        let (case, facts) = world.dead_with_request();
        let mut forged = Step::quiet(case.clone());
        forged.case.execution = Some(Execution {
            id: super::super::ExecutionId("x".into()),
            incident: case.incident.id.clone(),
            agent: case.incident.agent.clone(),
            mission: case.incident.mission.clone(),
            host: None,
            action: Action::Restart,
            basis: Basis::Policy,
            ready_at: facts.now,
            attempt: 0,
            run: None,
            invocation_before: None,
            takeover: None,
            state: ExecutionState::Ready,
        });
        let found: Vec<_> = broken_promises(Some(&case), &forged, &facts).into_iter().map(|one| one.what).collect();
        assert_eq!(
            found,
            [
                "an execution without approval or policy",
                "people are asked about what is being carried out",
                "an incident names other parts than it has",
            ]
        );
    }
}
