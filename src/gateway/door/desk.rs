use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::heartbeats::Keep;
use crate::gateway::Gateway;
use crate::gateway::ledger::{Entry, from_body};
use crate::gateway::mission::{self, Act, Acting, Done};
use crate::mission::limit::StateFile;
use crate::mission::{Capability, Claim, HandFrom, MissionError, ResumePacket, event_time};
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::missions::{self, EventRow, HandoffRow};
use crate::store::{Reader, Reads, StoreError, Tx, door};
use crate::web::agents::{
    Acted, AgentDesk, Allowance, Appended, Ask, Attached, Beat, Beaten, Event, Handoff, Handoffs, Page, PageOf, Read,
    Refused, What,
};

/// Refusals of one agent that are journaled at once, and how many a second after that: a journal never shrinks.
const REFUSALS: (u32, f64) = (30, 0.1);
/// Offers that are listed at most.
const OFFERS: u32 = 100;
/// Bytes of events on one page: the first is always there.
const PAGE_BYTES: usize = 1024 * 1024;

/// What the running daemon offers to agents.
pub struct Door {
    gateway: Arc<Gateway>,
    refusals: Arc<Allowance<AgentName>>,
}

impl Door {
    /// Over this gateway.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, refusals: Arc::new(Allowance::new(REFUSALS.0, REFUSALS.1)) }
    }

    async fn do_act(&self, mut ask: Ask) -> Result<Acted, StoreError> {
        if let What::Checkpoint { state, .. } = &mut ask.what {
            // Whoever may not make checkpoints, or was replaced, shall not fill the disk with their states; and what was
            // done under its key is not done again.
            let may = {
                let mut db = self.gateway.store.read().await?;
                let was_done = match &ask.key {
                    Some(key) => door::answer(&mut db, &ask.agent, &key.key).await?.is_some(),
                    None => false,
                };
                !was_done
                    && may(&mut db, &ask.mission, &ask.agent, Capability::Checkpoint).await?
                    && missions::admit(&mut db, &ask.mission, &ask.agent, ask.claim.as_ref()).await?.is_ok()
            };
            if may {
                *state = mission::small_state(&self.gateway, std::mem::take(state)).await?;
            }
        }
        let (job, refusals) = (Arc::clone(&self.gateway), Arc::clone(&self.refusals));
        fail_point!("door.before_act");
        let acted =
            self.gateway.store.write(move |tx| Box::pin(async move { once(tx, &job, &refusals, ask).await })).await?;
        fail_point!("door.after_act");
        if matches!(acted, Acted::Done(_)) {
            mission::committed(&self.gateway);
        }
        Ok(acted)
    }

    /// What was refused to a reader: journaled, within its share, and told.
    async fn refused<T>(
        &self,
        agent: AgentName,
        mission: MissionName,
        doing: &'static str,
        error: MissionError,
    ) -> Read<T> {
        let (job, refusals) = (Arc::clone(&self.gateway), Arc::clone(&self.refusals));
        let told = self.gateway.store.write(move |tx| {
            Box::pin(async move {
                let now = job.clock.now();
                refuse(tx, &refusals, (&mission, &agent), doing, error, now).await
            })
        });
        Ok(Err(told.await?))
    }

    async fn do_page(&self, agent: AgentName, mission: MissionName, of: PageOf) -> Read<Page> {
        let rows = {
            let mut db = self.gateway.store.read().await?;
            let limit = of.limit + 1;
            match of.after {
                Some(after) => missions::page_after(&mut db, &mission, &agent, after, limit).await?,
                None => missions::page(&mut db, &mission, &agent, of.before, limit).await?,
            }
        };
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => return self.refused(agent, mission, "read", error).await,
        };
        let (all, mut bytes, mut events) = (rows.len(), 0, Vec::new());
        for row in rows.into_iter().take(of.limit as usize) {
            bytes += row.body.len();
            if bytes > PAGE_BYTES && !events.is_empty() {
                break;
            }
            events.push(shown(row)?);
        }
        Ok(Ok(Page { more: events.len() < all, events }))
    }

    async fn do_packet(&self, agent: AgentName, mission: MissionName, handoff: String) -> Read<ResumePacket> {
        let packet = {
            let mut db = self.gateway.store.read().await?;
            missions::resume_packet(&mut db, &mission, &agent, &handoff).await?
        };
        match packet {
            Ok(packet) => Ok(Ok(packet)),
            Err(error) => self.refused(agent, mission, "resume", error).await,
        }
    }

    async fn do_state(&self, agent: AgentName, mission: MissionName, file: StateFile) -> Read<Option<Vec<u8>>> {
        let may = {
            let mut db = self.gateway.store.read().await?;
            missions::page(&mut db, &mission, &agent, None, 1).await?.map(drop)
        };
        if let Err(error) = may {
            return self.refused(agent, mission, "read", error).await;
        }
        // Whoever knows the hash has seen the event that names it; nothing else of the folder can be named by one.
        let path = self.gateway.store.path().to_owned();
        match tokio::task::spawn_blocking(move || missions::read_state(&path, &file)).await {
            Ok(read) => Ok(Ok(read?)),
            Err(error) => Err(StoreError::Panicked(error.to_string())),
        }
    }

    /// Whether this incarnation may say that the agent lives. Its claim may be one of another mission (`elsewhere`):
    /// then it is enough that it never attached in this one.
    async fn lives(
        &self,
        agent: &AgentName,
        mission: &MissionName,
        claim: Option<&Claim>,
        elsewhere: bool,
    ) -> Result<missions::Decided<()>, StoreError> {
        let mut db = self.gateway.store.read().await?;
        let mut admitted = missions::admit(&mut db, mission, agent, claim).await?;
        if elsewhere && matches!(admitted, Err(MissionError::NotAttached { .. })) {
            admitted = missions::admit(&mut db, mission, agent, None).await?;
        }
        Ok(match admitted {
            // Missions of the policy need not be on the bus.
            Err(MissionError::UnknownMission(_)) if elsewhere || claim.is_none() => Ok(()),
            // Nobody was ever replaced in one that is still being read in.
            Err(MissionError::Importing(_)) => Ok(()),
            other => other.map(drop),
        })
    }

    async fn do_beat(&self, agent: AgentName, beat: Beat) -> Read<Beaten> {
        let in_force = self.gateway.in_force();
        let member = in_force.member(&agent);
        let own = member.map(|member| member.mission.clone());
        let named = beat.mission.filter(|named| own.as_ref() != Some(named));
        let elsewhere = named.is_some();
        // Health is of the policy's mission: who was replaced there is not alive by naming another one.
        for (mission, elsewhere) in named.map(|one| (one, false)).into_iter().chain(own.map(|one| (one, elsewhere))) {
            if let Err(error) = self.lives(&agent, &mission, beat.claim.as_ref(), elsewhere).await? {
                return self.refused(agent, mission, "heartbeat", error).await;
            }
        }
        let now = self.gateway.clock.now();
        let rules = in_force.config.gate.agents.as_ref().map(|agents| &agents.heartbeats);
        let Some(rule) = rules.and_then(|rules| rules.get(&agent)) else {
            return Ok(Ok(Beaten { counts: false, busy_until: None, now: event_time(now) }));
        };
        let said = (beat.progress, beat.busy_until);
        let (busy_until, keep) = self.gateway.heartbeats.beat(&agent, rule, said, now, self.gateway.clock.elapsed());
        if let Keep::Busy(until) = keep {
            let kept = self
                .gateway
                .store
                .write(move |tx| Box::pin(async move { door::set_busy(tx, &agent, until, now).await }));
            kept.await?;
        }
        Ok(Ok(Beaten { counts: true, busy_until: busy_until.map(event_time), now: event_time(now) }))
    }
}

impl AgentDesk for Door {
    fn reader(&self) -> &Reader {
        self.gateway.store.reader()
    }

    fn now(&self) -> Timestamp {
        self.gateway.clock.now()
    }

    fn whose_name(&self, agent: &AgentName) -> Option<String> {
        mission::whose_name(&self.gateway.in_force(), agent)
    }

    fn act(&self, ask: Ask) -> BoxFuture<'_, Result<Acted, StoreError>> {
        Box::pin(self.do_act(ask))
    }

    fn page(&self, agent: AgentName, mission: MissionName, of: PageOf) -> BoxFuture<'_, Read<Page>> {
        Box::pin(self.do_page(agent, mission, of))
    }

    fn offers(&self, agent: AgentName) -> BoxFuture<'_, Result<Handoffs, StoreError>> {
        Box::pin(async move {
            let mut db = self.gateway.store.read().await?;
            let rows = missions::offers_to(&mut db, &agent, OFFERS).await?;
            Ok(Handoffs { handoffs: rows.into_iter().map(told).collect() })
        })
    }

    fn packet(&self, agent: AgentName, mission: MissionName, handoff: String) -> BoxFuture<'_, Read<ResumePacket>> {
        Box::pin(self.do_packet(agent, mission, handoff))
    }

    fn state(&self, agent: AgentName, mission: MissionName, file: StateFile) -> BoxFuture<'_, Read<Option<Vec<u8>>>> {
        Box::pin(self.do_state(agent, mission, file))
    }

    fn beat(&self, agent: AgentName, beat: Beat) -> BoxFuture<'_, Read<Beaten>> {
        Box::pin(self.do_beat(agent, beat))
    }
}

/// Does what is asked for, unless it was done under its key before.
async fn once(
    tx: &mut Tx,
    gateway: &Arc<Gateway>,
    refusals: &Allowance<AgentName>,
    ask: Ask,
) -> Result<Acted, StoreError> {
    let entry = Entry::open(tx, gateway).await?;
    if let Some(key) = &ask.key
        && let Some(before) = door::answer(tx, &ask.agent, &key.key).await?
    {
        return Ok(match before.request == key.request {
            true => Acted::Done(from_body("agent_answers", &before.key, &before.body)?),
            false => Acted::KeyTaken,
        });
    }
    let (agent, mission, key) = (ask.agent.clone(), ask.mission.clone(), ask.key.clone());
    let doing = word(&ask.what);
    let answer = match carry_out(tx, &entry, ask).await? {
        Ok(answer) => answer,
        Err(error) => {
            let refused = refuse(tx, refusals, (&mission, &agent), doing, error, entry.now).await?;
            return Ok(Acted::Refused(refused));
        }
    };
    if let Some(key) = key {
        let row = door::AnswerRow { key: key.key, request: key.request, body: answer.to_string() };
        door::keep_answer(tx, &agent, row, entry.now).await?;
    }
    Ok(Acted::Done(answer))
}

fn word(what: &What) -> &'static str {
    match what {
        What::Attach(_) => "attach",
        What::Publish { .. } => "publish",
        What::Checkpoint { .. } => "checkpoint",
        What::Handoff { .. } => "handoff",
        What::Accept { .. } => "accept",
        What::Decline { .. } => "decline",
    }
}

async fn carry_out(tx: &mut Tx, entry: &Entry, ask: Ask) -> Result<missions::Decided<Value>, StoreError> {
    let Ask { agent, mission, claim, at, what, .. } = ask;
    let act = match what {
        What::Attach(nonce) => {
            let epoch = missions::attach(tx, &mission, &agent, &nonce, entry.now).await?;
            let attached = |epoch| json!(Attached { mission: mission.to_string(), agent: agent.to_string(), epoch });
            return Ok(epoch.map(attached));
        }
        What::Publish { topic, payload } => Act::Publish { mission, topic, payload },
        What::Checkpoint { summary, state, artifacts } => Act::Checkpoint { mission, summary, state, artifacts },
        What::Handoff { recipient, checkpoint, note } => {
            let from = checkpoint.map_or(HandFrom::Last, HandFrom::Id);
            Act::Handoff { mission, recipient, from, note, part: None, id: None }
        }
        What::Accept { handoff } => Act::Accept { mission, handoff },
        What::Decline { handoff, reason } => Act::Decline { mission, handoff, reason },
    };
    let by = format!("agent {agent}");
    let who = Acting { name: &agent, claim: claim.as_ref(), by: &by };
    Ok(mission::attempt(tx, entry, who, act, at, None).await?.map(|done| match done {
        Done::Appended(appended) => json!(Appended {
            sequence: appended.event.sequence(),
            id: appended.event.id().to_owned(),
            epoch: appended.epoch,
            hash: appended.hash,
        }),
        Done::Offered(row) | Done::Answered(row) => json!(told(row)),
        Done::Created | Done::Joined(_) | Done::Isolated => Value::Null,
    }))
}

/// A refusal, journaled within its agent's share; with those who could.
async fn refuse(
    tx: &mut Tx,
    refusals: &Allowance<AgentName>,
    (mission, agent): (&MissionName, &AgentName),
    doing: &str,
    error: MissionError,
    now: Timestamp,
) -> Result<Refused, StoreError> {
    if refusals.take(agent, Instant::now()).is_ok() {
        missions::note_refusal(tx, mission, agent, doing, &error, now).await?;
    }
    let mut held_by = Vec::new();
    if let MissionError::Lacks { capability, .. } = &error {
        let permissions = missions::permissions(tx, mission).await?;
        let roles = missions::roles(tx, mission).await?;
        let has = |role| permissions.allows(role, capability.as_str());
        held_by.extend(roles.into_iter().filter(|(_, role)| has(*role)).map(|(name, _)| name));
    }
    Ok(Refused { error, held_by })
}

async fn may(
    db: &mut impl Reads,
    mission: &MissionName,
    agent: &AgentName,
    capability: Capability,
) -> Result<bool, StoreError> {
    let role = missions::roles(db, mission).await?.into_iter().find(|(name, _)| name == agent).map(|(_, role)| role);
    let Some(role) = role else { return Ok(false) };
    Ok(missions::permissions(db, mission).await?.allows(role, capability.as_str()))
}

fn shown(row: EventRow) -> Result<Event, StoreError> {
    let event = from_body("mission_events", &row.id, &row.body)?;
    Ok(Event { sequence: row.seq, epoch: row.epoch, hash: row.hash, event })
}

fn told(row: HandoffRow) -> Handoff {
    Handoff {
        mission: row.mission.to_string(),
        handoff_id: row.id,
        part: row.part.to_string(),
        sender: row.sender.to_string(),
        recipient: row.recipient.to_string(),
        state: row.state.as_str().to_owned(),
        expires_at: event_time(row.expires_at),
    }
}
