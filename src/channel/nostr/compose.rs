//! Events that go out. The same message makes the same event, whatever happens between two attempts to send
//! it: a relay then says `duplicate`, a client shows it once, and an answer to either copy finds its packet.

use std::time::Duration;

use nostr_sdk::nips::nip44;
use nostr_sdk::{Event, JsonUtil as _, Keys, Kind, PublicKey, Tag, Timestamp as Seconds, UnsignedEvent};

use crate::approval::AnswerKind;
use crate::wording::Packet;

/// So long after a request can have ended its packet is still there, so that a late answer finds what it
/// answers: a day, and an hour for clocks.
const AFTER: Duration = Duration::from_secs(25 * 3600);

/// The tag of an answer that says what became of what it answers, in the words of [`AnswerKind`].
pub const OUTCOME: &str = "outcome";

/// To whom something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// To one person, so that nobody else can read it.
    Private(PublicKey),
    /// To some people, in the open.
    Open(Vec<PublicKey>),
}

/// The message in whose thread something is said, and the one that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InThread {
    /// The packet.
    pub root: String,
    /// What is answered, if that is not the packet itself.
    pub parent: Option<String>,
}

/// Something to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft<'a> {
    /// To whom.
    pub to: To,
    /// What.
    pub text: &'a str,
    /// What a program may read of it, if it is a request.
    pub packet: Option<&'a Packet>,
    /// What became of what it answers, for a program, if it is an answer.
    pub outcome: Option<AnswerKind>,
    /// Where it belongs.
    pub thread: Option<InThread>,
    /// When it was made, however late it is sent.
    pub at: Seconds,
    /// It is a reaction to our own message in whose thread it belongs.
    pub reacts: bool,
}

/// The event, unsigned, with its id.
pub fn compose(us: PublicKey, draft: &Draft<'_>) -> UnsignedEvent {
    let mut tags: Vec<Vec<String>> = Vec::new();
    let mut tag = |parts: &[&str]| tags.push(parts.iter().map(|part| (*part).to_owned()).collect());
    let kind = match (&draft.to, &draft.thread) {
        (To::Open(_), Some(thread)) if draft.reacts => {
            let us = us.to_hex();
            tag(&["e", &thread.root, "", &us]);
            tag(&["p", &us]);
            tag(&["k", "1"]);
            Kind::Reaction
        }
        (To::Private(person), _) => {
            tag(&["p", &person.to_hex()]);
            if let Some(thread) = &draft.thread {
                tag(&["e", thread.parent.as_ref().unwrap_or(&thread.root), ""]);
            }
            Kind::PrivateDirectMessage
        }
        (To::Open(people), _) => {
            if let Some(thread) = &draft.thread {
                tag(&["e", &thread.root, "", "root"]);
                if let Some(parent) = &thread.parent {
                    tag(&["e", parent, "", "reply"]);
                }
            }
            people.iter().for_each(|person| tag(&["p", &person.to_hex()]));
            Kind::TextNote
        }
    };
    let word = draft.outcome.and_then(|outcome| serde_json::to_value(outcome).ok());
    if let Some(word) = word.as_ref().and_then(serde_json::Value::as_str) {
        tag(&[OUTCOME, word]);
    }
    if let Some(packet) = draft.packet {
        let ttl = Duration::from_millis(packet.ttl_ms);
        let until = draft.at.as_secs().saturating_add((ttl + AFTER).as_secs());
        tag(&["approval", &packet.key.to_string()]);
        tag(&["code", &packet.code.to_string()]);
        tag(&["agent", packet.agent.as_str()]);
        tag(&["mission", packet.mission.as_str()]);
        // The clock starts with the delivery, so it is a duration and not a time.
        tag(&["ttl", &ttl.as_secs().to_string()]);
        if packet.restart {
            tag(&["answer", "approve"]);
        }
        packet.substitutes.iter().for_each(|agent| tag(&["answer", "substitute", agent.as_str()]));
        tag(&["answer", "deny"]);
        tag(&["alt", &format!("Approval request {}", packet.key)]);
        tag(&["expiration", &until.to_string()]);
    }
    let tags = tags.into_iter().filter_map(|tag| Tag::parse(tag).ok());
    let mut event = UnsignedEvent::new(us, draft.at, kind, tags, draft.text);
    event.ensure_id();
    event
}

/// A seal (NIP-59) around what was encrypted, to be signed by its author.
pub fn seal(author: PublicKey, encrypted: String, at: Seconds) -> UnsignedEvent {
    UnsignedEvent::new(author, at, Kind::Seal, Vec::<Tag>::new(), encrypted)
}

/// When relays may forget `rumor`, if it says so.
pub fn expiration(rumor: &UnsignedEvent) -> Option<Tag> {
    let found = rumor.tags.iter().find(|tag| tag.as_slice().first().is_some_and(|name| name == "expiration"));
    found.cloned()
}

/// A signed event in a wrap, for `to` alone: a seal, or a decision.
///
/// # Errors
/// It is too long to be encrypted.
pub fn wrap_signed(
    inner: &Event,
    to: &PublicKey,
    ephemeral: &Keys,
    at: Seconds,
    expires: Option<Tag>,
) -> Result<Event, String> {
    let content = nip44::encrypt(ephemeral.secret_key(), to, inner.as_json(), nip44::Version::V2)
        .map_err(|error| error.to_string())?;
    let tags = [Some(Tag::public_key(*to)), expires].into_iter().flatten();
    UnsignedEvent::new(ephemeral.public_key(), at, Kind::GiftWrap, tags, content)
        .sign_with_keys(ephemeral)
        .map_err(|error| error.to_string())
}
