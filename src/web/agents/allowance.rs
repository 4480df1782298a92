use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most whose share is remembered; beyond, those who have all of theirs left are forgotten.
const REMEMBERED: usize = 4096;

/// So many at once for each, and so many a second after that.
#[derive(Debug)]
pub struct Allowance<K> {
    at_once: f64,
    a_second: f64,
    left: Mutex<BTreeMap<K, (f64, Instant)>>,
}

impl<K: Ord + Clone> Allowance<K> {
    /// `at_once`, and then `a_second` (above 0).
    pub fn new(at_once: u32, a_second: f64) -> Self {
        Self { at_once: at_once.max(1).into(), a_second, left: Mutex::default() }
    }

    /// Takes one from `who`'s share; else how long until there is one again.
    ///
    /// # Errors
    /// The wait, if nothing is left.
    pub fn take(&self, who: &K, now: Instant) -> Result<(), Duration> {
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED && !all.contains_key(who) {
            all.retain(|_, (left, at)| *left + self.since(*at, now) < self.at_once);
            // Everybody takes at once: begin anew rather than grow.
            if all.len() >= REMEMBERED {
                all.clear();
            }
        }
        let (left, at) = all.entry(who.clone()).or_insert((self.at_once, now));
        *left = (*left + self.since(*at, now)).min(self.at_once);
        *at = now;
        if *left >= 1.0 {
            *left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(((1.0 - *left) / self.a_second).min(3600.0)))
    }

    fn since(&self, at: Instant, now: Instant) -> f64 {
        now.saturating_duration_since(at).as_secs_f64() * self.a_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_share_of_its_own_that_grows_again() {
        let allowance = Allowance::new(2, 10.0);
        let now = Instant::now();
        assert_eq!((allowance.take(&"ada", now), allowance.take(&"ada", now)), (Ok(()), Ok(())));
        let wait = allowance.take(&"ada", now).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(allowance.take(&"bob", now), Ok(()));
        assert_eq!(allowance.take(&"ada", now + wait), Ok(()));
        assert!(allowance.take(&"ada", now + wait).is_err());
    }

    #[test]
    fn a_flood_of_names_does_not_grow_without_end() {
        let allowance = Allowance::new(1, 1.0);
        let now = Instant::now();
        for who in 0..3 * REMEMBERED {
            let _ = allowance.take(&who, now);
        }
        assert!(allowance.left.lock().unwrap().len() <= REMEMBERED);
    }
}
