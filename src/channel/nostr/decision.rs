//! A decision as an event of its own, kind 4717: what somebody decides about which packet, signed. It can
//! be made by any program that makes events; `docs/nostr.md` is its specification.

use std::collections::BTreeMap;

use nostr_sdk::{Kind, PublicKey, Tag, Timestamp as Seconds, UnsignedEvent};

use super::utterance::Utterance;
use crate::approval::{ApprovalKey, Command, Target};
use crate::pool::AgentName;

/// The kind of these events.
pub const DECISION: Kind = Kind::Custom(4717);
/// Longest reason, in characters.
const REASON_MAX: usize = 1_000;

/// What somebody decided, as they signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDecision {
    /// The packet that it answers: the id of the open note, or of the rumor that this person got.
    pub packet: String,
    /// The request's key.
    pub key: ApprovalKey,
    /// What is decided.
    pub verb: Verb,
    /// Why, for people.
    pub reason: String,
}

/// What can be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Restart the agent.
    Approve,
    /// Leave it dead.
    Deny,
    /// Let this one take over.
    Substitute(AgentName),
}

/// Why an event of that kind is no decision. Nothing of it is guessed at: one tag that is missing, doubled or
/// unknown refuses the whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDecision {
    /// A tag is missing.
    #[error("the tag `{0}` is missing")]
    Missing(&'static str),
    /// A tag is there twice.
    #[error("the tag `{0}` is there twice")]
    Doubled(&'static str),
    /// It is addressed to somebody else.
    #[error("its tag `p` does not name this gateway")]
    NotToUs,
    /// The packet's id is none.
    #[error("its tag `e` holds no event id")]
    NoPacket,
    /// The key is none.
    #[error("its tag `approval` holds no approval key")]
    NoKey,
    /// The verb is not known.
    #[error("its tag `decision` is not approve, deny or substitute")]
    UnknownVerb,
    /// A substitute is no name, or stands where none belongs.
    #[error("the tag `substitute` belongs to `substitute`, and to nothing else, and names an agent")]
    Substitute,
    /// An answer must not expire: relays and libraries would drop it unseen.
    #[error("it has a tag `expiration`; a decision has none")]
    Expires,
    /// The reason is too long.
    #[error("its text is longer than {REASON_MAX} characters")]
    TooLong,
}

/// The tags that count; all others are ignored.
const TAGS: [&str; 7] = ["e", "p", "approval", "decision", "substitute", "alt", "expiration"];

impl SignedDecision {
    /// Reads what was said as a decision addressed to `us`.
    ///
    /// # Errors
    /// It is none.
    pub fn read(said: &Utterance, us: &str) -> Result<Self, NoDecision> {
        let mut values = BTreeMap::<&'static str, Option<&str>>::new();
        for tag in &said.tags {
            let Some(name) = tag.first().and_then(|name| TAGS.into_iter().find(|known| known == name)) else {
                continue;
            };
            if values.insert(name, tag.get(1).map(String::as_str)).is_some() {
                return Err(NoDecision::Doubled(name));
            }
        }
        if values.contains_key("expiration") {
            return Err(NoDecision::Expires);
        }
        let value = |name| values.get(name).copied().flatten().ok_or(NoDecision::Missing(name));
        if value("p")? != us {
            return Err(NoDecision::NotToUs);
        }
        let packet = value("e")?;
        if packet.len() != 64 || !packet.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoDecision::NoPacket);
        }
        let key = ApprovalKey::parse(value("approval")?).map_err(|_| NoDecision::NoKey)?;
        let substitute = values.get("substitute").copied();
        let verb = match (value("decision")?, substitute) {
            ("approve", None) => Verb::Approve,
            ("deny", None) => Verb::Deny,
            ("substitute", Some(Some(name))) => {
                Verb::Substitute(AgentName::new(name).map_err(|_| NoDecision::Substitute)?)
            }
            ("substitute", None) => return Err(NoDecision::Missing("substitute")),
            ("approve" | "deny" | "substitute", Some(_)) => return Err(NoDecision::Substitute),
            _ => return Err(NoDecision::UnknownVerb),
        };
        if said.content.chars().count() > REASON_MAX {
            return Err(NoDecision::TooLong);
        }
        Ok(Self { packet: packet.to_ascii_lowercase(), key, verb, reason: said.content.clone() })
    }

    /// The same as the one grammar says it. The reason is cut as a typed one is.
    pub fn command(&self) -> Command {
        let target = Target::Key(self.key.clone());
        match &self.verb {
            Verb::Approve => Command::Approve { target },
            Verb::Substitute(agent) => Command::Substitute { target, agent: agent.clone() },
            Verb::Deny => match Command::parse(&format!("deny {target} {}", self.reason), None) {
                Ok(command @ Command::Deny { .. }) => command,
                Ok(_) | Err(_) => Command::Deny { target, reason: None },
            },
        }
    }

    /// The event that says so, to be signed by `author`. `relay` is where the packet can be found.
    pub fn make(&self, author: PublicKey, us: PublicKey, relay: &str, at: Seconds) -> UnsignedEvent {
        let us = us.to_hex();
        let (verb, substitute) = match &self.verb {
            Verb::Approve => ("approve", None),
            Verb::Deny => ("deny", None),
            Verb::Substitute(agent) => ("substitute", Some(agent.as_str())),
        };
        let key = self.key.to_string();
        let says = substitute.map_or_else(|| verb.to_owned(), |agent| format!("{verb} {agent}"));
        let alt = format!("Decision on {key}: {says}");
        let mut tags: Vec<Vec<&str>> =
            vec![vec!["e", &self.packet, relay, &us], vec!["p", &us], vec!["approval", &key], vec!["decision", verb]];
        tags.extend(substitute.map(|agent| vec!["substitute", agent]));
        tags.push(vec!["alt", &alt]);
        let tags = tags.into_iter().filter_map(|tag| Tag::parse(tag).ok());
        let reason: String = self.reason.chars().take(REASON_MAX).collect();
        UnsignedEvent::new(author, at, DECISION, tags, reason)
    }
}
