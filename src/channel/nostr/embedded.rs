use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use nostr_relay_builder::builder::{PolicyResult, WritePolicy};
use nostr_relay_builder::prelude::{LocalRelay, MemoryDatabase, MemoryDatabaseOptions, RateLimit, RelayBuilder};
use nostr_sdk::util::BoxedFuture;
use nostr_sdk::{Event, Kind};

use super::decision::DECISION;
use super::remote::Clock;
use super::verified::EVENT_MAX;

/// Events that one connection may hand over in a minute. The builder's own default of 60 is less than a bad
/// night brings.
const NOTES_PER_MINUTE: u32 = 6_000;
/// Connections at the same time.
const CONNECTIONS: usize = 256;
/// Events that are kept where others than this machine can put some: half a GiB if all are as large as can be.
const EVENTS_FROM_OUTSIDE: usize = 4_096;
/// Tags that an event has at most.
const TAGS: usize = 256;
/// An event may be dated so many seconds ahead: wraps of some clients are, by up to two days.
const AHEAD: u64 = 2 * 86_400 + 600;
/// And so many back, unless it stands until there is a newer one.
const BEHIND: u64 = 32 * 86_400;

/// Whose words are kept: whether a public key, in lower-case hexadecimal, is the gateway's or a person's.
pub type Knows = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A relay in this process, for a first look, and for teams that want none of their own. It keeps what it has in
/// memory: when it ends, it forgets.
pub struct Embedded(LocalRelay);

impl Embedded {
    /// Listens at `at`. What nobody here sends or gets is not kept where others than this machine can reach it.
    ///
    /// # Errors
    /// Somebody else does.
    pub async fn start(at: SocketAddr, clock: Clock, knows: Knows) -> Result<Self, String> {
        let limit = RateLimit { max_reqs: 500, notes_per_minute: NOTES_PER_MINUTE };
        let outside = !at.ip().is_loopback();
        let house = House { clock, knows: outside.then_some(knows) };
        let builder = RelayBuilder::default()
            .addr(at.ip())
            .port(at.port())
            .rate_limit(limit)
            .max_connections(CONNECTIONS)
            .write_policy(house);
        let builder = if outside {
            let kept = MemoryDatabaseOptions { events: true, max_events: Some(EVENTS_FROM_OUTSIDE) };
            builder.database(MemoryDatabase::with_opts(kept))
        } else {
            builder
        };
        let relay = LocalRelay::new(builder);
        relay.run().await.map_err(|error| format!("the embedded relay cannot listen at {at}: {error}"))?;
        Ok(Self(relay))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// What is kept. The builder itself bounds neither size nor time.
pub(super) struct House {
    pub(super) clock: Clock,
    /// Whose words; everybody's, where only this machine can bring some.
    pub(super) knows: Option<Knows>,
}

impl House {
    /// Why `event` is not kept, if it is not.
    pub(super) fn refuses(&self, event: &Event) -> Option<&'static str> {
        let parts = event.tags.iter().flat_map(|tag| tag.as_slice());
        let size = parts.fold(event.content.len(), |size, part| size.saturating_add(part.len()));
        if size > EVENT_MAX || event.tags.len() > TAGS {
            return Some("it is too large");
        }
        let (at, now) = (event.created_at.as_secs(), (self.clock)().as_secs());
        if at > now.saturating_add(AHEAD) {
            return Some("its time is too far ahead");
        }
        if at < now.saturating_sub(BEHIND) && !event.kind.is_replaceable() {
            return Some("it is too old");
        }
        let Some(knows) = &self.knows else { return None };
        match event.kind {
            // How a remote signer is spoken to; none of it is kept.
            Kind::NostrConnect => None,
            // Nobody can see who sends it.
            Kind::GiftWrap if to(event).any(|key| knows(key)) => None,
            Kind::Metadata | Kind::RelayList | Kind::InboxRelays if knows(&event.pubkey.to_hex()) => None,
            Kind::TextNote | Kind::Reaction | Kind::Comment | Kind::EventDeletion if knows(&event.pubkey.to_hex()) => {
                None
            }
            kind if kind == DECISION && knows(&event.pubkey.to_hex()) => None,
            _ => Some("only what the gateway and its people say to each other is kept here"),
        }
    }
}

fn to(event: &Event) -> impl Iterator<Item = &str> {
    let tags = event.tags.iter().map(|tag| tag.as_slice()).filter(|tag| tag.first().is_some_and(|name| name == "p"));
    tags.filter_map(|tag| tag.get(1)).map(String::as_str)
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("House")
    }
}

impl WritePolicy for House {
    fn admit_event<'a>(&'a self, event: &'a Event, _: &'a SocketAddr) -> BoxedFuture<'a, PolicyResult> {
        let result = match self.refuses(event) {
            None => PolicyResult::Accept,
            Some(why) => PolicyResult::Reject(why.to_owned()),
        };
        std::future::ready(result).boxed()
    }
}
