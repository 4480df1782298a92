//! The other side: a person's client that decides. It finds the request by its code among what the gateway
//! sent to this person, signs a decision, hands it over, and waits for a word.

use std::time::Duration;

use nostr_sdk::{Client, Event, Filter, Keys, Kind, PublicKey, RelayPoolNotification, RelayUrl, Timestamp as Seconds};

use super::compose::wrap_signed;
use super::decision::{SignedDecision, Verb};
use super::evidence::Evidence;
use super::identity::Identity;
use super::utterance::Utterance;
use super::verified::Verified;
use super::wrap::unwrap;
use crate::approval::{ApprovalKey, Target};

/// How long a relay may take to connect, and to tell what it has.
const RELAYS: Duration = Duration::from_secs(8);
/// Requests are there for so long, and the time of a wrap lies up to two days back.
const BACK: u64 = 86_400 + 2 * 86_400 + 7_200;

/// Somebody who decides, and whose gateway it is.
pub struct Approver {
    /// The person's own key.
    pub identity: Identity,
    /// The gateway's public key.
    pub gateway: PublicKey,
    /// Where both are.
    pub relays: Vec<RelayUrl>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The gateway said this.
    Answer(String),
    /// A relay has the decision; nothing was heard in time.
    Nothing,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum NotDecided {
    /// No relay.
    #[error("no relay can be reached: {0}")]
    NoRelay(String),
    /// No such request.
    #[error("no relay has a request {0} from this gateway for your key; look at the code, the key and the gateway")]
    NoRequest(Target),
    /// The library.
    #[error("{0}")]
    Library(String),
}

impl Approver {
    /// Decides on the request that `target` names. `patience` is how long a word of the gateway is waited for.
    ///
    /// # Errors
    /// Nothing was decided.
    pub async fn decide(
        &self,
        target: &Target,
        verb: Verb,
        reason: &str,
        now: Seconds,
        patience: Duration,
    ) -> Result<Told, NotDecided> {
        let client = Client::new(self.identity.keys().clone());
        let outcome = self.decide_with(&client, target, verb, reason, now, patience).await;
        client.shutdown().await;
        outcome
    }

    async fn decide_with(
        &self,
        client: &Client,
        target: &Target,
        verb: Verb,
        reason: &str,
        now: Seconds,
        patience: Duration,
    ) -> Result<Told, NotDecided> {
        let library = |error: &dyn std::fmt::Display| NotDecided::Library(error.to_string());
        for relay in &self.relays {
            client.add_relay(relay.clone()).await.map_err(|error| library(&error))?;
        }
        let connected = client.try_connect(RELAYS).await;
        if connected.success.is_empty() {
            let why = connected.failed.into_iter().map(|(url, why)| format!("{url}: {why}"));
            return Err(NotDecided::NoRelay(why.collect::<Vec<_>>().join("; ")));
        }
        let packet = self.packet(client, target, now).await?;
        let decision =
            SignedDecision { packet: packet.said.id.clone(), key: packet.key.clone(), verb, reason: reason.into() };
        let relay = self.relays.first().map(ToString::to_string).unwrap_or_default();
        let event = decision.make(self.identity.public(), self.gateway, &relay, now);
        let event = event.sign_with_keys(self.identity.keys()).map_err(|error| library(&error))?;
        let published = if packet.said.is_private {
            wrap_signed(&event, &self.gateway, &Keys::generate(), now, None).map_err(NotDecided::Library)?
        } else {
            event.clone()
        };
        let mut heard = client.notifications();
        for filter in self.filters(now) {
            client.subscribe(filter, None).await.map_err(|error| library(&error))?;
        }
        let sent = client.send_event(&published).await.map_err(|error| library(&error))?;
        if sent.success.is_empty() {
            let why = sent.failed.into_iter().map(|(url, why)| format!("{url}: {why}"));
            return Err(NotDecided::NoRelay(why.collect::<Vec<_>>().join("; ")));
        }
        let about = [packet.said.id.as_str(), &event.id.to_hex()].map(str::to_owned);
        let answer = async {
            loop {
                match heard.recv().await {
                    Ok(RelayPoolNotification::Event { event, .. }) => {
                        let said = self.said_by_gateway(&event);
                        let is_it = |said: &Utterance| said.tagged("e").any(|id| about.iter().any(|one| one == id));
                        if let Some(said) = said.filter(is_it) {
                            return said.content;
                        }
                    }
                    Ok(_) => {}
                    Err(_) => std::future::pending().await,
                }
            }
        };
        Ok(tokio::time::timeout(patience, answer).await.map_or(Told::Nothing, Told::Answer))
    }

    fn filters(&self, now: Seconds) -> [Filter; 2] {
        let me = self.identity.public();
        let since = Seconds::from(now.as_secs().saturating_sub(BACK));
        [
            Filter::new().kind(Kind::GiftWrap).pubkey(me).since(since),
            Filter::new().kind(Kind::TextNote).author(self.gateway).pubkey(me).since(since),
        ]
    }

    /// What the gateway said to us, if it is that and nothing else.
    fn said_by_gateway(&self, event: &Event) -> Option<Utterance> {
        let (me, gateway) = (self.identity.hex(), self.gateway.to_hex());
        if event.kind == Kind::GiftWrap {
            let secret = self.identity.keys().secret_key();
            return unwrap(event, secret, &me, |author| author == gateway).ok().map(|(_, said)| said);
        }
        let event = Verified::new(event.clone()).ok()?.to_json();
        let said = Evidence::Signed { event, private: false }.utterance().ok()?;
        (said.author == gateway).then_some(said)
    }

    async fn packet(&self, client: &Client, target: &Target, now: Seconds) -> Result<Packet, NotDecided> {
        let mut newest: Option<Packet> = None;
        for filter in self.filters(now) {
            let found = client.fetch_events(filter, RELAYS).await;
            for event in found.map_err(|error| NotDecided::Library(error.to_string()))? {
                let Some(said) = self.said_by_gateway(&event) else { continue };
                let Some(key) = said.tagged("approval").next().and_then(|key| ApprovalKey::parse(key).ok()) else {
                    continue;
                };
                let is_it = match target {
                    Target::Key(wanted) => *wanted == key,
                    Target::Code(code) => said.tagged("code").any(|one| one == code.to_string()),
                };
                if is_it && newest.as_ref().is_none_or(|newest| newest.said.said_at < said.said_at) {
                    newest = Some(Packet { said, key });
                }
            }
        }
        newest.ok_or_else(|| NotDecided::NoRequest(target.clone()))
    }
}

struct Packet {
    said: Utterance,
    key: ApprovalKey,
}
