//! What somebody said on Nostr, and what becomes of it: in the one transaction of its input, with the answer
//! that it is owed. Who speaks is the key whose signature was verified, here once more.

use std::time::Duration;

use super::{SOURCE, receipts};
use crate::approval::{
    Answer, AnswerKind, Channel, Command, Question, Request, Said, Speaker, Target as Meant, answers_in_time,
    is_meant_now,
};
use crate::channel::nostr::nostr_sdk::Kind;
use crate::channel::nostr::{DECISION, Evidence, SignedDecision, Target, Thread, Utterance, line, reaction};
use crate::config::gate::NostrStyle;
use crate::gateway::Gateway;
use crate::gateway::hear::{Heard, Why, obey};
use crate::gateway::ledger::{self, Entry, from_body};
use crate::gateway::mission::{self, Understood};
use crate::gateway::speak::{self, Outlet, Priority};
use crate::mission::BusCommand;
use crate::pool::Timestamp;
use crate::store::inbox::Input;
use crate::store::messages::{MessageKind, MessageRow, NewMessage};
use crate::store::{self, StoreError, Tx};
use crate::wording::{self, Content};

/// Messages that one utterance may name before nobody looks which they are.
const NAMED_MAX: usize = 16;
/// What names no request counts for so long: the gateway may have been down.
const MEANT_FOR: Duration = Duration::from_secs(86_400);

/// A message of ours that somebody answers.
struct Answered {
    request: Request,
    /// When it was made.
    at: Timestamp,
    /// It is the packet itself.
    is_packet: bool,
}

/// One input from Nostr.
pub(in crate::gateway) async fn hear(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    prepared: Option<String>,
) -> Result<Heard, StoreError> {
    let evidence: Evidence = from_body("inputs", &input.id, &input.raw)?;
    let said = match evidence.utterance() {
        Ok(said) => said,
        Err(why) => {
            // It was verified before it came in, so somebody has changed the store.
            let nobody = Speaker::Nostr(String::new());
            return Ok(Heard::refused(input, &nobody, None, Why::Text, format!("refused: {why}")));
        }
    };
    let speaker = Speaker::Nostr(said.author.clone());
    if entry.people().who(&speaker).is_none() {
        let text = wording::stranger(&speaker);
        // Whoever stands in the file lost their vote by `revoke`, and is told. To strangers, and to who has left,
        // nobody says that we are here.
        if entry.in_force().people.who(&speaker).is_some() && entry.gateway().nostr.may_answer(&said.author, entry.now)
        {
            let refused = Answer::new(AnswerKind::Refused, text.as_str());
            let answer = answer(entry.id(), &said, &refused, entry.now);
            store::messages::insert(tx, &[answer]).await?;
        }
        return Ok(Heard::refused(input, &speaker, None, Why::Text, text));
    }
    let hearing = Hearing { entry, input, said: &said, speaker };
    let heard = match said.kind {
        kind if kind == DECISION.as_u16() => hearing.decided(tx).await?,
        kind if kind == Kind::Reaction.as_u16() => hearing.reacted(tx).await?,
        _ => hearing.written(tx, prepared).await?,
    };
    let Some(Spoken { heard, is_vote, about }) = heard else { return Ok(Heard::read(String::new())) };
    if heard.evidence {
        receipts::note(tx, entry, input, &evidence, (&said, about.as_deref())).await?;
    }
    // A program that decides waits for the answer to its own decision; what the thread is told may be about
    // somebody else's.
    let is_counted = is_vote && heard.answer.outcome == AnswerKind::Taken;
    let by_program = said.kind == DECISION.as_u16();
    let told_anyway = is_counted && !by_program && hearing.is_told_anyway();
    // A request takes one decision, so there is no flood of those that are taken.
    let may_answer = || (is_counted && by_program) || entry.gateway().nostr.may_answer(&said.author, entry.now);
    if !told_anyway && !heard.answer.text.is_empty() && may_answer() {
        // Whoever answers the answer means the same request.
        let answer = NewMessage { about, ..answer(entry.id(), &said, &heard.answer, entry.now) };
        store::messages::insert(tx, &[answer]).await?;
    }
    Ok(heard)
}

/// What became of it, and whether it was a vote: its end is told in the thread, to everybody.
struct Spoken {
    heard: Heard,
    is_vote: bool,
    /// The request in whose thread it was said.
    about: Option<String>,
}

impl Spoken {
    fn only(heard: Heard) -> Option<Self> {
        Some(Self { heard, is_vote: false, about: None })
    }
}

struct Hearing<'h> {
    entry: &'h Entry,
    input: &'h Input,
    said: &'h Utterance,
    speaker: Speaker,
}

impl Hearing<'_> {
    fn refused(&self, text: String) -> Option<Spoken> {
        Spoken::only(Heard::refused(self.input, &self.speaker, None, Why::Text, text))
    }

    /// A text: in a thread of ours, or by itself.
    async fn written(&self, tx: &mut Tx, prepared: Option<String>) -> Result<Option<Spoken>, StoreError> {
        let thread = Thread::of(self.said);
        let answered = match self.answered(tx, &thread).await? {
            Ok(answered) => answered,
            Err(two) => return Ok(self.refused(two)),
        };
        let context = answered.as_ref().map(|answered| answered.request.code);
        let about = answered.as_ref().map(|answered| answered.request.id.0.clone());
        let line = line(&self.said.content);
        let understood = mission::understand(&line, context, None);
        if let Some(question) = Question::parse(&line, context) {
            let text = match (question, prepared) {
                (_, Some(text)) => text,
                (Err(wrong), _) => wording::misunderstood(&wrong),
                (Ok(_), None) if !self.said.is_private => wording::ask_in_private(),
                (Ok(Question::Show { target }), None) => return self.shown(tx, &target).await,
                (Ok(_), None) => "This could not be looked up; say it once more.".to_owned(),
            };
            return Ok(Spoken::only(Heard::read(text)));
        }
        match understood {
            Understood::Gateway(command) => self.obey(tx, command, line, answered).await,
            // What a mission says is for those who may read it.
            Understood::Bus(_) if !self.said.is_private => Ok(Spoken::only(Heard::read(wording::ask_in_private()))),
            Understood::Bus(command) => self.on_missions(tx, command, line).await,
            // People talk in the open, also about us and under what we said. But whoever decides there, under
            // somebody's comment, must not believe that it was heard.
            Understood::Neither { .. }
                if !self.said.is_private
                    && context.is_none()
                    && !self.decides_in_thread(tx, &thread, &line).await? =>
            {
                Ok(None)
            }
            Understood::Neither { text } => {
                Ok(Some(Spoken { heard: Heard::misunderstood(text), is_vote: false, about }))
            }
        }
    }

    /// Something said on missions. There are no buttons here: what is to be posted is posted by its id.
    async fn on_missions(&self, tx: &mut Tx, command: BusCommand, line: String) -> Result<Option<Spoken>, StoreError> {
        let kept = self.entry.in_force().config.gate.retention.inputs;
        if let Err(why) = is_meant_now(self.said.said_at, self.input.entered_at, MEANT_FOR.min(kept)) {
            return Ok(self.refused(wording::wrong_time(why)));
        }
        let Some(person) = self.entry.people().who(&self.speaker).cloned() else {
            return Ok(self.refused(wording::stranger(&self.speaker)));
        };
        let said = Said { speaker: self.speaker.clone(), via: Channel::Nostr, line, context: None, document: None };
        let speaking = mission::Speaking { input: self.input, said: &said, person: &person, heard_in: None };
        let obeyed = mission::obey(tx, self.entry, &speaking, command).await?;
        Ok(Spoken::only(obeyed.heard))
    }

    /// Whether `line` would decide under the message of ours in whose thread it stands.
    async fn decides_in_thread(&self, tx: &mut Tx, thread: &Thread, line: &str) -> Result<bool, StoreError> {
        for id in thread.named.iter().take(NAMED_MAX) {
            if let Some(ours) = self.ours(tx, id).await? {
                return Ok(Command::parse(line, Some(ours.request.code)).is_ok());
            }
        }
        Ok(false)
    }

    /// A thumb under a packet.
    async fn reacted(&self, tx: &mut Tx) -> Result<Option<Spoken>, StoreError> {
        if !self.entry.in_force().config.gate.channels.nostr.reactions {
            return Ok(None);
        }
        let Some(verdict) = reaction(&self.said.content) else { return Ok(None) };
        let Some(parent) = Thread::of(self.said).parent else { return Ok(None) };
        let answered = match self.ours(tx, &parent).await? {
            Some(answered) if answered.is_packet => answered,
            // A thumb under what became of it is applause.
            Some(_) | None => return Ok(None),
        };
        let command = verdict.command(Meant::Key(answered.request.key.clone()));
        self.obey(tx, command, self.said.content.clone(), Some(answered)).await
    }

    /// A decision of its own kind.
    async fn decided(&self, tx: &mut Tx) -> Result<Option<Spoken>, StoreError> {
        let us = self.entry.gateway().nostr.us().unwrap_or_default();
        let decision = match SignedDecision::read(self.said, &us) {
            Ok(decision) => decision,
            Err(why) => return Ok(self.refused(wording::no_decision(&why.to_string()))),
        };
        let Some(answered) = self.ours(tx, &decision.packet).await? else {
            return Ok(self.refused(wording::not_your_packet()));
        };
        if !answered.is_packet {
            return Ok(self.refused(wording::not_your_packet()));
        }
        if answered.request.key != decision.key {
            return Ok(self.refused(wording::two_keys()));
        }
        self.obey(tx, decision.command(), String::new(), Some(answered)).await
    }

    async fn obey(
        &self,
        tx: &mut Tx,
        command: Command,
        line: String,
        answered: Option<Answered>,
    ) -> Result<Option<Spoken>, StoreError> {
        let target = target_of(&command).cloned();
        let (said_at, came_at) = (self.said.said_at, self.input.entered_at);
        let asked_at = match (&target, &answered) {
            (Some(target), Some(answered)) => {
                if !names(target, &answered.request) {
                    return Ok(self.refused(wording::foreign_code(answered.request.code, target)));
                }
                Some(answered.at)
            }
            (Some(target), None) => self.asked_at(tx, target).await?,
            (None, _) => None,
        };
        let in_time = match asked_at {
            Some(asked_at) => answers_in_time(said_at, asked_at, came_at),
            None => {
                let kept = self.entry.in_force().config.gate.retention.inputs;
                is_meant_now(said_at, came_at, MEANT_FOR.min(kept))
            }
        };
        if let Err(why) = in_time {
            return Ok(self.refused(wording::wrong_time(why)));
        }
        let is_vote = matches!(
            command,
            Command::Approve { .. } | Command::Deny { .. } | Command::Substitute { .. } | Command::Snooze { .. }
        );
        let said = Said { speaker: self.speaker.clone(), via: Channel::Nostr, line, context: None, document: None };
        let heard = obey(tx, self.entry, self.input, &said, command).await?;
        let about = answered.map(|answered| answered.request.id.0);
        Ok(Some(Spoken { heard, is_vote, about }))
    }

    /// A fresh copy of a request, for whoever wants to see it.
    async fn shown(&self, tx: &mut Tx, target: &Meant) -> Result<Option<Spoken>, StoreError> {
        let Some((request, case)) = ledger::named(tx, target).await? else {
            let text = format!("There is no request {target}. `pending` shows what waits.");
            return Ok(Spoken::only(Heard::misunderstood(text)));
        };
        let card = crate::gateway::copies::card(tx, self.entry, &case, &request).await?;
        let outlet = Outlet { channel: Channel::Nostr, target: Target::Private(self.said.author.clone()).to_string() };
        crate::gateway::copies::put(tx, self.entry, &outlet, &request, &card, None).await?;
        Ok(Spoken::only(Heard::read(String::new())))
    }

    /// When what a code or key names was asked; none if it is no request.
    async fn asked_at(&self, tx: &mut Tx, target: &Meant) -> Result<Option<Timestamp>, StoreError> {
        let named = ledger::named(tx, target).await?;
        Ok(named.map(|(request, _)| request.created_at))
    }

    /// The request that a text belongs to: its parent is a message of ours. That it names messages about two
    /// is an answer of its own.
    async fn answered(&self, tx: &mut Tx, thread: &Thread) -> Result<Result<Option<Answered>, String>, StoreError> {
        let mut requests = Vec::new();
        let mut parent = None;
        for id in thread.named.iter().chain(&thread.parent).take(NAMED_MAX) {
            let Some(ours) = self.ours(tx, id).await? else { continue };
            if !requests.contains(&ours.request.id) {
                requests.push(ours.request.id.clone());
            }
            if thread.parent.as_ref() == Some(id) {
                parent = Some(ours);
            }
        }
        Ok(if requests.len() > 1 || thread.named.len() > NAMED_MAX { Err(wording::two_packets()) } else { Ok(parent) })
    }

    /// The request that a message of ours is about, if it was sent to this person, or to everybody.
    async fn ours(&self, tx: &mut Tx, id: &str) -> Result<Option<Answered>, StoreError> {
        for target in self.targets() {
            let Some(copy) = store::tokens::copy_of(tx, SOURCE, &target.to_string(), id).await? else { continue };
            let Some(row) = store::messages::load(tx, &copy).await? else { continue };
            if let Some(request) = request_of(tx, &row).await? {
                let is_packet = row.kind == MessageKind::Card;
                return Ok(Some(Answered { request, at: row.created_at, is_packet }));
            }
        }
        Ok(None)
    }

    /// Where this person could have read something of ours.
    fn targets(&self) -> Vec<Target> {
        let audiences = &self.entry.in_force().config.gate.channels.nostr.audiences;
        let notes = audiences.iter().filter(|(_, audience)| audience.style == NostrStyle::Note);
        let author = &self.said.author;
        let mut targets = vec![Target::Private(author.clone()), Target::Reply(author.clone())];
        targets.extend(notes.map(|(name, _)| Target::Note(name.clone())));
        targets
    }

    /// Whether the author is told of votes as one of those who are asked.
    fn is_told_anyway(&self) -> bool {
        let own = Target::Private(self.said.author.clone()).to_string();
        let note = |target: &str| matches!(target.parse::<Target>(), Ok(Target::Note(_)));
        let is_theirs = |outlet: &Outlet| {
            outlet.channel == Channel::Nostr
                && (outlet.target == own || (!self.said.is_private && note(&outlet.target)))
        };
        self.entry.outlets().iter().any(is_theirs)
    }
}

/// The request that a command is about.
fn target_of(command: &Command) -> Option<&Meant> {
    match command {
        Command::Approve { target }
        | Command::Deny { target, .. }
        | Command::Substitute { target, .. }
        | Command::Snooze { target, .. }
        | Command::Here { target } => Some(target),
        Command::Ask { .. }
        | Command::HandBack { .. }
        | Command::Hold { .. }
        | Command::Release
        | Command::Revoke { .. }
        | Command::AgentToken { .. }
        | Command::AgentRevoke { .. }
        | Command::Drill { .. }
        | Command::RetryInput { .. } => None,
    }
}

fn names(target: &Meant, request: &Request) -> bool {
    match target {
        Meant::Code(code) => *code == request.code,
        Meant::Key(key) => *key == request.key,
    }
}

async fn request_of(tx: &mut Tx, row: &MessageRow) -> Result<Option<Request>, StoreError> {
    let Some(about) = &row.about else { return Ok(None) };
    let Some(row) = store::requests::load(tx, about).await? else { return Ok(None) };
    from_body("requests", &row.id, &row.body).map(Some)
}

/// The answer to what was said, where it was said.
fn answer(id: String, said: &Utterance, answer: &Answer, now: Timestamp) -> NewMessage {
    let (target, replies_to) = if said.is_private {
        (Target::Private(said.author.clone()), said.id.clone())
    } else {
        let root = said.tagged("E").next().or_else(|| said.tagged("e").next());
        let replies_to = root.map_or_else(|| said.id.clone(), |root| format!("{root} {}", said.id));
        (Target::Reply(said.author.clone()), replies_to)
    };
    let content = Content { outcome: Some(answer.outcome), ..Content::plain(answer.text.as_str()) };
    let content = content.replying_to(Some(replies_to));
    let outlet = Outlet { channel: Channel::Nostr, target: target.to_string() };
    speak::message(id, &outlet, MessageKind::Note, None, Priority::Answer, &content, now)
}

/// Whoever said what could not be worked off is told so.
pub(in crate::gateway) async fn apologise(
    tx: &mut Tx,
    gateway: &Gateway,
    input: &Input,
    owed: Answer,
) -> Result<(), StoreError> {
    if input.source != SOURCE {
        return Ok(());
    }
    // What cannot be read may be the very reason.
    let Ok(evidence) = serde_json::from_str::<Evidence>(&input.raw) else { return Ok(()) };
    let Ok(said) = evidence.utterance() else { return Ok(()) };
    let now = gateway.clock.now();
    let owed = answer(gateway.ids.id(now), &said, &owed, now);
    store::messages::insert(tx, &[owed]).await
}
