//! Somebody's client: what it gets, and what its owner says with it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nostr_sdk::nips::nip59::UnwrappedGift;
use nostr_sdk::prelude::*;
use tokio::runtime::Handle;

use crate::world::{DEADLINE, pause};

/// Something that a client shows: an open note, or a private message after unwrapping.
#[derive(Clone, Debug)]
pub struct Shown {
    pub id: EventId,
    pub author: PublicKey,
    pub kind: u16,
    pub text: String,
    pub tags: Vec<Vec<String>>,
    pub private: bool,
}

impl Shown {
    /// The value of a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag[0] == name).and_then(|tag| tag.get(1)).map(String::as_str)
    }

    /// The code that it tells.
    pub fn code(&self) -> &str {
        self.tag("code").unwrap_or_else(|| panic!("no code in {self:?}"))
    }

    /// The key that it tells.
    pub fn key(&self) -> &str {
        self.tag("approval").unwrap_or_else(|| panic!("no key in {self:?}"))
    }
}

/// A client with its owner's key.
pub struct Phone {
    pub keys: Keys,
    pub gate: PublicKey,
    client: Client,
    shown: Arc<Mutex<Vec<Shown>>>,
    handle: Handle,
}

impl Phone {
    /// Of `keys`, at the relay `url`, looking at everything from `gate`.
    pub fn new(handle: &Handle, keys: Keys, gate: PublicKey, url: &str) -> Self {
        let client = Client::new(keys.clone());
        let shown = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&shown);
        let (mine, me, at) = (client.clone(), keys.clone(), url.to_owned());
        handle.block_on(async move {
            mine.add_relay(&at).await.expect("a relay");
            mine.connect().await;
            mine.wait_for_connection(DEADLINE).await;
            let mut notes = mine.notifications();
            let reader = mine.clone();
            tokio::spawn(async move {
                while let Ok(note) = notes.recv().await {
                    let RelayPoolNotification::Event { event, .. } = note else { continue };
                    if let Some(one) = show(&reader, *event).await {
                        kept.lock().unwrap().push(one);
                    }
                }
            });
            let wraps = Filter::new().kind(Kind::GiftWrap).pubkey(me.public_key());
            let notes = Filter::new().author(gate);
            mine.subscribe(wraps, None).await.expect("a subscription");
            mine.subscribe(notes, None).await.expect("a subscription");
        });
        Self { keys, gate, client, shown, handle: handle.clone() }
    }

    /// All that was shown so far.
    pub fn all(&self) -> Vec<Shown> {
        self.shown.lock().unwrap().clone()
    }

    /// Waits for something that is shown.
    pub fn until(&self, what: impl Fn(&Shown) -> bool) -> Shown {
        let begun = Instant::now();
        loop {
            if let Some(one) = self.all().into_iter().rev().find(|one| what(one)) {
                return one;
            }
            assert!(begun.elapsed() < DEADLINE, "it was never shown; what was: {:#?}", self.all());
            pause(Duration::from_millis(20));
        }
    }

    /// Waits for a text.
    pub fn until_told(&self, text: &str) -> Shown {
        self.until(|one| one.text.contains(text))
    }

    /// The newest packet about `agent`.
    pub fn packet_about(&self, agent: &str) -> Shown {
        self.until(|one| one.tag("agent") == Some(agent))
    }

    /// A private message, with any tags more.
    pub fn writes(&self, text: &str, tags: &[&[&str]]) -> EventId {
        self.writes_at(text, tags, Timestamp::now())
    }

    /// The same by another clock.
    pub fn writes_at(&self, text: &str, tags: &[&[&str]], at: Timestamp) -> EventId {
        let mut all = vec![Tag::public_key(self.gate)];
        all.extend(tags.iter().map(|tag| Tag::parse(tag.iter().copied()).unwrap()));
        let mut rumor = UnsignedEvent::new(self.keys.public_key(), at, Kind::PrivateDirectMessage, all, text);
        let id = rumor.id();
        let wrap = self.handle.block_on(EventBuilder::gift_wrap(&self.keys, &self.gate, rumor, [])).unwrap();
        self.publishes(&wrap);
        id
    }

    /// Answers `packet` as most clients do in private.
    pub fn replies(&self, packet: &Shown, text: &str) -> EventId {
        self.writes(text, &[&["e", &packet.id.to_hex()]])
    }

    /// Answers `note` in the open.
    pub fn replies_openly(&self, note: &Shown, text: &str) -> EventId {
        let (id, gate) = (note.id.to_hex(), self.gate.to_hex());
        self.says(1, &[&["e", &id, "", "root"], &["p", &gate]], text)
    }

    /// An event of any kind, signed.
    pub fn signs(&self, kind: u16, tags: &[&[&str]], text: &str) -> Event {
        let tags = tags.iter().map(|tag| Tag::parse(tag.iter().copied()).unwrap());
        EventBuilder::new(Kind::from_u16(kind), text)
            .tags(tags)
            .allow_self_tagging()
            .sign_with_keys(&self.keys)
            .unwrap()
    }

    /// The same, published.
    pub fn says(&self, kind: u16, tags: &[&[&str]], text: &str) -> EventId {
        let event = self.signs(kind, tags, text);
        self.publishes(&event);
        event.id
    }

    /// A decision on `packet`, not published yet.
    pub fn decides(&self, packet: &Shown, decision: &str, reason: &str) -> Event {
        let (id, gate) = (packet.id.to_hex(), self.gate.to_hex());
        let (verb, substitute) = decision.split_once(' ').map_or((decision, None), |(verb, who)| (verb, Some(who)));
        let mut tags: Vec<Vec<&str>> =
            vec![vec!["e", &id], vec!["p", &gate], vec!["approval", packet.key()], vec!["decision", verb]];
        tags.extend(substitute.map(|who| vec!["substitute", who]));
        let tags: Vec<&[&str]> = tags.iter().map(Vec::as_slice).collect();
        self.signs(4717, &tags, reason)
    }

    /// `event` in a wrap for the gateway.
    pub fn wraps(&self, event: &Event) -> Event {
        let ephemeral = Keys::generate();
        let text = nip44::encrypt(ephemeral.secret_key(), &self.gate, event.as_json(), nip44::Version::V2).unwrap();
        EventBuilder::new(Kind::GiftWrap, text).tag(Tag::public_key(self.gate)).sign_with_keys(&ephemeral).unwrap()
    }

    /// Hands an event to the relay.
    pub fn publishes(&self, event: &Event) {
        let sent = self.handle.block_on(self.client.send_event(event)).expect("it is sent");
        assert!(!sent.success.is_empty(), "no relay took it: {:?}", sent.failed);
    }
}

async fn show(client: &Client, event: Event) -> Option<Shown> {
    let plain = |tags: &Tags| tags.iter().map(|tag| tag.as_slice().to_vec()).collect();
    if event.kind != Kind::GiftWrap {
        let kind = event.kind.as_u16();
        let tags = plain(&event.tags);
        return Some(Shown { id: event.id, author: event.pubkey, kind, text: event.content, tags, private: false });
    }
    let signer = client.signer().await.ok()?;
    let UnwrappedGift { mut rumor, .. } = UnwrappedGift::from_gift_wrap(&signer, &event).await.ok()?;
    let (id, tags) = (rumor.id(), plain(&rumor.tags));
    Some(Shown { id, author: rumor.pubkey, kind: rumor.kind.as_u16(), text: rumor.content, tags, private: true })
}
