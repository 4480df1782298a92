//! An agent that is back is offered its work again, once somebody who approves its mission says so.

use super::hear::{Heard, Speech};
use super::ledger::Entry;
use super::mission::takeover;
use crate::incident::Refusal;
use crate::pool::AgentName;
use crate::store::{StoreError, Tx};
use crate::wording::Reply;

impl Speech<'_> {
    /// Offers `agent` its own part of its mission, which somebody else has.
    pub(super) async fn hand_back(&self, tx: &mut Tx, entry: &Entry, agent: AgentName) -> Result<Heard, StoreError> {
        let (setting, now) = (entry.setting(), entry.now);
        let Some(by) = self.person.clone() else { return Ok(self.stranger()) };
        let Some(member) = entry.in_force().member(&agent) else {
            return Ok(self.replied(&Reply::NoSuchAgent { agent }, &setting, now));
        };
        let mission = member.mission.clone();
        if !entry.people().may_decide(&by, &mission) {
            return Ok(self.refused(&agent, &Refusal::NotAllowed { person: by, mission }, entry));
        }
        let reply = match takeover::hand_back(tx, entry, &mission, &agent, by.as_str()).await? {
            Ok(row) => Reply::OfferedBack { agent, handoff: row.id },
            Err(error) => Reply::NotOfferedBack { agent, why: error.to_string() },
        };
        Ok(self.replied(&reply, &setting, now))
    }
}
