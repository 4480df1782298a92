//! How fast we may send. Telegram tells no limits; it answers 429. So there is none until it has spoken,
//! and from then on we stay a little below what it has just let through, and try a little more from time
//! to time.
//!
//! Nor does it tell whether a chat had too much, or the whole bot. A refusal is taken as its chat's own, and
//! the others go on; when another chat is refused within a second, it is the bot that sends too much.

use std::collections::{BTreeMap, VecDeque};
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

/// Beyond so many chats those that nothing is known of are forgotten.
const CHATS_MAX: usize = 1000;

/// When a message to a chat may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// After so long.
    In(Duration),
    /// Not before Telegram's pause for this chat is over, which takes so long.
    Paused(Duration),
}

/// The pace of each chat, and of the bot. Times are on a clock that never jumps.
#[derive(Debug, Default)]
pub struct Paces {
    overall: Pace,
    chats: BTreeMap<i64, OfChat>,
}

#[derive(Debug, Default)]
struct OfChat {
    pace: Pace,
    /// Telegram wants nothing for it before.
    paused_until: Duration,
    refused_at: Option<Duration>,
}

impl Paces {
    /// Takes the next place for a message to `chat`, unless the chat is paused.
    pub fn reserve(&mut self, chat: i64, now: Duration) -> Turn {
        let own = match self.chats.get_mut(&chat) {
            Some(of_chat) if of_chat.paused_until > now => return Turn::Paused(of_chat.paused_until - now),
            Some(of_chat) => of_chat.pace.reserve(now),
            None => Duration::ZERO,
        };
        Turn::In(self.overall.reserve(now).max(own))
    }

    /// A message to `chat` went through.
    pub fn went_through(&mut self, chat: i64, now: Duration) {
        self.overall.went_through(now);
        if self.chats.len() >= CHATS_MAX {
            self.chats.retain(|_, of_chat| of_chat.pace.rate.is_some() || of_chat.paused_until > now);
        }
        self.chats.entry(chat).or_default().pace.went_through(now);
    }

    /// A message to `chat` was refused for being too many; Telegram wants nothing for it before `after`.
    pub fn refused(&mut self, chat: i64, now: Duration, after: Duration) {
        let just_now = |of_chat: &OfChat| of_chat.refused_at.is_some_and(|at| now.saturating_sub(at) < WINDOW);
        let it_is_us = self.chats.iter().any(|(other, of_chat)| *other != chat && just_now(of_chat));
        let of_chat = self.chats.entry(chat).or_default();
        of_chat.paused_until = of_chat.paused_until.max(now + after);
        of_chat.refused_at = Some(now);
        if !it_is_us {
            return of_chat.pace.refused(now, after);
        }
        self.overall.refused(now, after);
        for of_chat in self.chats.values_mut().filter(|of_chat| just_now(of_chat)) {
            of_chat.pace = Pace::default();
        }
    }
}

/// One pace.
#[derive(Debug, Default)]
struct Pace {
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
    fn reserve(&mut self, now: Duration) -> Duration {
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
    fn went_through(&mut self, now: Duration) {
        self.forget_before(now);
        self.let_through.push_back(now);
    }

    /// A message was refused for being too many; it is to be tried again after `after`.
    fn refused(&mut self, now: Duration, after: Duration) {
        self.forget_before(now);
        let seen = self.let_through.len() as f64 / WINDOW.as_secs_f64();
        // Several were on their way when the first was refused: they say the same thing once.
        let same = self.rate.is_some() && now.saturating_sub(self.changed) < WINDOW;
        if !same {
            let slower = self.rate.map_or(seen, |rate| rate.min(seen.max(rate / 2.0)));
            self.rate = Some((slower * CAREFUL).max(LEAST));
            self.changed = now;
        }
        // A moment's rest; whether the chat must wait longer is between it and Telegram.
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

    /// A server that lets `limit` through in each second of the clock, asked by one sender a chat.
    fn play(limit: usize, messages: usize, chats: usize) -> (usize, Duration) {
        let mut paces = Paces::default();
        let (mut now, mut calls) = (Duration::ZERO, 0);
        let mut seconds: BTreeMap<u64, usize> = BTreeMap::new();
        let mut ready: Vec<Duration> = vec![Duration::ZERO; chats];
        let mut left = messages;
        while left > 0 {
            let (chat, at) = ready.iter().copied().enumerate().min_by_key(|(_, at)| *at).unwrap();
            now = now.max(at);
            let id = i64::try_from(chat).unwrap();
            let then = match paces.reserve(id, now) {
                Turn::In(wait) => now + wait,
                Turn::Paused(wait) => {
                    ready[chat] = now + wait;
                    continue;
                }
            };
            calls += 1;
            let in_this_second = seconds.entry(then.as_secs()).or_default();
            if *in_this_second < limit {
                *in_this_second += 1;
                left -= 1;
                paces.went_through(id, then);
                ready[chat] = then + Duration::from_millis(2);
            } else {
                paces.refused(id, then, Duration::from_secs(1));
                ready[chat] = then + Duration::from_secs(1);
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
        for (limit, chats) in [(20, 1), (30, 1), (20, 8), (30, 8), (30, 50)] {
            let (calls, took) = play(limit, 300, chats);
            assert!(calls <= 330, "{calls} calls at a limit of {limit} over {chats} chats");
            assert!(took < Duration::from_secs(25), "{took:?} at a limit of {limit} over {chats} chats");
        }
    }

    #[test]
    fn one_chat_that_had_too_much_slows_no_other() {
        let ms = Duration::from_millis;
        let mut paces = Paces::default();
        paces.went_through(1, ms(0));
        paces.refused(1, ms(10), Duration::from_secs(30));
        assert_eq!(paces.reserve(1, ms(10)), Turn::Paused(Duration::from_secs(30)));
        for n in 0..100 {
            assert_eq!(paces.reserve(2, ms(10 + n)), Turn::In(Duration::ZERO));
            paces.went_through(2, ms(10 + n));
        }
        // A second one within a second: it is the bot.
        paces.refused(3, ms(200), Duration::from_secs(1));
        assert!(matches!(paces.reserve(2, ms(201)), Turn::In(wait) if wait > ms(900)));
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
