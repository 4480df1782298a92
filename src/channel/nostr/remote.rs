//! Asking a remote signer (NIP-46): the gateway's key is somewhere else, and each signature, encryption and
//! decryption is a request over relays.
//!
//! The library's own client ends a call at any message that it cannot read, whoever sent it; it takes whatever
//! event it is handed for the one that was to be signed, loses its subscription at the first refusal, and writes
//! what it decrypts into its log. So requests and answers are made here: an answer counts only if the signer's own
//! key signed it and it names a request that waits, and what was signed is compared with what was asked.
//!
//! A signer that falls silent keeps nothing waiting for long: the first request that is not answered in time says
//! so, and from then on each fails at once, until a small question that is asked every few seconds is answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nostr_sdk::nips::nip44;
use nostr_sdk::{Event, JsonUtil as _, Keys, PublicKey, Timestamp as Seconds, UnsignedEvent};
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::asking::Asking;
use super::bunker::Bunker;
use super::verified::Verified;

/// Requests on the way at the same time for what we say.
const OURS: usize = 16;
/// And for what others sent, whoever they are.
const OTHERS: usize = 4;
/// Wraps of others that are handed to the signer in a second at most: more would be a way to keep it busy.
const OTHERS_A_SECOND: u32 = 20;
/// The time by which requests are dated.
pub type Clock = Arc<dyn Fn() -> Seconds + Send + Sync>;

/// Why something was not signed, encrypted or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// Nothing was heard in time.
    #[error("the remote signer does not answer{0}")]
    Silent(String),
    /// It said no.
    #[error("the remote signer refuses: {0}")]
    Refused(String),
    /// It is not what was asked for.
    #[error("the remote signer signed something else than it was asked to; nothing of it is used")]
    SomethingElse,
    /// It cannot be signed or encrypted by anybody.
    #[error("{0}")]
    Unfit(String),
}

/// A signer somewhere else. Clones are the same one; it is left when the last of them is gone.
#[derive(Clone)]
pub struct RemoteSigner {
    asking: Arc<Asking>,
    turns: Arc<Turns>,
}

/// How much is asked for at once: what strangers send must not stand before what we say.
struct Turns {
    ours: Semaphore,
    others: Semaphore,
    pace: tokio::sync::Mutex<Interval>,
}

impl fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteSigner({:?})", self.asking.bunker)
    }
}

impl RemoteSigner {
    /// Goes to the signer, and stays in touch with it. `deadline` is how long it may take to answer.
    pub fn start(bunker: Bunker, deadline: Duration, clock: Clock) -> Self {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / OTHERS_A_SECOND);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let turns =
            Turns { ours: Semaphore::new(OURS), others: Semaphore::new(OTHERS), pace: tokio::sync::Mutex::new(pace) };
        Self { asking: Asking::start(bunker, deadline, clock), turns: Arc::new(turns) }
    }

    /// The key in whose name it signs, once it has said which.
    pub fn public(&self) -> Option<PublicKey> {
        self.asking.user.get().copied()
    }

    /// What is wrong with it; none while it answers.
    pub fn trouble(&self) -> watch::Receiver<Option<NotSigned>> {
        self.asking.trouble.subscribe()
    }

    /// Waits until it answers; comes back after `patience` with what is wrong.
    ///
    /// # Errors
    /// It does not.
    pub async fn ready(&self, patience: Duration) -> Result<PublicKey, NotSigned> {
        let mut trouble = self.trouble();
        let fine = tokio::time::timeout(patience, trouble.wait_for(Option::is_none)).await.is_ok();
        match (fine, self.public()) {
            (true, Some(user)) => Ok(user),
            _ => Err(self.asking.trouble.borrow().clone().unwrap_or(NotSigned::Silent(String::new()))),
        }
    }

    /// `event`, signed: the very one, or none.
    ///
    /// # Errors
    /// It was not.
    pub async fn sign(&self, event: &UnsignedEvent) -> Result<Event, NotSigned> {
        let _place = self.turns.ours.acquire().await;
        let signed = self.asking.ask("sign_event", json!([event.as_json()])).await;
        let checked = signed.and_then(|text| same(event, &text).ok_or(NotSigned::SomethingElse));
        let trouble = match &checked {
            // It stays wrong until it has signed what it was asked to.
            Ok(_) => None,
            Err(NotSigned::SomethingElse) => Some(NotSigned::SomethingElse),
            Err(_) => return checked,
        };
        self.asking.trouble.send_if_modified(|known| {
            let is_news = *known != trouble && !matches!(known, Some(NotSigned::Silent(_)));
            if is_news {
                *known = trouble;
            }
            is_news
        });
        checked
    }

    /// `text`, for `to` alone.
    ///
    /// # Errors
    /// It was not encrypted.
    pub async fn encrypt(&self, to: &PublicKey, text: &str) -> Result<String, NotSigned> {
        let _place = self.turns.ours.acquire().await;
        self.asking.ask("nip44_encrypt", json!([to.to_hex(), text])).await
    }

    /// What `from` encrypted to us; `Refused` if it is nothing of the kind. Whoever sends it can be anybody, so
    /// few are asked about at once, and not many in a second.
    ///
    /// # Errors
    /// It could not be opened, or the signer does not open anything.
    pub async fn open_of_anybody(&self, from: &PublicKey, text: &str) -> Result<String, NotSigned> {
        let _place = self.turns.others.acquire().await;
        self.turns.pace.lock().await.tick().await;
        self.open(from, text).await
    }

    /// The same for what somebody who counts has sealed.
    ///
    /// # Errors
    /// As [`Self::open_of_anybody`].
    pub async fn open_of_person(&self, from: &PublicKey, text: &str) -> Result<String, NotSigned> {
        let _place = self.turns.ours.acquire().await;
        self.open(from, text).await
    }

    async fn open(&self, from: &PublicKey, text: &str) -> Result<String, NotSigned> {
        match self.asking.ask("nip44_decrypt", json!([from.to_hex(), text])).await {
            // Either it is garbled, or the signer opens nothing for us, and then nothing must be given up.
            Err(NotSigned::Refused(why)) => match self.opens_at_all().await {
                Ok(()) => Err(NotSigned::Refused(why)),
                Err(NotSigned::Refused(why)) => {
                    let trouble = NotSigned::Silent(format!(" when it is to open something: {why}"));
                    self.asking.trouble.send_replace(Some(trouble.clone()));
                    Err(trouble)
                }
                Err(other) => Err(other),
            },
            other => other,
        }
    }

    /// Whether it opens what is certainly for us.
    ///
    /// # Errors
    /// It does not.
    pub async fn opens_at_all(&self) -> Result<(), NotSigned> {
        let Some(user) = self.public() else { return Err(NotSigned::Silent(" yet".to_owned())) };
        let (keys, said) = (Keys::generate(), "lazarus-gate asks whether this can be read");
        let text = nip44::encrypt(keys.secret_key(), &user, said, nip44::Version::V2)
            .map_err(|error| NotSigned::Unfit(error.to_string()))?;
        let opened = self.asking.ask("nip44_decrypt", json!([keys.public_key().to_hex(), text])).await?;
        if opened == said { Ok(()) } else { Err(NotSigned::Refused("it reads something else".to_owned())) }
    }

    /// Leaves it.
    pub async fn shutdown(&self) {
        self.asking.client.shutdown().await;
    }
}

/// What was signed, if it is what was asked for: hash, signature, and every field.
fn same(asked: &UnsignedEvent, signed: &str) -> Option<Event> {
    let signed = Verified::from_json(signed).ok()?.event().clone();
    let is_same = signed.pubkey == asked.pubkey
        && signed.created_at == asked.created_at
        && signed.kind == asked.kind
        && signed.tags == asked.tags
        && signed.content == asked.content;
    is_same.then_some(signed)
}

#[cfg(test)]
mod tests {
    use nostr_sdk::{Kind, Tag};

    use super::*;

    #[test]
    fn only_what_was_asked_for_was_signed() {
        let keys = Keys::new(nostr_sdk::SecretKey::from_slice(&[1; 32]).unwrap());
        let other = Keys::new(nostr_sdk::SecretKey::from_slice(&[2; 32]).unwrap());
        let tags = || [Tag::public_key(other.public_key())];
        let event =
            |at: u64, kind, text: &str| UnsignedEvent::new(keys.public_key(), Seconds::from(at), kind, tags(), text);
        let asked = event(5, Kind::TextNote, "ada is dead");
        let signed = |event: UnsignedEvent| event.sign_with_keys(&keys).unwrap().as_json();
        let good = signed(asked.clone());
        assert_eq!(same(&asked, &good).unwrap().as_json(), good);
        let in_another_name =
            UnsignedEvent::new(other.public_key(), Seconds::from(5), Kind::TextNote, tags(), "ada is dead");
        let without_tags =
            UnsignedEvent::new(keys.public_key(), Seconds::from(5), Kind::TextNote, Vec::<Tag>::new(), "ada is dead");
        for wrong in [
            signed(event(6, Kind::TextNote, "ada is dead")),
            signed(event(5, Kind::Reaction, "ada is dead")),
            signed(event(5, Kind::TextNote, "ada lives")),
            signed(without_tags),
            in_another_name.sign_with_keys(&other).unwrap().as_json(),
            good.replace("ada is dead", "ada lives"),
            good.replace(&keys.public_key().to_hex(), &other.public_key().to_hex()),
            "ack".to_owned(),
        ] {
            assert_eq!(same(&asked, &wrong), None, "{wrong}");
        }
    }
}
