//! What waited at a relay: read page by page, and how far that went. Whatever is doubtful leaves the place up
//! to which the relay was read where it was.

use tokio::sync::oneshot;

use super::intake::Came;
use super::pages::Turned;
use super::people::all_keys;
use super::relay::{Line, OPEN_BACK, WRAPS_BACK, seconds};
use crate::channel::nostr::nostr_sdk::pool::RelayNotification;
use crate::channel::nostr::nostr_sdk::{
    ClientMessage, Filter, Kind, Relay, RelayMessage, RelayStatus, SubscriptionId, Timestamp as Seconds,
};
use crate::store::{self, StoreError};

/// No relay gives fewer events at once. So many of one second, and as many as it ever gives: there may be more.
const FULL: u64 = 20;

impl Line {
    /// Reads what waited, page by page from the newest to what was read before, and moves the place up to
    /// which this relay was read. Whatever is doubtful leaves that place where it was.
    pub(super) async fn catch_up(&self, relay: &Relay) -> Result<(), String> {
        let name = self.name();
        let begun = self.gateway.clock.now();
        let source = format!("nostr.read:{name}");
        let cursor = self.position(&source).await.map_err(|error| crate::gateway::inbox::chain(&error))?;
        let from = cursor.unwrap_or(begun.as_secs()).min(begun.as_secs());
        let passed_over = self.gateway.nostr.passed_over();
        self.pages.begin(&name);
        let private = Some((Filter::new().kind(Kind::GiftWrap).pubkey(self.us), WRAPS_BACK));
        let open = self.open_of(&all_keys(&self.gateway.in_force())).map(|filter| (filter, OPEN_BACK));
        let mut read = Ok(());
        for (filter, back) in [private, open].into_iter().flatten() {
            let since = seconds(from.saturating_sub(i64::try_from(back.as_secs()).unwrap_or(i64::MAX)));
            read = self.read_back(relay, &name, filter.since(since), since).await;
            if read.is_err() {
                break;
            }
        }
        self.pages.end(&name);
        read?;
        // All of it is in the inbox before the place moves.
        let (mark, kept) = oneshot::channel();
        if self.came.send(Came::Mark(mark)).await.is_err() || kept.await.is_err() {
            return Err("not all that it has could be opened and kept".to_owned());
        }
        if self.gateway.nostr.passed_over() != passed_over {
            return Err("it has more than the remote signer opens".to_owned());
        }
        let position = begun.as_secs().to_string();
        self.gateway
            .store
            .write_low(move |tx| Box::pin(async move { store::inbox::set_offset(tx, &source, &position).await }))
            .await
            .map_err(|error| crate::gateway::inbox::chain(&error))
    }

    async fn position(&self, source: &str) -> Result<Option<i64>, StoreError> {
        let mut read = self.gateway.store.read().await?;
        Ok(store::inbox::offset(&mut read, source).await?.and_then(|text| text.parse().ok()))
    }

    async fn read_back(&self, relay: &Relay, name: &str, filter: Filter, since: Seconds) -> Result<(), String> {
        let mut until: Option<u64> = None;
        let (mut stale, mut longest) = (0, 0);
        let mut doubt = None;
        let all = |doubt: Option<u64>| match doubt {
            None => Ok(()),
            Some(second) => Err(format!("it has more of the second {second} than it gives at once")),
        };
        loop {
            let filter = until.map_or_else(|| filter.clone(), |until| filter.clone().until(Seconds::from(until)));
            let page = self.page(relay, name, filter).await?;
            let Some(oldest) = page.oldest else {
                // Behind what has no time that could be read may stand what nobody has seen.
                return if page.events == 0 { all(doubt) } else { Err("it sends what cannot be read".to_owned()) };
            };
            longest = longest.max(page.events);
            if oldest < since.as_secs() {
                return all(doubt);
            }
            // What is as old as the oldest may be cut off, so that second is asked for again; if it brings
            // nothing new, the one before it.
            if page.new > 0 {
                (until, stale) = (Some(oldest), 0);
            } else {
                stale += 1;
                let next = until.unwrap_or(oldest).min(oldest);
                if stale > 2 && until.is_some_and(|until| oldest > until) {
                    return Err("it gives the same again and again".to_owned());
                }
                // A page as long as any, all of one second: strangers may have filled that second to hide
                // something in it. What is older is read all the same.
                if page.events >= FULL && page.events >= longest && until == Some(oldest) {
                    doubt = Some(oldest);
                }
                let Some(before) = next.checked_sub(1) else { return all(doubt) };
                until = Some(before);
            }
        }
    }

    /// One page: until the relay says that this was all.
    async fn page(&self, relay: &Relay, name: &str, filter: Filter) -> Result<Turned, String> {
        let id = SubscriptionId::new(self.pages.ask(name));
        let deadline = self.settings().catch_up_deadline;
        let mut notes = relay.notifications();
        relay.send_msg(ClientMessage::req(id.clone(), vec![filter])).map_err(|error| error.to_string())?;
        let mut had = 0;
        let answered = loop {
            match tokio::time::timeout(deadline, notes.recv()).await {
                Ok(Ok(RelayNotification::Message { message })) => match message {
                    RelayMessage::EndOfStoredEvents(of) if *of == id => break Ok(self.pages.so_far(name)),
                    RelayMessage::Closed { subscription_id, message } if *subscription_id == id => {
                        break Err(format!("it refuses: {}", message.chars().take(200).collect::<String>()));
                    }
                    _ => {}
                },
                Ok(Ok(RelayNotification::RelayStatus { status })) if status != RelayStatus::Connected => {
                    break Err("the connection was lost".to_owned());
                }
                Ok(Ok(_)) => {}
                Ok(Err(_)) => break Err("it says more than could be heard".to_owned()),
                Err(_) => {
                    // Slow is not silent: we may be the ones who let it wait.
                    let has = self.pages.so_far(name).events;
                    if has == had {
                        break Err("it does not say that this was all".to_owned());
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
