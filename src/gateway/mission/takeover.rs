//! A substitution that hands over: the gateway offers the dead agent's part of its mission to the substitute, in its
//! own name, and waits for the answer.
//!
//! ```text
//! ready ──► checked; mission, participants and a checkpoint are there ──► one transaction: checked again, *running*,
//!   the epoch raised, the handoff offered ──► the packet is delivered ──► *done* ──► accepted, and alive: *verified*
//!                                                                            └──► declined, silent, dead: taken back
//! ```
//!
//! Each arrow is a commit that finds what was there before, so a death in between changes nothing: what is not there
//! yet is made, and what is there is not made twice. The handoff's id is the execution's with its attempt.

use std::convert::Infallible;
use std::sync::Arc;

use serde_json::{Value, json};

use super::act::{Acting, event_id, moved};
use crate::config::gate::{Delivery, DeliveryWay};
use crate::gateway::Gateway;
use crate::gateway::ledger::{self, Entry};
use crate::incident::{self, CalledOff, Case, Execution, ExecutionState, Facts, OfferStands, Step};
use crate::mission::{Draft, EventKind, MissionError, MissionEvent, MissionHandoff, MissionRole, load_profiles};
use crate::pool::{AgentName, Health, MissionName};
use crate::store::missions::{
    self, Actor, Append, Decided, EventRow, GATEWAY, HandoffPhase, HandoffRow, Limits, NewEvent, NewMission,
};
use crate::store::{Reads, StoreError, Tx};

/// Events that a checkpoint of the gateway's own names.
const LATELY: u32 = 10;

/// What is there before an execution hands over.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Under which id the handoff is made.
    pub handoff: String,
    /// From which checkpoint on.
    pub checkpoint: String,
    /// How the substitute is told.
    pub delivery: Delivery,
    note: String,
}

impl Prepared {
    /// Whether a command tells the substitute; else it is told by HTTP.
    pub fn runs_a_command(&self) -> bool {
        matches!(self.delivery.way, DeliveryWay::Command(_))
    }
}

/// What preparing comes to.
#[derive(Clone, Debug)]
pub enum Preparation {
    /// The substitute is only told.
    Told,
    /// The work can be handed over.
    HandsOver(Prepared),
    /// The execution was called off, or is not what it was: nothing begins.
    Nothing,
}

/// Sees to it that mission, participants and a checkpoint are there, if `execution` is to hand over. What may not run
/// any more, by what is known and `seen` now, leaves nothing on the bus.
pub async fn prepare(
    gateway: &Arc<Gateway>,
    execution: &Execution,
    seen: Option<Health>,
) -> Result<Preparation, StoreError> {
    let in_force = gateway.in_force();
    let delivery = execution.substitute().and_then(|who| in_force.delivery_of(who)).cloned();
    let Some(delivery) = delivery else { return Ok(Preparation::Told) };
    let (job, incident, id) = (Arc::clone(gateway), execution.incident.clone(), execution.id.clone());
    fail_point!("takeover.before_prepared");
    let prepared = gateway.store.write(move |tx| {
        Box::pin(async move {
            let entry = Entry::open(tx, &job).await?;
            let Some(case) = ledger::case_of(tx, &incident).await? else { return Ok(None) };
            let rechecked = |case, facts: &Facts<'_>| Ok::<_, Infallible>(incident::recheck(case, facts));
            let Ok(Step { case, .. }) = entry.apply(tx, case, seen.as_ref(), &rechecked).await?;
            let ready = |one: &Execution| one.id == id && one.state == ExecutionState::Ready;
            let Some(execution) = case.execution.clone().filter(ready) else { return Ok(None) };
            let ensured = match source(tx, &entry, &execution).await? {
                Source::With(owner) => Err(format!("its work belongs to {owner}")),
                Source::From(newest) => ensured(tx, &entry, &case, &execution, newest)
                    .await?
                    .map_err(|refused| format!("nothing can be handed over: {refused}")),
            };
            match ensured {
                Ok(checkpoint) => {
                    let handoff = format!("h-{}-{}", execution.id, execution.attempt.saturating_add(1));
                    Ok(Some((handoff, checkpoint, note(&case, &execution))))
                }
                Err(why) => {
                    let because = CalledOff::NotHandedOver { why };
                    let called_off =
                        |case, facts: &Facts<'_>| Ok::<_, Infallible>(incident::call_off(case, because.clone(), facts));
                    let Ok(_) = entry.apply(tx, case, seen.as_ref(), &called_off).await?;
                    Ok(None)
                }
            }
        })
    });
    let prepared = prepared.await?;
    fail_point!("takeover.after_prepared");
    Ok(match prepared {
        Some((handoff, checkpoint, note)) => Preparation::HandsOver(Prepared { handoff, checkpoint, delivery, note }),
        None => Preparation::Nothing,
    })
}

/// Where the dead agent's work is.
enum Source {
    /// It can be handed over, from this checkpoint on; none was left.
    From(Option<EventRow>),
    /// Somebody else has it, who is not lost: it is not the gateway's to give away.
    With(AgentName),
}

async fn source(tx: &mut Tx, entry: &Entry, execution: &Execution) -> Result<Source, StoreError> {
    let (mission, dead) = (&execution.mission, &execution.agent);
    let owner = who_has(tx, mission, dead).await?;
    if let Some(owner) = &owner {
        // Whoever stood in and was lost has gone on from where the dead one stopped.
        let member = entry.in_force().member(owner);
        let lost = member.is_some_and(|member| entry.gateway().watches.is_dead(owner, member.timeout));
        if !lost && execution.substitute() != Some(owner) {
            return Ok(Source::With(owner.clone()));
        }
    }
    Ok(Source::From(newest_of(tx, mission, dead, owner.as_ref()).await?))
}

/// The newest checkpoint of the part of `agent`: its own last one, or what `owner` has made since it has the part.
/// What that one made before was of its own work.
async fn newest_of(
    db: &mut impl Reads,
    mission: &MissionName,
    agent: &AgentName,
    owner: Option<&AgentName>,
) -> Result<Option<EventRow>, StoreError> {
    let own = missions::last_checkpoint(db, mission, Some(agent)).await?;
    let Some(owner) = owner else { return Ok(own) };
    let given = missions::given_by(db, mission, agent, owner).await?.map_or(0, |handoff| handoff.seq);
    let further = missions::last_checkpoint(db, mission, Some(owner)).await?.filter(|row| row.seq > given);
    Ok(own.into_iter().chain(further).max_by_key(|row| row.seq))
}

/// The checkpoint from which the work goes on: the `newest` one, or one of the gateway's own that says what is known.
async fn ensured(
    tx: &mut Tx,
    entry: &Entry,
    case: &Case,
    execution: &Execution,
    newest: Option<EventRow>,
) -> Result<Decided<String>, StoreError> {
    let (mission, dead) = (&execution.mission, &execution.agent);
    let profiles = match load_profiles(Some((*entry.in_force().config.profiles).clone())) {
        Ok(profiles) => profiles,
        Err(refused) => return Ok(Err(refused)),
    };
    for name in [Some(dead), execution.substitute()].into_iter().flatten() {
        let title = format!("the mission {mission}");
        let new = NewMission {
            name: mission,
            title: &title,
            config: &profiles,
            lead: None,
            created_by: GATEWAY,
            at: entry.now,
        };
        if let Err(refused) = missions::ensure(tx, new, name, MissionRole::Write).await? {
            return Ok(Err(refused));
        }
    }
    if let Some(newest) = newest {
        return Ok(Ok(newest.id));
    }
    let id = format!("c-{}", execution.id);
    if missions::by_id(tx, mission, EventKind::Checkpoint, &id).await?.is_none() {
        let state = known(tx, case, execution).await?;
        let summary = format!("{dead} is dead and left no checkpoint; what the gateway knows");
        let draft = Draft::Checkpoint { summary, state, artifacts: Vec::new() };
        let made = append(tx, entry, mission, NewEvent::new(id.clone(), draft), Limits::default()).await?;
        return Ok(made.map(|()| id));
    }
    Ok(Ok(id))
}

/// All that is known of who left no checkpoint.
async fn known(tx: &mut Tx, case: &Case, execution: &Execution) -> Result<Value, StoreError> {
    let incident = &case.incident;
    let gateway = name_of_gateway()?;
    let rows = missions::page(tx, &execution.mission, &gateway, None, LATELY).await?.unwrap_or_default();
    let mut lately = Vec::new();
    for row in rows.iter().rev() {
        // Whole events could be larger than this one may be: their numbers say where to read them.
        let about = match row.event()? {
            MissionEvent::Message(message) => message.topic,
            MissionEvent::Checkpoint(checkpoint) => checkpoint.summary,
            MissionEvent::Handoff(handoff) => format!("to {}", handoff.recipient),
        };
        let about: String = about.chars().take(200).collect();
        lately.push(json!({ "sequence": row.seq, "event_type": row.kind, "sender": row.sender, "about": about }));
    }
    Ok(json!({
        "made_by_gateway": true,
        "agent": incident.agent,
        "reasons": incident.reasons,
        "dead_since_ms": incident.opened_at,
        "last_healthy_at_ms": incident.last_healthy_at,
        "last_events": lately,
    }))
}

fn note(case: &Case, execution: &Execution) -> String {
    let reasons: Vec<&str> = case.incident.reasons.iter().map(|reason| reason.as_str()).collect();
    let by = match &execution.basis {
        crate::incident::Basis::Policy => "the policy says so".to_owned(),
        crate::incident::Basis::Request { by, .. } => format!("approved by {by}"),
    };
    format!("{} is dead ({}); {by}", execution.agent, reasons.join(", "))
}

/// Whether what was prepared is still what the work goes on from: the dead may have spoken once more, or their work
/// may be another's by now.
pub async fn is_current(
    tx: &mut Tx,
    entry: &Entry,
    execution: &Execution,
    prepared: &Prepared,
) -> Result<bool, StoreError> {
    Ok(match source(tx, entry, execution).await? {
        Source::From(newest) => newest.is_none_or(|newest| newest.id == prepared.checkpoint),
        Source::With(_) => false,
    })
}

/// Offers the dead agent's part to the substitute, in the transaction in which the execution begins. An offer of that
/// part that is open already is taken back: what people signed off counts.
pub async fn offer(
    tx: &mut Tx,
    entry: &Entry,
    execution: &Execution,
    prepared: &Prepared,
) -> Result<Decided<()>, StoreError> {
    let Some(who) = execution.substitute() else { return Ok(Ok(())) };
    let mission = &execution.mission;
    for open in missions::open_offers(tx, mission).await? {
        if open.part == execution.agent {
            take_back(tx, entry, mission, &open.id).await?;
        }
    }
    let draft = Draft::Handoff {
        recipient: who.to_string(),
        checkpoint_id: prepared.checkpoint.clone(),
        note: prepared.note.clone(),
    };
    let event = NewEvent { id: prepared.handoff.clone(), draft, part: Some(execution.agent.clone()) };
    let limits = Limits { handoff_ttl: prepared.delivery.accept_within, ..Limits::default() };
    if let Err(refused) = append(tx, entry, mission, event, limits).await? {
        return Ok(Err(refused));
    }
    if let Some(row) = missions::handoff(tx, mission, &prepared.handoff).await? {
        told(tx, entry, "mission.handoff_offered", &row).await?;
    }
    Ok(Ok(()))
}

/// Nobody waits for the answer any more.
pub async fn take_back(tx: &mut Tx, entry: &Entry, mission: &MissionName, handoff: &str) -> Result<(), StoreError> {
    if let Some(row) = missions::withdraw(tx, mission, handoff, entry.now).await? {
        told(tx, entry, "mission.handoff_taken_back", &row).await?;
    }
    Ok(())
}

/// The substitute's answer, as it came by the way on which it was told.
pub async fn answered(
    tx: &mut Tx,
    entry: &Entry,
    execution: &Execution,
    declined: Option<&str>,
) -> Result<(), StoreError> {
    let Some(takeover) = &execution.takeover else { return Ok(()) };
    let mission = &execution.mission;
    let row = missions::answered_by_delivery(tx, mission, &takeover.handoff, declined, entry.now).await?;
    if let Some(row) = row {
        let accepted = row.state == HandoffPhase::Accepted;
        let kind = if accepted { "mission.handoff_accepted" } else { "mission.handoff_declined" };
        told(tx, entry, kind, &row).await?;
    }
    Ok(())
}

/// Who has the part of `agent`, if that is somebody else.
pub async fn who_has(
    db: &mut impl Reads,
    mission: &MissionName,
    agent: &AgentName,
) -> Result<Option<AgentName>, StoreError> {
    let part = missions::parts(db, mission).await?.into_iter().find(|part| part.part == *agent);
    Ok(part.map(|part| part.owner).filter(|owner| owner != agent))
}

/// Offers `agent` its own part again, from the newest checkpoint of either.
pub async fn hand_back(
    tx: &mut Tx,
    entry: &Entry,
    mission: &MissionName,
    agent: &AgentName,
    by: &str,
) -> Result<Decided<HandoffRow>, StoreError> {
    let Some(owner) = who_has(tx, mission, agent).await? else {
        let (part, owner) = (agent.to_string(), agent.to_string());
        return Ok(Err(MissionError::NotTheOwner { part, owner }));
    };
    let newest = match newest_of(tx, mission, agent, Some(&owner)).await? {
        Some(newest) => Some(newest),
        None => missions::last_checkpoint(tx, mission, None).await?,
    };
    let Some(checkpoint) = newest else { return Ok(Err(MissionError::UnknownCheckpoint("last".into()))) };
    let id = event_id(tx, entry, mission, "h").await?;
    let note = format!("{agent} is seen healthy; {by} hands it its work again, from {owner}");
    let draft = Draft::Handoff { recipient: agent.to_string(), checkpoint_id: checkpoint.id, note };
    let event = NewEvent { id: id.clone(), draft, part: Some(agent.clone()) };
    let limits = Limits { handoff_ttl: entry.in_force().config.gate.mission.handoff_ttl, ..Limits::default() };
    if let Err(refused) = append(tx, entry, mission, event, limits).await? {
        return Ok(Err(refused));
    }
    match missions::handoff(tx, mission, &id).await? {
        Some(row) => {
            told(tx, entry, "mission.handoff_offered", &row).await?;
            Ok(Ok(row))
        }
        None => Ok(Err(MissionError::UnknownHandoff(id))),
    }
}

/// How the execution's offer stands at this moment; none if it makes none.
pub async fn stands(db: &mut impl Reads, execution: &Execution) -> Result<Option<OfferStands>, StoreError> {
    let Some(takeover) = &execution.takeover else { return Ok(None) };
    let row = missions::handoff(db, &execution.mission, &takeover.handoff).await?;
    Ok(Some(match row.map(|row| (row.state, row.reason)) {
        Some((HandoffPhase::Offered, _)) => OfferStands::Offered,
        Some((HandoffPhase::Accepted, _)) => OfferStands::Accepted,
        Some((HandoffPhase::Declined, reason)) => {
            OfferStands::Declined { reason: reason.unwrap_or_else(|| "no reason was given".into()) }
        }
        Some((HandoffPhase::Expired, _)) | None => OfferStands::Expired,
    }))
}

/// The resume packet of a handoff that is made with the execution's beginning.
pub async fn resume(
    db: &mut impl Reads,
    execution: &Execution,
    (handoff, checkpoint, note): (&str, &str, &str),
) -> Result<Decided<Value>, StoreError> {
    let recipient = execution.substitute().map(ToString::to_string).unwrap_or_default();
    let about_to_be = MissionHandoff {
        sender: GATEWAY.into(),
        recipient,
        checkpoint_id: Some(checkpoint.to_owned()),
        note: Some(note.to_owned()),
        sequence: 0,
        timestamp: None,
        handoff_id: handoff.to_owned(),
    };
    Ok(missions::packet_of(db, &execution.mission, &about_to_be).await?.map(|packet| json!(packet)))
}

impl Prepared {
    /// What the substitute goes on with.
    pub async fn resume(&self, db: &mut impl Reads, execution: &Execution) -> Result<Decided<Value>, StoreError> {
        resume(db, execution, (&self.handoff, &self.checkpoint, &self.note)).await
    }
}

async fn append(
    tx: &mut Tx,
    entry: &Entry,
    mission: &MissionName,
    event: NewEvent,
    limits: Limits,
) -> Result<Decided<()>, StoreError> {
    let gateway = name_of_gateway()?;
    let event_bytes = entry.gateway().in_force().config.gate.mission.event_bytes;
    let by = Append { mission, by: Actor::plain(&gateway), at: entry.now, limits: Limits { event_bytes, ..limits } };
    Ok(missions::append(tx, &by, vec![event]).await?.map(drop))
}

async fn told(tx: &mut Tx, entry: &Entry, kind: &str, row: &HandoffRow) -> Result<(), StoreError> {
    let gateway = name_of_gateway()?;
    let who = Acting { name: &gateway, claim: None, by: GATEWAY };
    moved(tx, entry, who, kind, row, None).await
}

fn name_of_gateway() -> Result<AgentName, StoreError> {
    AgentName::new(GATEWAY).map_err(|error| StoreError::Invalid {
        table: "mission_participants",
        row: GATEWAY.into(),
        why: error.to_string(),
    })
}
