//! Executions: each one attempt to carry a decision or a *yes* policy out. While one is live (ready,
//! running, done or unknown) no other touches the same incident, nor the same agent, be it as the
//! target or as the substitute.

use serde::Serialize;

use super::error::StoreError;
use super::row::{self, sql, stored, words};
use super::tx::{Reads, Tx, to_json};
use crate::pool::{AgentName, Timestamp};

words! {
    /// How an execution stands.
    pub enum ExecutionPhase {
        /// Waits for its last check.
        Ready = "ready",
        /// Its command may have started.
        Running = "running",
        /// It was not started, and why stands in its body.
        CalledOff = "called_off",
        /// The command ended well; not verified yet.
        Done = "done",
        /// The command could not start, or ended badly.
        Failed = "failed",
        /// What the command began may go on.
        Unknown = "unknown",
        /// The agent, or its substitute, lives.
        Verified = "verified",
        /// It does not.
        NotRecovered = "not_recovered",
    }
}

impl ExecutionPhase {
    /// Whether it still can take effect or awaits its verification.
    pub const fn is_live(self) -> bool {
        match self {
            Self::Ready | Self::Running | Self::Done | Self::Unknown => true,
            Self::CalledOff | Self::Failed | Self::Verified | Self::NotRecovered => false,
        }
    }
}

stored! { "executions",
    /// One execution.
    pub struct ExecutionRow {
        /// Its id.
        pub id: String,
        /// The incident that it is to end.
        pub incident_id: String,
        /// The request that was approved; none under *yes*.
        pub request_id: Option<String>,
        /// Who is restarted or replaced.
        pub agent: AgentName,
        /// Who takes over.
        pub substitute: Option<AgentName>,
        /// How it stands.
        pub state: ExecutionPhase,
        /// The name of the run file of its current attempt.
        pub run: Option<String>,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it last changed.
        pub updated_at: Timestamp,
        /// The whole execution, as JSON.
        pub body: String,
    }
}

/// An execution to be made, in the state *ready*.
#[derive(Clone, Debug)]
pub struct NewExecution<'a, B> {
    /// Its id.
    pub id: &'a str,
    /// The incident that it is to end.
    pub incident_id: &'a str,
    /// The approved request; none under *yes*.
    pub request_id: Option<&'a str>,
    /// Who is restarted or replaced.
    pub agent: &'a AgentName,
    /// Who takes over.
    pub substitute: Option<&'a AgentName>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The whole execution.
    pub body: &'a B,
}

/// What a guarded change makes of an execution.
#[derive(Clone, Debug)]
pub struct ExecutionChange<'a, B> {
    /// How it stands from now on.
    pub state: ExecutionPhase,
    /// The run file of its current attempt.
    pub run: Option<&'a str>,
    /// When it changed.
    pub updated_at: Timestamp,
    /// The whole execution.
    pub body: &'a B,
}

/// Makes an execution; [`StoreError::Taken`] if a live one touches the incident or an agent of it.
pub async fn insert<B: Serialize + Sync>(tx: &mut Tx, new: NewExecution<'_, B>) -> Result<(), StoreError> {
    let body = to_json("executions", new.id, new.body)?;
    let insert = sql("INSERT INTO executions
             (id, incident_id, request_id, agent, substitute, state, created_at, updated_at, body)
         SELECT $1, $2, $3, $4, $5, 'ready', $6, $6, $7
         WHERE NOT EXISTS (SELECT 1 FROM executions WHERE state IN ('ready', 'running', 'done', 'unknown')
                 AND substitute IS NOT NULL AND substitute = $4)
             AND NOT EXISTS (SELECT 1 FROM executions WHERE state IN ('ready', 'running', 'done', 'unknown')
                 AND agent = $5)")
    .bind(new.id.to_owned())
    .bind(new.incident_id.to_owned())
    .bind(new.request_id.map(str::to_owned))
    .bind(new.agent.as_str().to_owned())
    .bind(new.substitute.map(|agent| agent.as_str().to_owned()))
    .bind(new.created_at.as_millis())
    .bind(body);
    tx.touched.clear();
    // The indexes see target beside target and substitute beside substitute; across, the statement looks.
    tx.insert_if("executions", new.id, "a live execution touches its agent or its substitute", insert).await
}

/// Changes an execution that stands as `expected`; [`StoreError::Conflict`] if it stands otherwise.
pub async fn update<B: Serialize + Sync>(
    tx: &mut Tx,
    id: &str,
    expected: ExecutionPhase,
    change: ExecutionChange<'_, B>,
) -> Result<(), StoreError> {
    let update = sql("UPDATE executions SET state = $3, run = $4, updated_at = $5, body = $6
         WHERE id = $1 AND state = $2")
    .bind(id.to_owned())
    .bind(expected.as_str())
    .bind(change.state.as_str())
    .bind(change.run.map(str::to_owned))
    .bind(change.updated_at.as_millis())
    .bind(to_json("executions", id, change.body)?);
    tx.touched.clear();
    tx.update("executions", id, expected.as_str(), update).await
}

/// The execution of that id.
pub async fn load(db: &mut impl Reads, id: &str) -> Result<Option<ExecutionRow>, StoreError> {
    let select = sql("SELECT id, incident_id, request_id, agent, substitute, state, run, created_at, updated_at, body
         FROM executions WHERE id = $1");
    row::optional(db, select.bind(id.to_owned())).await
}

/// All live executions, the oldest first.
pub async fn live(db: &mut impl Reads) -> Result<Vec<ExecutionRow>, StoreError> {
    let select = sql("SELECT id, incident_id, request_id, agent, substitute, state, run, created_at, updated_at, body
         FROM executions WHERE state IN ('ready', 'running', 'done', 'unknown') ORDER BY created_at, id");
    row::all(db, select).await
}

stored! { "executions",
    /// As much of a live execution as tells whether anybody sees to it.
    pub struct LiveRow {
        /// Its row's number: one that is made later has a higher one, as long as none is deleted meanwhile.
        pub number: i64,
        /// Its id.
        pub id: String,
        /// The incident it belongs to.
        pub incident_id: String,
        /// How it stands.
        pub state: ExecutionPhase,
    }
}

/// All live executions in short, the oldest first.
pub async fn live_in_short(db: &mut impl Reads) -> Result<Vec<LiveRow>, StoreError> {
    let select = sql("SELECT rowid AS number, id, incident_id, state
         FROM executions WHERE state IN ('ready', 'running', 'done', 'unknown') ORDER BY created_at, id");
    row::all(db, select).await
}

/// The number of the newest execution's row, live or not; 0 if there is none.
pub async fn newest(db: &mut impl Reads) -> Result<i64, StoreError> {
    Ok(row::number(db, sql("SELECT MAX(rowid) FROM executions")).await?.unwrap_or(0))
}

/// Those of them that were made after the row `number`: thousands may be live, and somebody looks for new ones at
/// every decision.
pub async fn live_after(db: &mut impl Reads, number: i64) -> Result<Vec<LiveRow>, StoreError> {
    let select = sql("SELECT rowid AS number, id, incident_id, state
         FROM executions NOT INDEXED
         WHERE rowid > $1 AND state IN ('ready', 'running', 'done', 'unknown') ORDER BY rowid");
    row::all(db, select.bind(number)).await
}

/// The incident of the live execution that has `agent` as its target or its substitute.
pub async fn touching(tx: &mut Tx, agent: &AgentName) -> Result<Option<String>, StoreError> {
    if !tx.touched.contains_key(agent) {
        know_touching(tx, std::slice::from_ref(agent)).await?;
    }
    Ok(tx.touched.get(agent).cloned().flatten())
}

/// Reads at once what [`touching`] is going to be asked about `agents` in this job.
pub async fn know_touching(tx: &mut Tx, agents: &[AgentName]) -> Result<(), StoreError> {
    if agents.is_empty() {
        return Ok(());
    }
    let names = || agents.iter().map(|agent| agent.as_str().to_owned());
    // Two searches, each over its own partial index; one with OR would read every live execution.
    let mut select = sql("SELECT id, agent, incident_id FROM executions
             WHERE state IN ('ready', 'running', 'done', 'unknown') AND agent IN ");
    select.push_list(names());
    select.push(
        " UNION ALL
         SELECT id, substitute AS agent, incident_id FROM executions
             WHERE state IN ('ready', 'running', 'done', 'unknown') AND substitute IS NOT NULL AND substitute IN ",
    );
    select.push_list(names());
    let found: Vec<Touching> = row::all(tx, select).await?;
    tx.touched.extend(agents.iter().map(|agent| (agent.clone(), None)));
    tx.touched.extend(found.into_iter().map(|row| (row.agent, Some(row.incident_id))));
    Ok(())
}

stored! { "executions",
    /// Whom a live execution touches.
    pub struct Touching {
        id: String,
        agent: AgentName,
        incident_id: String,
    }
}

/// All executions of an incident, the oldest first.
pub async fn of_incident(db: &mut impl Reads, incident_id: &str) -> Result<Vec<ExecutionRow>, StoreError> {
    let select = sql("SELECT id, incident_id, request_id, agent, substitute, state, run, created_at, updated_at, body
         FROM executions WHERE incident_id = $1 ORDER BY created_at, id");
    row::all(db, select.bind(incident_id.to_owned())).await
}

/// The execution that a request led to. Called off ones may be several; the newest counts.
pub async fn of_request(db: &mut impl Reads, request_id: &str) -> Result<Option<ExecutionRow>, StoreError> {
    let select = sql("SELECT id, incident_id, request_id, agent, substitute, state, run, created_at, updated_at, body
         FROM executions WHERE request_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1");
    row::optional(db, select.bind(request_id.to_owned())).await
}

/// Executions that have a run file, reached their final state before `before`: their files may
/// go, then [`forget_run`].
pub async fn runs_to_remove(
    db: &mut impl Reads,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<ExecutionRow>, StoreError> {
    let select = sql("SELECT id, incident_id, request_id, agent, substitute, state, run, created_at, updated_at, body
         FROM executions WHERE run IS NOT NULL AND updated_at < $1
             AND state NOT IN ('ready', 'running', 'done', 'unknown') ORDER BY updated_at LIMIT $2");
    row::all(db, select.bind(before.as_millis()).bind(i64::from(limit))).await
}

/// The run file of that execution is gone.
pub async fn forget_run(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    tx.run(sql("UPDATE executions SET run = NULL WHERE id = $1").bind(id.to_owned())).await
}
