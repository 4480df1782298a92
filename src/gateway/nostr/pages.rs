use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Ids that one catch-up remembers at most; what comes beyond counts as new, and ends by its time.
const IDS_MAX: usize = 1 << 20;

/// What each running question to a relay has brought so far. The library tells only that a question was
/// answered, and its intake is where the events are seen.
#[derive(Debug, Default)]
pub struct Pages(Mutex<BTreeMap<String, Page>>);

/// One page.
#[derive(Debug, Default)]
pub struct Page {
    /// How many events it has.
    pub events: u64,
    /// How many of them no page before it had.
    pub new: u64,
    /// The time of the oldest, in seconds.
    pub oldest: Option<u64>,
    ids: HashSet<[u8; 32]>,
}

impl Pages {
    /// Begins to count for the questions of `relay`.
    pub fn begin(&self, relay: &str) {
        self.lock().insert(relay.to_owned(), Page::default());
    }

    /// An event came in answer to a question of `relay`.
    pub fn note(&self, relay: &str, id: [u8; 32], created_at: u64) {
        let mut pages = self.lock();
        let Some(page) = pages.get_mut(relay) else { return };
        page.events += 1;
        page.oldest = Some(page.oldest.map_or(created_at, |oldest| oldest.min(created_at)));
        if page.ids.len() >= IDS_MAX || page.ids.insert(id) {
            page.new += 1;
        }
    }

    /// How many events the page has by now.
    pub fn so_far(&self, relay: &str) -> u64 {
        self.lock().get(relay).map_or(0, |page| page.events)
    }

    /// What the page had; the next one begins.
    pub fn turn(&self, relay: &str) -> Page {
        let mut pages = self.lock();
        let Some(page) = pages.get_mut(relay) else { return Page::default() };
        let turned = Page { events: page.events, new: page.new, oldest: page.oldest, ids: HashSet::new() };
        (page.events, page.new, page.oldest) = (0, 0, None);
        turned
    }

    /// Nothing more is counted.
    pub fn end(&self, relay: &str) {
        self.lock().remove(relay);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Page>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
