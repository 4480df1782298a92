//! Requests to a remote signer, over relays of its own, and its answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use nostr_sdk::nips::nip44;
use nostr_sdk::{
    Client, ClientMessage, Event, Filter, JsonUtil as _, Kind, PublicKey, Relay, RelayOptions, RelayUrl,
    SubscriptionId, Tag, Timestamp as Seconds, UnsignedEvent,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::bunker::Bunker;
use super::remote::{Clock, NotSigned};
use super::transport::Transport;
use super::verified::{EVENT_MAX, Verified};
use crate::wording::{SHORT_MAX, harmless};

/// What the signer is asked to let us do.
const PERMISSIONS: &str = "get_public_key,sign_event:0,sign_event:1,sign_event:13,sign_event:10002,sign_event:10050,\
                           sign_event:22242,nip44_encrypt,nip44_decrypt";
/// So often the connections are looked at, and a silent signer is asked whether it is back.
const TEND: Duration = Duration::from_secs(2);
/// A signer of whom nothing was heard for so long is asked whether it is there.
const QUIET: Duration = Duration::from_secs(30);
/// Its answers are as old as this at most, in seconds; clocks differ.
const BACK: u64 = 600;
/// Where its answers come in.
const ANSWERS: &str = "lazarus-signer";

/// The connection to a signer.
pub(super) struct Asking {
    pub(super) bunker: Bunker,
    pub(super) client: Client,
    clock: Clock,
    deadline: Duration,
    /// The key in whose name it signs, once it has said which.
    pub(super) user: OnceLock<PublicKey>,
    waiting: Mutex<BTreeMap<String, oneshot::Sender<Answer>>>,
    lines: Mutex<BTreeSet<RelayUrl>>,
    open: watch::Sender<usize>,
    heard: Mutex<Option<Instant>>,
    /// What is wrong with it; none while it answers.
    pub(super) trouble: watch::Sender<Option<NotSigned>>,
    /// Somebody is to open this to let us in, as it says.
    wants: Mutex<Option<String>>,
    greeted: AtomicBool,
}

#[derive(Debug, Deserialize)]
struct Answer {
    id: String,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

impl Asking {
    /// Goes to the signer, and stays in touch with it for as long as anybody has this.
    pub(super) fn start(bunker: Bunker, deadline: Duration, clock: Clock) -> Arc<Self> {
        let asking = Arc::new_cyclic(|weak: &Weak<Self>| {
            let overhears = weak.clone();
            let transport =
                Transport::new(bunker.relays.iter().cloned().collect()).overheard_by(Arc::new(move |relay, text| {
                    if let Some(asking) = overhears.upgrade() {
                        asking.overhear(relay, text);
                    }
                }));
            let client = Client::builder().signer(bunker.client.clone()).websocket_transport(transport).build();
            Self {
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
            }
        });
        for relay in &asking.bunker.relays {
            tokio::spawn(tend(Arc::downgrade(&asking), relay.clone()));
        }
        tokio::spawn(look_after(Arc::downgrade(&asking)));
        asking
    }

    /// Asks, and asks once more where nothing was heard: a request or its answer may have been lost.
    pub(super) async fn ask(&self, method: &str, params: Value) -> Result<String, NotSigned> {
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
async fn tend(asking: Weak<Asking>, url: RelayUrl) {
    loop {
        let Some(asking) = asking.upgrade() else { return };
        if let Err(why) = asking.hold(&url).await {
            tracing::warn!(relay = url.as_str_without_trailing_slash(), why, "a relay of the remote signer");
        }
        drop(asking);
        tokio::time::sleep(TEND).await;
    }
}

/// Asks a signer that is silent whether it is back, and one of whom nothing was heard whether it is there.
async fn look_after(asking: Weak<Asking>) {
    loop {
        let Some(asking) = asking.upgrade() else { return };
        let heard = *asking.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = heard.is_none_or(|heard| heard.elapsed() >= QUIET);
        let silent = asking.known_silence().is_some();
        if silent || quiet {
            match asking.greet().await {
                Ok(()) if silent => {
                    asking.trouble.send_replace(None);
                }
                Ok(()) => {}
                Err(why) => {
                    tracing::warn!(%why, "the remote signer");
                    let why = match why {
                        // Nothing is asked of who will not even say who they are.
                        NotSigned::Refused(why) => NotSigned::Silent(format!(", it refuses: {why}")),
                        other => other,
                    };
                    asking.greeted.store(false, Ordering::Relaxed);
                    asking.trouble.send_if_modified(|trouble| {
                        let is_news = trouble.as_ref() != Some(&why);
                        *trouble = Some(why);
                        is_news
                    });
                    asking.part().await;
                }
            }
        }
        drop(asking);
        tokio::time::sleep(TEND).await;
    }
}
