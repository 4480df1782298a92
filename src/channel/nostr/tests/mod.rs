//! What is read, and what is refused: events are made here as any client makes them, and as none should.

mod addresses;
mod composing;
mod corpus;
mod decisions;
mod embedded;
mod evidence;
mod proofs;
mod threads;
mod wraps;

use nostr_sdk::nips::nip44;
use nostr_sdk::{Event, JsonUtil as _, Keys, Kind, PublicKey, SecretKey, Tag, Timestamp as Seconds, UnsignedEvent};

use super::*;

pub const NOW: u64 = 1_795_416_060;

/// Keys that are the same in every run.
pub fn keys(number: u8) -> Keys {
    Keys::new(SecretKey::from_slice(&[number; 32]).unwrap())
}

pub fn us() -> Keys {
    keys(1)
}

pub fn kim() -> Keys {
    keys(2)
}

pub fn unsigned(author: &Keys, kind: u16, tags: &[&[&str]], content: &str) -> UnsignedEvent {
    let tags = tags.iter().map(|tag| Tag::parse(tag.iter().copied()).unwrap());
    let mut event = UnsignedEvent::new(author.public_key(), Seconds::from(NOW), Kind::from_u16(kind), tags, content);
    event.ensure_id();
    event
}

pub fn signed(author: &Keys, kind: u16, tags: &[&[&str]], content: &str) -> Event {
    unsigned(author, kind, tags, content).sign_with_keys(author).unwrap()
}

pub fn said(author: &Keys, kind: u16, tags: &[&[&str]], content: &str) -> Utterance {
    let evidence = Evidence::Signed { event: signed(author, kind, tags, content).as_json(), private: false };
    evidence.utterance().unwrap()
}

pub fn encrypted(from: &Keys, to: PublicKey, text: &str) -> String {
    nip44::encrypt(from.secret_key(), &to, text, nip44::Version::V2).unwrap()
}

/// A seal of any kind and with any tags around any text.
pub fn sealed(author: &Keys, kind: u16, tags: &[&[&str]], text: &str) -> Event {
    signed(author, kind, tags, &encrypted(author, us().public_key(), text))
}

pub fn wrapped(inner: &str) -> Event {
    let ephemeral = keys(9);
    let us = us().public_key();
    signed(&ephemeral, 1059, &[&["p", &us.to_hex()]], &encrypted(&ephemeral, us, inner))
}

/// As our intake opens it, with kim as the only person.
pub fn opened(wrap: &Event) -> Result<(Evidence, Utterance), NotUnwrapped> {
    let kim = kim().public_key().to_hex();
    let us = us();
    unwrap(wrap, us.secret_key(), &us.public_key().to_hex(), |author| author == kim)
}
