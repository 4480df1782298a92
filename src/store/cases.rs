//! An incident with its newest request and its newest execution, read at once: whoever moves a case
//! needs all three, and each statement on its own would cost more than the reading itself.
//!
//! "Newest" is by the time of making, which a clock that was set back can mislead. The incident's body
//! names the two that count: compare, and load by id what differs.

use super::error::StoreError;
use super::row::{self, Sql, sql, stored};
use super::tx::{Reads, Tx};
use crate::pool::AgentName;

stored! { "incidents",
    /// The bodies of a case, as JSON.
    pub struct CaseRow {
        /// The incident's id.
        pub id: String,
        /// Who died.
        pub agent: AgentName,
        /// The incident.
        pub body: String,
        /// Its newest request.
        pub request: Option<String>,
        /// Its newest execution.
        pub execution: Option<String>,
    }
}

stored! { "requests",
    /// A request that somebody named, with the bodies of the case it belongs to.
    pub struct NamedRow {
        /// The incident's id.
        pub id: String,
        /// Who died.
        pub agent: AgentName,
        /// The request that was named, newest or not, as JSON.
        pub named: String,
        /// The incident.
        pub body: String,
        /// Its newest request.
        pub request: Option<String>,
        /// Its newest execution.
        pub execution: Option<String>,
        /// The incident of the live execution that has the agent as its target or substitute.
        touched_by: Option<String>,
    }
}

/// The columns of a [`CaseRow`], of an incident `i`.
const CASE: &str = "SELECT i.id, i.agent, i.body,
     (SELECT r.body FROM requests r WHERE r.incident_id = i.id
         ORDER BY r.created_at DESC, r.id DESC LIMIT 1) AS request,
     (SELECT e.body FROM executions e WHERE e.incident_id = i.id
         ORDER BY e.created_at DESC, e.id DESC LIMIT 1) AS execution";
/// The further ones of a [`NamedRow`], of a request `n`.
const NAMED: &str = ", n.body AS named,
     COALESCE(
         (SELECT t.incident_id FROM executions t
             WHERE t.state IN ('ready', 'running', 'done', 'unknown') AND t.agent = i.agent),
         (SELECT s.incident_id FROM executions s
             WHERE s.state IN ('ready', 'running', 'done', 'unknown')
                 AND s.substitute IS NOT NULL AND s.substitute = i.agent)) AS touched_by
     FROM requests n JOIN incidents i ON i.id = n.incident_id";

/// The case of that incident.
pub async fn of_incident(db: &mut impl Reads, id: &str) -> Result<Option<CaseRow>, StoreError> {
    let mut select = sql(CASE);
    select.push(" FROM incidents i WHERE i.id = ").push_bind(id.to_owned());
    row::optional(db, select).await
}

/// The open cases of those of `agents` that have one, by agent.
pub async fn open_of(db: &mut impl Reads, agents: &[AgentName]) -> Result<Vec<CaseRow>, StoreError> {
    if agents.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = sql(CASE);
    select.push(" FROM incidents i WHERE i.state = 'open' AND i.agent IN ");
    select.push_list(agents.iter().map(|agent| agent.as_str().to_owned()));
    select.push(" ORDER BY i.agent");
    row::all(db, select).await
}

/// The request that was last given that code, with its case.
pub async fn by_code(tx: &mut Tx, code: &str) -> Result<Option<NamedRow>, StoreError> {
    let mut select = sql(CASE);
    select.push(NAMED).push(" WHERE n.id = (SELECT c.id FROM requests c WHERE c.code = ").push_bind(code.to_owned());
    select.push(" ORDER BY c.created_at DESC, c.id DESC LIMIT 1)");
    named(tx, select).await
}

/// The request of that full key, with its case.
pub async fn by_key(tx: &mut Tx, key: &str) -> Result<Option<NamedRow>, StoreError> {
    let mut select = sql(CASE);
    select.push(NAMED).push(" WHERE n.approval_key = ").push_bind(key.to_owned());
    named(tx, select).await
}

async fn named(tx: &mut Tx, select: Sql) -> Result<Option<NamedRow>, StoreError> {
    let named: Option<NamedRow> = row::optional(tx, select).await?;
    if let Some(named) = &named {
        // The next thing that is asked about this agent.
        tx.touched.insert(named.agent.clone(), named.touched_by.clone());
    }
    Ok(named)
}
