//! How fast we may send. Telegram tells no limits; it answers 429. So there is none until it has spoken,
//! and from then on we stay a little below what it has just let through, and try a little more from time
//! to time.

use std::collections::VecDeque;
use std::time::Duration;

/// What is looked back on to know how much was let through.
const WINDOW: Duration = Duration::from_secs(1);
/// How much of that is asked for afterwards.
const CAREFUL: f64 = 0.9;
/// After so long without a refusal, a little more is tried.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much more.
const BOLDER: f64 = 1.1;
/// Beyond so many a second there is no point in holding back.
const ENOUGH: f64 = 500.0;
/// Never slower than this, in messages a second.
const LEAST: f64 = 0.5;

/// The pace over all chats. Times are on a clock that never jumps.
#[derive(Debug, Default)]
pub struct Pace {
    /// Messages a second; none: as fast as they come.
    rate: Option<f64>,
    /// When the next one may go.
    next: Duration,
    /// When the last refusal came, or more was tried last.
    changed: Duration,
    let_through: VecDeque<Duration>,
}

impl Pace {
    /// Takes the next place; it is to be waited for this long.
    pub fn reserve(&mut self, now: Duration) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        if now.saturating_sub(self.changed) > PATIENCE {
            self.changed = now;
            let more = rate * BOLDER;
            self.rate = (more < ENOUGH).then_some(more);
        }
        let at = self.next.max(now);
        self.next = at + Duration::from_secs_f64(1.0 / rate);
        at - now
    }

    /// A message went through.
    pub fn went_through(&mut self, now: Duration) {
        self.forget_before(now);
        self.let_through.push_back(now);
    }

    /// A message was refused for being too many; it is to be tried again after `after`.
    pub fn refused(&mut self, now: Duration, after: Duration) {
        self.forget_before(now);
        let seen = self.let_through.len() as f64 / WINDOW.as_secs_f64();
        // Several were on their way when the first was refused: they say the same thing once.
        let same = self.rate.is_some() && now.saturating_sub(self.changed) < WINDOW;
        if !same {
            let slower = self.rate.map_or(seen, |rate| rate.min(seen.max(rate / 2.0)));
            self.rate = Some((slower * CAREFUL).max(LEAST));
            self.changed = now;
        }
        // The whole bot rests for a moment; whether the chat must wait longer is between it and Telegram.
        self.next = self.next.max(now + after.min(WINDOW));
    }

    fn forget_before(&mut self, now: Duration) {
        while self.let_through.front().is_some_and(|at| now.saturating_sub(*at) > WINDOW) {
            self.let_through.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that lets `limit` through in each second of the clock, asked by `at_once` senders.
    fn play(limit: usize, messages: usize, at_once: usize) -> (usize, Duration) {
        let mut pace = Pace::default();
        let (mut now, mut calls) = (Duration::ZERO, 0);
        let mut seconds: std::collections::BTreeMap<u64, usize> = Default::default();
        let mut ready: Vec<Duration> = vec![Duration::ZERO; at_once];
        let mut left = messages;
        while left > 0 {
            let (sender, at) = ready.iter().copied().enumerate().min_by_key(|(_, at)| *at).unwrap();
            now = now.max(at);
            let wait = pace.reserve(now);
            if !wait.is_zero() {
                // Its place is kept: the call is made then.
                now += Duration::ZERO;
            }
            let then = now + wait;
            calls += 1;
            let in_this_second = seconds.entry(then.as_secs()).or_default();
            if *in_this_second < limit {
                *in_this_second += 1;
                left -= 1;
                pace.went_through(then);
                ready[sender] = then + Duration::from_millis(2);
            } else {
                pace.refused(then, Duration::from_secs(1));
                ready[sender] = then + Duration::from_secs(1);
            }
        }
        (calls, now)
    }

    #[test]
    fn without_a_word_from_telegram_nothing_waits() {
        let mut pace = Pace::default();
        assert!((0..5000).all(|n| pace.reserve(Duration::from_millis(n)).is_zero()));
    }

    #[test]
    fn under_a_limit_few_calls_are_wasted() {
        for limit in [20, 30] {
            let (calls, took) = play(limit, 300, 8);
            assert!(calls <= 330, "{calls} calls at a limit of {limit}");
            assert!(took < Duration::from_secs(25), "{took:?} at a limit of {limit}");
        }
    }

    #[test]
    fn after_a_while_more_is_tried() {
        let mut pace = Pace::default();
        for n in 0..30 {
            pace.went_through(Duration::from_millis(n));
        }
        pace.refused(Duration::from_millis(30), Duration::from_secs(1));
        let slow = pace.rate.unwrap();
        assert!((26.0..28.0).contains(&slow), "{slow}");
        let mut now = Duration::from_secs(2);
        for _ in 0..400 {
            now += PATIENCE + Duration::from_millis(1);
            pace.reserve(now);
        }
        assert_eq!(pace.rate, None);
    }
}
