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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use nostr_sdk::nips::nip44;
use nostr_sdk::{
    Client, ClientMessage, Event, Filter, JsonUtil as _, Keys, Kind, PublicKey, Relay, RelayOptions, RelayUrl,
    SubscriptionId, Tag, Timestamp as Seconds, UnsignedEvent,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::bunker::Bunker;
use super::transport::Transport;
use super::verified::{EVENT_MAX, Verified};
use crate::wording::{SHORT_MAX, harmless};

/// What the signer is asked to let us do.
const PERMISSIONS: &str = "get_public_key,sign_event:0,sign_event:1,sign_event:13,sign_event:10002,sign_event:10050,\
                           sign_event:22242,nip44_encrypt,nip44_decrypt";
/// Requests on the way at the same time for what we say.
const OURS: usize = 16;
/// And for what others sent, whoever they are.
const OTHERS: usize = 4;
/// Wraps of others that are handed to the signer in a second at most: more would be a way to keep it busy.
const OTHERS_A_SECOND: u32 = 20;
/// So often the connections are looked at, and a silent signer is asked whether it is back.
const TEND: Duration = Duration::from_secs(2);
/// A signer of whom nothing was heard for so long is asked whether it is there.
const QUIET: Duration = Duration::from_secs(30);
/// Its answers are as old as this at most; clocks differ.
const BACK: u64 = 600;
/// Where its answers come in.
const ANSWERS: &str = "lazarus-signer";

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
pub struct RemoteSigner(Arc<Inner>);

struct Inner {
    bunker: Bunker,
    client: Client,
    clock: Clock,
    deadline: Duration,
    user: OnceLock<PublicKey>,
    waiting: Mutex<BTreeMap<String, oneshot::Sender<Answer>>>,
    lines: Mutex<BTreeSet<RelayUrl>>,
    open: watch::Sender<usize>,
    heard: Mutex<Option<Instant>>,
    /// What is wrong with it; none while it answers.
    trouble: watch::Sender<Option<NotSigned>>,
    /// Somebody is to open this to let us in, as it says.
    wants: Mutex<Option<String>>,
    greeted: AtomicBool,
    ours: Semaphore,
    others: Semaphore,
    pace: tokio::sync::Mutex<Interval>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    id: String,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

impl fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteSigner({:?})", self.0.bunker)
    }
}

impl RemoteSigner {
    /// Goes to the signer, and stays in touch with it. `deadline` is how long it may take to answer.
    pub fn start(bunker: Bunker, deadline: Duration, clock: Clock) -> Self {
        let inner = Arc::new_cyclic(|weak: &Weak<Inner>| {
            let overhears = weak.clone();
            let transport =
                Transport::new(bunker.relays.iter().cloned().collect()).overheard_by(Arc::new(move |relay, text| {
                    if let Some(inner) = overhears.upgrade() {
                        inner.overhear(relay, text);
                    }
                }));
            let client = Client::builder().signer(bunker.client.clone()).websocket_transport(transport).build();
            let mut pace = tokio::time::interval(Duration::from_secs(1) / OTHERS_A_SECOND);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Inner {
                bunker,
                client,
                clock,
                deadline,
                user: OnceLock::new(),
                waiting: Mutex::default(),
                lines: Mutex::default(),
                open: watch::Sender::new(0),
                heard: Mutex::default(),
                trouble: watch::Sender::new(Some(NotSigned::Silent(" yet".to_owned()))),
                wants: Mutex::default(),
                greeted: AtomicBool::new(false),
                ours: Semaphore::new(OURS),
                others: Semaphore::new(OTHERS),
                pace: tokio::sync::Mutex::new(pace),
            }
        });
        for relay in &inner.bunker.relays {
            tokio::spawn(tend(Arc::downgrade(&inner), relay.clone()));
        }
        tokio::spawn(look_after(Arc::downgrade(&inner)));
        Self(inner)
    }

    /// The key in whose name it signs, once it has said which.
    pub fn public(&self) -> Option<PublicKey> {
        self.0.user.get().copied()
    }

    /// What is wrong with it; none while it answers.
    pub fn trouble(&self) -> watch::Receiver<Option<NotSigned>> {
        self.0.trouble.subscribe()
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
            _ => Err(self.0.trouble.borrow().clone().unwrap_or(NotSigned::Silent(String::new()))),
        }
    }

    /// `event`, signed: the very one, or none.
    ///
    /// # Errors
    /// It was not.
    pub async fn sign(&self, event: &UnsignedEvent) -> Result<Event, NotSigned> {
        let _place = self.0.ours.acquire().await;
        let signed = self.0.ask("sign_event", json!([event.as_json()])).await;
        let checked = signed.and_then(|text| same(event, &text).ok_or(NotSigned::SomethingElse));
        let trouble = match &checked {
            // It stays wrong until it has signed what it was asked to.
            Ok(_) => None,
            Err(NotSigned::SomethingElse) => Some(NotSigned::SomethingElse),
            Err(_) => return checked,
        };
        self.0.trouble.send_if_modified(|known| {
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
        let _place = self.0.ours.acquire().await;
        self.0.ask("nip44_encrypt", json!([to.to_hex(), text])).await
    }

    /// What `from` encrypted to us; `Refused` if it is nothing of the kind. Whoever sends it can be anybody, so
    /// few are asked about at once, and not many in a second.
    ///
    /// # Errors
    /// It could not be opened, or the signer does not open anything.
    pub async fn open_of_anybody(&self, from: &PublicKey, text: &str) -> Result<String, NotSigned> {
        let _place = self.0.others.acquire().await;
        self.0.pace.lock().await.tick().await;
        self.open(from, text).await
    }

    /// The same for what somebody who counts has sealed.
    ///
    /// # Errors
    /// As [`Self::open_of_anybody`].
    pub async fn open_of_person(&self, from: &PublicKey, text: &str) -> Result<String, NotSigned> {
        let _place = self.0.ours.acquire().await;
        self.open(from, text).await
    }

    async fn open(&self, from: &PublicKey, text: &str) -> Result<String, NotSigned> {
        match self.0.ask("nip44_decrypt", json!([from.to_hex(), text])).await {
            // Either it is garbled, or the signer opens nothing for us, and then nothing must be given up.
            Err(NotSigned::Refused(why)) => match self.opens_at_all().await {
                Ok(()) => Err(NotSigned::Refused(why)),
                Err(NotSigned::Refused(why)) => {
                    let trouble = NotSigned::Silent(format!(" when it is to open something: {why}"));
                    self.0.trouble.send_replace(Some(trouble.clone()));
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
        let opened = self.0.ask("nip44_decrypt", json!([keys.public_key().to_hex(), text])).await?;
        if opened == said { Ok(()) } else { Err(NotSigned::Refused("it reads something else".to_owned())) }
    }

    /// Leaves it.
    pub async fn shutdown(&self) {
        self.0.client.shutdown().await;
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

impl Inner {
    /// Asks, and asks once more where nothing was heard: a request or its answer may have been lost.
    async fn ask(&self, method: &str, params: Value) -> Result<String, NotSigned> {
        if let Some(trouble) = self.known_silence() {
            return Err(trouble);
        }
        let answer = match self.ask_once(method, &params).await {
            Err(NotSigned::Silent(_)) => self.ask_once(method, &params).await,
            answer => answer,
        };
        if let Err(silent @ NotSigned::Silent(_)) = &answer {
            self.trouble.send_replace(Some(silent.clone()));
            // A link of which one half is gone takes every word, and brings none back.
            self.part().await;
        }
        answer
    }

    fn known_silence(&self) -> Option<NotSigned> {
        match &*self.trouble.borrow() {
            Some(trouble @ NotSigned::Silent(_)) => Some(trouble.clone()),
            Some(_) | None => None,
        }
    }

    async fn ask_once(&self, method: &str, params: &Value) -> Result<String, NotSigned> {
        let id = SubscriptionId::generate().to_string();
        let (tell, told) = oneshot::channel();
        self.waiting().insert(id.clone(), tell);
        let asked = tokio::time::timeout(self.deadline, self.exchange(&id, method, params, told)).await;
        self.waiting().remove(&id);
        let answer = asked.unwrap_or_else(|_| Err(NotSigned::Silent(self.wanted())))?;
        if let Some(why) = answer.error.as_ref().filter(|error| !error.is_null()) {
            let why = why.as_str().map_or_else(|| why.to_string(), str::to_owned);
            return Err(NotSigned::Refused(harmless(&why, SHORT_MAX)));
        }
        match answer.result {
            Some(Value::String(result)) => Ok(result),
            Some(Value::Null) | None => Err(NotSigned::Refused("it gives no reason".to_owned())),
            Some(other) => Ok(other.to_string()),
        }
    }

    async fn exchange(
        &self,
        id: &str,
        method: &str,
        params: &Value,
        told: oneshot::Receiver<Answer>,
    ) -> Result<Answer, NotSigned> {
        let unfit = |error: &dyn fmt::Display| NotSigned::Unfit(error.to_string());
        let keys = &self.bunker.client;
        let request = json!({ "id": id, "method": method, "params": params }).to_string();
        let text = nip44::encrypt(keys.secret_key(), &self.bunker.signer, request, nip44::Version::V2)
            .map_err(|error| unfit(&error))?;
        let tags = [Tag::public_key(self.bunker.signer)];
        let event = UnsignedEvent::new(keys.public_key(), (self.clock)(), Kind::NostrConnect, tags, text)
            .sign_with_keys(keys)
            .map_err(|error| unfit(&error))?;
        // Where nobody listens for the answer, nothing is asked.
        let _ = self.open.subscribe().wait_for(|open| *open > 0).await;
        let open: Vec<RelayUrl> = self.lines().iter().cloned().collect();
        for url in open {
            let Ok(relay) = self.client.relay(&url).await else { continue };
            let event = event.clone();
            // Whether it takes it shows in the answer; a relay that says nothing keeps no other waiting.
            tokio::spawn(async move { drop(relay.send_event(&event).await) });
        }
        told.await.map_err(|_| NotSigned::Silent(String::new()))
    }

    fn overhear(&self, relay: &RelayUrl, text: &str) {
        if text.len() > EVENT_MAX * 2 {
            return;
        }
        let Ok(parts) = serde_json::from_str::<Vec<Value>>(text) else { return };
        if parts.get(1).and_then(Value::as_str) != Some(ANSWERS) {
            return;
        }
        match (parts.first().and_then(Value::as_str), parts.get(2)) {
            (Some("EVENT"), Some(event)) => self.answered(event),
            // It is asked again when the connections are looked at.
            (Some("CLOSED"), _) => self.close(relay),
            _ => {}
        }
    }

    /// What is not the signer's own answer to something that waits, is nothing.
    fn answered(&self, event: &Value) {
        let Ok(event) = Event::from_json(event.to_string()) else { return };
        if event.kind != Kind::NostrConnect || event.pubkey != self.bunker.signer {
            return;
        }
        let Ok(event) = Verified::new(event) else { return };
        let event = event.event();
        let Ok(text) = nip44::decrypt(self.bunker.client.secret_key(), &event.pubkey, &event.content) else { return };
        let Ok(answer) = serde_json::from_str::<Answer>(&text) else { return };
        if answer.result.as_ref().and_then(Value::as_str) == Some("auth_url") {
            let url = answer.error.as_ref().and_then(Value::as_str).unwrap_or_default();
            *self.wants.lock().unwrap_or_else(PoisonError::into_inner) = Some(harmless(url, SHORT_MAX * 4));
            return;
        }
        let Some(tell) = self.waiting().remove(&answer.id) else { return };
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        // Whoever asked may have given up.
        let _ = tell.send(answer);
    }

    fn wanted(&self) -> String {
        match &*self.wants.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(url) => format!("; it wants somebody to open {url}"),
            None if *self.open.borrow() == 0 => "; none of its relays is reached".to_owned(),
            None => String::new(),
        }
    }

    /// Says who we are, and asks who it is. Comes back once it answers.
    async fn greet(&self) -> Result<(), NotSigned> {
        let secret = self.bunker.secret.clone().unwrap_or_default();
        let params = json!([self.bunker.signer.to_hex(), secret, PERMISSIONS]);
        if !self.greeted.load(Ordering::Relaxed) {
            // A secret may count once only: who was let in before is not let in again, and is in.
            match self.ask_once("connect", &params).await {
                Ok(_) | Err(NotSigned::Refused(_)) => {}
                Err(other) => return Err(other),
            }
        }
        let user = self.ask_once("get_public_key", &json!([])).await?;
        let user = PublicKey::from_hex(&user).map_err(|_| NotSigned::Refused("it says no public key".to_owned()))?;
        if *self.user.get_or_init(|| user) != user {
            return Err(NotSigned::Refused("it signs in another name now; start the gateway anew".to_owned()));
        }
        self.greeted.store(true, Ordering::Relaxed);
        *self.wants.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    /// Sees to it that one of its relays is connected, and is asked for answers.
    async fn hold(&self, url: &RelayUrl) -> Result<(), String> {
        let pool = self.client.pool();
        let relay: Option<Relay> = pool.relay(url).await.ok().filter(Relay::is_connected);
        let relay = match relay {
            Some(relay) => relay,
            None => {
                self.close(url);
                // None of that name there is no reason to stop.
                let _ = pool.force_remove_relay(url).await;
                let options = RelayOptions::new().reconnect(false);
                pool.add_relay(url, options).await.map_err(|error| error.to_string())?;
                let relay = pool.relay(url).await.map_err(|error| error.to_string())?;
                relay.try_connect(self.deadline).await.map_err(|error| error.to_string())?;
                relay
            }
        };
        if self.lines().contains(url) {
            return Ok(());
        }
        let since = Seconds::from((self.clock)().as_secs().saturating_sub(BACK));
        let filter =
            Filter::new().kind(Kind::NostrConnect).author(self.bunker.signer).pubkey(self.bunker.client()).since(since);
        relay
            .send_msg(ClientMessage::req(SubscriptionId::new(ANSWERS), vec![filter]))
            .map_err(|error| error.to_string())?;
        let open = {
            let mut lines = self.lines();
            lines.insert(url.clone());
            lines.len()
        };
        self.open.send_replace(open);
        Ok(())
    }

    fn close(&self, url: &RelayUrl) {
        let open = {
            let mut lines = self.lines();
            lines.remove(url);
            lines.len()
        };
        self.open.send_replace(open);
    }

    /// Leaves all connections; they are made anew.
    async fn part(&self) {
        let recently = self.heard.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|heard| {
            // Others are answered, so the connections are good.
            heard.elapsed() < self.deadline
        });
        if recently {
            return;
        }
        for url in &self.bunker.relays {
            self.close(url);
            let _ = self.client.pool().force_remove_relay(url).await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> MutexGuard<'_, BTreeSet<RelayUrl>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of its relays, for as long as anybody has the signer.
async fn tend(inner: Weak<Inner>, url: RelayUrl) {
    loop {
        let Some(inner) = inner.upgrade() else { return };
        if let Err(why) = inner.hold(&url).await {
            tracing::warn!(relay = url.as_str_without_trailing_slash(), why, "a relay of the remote signer");
        }
        drop(inner);
        tokio::time::sleep(TEND).await;
    }
}

/// Asks a signer that is silent whether it is back, and one of whom nothing was heard whether it is there.
async fn look_after(inner: Weak<Inner>) {
    loop {
        let Some(inner) = inner.upgrade() else { return };
        let heard = *inner.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = heard.is_none_or(|heard| heard.elapsed() >= QUIET);
        let silent = inner.known_silence().is_some();
        if silent || quiet {
            match inner.greet().await {
                Ok(()) if silent => {
                    inner.trouble.send_replace(None);
                }
                Ok(()) => {}
                Err(why) => {
                    tracing::warn!(%why, "the remote signer");
                    let why = match why {
                        // Nothing is asked of who will not even say who they are.
                        NotSigned::Refused(why) => NotSigned::Silent(format!(", it refuses: {why}")),
                        other => other,
                    };
                    inner.greeted.store(false, Ordering::Relaxed);
                    inner.trouble.send_if_modified(|trouble| {
                        let is_news = trouble.as_ref() != Some(&why);
                        *trouble = Some(why);
                        is_news
                    });
                    inner.part().await;
                }
            }
        }
        drop(inner);
        tokio::time::sleep(TEND).await;
    }
}

#[cfg(test)]
mod tests {
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
