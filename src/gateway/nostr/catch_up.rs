//! What waited at a relay: read page by page, and how far that went. Whatever is doubtful leaves the place up
//! to which the relay was read where it was.

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::awaited::Awaited;
use super::intake::Came;
use super::pages::Turned;
use super::people::all_keys;
use super::relay::Line;
use super::standing::{Question, read_until};
use crate::channel::nostr::nostr_sdk::pool::RelayNotification;
use crate::channel::nostr::nostr_sdk::{
    ClientMessage, Filter, Kind, Relay, RelayMessage, RelayStatus, SubscriptionId, Timestamp as Seconds,
};
use crate::gateway::inbox::chain;
use crate::store::{self, StoreError};

/// Hardly any relay gives fewer events at once.
const FULL: u64 = 20;
/// What every relay has some of, as we put it there ourselves.
const COMMON: [Kind; 5] = [Kind::Metadata, Kind::TextNote, Kind::RelayList, Kind::InboxRelays, Kind::GiftWrap];

/// Why a page is not here.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPage {
    /// The relay does not answer that question.
    #[error("it refuses: {0}")]
    Refused(String),
    /// It may answer it another time.
    #[error("{0}")]
    Failed(String),
}

impl From<NoPage> for String {
    fn from(why: NoPage) -> Self {
        why.to_string()
    }
}

impl Line {
    /// Reads what waited, page by page from the newest to what was read before, and moves the place up to
    /// which this relay was read. Whatever is doubtful leaves that place where it was.
    pub(super) async fn catch_up(&self, relay: &Relay) -> Result<(), String> {
        let name = self.name();
        let begun = self.gateway.clock.now();
        let source = format!("nostr.read:{name}");
        let place = self.place(&source).await.map_err(|error| chain(&error))?;
        let from = read_until(place.as_deref(), begun.as_secs());
        let awaited = Awaited::load(&self.gateway).await.map_err(|error| chain(&error))?;
        let keys = all_keys(&self.gateway.in_force());
        let passed_over = self.gateway.nostr.passed_over();
        self.pages.begin(&name);
        let mut read = Ok(());
        for question in [Question::Private, Question::Open, Question::Threads] {
            let Some(filter) = question.filter(self.us, &keys, &awaited, from) else { continue };
            let since = question.since(from, &awaited);
            read = match question {
                Question::Private => self.read_wraps(relay, &name, filter, since).await,
                _ => self.read_back(relay, &name, filter, since).await.and_then(all),
            };
            if read.is_err() {
                break;
            }
        }
        self.pages.end(&name);
        read?;
        // All of it is in the inbox before the place moves.
        self.all_kept().await?;
        if self.gateway.nostr.passed_over() != passed_over {
            return Err("it has more than the remote signer opens".to_owned());
        }
        let position = begun.as_secs().to_string();
        self.gateway
            .store
            .write_low(move |tx| Box::pin(async move { store::inbox::set_offset(tx, &source, &position).await }))
            .await
            .map_err(|error| chain(&error))
    }

    async fn place(&self, source: &str) -> Result<Option<String>, StoreError> {
        let mut read = self.gateway.store.read().await?;
        store::inbox::offset(&mut read, source).await
    }

    /// Waits until all that has come is in the inbox.
    pub(super) async fn all_kept(&self) -> Result<(), String> {
        let (mark, kept) = oneshot::channel();
        if self.came.send(Came::Mark(mark)).await.is_err() || kept.await.is_err() {
            return Err("not all that it has could be opened and kept".to_owned());
        }
        Ok(())
    }

    /// The wraps: by comparing where that is enough, and else by pages. What pages cannot bring, because one
    /// second has more than the relay gives at once, comparing may.
    async fn read_wraps(&self, relay: &Relay, name: &str, filter: Filter, since: Seconds) -> Result<(), String> {
        let is_enough = self.trust().is_enough(Instant::now());
        if is_enough {
            match self.compare(relay, name, filter.clone(), since).await {
                Ok(()) => return Ok(()),
                Err(why) => tracing::info!(relay = name, why, "reading by pages"),
            }
        }
        let doubt = self.read_back(relay, name, filter.clone(), since).await?;
        if doubt.is_none() {
            self.trust().paged(Instant::now());
        } else if self.trust().may_try(Instant::now()) && self.compare(relay, name, filter, since).await.is_ok() {
            return Ok(());
        }
        all(doubt)
    }

    /// Reads by pages; tells the second of which there may be more, if there is one.
    async fn read_back(
        &self,
        relay: &Relay,
        name: &str,
        filter: Filter,
        since: Seconds,
    ) -> Result<Option<u64>, String> {
        let mut until: Option<u64> = None;
        let mut stale = 0;
        let mut doubt = None;
        loop {
            let filter = until.map_or_else(|| filter.clone(), |until| filter.clone().until(Seconds::from(until)));
            let page = self.page(relay, name, filter).await?;
            let Some(oldest) = page.oldest else {
                // Behind what has no time that could be read may stand what nobody has seen.
                return if page.events == 0 { Ok(doubt) } else { Err("it sends what cannot be read".to_owned()) };
            };
            if oldest < since.as_secs() {
                return Ok(doubt);
            }
            // What is as old as the oldest may be cut off, so that second is asked for again; if it brings
            // nothing new, the one before it.
            if page.new > 0 {
                (until, stale) = (Some(oldest), 0);
                continue;
            }
            stale += 1;
            let next = until.unwrap_or(oldest).min(oldest);
            if stale > 2 && until.is_some_and(|until| oldest > until) {
                return Err("it gives the same again and again".to_owned());
            }
            // A page as long as any, all of one second: strangers may have filled that second to hide
            // something in it. What is older is read all the same.
            if until == Some(oldest) && self.may_be_cut(relay, name, page.events).await? {
                doubt = Some(oldest);
            }
            let Some(before) = next.checked_sub(1) else { return Ok(doubt) };
            until = Some(before);
        }
    }

    /// Whether a relay that gave so many events may have more of the kind.
    async fn may_be_cut(&self, relay: &Relay, name: &str, events: u64) -> Result<bool, String> {
        if self.pages.longest(name) > events {
            return Ok(false);
        }
        if events >= FULL {
            return Ok(true);
        }
        // A relay that gives so few is rare, and one that has so few is not. What it gives of what it certainly
        // has tells one from the other, unless it does not answer such a question at all.
        let limit = usize::try_from(events + 1).unwrap_or(usize::MAX);
        match self.page(relay, name, Filter::new().kinds(COMMON).limit(limit)).await {
            Ok(_) => Ok(self.pages.longest(name) <= events),
            Err(NoPage::Refused(_)) => Ok(false),
            Err(why) => Err(why.into()),
        }
    }

    /// One page: until the relay says that this was all.
    pub(super) async fn page(&self, relay: &Relay, name: &str, filter: Filter) -> Result<Turned, NoPage> {
        let id = SubscriptionId::new(self.pages.ask(name));
        let deadline = self.settings().catch_up_deadline;
        let mut notes = relay.notifications();
        let failed = |why: &str| NoPage::Failed(why.to_owned());
        relay.send_msg(ClientMessage::req(id.clone(), vec![filter])).map_err(|error| failed(&error.to_string()))?;
        let mut had = 0;
        let answered = loop {
            match tokio::time::timeout(deadline, notes.recv()).await {
                Ok(Ok(RelayNotification::Message { message })) => match message {
                    RelayMessage::EndOfStoredEvents(of) if *of == id => break Ok(self.pages.so_far(name)),
                    RelayMessage::Closed { subscription_id, message } if *subscription_id == id => {
                        break Err(NoPage::Refused(message.chars().take(200).collect()));
                    }
                    _ => {}
                },
                Ok(Ok(RelayNotification::RelayStatus { status })) if status != RelayStatus::Connected => {
                    break Err(failed("the connection was lost"));
                }
                Ok(Ok(_)) => {}
                Ok(Err(_)) => break Err(failed("it says more than could be heard")),
                Err(_) => {
                    // Slow is not silent: we may be the ones who let it wait.
                    let has = self.pages.so_far(name).events;
                    if has == had {
                        break Err(failed("it does not say that this was all"));
                    }
                    had = has;
                }
            }
        };
        // It may be gone by now.
        let _ = relay.send_msg(ClientMessage::close(id));
        answered
    }
}

fn all(doubt: Option<u64>) -> Result<(), String> {
    doubt.map_or(Ok(()), |second| Err(format!("it may have more of the second {second} than it gives at once")))
}
