//! Which wraps a relay has that we have not worked off, by comparing sets (NIP-77), so that the overlap of two
//! days need not be read again whole at each connection. It only shortens what pages do: they come first after a
//! start, once a day, and wherever a relay does not speak this, is slow, or says what is not so.

use std::time::Duration;

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;

use super::relay::Line;
use crate::channel::nostr::nostr_sdk::pool::RelayNotification;
use crate::channel::nostr::nostr_sdk::{
    ClientMessage, EventId, Filter, Kind, Relay, RelayMessage, RelayStatus, SubscriptionId, Timestamp as Seconds,
};

/// Pages are read at least so often, whatever a relay says that it has.
const PAGES_EVERY: Duration = Duration::from_secs(86_400);
/// A relay with which nothing was to be compared is not asked again for so long.
const NOT_AGAIN: Duration = Duration::from_secs(86_400);
/// Of more that is missing, pages bring it sooner.
const MISSING_MAX: usize = 2_000;
/// Words to and fro that one comparison takes at most; a million wraps take five.
const ROUNDS: usize = 64;
/// Ids that one question names: relays take no more.
const AT_ONCE: usize = 100;
/// Longest word of ours, in bytes before it is written out.
const FRAME: u64 = 60_000;

/// How far a relay's comparisons can be relied on.
#[derive(Debug, Default)]
pub struct Trust {
    paged: Option<Instant>,
    failed: Option<Instant>,
}

impl Trust {
    /// All pages were read at `now`.
    pub fn paged(&mut self, now: Instant) {
        self.paged = Some(now);
    }

    /// Whether comparing may take the place of pages at `now`.
    pub fn is_enough(&self, now: Instant) -> bool {
        self.paged.is_some_and(|at| now < at + PAGES_EVERY) && self.may_try(now)
    }

    /// Whether it is worth trying at `now`.
    pub fn may_try(&self, now: Instant) -> bool {
        self.failed.is_none_or(|at| now >= at + NOT_AGAIN)
    }

    /// It is tried at `now`. Until it has gone well, it counts as failed: a relay may hang up on a word that it
    /// does not know.
    pub fn tried(&mut self, now: Instant) {
        self.failed = Some(now);
    }

    /// It went well.
    pub fn succeeded(&mut self) {
        self.failed = None;
    }
}

impl Line {
    /// Compares the wraps that `filter` asks for, and has the relay give those that are missing. If that goes
    /// well, all of them have been here.
    pub(super) async fn compare(
        &self,
        relay: &Relay,
        name: &str,
        filter: Filter,
        since: Seconds,
    ) -> Result<(), String> {
        self.trust().tried(Instant::now());
        // What has just come is not missing.
        self.all_kept().await?;
        let mut left = self.missing(relay, name, filter, since).await?;
        while !left.is_empty() {
            let before = left.len();
            let some = left.iter().take(AT_ONCE).copied();
            self.page(relay, name, Filter::new().kind(Kind::GiftWrap).ids(some)).await?;
            left.retain(|id| !self.pages.has(name, &id.to_hex()));
            if left.len() == before {
                return Err("it names what it does not give".to_owned());
            }
        }
        self.trust().succeeded();
        Ok(())
    }

    async fn missing(&self, relay: &Relay, name: &str, filter: Filter, since: Seconds) -> Result<Vec<EventId>, String> {
        let mut ours = NegentropyStorageVector::new();
        for (at, id) in self.wraps.since(since) {
            ours.insert(at.as_secs(), Id::from_byte_array(id.to_bytes())).map_err(|error| error.to_string())?;
        }
        ours.seal().map_err(|error| error.to_string())?;
        let mut set = Negentropy::borrowed(&ours, FRAME).map_err(|error| error.to_string())?;
        let first = set.initiate().map_err(|error| error.to_string())?;
        let id = SubscriptionId::new(self.pages.ask(name));
        let mut notes = relay.notifications();
        let say = |message: ClientMessage<'_>| relay.send_msg(message).map_err(|error| error.to_string());
        say(ClientMessage::neg_open(id.clone(), filter, hex::encode(first)))?;
        let comparing = async {
            let (mut have, mut need) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let word = next_word(&mut notes, &id).await?;
                let bytes = hex::decode(&*word).map_err(|_| "it compares with what is no number")?;
                let next = set.reconcile_with_ids(&bytes, &mut have, &mut need).map_err(|error| error.to_string())?;
                have.clear();
                if need.len() > MISSING_MAX {
                    // It does compare; and so much will not be missing next time.
                    self.trust().succeeded();
                    return Err("more is missing than is worth naming".to_owned());
                }
                let Some(next) = next else {
                    need.sort_unstable();
                    need.dedup();
                    return Ok(need.iter().map(|id| EventId::from_byte_array(id.to_bytes())).collect());
                };
                say(ClientMessage::NegMsg {
                    subscription_id: std::borrow::Cow::Borrowed(&id),
                    message: hex::encode(&next).into(),
                })?;
            }
            Err("comparing comes to no end".to_owned())
        };
        let compared = tokio::time::timeout(self.settings().catch_up_deadline, comparing).await;
        // It may be gone by now.
        let _ = say(ClientMessage::NegClose { subscription_id: std::borrow::Cow::Borrowed(&id) });
        compared.unwrap_or_else(|_| Err("it does not compare".to_owned()))
    }
}

/// What the relay says next in the comparison `id`.
async fn next_word(notes: &mut Receiver<RelayNotification>, id: &SubscriptionId) -> Result<String, String> {
    loop {
        match notes.recv().await {
            Ok(RelayNotification::Message { message }) => match message {
                RelayMessage::NegMsg { subscription_id, message } if *subscription_id == *id => {
                    return Ok(message.into_owned());
                }
                RelayMessage::NegErr { subscription_id, .. } | RelayMessage::Closed { subscription_id, .. }
                    if *subscription_id == *id =>
                {
                    return Err("it does not want to compare".to_owned());
                }
                _ => {}
            },
            Ok(RelayNotification::RelayStatus { status }) if status != RelayStatus::Connected => {
                return Err("the connection was lost".to_owned());
            }
            Ok(_) => {}
            Err(_) => return Err("it says more than could be heard".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_first_and_once_a_day_and_after_anything_odd() {
        let start = Instant::now();
        let at = |hours: u64| start + Duration::from_secs(hours * 3600);
        let mut trust = Trust::default();
        assert!(trust.may_try(at(0)) && !trust.is_enough(at(0)));
        trust.paged(at(0));
        assert!(trust.is_enough(at(1)) && !trust.is_enough(at(24)));
        trust.tried(at(2));
        assert!(!trust.is_enough(at(3)) && !trust.may_try(at(3)), "until it went well it did not");
        trust.succeeded();
        assert!(trust.is_enough(at(3)));
        trust.tried(at(4));
        trust.paged(at(20));
        assert!(!trust.is_enough(at(27)) && trust.is_enough(at(28)));
    }
}
