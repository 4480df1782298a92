//! What people are answered about missions, beside what stands in `mission`.

use std::fmt::Write as _;

use serde_json::Value;

use super::Setting;
use super::mission::event_line;
use super::plain::{REASON_MAX, SHORT_MAX, harmless, list};
use super::time::human;
use crate::approval::PersonId;
use crate::mission::{MissionEvent, NotOfTheBus, ResumePacket, event_moment};
use crate::pool::{MissionName, Timestamp};

/// Why a handoff that was shown is not posted, or not taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPosted {
    /// Nothing of that id was shown to anybody.
    Unknown {
        /// The id.
        id: String,
    },
    /// Somebody else asked for it.
    NotYours {
        /// Who.
        person: String,
    },
    /// It was posted before.
    Posted {
        /// Its id.
        id: String,
    },
    /// It was taken back before.
    Cancelled,
    /// What it showed may not be so any more.
    TooOld {
        /// How old it is.
        age: std::time::Duration,
    },
    /// The recipient is not as well as it was when it was shown.
    Changed {
        /// What is shown of it now.
        recipient: String,
    },
}

/// What to say under a preview where there are no buttons.
pub fn preview_hint(id: &str) -> String {
    let id = harmless(id, SHORT_MAX);
    format!("`post {id}` posts it, `cancel {id}` does not.")
}

/// What is told to who wanted to post or take back what they could not.
pub fn not_posted(why: &NotPosted) -> String {
    match why {
        NotPosted::Unknown { id } => {
            format!("refused: there is no handoff {} to be posted.", harmless(id, SHORT_MAX))
        }
        NotPosted::NotYours { person } => {
            format!("refused: {} asked for this handoff, and nobody else posts it.", harmless(person, SHORT_MAX))
        }
        NotPosted::Posted { id } => format!("It was posted before, as {}.", harmless(id, SHORT_MAX)),
        NotPosted::Cancelled => "It was cancelled before; nothing is posted.".to_owned(),
        NotPosted::TooOld { age } => {
            format!("refused: it was shown {} ago, and much may have changed; ask for it anew.", human(*age))
        }
        NotPosted::Changed { recipient } => {
            format!("Not posted yet: {} is not as it was when you looked. Look again.", harmless(recipient, SHORT_MAX))
        }
    }
}

/// Who wanted to make a mission may not.
pub fn may_not_create(person: &PersonId, mission: &MissionName, may: &[PersonId]) -> String {
    format!(
        "refused: {person} may not make the mission {mission}: that takes `approves` with {mission}, or to be its lead by \
         `participant`, in `people`. Who may: {}.",
        list(may, "nobody")
    )
}

/// Nothing was refused in a mission.
pub fn no_refusals(mission: &MissionName) -> String {
    format!("{mission}: nothing was refused lately.")
}

/// A person may make no mission at all.
pub fn may_make_none(person: &PersonId) -> String {
    format!(
        "refused: {person} may make no mission: that takes `approves`, or to be the lead of one by `participant`, in \
         `people`."
    )
}

/// A person has no name of their own in a mission.
pub fn no_name(person: &PersonId, mission: &MissionName) -> String {
    format!(
        "refused: nobody acts for {person} in {mission}, since {person} is an agent there. Say who you are in `people`: \
         participant: {{{mission}: {{name: NAME, role: ROLE}}}}"
    )
}

/// The newest events of a mission, the oldest of them first.
pub fn log_text(mission: &MissionName, events: &[MissionEvent], setting: &Setting, now: Timestamp) -> String {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return format!("{mission}: nothing was said yet.");
    };
    let mut text = format!("{mission}: events {} to {}", first.sequence(), last.sequence());
    for event in events {
        let at = event.timestamp().and_then(event_moment);
        let _ = write!(text, "\n{}", event_line(event, at, setting, now));
    }
    text
}

/// What a resume packet is, above it.
pub fn packet_text(id: &str, packet: &ResumePacket) -> String {
    let (summary, maker) = match &packet.checkpoint {
        MissionEvent::Checkpoint(checkpoint) => (checkpoint.summary.as_str(), checkpoint.sender.as_str()),
        MissionEvent::Message(_) | MissionEvent::Handoff(_) => ("", ""),
    };
    format!(
        "{}: the resume packet of {}, for {}: from the checkpoint of {}, {}.",
        harmless(&packet.mission_id, SHORT_MAX),
        harmless(id, SHORT_MAX),
        harmless(&packet.recipient, SHORT_MAX),
        harmless(maker, SHORT_MAX),
        harmless(summary, REASON_MAX),
    )
}

/// To somebody who said what is nearly a command of the bus: one line with the right form.
pub fn misunderstood_of_the_bus(what: &NotOfTheBus) -> String {
    format!("not understood: {}.", harmless(&what.to_string(), REASON_MAX * 2))
}

/// A packet refers to its state.
pub fn state_left_out(bytes: u64) -> String {
    format!(
        "Its state has {bytes} bytes and is not in it; `lazarus-gate mission resume` gives it, as far as it is here."
    )
}

/// A packet does not fit into a message.
pub fn packet_left_out(id: &str, bytes: usize) -> String {
    format!(
        "It has {bytes} bytes, which is too much for a message here; `lazarus-gate mission resume {}` gives it.",
        harmless(id, SHORT_MAX)
    )
}

/// A document that came with a command could not be used.
pub fn bad_document(why: &str) -> String {
    format!("refused: the document cannot be used: {}. Nothing was written.", harmless(why, REASON_MAX))
}

/// A whole mission came in.
pub fn imported(mission: &MissionName, events: i64) -> String {
    format!("{mission}: imported, with {events} events.")
}

/// A stream was read from its first event to its last.
pub fn verified(mission: &MissionName, events: i64, hash: &str) -> String {
    format!("{mission}: {events} events, whole. The last one's hash: {}", harmless(hash, SHORT_MAX))
}

/// A stream has an event that is not as it was written.
pub fn broken(mission: &MissionName, seq: i64, why: &str) -> String {
    format!("{mission}: event {seq} is not as it was written: {}", harmless(why, REASON_MAX))
}

/// An entry of the journal about a mission, in words; None for what is none, or of a newer version.
pub(super) fn bus_happened(kind: &str, body: &Value) -> Option<String> {
    let field = |name: &str| body.get(name).and_then(Value::as_str).map(|text| harmless(text, REASON_MAX));
    let mission = field("mission")?;
    let by = field("by").map(|by| format!(" (by {by})")).unwrap_or_default();
    let handoff = || Some((field("handoff")?, field("part")?, field("recipient")?));
    Some(match kind {
        "mission.created" => format!("the mission '{mission}' was made{by}"),
        "mission.joined" => {
            format!("{} takes part in the mission '{mission}' as {}{by}", field("participant")?, field("role")?)
        }
        "mission.isolation" => format!("the mission '{mission}' has the isolation profile {}{by}", field("profile")?),
        "mission.imported" => {
            let events = body.get("events").and_then(Value::as_i64).unwrap_or_default();
            format!("the mission '{mission}' was imported, with {events} events{by}")
        }
        "mission.handoff_offered" => {
            let (id, part, recipient) = handoff()?;
            format!("handoff {id} in '{mission}': the part of {part} is offered to {recipient}{by}")
        }
        "mission.handoff_accepted" => {
            let (id, part, recipient) = handoff()?;
            format!("handoff {id} in '{mission}': ACCEPTED, {recipient} has the part of {part}{by}")
        }
        "mission.handoff_declined" => {
            let (id, _, _) = handoff()?;
            format!("handoff {id} in '{mission}': DECLINED, {}{by}", field("reason").unwrap_or_default())
        }
        "mission.handoff_expired" => {
            let (id, _, recipient) = handoff()?;
            format!("handoff {id} in '{mission}': EXPIRED, {recipient} did not answer")
        }
        "mission.refused" => format!("refused in the mission '{mission}' ({}): {}", field("doing")?, field("why")?),
        _ => return None,
    })
}
