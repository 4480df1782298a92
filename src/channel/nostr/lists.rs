//! What the gateway says of itself, without which most clients let nobody answer it in private, and where
//! people want their private messages.

use nostr_sdk::{Kind, PublicKey, RelayUrl, Tag, Timestamp as Seconds, UnsignedEvent};

use super::verified::Verified;

/// Relays of somebody's list that are written to: the first ones. Nobody needs more, and a list of fifty would
/// be a way to make us call fifty hosts.
pub const RELAYS_MAX: usize = 5;

/// The gateway's own profile (kind 0), its relays (10002), and where it takes private messages (10050).
pub fn own(us: PublicKey, name: &str, relays: &[RelayUrl], at: Seconds) -> [UnsignedEvent; 3] {
    let about = "Asks people before it revives the dead. Answer by replying, in private or in the thread.";
    let profile = serde_json::json!({ "name": name, "about": about, "bot": true }).to_string();
    let tags = |name: &str| -> Vec<Tag> {
        relays.iter().filter_map(|relay| Tag::parse([name, relay.as_str()]).ok()).collect()
    };
    [
        UnsignedEvent::new(us, at, Kind::Metadata, Vec::<Tag>::new(), profile),
        UnsignedEvent::new(us, at, Kind::RelayList, tags("r"), ""),
        UnsignedEvent::new(us, at, Kind::InboxRelays, tags("relay"), ""),
    ]
}

/// Where the author of a list of kind 10050 takes private messages: the first few that are relays at all.
pub fn inbox_relays(list: &Verified) -> Vec<RelayUrl> {
    let mut relays: Vec<RelayUrl> = Vec::new();
    if list.event().kind != Kind::InboxRelays {
        return relays;
    }
    for tag in list.event().tags.iter().map(Tag::as_slice) {
        let ["relay", url, ..] = tag.iter().map(String::as_str).collect::<Vec<_>>()[..] else { continue };
        let Ok(url) = RelayUrl::parse(url) else { continue };
        if !relays.contains(&url) && relays.len() < RELAYS_MAX {
            relays.push(url);
        }
    }
    relays
}
