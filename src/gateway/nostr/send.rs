//! One message on its way out: the event that it makes, the relays that it goes to, and what each of them
//! says. One task for each relay; the first that takes it is enough, and the others are tried all the same.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, oneshot};

use super::people::{inbox_of, named_in};
use super::{SOURCE, people};
use crate::channel::nostr::compose::{self, Draft, InThread, To};
use crate::channel::nostr::nostr_sdk::{Event, Keys, PublicKey, RelayUrl, Timestamp as Seconds};
use crate::channel::nostr::{NotSigned, Relays, Target, Word};
use crate::channel::{Channel, Delivery, Kind, Outgoing};
use crate::gateway::Gateway;
use crate::store::{self, StoreError};

/// The next attempt, where no relay took it.
const AGAIN: Duration = Duration::from_secs(1);
/// The next attempt, where the remote signer is silent.
const SIGNER_AGAIN: Duration = Duration::from_secs(2);
/// Events that are still handed to slower relays after another took them.
const STRAGGLERS: usize = 256;
/// How often such a relay is tried again, and after how long the first time; that doubles.
const STRAGGLER_TRIES: u32 = 5;
const STRAGGLER_AGAIN: Duration = Duration::from_secs(5);
/// The times of seal and wrap lie up to so many seconds back.
const BACK: f64 = 172_800.0;

/// Sends on Nostr.
pub struct Sender {
    gateway: Arc<Gateway>,
    relays: Arc<Relays>,
    stragglers: Arc<Semaphore>,
}

impl Sender {
    /// In the name of whoever speaks at `relays`.
    pub fn new(gateway: Arc<Gateway>, relays: Arc<Relays>) -> Self {
        Self { gateway, relays, stragglers: Arc::new(Semaphore::new(STRAGGLERS)) }
    }

    async fn send(&self, message: Outgoing<'_>) -> Delivery {
        let Ok(target) = message.target.parse::<Target>() else {
            return Delivery::Gone { why: "it is addressed to nobody".to_owned() };
        };
        let Some((to, relays, else_at)) = self.address(&target) else {
            return Delivery::Gone { why: "it is addressed to no key".to_owned() };
        };
        if relays.is_empty() {
            let who = people::name_of(&self.gateway, message.target);
            let why = format!(
                "{who} says nowhere where private messages are taken (a list of kind 10050 at one of our relays), and \
                 has no `relays` in `people`"
            );
            return Delivery::Lost { why };
        }
        let at = Seconds::from(u64::try_from(message.made_at.as_secs()).unwrap_or(0));
        let thread = match message.kind {
            // What was said stays said: what has changed is told in its thread.
            Kind::Edit(copies) => copies.first().map(|root| InThread { root: root.clone(), parent: None }),
            Kind::New | Kind::Answer => message.content.replies_to.as_deref().map(thread),
        };
        let packet = message.content.packet.as_ref().filter(|_| !matches!(message.kind, Kind::Edit(_)));
        let (outcome, reacts) = (message.content.outcome, message.content.reacts);
        let draft = Draft { to: to.clone(), text: &message.content.text, packet, outcome, thread, at, reacts };
        let rumor = compose::compose(self.relays.signer().public(), &draft);
        let Some(id) = rumor.id.map(|id| id.to_hex()) else {
            return Delivery::Gone { why: "it has no id".to_owned() };
        };
        // An answer may be quicker than we are: the id under which it goes out is known before it does.
        if let Err(error) = self.learn(&message, &id).await {
            let why = crate::gateway::inbox::chain(&error);
            return Delivery::Retry { after: AGAIN, why };
        }
        if matches!(target, Target::Note(_)) {
            self.gateway.nostr.note_goes_out();
        }
        fail_point!("nostr.after_learned");
        let event = match &to {
            To::Open(_) => self.relays.signer().sign(&rumor).await,
            To::Private(person) => {
                let ids = &self.gateway.ids;
                let now = Seconds::from(u64::try_from(self.gateway.clock.now().as_secs()).unwrap_or(0));
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of two days")]
                let back = [(ids.share() * BACK) as u64, (ids.share() * BACK) as u64];
                self.relays.signer().wrap(&rumor, person, &Keys::generate(), now, back).await
            }
        };
        match event {
            Ok(event) => match self.spread(event.clone(), relays, id.clone()).await {
                delivered @ Delivery::Delivered { .. } => delivered,
                other if else_at.is_empty() => other,
                // No relay of their own list is of use; the operator knows of another.
                other => match self.spread(event, else_at, id).await {
                    delivered @ Delivery::Delivered { .. } => delivered,
                    _ => other,
                },
            },
            Err(NotSigned::Unfit(why)) => Delivery::Gone { why },
            // That is told of the signer, and of nobody whom it cannot reach.
            Err(NotSigned::Silent(_)) => Delivery::Pause { after: SIGNER_AGAIN },
            Err(why) => Delivery::Retry { after: AGAIN, why: why.to_string() },
        }
    }

    /// To whom that is, over which relays, and over which others if it must be.
    fn address(&self, target: &Target) -> Option<(To, Vec<RelayUrl>, Vec<RelayUrl>)> {
        let in_force = self.gateway.in_force();
        let own = || in_force.config.gate.channels.nostr.all_relays();
        match target {
            Target::Private(key) => {
                let person = PublicKey::from_hex(key).ok()?;
                let listed = inbox_of(&self.gateway, key);
                let known = people::known_of(&self.gateway, key);
                let else_at = known.into_iter().filter(|url| !listed.contains(url)).collect();
                Some((To::Private(person), listed, else_at))
            }
            Target::Note(audience) => Some((To::Open(named_in(&in_force, audience)), own(), Vec::new())),
            Target::Reply(key) => Some((To::Open(vec![PublicKey::from_hex(key).ok()?]), own(), Vec::new())),
        }
    }

    async fn learn(&self, message: &Outgoing<'_>, id: &str) -> Result<(), StoreError> {
        let (copy, target, id) = (message.id.to_owned(), message.target.to_owned(), id.to_owned());
        self.gateway
            .store
            .write(move |tx| {
                Box::pin(async move { store::tokens::learn(tx, SOURCE, &target, &id, &copy).await.map(drop) })
            })
            .await
    }

    /// Hands `event` to all of `relays`; ends as soon as one has it, or none will.
    async fn spread(&self, event: Event, relays: Vec<RelayUrl>, id: String) -> Delivery {
        let (tell, told) = oneshot::channel();
        let spreading = Spreading {
            gateway: Arc::clone(&self.gateway),
            relays: Arc::clone(&self.relays),
            stragglers: Arc::clone(&self.stragglers),
            event: Arc::new(event),
        };
        tokio::spawn(spreading.run(relays, tell));
        match told.await {
            Ok(None) => Delivery::Delivered { remote_id: Some(id) },
            Ok(Some(refused)) => refused,
            Err(_) => Delivery::Retry { after: AGAIN, why: "the gateway stops".to_owned() },
        }
    }
}

impl Channel for Sender {
    fn name(&self) -> &'static str {
        SOURCE
    }

    fn deliver<'a>(&'a self, message: Outgoing<'a>) -> BoxFuture<'a, Delivery> {
        Box::pin(self.send(message))
    }
}

/// `ROOT`, or `ROOT PARENT`.
fn thread(text: &str) -> InThread {
    match text.split_once(' ') {
        Some((root, parent)) => InThread { root: root.to_owned(), parent: Some(parent.to_owned()) },
        None => InThread { root: text.to_owned(), parent: None },
    }
}

/// One event on its way to several relays.
struct Spreading {
    gateway: Arc<Gateway>,
    relays: Arc<Relays>,
    stragglers: Arc<Semaphore>,
    event: Arc<Event>,
}

impl Spreading {
    /// Tells none when the first relay has it, or what is to be done if none takes it.
    async fn run(self, relays: Vec<RelayUrl>, tell: oneshot::Sender<Option<Delivery>>) {
        let mut tell = Some(tell);
        let mut running: FuturesUnordered<_> = relays.into_iter().map(|url| self.hand_over(url)).collect();
        let (mut later, mut never, mut not_there) = (Vec::new(), None, None);
        while let Some((url, word)) = running.next().await {
            let name = url.as_str_without_trailing_slash();
            match word {
                Word::Accepted => {
                    if let Some(tell) = tell.take() {
                        let _ = tell.send(None);
                    }
                }
                Word::Later(why) => {
                    tracing::info!(relay = name, why, "a relay did not take a message yet");
                    if self.relays.is_connected(&url).await {
                        let says = format!("did not take a message yet: {why}");
                        self.gateway.nostr.says(name, says, self.gateway.clock.now());
                    }
                    later.push((url, why));
                }
                Word::NotThere(why) => not_there = Some(format!("{name}: {why}")),
                Word::Never(why) => {
                    tracing::warn!(relay = name, why, "a relay refuses a message");
                    self.gateway.nostr.says(name, format!("refuses: {why}"), self.gateway.clock.now());
                    never = Some(format!("{name} says: {why}"));
                }
            }
        }
        drop(running);
        if let Some(tell) = tell {
            let delivery = match (later.pop(), never, not_there) {
                (Some((url, why)), ..) => {
                    let why = format!("{}: {why}", url.as_str_without_trailing_slash());
                    Delivery::Retry { after: AGAIN, why }
                }
                // Their list may name another tomorrow.
                (None, None, Some(why)) => Delivery::Lost { why },
                (None, why, _) => Delivery::Gone { why: why.unwrap_or_else(|| "there is no relay".to_owned()) },
            };
            let _ = tell.send(Some(delivery));
            return;
        }
        // The others are behind; where too many are, they stay behind.
        let Ok(_permit) = self.stragglers.try_acquire() else { return };
        let mut wait = STRAGGLER_AGAIN;
        for _ in 0..STRAGGLER_TRIES {
            if later.is_empty() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.gateway.bells.stopped() => return,
            }
            wait *= 2;
            let words = later.drain(..).map(|(url, _)| self.hand_over(url)).collect::<FuturesUnordered<_>>();
            later = words
                .filter_map(async |(url, word)| match word {
                    Word::Later(why) => Some((url, why)),
                    Word::Accepted | Word::Never(_) | Word::NotThere(_) => None,
                })
                .collect()
                .await;
        }
    }

    /// A task of its own: a relay that keeps us waiting keeps no other waiting.
    async fn hand_over(&self, url: RelayUrl) -> (RelayUrl, Word) {
        let (relays, event, to) = (Arc::clone(&self.relays), Arc::clone(&self.event), url.clone());
        let handed = tokio::spawn(async move { relays.publish(&event, &to).await }).await;
        (url, handed.unwrap_or_else(|_| Word::Later("handing it over broke off".to_owned())))
    }
}
