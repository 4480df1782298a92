//! The connections. Those to the relays of the configuration say who we are where a relay wants to know
//! (NIP-42); those to relays that are only in other people's lists never do, and nothing is read there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nostr_sdk::client::Client;
use nostr_sdk::pool::policy::AdmitPolicy;
use nostr_sdk::pool::relay::Error as RelayError;
use nostr_sdk::{Event, Relay, RelayOptions, RelayUrl};

use super::signer::Signer;
use super::transport::{NotConnected, Overheard, Transport};

/// Relays of other people's lists that a connection is kept to.
const OTHERS_MAX: usize = 64;
/// So long such a connection stays open without anything to send.
const OTHERS_IDLE: Duration = Duration::from_secs(300);

/// What a relay said to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It has it.
    Accepted,
    /// Not now: it was not reached, or is busy.
    Later(String),
    /// It will never take it, or never from us.
    Never(String),
    /// We do not go there, as long as it is where it is.
    NotThere(String),
}

/// All connections.
pub struct Relays {
    signer: Signer,
    own: Client,
    others: OnceLock<Client>,
    listening: Arc<Transport>,
    transport: Arc<Transport>,
    used: Mutex<Used>,
    deadline: Duration,
}

/// In which order relays of other people's lists were used last.
#[derive(Debug, Default)]
struct Used {
    times: u64,
    last: BTreeMap<RelayUrl, u64>,
}

impl Used {
    fn note(&mut self, url: &RelayUrl) {
        self.times += 1;
        self.last.insert(url.clone(), self.times);
    }

    /// Of `connected`, the one that was used the longest time ago; one that the configuration names is let go
    /// only if there is no other.
    fn least<'a>(
        &self,
        connected: impl Iterator<Item = &'a RelayUrl>,
        is_configured: impl Fn(&RelayUrl) -> bool,
    ) -> Option<&'a RelayUrl> {
        connected.min_by_key(|url| (is_configured(url), self.last.get(*url).copied().unwrap_or(0)))
    }
}

impl Relays {
    /// None is connected yet. `policy` sees every event that comes in and could be one, `overheard` all that
    /// relays say; `configured` are all relays of the configuration, wherever they are.
    pub fn new(
        signer: Signer,
        policy: impl AdmitPolicy + 'static,
        overheard: Overheard,
        configured: BTreeSet<RelayUrl>,
        deadline: Duration,
    ) -> Self {
        let listening = Arc::new(Transport::new(configured.clone()).overheard_by(overheard));
        let transport = Arc::new(Transport::new(configured));
        let own = Client::builder()
            .signer(signer.clone())
            .websocket_transport(Arc::clone(&listening))
            .admit_policy(policy)
            .build();
        Self { signer, own, others: OnceLock::new(), listening, transport, used: Mutex::default(), deadline }
    }

    /// Who speaks there.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// A connection of its own to a relay of the configuration, made anew: nothing of an earlier one counts.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn open(&self, url: &RelayUrl) -> Result<Relay, String> {
        let pool = self.own.pool();
        // None of that name there is no reason to stop.
        let _ = pool.force_remove_relay(url).await;
        pool.add_relay(url, options()).await.map_err(|error| error.to_string())?;
        let relay = pool.relay(url).await.map_err(|error| error.to_string())?;
        relay.try_connect(self.deadline).await.map_err(|error| error.to_string())?;
        Ok(relay)
    }

    /// Whether there is a connection to that relay of the configuration.
    pub async fn is_connected(&self, url: &RelayUrl) -> bool {
        self.own.pool().relay(url).await.is_ok_and(|relay| relay.is_connected())
    }

    /// Ends the connection to a relay of the configuration.
    pub async fn close(&self, url: &RelayUrl) {
        let _ = self.own.pool().force_remove_relay(url).await;
    }

    /// Ends all of them.
    pub async fn shutdown(&self) {
        self.own.shutdown().await;
        if let Some(others) = self.others.get() {
            others.shutdown().await;
        }
    }

    /// The configuration names these from now on.
    pub fn configure(&self, configured: BTreeSet<RelayUrl>) {
        self.listening.configure(configured.clone());
        self.transport.configure(configured);
    }

    /// Hands `event` over to the relay at `url`, and tells what it said.
    pub async fn publish(&self, event: &Event, url: &RelayUrl) -> Word {
        let relay = match self.relay(url).await {
            Ok(relay) => relay,
            Err(word) => return word,
        };
        if !relay.is_connected() {
            return Word::Later("it is not connected".to_owned());
        }
        // A relay that does not answer is left alone after this.
        match tokio::time::timeout(self.deadline, relay.send_event(event)).await {
            Ok(Ok(_)) => Word::Accepted,
            Ok(Err(RelayError::RelayMessage(said))) => word_of(&said),
            Ok(Err(error)) => Word::Later(error.to_string()),
            Err(_) => Word::Later("it does not answer".to_owned()),
        }
    }

    async fn relay(&self, url: &RelayUrl) -> Result<Relay, Word> {
        if let Ok(relay) = self.own.pool().relay(url).await {
            return Ok(relay);
        }
        let others =
            self.others.get_or_init(|| Client::builder().websocket_transport(Arc::clone(&self.transport)).build());
        let pool = others.pool();
        self.used.lock().unwrap_or_else(PoisonError::into_inner).note(url);
        let later = |error: &dyn std::fmt::Display| Word::Later(error.to_string());
        if let Ok(relay) = pool.relay(url).await {
            relay.try_connect(self.deadline).await.map_err(|error| later(&error))?;
            return Ok(relay);
        }
        // What leads nowhere for good is told from what only is not there now.
        let found = tokio::time::timeout(self.deadline, self.transport.addresses(url)).await;
        if let Ok(Err(why @ (NotConnected::NotPublic | NotConnected::NoHost))) = found {
            return Err(Word::NotThere(why.to_string()));
        }
        let known = pool.relays().await;
        if known.len() >= OTHERS_MAX {
            let idle = {
                let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                used.last.retain(|url, _| known.contains_key(url));
                used.note(url);
                used.least(known.keys(), |url| self.transport.is_configured(url)).cloned()
            };
            if let Some(idle) = idle {
                let _ = pool.force_remove_relay(&idle).await;
            }
        }
        let options = options().read(false).sleep_when_idle(true).idle_timeout(OTHERS_IDLE);
        pool.add_relay(url, options).await.map_err(|error| later(&error))?;
        let relay = pool.relay(url).await.map_err(|error| later(&error))?;
        relay.try_connect(self.deadline).await.map_err(|error| later(&error))?;
        Ok(relay)
    }
}

/// We connect again ourselves: the library's pauses count its failures of all time.
fn options() -> RelayOptions {
    RelayOptions::new().reconnect(false)
}

/// What the words of a refusal mean (NIP-01). What is not known is tried again.
fn word_of(said: &str) -> Word {
    let prefix = said.split(':').next().unwrap_or_default().trim();
    let shown: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
    match prefix {
        "duplicate" => Word::Accepted,
        "blocked" | "restricted" | "invalid" | "pow" | "mute" => Word::Never(shown),
        _ => Word::Later(if shown.is_empty() { "it refused without a word".to_owned() } else { shown }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_used_the_longest_time_ago_gives_way() {
        let url = |name: &str| RelayUrl::parse(&format!("wss://{name}.example")).unwrap();
        let (a, b, c, d) = (url("a"), url("b"), url("c"), url("d"));
        let mut used = Used::default();
        for one in [&d, &b, &a, &c, &b] {
            used.note(one);
        }
        let nobody = |_: &RelayUrl| false;
        assert_eq!(used.least([&a, &b, &c, &d].into_iter(), nobody), Some(&d));
        assert_eq!(used.least([&a, &b, &c, &d].into_iter(), |one| *one == d), Some(&a), "the configuration's stays");
        assert_eq!(used.least([&b, &c].into_iter(), |_| true), Some(&c), "but there is no other");
        assert_eq!(used.least([&b, &url("never")].into_iter(), nobody), Some(&url("never")));
        assert_eq!(used.least([].into_iter(), nobody), None);
    }

    #[test]
    fn the_words_of_a_refusal() {
        for (said, expected) in [
            ("duplicate: have it", Word::Accepted),
            ("blocked: no", Word::Never("blocked: no".into())),
            ("restricted: members only", Word::Never("restricted: members only".into())),
            ("pow: 28 bits needed", Word::Never("pow: 28 bits needed".into())),
            ("rate-limited: slow down", Word::Later("rate-limited: slow down".into())),
            ("error: \u{1b}disk", Word::Later("error: disk".into())),
            ("auth-required: who are you", Word::Later("auth-required: who are you".into())),
            ("", Word::Later("it refused without a word".into())),
        ] {
            assert_eq!(word_of(said), expected, "{said}");
        }
    }
}
