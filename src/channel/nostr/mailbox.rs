//! What a gateway has said to one person, read from a relay page by page: a relay gives so many events and no
//! more, and wraps of others may stand before what is looked for.
//!
//! What comes is judged where it leaves the connection. The library shows nothing of an event that has expired
//! or was forged, so a page that consists of those would look empty, and what is behind it would never be found.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nostr_sdk::pool::RelayNotification;
use nostr_sdk::{
    ClientMessage, Event, Filter, JsonUtil as _, Keys, Kind, PublicKey, Relay, RelayUrl, SubscriptionId,
    Timestamp as Seconds,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use super::evidence::Evidence;
use super::utterance::Utterance;
use super::verified::{EVENT_MAX, Verified};
use super::wrap::unwrap;

/// A relay that says nothing for so long about a page has no more to say.
const SILENT: Duration = Duration::from_secs(8);
/// No relay gives fewer events at once: so many of one second may not be all of that second.
const FULL: u64 = 20;
/// A relay that wants to know who asks is asked again so often.
const ASKED: u32 = 3;

/// What one person gets from one gateway.
pub(super) struct Mailbox {
    me: Keys,
    my_hex: String,
    gateway: PublicKey,
    said: mpsc::UnboundedSender<Utterance>,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    asked: u64,
    running: BTreeMap<(RelayUrl, String), Running>,
    /// Of each relay, what some page had: the next begins where it ended, and has that once more.
    known: BTreeMap<RelayUrl, HashSet<String>>,
}

struct Running {
    has: Page,
    /// Told once, when the relay says that this was all, or why it gives nothing.
    ended: Option<oneshot::Sender<Result<(), String>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Page {
    events: u64,
    new: u64,
    oldest: Option<u64>,
}

/// As much of an event as its place in a page needs.
#[derive(Deserialize)]
struct Outline {
    id: String,
    created_at: u64,
}

impl Mailbox {
    /// Of the owner of `me`; what `gateway` said is handed on.
    pub(super) fn new(me: Keys, gateway: PublicKey) -> (Arc<Self>, mpsc::UnboundedReceiver<Utterance>) {
        let (said, hears) = mpsc::unbounded_channel();
        let my_hex = me.public_key().to_hex();
        (Arc::new(Self { me, my_hex, gateway, said, pages: Mutex::default() }), hears)
    }

    /// `relay` says `text`.
    pub(super) fn overhear(&self, relay: &RelayUrl, text: &str) {
        let Ok(parts) = serde_json::from_str::<Vec<&RawValue>>(text) else { return };
        let word = |at: usize| parts.get(at).and_then(|part| serde_json::from_str::<String>(part.get()).ok());
        let (Some(verb), Some(question)) = (word(0), word(1)) else { return };
        let asked = (relay.clone(), question);
        match (verb.as_str(), parts.get(2)) {
            ("EVENT", Some(event)) => {
                let outline = serde_json::from_str::<Outline>(event.get()).ok();
                if self.note(&asked, outline)
                    && let Some(said) = self.said_by_gateway(event.get())
                {
                    // Nobody listens any more once all is said.
                    let _ = self.said.send(said);
                }
            }
            ("EOSE", _) => self.end(&asked, Ok(())),
            ("CLOSED", _) => {
                let why: String = word(2).unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
                self.end(&asked, Err(why));
            }
            _ => {}
        }
    }

    /// Tells whether somebody asked for it, and had not seen it.
    fn note(&self, asked: &(RelayUrl, String), outline: Option<Outline>) -> bool {
        let mut pages = self.lock();
        let Pages { running, known, .. } = &mut *pages;
        let Some(Running { has, .. }) = running.get_mut(asked) else { return false };
        has.events += 1;
        // What has no time that could be read stands at no place of the page.
        let Some(Outline { id, created_at }) = outline else { return false };
        has.oldest = Some(has.oldest.map_or(created_at, |oldest| oldest.min(created_at)));
        // The id is only claimed, and a forged one must not hide another's: all are looked at.
        has.new += u64::from(known.entry(asked.0.clone()).or_default().insert(id));
        true
    }

    fn end(&self, asked: &(RelayUrl, String), outcome: Result<(), String>) {
        let ended = self.lock().running.get_mut(asked).and_then(|page| page.ended.take());
        if let Some(ended) = ended {
            let _ = ended.send(outcome);
        }
    }

    /// What the gateway said to us, if that is it and nothing else.
    fn said_by_gateway(&self, event: &str) -> Option<Utterance> {
        if event.len() > EVENT_MAX {
            return None;
        }
        let event = Event::from_json(event).ok()?;
        let gateway = self.gateway.to_hex();
        if event.kind == Kind::GiftWrap {
            let secret = self.me.secret_key();
            return unwrap(&event, secret, &self.my_hex, |author| author == gateway).ok().map(|(_, said)| said);
        }
        if event.kind != Kind::TextNote || event.pubkey != self.gateway {
            return None;
        }
        let event = Verified::new(event).ok()?.to_json();
        Evidence::Signed { event, private: false }.utterance().ok()
    }

    /// Reads everything that `filter` finds at `relay`, the newest first, back to `since`.
    ///
    /// # Errors
    /// Why there may be more than was read.
    pub(super) async fn read_back(&self, relay: &Relay, filter: &Filter, since: Seconds) -> Result<(), String> {
        let mut until: Option<u64> = None;
        let (mut stale, mut longest, mut doubt) = (0, 0, None);
        let all = |doubt: Option<u64>| match doubt {
            None => Ok(()),
            Some(second) => Err(format!("it has more of the second {second} than it gives at once")),
        };
        loop {
            let filter = filter.clone().since(since);
            let filter = until.map_or_else(|| filter.clone(), |until| filter.clone().until(Seconds::from(until)));
            let page = self.page(relay, filter).await?;
            let Some(oldest) = page.oldest else {
                return if page.events == 0 { all(doubt) } else { Err("it sends what cannot be read".to_owned()) };
            };
            longest = longest.max(page.events);
            if oldest < since.as_secs() {
                return all(doubt);
            }
            // The oldest second may be cut off, so it is asked for again, and the one before it if that brings
            // nothing new.
            if page.new > 0 {
                (until, stale) = (Some(oldest), 0);
                continue;
            }
            stale += 1;
            if stale > 2 && until.is_some_and(|until| oldest > until) {
                return Err("it gives the same again and again".to_owned());
            }
            if page.events >= FULL && page.events >= longest && until == Some(oldest) {
                doubt = Some(oldest);
            }
            let Some(before) = until.unwrap_or(oldest).min(oldest).checked_sub(1) else { return all(doubt) };
            until = Some(before);
        }
    }

    async fn page(&self, relay: &Relay, filter: Filter) -> Result<Page, String> {
        let mut refused = String::new();
        for _ in 0..ASKED {
            let mut notes = relay.notifications();
            let (id, ended) = self.ask(relay, vec![filter.clone()])?;
            let answered = self.until_ended(relay, &id, ended).await;
            let page = self.leave(relay, &id);
            match answered {
                Ok(()) => return Ok(page),
                Err(why) if why.starts_with("auth-required") => {
                    refused = why;
                    // The library says who we are; then the same question is answered.
                    let known = async {
                        while let Ok(note) = notes.recv().await {
                            if matches!(note, RelayNotification::Authenticated) {
                                return;
                            }
                        }
                    };
                    if tokio::time::timeout(SILENT, known).await.is_err() {
                        break;
                    }
                }
                Err(why) => return Err(why),
            }
        }
        Err(refused)
    }

    /// Asks for what comes from now on as well; comes back when the relay has told what it had.
    ///
    /// # Errors
    /// It will tell nothing.
    pub(super) async fn listen(&self, relay: &Relay, filters: Vec<Filter>) -> Result<(), String> {
        let (id, ended) = self.ask(relay, filters)?;
        self.until_ended(relay, &id, ended).await
    }

    fn ask(
        &self,
        relay: &Relay,
        filters: Vec<Filter>,
    ) -> Result<(SubscriptionId, oneshot::Receiver<Result<(), String>>), String> {
        let (tell, ended) = oneshot::channel();
        let id = {
            let mut pages = self.lock();
            pages.asked += 1;
            let id = format!("lazarus-approver-{}", pages.asked);
            pages
                .running
                .insert((relay.url().clone(), id.clone()), Running { has: Page::default(), ended: Some(tell) });
            SubscriptionId::new(id)
        };
        relay.send_msg(ClientMessage::req(id.clone(), filters)).map_err(|error| error.to_string())?;
        Ok((id, ended))
    }

    async fn until_ended(
        &self,
        relay: &Relay,
        id: &SubscriptionId,
        mut ended: oneshot::Receiver<Result<(), String>>,
    ) -> Result<(), String> {
        let mut had = 0;
        loop {
            match tokio::time::timeout(SILENT, &mut ended).await {
                Ok(Ok(outcome)) => return outcome,
                Ok(Err(_)) => return Err("it says nothing".to_owned()),
                Err(_) => {
                    // Slow is not silent.
                    let has = self.so_far(relay, id).events;
                    if has == had {
                        return Err("it does not say that this was all".to_owned());
                    }
                    had = has;
                }
            }
        }
    }

    fn so_far(&self, relay: &Relay, id: &SubscriptionId) -> Page {
        let asked = (relay.url().clone(), id.to_string());
        self.lock().running.get(&asked).map(|page| page.has).unwrap_or_default()
    }

    fn leave(&self, relay: &Relay, id: &SubscriptionId) -> Page {
        let asked = (relay.url().clone(), id.to_string());
        let page = self.lock().running.remove(&asked).map(|page| page.has).unwrap_or_default();
        // It may be gone by now.
        let _ = relay.send_msg(ClientMessage::close(id.clone()));
        page
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
