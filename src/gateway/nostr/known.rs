use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::channel::nostr::nostr_sdk::{EventId, Timestamp as Seconds};

/// Wraps that are remembered: some 4 MB at most. Of more, those with the oldest times are forgotten; they
/// would be the first that nobody asks for again.
const MAX: usize = 65_536;

/// The wraps that were worked off, whatever came of them, so that a relay need not give them again. What is
/// here was in our hands: its id was computed, and said that it is exactly this wrap.
#[derive(Debug, Default)]
pub struct Known(Mutex<BTreeSet<(u64, EventId)>>);

impl Known {
    /// A wrap of that time is done with.
    pub fn insert(&self, at: Seconds, id: EventId) {
        let mut known = self.lock();
        known.insert((at.as_secs(), id));
        if known.len() > MAX {
            known.pop_first();
        }
    }

    /// Whether that wrap is done with.
    pub fn contains(&self, at: Seconds, id: EventId) -> bool {
        self.lock().contains(&(at.as_secs(), id))
    }

    /// Those since then.
    pub fn since(&self, since: Seconds) -> Vec<(Seconds, EventId)> {
        let known = self.lock();
        let first = (since.as_secs(), EventId::all_zeros());
        known.range(first..).map(|(at, id)| (Seconds::from(*at), *id)).collect()
    }

    /// Whoever was a stranger may be none from now on, so nothing is done with.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(u64, EventId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> EventId {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&number.to_be_bytes());
        EventId::from_byte_array(bytes)
    }

    #[test]
    fn those_of_a_time_are_found_and_the_oldest_give_way() {
        let known = Known::default();
        for (at, number) in [(5, 1), (7, 2), (7, 0), (9, 3), (9, 3)] {
            known.insert(Seconds::from(at), id(number));
        }
        let since = |at| known.since(Seconds::from(at)).into_iter().map(|(at, _)| at.as_secs()).collect::<Vec<_>>();
        assert_eq!((since(0), since(7), since(8), since(10)), (vec![5, 7, 7, 9], vec![7, 7, 9], vec![9], vec![]));
        for number in 0..MAX as u64 {
            known.insert(Seconds::from(100), id(number));
        }
        assert_eq!((since(0).len(), since(0)[0]), (MAX, 100));
        assert!(known.contains(Seconds::from(100), id(7)) && !known.contains(Seconds::from(99), id(7)));
        known.forget();
        assert!(since(0).is_empty());
    }
}
