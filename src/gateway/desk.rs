use std::sync::Arc;
use std::time::Duration;

use super::ledger::{self, Entry};
use super::{Gateway, inbox, mission};
use crate::approval::{InputId, PersonId, Said, Speaker};
use crate::incident::Case;
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::{self, Reader, StoreError};
use crate::web::missions::{BusReader, NotShown, Seen};
use crate::web::{self, Desk, ImportSlot, Live, NoSlot, Shown, Submitted};
use crate::wording::{self, AlarmView, Explained, RelayView, Setting, SweepView, TaskView};

/// What the running daemon offers to the local socket and the terminal.
pub struct GatewayDesk(pub Arc<Gateway>);

impl Desk for GatewayDesk {
    async fn submit(&self, id: InputId, said: Said) -> Result<Submitted, StoreError> {
        inbox::submit(&self.0, id, said).await
    }

    fn person_of(&self, uid: u32) -> Option<PersonId> {
        self.0.in_force().people.who(&Speaker::LocalUser(uid)).map(|person| person.id.clone())
    }

    fn reader(&self) -> &Reader {
        self.0.store.reader()
    }

    fn setting(&self) -> Setting {
        self.0.setting(self.0.hold_seen().as_ref())
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn approval_ttl(&self) -> Duration {
        self.0.in_force().timing.approval_ttl
    }

    fn live(&self) -> Live {
        let status = &self.0.status;
        Live {
            since: status.started_at,
            agents: *self.0.agents_at.read().unwrap_or_else(std::sync::PoisonError::into_inner),
            sweep: status.sweep().map(|sweep| SweepView {
                ended_at: sweep.begun.plus(sweep.took),
                took: sweep.took,
                late: sweep.late,
            }),
            alarms: status.alarms().into_iter().map(|(at, alarm)| AlarmView { at, alarm }).collect(),
            relays: self
                .0
                .nostr
                .relays()
                .into_iter()
                .map(|(url, relay)| RelayView { url, connected: relay.connected, says: relay.says, at: relay.at })
                .collect(),
            tasks: status
                .tasks()
                .into_iter()
                .map(|(task, state)| TaskView {
                    name: task.word().to_owned(),
                    at: state.as_ref().map(|state| state.at),
                    state: match state {
                        Some(state) if state.ok => state.says,
                        Some(state) => format!("FAILED: {}", state.says),
                        None => "waits for its first turn".to_owned(),
                    },
                })
                .collect(),
        }
    }

    async fn explain(&self, agent: &AgentName) -> Result<Option<Shown>, StoreError> {
        let (job, agent) = (Arc::clone(&self.0), agent.clone());
        // In a write transaction, since that is where a case and its facts are read together; it
        // changes nothing.
        self.0.store.write(move |tx| Box::pin(async move { explain(tx, &job, &agent).await })).await
    }

    async fn small_document(&self, document: serde_json::Value) -> Result<serde_json::Value, StoreError> {
        mission::small_state(&self.0, document).await
    }

    fn bus_reader(&self, uid: u32, mission: &MissionName) -> BusReader {
        if web::is_owner(uid) {
            return BusReader::Owner;
        }
        match self.person_of(uid) {
            Some(person) => mission::reader_of(&self.0.in_force(), &person, mission),
            None => web::nobody(uid),
        }
    }

    async fn note_not_shown(&self, not: NotShown, doing: &'static str) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        self.0.store.write(move |tx| Box::pin(async move { mission::note(tx, &not, doing, now).await })).await
    }

    fn import_slot(&self, uid: u32) -> Result<ImportSlot, NoSlot> {
        mission::slot(&self.0, uid)
    }

    async fn import(&self, uid: u32, slot: ImportSlot, value: serde_json::Value) -> Result<Seen, StoreError> {
        mission::import(&self.0, uid, slot, value).await
    }

    fn metrics_text(&self) -> String {
        super::metrics::text(&self.0)
    }
}

async fn explain(tx: &mut store::Tx, gateway: &Arc<Gateway>, agent: &AgentName) -> Result<Option<Shown>, StoreError> {
    let entry = Entry::open(tx, gateway).await?;
    let case = ledger::open_case_of(tx, agent).await?;
    let known = entry.facts_of(tx, agent, case.as_ref().map(|case| &case.incident), None).await?;
    let member = entry.in_force().member(agent);
    if member.is_none() && case.is_none() {
        return Ok(None);
    }
    let explained = Explained {
        agent,
        facts: known.as_ref(),
        timeout: member.map_or(Duration::ZERO, |member| member.timeout),
        incident: case.as_ref().map(|case| &case.incident),
        request: case.as_ref().and_then(|case| case.request.as_ref()),
        execution: case.as_ref().and_then(|case| case.execution.as_ref()),
        attempts_max: entry.in_force().timing.attempts_max,
    };
    let text = wording::explain(&explained, &entry.setting(), entry.now);
    let watch = gateway.watches.of(agent);
    let value = serde_json::json!({
        "agent": agent,
        "health": watch.as_ref().map(|watch| watch.health.word()),
        "last_healthy_at": watch.as_ref().and_then(|watch| watch.last_healthy_at),
        "mission": member.map(|member| &member.mission),
        "mode": member.map(|member| member.mode),
        "incident": case.as_ref().map(|Case { incident, .. }| incident),
        "request": case.as_ref().and_then(|case| case.request.as_ref()),
        "execution": case.as_ref().and_then(|case| case.execution.as_ref()),
    });
    Ok(Some(Shown::new(text, &value)))
}
