//! Every message, as people read it. A table per closed list; each list's `place` matches every
//! variant by name, so that a new one does not compile before it has its sample here.

mod alarms;
mod answers;
mod bus;
mod cards;
mod chats;
mod drills;
mod hostile;
mod missions;
mod notices;
mod read;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::*;
use crate::approval::{
    Action, ApprovalKey, Channel, Code, Decision, InputId, Offers, PersonId, Request, RequestId, RequestState,
};
use crate::incident::{
    AgentFacts, Basis, CalledOff, Candidate, Case, Disposition, Execution, ExecutionId, ExecutionState, Incident,
    IncidentState, Standing, Tally, Verification,
};
use crate::pool::{AgentName, Health, IncidentId, MissionName, Mode, Reason, Timestamp};

/// 06:05:06 in the summer time of Berlin.
const NOW: Timestamp = Timestamp::from_millis(1_776_225_906_000);

fn ago(minutes: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(60 * minutes))
}

fn later(minutes: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(60 * minutes))
}

fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

fn mission(name: &str) -> MissionName {
    MissionName::new(name).unwrap()
}

fn kim() -> PersonId {
    PersonId::new("kim").unwrap()
}

fn request_id() -> RequestId {
    RequestId("r1".into())
}

fn execution_id() -> ExecutionId {
    ExecutionId("x1".into())
}

fn setting() -> Setting {
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    Setting { zone, issue: 882, observing: false, hold: None }
}

fn on_hold() -> Setting {
    let hold = HoldInfo { by: "kim".into(), since: ago(30), reason: Some("moving racks".into()) };
    Setting { hold: Some(hold), ..setting() }
}

fn incident() -> Incident {
    Incident {
        request: None,
        execution: None,
        id: IncidentId("i1".into()),
        agent: agent("ezra"),
        mission: mission("archive"),
        host: None,
        opened_at: ago(1),
        last_healthy_at: Some(ago(12)),
        timeout: Duration::from_secs(600),
        reasons: vec![Reason::GatewayUnreachable, Reason::ServiceInactive],
        state: IncidentState::Open,
        standing: Standing::Open,
        disposition: Disposition::Asking { request: request_id() },
        snoozed_until: None,
        tally: Tally::default(),
    }
}

fn request() -> Request {
    Request {
        id: request_id(),
        incident: IncidentId("i1".into()),
        key: ApprovalKey::parse("ezra:archive:1776225846").unwrap(),
        code: Code::parse("7K3QXM").unwrap(),
        agent: agent("ezra"),
        mission: mission("archive"),
        host: None,
        created_at: ago(1),
        offers: Offers { restart: true, substitutes: vec![agent("timmy")] },
        state: RequestState::Pending { expires: Some(later(59)) },
    }
}

fn approved(action: Action) -> RequestState {
    let input = InputId("in1".into());
    RequestState::Approved {
        decision: Decision { action, by: kim(), via: Channel::Cli, input, at: NOW, speaker: None },
    }
}

fn execution(action: Action, state: ExecutionState) -> Execution {
    Execution {
        run: None,
        id: execution_id(),
        incident: IncidentId("i1".into()),
        agent: agent("ezra"),
        mission: mission("archive"),
        host: None,
        action,
        basis: Basis::Request { request: request_id(), by: kim() },
        ready_at: NOW,
        attempt: 0,
        invocation_before: None,
        takeover: None,
        state,
    }
}

fn facts() -> AgentFacts {
    AgentFacts {
        mission: mission("archive"),
        host: None,
        local: true,
        mode: Mode::Ask,
        health: Health::Unhealthy(vec![Reason::GatewayUnreachable]),
        seen_at: NOW,
        healthy_since: None,
        last_healthy_at: Some(ago(12)),
        can_restart: true,
        can_substitute: true,
        candidates: vec![Candidate { agent: agent("timmy"), health: Health::Healthy, free: true, reachable: true }],
        stand_in_lost: false,
        touched_by_other: false,
    }
}

fn verification() -> Verification {
    Verification { since: NOW, deadline: later(2), first_healthy: None }
}

/// Every reason for not running, in order.
fn called_off() -> Vec<CalledOff> {
    let all = vec![
        CalledOff::Recovered,
        CalledOff::Gone,
        CalledOff::PolicyChanged,
        CalledOff::Moved,
        CalledOff::ApproverRevoked,
        CalledOff::SubstituteUnfit,
        CalledOff::NoMeans,
        CalledOff::LaterDeny,
        CalledOff::TooOld,
        CalledOff::OnHold,
        CalledOff::Observing,
        CalledOff::Restored,
        CalledOff::NotHandedOver { why: "its work belongs to timmy".into() },
        CalledOff::IdentityRevoked,
    ];
    covers(&all, 14, |one| match one {
        CalledOff::Recovered => 0,
        CalledOff::Gone => 1,
        CalledOff::PolicyChanged => 2,
        CalledOff::Moved => 3,
        CalledOff::ApproverRevoked => 4,
        CalledOff::SubstituteUnfit => 5,
        CalledOff::NoMeans => 6,
        CalledOff::LaterDeny => 7,
        CalledOff::TooOld => 8,
        CalledOff::OnHold => 9,
        CalledOff::Observing => 10,
        CalledOff::Restored => 11,
        CalledOff::NotHandedOver { .. } => 12,
        CalledOff::IdentityRevoked => 13,
    });
    all
}

/// Fails unless `samples` hold every one of `variants` places.
#[track_caller]
fn covers<T>(samples: &[T], variants: usize, place: impl Fn(&T) -> usize) {
    let places: BTreeSet<usize> = samples.iter().map(place).collect();
    assert_eq!(places, (0..variants).collect(), "a variant has no sample, or `variants` was not raised");
}

/// One text after the other, each under its name.
fn table(texts: impl IntoIterator<Item = (String, String)>) -> String {
    texts.into_iter().map(|(name, text)| format!("-- {name}\n{text}")).collect::<Vec<_>>().join("\n")
}
