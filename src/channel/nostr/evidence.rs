//! What proves that somebody said something: kept as it came, checked when it is heard, and again by
//! whoever reads the journal, without our secret key.

use nostr_sdk::{EventId, JsonUtil as _, Kind, UnsignedEvent};
use serde::{Deserialize, Serialize};

use super::message_keys::{MessageKeys, Payload};
use super::utterance::{Utterance, plain, seconds};
use super::verified::{EVENT_MAX, Unverified, Verified};

/// A proof. Kept on disk as the raw form of an input: add variants and optional fields, change none.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "evidence")]
pub enum Evidence {
    /// An event with its author's signature.
    Signed {
        /// The event, as JSON.
        event: String,
        /// It came in a wrap that only we could open.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        private: bool,
    },
    /// A private message: its author signed the ciphertext, and these keys, which open no other message,
    /// show what it says.
    Sealed {
        /// The seal, as JSON: kind 13, signed.
        seal: String,
        /// What it holds, exactly as it was decrypted.
        rumor: String,
        /// The 76 bytes that open it, in hexadecimal.
        keys: String,
    },
    /// A private message that a signer somewhere else has opened for us: its author signed the ciphertext, and
    /// that this is what it says, nobody can check without the gateway's key.
    Attested {
        /// The seal, as JSON: kind 13, signed.
        seal: String,
        /// What it holds, as the signer says.
        rumor: String,
    },
}

impl std::fmt::Debug for Evidence {
    /// What was said in private is not for a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Signed { .. } => "Signed(…)",
            Self::Sealed { .. } => "Sealed(…)",
            Self::Attested { .. } => "Attested(…)",
        })
    }
}

/// Why it proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEvidence {
    /// The signed part does not verify.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// A seal is of kind 13.
    #[error("the seal is of another kind")]
    SealKind,
    /// A seal says nothing but what it encrypts.
    #[error("the seal has tags")]
    SealTags,
    /// The keys do not open it, or open something else.
    #[error("the message's keys do not open the seal to that message")]
    Keys,
    /// What is sealed is no event.
    #[error("what is sealed is no message")]
    RumorShape,
    /// Somebody else's words in a seal of one's own.
    #[error("the message's author is not who sealed it")]
    RumorAuthor,
    /// The id it states is not its hash.
    #[error("the message's id is not the hash of what it says")]
    RumorId,
    /// Only text and reactions are sealed to us.
    #[error("the message is neither text nor a reaction")]
    RumorKind,
}

impl Evidence {
    /// Of a private message that was opened.
    pub(super) fn sealed(seal: &Verified, rumor: String, keys: &MessageKeys) -> Self {
        Self::Sealed { seal: seal.to_json(), rumor, keys: keys.to_hex() }
    }

    /// What is proven. Everything is checked: nothing of it is taken from an earlier check.
    ///
    /// # Errors
    /// It proves nothing.
    pub fn utterance(&self) -> Result<Utterance, NoEvidence> {
        match self {
            Self::Signed { event, private } => Ok(Utterance::of_signed(&Verified::from_json(event)?, *private)),
            Self::Sealed { seal, rumor, keys } => {
                let seal = Verified::from_json(seal)?;
                let payload = Payload::parse(&seal.event().content).ok_or(NoEvidence::Keys)?;
                let opened = MessageKeys::from_hex(keys).and_then(|keys| keys.open(&payload));
                if opened.as_ref() != Some(rumor) {
                    return Err(NoEvidence::Keys);
                }
                of_sealed(&seal, rumor)
            }
            Self::Attested { seal, rumor } => of_sealed(&Verified::from_json(seal)?, rumor),
        }
    }

    /// Whether only the gateway says that its author said this.
    pub fn is_attested(&self) -> bool {
        matches!(self, Self::Attested { .. })
    }

    /// The id of what its author signed: the event's, or the seal's.
    pub fn signed_id(&self) -> Option<String> {
        let (Self::Signed { event: text, .. } | Self::Sealed { seal: text, .. } | Self::Attested { seal: text, .. }) =
            self;
        Some(Verified::from_json(text).ok()?.event().id.to_hex())
    }
}

/// What a seal says that was opened to `rumor`.
pub(super) fn of_sealed(seal: &Verified, rumor: &str) -> Result<Utterance, NoEvidence> {
    let seal = seal.event();
    if seal.kind != Kind::Seal {
        return Err(NoEvidence::SealKind);
    }
    if !seal.tags.is_empty() {
        return Err(NoEvidence::SealTags);
    }
    if rumor.len() > EVENT_MAX {
        return Err(Unverified::Size.into());
    }
    let rumor = UnsignedEvent::from_json(rumor).map_err(|_| NoEvidence::RumorShape)?;
    if rumor.pubkey != seal.pubkey {
        return Err(NoEvidence::RumorAuthor);
    }
    let id = EventId::new(&rumor.pubkey, &rumor.created_at, &rumor.kind, &rumor.tags, &rumor.content);
    if rumor.id.is_some_and(|stated| stated != id) {
        return Err(NoEvidence::RumorId);
    }
    if ![Kind::PrivateDirectMessage, Kind::Reaction].contains(&rumor.kind) {
        return Err(NoEvidence::RumorKind);
    }
    Ok(Utterance {
        author: rumor.pubkey.to_hex(),
        id: id.to_hex(),
        said_at: seconds(rumor.created_at.as_secs()),
        kind: rumor.kind.as_u16(),
        tags: plain(&rumor.tags),
        content: rumor.content,
        is_private: true,
    })
}
