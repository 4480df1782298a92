//! A case as rows: each part is inserted, or changed from the state that it was in; a row that is in
//! another one is a conflict, never overwritten.

use crate::approval::{Request, RequestState};
use crate::incident::{Basis, Case, Execution, ExecutionState, Incident, IncidentState, Standing};
use crate::pool::Timestamp;
use crate::store::{self, StoreError, Tx};

/// An incident as its row: inserted, changed while it is open, closed at its end.
pub async fn store_incident(
    tx: &mut Tx,
    before: Option<&Case>,
    incident: &Incident,
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = &incident.id.0;
    let closed = match &incident.state {
        IncidentState::Open => None,
        IncidentState::Recovered { .. } => Some(store::incidents::IncidentPhase::Recovered),
        IncidentState::Gone { .. } => Some(store::incidents::IncidentPhase::Gone),
    };
    match (before, closed) {
        (None, _) => {
            let new = store::incidents::NewIncident {
                id,
                agent: &incident.agent,
                mission: &incident.mission,
                opened_at: incident.opened_at,
                body: incident,
            };
            store::incidents::insert(tx, new).await
        }
        (Some(before), None) if before.incident == *incident => Ok(()),
        (Some(_), None) => {
            let stand_in = match &incident.standing {
                Standing::Substituted { by } => Some(by),
                Standing::Open
                | Standing::Denied { .. }
                | Standing::ApprovedNotRun { .. }
                | Standing::Revived { .. } => None,
            };
            store::incidents::update(tx, id, &incident.mission, stand_in, incident).await
        }
        (Some(_), Some(end)) => store::incidents::close(tx, id, end, now, incident).await,
    }
}

/// A request as its row: inserted, or changed from the state it was in.
pub async fn store_request(tx: &mut Tx, old: Option<&Request>, request: &Request) -> Result<(), StoreError> {
    use store::requests::RequestPhase as Phase;
    let phase = |state: &RequestState| match state {
        RequestState::Pending { .. } => Phase::Pending,
        RequestState::Approved { .. } => Phase::Approved,
        RequestState::Denied { .. } => Phase::Denied,
        RequestState::Expired { .. } => Phase::Expired,
        RequestState::Withdrawn { .. } => Phase::Withdrawn,
    };
    match old {
        Some(old) if old == request => Ok(()),
        Some(old) => {
            let change = store::requests::RequestChange {
                state: phase(&request.state),
                expires_at: request.expires(),
                closed_at: request.closed_at(),
                body: request,
            };
            store::requests::update(tx, &request.id.0, phase(&old.state), change).await
        }
        None => {
            let new = store::requests::NewRequest {
                id: &request.id.0,
                incident_id: &request.incident.0,
                agent: &request.agent,
                mission: &request.mission,
                approval_key: &request.key.to_string(),
                key_second: request.key.second(),
                code: &request.code.to_string(),
                created_at: request.created_at,
                body: request,
            };
            store::requests::insert(tx, new).await
        }
    }
}

/// An execution as its row, likewise.
pub async fn store_execution(
    tx: &mut Tx,
    old: Option<&Execution>,
    execution: &Execution,
    now: Timestamp,
) -> Result<(), StoreError> {
    use store::executions::ExecutionPhase as Phase;
    let phase = |state: &ExecutionState| match state {
        ExecutionState::Ready => Phase::Ready,
        ExecutionState::Running { .. } => Phase::Running,
        ExecutionState::CalledOff { .. } => Phase::CalledOff,
        ExecutionState::Done { .. } => Phase::Done,
        ExecutionState::Failed { .. } => Phase::Failed,
        ExecutionState::Unknown { .. } => Phase::Unknown,
        ExecutionState::Verified { .. } => Phase::Verified,
        ExecutionState::NotRecovered { .. } => Phase::NotRecovered,
    };
    match old {
        Some(old) if old == execution => Ok(()),
        Some(old) => {
            let change = store::executions::ExecutionChange {
                state: phase(&execution.state),
                run: execution.run.as_deref(),
                updated_at: now,
                body: execution,
            };
            store::executions::update(tx, &execution.id.0, phase(&old.state), change).await
        }
        None => {
            let request = match &execution.basis {
                Basis::Policy => None,
                Basis::Request { request, .. } => Some(request.0.as_str()),
            };
            let new = store::executions::NewExecution {
                id: &execution.id.0,
                incident_id: &execution.incident.0,
                request_id: request,
                agent: &execution.agent,
                substitute: execution.substitute(),
                created_at: execution.ready_at,
                body: execution,
            };
            store::executions::insert(tx, new).await
        }
    }
}
