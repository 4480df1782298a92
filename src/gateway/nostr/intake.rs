//! What comes in over the relays. Every event is looked at where the library reads it, so that a relay waits
//! while we do; what somebody said who counts is verified, opened, and put into the inbox, cheapest check
//! first. Nothing here believes what the library has verified.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::SOURCE;
use super::bucket::Buckets;
use super::known::Known;
use super::state::List;
use crate::approval::Speaker;
use crate::channel::nostr::nostr_sdk::pool::policy::{AdmitPolicy, AdmitStatus, PolicyError};
use crate::channel::nostr::nostr_sdk::util::BoxedFuture;
use crate::channel::nostr::nostr_sdk::{Event, EventId, Kind, RelayUrl, SubscriptionId, Timestamp as Seconds};
use crate::channel::nostr::{DECISION, EVENT_MAX, Evidence, NotUnwrapped, Signer, Utterance, Verified, lists, unwrap};
use crate::gateway::{Gateway, arrival};
use crate::store;
use crate::store::inbox::Input;

/// Inputs that wait for the store at most; a relay whose next one finds no room waits, and no other.
pub const ROOM: usize = 256;
/// Inputs that are kept in one transaction.
const TOGETHER: usize = 64;
/// Events that are remembered as done with: those of two days come again at each catch-up.
const SEEN_MAX: usize = 65_536;
/// After the store could not keep something.
const AGAIN: Duration = Duration::from_secs(1);
/// A list may be dated so many seconds ahead.
const LIST_AHEAD: u64 = 3_600;
/// Wraps dated further ahead, in seconds, are not remembered: made-up times are some days off, and those that are
/// far ahead would never give way to others.
const WRAP_AHEAD: u64 = 3 * 86_400;
/// The kinds in which somebody may say something in the open.
pub const OPEN: [Kind; 4] = [Kind::TextNote, Kind::Reaction, Kind::Comment, DECISION];

/// Something that came in.
pub enum Came {
    /// Somebody said something: the input, and the event that it came in.
    Said(Box<Input>, Done),
    /// Something is wrapped for us, which a signer somewhere else is to open first.
    Wrap(Box<Event>),
    /// Somebody says where they take private messages.
    List(String, List),
    /// Whoever sent this waits until all that came before it is kept.
    Mark(oneshot::Sender<()>),
}

/// An event that is done with as soon as what it says is kept.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Its id, if it is the hash of what it says.
    id: Option<EventId>,
    /// Of a wrap that is to be remembered, the time that it states.
    wrapped_at: Option<Seconds>,
}

/// What is done with, so that it need not be looked at, nor asked for, again.
#[derive(Clone, Debug, Default)]
pub struct DoneWith {
    seen: Arc<Seen>,
    /// Wraps, of strangers too.
    pub wraps: Arc<Known>,
}

impl Done {
    /// Of a wrap whose id was computed.
    pub(super) fn wrap(wrap: &Event) -> Self {
        Self { id: Some(wrap.id), wrapped_at: Some(wrap.created_at) }
    }
}

impl DoneWith {
    fn has(&self, done: Done) -> bool {
        let is_wrap = |id| done.wrapped_at.is_some_and(|at| self.wraps.contains(at, id));
        done.id.is_some_and(|id| self.seen.contains(&id.to_bytes()) || is_wrap(id))
    }

    fn note(&self, done: Done) {
        if let Some(id) = done.id {
            self.seen.insert(id.to_bytes());
        }
        self.note_wrap(done);
    }

    fn note_wrap(&self, done: Done) {
        if let (Some(id), Some(at)) = (done.id, done.wrapped_at) {
            self.wraps.insert(at, id);
        }
    }
}

/// What the library asks about each event.
pub struct Door {
    gateway: Arc<Gateway>,
    signer: Signer,
    us: String,
    done_with: DoneWith,
    buckets: Buckets,
    begun: Instant,
    came: mpsc::Sender<Came>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

/// What was kept already, by the id that we have computed.
#[derive(Debug, Default)]
pub struct Seen(Mutex<SeenIds>);

#[derive(Debug, Default)]
struct SeenIds {
    known: HashSet<[u8; 32]>,
    in_order: VecDeque<[u8; 32]>,
}

impl Seen {
    /// Whether that is done with.
    pub(super) fn contains(&self, id: &[u8; 32]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known.contains(id)
    }

    /// That is done with.
    pub(super) fn insert(&self, id: [u8; 32]) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.known.insert(id) {
            return;
        }
        seen.in_order.push_back(id);
        if seen.in_order.len() > SEEN_MAX
            && let Some(oldest) = seen.in_order.pop_front()
        {
            seen.known.remove(&oldest);
        }
    }
}

impl Door {
    /// With whoever takes in what comes through it.
    pub fn new(
        gateway: Arc<Gateway>,
        signer: Signer,
        done_with: DoneWith,
    ) -> (Self, mpsc::Sender<Came>, mpsc::Receiver<Came>) {
        let (came, comes) = mpsc::channel(ROOM);
        let us = signer.hex();
        let (buckets, begun) = (Buckets::default(), Instant::now());
        (Self { gateway, us, signer, done_with, buckets, begun, came: came.clone() }, came, comes)
    }

    /// Whether an event of that kind and size is looked at at all.
    fn is_worth_a_look(event: &Event) -> bool {
        let is_small = event.content.len() <= EVENT_MAX
            && event.tags.iter().all(|tag| tag.as_slice().iter().all(|part| part.len() <= EVENT_MAX));
        is_small && (OPEN.contains(&event.kind) || [Kind::GiftWrap, Kind::InboxRelays].contains(&event.kind))
    }

    /// Our own key is nobody's, whatever the files say: our marks must not count.
    fn is_known(&self, author: &str) -> bool {
        author != self.us && self.gateway.in_force().people.who(&Speaker::Nostr(author.to_owned())).is_some()
    }

    /// What an event comes to, if it comes to anything.
    fn look(&self, event: &Event) -> Option<Came> {
        let is_wrap = event.kind == Kind::GiftWrap;
        let now = u64::try_from(self.gateway.clock.now().as_secs()).unwrap_or(0);
        let author = event.pubkey.to_hex();
        if !is_wrap && !self.is_known(&author) {
            self.gateway.nostr.count_stranger();
            return None;
        }
        // The id that an event claims says nothing of its words until it was computed.
        let is_soon = event.created_at.as_secs() <= now.saturating_add(WRAP_AHEAD);
        let wrapped_at = (is_wrap && is_soon).then_some(event.created_at);
        let done = Done { id: event.verify_id().then_some(event.id), wrapped_at };
        // The same words again need no second look.
        if self.done_with.has(done) {
            self.done_with.note_wrap(done);
            return None;
        }
        if event.kind == Kind::InboxRelays {
            let list = Verified::new(event.clone()).ok()?;
            // Dated ahead, it would stand for ever.
            if event.created_at.as_secs() > now.saturating_add(LIST_AHEAD) {
                return None;
            }
            let relays = lists::inbox_relays(&list).iter().map(ToString::to_string).collect();
            return Some(Came::List(author, List { at: event.created_at.as_secs(), relays }));
        }
        let (evidence, id) = if is_wrap {
            let Signer::Local(identity) = &self.signer else {
                // Under a false id it would stand for something else.
                return done.id.is_some().then(|| Came::Wrap(Box::new(event.clone())));
            };
            match unwrap(event, identity.keys().secret_key(), &self.us, |author| self.is_known(author)) {
                Ok((evidence, said)) => (evidence, said.id),
                Err(why) => {
                    self.done_with.note_wrap(done);
                    if why != NotUnwrapped::Stranger {
                        return self.refused(event, &why);
                    }
                    self.gateway.nostr.count_stranger();
                    return None;
                }
            }
        } else {
            let evidence = match Verified::new(event.clone()) {
                Ok(verified) => Evidence::Signed { event: verified.to_json(), private: false },
                Err(why) => return self.refused(event, &why),
            };
            match evidence.utterance() {
                Ok(said) if said.is_for(&self.us) || self.is_in_thread(&said) => (evidence, said.id),
                Ok(_) => return None,
                Err(why) => return self.refused(event, &why),
            }
        };
        let input = input(&self.gateway, &evidence, &id);
        Some(Came::Said(Box::new(input), done))
    }

    /// Whether it answers an open note of ours. Not every client names whom it answers.
    fn is_in_thread(&self, said: &Utterance) -> bool {
        self.gateway.nostr.is_awaited(said.tagged("e"))
    }

    fn refused(&self, event: &Event, why: &dyn fmt::Display) -> Option<Came> {
        self.gateway.nostr.count_refused();
        tracing::debug!(kind = event.kind.as_u16(), %why, "an event proves nothing");
        None
    }
}

/// What somebody said, as it enters the inbox.
pub fn input(gateway: &Gateway, evidence: &Evidence, id: &str) -> Input {
    Input {
        id: format!("{SOURCE}:{id}"),
        source: SOURCE.to_owned(),
        raw: json!(evidence).to_string(),
        entered_at: gateway.clock.now(),
    }
}

impl AdmitPolicy for Door {
    fn admit_event<'a>(
        &'a self,
        relay: &'a RelayUrl,
        _: &'a SubscriptionId,
        event: &'a Event,
    ) -> BoxedFuture<'a, Result<AdmitStatus, PolicyError>> {
        Box::pin(async move {
            if !Self::is_worth_a_look(event) {
                return Ok(AdmitStatus::rejected("nothing for us"));
            }
            let wait = self.buckets.take(relay, self.begun.elapsed());
            if !wait.is_zero() {
                self.gateway.nostr.count_waited();
                tokio::time::sleep(wait).await;
            }
            if let Some(came) = self.look(event) {
                // Only an end of the channel can refuse it, and then it comes again.
                let _ = self.came.send(came).await;
            }
            // The library keeps nothing of it, so what comes again reaches us again.
            Ok(AdmitStatus::rejected("taken in"))
        })
    }
}

/// Keeps what comes in, until nobody is left who could bring anything.
pub async fn keep(gateway: Arc<Gateway>, done_with: DoneWith, mut comes: mpsc::Receiver<Came>) {
    let mut together = Vec::with_capacity(TOGETHER);
    while comes.recv_many(&mut together, TOGETHER).await > 0 {
        let (mut inputs, mut done, mut marks, mut lists) = (Vec::new(), Vec::new(), Vec::new(), false);
        for came in together.drain(..) {
            match came {
                Came::Said(input, event) => {
                    inputs.push(*input);
                    done.push(event);
                }
                // Where there is a signer to open it, it has been opened; where there is none, none comes.
                Came::Wrap(_) => {}
                Came::List(key, list) => lists |= learn(&gateway, &key, list).await,
                Came::Mark(mark) => marks.push(mark),
            }
        }
        if !inputs.is_empty() && !take_in(&gateway, inputs).await {
            return;
        }
        done.into_iter().for_each(|event| done_with.note(event));
        if lists {
            remember_lists(&gateway).await;
        }
        for mark in marks {
            // Whoever waited may have been told to stop.
            let _ = mark.send(());
        }
    }
}

/// Takes inputs in, however often the store has to be asked; tells false if the daemon stops before.
async fn take_in(gateway: &Arc<Gateway>, inputs: Vec<Input>) -> bool {
    loop {
        if !gateway.nostr.is_caught_up() {
            // What waited at a relay may be what killed us: it is in the inbox before it is looked at.
            gateway.gate.close();
        }
        fail_point!("nostr.before_kept");
        let kept = arrival::take_in(gateway, inputs.clone(), Vec::new()).await;
        fail_point!("nostr.after_kept");
        match kept {
            Ok(_) => return true,
            Err(error) => {
                // The relays still have it, and we wait with them.
                tracing::error!(error = crate::gateway::inbox::chain(&error), "what came in could not be kept");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = gateway.bells.stopped() => return false,
        }
    }
}

async fn learn(gateway: &Arc<Gateway>, key: &str, list: List) -> bool {
    if !gateway.nostr.learn_list(key, list) {
        return false;
    }
    // What could not be sent to them for want of it can be sent now.
    let target = crate::channel::nostr::Target::Private(key.to_owned()).to_string();
    let now = gateway.clock.now();
    let waits = gateway
        .store
        .write(move |tx| Box::pin(async move { store::messages::postpone_to(tx, SOURCE, &target, now).await }))
        .await;
    if let Err(error) = waits {
        tracing::warn!(error = crate::gateway::inbox::chain(&error), "messages for somebody wait on");
    }
    gateway.bells.deliver();
    true
}

/// Where the lists are kept: a start need not wait for the relays to tell them again.
pub const LISTS: &str = "nostr.lists";

async fn remember_lists(gateway: &Arc<Gateway>) {
    let text = json!(gateway.nostr.lists()).to_string();
    let kept =
        gateway.store.write_low(move |tx| Box::pin(async move { store::meta::set(tx, LISTS, &text).await })).await;
    if let Err(error) = kept {
        tracing::warn!(error = crate::gateway::inbox::chain(&error), "where people are could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forgotten_is_looked_at_again() {
        let id = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            id
        };
        let seen = Seen::default();
        // More than the library remembers, and more than we do.
        (0..SEEN_MAX + 36_000).for_each(|number| seen.insert(id(number)));
        assert!(!seen.contains(&id(0)) && !seen.contains(&id(35_999)), "it is verified anew, and the store knows it");
        assert!(seen.contains(&id(36_000)) && seen.contains(&id(SEEN_MAX + 35_999)));
        assert_eq!(seen.0.lock().unwrap().known.len(), SEEN_MAX);
    }
}
