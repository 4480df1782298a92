use nostr_sdk::Tags;

use super::verified::Verified;
use crate::pool::Timestamp;

/// Characters of a line that are read: the longest command has far fewer.
const LINE_MAX: usize = 2_000;

/// Something that was said on Nostr, and is proven to have been said by its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// The author's public key, in lower-case hexadecimal.
    pub author: String,
    /// The id of the event or rumor: the hash of all the rest.
    pub id: String,
    /// When, as its author says.
    pub said_at: Timestamp,
    /// What kind of event it is.
    pub kind: u16,
    /// Its tags.
    pub tags: Vec<Vec<String>>,
    /// Its text.
    pub content: String,
    /// Only the author and we can read it.
    pub is_private: bool,
}

impl Utterance {
    /// Of an event that was signed.
    pub(super) fn of_signed(event: &Verified, is_private: bool) -> Self {
        let event = event.event();
        Self {
            author: event.pubkey.to_hex(),
            id: event.id.to_hex(),
            said_at: seconds(event.created_at.as_secs()),
            kind: event.kind.as_u16(),
            tags: plain(&event.tags),
            content: event.content.clone(),
            is_private,
        }
    }

    /// The values of all tags of that name, in order.
    pub fn tagged<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.tags.iter().filter(move |tag| tag.first().is_some_and(|first| first == name)).filter_map(|tag| {
            let value = tag.get(1)?;
            Some(value.as_str())
        })
    }

    /// Whether it names that public key.
    pub fn is_for(&self, key: &str) -> bool {
        self.tagged("p").any(|one| one == key)
    }
}

/// Seconds as people's clocks give them; what is beyond a number of ours is as late as can be.
pub(super) fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000))
}

pub(super) fn plain(tags: &Tags) -> Vec<Vec<String>> {
    tags.iter().map(|tag| tag.as_slice().to_vec()).collect()
}

/// What of a text is a line of the grammar: without whom it is addressed to, which clients write first.
pub fn line(content: &str) -> String {
    let mut rest = content.trim();
    while let Some((word, more)) = rest.split_once(char::is_whitespace)
        && is_mention(word)
    {
        rest = more.trim_start();
    }
    rest.chars().take(LINE_MAX).collect()
}

fn is_mention(word: &str) -> bool {
    let word = word.strip_prefix("nostr:").or_else(|| word.strip_prefix('@')).unwrap_or(word);
    word.starts_with("npub1") || word.starts_with("nprofile1")
}
