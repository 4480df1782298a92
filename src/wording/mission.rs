use std::fmt::Write as _;
use std::time::Duration;

use super::Setting;
use super::plain::{REASON_MAX, SHORT_MAX, harmless, list};
use super::time::human;
use crate::mission::{Capability, MissionError, MissionEvent, MissionRole, OfferEnd, Permissions};
use crate::pool::{AgentName, MissionName, Timestamp};

/// Characters of what an event says, in a log.
const LOG_MAX: usize = 160;

/// A mission in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissionLine {
    /// Its name.
    pub name: MissionName,
    /// Its title.
    pub title: Option<String>,
    /// How many events it has.
    pub events: i64,
    /// Its events are still being read in.
    pub importing: bool,
}

/// A mission, as one looks at it.
#[derive(Clone, Debug, PartialEq)]
pub struct MissionView {
    /// What the list shows of it.
    pub line: MissionLine,
    /// The isolation profile that was chosen.
    pub profile: Option<String>,
    /// Who takes part, in the order in which they joined.
    pub participants: Vec<(AgentName, MissionRole)>,
    /// Parts whose owner is another one than their name says: part, owner.
    pub moved: Vec<(AgentName, AgentName)>,
    /// Handoffs that wait for an answer.
    pub open: Vec<HandoffView>,
}

/// How well the recipient of a handoff is, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipientHealth {
    /// Its signals are good.
    Healthy,
    /// They are not.
    Unhealthy,
    /// They give no answer.
    Unknown,
    /// It is a person, or an agent that nobody watches.
    NotWatched,
}

/// A handoff: before it is posted, while it waits, and when it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandoffView {
    /// Its id; none before it is posted.
    pub id: Option<String>,
    /// In which mission.
    pub mission: MissionName,
    /// Whose part is handed over.
    pub part: AgentName,
    /// Who hands it over.
    pub sender: AgentName,
    /// To whom.
    pub recipient: AgentName,
    /// The checkpoint's summary.
    pub summary: String,
    /// Who made the checkpoint.
    pub made_by: AgentName,
    /// When, as far as the event tells.
    pub made_at: Option<Timestamp>,
    /// What the recipient should know.
    pub note: String,
    /// How it stands.
    pub state: HandoffStands,
}

/// How a handoff stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandoffStands {
    /// It is not posted yet; shown to who wants to.
    Preview {
        /// How well the recipient is.
        recipient: RecipientHealth,
        /// How long it will wait for an answer.
        ttl: Duration,
    },
    /// It was taken back before it was posted.
    Cancelled,
    /// Its recipient has not answered.
    Offered {
        /// When it ends by itself.
        until: Timestamp,
    },
    /// It is over.
    Ended {
        /// How it ended.
        how: OfferEnd,
        /// When.
        at: Timestamp,
    },
}

/// What became of what somebody said about a mission.
#[derive(Clone, Debug, PartialEq)]
pub enum BusReply {
    /// A mission was made.
    Created {
        /// Its name.
        mission: MissionName,
        /// Its first lead.
        lead: AgentName,
    },
    /// Somebody takes part.
    Joined {
        /// In which mission.
        mission: MissionName,
        /// Who.
        name: AgentName,
        /// As what.
        role: MissionRole,
    },
    /// A message is in the stream.
    Published {
        /// Of which mission.
        mission: MissionName,
        /// Its number.
        sequence: i64,
    },
    /// A checkpoint is in the stream.
    Checkpointed {
        /// Of which mission.
        mission: MissionName,
        /// Its number.
        sequence: i64,
        /// Its id.
        id: String,
        /// Whether it holds any state.
        has_state: bool,
    },
    /// The isolation profile was chosen.
    Isolated {
        /// Of which mission.
        mission: MissionName,
        /// Which one.
        profile: String,
    },
    /// A handoff is offered.
    Posted {
        /// Its id.
        id: String,
        /// To whom.
        recipient: AgentName,
        /// Until when.
        until: Timestamp,
    },
    /// What somebody wanted to post was taken back before.
    Cancelled,
    /// Somebody took a part over.
    Accepted {
        /// Which handoff.
        id: String,
        /// Whose part it was by name.
        part: AgentName,
        /// Who has it now.
        recipient: AgentName,
    },
    /// Somebody did not.
    Declined {
        /// Which handoff.
        id: String,
        /// Whose part it is by name.
        part: AgentName,
    },
}

/// All missions, one a line.
pub fn missions_text(missions: &[MissionLine]) -> String {
    if missions.is_empty() {
        return "There is no mission. `newmission NAME title` makes one, or `mission create` on the command line."
            .to_owned();
    }
    missions.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(of: &MissionLine) -> String {
    let title = match of.title.as_deref().map(|title| harmless(title, SHORT_MAX)) {
        Some(title) if !title.is_empty() => format!(": {title}"),
        _ => String::new(),
    };
    let importing = if of.importing { ", being imported" } else { "" };
    format!("{}{title} ({}{importing})", of.name, events(of.events))
}

fn events(count: i64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}

/// One mission: who takes part, who does whose work, what waits.
pub fn mission_text(mission: &MissionView, setting: &Setting, now: Timestamp) -> String {
    let mut text = line(&mission.line);
    if let Some(profile) = &mission.profile {
        let _ = write!(text, "\nisolation: {}", harmless(profile, SHORT_MAX));
    }
    let participants: Vec<String> =
        mission.participants.iter().map(|(name, role)| format!("{name} ({role})")).collect();
    let _ = write!(text, "\ntakes part: {}", list(&participants, "nobody"));
    for (part, owner) in &mission.moved {
        let _ = write!(text, "\n{owner} has the part of {part}");
    }
    for handoff in &mission.open {
        let _ = write!(text, "\n{}", stands(handoff, setting, now));
    }
    text
}

/// One event of a log.
pub fn event_line(event: &MissionEvent, at: Option<Timestamp>, setting: &Setting, now: Timestamp) -> String {
    let says = match event {
        MissionEvent::Message(message) => {
            let text = message.payload.get("text").and_then(serde_json::Value::as_str);
            let payload = text.map_or_else(|| message.payload.to_string(), str::to_owned);
            format!("on {}: {}", harmless(&message.topic, SHORT_MAX), harmless(&payload, LOG_MAX))
        }
        MissionEvent::Checkpoint(checkpoint) => {
            format!(
                "checkpoint {}: {}",
                harmless(&checkpoint.checkpoint_id, SHORT_MAX),
                harmless(&checkpoint.summary, LOG_MAX)
            )
        }
        MissionEvent::Handoff(handoff) => {
            let note = harmless(handoff.note.as_deref().unwrap_or_default(), LOG_MAX);
            let note = if note.is_empty() { note } else { format!(": {note}") };
            let to = harmless(&handoff.recipient, SHORT_MAX);
            format!("handoff {} to {to}{note}", harmless(&handoff.handoff_id, SHORT_MAX))
        }
    };
    let at = at.map_or_else(|| "no time".to_owned(), |at| setting.time(at, now));
    format!("#{} {at} {} {says}", event.sequence(), harmless(event.sender(), SHORT_MAX))
}

/// A handoff as a card: what it is about, then how it stands.
pub fn handoff_card(handoff: &HandoffView, setting: &Setting, now: Timestamp) -> String {
    let age = match handoff.made_at {
        Some(at) => format!("{} ago, at {}", human(now.since(at)), setting.time(at, now)),
        None => "at a time that it does not tell".to_owned(),
    };
    let mut text = format!(
        "{}: {} hands the part of {} over to {}.\nFrom the checkpoint: {}\nmade by {} {age}",
        handoff.mission,
        handoff.sender,
        handoff.part,
        handoff.recipient,
        harmless(&handoff.summary, REASON_MAX),
        handoff.made_by,
    );
    let note = harmless(&handoff.note, REASON_MAX);
    if !note.is_empty() {
        let _ = write!(text, "\nNote: {note}");
    }
    let _ = write!(text, "\n{}", stands(handoff, setting, now));
    text
}

/// How a handoff stands, for those who do not see its card.
pub fn handoff_line(handoff: &HandoffView, setting: &Setting, now: Timestamp) -> String {
    let id = harmless(handoff.id.as_deref().unwrap_or("?"), SHORT_MAX);
    format!("{}: handoff {id} of {}: {}", handoff.mission, handoff.sender, stands(handoff, setting, now))
}

fn stands(handoff: &HandoffView, setting: &Setting, now: Timestamp) -> String {
    let HandoffView { part, recipient, .. } = handoff;
    let id = harmless(handoff.id.as_deref().unwrap_or("?"), SHORT_MAX);
    match &handoff.state {
        HandoffStands::Preview { recipient: health, ttl } => {
            let health = match health {
                RecipientHealth::Healthy => format!("{recipient} is healthy."),
                RecipientHealth::Unhealthy => format!("CAREFUL: {recipient} is not healthy."),
                RecipientHealth::Unknown => format!("CAREFUL: nobody knows whether {recipient} is alive."),
                RecipientHealth::NotWatched => format!("{recipient} is not watched."),
            };
            format!("{health} Not posted yet; once posted, {recipient} has {} to accept.", human(*ttl))
        }
        HandoffStands::Cancelled => "CANCELLED; nothing was posted.".to_owned(),
        HandoffStands::Offered { until } => format!(
            "OFFERED to {recipient}, until {}: `accept {id}` or `decline {id} reason`. Until then the part of {part} \
             stays where it is.",
            setting.time(*until, now)
        ),
        HandoffStands::Ended { how, at } => {
            let at = setting.time(*at, now);
            match how {
                OfferEnd::Accepted => {
                    format!(
                        "ACCEPTED by {recipient} at {at}: {recipient} has the part of {part} now. `resume {id}` \
                             gives the packet."
                    )
                }
                OfferEnd::Declined { reason } => format!(
                    "DECLINED by {recipient} at {at}: {}. The part of {part} stays where it was.",
                    harmless(reason, REASON_MAX)
                ),
                OfferEnd::Expired => {
                    format!("EXPIRED at {at}: {recipient} did not answer. The part of {part} stays where it was.")
                }
            }
        }
    }
}

/// What somebody's word did, for themselves.
pub fn bus_reply(reply: &BusReply, setting: &Setting, now: Timestamp) -> String {
    match reply {
        BusReply::Created { mission, lead } => {
            format!("{mission}: made; {lead} leads it. `join {mission} AGENT ROLE` says who else takes part.")
        }
        BusReply::Joined { mission, name, role } => format!("{mission}: {name} takes part as {role}."),
        BusReply::Published { mission, sequence } => format!("{mission}: published as event {sequence}."),
        BusReply::Checkpointed { mission, sequence, id, has_state } => {
            let id = harmless(id, SHORT_MAX);
            let state = if *has_state { "" } else { " It holds no state; attach a JSON document to add one." };
            format!("{mission}: checkpoint {id} made as event {sequence}.{state}")
        }
        BusReply::Isolated { mission, profile } => {
            format!("{mission}: isolation profile {}.", harmless(profile, SHORT_MAX))
        }
        BusReply::Posted { id, recipient, until } => {
            let until = setting.time(*until, now);
            format!("Posted: {} is offered to {recipient} until {until}.", harmless(id, SHORT_MAX))
        }
        BusReply::Cancelled => "Cancelled; nothing was posted.".to_owned(),
        BusReply::Accepted { id, part, recipient } => {
            let id = harmless(id, SHORT_MAX);
            format!("Accepted: {recipient} has the part of {part} now. `resume {id}` gives the packet.")
        }
        BusReply::Declined { id, part } => {
            format!("Declined: {} is over, and the part of {part} stays where it was.", harmless(id, SHORT_MAX))
        }
    }
}

/// Who could have done what somebody was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// The roles that have the capability.
    pub roles: Vec<MissionRole>,
    /// The participants that have one of these.
    pub names: Vec<AgentName>,
}

impl Holders {
    /// Who of `participants` has the capability.
    pub fn of(permissions: &Permissions, capability: Capability, participants: &[(AgentName, MissionRole)]) -> Self {
        let roles = permissions.roles_with(capability);
        let has = |(_, role): &&(AgentName, MissionRole)| roles.contains(role);
        Self { names: participants.iter().filter(has).map(|(name, _)| name.clone()).collect(), roles }
    }
}

/// Why the bus did not take somebody's word: which capability is missing, and who has it.
pub fn bus_refusal(refused: &MissionError, holders: &Holders, setting: &Setting, now: Timestamp) -> String {
    match refused {
        MissionError::Lacks { .. } => {
            let who = match holders.roles.as_slice() {
                [] => "no role of this mission has it".to_owned(),
                roles => format!("it takes the role {}: {}", either(roles), list(&holders.names, "nobody")),
            };
            format!("refused: {}; {who}.", harmless(&refused.to_string(), REASON_MAX))
        }
        MissionError::Replaced { at, why } => {
            format!("refused: you were replaced at {}: {why}.", setting.time(*at, now))
        }
        MissionError::AlreadyOffered { part, to, until, handoff_id } => format!(
            "refused: the part of {} is offered to {} already, until {}. `decline {} reason` by {} ends that sooner.",
            harmless(part, SHORT_MAX),
            harmless(to, SHORT_MAX),
            setting.time(*until, now),
            harmless(handoff_id, SHORT_MAX),
            harmless(to, SHORT_MAX),
        ),
        MissionError::UnknownCheckpoint(id) if id == "last" => {
            "refused: there is no checkpoint yet; `checkpoint MISSION SUMMARY` makes one.".to_owned()
        }
        other => format!("refused: {}.", harmless(&other.to_string(), REASON_MAX * 2)),
    }
}

fn either(roles: &[MissionRole]) -> String {
    roles.iter().map(MissionRole::to_string).collect::<Vec<_>>().join(" or ")
}
