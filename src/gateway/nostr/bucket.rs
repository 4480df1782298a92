//! How fast a relay may make us work. The rates lie above any flood that is to be borne: whoever waits here
//! waits with everything behind it on the same relay, a good answer too, so what is turned away cheaply must
//! never come to wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::channel::nostr::nostr_sdk::RelayUrl;

/// Events a second of one relay that are looked at, and so many more at once.
const OF_ONE: (u32, u32) = (15_000, 30_000);
/// Of all relays together.
const OF_ALL: (u32, u32) = (25_000, 50_000);

/// A token bucket that may owe: whoever takes one that is not there waits until it would be. So nobody is
/// turned away, and what each waits is told at once.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    each: Duration,
    most: Duration,
    /// When it would have been empty if nobody took any more, all that it can hold later than it was: so one
    /// that has just been made is full.
    empty_at: Duration,
}

impl Bucket {
    /// A full one, of `most` tokens, that gets `rate` a second.
    pub fn new((rate, most): (u32, u32)) -> Self {
        let each = Duration::from_secs(1) / rate.max(1);
        Self { each, most: each * most, empty_at: Duration::ZERO }
    }

    /// Takes one at `now`, counted from any moment that stays the same; tells how long to wait for it.
    pub fn take(&mut self, now: Duration) -> Duration {
        // What it holds is the time that it has filled for, and never more than it can hold.
        self.empty_at = self.empty_at.max(now) + self.each;
        self.empty_at.saturating_sub(now + self.most)
    }
}

/// The buckets of all relays.
#[derive(Debug)]
pub struct Buckets(Mutex<(BTreeMap<RelayUrl, Bucket>, Bucket)>);

impl Default for Buckets {
    fn default() -> Self {
        Self(Mutex::new((BTreeMap::new(), Bucket::new(OF_ALL))))
    }
}

impl Buckets {
    /// Takes one of `relay`'s and one of everybody's; tells how long to wait.
    pub fn take(&self, relay: &RelayUrl, now: Duration) -> Duration {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (of_each, of_all) = &mut *buckets;
        let own = match of_each.get_mut(relay) {
            Some(own) => own.take(now),
            // Only relays of the configuration are read, so there are few.
            None => of_each.entry(relay.clone()).or_insert_with(|| Bucket::new(OF_ONE)).take(now),
        };
        own.max(of_all.take(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_bucket_gives_what_it_has_and_then_at_its_rate() {
        // A hundred a second, five at once: when somebody comes, and how long they wait.
        let story = [
            (1_000, 0),
            (1_000, 0),
            (1_000, 0),
            (1_000, 0),
            (1_000, 0),
            (1_000, 10),
            (1_000, 20),
            // Ten were owed for by now, and more.
            (1_030, 0),
            (1_030, 10),
            // A clock that stands still, or goes back, gives nothing.
            (1_020, 30),
            // An hour's rest fills it, and no more than that.
            (3_600_000, 0),
            (3_600_000, 0),
            (3_600_000, 0),
            (3_600_000, 0),
            (3_600_000, 0),
            (3_600_000, 10),
        ];
        let mut bucket = Bucket::new((100, 5));
        for (number, (at, waits)) in story.into_iter().enumerate() {
            assert_eq!(bucket.take(ms(at)), ms(waits), "number {number}, at {at} ms");
        }
        // One that has just been made is full, whenever that is.
        assert_eq!(Bucket::new((100, 5)).take(ms(1_000)), ms(0));
    }

    #[test]
    fn one_relay_waits_for_itself_and_no_flood_that_is_to_be_borne_waits() {
        let buckets = Buckets::default();
        let (a, b) = (RelayUrl::parse("wss://a").unwrap(), RelayUrl::parse("wss://b").unwrap());
        let second = Duration::from_secs(1);
        // Ten seconds of ten thousand a second.
        for number in 0..100_000u32 {
            assert_eq!(buckets.take(&a, second * 10 + second * number / 10_000), Duration::ZERO, "number {number}");
        }
        let now = second * 30;
        let last = (0..40_000).map(|_| buckets.take(&a, now)).max();
        assert!(last > Some(Duration::from_millis(600)), "{last:?}");
        assert_eq!(buckets.take(&b, now), Duration::ZERO);
    }
}
