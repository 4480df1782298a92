//! What an input says, who says it, whether they may, and what becomes of it: all in one transaction.

use std::sync::Arc;

use serde_json::json;

use super::ledger::{self, Entry};
use super::mission::{self, Understood};
use super::{Gateway, drill, inbox, nostr, speak, telegram};
use crate::approval::{Answer, AnswerKind, Command, InputId, PersonId, Said, Speaker, Target};
use crate::incident::{self, Ballot, Event, Refusal, Vote};
use crate::pool::{AgentName, Timestamp};
use crate::store::executions::ExecutionPhase;
use crate::store::inbox::{Input, InputState};
use crate::store::{self, StoreError, Tx};
use crate::wording::{self, Alarm, Reply, Setting};

/// One input: who, what, may they, and what becomes of it, all in one transaction.
/// What could be read for it beforehand is in `prepared`.
pub async fn handle(
    tx: &mut Tx,
    gateway: &Arc<Gateway>,
    input: &Input,
    prepared: Option<String>,
) -> Result<(Answer, bool), StoreError> {
    let entry = Entry::open(tx, gateway).await?;
    let heard = if input.source == telegram::SOURCE {
        telegram::hear(tx, &entry, input, prepared).await?
    } else if input.source == nostr::SOURCE {
        nostr::hear(tx, &entry, input, prepared).await?
    } else {
        hear(tx, gateway, &entry, input).await?
    };
    if let Some(refused) = &heard.journal {
        store::journal::append(tx, std::slice::from_ref(refused), entry.now).await?;
    }
    let answer = json!(heard.answer).to_string();
    store::inbox::finish(tx, &input.id, &answer, entry.now, heard.evidence).await?;
    fail_point!("inbox.in_handling");
    Ok((heard.answer, heard.plan))
}

/// What can be read for `input` before its transaction.
pub(super) async fn prepare(gateway: &Arc<Gateway>, input: &Input) -> Result<Option<String>, StoreError> {
    let prepared = match telegram::prepare(gateway, input).await {
        Ok(None) => nostr::prepare(gateway, input).await,
        prepared => prepared,
    };
    match prepared {
        // A damaged row that somebody asks about keeps nobody's vote from coming in (invariant 13).
        Err(error) if inbox::is_the_works_own(&error) => {
            tracing::error!(input = input.id, error = inbox::chain(&error), "a question could not be looked up");
            Ok(None)
        }
        prepared => prepared,
    }
}

/// What a refusal's journal entry holds besides who and what.
pub(super) enum Why<'a> {
    /// The core's own.
    Refusal(&'a Refusal),
    /// The answer says it.
    Text,
}

/// What became of an input, besides what it did to a case.
#[derive(Clone)]
pub struct Heard {
    /// What the speaker is told.
    pub answer: Answer,
    /// It is the evidence of a decision and is never deleted.
    pub(super) evidence: bool,
    journal: Option<store::journal::Entry>,
    /// Other cases may be planned differently now. A vote moves its own case and needs none of it: so
    /// two thousand at once do not plan two thousand cases again and again.
    plan: bool,
}

impl Heard {
    /// It changes nothing, and is no evidence.
    pub(super) fn read(text: String) -> Self {
        Self { evidence: false, ..Self::taken(text) }
    }

    pub(super) fn taken(text: String) -> Self {
        Self { answer: Answer::new(AnswerKind::Taken, text), evidence: true, journal: None, plan: false }
    }

    pub(super) fn and_plans(self) -> Self {
        Self { plan: true, ..self }
    }

    /// Who may not, or what cannot be: told, and journaled.
    pub(super) fn refused(input: &Input, speaker: &Speaker, agent: Option<AgentName>, why: Why, text: String) -> Self {
        let mut body = match why {
            Why::Refusal(refusal) => json!(refusal),
            Why::Text => json!({ "text": text }),
        };
        if let Some(fields) = body.as_object_mut() {
            fields.insert("input".into(), json!(input.id));
            fields.insert("by".into(), json!(speaker.to_string()));
        }
        Self {
            answer: Answer::new(AnswerKind::Refused, text),
            evidence: false,
            journal: Some(store::journal::Entry { kind: "refused".into(), agent, body }),
            plan: false,
        }
    }

    /// Refused, and journaled elsewhere.
    pub(super) fn not_done(text: String) -> Self {
        Self { evidence: false, answer: Answer::new(AnswerKind::Refused, text), journal: None, plan: false }
    }

    /// What it names is not there.
    pub(super) fn not_there(text: String) -> Self {
        Self { evidence: false, answer: Answer::new(AnswerKind::NotFound, text), journal: None, plan: false }
    }

    pub(super) fn misunderstood(text: String) -> Self {
        Self { answer: Answer::new(AnswerKind::Misunderstood, text), evidence: false, journal: None, plan: false }
    }
}

async fn hear(tx: &mut Tx, gateway: &Arc<Gateway>, entry: &Entry, input: &Input) -> Result<Heard, StoreError> {
    let Ok(said) = serde_json::from_str::<Said>(&input.raw) else {
        return Ok(Heard::misunderstood("this input cannot be read; it was made by another release".into()));
    };
    let person = entry.people().who(&said.speaker).cloned();
    let owner = is_owner(gateway, &said.speaker);
    let stranger = || Heard::refused(input, &said.speaker, None, Why::Text, wording::stranger(&said.speaker));
    match (mission::understand(&said.line, said.context, said.document.clone()), &person) {
        (Understood::Gateway(command), _) => obey(tx, entry, input, &said, command).await,
        (Understood::Bus(command), Some(person)) => {
            let speaking = mission::Speaking { input, said: &said, person, heard_in: None };
            // Where there are no buttons, the text says what to type; where no document can be sent, it holds it.
            Ok(mission::obey(tx, entry, &speaking, command).await?.heard)
        }
        (Understood::Neither { text }, person) if person.is_some() || owner => Ok(Heard::misunderstood(text)),
        (Understood::Bus(_) | Understood::Neither { .. }, _) => Ok(stranger()),
    }
}

/// Whoever owns the store, or the machine.
fn is_owner(gateway: &Gateway, speaker: &Speaker) -> bool {
    matches!(speaker, Speaker::LocalUser(uid) if *uid == 0 || *uid == gateway.own_uid)
}

/// Does what `said` came to, if its speaker may say so.
pub(super) async fn obey(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    said: &Said,
    command: Command,
) -> Result<Heard, StoreError> {
    let gateway = entry.gateway();
    let person = entry.people().who(&said.speaker).cloned();
    let owner = is_owner(gateway, &said.speaker);
    // The owner of the store may stop things without being anybody: that only takes away. A drill does
    // nothing, and tokens stand in the store, which is theirs.
    let stops = matches!(
        command,
        Command::Hold { .. }
            | Command::Revoke { .. }
            | Command::RetryInput { .. }
            | Command::Drill { .. }
            | Command::AgentToken { .. }
            | Command::AgentRevoke { .. }
    );
    let by = match (&person, owner && stops) {
        (Some(person), _) if person.approves.anything() || !is_for_all(&command) => person.id.to_string(),
        (_, true) => said.speaker.to_string(),
        (Some(person), false) => {
            let reply = Reply::ApprovesNothing { person: person.id.clone() };
            let text = reply.text(&entry.setting(), entry.now);
            return Ok(Heard::refused(input, &said.speaker, None, Why::Text, text));
        }
        (None, false) => {
            return Ok(Heard::refused(input, &said.speaker, None, Why::Text, wording::stranger(&said.speaker)));
        }
    };
    let speech = Speech { input, said, person: person.map(|person| person.id), by, owner };
    speech.act(tx, gateway, entry, command).await
}

/// Whether a command is about the gateway as a whole and not about one mission's case.
fn is_for_all(command: &Command) -> bool {
    match command {
        Command::Hold { .. } | Command::Release | Command::Revoke { .. } | Command::RetryInput { .. } => true,
        Command::AgentToken { .. } | Command::AgentRevoke { .. } => true,
        Command::Approve { .. }
        | Command::Deny { .. }
        | Command::Substitute { .. }
        | Command::Snooze { .. }
        | Command::Ask { .. }
        | Command::Drill { .. }
        | Command::HandBack { .. }
        | Command::Here { .. } => false,
    }
}

/// Something said by somebody who counts.
pub(super) struct Speech<'a> {
    pub(super) input: &'a Input,
    pub(super) said: &'a Said,
    pub(super) person: Option<PersonId>,
    pub(super) by: String,
    /// Whoever owns the store, or the machine.
    pub(super) owner: bool,
}

impl Speech<'_> {
    async fn act(
        &self,
        tx: &mut Tx,
        gateway: &Arc<Gateway>,
        entry: &Entry,
        command: Command,
    ) -> Result<Heard, StoreError> {
        match command {
            Command::Approve { target } => self.vote(tx, entry, &target, Ballot::Approve).await,
            Command::Deny { target, reason } => self.vote(tx, entry, &target, Ballot::Deny { reason }).await,
            Command::Substitute { target, agent } => self.vote(tx, entry, &target, Ballot::Substitute(agent)).await,
            Command::Snooze { target, for_ } => self.vote(tx, entry, &target, Ballot::Snooze(for_)).await,
            Command::Ask { agent } => self.ask(tx, entry, &agent).await,
            Command::Hold { reason } => self.hold(tx, gateway, entry, reason).await,
            Command::Release => self.release(tx, gateway, entry).await,
            Command::Revoke { person } => self.revoke(tx, gateway, entry, person).await,
            Command::Drill { mission, for_ } => drill::start(tx, entry, self, mission, for_).await,
            Command::Here { target } => drill::here(tx, entry, self, &target).await,
            Command::RetryInput { id } => self.retry(tx, entry, &id).await,
            Command::AgentToken { agent, hash } => self.agent_token(tx, entry, agent, &hash).await,
            Command::HandBack { agent } => self.hand_back(tx, entry, agent).await,
            Command::AgentRevoke { agent } => self.agent_revoke(tx, entry, agent).await,
        }
    }

    pub(super) fn refused(&self, agent: &AgentName, refusal: &Refusal, entry: &Entry) -> Heard {
        let text = wording::refusal(refusal, &entry.setting(), entry.now);
        Heard::refused(self.input, &self.said.speaker, Some(agent.clone()), Why::Refusal(refusal), text)
    }

    /// A reply that is about no case; what it refuses is journaled, what it takes was by the alarm.
    pub(super) fn replied(&self, reply: &Reply, setting: &Setting, now: Timestamp) -> Heard {
        let text = reply.text(setting, now);
        match reply.kind() {
            AnswerKind::Taken => Heard::taken(text).and_plans(),
            outcome @ (AnswerKind::Refused
            | AnswerKind::NotFound
            | AnswerKind::Misunderstood
            | AnswerKind::SetAside) => {
                let mut heard = Heard::refused(self.input, &self.said.speaker, None, Why::Text, text);
                heard.answer.outcome = outcome;
                heard
            }
        }
    }

    pub(super) fn stranger(&self) -> Heard {
        let text = wording::stranger(&self.said.speaker);
        Heard::refused(self.input, &self.said.speaker, None, Why::Text, text)
    }

    async fn vote(&self, tx: &mut Tx, entry: &Entry, target: &Target, ballot: Ballot) -> Result<Heard, StoreError> {
        let (setting, now) = (entry.setting(), entry.now);
        let Some(by) = self.person.clone() else { return Ok(self.stranger()) };
        let Some((request, case)) = ledger::named(tx, target).await? else {
            if let Some(drill) = drill::of(tx, target).await? {
                let text = wording::only_a_drill(&drill);
                return Ok(Heard::refused(self.input, &self.said.speaker, None, Why::Text, text));
            }
            return Ok(self.replied(&Reply::NoSuchRequest { target: target.clone() }, &setting, now));
        };
        let agent = request.agent.clone();
        // An older request of the same death is closed for good, whatever the newest one's state.
        if case.incident.request.as_ref() != Some(&request.id) {
            let refusal = if entry.people().may_decide(&by, &request.mission) {
                Refusal::Closed { state: request.state }
            } else {
                Refusal::NotAllowed { person: by, mission: request.mission }
            };
            return Ok(self.refused(&agent, &refusal, entry));
        }
        let vote = Vote {
            by,
            via: self.said.via,
            input: InputId(self.input.id.clone()),
            entered_at: self.input.entered_at,
            ballot,
            speaker: Some(self.said.speaker.clone()),
        };
        match entry.apply(tx, case, None, &|case, facts| incident::vote(case, &vote, facts)).await? {
            Ok(step) => {
                self.record_vote(tx, entry, &request.id.0, &vote, &step.events).await?;
                Ok(Heard::taken(wording::answer_to(&step.events, &step.case, &setting, now)))
            }
            Err(refusal) => Ok(self.refused(&agent, &refusal, entry)),
        }
    }

    /// The vote as a row of its own, beside the raw input that proves it.
    async fn record_vote(
        &self,
        tx: &mut Tx,
        entry: &Entry,
        request: &str,
        vote: &Vote,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let kind = match &vote.ballot {
            Ballot::Approve => "approve",
            Ballot::Deny { .. } => "deny",
            Ballot::Substitute(_) => "substitute",
            Ballot::Snooze(_) => "snooze",
        };
        let new = store::votes::NewVote {
            id: &entry.id(),
            request_id: request,
            person: vote.by.as_str(),
            input_id: &vote.input.0,
            kind,
            at: entry.now,
            body: &json!({ "vote": vote, "led_to": events.iter().map(Event::word).collect::<Vec<_>>() }),
        };
        store::votes::insert(tx, new).await
    }

    async fn ask(&self, tx: &mut Tx, entry: &Entry, agent: &AgentName) -> Result<Heard, StoreError> {
        let (setting, now) = (entry.setting(), entry.now);
        let Some(by) = self.person.clone() else { return Ok(self.stranger()) };
        if entry.in_force().member(agent).is_none() {
            return Ok(self.replied(&Reply::NoSuchAgent { agent: agent.clone() }, &setting, now));
        }
        let Some(case) = ledger::open_case_of(tx, agent).await? else {
            return Ok(self.refused(agent, &Refusal::NotDead { agent: agent.clone() }, entry));
        };
        let via = self.said.via;
        match entry.apply(tx, case, None, &|case, facts| incident::ask(case, &by, via, facts)).await? {
            Ok(step) => Ok(Heard::taken(wording::answer_to(&step.events, &step.case, &setting, now)).and_plans()),
            Err(refusal) => Ok(self.refused(agent, &refusal, entry)),
        }
    }

    async fn hold(
        &self,
        tx: &mut Tx,
        gateway: &Gateway,
        entry: &Entry,
        reason: Option<String>,
    ) -> Result<Heard, StoreError> {
        if entry.hold().is_some() {
            return Ok(self.replied(&Reply::HeldAlready, &entry.setting(), entry.now));
        }
        let hold = store::meta::Hold { reason: reason.clone(), by: self.by.clone(), since: entry.now };
        store::meta::set_hold(tx, &hold).await?;
        speak::alarm(tx, gateway, &Alarm::Held { by: self.by.clone(), reason }, entry.now).await?;
        let live = store::executions::live(tx).await?;
        let running = live.iter().filter(|row| row.state == ExecutionPhase::Running).count();
        let reply = Reply::Held { running: u32::try_from(running).unwrap_or(u32::MAX) };
        Ok(self.replied(&reply, &gateway.setting(Some(&hold)), entry.now))
    }

    async fn release(&self, tx: &mut Tx, gateway: &Gateway, entry: &Entry) -> Result<Heard, StoreError> {
        if store::meta::release(tx).await?.is_none() {
            return Ok(self.replied(&Reply::NotHeld, &entry.setting(), entry.now));
        }
        speak::alarm(tx, gateway, &Alarm::Released { by: self.by.clone() }, entry.now).await?;
        let waiting = store::incidents::open(tx).await?.len();
        let reply = Reply::Released { waiting: u32::try_from(waiting).unwrap_or(u32::MAX) };
        Ok(self.replied(&reply, &gateway.setting(None), entry.now))
    }

    async fn revoke(
        &self,
        tx: &mut Tx,
        gateway: &Gateway,
        entry: &Entry,
        person: PersonId,
    ) -> Result<Heard, StoreError> {
        let (setting, now) = (entry.setting(), entry.now);
        let of_the_file = &entry.in_force().people;
        if of_the_file.get(&person).is_none() {
            return Ok(self.replied(&Reply::NoSuchPerson { person }, &setting, now));
        }
        let mut revoked = ledger::revoked(tx).await?;
        if !revoked.insert(person.clone()) {
            return Ok(self.replied(&Reply::RevokedAlready { person }, &setting, now));
        }
        ledger::set_revoked(tx, &revoked).await?;
        let told = Alarm::PersonRevoked { person: person.clone(), by: Some(self.by.clone()) };
        speak::alarm(tx, gateway, &told, now).await?;
        let left = of_the_file.without(&revoked);
        let orphaned = entry.in_force().missions_without_approvers(&left);
        Ok(self.replied(&Reply::Revoked { person, orphaned }, &setting, now))
    }

    async fn retry(&self, tx: &mut Tx, entry: &Entry, id: &str) -> Result<Heard, StoreError> {
        let set_aside = store::inbox::result(tx, id).await?.is_some_and(|row| row.state == InputState::SetAside);
        let reply = if set_aside {
            store::inbox::retry(tx, id).await?;
            Reply::Retried { id: id.to_owned() }
        } else {
            Reply::NoSuchInput { id: id.to_owned() }
        };
        Ok(self.replied(&reply, &entry.setting(), entry.now))
    }
}
