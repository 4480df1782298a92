//! What people say about missions, whatever channel it came by: under their name there, in the transaction of
//! their input, with the answer that they are owed.

use std::time::Duration;

use serde_json::{Value, json};

use super::act::{Act, Acting, Done, act_in, named};
use super::card::{self, Wanted};
use super::import::{may_create, who_may_create};
use super::who::{join_of_the_files, name_of, reader_of};
use crate::approval::{Channel, Person, PersonId, Said};
use crate::gateway::hear::Heard;
use crate::gateway::ledger::Entry;
use crate::mission::{BusCommand, Draft, HandFrom, HandoffRef, MissionError};
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::inbox::Input;
use crate::store::missions::{self, HandoffRow, PreviewPhase, PreviewRow};
use crate::store::{StoreError, Tx};
use crate::web::Shown;
use crate::web::missions::{self as reads, NotShown, Seen, Telling, handoff_value};
use crate::wording::{self, BusReply, NotPosted, RecipientHealth, Setting};

/// After so long what a preview shows may not be so any more.
const PREVIEW_MAX: Duration = Duration::from_secs(3600);
/// A packet holds a state from a file up to so many bytes: it is kept in the store until it is sent.
const STATE_SENT: u64 = 1024 * 1024;
/// A packet of at most so many bytes is told in a private message on Nostr.
const PACKET_OF_NOSTR: usize = 16 * 1024;

/// What is shown to who said something, besides the answer's text.
pub enum Shows {
    /// Nothing.
    Nothing,
    /// A handoff, to be posted or not.
    Preview(PreviewRow),
    /// A document.
    Document {
        /// The file's name.
        name: String,
        /// Its content.
        content: String,
    },
}

/// What became of a command.
pub struct Obeyed {
    /// The answer, and what is kept of it.
    pub heard: Heard,
    /// What else is shown.
    pub shows: Shows,
}

impl Obeyed {
    fn text(heard: Heard) -> Self {
        Self { heard, shows: Shows::Nothing }
    }
}

/// Somebody who speaks about missions.
pub struct Speaking<'a> {
    /// The input.
    pub input: &'a Input,
    /// What was said.
    pub said: &'a Said,
    /// Who.
    pub person: &'a Person,
    /// In which chat, in the channel's own form.
    pub heard_in: Option<&'a str>,
}

/// Does what a person says.
pub async fn obey(
    tx: &mut Tx,
    entry: &Entry,
    speaking: &Speaking<'_>,
    command: BusCommand,
) -> Result<Obeyed, StoreError> {
    let said = Word { tx, entry, speaking, setting: entry.setting() };
    said.obey(command).await
}

/// One command in its transaction.
struct Word<'a> {
    tx: &'a mut Tx,
    entry: &'a Entry,
    speaking: &'a Speaking<'a>,
    setting: Setting,
}

impl Word<'_> {
    fn now(&self) -> Timestamp {
        self.entry.now
    }

    fn person(&self) -> &PersonId {
        &self.speaking.person.id
    }

    async fn obey(mut self, command: BusCommand) -> Result<Obeyed, StoreError> {
        match command {
            BusCommand::Missions => {
                let shown = reads::list(self.tx).await?;
                Ok(read(shown))
            }
            BusCommand::Mission { mission } => self.show(&mission).await,
            BusCommand::Log { mission, events } => self.log(&mission, events).await,
            BusCommand::Resume { handoff } => self.resume(&handoff).await,
            BusCommand::New { mission, title } => self.create(mission, title).await,
            BusCommand::Join { mission, name, role } => {
                let told = BusReply::Joined { mission: mission.clone(), name: name.clone(), role };
                self.simply(Act::Join { mission, name, role, metadata: Value::Null }, told).await
            }
            BusCommand::Publish { mission, topic, text } => {
                let Draft::Message { topic, payload } = Draft::typed(topic, &text) else {
                    return Ok(Obeyed::text(Heard::not_done("nothing was published".into())));
                };
                self.append(Act::Publish { mission, topic, payload }).await
            }
            BusCommand::Checkpoint { mission, summary, state } => {
                let state = state.unwrap_or_else(|| json!({}));
                self.append(Act::Checkpoint { mission, summary, state, artifacts: Vec::new() }).await
            }
            BusCommand::Isolation { mission, profile } => {
                let told = BusReply::Isolated { mission: mission.clone(), profile: profile.clone() };
                self.simply(Act::Isolate { mission, profile }, told).await
            }
            BusCommand::Handoff { mission, recipient, from, note } => {
                self.preview(Wanted { mission: &mission, recipient, from, note }).await
            }
            BusCommand::Post { handoff } => self.post(&handoff).await,
            BusCommand::Cancel { handoff } => self.cancel(&handoff).await,
            BusCommand::Accept { handoff } => {
                let done = self.answer(&handoff, |mission, handoff| Act::Accept { mission, handoff }).await?;
                Ok(done.map_or_else(
                    |heard| heard,
                    |row| {
                        let (id, part) = (row.id.clone(), row.part.clone());
                        let told = BusReply::Accepted { id, part, recipient: row.recipient.clone() };
                        self.done(&told, handoff_value(&row))
                    },
                ))
            }
            BusCommand::Decline { handoff, reason } => {
                let act = |mission, handoff| Act::Decline { mission, handoff, reason };
                let done = self.answer(&handoff, act).await?;
                Ok(done.map_or_else(
                    |heard| heard,
                    |row| {
                        let told = BusReply::Declined { id: row.id.clone(), part: row.part.clone() };
                        self.done(&told, handoff_value(&row))
                    },
                ))
            }
        }
    }

    async fn show(&mut self, mission: &MissionName) -> Result<Obeyed, StoreError> {
        let reader = reader_of(self.entry.in_force(), self.person(), mission);
        let now = self.now();
        let seen = reads::show(self.tx, mission, &reader, Telling { setting: &self.setting, now }).await?;
        self.seen(seen, "show").await
    }

    async fn log(&mut self, mission: &MissionName, events: u32) -> Result<Obeyed, StoreError> {
        let reader = reader_of(self.entry.in_force(), self.person(), mission);
        let now = self.now();
        let telling = Telling { setting: &self.setting, now };
        let seen = reads::log(self.tx, mission, &reader, (None, events), telling).await?;
        self.seen(seen, "log").await
    }

    async fn resume(&mut self, meant: &HandoffRef) -> Result<Obeyed, StoreError> {
        let (mission, id) = match reads::named(self.tx, meant).await? {
            Ok(named) => named,
            Err(refused) => return self.unknown(&refused),
        };
        let reader = reader_of(self.entry.in_force(), self.person(), &mission);
        let now = self.now();
        let telling = Telling { setting: &self.setting, now };
        let shown = match reads::packet(self.tx, &mission, &id, &reader, telling).await? {
            Ok(shown) => shown,
            Err(not) => return self.seen(Err(not), "resume").await,
        };
        let store = self.entry.gateway().store.path().to_owned();
        let shown = reads::with_state(shown, &store, STATE_SENT);
        let packet = shown.value.get("packet").cloned().unwrap_or_default();
        let content = serde_json::to_string_pretty(&packet).unwrap_or_else(|_| packet.to_string());
        let mut obeyed = read(shown);
        match self.speaking.said.via {
            Channel::Telegram => obeyed.shows = Shows::Document { name: format!("{mission}-{id}.json"), content },
            // What is sealed twice there grows, and relays take no large events.
            Channel::Nostr if content.len() > PACKET_OF_NOSTR => {
                let left_out = wording::packet_left_out(&id, content.len());
                obeyed.heard.answer.text = format!("{} {left_out}", obeyed.heard.answer.text);
            }
            Channel::Terminal | Channel::Nostr => {
                obeyed.heard.answer.text = format!("{}\n{content}", obeyed.heard.answer.text)
            }
            Channel::Cli => {}
        }
        Ok(obeyed)
    }

    async fn create(&mut self, mission: MissionName, title: String) -> Result<Obeyed, StoreError> {
        let Some((lead, _)) = name_of(self.entry.in_force(), self.person(), &mission) else {
            return Ok(self.no_name(&mission));
        };
        if !may_create(self.entry, self.person(), &mission) {
            let able = who_may_create(self.entry, &mission);
            let refused = MissionError::NotALead { name: lead.to_string(), doing: "make it" };
            missions::note_refusal(self.tx, &mission, &lead, "create", &refused, self.now()).await?;
            let text = wording::may_not_create(self.person(), &mission, &able);
            return Ok(Obeyed::text(Heard::not_done(text)));
        }
        let told = BusReply::Created { mission: mission.clone(), lead: lead.clone() };
        match self.act(&lead, Act::Create { mission: mission.clone(), title }).await? {
            Ok(_) => {
                join_of_the_files(self.tx, self.entry, &mission).await?;
                Ok(self.done(&told, json!({ "mission": mission, "lead": lead })))
            }
            Err(heard) => Ok(heard),
        }
    }

    /// An act of which there is no more to tell than that it was done.
    async fn simply(&mut self, act: Act, told: BusReply) -> Result<Obeyed, StoreError> {
        let mission = act.mission().clone();
        let name = match self.takes_part(&mission).await? {
            Ok(name) => name,
            Err(heard) => return Ok(heard),
        };
        match self.act(&name, act).await? {
            Ok(Done::Joined(participant)) => {
                Ok(self.done(&told, json!({ "mission": mission, "participant": participant })))
            }
            Ok(_) => Ok(self.done(&told, json!({ "mission": mission }))),
            Err(heard) => Ok(heard),
        }
    }

    /// A message or a checkpoint.
    async fn append(&mut self, act: Act) -> Result<Obeyed, StoreError> {
        let mission = act.mission().clone();
        let name = match self.takes_part(&mission).await? {
            Ok(name) => name,
            Err(heard) => return Ok(heard),
        };
        let has_state = match &act {
            Act::Checkpoint { state, .. } => Some(state.as_object().is_none_or(|state| !state.is_empty())),
            _ => None,
        };
        let appended = match self.act(&name, act).await? {
            Ok(Done::Appended(appended)) => appended,
            Ok(_) => return Ok(Obeyed::text(Heard::read(String::new()))),
            Err(heard) => return Ok(heard),
        };
        let sequence = appended.event.sequence();
        let told = match has_state {
            Some(has_state) => {
                let id = appended.event.id().to_owned();
                BusReply::Checkpointed { mission: mission.clone(), sequence, id, has_state }
            }
            None => BusReply::Published { mission: mission.clone(), sequence },
        };
        Ok(self.done(&told, json!({ "mission": mission, "event": appended.event, "hash": appended.hash })))
    }

    async fn preview(&mut self, wanted: Wanted<'_>) -> Result<Obeyed, StoreError> {
        let mission = wanted.mission;
        let name = match self.takes_part(mission).await? {
            Ok(name) => name,
            Err(heard) => return Ok(heard),
        };
        let by = self.person().to_string();
        let who = Acting { name: &name, claim: None, by: &by };
        let row = match card::preview(self.tx, self.entry, who, &by, wanted).await? {
            Ok(row) => row,
            Err(refused) => return self.refused(mission, &refused).await,
        };
        let view = card::preview_view(self.tx, self.entry, &row).await?;
        let text = wording::handoff_card(&view, &self.setting, self.now());
        let text = format!("{text}\n{}", wording::preview_hint(&row.id));
        let mut heard = Heard::read(text);
        heard.answer.value = Some(json!({ "preview": row.id, "mission": row.mission, "handoff": card::shown(&row)? }));
        Ok(Obeyed { heard, shows: Shows::Preview(row) })
    }

    async fn post(&mut self, meant: &HandoffRef) -> Result<Obeyed, StoreError> {
        let row = match self.waiting(meant).await? {
            Ok(row) => row,
            Err(heard) => return Ok(heard),
        };
        let shown = card::shown(&row)?;
        let age = self.now().since(row.created_at);
        if age > PREVIEW_MAX {
            return Ok(self.not_posted(&NotPosted::TooOld { age }));
        }
        let health = card::health_of(self.entry.gateway(), &shown.recipient);
        if health != shown.health && matches!(health, RecipientHealth::Unhealthy | RecipientHealth::Unknown) {
            let recipient = shown.recipient.to_string();
            let body = json!(card::Shown { health, ..shown }).to_string();
            missions::change_preview(self.tx, &row.id, body.clone()).await?;
            card::refresh_preview(self.tx, self.entry, &PreviewRow { body, ..row }).await?;
            return Ok(self.not_posted(&NotPosted::Changed { recipient }));
        }
        let name = match self.takes_part(&row.mission).await? {
            Ok(name) => name,
            Err(heard) => return Ok(heard),
        };
        if name != shown.sender {
            // Their name in the mission was changed since.
            return Ok(self.not_posted(&NotPosted::NotYours { person: shown.sender.to_string() }));
        }
        let act = Act::Handoff {
            mission: row.mission.clone(),
            recipient: shown.recipient,
            from: HandFrom::Id(shown.checkpoint_id),
            note: shown.note,
            part: Some(shown.part),
            id: Some(row.id.clone()),
        };
        let offered = match self.act(&name, act).await? {
            Ok(Done::Offered(offered)) => offered,
            Ok(_) => return Ok(Obeyed::text(Heard::read(String::new()))),
            Err(heard) => return Ok(heard),
        };
        missions::close_preview(self.tx, &row.id, PreviewPhase::Posted).await?;
        let (id, recipient) = (offered.id.clone(), offered.recipient.clone());
        let told = BusReply::Posted { id, recipient, until: offered.expires_at };
        Ok(self.done(&told, handoff_value(&offered)))
    }

    async fn cancel(&mut self, meant: &HandoffRef) -> Result<Obeyed, StoreError> {
        let row = match self.waiting(meant).await? {
            Ok(row) => row,
            Err(heard) => return Ok(heard),
        };
        missions::close_preview(self.tx, &row.id, PreviewPhase::Cancelled).await?;
        let value = json!({ "preview": row.id, "state": "cancelled" });
        card::refresh_preview(self.tx, self.entry, &PreviewRow { state: PreviewPhase::Cancelled, ..row }).await?;
        Ok(self.done(&BusReply::Cancelled, value))
    }

    /// The preview that is meant, if it waits for who speaks.
    async fn waiting(&mut self, meant: &HandoffRef) -> Result<Result<PreviewRow, Obeyed>, StoreError> {
        let mut row = missions::preview(self.tx, &meant.id).await?;
        if row.is_none() {
            row = missions::preview(self.tx, &meant.id.to_lowercase()).await?;
        }
        let meant_here = |row: &PreviewRow| meant.mission.as_ref().is_none_or(|mission| *mission == row.mission);
        let Some(row) = row.filter(meant_here) else {
            return Ok(Err(self.not_posted(&NotPosted::Unknown { id: meant.id.clone() })));
        };
        if row.person != self.person().as_str() {
            if let Some((name, _)) = name_of(self.entry.in_force(), self.person(), &row.mission) {
                let refused = MissionError::NotTheRecipient {
                    handoff_id: row.id.clone(),
                    to: row.person.clone(),
                    by: self.person().to_string(),
                };
                missions::note_refusal(self.tx, &row.mission, &name, "post", &refused, self.now()).await?;
            }
            return Ok(Err(self.not_posted(&NotPosted::NotYours { person: row.person })));
        }
        Ok(match row.state {
            PreviewPhase::Waiting => Ok(row),
            PreviewPhase::Posted => Err(self.not_posted(&NotPosted::Posted { id: row.id })),
            PreviewPhase::Cancelled => Err(self.not_posted(&NotPosted::Cancelled)),
        })
    }

    /// Accepts or declines.
    async fn answer(
        &mut self,
        meant: &HandoffRef,
        act: impl FnOnce(MissionName, String) -> Act + Send,
    ) -> Result<Result<HandoffRow, Obeyed>, StoreError> {
        let row = match named(self.tx, meant).await? {
            Ok(row) => row,
            Err(refused) => return Ok(Err(self.unknown(&refused)?)),
        };
        let name = match self.takes_part(&row.mission).await? {
            Ok(name) => name,
            Err(heard) => return Ok(Err(heard)),
        };
        Ok(match self.act(&name, act(row.mission, row.id)).await? {
            Ok(Done::Answered(row)) => Ok(row),
            Ok(_) => Err(Obeyed::text(Heard::read(String::new()))),
            Err(heard) => Err(heard),
        })
    }

    /// The name under which the person acts.
    async fn takes_part(&mut self, mission: &MissionName) -> Result<Result<AgentName, Obeyed>, StoreError> {
        let Some((name, _)) = name_of(self.entry.in_force(), self.person(), mission) else {
            return Ok(Err(self.no_name(mission)));
        };
        join_of_the_files(self.tx, self.entry, mission).await?;
        Ok(Ok(name))
    }

    /// Acts on the bus; what it refuses is told.
    async fn act(&mut self, name: &AgentName, act: Act) -> Result<Result<Done, Obeyed>, StoreError> {
        let by = self.person().to_string();
        let who = Acting { name, claim: None, by: &by };
        let (mission, said_at) = (act.mission().clone(), self.speaking.input.entered_at);
        match act_in(self.tx, self.entry, who, act, said_at, self.speaking.heard_in).await? {
            Ok(done) => Ok(Ok(done)),
            Err(refused) => self.refused(&mission, &refused).await.map(Err),
        }
    }

    fn done(&self, told: &BusReply, value: Value) -> Obeyed {
        let mut heard = Heard::read(wording::bus_reply(told, &self.setting, self.now()));
        heard.answer.value = Some(value);
        Obeyed::text(heard)
    }

    /// What was refused, and journaled already.
    async fn refused(&mut self, mission: &MissionName, refused: &MissionError) -> Result<Obeyed, StoreError> {
        let now = self.now();
        let text = reads::told(self.tx, mission, refused, Telling { setting: &self.setting, now }).await?;
        Ok(Obeyed::text(Heard::not_done(text)))
    }

    /// What is not there to be refused in any mission.
    fn unknown(&self, refused: &MissionError) -> Result<Obeyed, StoreError> {
        let text = wording::bus_refusal(refused, &Default::default(), &self.setting, self.now());
        Ok(Obeyed::text(Heard::not_there(text)))
    }

    fn no_name(&self, mission: &MissionName) -> Obeyed {
        Obeyed::text(Heard::not_done(wording::no_name(self.person(), mission)))
    }

    fn not_posted(&self, why: &NotPosted) -> Obeyed {
        Obeyed::text(Heard::not_done(wording::not_posted(why)))
    }

    /// What was read, or why it was not; a refusal is journaled.
    async fn seen(&mut self, seen: Seen, doing: &str) -> Result<Obeyed, StoreError> {
        match seen {
            Ok(shown) => Ok(read(shown)),
            Err(not) => {
                let text = not.text().to_owned();
                note(self.tx, &not, doing, self.entry.now).await?;
                Ok(Obeyed::text(Heard::not_done(text)))
            }
        }
    }
}

/// Journals that something was not shown to somebody.
pub async fn note(tx: &mut Tx, not: &NotShown, doing: &str, now: Timestamp) -> Result<(), StoreError> {
    match not {
        NotShown::Refused { name: Some(name), mission: Some(mission), refused, .. } => {
            missions::note_refusal(tx, mission, name, doing, refused, now).await
        }
        NotShown::Refused { .. } | NotShown::Nobody { .. } => Ok(()),
    }
}

fn read(shown: Shown) -> Obeyed {
    let mut heard = Heard::read(shown.text);
    heard.answer.value = Some(Value::Object(shown.value));
    Obeyed::text(heard)
}
