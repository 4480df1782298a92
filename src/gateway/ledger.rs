//! Cases in the store: how one is loaded, moved by a pure step, and stored whole.
//!
//! Everything that happens to a case goes through [`Entry::apply`], inside one job of the store's
//! writer: it reads the case and the facts in that transaction, calls the core, has the checker read
//! the step a second time, and writes the case, its journal entries and the messages it owes people.
//! So a crash leaves a case before its step or after it, and nothing in between.

use std::sync::Arc;

use serde_json::json;

use super::in_force::InForce;
use super::{Gateway, rows};
use crate::approval::{Action, People, PersonId, Request, Target};
use crate::incident::{
    self, AgentFacts, Candidate, Case, Event, Execution, Facts, Incident, OfferStands, Standing, Step,
};
use crate::pool::{AgentName, Health, IncidentId, Timestamp};
use crate::store::cases::CaseRow;
use crate::store::{self, Reads, StoreError, Tx};
use crate::wording::{Alarm, Setting};

/// How often a step is made anew because its random code was given before. Codes are one of 2^30.
const CODE_TRIES: u32 = 8;

/// What a job looks at besides its case: read once per job, inside its transaction.
pub struct Entry {
    gateway: Arc<Gateway>,
    in_force: Arc<InForce>,
    /// Who counts where that are not all of the file, because the store has revoked some.
    left: Option<People>,
    hold: Option<store::meta::Hold>,
    /// What the store says of chats that are lost.
    lost: Option<String>,
    expiry_waits: bool,
    /// The moment of the job.
    pub now: Timestamp,
}

/// A step that was stored, or was refused by the core.
pub type Moved<R> = Result<Step, R>;

impl Entry {
    /// Reads what every case of this job has in common.
    pub async fn open(tx: &mut Tx, gateway: &Arc<Gateway>) -> Result<Self, StoreError> {
        let in_force = gateway.in_force();
        let all = store::meta::all(tx).await?;
        let left = match all.get(REVOKED) {
            Some(value) => Some(in_force.people.without(&from_body("meta", REVOKED, value)?)),
            None => None,
        };
        let hold = store::meta::hold_in(&all)?;
        gateway.see_hold(hold.clone());
        let lost = all.get(super::speak::LOST).cloned();
        let now = gateway.clock.now();
        Ok(Self { hold, left, lost, in_force, expiry_waits: true, now, gateway: Arc::clone(gateway) })
    }

    /// Lets requests expire in this job, unless an input that may hold a vote still waits.
    pub async fn let_expire(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        self.expiry_waits = super::jump::is_due(&self.gateway)
            || self.gateway.telegram.may_hold_votes(self.now)
            || self.gateway.nostr.may_hold_votes(self.now)
            || store::inbox::has_earlier_unhandled(tx, self.now).await?;
        Ok(())
    }

    /// Whether nothing may expire in this job.
    pub fn expiry_waits(&self) -> bool {
        self.expiry_waits
    }

    /// Who counts, those left out whom the store has revoked.
    pub fn people(&self) -> &People {
        self.left.as_ref().unwrap_or(&self.in_force.people)
    }

    /// What the store said of lost chats when this job began.
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// The hold, if there is one.
    pub fn hold(&self) -> Option<&store::meta::Hold> {
        self.hold.as_ref()
    }

    /// How texts are to be written.
    pub fn setting(&self) -> Setting {
        self.gateway.setting(self.hold.as_ref())
    }

    /// Everything the core may look at when it moves this case. `seen` is a newer look at the agent
    /// than the snapshot's.
    pub async fn facts_of(
        &self,
        tx: &mut Tx,
        agent: &AgentName,
        incident: Option<&Incident>,
        seen: Option<&Health>,
    ) -> Result<Option<AgentFacts>, StoreError> {
        let Some(member) = self.in_force.member(agent) else { return Ok(None) };
        let of_incident = incident.map(|incident| &incident.id);
        let mut candidates = Vec::with_capacity(member.candidates.len());
        for name in &member.candidates {
            let free = !touched_by_other(tx, name, of_incident).await?
                && store::incidents::stood_in_for_by(tx, name).await?.is_none_or(|dead| dead == agent.as_str());
            let health = match self.in_force.member(name) {
                Some(_) => self.gateway.watches.health_of(name),
                None => Health::Unobservable,
            };
            let reachable = self.in_force.reaches(name);
            candidates.push(Candidate { agent: name.clone(), health, free, reachable });
        }
        let stand_in_lost = match incident.map(|incident| &incident.standing) {
            Some(Standing::Substituted { by }) => match self.in_force.member(by) {
                Some(stand_in) => self.gateway.watches.is_dead(by, stand_in.timeout),
                None => true,
            },
            Some(
                Standing::Open | Standing::Denied { .. } | Standing::ApprovedNotRun { .. } | Standing::Revived { .. },
            )
            | None => false,
        };
        let watch = self.gateway.watches.of(agent);
        let (health, healthy_since) = match (seen, &watch) {
            (Some(seen), Some(watch)) => (seen.clone(), watch.healthy_since.filter(|_| seen.is_healthy())),
            (Some(seen), None) => (seen.clone(), None),
            (None, Some(watch)) => (watch.health.clone(), watch.healthy_since),
            (None, None) => (Health::Unknown("not probed yet".into()), None),
        };
        Ok(Some(AgentFacts {
            mission: member.mission.clone(),
            host: member.host.clone(),
            local: member.local,
            mode: member.mode,
            health,
            healthy_since,
            seen_at: watch.as_ref().map_or(self.now, |watch| watch.probed_at),
            last_healthy_at: watch.and_then(|watch| watch.last_healthy_at),
            can_restart: member.restart.is_some(),
            can_substitute: self.in_force.can_substitute(),
            candidates,
            stand_in_lost,
            touched_by_other: touched_by_other(tx, agent, of_incident).await?,
        }))
    }

    /// The facts around what is known of the agent, with fresh ids.
    fn facts(&self, agent: Option<AgentFacts>) -> Facts<'_> {
        Facts {
            now: self.now,
            agent,
            on_hold: self.hold.is_some(),
            observing: self.gateway.observing(),
            expiry_waits: self.expiry_waits,
            people: self.people(),
            timing: &self.in_force.timing,
            fresh: self.gateway.ids.fresh(self.now),
        }
    }

    /// Moves `case` by `step` and stores the outcome whole. What the core refuses changes nothing.
    pub async fn apply<R>(
        &self,
        tx: &mut Tx,
        case: Case,
        seen: Option<&Health>,
        step: &(dyn Fn(Case, &Facts<'_>) -> Moved<R> + Send + Sync),
    ) -> Result<Moved<R>, StoreError> {
        let agent = case.incident.agent.clone();
        let known = self.facts_of(tx, &agent, Some(&case.incident), seen).await?;
        let mut facts = self.facts(known);
        for _ in 0..CODE_TRIES {
            let moved = match step(case.clone(), &facts) {
                Ok(moved) => moved,
                Err(refused) => return Ok(Err(refused)),
            };
            if self.ids_are_free(tx, Some(&case), &moved, &mut facts).await? {
                self.store(tx, Some(&case), &moved, &facts).await?;
                return Ok(Ok(moved));
            }
        }
        Err(invalid(&case.incident.id, "no code could be found that was not given before"))
    }

    /// Changes a case by something that is no event and that nobody can refuse: a deadline. Cards that named
    /// another one are edited.
    pub async fn quietly(
        &self,
        tx: &mut Tx,
        case: Case,
        change: impl FnOnce(Case) -> Step + Send,
    ) -> Result<(), StoreError> {
        let before = case.clone();
        let step = change(case);
        self.store(tx, Some(&before), &step, &self.facts(None)).await?;
        let (was, is) = (before.deadline(), step.case.deadline());
        // The first one is what every card says from the beginning: so long after its delivery.
        if was.is_some() && is.is_some() && was != is {
            super::copies::refresh(tx, self, &step).await?;
        }
        Ok(())
    }

    /// Opens a case for an agent that was taken for dead, and plans it.
    pub async fn open_case(&self, tx: &mut Tx, agent: &AgentName) -> Result<Option<Case>, StoreError> {
        let Some(member) = self.in_force.member(agent) else { return Ok(None) };
        let Some(known) = self.facts_of(tx, agent, None, None).await? else { return Ok(None) };
        let facts = self.facts(Some(known.clone()));
        let opened = incident::open(agent.clone(), member.timeout, &known, &facts);
        self.store(tx, None, &opened, &facts).await?;
        self.tick(tx, opened.case).await.map(Some)
    }

    /// Plans a case.
    pub async fn tick(&self, tx: &mut Tx, case: Case) -> Result<Case, StoreError> {
        let planned = |case, facts: &Facts<'_>| Ok::<_, std::convert::Infallible>(incident::tick(case, facts));
        let Ok(step) = self.apply(tx, case, None, &planned).await?;
        Ok(step.case)
    }

    /// A request's key is past the agent's last one, and its code was not given within 30 days. If
    /// not, `facts` has other ids and the step is to be made anew: it is a pure function.
    async fn ids_are_free(
        &self,
        tx: &mut Tx,
        before: Option<&Case>,
        step: &Step,
        facts: &mut Facts<'_>,
    ) -> Result<bool, StoreError> {
        let Some(request) = &step.case.request else { return Ok(true) };
        if before.and_then(|case| case.request.as_ref()).is_some_and(|old| old.id == request.id) {
            return Ok(true);
        }
        let last = store::requests::last_key_second(tx, &request.agent).await?;
        if last.is_some_and(|last| last >= request.key.second()) {
            facts.fresh.last_key_second = last;
            return Ok(false);
        }
        if !store::requests::give_code(tx, &request.code.to_string(), &request.id.0, self.now).await? {
            let last = facts.fresh.last_key_second;
            facts.fresh = self.gateway.ids.fresh(self.now);
            facts.fresh.last_key_second = last;
            return Ok(false);
        }
        Ok(true)
    }

    /// Stores a step: the case, the journal, the messages.
    async fn store(
        &self,
        tx: &mut Tx,
        before: Option<&Case>,
        step: &Step,
        facts: &Facts<'_>,
    ) -> Result<(), StoreError> {
        if before == Some(&step.case) && step.events.is_empty() {
            return Ok(());
        }
        if let Some(broken) = incident::broken_promises(before, step, facts).into_iter().next() {
            return Err(invalid(&step.case.incident.id, &format!("refused to store a broken promise: {broken}")));
        }
        rows::store_incident(tx, before, &step.case.incident, self.now).await?;
        let old_request = before.and_then(|case| case.request.as_ref());
        for request in step.former_request.iter().chain(&step.case.request) {
            rows::store_request(tx, old_request.filter(|old| old.id == request.id), request).await?;
        }
        let old_execution = before.and_then(|case| case.execution.as_ref());
        for execution in step.former_execution.iter().chain(&step.case.execution) {
            let old = old_execution.filter(|old| old.id == execution.id);
            rows::store_execution(tx, old, execution, self.now).await?;
            if let Some(takeover) = &execution.takeover
                && takeover.stands == OfferStands::Expired
                && old.and_then(|old| old.takeover.as_ref()) != Some(takeover)
            {
                // Nobody waits for it any more, so it must not be accepted either.
                super::mission::takeover::take_back(tx, self, &execution.mission, &takeover.handoff).await?;
            }
        }
        let entries: Vec<_> = step.events.iter().map(|event| journal_entry(&step.case.incident, event)).collect();
        if !entries.is_empty() {
            store::journal::append(tx, &entries, self.now).await?;
        }
        for event in &step.events {
            let Some(execution) = &step.case.execution else { continue };
            if let Event::Started { .. } = event {
                let id = &execution.id.0;
                store::epochs::raise(tx, &execution.mission, &execution.agent, id, self.now).await?;
                if execution.action == Action::Restart {
                    store::door::set_busy(tx, &execution.agent, None, self.now).await?;
                }
            }
            if let (Event::Recovered { .. }, Standing::Substituted { by }) = (event, &step.case.incident.standing) {
                self.ask_whether_to_hand_back(tx, &step.case.incident, by).await?;
            }
            if let Event::Ready { .. } = event {
                self.gateway.run_files.note(execution);
            }
        }
        super::speak::step(tx, self, step).await
    }

    /// The original is back, and another has its part of the mission: whose it is from now on is for people to say.
    async fn ask_whether_to_hand_back(
        &self,
        tx: &mut Tx,
        incident: &Incident,
        by: &AgentName,
    ) -> Result<(), StoreError> {
        let (mission, agent) = (incident.mission.clone(), incident.agent.clone());
        if super::mission::takeover::who_has(tx, &mission, &agent).await?.as_ref() == Some(by) {
            let alarm = Alarm::OriginalReturned { agent, by: by.clone(), mission };
            super::speak::alarm(tx, &self.gateway, &alarm, self.now).await?;
        }
        Ok(())
    }

    /// Whose job it is.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Where people are told.
    pub fn outlets(&self) -> Vec<super::speak::Outlet> {
        let mut outlets = self.gateway.outlets();
        if self.left.is_some() {
            outlets.retain(|outlet| !super::nostr::is_out(outlet, self.people()));
        }
        outlets
    }

    /// A fresh token for a button.
    pub fn token(&self) -> String {
        self.gateway.ids.token()
    }

    /// A fresh id for a message or a vote of this job.
    pub fn id(&self) -> String {
        self.gateway.ids.id(self.now)
    }

    /// The files in force in this job.
    pub fn in_force(&self) -> &InForce {
        &self.in_force
    }
}

/// The open case of `agent`, if it has one.
pub async fn open_case_of(tx: &mut impl Reads, agent: &AgentName) -> Result<Option<Case>, StoreError> {
    match store::cases::open_of(tx, std::slice::from_ref(agent)).await?.pop() {
        Some(row) => case_from(tx, row).await.map(Some),
        None => Ok(None),
    }
}

/// The case of an incident, open or closed.
pub async fn case_of(tx: &mut impl Reads, incident: &IncidentId) -> Result<Option<Case>, StoreError> {
    match store::cases::of_incident(tx, &incident.0).await? {
        Some(row) => case_from(tx, row).await.map(Some),
        None => Ok(None),
    }
}

/// The request that `target` names, whatever became of it, and the case it belongs to.
pub async fn named(tx: &mut Tx, target: &Target) -> Result<Option<(Request, Case)>, StoreError> {
    let row = match target {
        Target::Code(code) => store::cases::by_code(tx, &code.to_string()).await?,
        Target::Key(key) => store::cases::by_key(tx, &key.to_string()).await?,
    };
    let Some(row) = row else { return Ok(None) };
    let request: Request = from_body("requests", &format!("named by {target}"), &row.named)?;
    // Mostly it is the newest one, which need not be read twice.
    let newest = row.request.filter(|newest| *newest != row.named);
    let (of_case, known) = match newest {
        Some(newest) => (Some(newest), None),
        None => (None, Some(&request)),
    };
    let row = CaseRow { id: row.id, agent: row.agent, body: row.body, request: of_case, execution: row.execution };
    let case = complete(tx, row, known).await?;
    Ok(Some((request, case)))
}

/// The request of that id, whatever became of it, and the case it belongs to.
pub async fn request_and_case(db: &mut impl Reads, id: &str) -> Result<Option<(Request, Case)>, StoreError> {
    let Some(row) = store::requests::load(db, id).await? else { return Ok(None) };
    let request: Request = from_body("requests", &row.id, &row.body)?;
    let case = case_of(db, &IncidentId(row.incident_id)).await?;
    Ok(case.map(|case| (request, case)))
}

/// Every request that waits for an answer, with its case, the oldest first.
pub async fn pending(tx: &mut Tx) -> Result<Vec<(Request, Case)>, StoreError> {
    let mut all = Vec::new();
    for row in store::requests::pending(tx).await? {
        let case = case_of(tx, &IncidentId(row.incident_id)).await;
        let Some(case) = unless_damaged(row.agent.as_str(), "a request cannot be shown", case)?.flatten() else {
            continue;
        };
        let request = case.pending().filter(|request| request.id.0 == row.id).cloned();
        all.extend(request.map(|request| (request, case)));
    }
    Ok(all)
}

/// The case of a row that was read in the same transaction.
pub async fn case_from(tx: &mut impl Reads, row: CaseRow) -> Result<Case, StoreError> {
    complete(tx, row, None).await
}

async fn complete(tx: &mut impl Reads, row: CaseRow, known: Option<&Request>) -> Result<Case, StoreError> {
    let incident: Incident = from_body("incidents", &row.id, &row.body)?;
    let missing = |what: &str| invalid(&incident.id, &format!("its newest {what} is not in the store"));
    let request = match &incident.request {
        Some(id) => {
            let newest = match (known, &row.request) {
                (Some(known), _) => Some(known.clone()),
                (None, Some(body)) => Some(from_body::<Request>("requests", &id.0, body)?),
                (None, None) => None,
            };
            // A clock that was set back makes another one look newer.
            match newest.filter(|newest| newest.id == *id) {
                Some(newest) => Some(newest),
                None => {
                    let row = store::requests::load(tx, &id.0).await?.ok_or_else(|| missing("request"))?;
                    Some(from_body("requests", &row.id, &row.body)?)
                }
            }
        }
        None => None,
    };
    let execution = match &incident.execution {
        Some(id) => {
            let newest = row.execution.as_ref().map(|body| from_body::<Execution>("executions", &id.0, body));
            match newest.transpose()?.filter(|newest| newest.id == *id) {
                Some(newest) => Some(newest),
                None => {
                    let row = store::executions::load(tx, &id.0).await?.ok_or_else(|| missing("execution"))?;
                    Some(from_body("executions", &row.id, &row.body)?)
                }
            }
        }
        None => None,
    };
    Ok(Case { incident, request, execution })
}

/// What was done to the case of `agent`. One that is damaged stays as it is, and must not keep the others from
/// what is due to them (invariant 13).
pub fn unless_damaged<T>(agent: &str, what: &str, done: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match done {
        Err(error) if super::inbox::is_the_works_own(&error) => {
            tracing::error!(agent, error = super::inbox::chain(&error), "{what}");
            Ok(None)
        }
        done => done.map(Some),
    }
}

/// A live execution of another incident that touches `agent`.
async fn touched_by_other(tx: &mut Tx, agent: &AgentName, own: Option<&IncidentId>) -> Result<bool, StoreError> {
    let touching = store::executions::touching(tx, agent).await?;
    Ok(touching.is_some_and(|incident| own.is_none_or(|own| own.0 != incident)))
}

/// The event with the incident it belongs to. The journal alone tells the whole story of a case.
fn journal_entry(incident: &Incident, event: &Event) -> store::journal::Entry {
    let mut body = json!(event);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("incident".into(), json!(incident.id));
        fields.insert("mission".into(), json!(incident.mission));
    }
    store::journal::Entry { kind: event.word().to_owned(), agent: Some(incident.agent.clone()), body }
}

/// Whose vote was taken away by `revoke`, until they leave the configuration.
pub async fn revoked(tx: &mut impl Reads) -> Result<std::collections::BTreeSet<PersonId>, StoreError> {
    match store::meta::get(tx, REVOKED).await? {
        Some(value) => from_body("meta", REVOKED, &value),
        None => Ok(Default::default()),
    }
}

/// Keeps who is revoked.
pub async fn set_revoked(tx: &mut Tx, people: &std::collections::BTreeSet<PersonId>) -> Result<(), StoreError> {
    store::meta::set(tx, REVOKED, &json!(people).to_string()).await
}

const REVOKED: &str = "revoked";

/// A body back as the value that was stored.
pub fn from_body<T: serde::de::DeserializeOwned>(table: &'static str, row: &str, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::Inconsistent {
        table,
        column: "body",
        row: row.to_owned(),
        why: error.to_string(),
    })
}

fn invalid(incident: &IncidentId, why: &str) -> StoreError {
    StoreError::Invalid { table: "incidents", row: incident.0.clone(), why: why.to_owned() }
}
