//! The other side: a person's client that decides. It finds the request by its code among what the gateway
//! sent to this person, signs a decision, hands it over, and waits for the answer to that very decision: what
//! else is said in the thread meanwhile is about somebody else's.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nostr_sdk::{Client, Event, Filter, Keys, Kind, PublicKey, Relay, RelayUrl, Timestamp as Seconds};
use tokio::sync::mpsc::UnboundedReceiver;

use super::compose::{OUTCOME, wrap_signed};
use super::decision::{SignedDecision, Verb};
use super::identity::Identity;
use super::mailbox::Mailbox;
use super::transport::Transport;
use super::utterance::Utterance;
use crate::approval::{AnswerKind, ApprovalKey, Target};

/// How long a relay may take to connect.
const CONNECTING: Duration = Duration::from_secs(8);
/// How long all of them may take to tell what they have.
const READING: Duration = Duration::from_secs(60);
/// A code is not given again within 30 days, so nothing older is meant; and the time of a wrap lies up to two
/// days back.
const BACK: u64 = 32 * 86_400;
/// The answer is younger than the question, its wrap up to two days older; and clocks differ.
const ANSWERS_BACK: u64 = 2 * 86_400 + 600;

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
    /// The gateway has answered this decision.
    Answer {
        /// What became of it.
        outcome: AnswerKind,
        /// In words.
        text: String,
    },
    /// A relay has the decision; nothing was heard in time.
    Nothing,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum NotDecided {
    /// No relay.
    #[error("no relay can be reached: {0}")]
    NoRelay(String),
    /// No relay has the decision.
    #[error("no relay takes the decision: {0}")]
    NotTaken(String),
    /// No such request.
    #[error("no relay has a request {0} from this gateway for your key; look at the code, the key and the gateway")]
    NoRequest(Target),
    /// It may be there, where nobody could read.
    #[error("the request {0} was not found, and not all could be read: {1}")]
    Unread(Target, String),
    /// The library.
    #[error("{0}")]
    Library(String),
}

impl Approver {
    /// Decides on the request that `target` names. `patience` is how long the gateway's answer is waited for.
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
        let (mailbox, hears) = Mailbox::new(self.identity.keys().clone(), self.gateway);
        let overheard = Arc::clone(&mailbox);
        let transport = Transport::new(self.relays.iter().cloned().collect())
            .overheard_by(Arc::new(move |relay, text| overheard.overhear(relay, text)));
        let client = Client::builder().signer(self.identity.keys().clone()).websocket_transport(transport).build();
        let deciding = Deciding { approver: self, client: &client, mailbox, hears, now };
        let outcome = deciding.run(target, verb, reason, patience).await;
        client.shutdown().await;
        outcome
    }
}

/// One decision on its way.
struct Deciding<'a> {
    approver: &'a Approver,
    client: &'a Client,
    mailbox: Arc<Mailbox>,
    hears: UnboundedReceiver<Utterance>,
    now: Seconds,
}

impl Deciding<'_> {
    async fn run(mut self, target: &Target, verb: Verb, reason: &str, patience: Duration) -> Result<Told, NotDecided> {
        let relays = self.connect().await?;
        let packet = self.packet(&relays, target).await?;
        let Approver { identity, gateway, .. } = self.approver;
        let decision =
            SignedDecision { packet: packet.said.id.clone(), key: packet.key.clone(), verb, reason: reason.into() };
        let at = relays.first().map(|relay| relay.url().to_string()).unwrap_or_default();
        let event = decision.make(identity.public(), *gateway, &at, self.now);
        let library = |error: &dyn std::fmt::Display| NotDecided::Library(error.to_string());
        let event = event.sign_with_keys(identity.keys()).map_err(|error| library(&error))?;
        let published = if packet.said.is_private {
            wrap_signed(&event, gateway, &Keys::generate(), self.now, None).map_err(NotDecided::Library)?
        } else {
            event.clone()
        };
        // Each listens before any has the decision, so the answer cannot be there before we are.
        let listening: FuturesUnordered<_> =
            relays.iter().map(|relay| self.mailbox.listen(relay, self.filters(ANSWERS_BACK).into())).collect();
        listening.collect::<Vec<_>>().await;
        let mut sending: FuturesUnordered<_> = relays.iter().map(|relay| hand_over(relay, &published)).collect();
        let mut refused = Vec::new();
        loop {
            match sending.next().await {
                Some(Ok(())) => break,
                Some(Err(why)) => refused.push(why),
                None => return Err(NotDecided::NotTaken(refused.join("; "))),
            }
        }
        let id = event.id.to_hex();
        let answer = async {
            // Both go on at once: a relay that is slow to take it keeps no answer waiting.
            loop {
                tokio::select! {
                    said = self.hears.recv() => match said.map(|said| answer_to(&id, said)) {
                        Some(Some(told)) => return told,
                        Some(None) => {}
                        None => return Told::Nothing,
                    },
                    Some(_) = sending.next(), if !sending.is_empty() => {}
                }
            }
        };
        Ok(tokio::time::timeout(patience, answer).await.unwrap_or(Told::Nothing))
    }

    async fn connect(&self) -> Result<Vec<Relay>, NotDecided> {
        for relay in &self.approver.relays {
            let added = self.client.add_relay(relay.clone()).await;
            added.map_err(|error| NotDecided::Library(error.to_string()))?;
        }
        let connected = self.client.try_connect(CONNECTING).await;
        let all = self.client.relays().await;
        let mut relays: Vec<(RelayUrl, Relay)> =
            all.into_iter().filter(|(url, _)| connected.success.contains(url)).collect();
        relays.sort_by(|(one, _), (other, _)| one.cmp(other));
        if relays.is_empty() {
            let why = connected.failed.into_iter().map(|(url, why)| format!("{url}: {why}"));
            return Err(NotDecided::NoRelay(why.collect::<Vec<_>>().join("; ")));
        }
        Ok(relays.into_iter().map(|(_, relay)| relay).collect())
    }

    /// Wraps for us, and notes of the gateway that name us.
    fn filters(&self, back: u64) -> [Filter; 2] {
        let me = self.approver.identity.public();
        let since = Seconds::from(self.now.as_secs().saturating_sub(back));
        [
            Filter::new().kind(Kind::GiftWrap).pubkey(me).since(since),
            Filter::new().kind(Kind::TextNote).author(self.approver.gateway).pubkey(me).since(since),
        ]
    }

    /// The first message that is the request, at whichever relay it is found.
    async fn packet(&mut self, relays: &[Relay], target: &Target) -> Result<Packet, NotDecided> {
        let since = Seconds::from(self.now.as_secs().saturating_sub(BACK));
        let filters = self.filters(BACK);
        let questions = relays.iter().flat_map(|relay| filters.iter().map(move |filter| (relay, filter)));
        let mailbox = &self.mailbox;
        let mut reading: FuturesUnordered<_> = questions
            .map(|(relay, filter)| async move {
                let read = tokio::time::timeout(READING, mailbox.read_back(relay, filter, since)).await;
                let read = read.unwrap_or_else(|_| Err("it has more than could be read".to_owned()));
                read.map_err(|why| format!("{}: {why}", relay.url()))
            })
            .collect();
        let mut unread = Vec::new();
        loop {
            tokio::select! {
                // What came is looked at before anybody says that this was all.
                biased;
                Some(said) = self.hears.recv() => {
                    if let Some(packet) = Packet::of(said, target) {
                        return Ok(packet);
                    }
                }
                Some(read) = reading.next(), if !reading.is_empty() => unread.extend(read.err()),
                else => break,
            }
            if reading.is_empty() && self.hears.is_empty() {
                break;
            }
        }
        if unread.is_empty() {
            Err(NotDecided::NoRequest(target.clone()))
        } else {
            Err(NotDecided::Unread(target.clone(), unread.join("; ")))
        }
    }
}

/// Hands it to one relay.
async fn hand_over(relay: &Relay, event: &Event) -> Result<(), String> {
    relay.send_event(event).await.map(drop).map_err(|error| format!("{}: {error}", relay.url()))
}

/// What `said` is, if it answers the decision `id`. An end that is told in the thread does not: it may be
/// somebody else's.
fn answer_to(id: &str, said: Utterance) -> Option<Told> {
    if !said.tagged("e").any(|named| named == id) {
        return None;
    }
    let word = said.tagged(OUTCOME).next().map(|word| serde_json::Value::String(word.to_owned()));
    let outcome = match word.and_then(|word| serde_json::from_value::<AnswerKind>(word).ok()) {
        Some(outcome) => outcome,
        // What has no such tag is told apart as people do.
        None if said.content.starts_with("refused:") => AnswerKind::Refused,
        None => AnswerKind::Taken,
    };
    Some(Told::Answer { outcome, text: said.content })
}

struct Packet {
    said: Utterance,
    key: ApprovalKey,
}

impl Packet {
    fn of(said: Utterance, target: &Target) -> Option<Self> {
        let key = said.tagged("approval").next().and_then(|key| ApprovalKey::parse(key).ok())?;
        let is_it = match target {
            Target::Key(wanted) => *wanted == key,
            Target::Code(code) => said.tagged("code").any(|one| one == code.to_string()),
        };
        is_it.then_some(Self { said, key })
    }
}
