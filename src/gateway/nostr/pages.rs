use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

/// Ids that one catch-up remembers at most; what comes beyond counts as new, and ends by its time.
const IDS_MAX: usize = 1 << 20;
/// Every question for a page begins with this.
const QUESTION: &str = "lazarus-page-";
/// The question's id stands so near to the beginning of an answer, in bytes.
const HEAD: usize = 256;

/// What each running question to a relay has brought so far. The library tells only that a question was
/// answered, and shows nothing of an event that has expired or was forged; so what comes is counted where it
/// leaves the connection, before anybody has judged it.
#[derive(Debug, Default)]
pub struct Pages(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    pages: BTreeMap<String, Page>,
    asked: u64,
}

/// One page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turned {
    /// How many events it has.
    pub events: u64,
    /// How many of them no page before it had.
    pub new: u64,
    /// The time of the oldest, in seconds.
    pub oldest: Option<u64>,
}

#[derive(Debug, Default)]
struct Page {
    question: String,
    has: Turned,
    /// The relay has said that this was all: what comes now has only just been made.
    over: bool,
    longest: u64,
    ids: HashSet<String>,
}

/// As much of an answer as a page needs; whether any of it is true is judged elsewhere.
#[derive(Deserialize)]
struct Answer<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>, #[serde(borrow)] std::borrow::Cow<'a, str>, Outline);

#[derive(Deserialize)]
struct Outline {
    id: String,
    created_at: u64,
}

impl Pages {
    /// Begins to count for the questions of `relay`.
    pub fn begin(&self, relay: &str) {
        self.lock().pages.insert(relay.to_owned(), Page::default());
    }

    /// The id of the next question to `relay`. None is used twice: a late word about one page ends no other.
    pub fn ask(&self, relay: &str) -> String {
        let mut inner = self.lock();
        inner.asked += 1;
        let question = format!("{QUESTION}{}", inner.asked);
        if let Some(page) = inner.pages.get_mut(relay) {
            page.question.clone_from(&question);
            (page.has, page.over) = (Turned::default(), false);
        }
        question
    }

    /// `relay` says `text`.
    pub fn overhear(&self, relay: &str, text: &str) {
        // Hardly any text belongs to a page, so it is not read before that is clear.
        let head = text.as_bytes().get(..HEAD).unwrap_or(text.as_bytes());
        if !head.windows(QUESTION.len()).any(|part| part == QUESTION.as_bytes()) {
            return;
        }
        let Ok(Answer(word, question, outline)) = serde_json::from_str(text) else {
            return match serde_json::from_str::<(String, String)>(text) {
                Ok((word, question)) if word == "EOSE" => self.ended(relay, &question),
                _ => self.note(relay, text, None),
            };
        };
        if word == "EVENT" {
            self.note(relay, &question, Some(outline));
        }
    }

    fn ended(&self, relay: &str, question: &str) {
        if let Some(page) = self.lock().pages.get_mut(relay).filter(|page| page.question == question) {
            page.over = true;
        }
    }

    fn note(&self, relay: &str, question: &str, outline: Option<Outline>) {
        let mut inner = self.lock();
        let Some(page) = inner.pages.get_mut(relay).filter(|page| !page.over) else { return };
        let Some(Outline { id, created_at }) = outline else {
            // An event whose time nobody can read: it stands at no place of the page.
            let is_event = question.contains("\"EVENT\"") && question.contains(&format!("\"{}\"", page.question));
            page.has.events += u64::from(is_event);
            return;
        };
        if page.question != *question {
            return;
        }
        page.has.events += 1;
        page.longest = page.longest.max(page.has.events);
        page.has.oldest = Some(page.has.oldest.map_or(created_at, |oldest| oldest.min(created_at)));
        if page.ids.len() >= IDS_MAX || page.ids.insert(id) {
            page.has.new += 1;
        }
    }

    /// What the page has by now.
    pub fn so_far(&self, relay: &str) -> Turned {
        self.lock().pages.get(relay).map_or_else(Turned::default, |page| page.has)
    }

    /// How many events the longest page had since [`Self::begin`].
    pub fn longest(&self, relay: &str) -> u64 {
        self.lock().pages.get(relay).map_or(0, |page| page.longest)
    }

    /// Whether a page since [`Self::begin`] had the event of that id.
    pub fn has(&self, relay: &str, id: &str) -> bool {
        self.lock().pages.get(relay).is_some_and(|page| page.ids.contains(id))
    }

    /// Nothing more is counted.
    pub fn end(&self, relay: &str) {
        self.lock().pages.remove(relay);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_what_came_for_its_question_and_nothing_else() {
        let pages = Pages::default();
        pages.overhear("a", r#"["EVENT","lazarus-page-1",{"id":"x","created_at":5}]"#);
        pages.begin("a");
        let first = pages.ask("a");
        let event = |question: &str, id: &str, at: &str| {
            pages.overhear("a", &format!(r#"["EVENT","{question}",{{"kind":1,"id":"{id}","created_at":{at}}}]"#));
        };
        event(&first, "x", "5");
        event(&first, "y", "3");
        event("lazarus-private", "z", "1");
        pages.overhear("b", &format!(r#"["EVENT","{first}",{{"id":"z","created_at":1}}]"#));
        pages.overhear("a", &format!(r#"["EOSE","{first}"]"#));
        event(&first, "after the end", "2");
        assert_eq!(pages.so_far("a"), Turned { events: 2, new: 2, oldest: Some(3) });
        let second = pages.ask("a");
        event(&first, "z", "1");
        pages.overhear("a", &format!(r#"["EOSE","{first}"]"#));
        event(&second, "y", "3");
        assert_eq!(pages.so_far("a"), Turned { events: 1, new: 0, oldest: Some(3) });
        pages.ask("a");
        event("lazarus-page-3", "w", "1.5");
        event("lazarus-page-3", "w", "-1");
        assert_eq!(pages.so_far("a"), Turned { events: 2, new: 0, oldest: None });
        assert_eq!((pages.longest("a"), pages.longest("b")), (2, 0));
        assert!(pages.has("a", "x") && !pages.has("a", "z") && !pages.has("b", "x"));
        pages.end("a");
        assert_eq!(pages.so_far("a"), Turned::default());
    }
}
