//! Nostr: what was said there and how it is proven, what goes out, and the relays between.
//!
//! Nothing that the library calls verified is believed: once it has seen a genuine event, it lets a copy
//! with the same id and other content pass. So what counts is [`Verified`], which only our own check of
//! hash and signature makes, and what is kept is [`Evidence`], which anybody can check again without our
//! secret key.
//!
//! * pure: [`Verified`], [`unwrap()`], [`Evidence`] and [`Utterance`], [`SignedDecision`], [`reaction()`],
//!   [`compose`], [`lists`], [`address`];
//! * IO: [`Identity`] and [`Signer`] (the key, here or elsewhere), [`Transport`] (connections to checked addresses), [`Relays`].

pub mod address;
mod approver;
mod asking;
mod bunker;
pub mod compose;
mod decision;
mod embedded;
mod evidence;
mod identity;
pub mod lists;
mod mailbox;
mod message_keys;
mod proof;
mod reaction;
mod receipt;
mod relays;
mod remote;
mod signer;
mod target;
mod thread;
mod transport;
mod utterance;
mod verified;
mod wrap;

#[cfg(test)]
mod tests;

pub use approver::{Approver, NotDecided, Told};
pub use bunker::{Bunker, Key};
pub use decision::{DECISION, NoDecision, SignedDecision, Verb};
pub use embedded::{Embedded, Knows};
pub use evidence::{Evidence, NoEvidence};
pub use identity::{Identity, IdentityError, npub};
pub use proof::KEYS;
pub use reaction::{Reaction, reaction};
pub use receipt::{Checked, RECEIPT, check_receipts, receipt_hash};
pub use relays::{Relays, Word};
pub use remote::{Clock, NotSigned, RemoteSigner};
pub use signer::{Signer, unwrap_remotely};
pub use target::Target;
pub use thread::Thread;
pub use transport::{NotConnected, Overheard, Transport};
pub use utterance::{Utterance, line};
pub use verified::{EVENT_MAX, Unverified, Verified};
pub use wrap::{NotUnwrapped, unwrap};

/// The library, for those who need its types.
pub use nostr_sdk;
