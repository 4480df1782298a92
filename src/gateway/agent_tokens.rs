//! Tokens of agents: who may hand them out, and under which names.

use super::hear::{Heard, Speech};
use super::ledger::Entry;
use super::mission::whose_name;
use crate::approval::Approves;
use crate::pool::AgentName;
use crate::store::{self, StoreError, Tx, journal};
use crate::wording::Reply;

impl Speech<'_> {
    /// Lets whoever has the token of this hash act as `agent`. That acts in every mission that the agent takes part
    /// in, so it takes more than one mission's approver.
    pub(super) async fn agent_token(
        &self,
        tx: &mut Tx,
        entry: &Entry,
        agent: AgentName,
        hash: &str,
    ) -> Result<Heard, StoreError> {
        if let Some(refused) = self.not_for_all(entry) {
            return Ok(self.replied(&refused, &entry.setting(), entry.now));
        }
        if let Some(by) = whose_name(entry.in_force(), &agent) {
            return Ok(self.replied(&Reply::NameTaken { agent, by }, &entry.setting(), entry.now));
        }
        let again = store::door::tokens(tx).await?.iter().any(|token| token.agent == agent);
        store::door::issue(tx, &agent, hash, &self.by, entry.now).await?;
        let what = if again { "agent.token_replaced" } else { "agent.token_issued" };
        self.note(tx, entry, what, &agent).await?;
        Ok(self.replied(&Reply::TokenIssued { agent, again }, &entry.setting(), entry.now))
    }

    /// Lets nobody act as `agent`. That only takes away, so whoever may hold may do it.
    pub(super) async fn agent_revoke(&self, tx: &mut Tx, entry: &Entry, agent: AgentName) -> Result<Heard, StoreError> {
        if !store::door::revoke(tx, &agent).await? {
            return Ok(self.replied(&Reply::NoToken { agent }, &entry.setting(), entry.now));
        }
        self.note(tx, entry, "agent.token_revoked", &agent).await?;
        Ok(self.replied(&Reply::TokenRevoked { agent }, &entry.setting(), entry.now))
    }

    fn not_for_all(&self, entry: &Entry) -> Option<Reply> {
        if self.owner {
            return None;
        }
        let person = self.person.clone()?;
        let all = entry.people().get(&person).is_some_and(|known| known.approves == Approves::All);
        (!all).then_some(Reply::NotForAll { person })
    }

    async fn note(&self, tx: &mut Tx, entry: &Entry, kind: &str, agent: &AgentName) -> Result<(), StoreError> {
        let body = serde_json::json!({ "by": self.by, "input": self.input.id });
        let noted = journal::Entry { kind: kind.into(), agent: Some(agent.clone()), body };
        journal::append(tx, &[noted], entry.now).await?;
        Ok(())
    }
}
