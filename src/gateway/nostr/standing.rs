//! The questions that stay open at a relay: which they are, and when one is put again that the relay has
//! closed, that could not be heard, or that asks for something else by now.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::awaited::Awaited;
use super::intake::OPEN;
use crate::channel::nostr::nostr_sdk::{EventId, Filter, Kind, PublicKey, SubscriptionId, Timestamp as Seconds};

/// The times of wraps are made up: they lie so far back.
const WRAPS_SPREAD: i64 = 2 * 86_400;
/// Clocks differ, and relays take their time.
const OVERLAP: i64 = 600;
/// An answer may be dated so long before its request was made.
const BEFORE_ASKED: i64 = 120;
/// Where a place cannot be right, so much is read again: what names no request counts for so long.
const MEANT_FOR: i64 = 86_400;
/// The first wait after a question was refused; it doubles.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// The longest such wait.
const ASK_AGAIN_MAX: Duration = Duration::from_secs(300);
/// What is due so soon is asked at once.
const TOGETHER: Duration = Duration::from_millis(100);

/// What is asked on a connection; the ids are the same for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// What is wrapped for us.
    Private,
    /// What our people say to us in the open.
    Open,
    /// What they say in the open under our notes, whether they name us or not.
    Threads,
    /// Where they take private messages.
    Lists,
}

impl Question {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Private, Self::Open, Self::Threads, Self::Lists];

    /// Its id at the relay.
    pub fn id(self) -> SubscriptionId {
        SubscriptionId::new(match self {
            Self::Private => "lazarus-private",
            Self::Open => "lazarus-open",
            Self::Threads => "lazarus-threads",
            Self::Lists => "lazarus-lists",
        })
    }

    /// What it asks for, where all up to the second `from` was read. None if nobody could say such a thing. There
    /// is no limit: it would cut what an outage withheld.
    pub fn filter(self, us: PublicKey, keys: &[String], awaited: &Awaited, from: i64) -> Option<Filter> {
        let since = self.since(from, awaited);
        let authors: BTreeSet<PublicKey> = keys.iter().filter_map(|key| PublicKey::from_hex(key).ok()).collect();
        if self == Self::Private {
            return Some(Filter::new().kind(Kind::GiftWrap).pubkey(us).since(since));
        }
        if authors.is_empty() {
            return None;
        }
        match self {
            // A relay gives so many events and no more: strangers must not take the place of those who count.
            Self::Open => Some(Filter::new().kinds(OPEN).pubkey(us).authors(authors).since(since)),
            Self::Threads => {
                let notes: Vec<EventId> = awaited.notes.iter().filter_map(|id| EventId::from_hex(id).ok()).collect();
                let asked = Filter::new().kinds(OPEN).events(notes.iter().copied()).authors(authors).since(since);
                (!notes.is_empty()).then_some(asked)
            }
            Self::Lists => Some(Filter::new().kind(Kind::InboxRelays).authors(authors)),
            Self::Private => None,
        }
    }

    /// Since when, where all up to `from` was read: an answer may be as old as its request and reach a relay only
    /// now, so what is open is always asked for from its beginning.
    pub fn since(self, from: i64, awaited: &Awaited) -> Seconds {
        let asked = awaited.since.map(|at| at.as_secs().saturating_sub(BEFORE_ASKED));
        let read = from.saturating_sub(OVERLAP);
        let since = asked.map_or(read, |asked| asked.min(read));
        let spread = if self == Self::Private { WRAPS_SPREAD } else { 0 };
        Seconds::from(u64::try_from(since.saturating_sub(spread)).unwrap_or(0))
    }
}

/// Up to which second a relay was read, by what was kept of it. A place ahead of our clock is none, for one of
/// the two clocks was wrong; nor is what cannot be read.
pub fn read_until(kept: Option<&str>, now: i64) -> i64 {
    match kept.map(str::parse::<i64>) {
        Some(Ok(at)) if (0..=now).contains(&at) => at,
        Some(_) => now.saturating_sub(MEANT_FOR),
        None => now,
    }
}

/// Which questions are open, and when the others are put.
#[derive(Debug)]
pub struct Standing {
    due: [Option<Instant>; 4],
    open: [bool; 4],
    refusals: u32,
    refused: bool,
}

impl Standing {
    /// None is open; all are due.
    pub fn new(now: Instant) -> Self {
        Self { due: [Some(now); 4], open: [false; 4], refusals: 0, refused: false }
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.iter().flatten().min().copied()
    }

    /// Those that are due, to be put now.
    pub fn take(&mut self, now: Instant) -> Vec<Question> {
        self.refused = false;
        let due = Question::ALL.into_iter().zip(&mut self.due);
        due.filter_map(|(question, due)| due.take_if(|at| *at <= now + TOGETHER).map(|_| question)).collect()
    }

    /// `question` was put, or there was nothing to ask; tells whether it was open before.
    pub fn put(&mut self, question: Question, open: bool) -> bool {
        self.open.get_mut(question as usize).is_some_and(|was| std::mem::replace(was, open))
    }

    /// The relay has closed `id`; tells how many refusals in a row that makes, if the question is one of these.
    /// Those that are refused together are one refusal.
    pub fn closed(&mut self, id: &SubscriptionId, now: Instant) -> Option<u32> {
        let question = Question::ALL.into_iter().find(|question| question.id() == *id)?;
        // Some relays confirm that we have closed one ourselves.
        if !self.put(question, false) {
            return None;
        }
        let due = self.due.get_mut(question as usize)?;
        self.refusals += u32::from(!std::mem::replace(&mut self.refused, true));
        due.get_or_insert(now + refused_wait(self.refusals));
        Some(self.refusals)
    }

    /// `question` asks for something else: it is put again at `at`, unless it waits after a refusal.
    pub fn changed(&mut self, question: Question, at: Instant) {
        if let Some(due) = self.due.get_mut(question as usize) {
            due.get_or_insert(at);
        }
    }

    /// Any of them may be closed without our knowing.
    pub fn doubt(&mut self, now: Instant) {
        self.due = [Some(now); 4];
    }

    /// The relay takes them.
    pub fn taken(&mut self) {
        self.refusals = 0;
    }
}

fn refused_wait(refusals: u32) -> Duration {
    ASK_AGAIN.saturating_mul(1 << refusals.saturating_sub(1).min(10)).min(ASK_AGAIN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Timestamp;

    #[test]
    fn a_place_that_cannot_be_right_loses_nothing() {
        let now = 1_790_000_000;
        for (kept, expected) in [
            (None, now),
            (Some("1789999000"), 1_789_999_000),
            (Some("1790000000"), now),
            (Some("0"), 0),
            (Some("1790000001"), now - 86_400),
            (Some("9223372036854775807"), now - 86_400),
            (Some("-5"), now - 86_400),
            (Some("99999999999999999999"), now - 86_400),
            (Some(""), now - 86_400),
            (Some("yesterday"), now - 86_400),
        ] {
            assert_eq!(read_until(kept, now), expected, "{kept:?}");
        }
    }

    #[test]
    fn what_is_open_is_asked_for_from_its_beginning() {
        let day = 86_400;
        let from = 1_790_000_000;
        let asked = |at: i64| Awaited { since: Some(Timestamp::from_millis(at * 1000)), notes: BTreeSet::new() };
        for (awaited, open) in [
            (Awaited::default(), from - 600),
            (asked(from), from - 600),
            (asked(from - 480), from - 600),
            (asked(from - 481), from - 601),
            (asked(from - day), from - day - 120),
            (asked(5), 0),
        ] {
            let since = |question: Question| question.since(from, &awaited).as_secs() as i64;
            assert_eq!(since(Question::Open), open, "{awaited:?}");
            assert_eq!(since(Question::Threads), open, "{awaited:?}");
            assert_eq!(since(Question::Private), (open - 2 * day).max(0), "{awaited:?}");
        }
    }

    #[test]
    fn nobody_is_asked_for_what_nobody_could_say() {
        let us = PublicKey::from_hex(&"7".repeat(64)).unwrap();
        let note = "a".repeat(64);
        let awaited = Awaited { since: None, notes: BTreeSet::from([note.clone()]) };
        let filter = |question: Question, keys: &[String], awaited: &Awaited| {
            question.filter(us, keys, awaited, 1000).map(|filter| serde_json::to_value(filter).unwrap())
        };
        let keys = ["8".repeat(64)];
        for question in [Question::Open, Question::Threads, Question::Lists] {
            assert_eq!(filter(question, &[], &awaited), None);
        }
        assert_eq!(filter(Question::Threads, &keys, &Awaited::default()), None);
        let threads = filter(Question::Threads, &keys, &awaited).unwrap();
        assert_eq!((&threads["#e"][0], &threads["authors"][0]), (&note.into(), &keys[0].clone().into()));
        assert!(threads["#p"].is_null() && threads["limit"].is_null());
    }

    #[test]
    fn what_is_refused_is_asked_again_later_and_later() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let put = |standing: &mut Standing, now: Instant| {
            let due = standing.take(now);
            for question in &due {
                standing.put(*question, true);
            }
            due
        };
        let mut standing = Standing::new(start);
        assert_eq!(standing.closed(&Question::Open.id(), start), None, "it was not put yet");
        assert_eq!(put(&mut standing, start), Question::ALL);
        assert_eq!((standing.next(), standing.closed(&SubscriptionId::new("foreign"), start)), (None, None));
        // Two that are refused together are one refusal, and are put again together.
        assert_eq!(standing.closed(&Question::Open.id(), at(10)), Some(1));
        assert_eq!(standing.closed(&Question::Private.id(), at(20)), Some(1));
        assert_eq!(standing.next(), Some(at(2_010)));
        // What changes meanwhile waits with them.
        standing.changed(Question::Open, at(500));
        standing.changed(Question::Threads, at(600));
        assert_eq!(standing.take(at(600)), [Question::Threads]);
        assert!(standing.put(Question::Threads, false), "there is nothing to ask any more, so it is closed");
        assert_eq!(standing.closed(&Question::Threads.id(), at(700)), None, "which the relay may confirm");
        assert_eq!(put(&mut standing, at(2_010)), [Question::Private, Question::Open]);
        assert_eq!(standing.closed(&Question::Open.id(), at(3_000)), Some(2));
        assert_eq!(standing.next(), Some(at(7_000)));
        for (refusal, wait) in [(3, 8_000), (4, 16_000), (5, 32_000)] {
            let now = standing.next().unwrap();
            put(&mut standing, now);
            assert_eq!(standing.closed(&Question::Open.id(), now), Some(refusal));
            assert_eq!(standing.next(), Some(now + Duration::from_millis(wait)));
        }
        standing.doubt(at(5));
        standing.taken();
        assert_eq!(put(&mut standing, at(5)), Question::ALL);
        assert_eq!(standing.closed(&Question::Lists.id(), at(6)), Some(1));
        assert_eq!(refused_wait(50), Duration::from_secs(300));
    }
}
