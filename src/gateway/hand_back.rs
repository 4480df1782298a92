//! An agent that is back is offered its work again, once somebody who approves its mission says so.

use super::hear::{Heard, Speech};
use super::ledger::{self, Entry};
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
        // What is not back is not offered its work: it could not answer, and would lose it again.
        let waits = match takeover::who_has(tx, &mission, &agent).await? {
            None => None,
            Some(_) if !entry.gateway().watches.health_of(&agent).is_healthy() => Some("it is not seen healthy"),
            Some(_) if ledger::open_case_of(tx, &agent).await?.is_some() => Some("its case is open"),
            Some(_) => None,
        };
        if let Some(why) = waits {
            let reply = Reply::NotOfferedBack { agent, why: format!("{why}; try again once it is back") };
            return Ok(self.replied(&reply, &setting, now));
        }
        let reply = match takeover::hand_back(tx, entry, &mission, &agent, by.as_str()).await? {
            Ok(row) => Reply::OfferedBack { agent, handoff: row.id },
            Err(error) => Reply::NotOfferedBack { agent, why: error.to_string() },
        };
        Ok(self.replied(&reply, &setting, now))
    }
}
