use crate::pool::Timestamp;

use super::permission::{Capability, MissionRole};

/// Why the bus refused. The first six are the reference's, word for word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MissionError {
    /// The role does not have the capability, or the name is no participant's.
    #[error("{name} lacks '{capability}' permission")]
    Lacks {
        /// Who wanted something.
        name: String,
        /// What it would take.
        capability: Capability,
    },
    /// A handoff to somebody who is no participant.
    #[error("Unknown recipient: {0}")]
    UnknownRecipient(String),
    /// No checkpoint of this id is in the stream.
    #[error("Unknown checkpoint: {0}")]
    UnknownCheckpoint(String),
    /// No handoff of this id is in the stream.
    #[error("Unknown handoff: {0}")]
    UnknownHandoff(String),
    /// An event in a file that is neither a message nor a checkpoint nor a handoff.
    #[error("Unknown mission event type: {0}")]
    UnknownEventType(String),
    /// A role that is none of the four.
    #[error("{0} is not a valid MissionRole")]
    BadRole(String),
    /// A key that must be there.
    #[error("{what}: the key '{key}' is missing")]
    MissingKey {
        /// Of which object.
        what: &'static str,
        /// The key's name.
        key: &'static str,
    },
    /// A value of another shape than its key takes.
    #[error("{what}: `{key}` {why}")]
    WrongShape {
        /// Of which object.
        what: &'static str,
        /// The key's name.
        key: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// Something that only a lead may.
    #[error("{name} is no lead of the mission; only a lead may {doing}")]
    NotALead {
        /// Who tried.
        name: String,
        /// What.
        doing: &'static str,
    },
    /// There is no such mission.
    #[error("there is no mission {0}; see `mission list`")]
    UnknownMission(String),
    /// There is one of that name already.
    #[error("there is a mission {0} already; choose another name")]
    MissionExists(String),
    /// The mission takes no events at the moment.
    #[error("mission {0} is being imported; try again when that is done, or remove it with `mission import --discard`")]
    Importing(String),
    /// The isolation profile is not in the mission's configuration.
    #[error("mission {mission} has no isolation profile {profile}; it has {known}")]
    UnknownProfile {
        /// The mission.
        mission: String,
        /// What was asked for.
        profile: String,
        /// Those there are.
        known: String,
    },
    /// The event is larger than events may be.
    #[error(
        "the event has {bytes} bytes, at most {limit} are allowed; put what is large into a file and refer to it by its hash"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Another incarnation took over.
    #[error("you were replaced at {at}: {why}")]
    Replaced {
        /// Since when somebody else is in force.
        at: Timestamp,
        /// By what, and whether there is a way back.
        why: &'static str,
    },
    /// A write under an epoch or nonce that never attached.
    #[error("this incarnation has not attached to epoch {epoch}; attach first")]
    NotAttached {
        /// The epoch that it named.
        epoch: i64,
    },
    /// A nonce that is none.
    #[error("a nonce has {min} to {max} characters of A-Z, a-z, 0-9, '-' and '_'", min = super::incarnation::NONCE_MIN, max = super::incarnation::NONCE_MAX)]
    BadNonce,
    /// Somebody wants to hand over what is another's.
    #[error("the part of {part} belongs to {owner}; only {owner} or a {lead} can hand it over", lead = MissionRole::Lead)]
    NotTheOwner {
        /// Whose part it is by name.
        part: String,
        /// Who owns it now.
        owner: String,
    },
    /// One part can be offered to one recipient at a time.
    #[error("the part of {part} is offered to {to} already, until {until} (handoff {handoff_id})")]
    AlreadyOffered {
        /// Whose part it is by name.
        part: String,
        /// Who may accept.
        to: String,
        /// Until when.
        until: Timestamp,
        /// Under which handoff.
        handoff_id: String,
    },
    /// The handoff is over, so it can be neither accepted nor declined.
    #[error("handoff {handoff_id} is {state}; ask for a new one")]
    OfferClosed {
        /// The handoff.
        handoff_id: String,
        /// "accepted", "declined", "expired" or "not open".
        state: &'static str,
    },
    /// Only its recipient answers a handoff.
    #[error("handoff {handoff_id} is for {to}, not for {by}")]
    NotTheRecipient {
        /// The handoff.
        handoff_id: String,
        /// Who may answer.
        to: String,
        /// Who tried.
        by: String,
    },
    /// A file whose events are not numbered 1, 2, 3, …
    #[error("event {place} of the file has the number {found}; a stream is numbered from 1 without gaps")]
    BadNumber {
        /// Its place in the file, from 1.
        place: i64,
        /// The number that stands there.
        found: i64,
    },
    /// A name that cannot be one in a mission that is kept.
    #[error("{what} {name:?}: {why}")]
    BadName {
        /// "mission", "participant", …
        what: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}
