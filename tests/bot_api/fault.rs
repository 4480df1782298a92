//! What goes wrong on demand: which calls, and how.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::BotApi;
use super::methods::ApiError;

/// Something that goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 with so many seconds in `retry_after`. Has no effect in the world.
    TooMany(u64),
    /// Any error of the API, such as `(400, "Bad Request: TOPIC_DELETED")`. No effect.
    Refuse(u16, &'static str),
    /// A status such as 502 with the API's kind of body. No effect.
    Json(u16),
    /// A status with a page of HTML, as a proxy on the way answers. No effect.
    Html(u16),
    /// Never answered. No effect.
    Hang,
    /// Carried out, but never answered.
    HangAfter,
    /// The connection is reset before anything is done.
    ResetBefore,
    /// Carried out, and the connection reset before a byte of the answer.
    LoseAnswer,
    /// Carried out, and the connection reset in the middle of the answer's body.
    ResetMidBody,
    /// Carried out; the answer is cut in the middle, as if it were whole.
    BrokenJson,
    /// Carried out, and answered after so long.
    Slow(Duration),
    /// Carried out after so long, and answered.
    Late(Duration),
    /// Carried out; so long passes before each byte of the answer.
    Drip(Duration),
    /// 409, as if another program polled with the same token, after so long. No effect.
    Conflict(Duration),
}

/// Which calls of a method it goes wrong with, counted from when the fault was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The nth one, from 1 on.
    Nth(u32),
    /// The next so many.
    Next(u32),
    /// All, until it is lifted.
    Always,
}

struct Rule {
    number: usize,
    /// In lower case; `*` for every method.
    method: String,
    /// Only in this chat.
    chat: Option<i64>,
    when: When,
    seen: u32,
    fault: Fault,
}

/// The faults asked for, and the limits.
#[derive(Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    asked: usize,
    limit: Option<Limit>,
}

/// So many messages a second may be sent, in real time.
struct Limit {
    overall: Bucket,
    per_chat: f64,
    chats: BTreeMap<String, Bucket>,
}

/// A bucket that fills steadily up to one second's worth.
#[derive(Clone, Copy)]
struct Bucket {
    rate: f64,
    left: f64,
    at: Instant,
}

impl Faults {
    /// The fault for this call, if any. The first one asked for goes first; all that match count it.
    pub(super) fn strike(&mut self, method: &str, chat: Option<i64>) -> Option<Fault> {
        let mut struck = None;
        let matching = |rule: &&mut Rule| {
            (rule.method == "*" || rule.method == method) && (rule.chat.is_none() || rule.chat == chat)
        };
        for rule in self.rules.iter_mut().filter(matching) {
            rule.seen += 1;
            let hit = match rule.when {
                When::Nth(nth) => rule.seen == nth,
                When::Next(count) => rule.seen <= count,
                When::Always => true,
            };
            if hit && struck.is_none() {
                struck = Some(rule.fault.clone());
            }
        }
        struck
    }

    /// Whether a message more is too many now.
    pub(super) fn limited(&mut self, method: &str, chat: &str) -> Option<ApiError> {
        if !method.starts_with("send") && !method.starts_with("editmessage") {
            return None;
        }
        let limit = self.limit.as_mut()?;
        let per_chat = limit.per_chat;
        let of_chat = limit.chats.entry(chat.to_owned()).or_insert_with(|| Bucket::full(per_chat));
        let wait = of_chat.wait().max(limit.overall.wait());
        if wait > 0.0 {
            // Whole seconds, at least one, as the server says it.
            return Some(ApiError::too_many(Duration::from_secs_f64(wait).as_secs() + 1));
        }
        of_chat.left -= 1.0;
        limit.overall.left -= 1.0;
        None
    }
}

impl Bucket {
    fn full(rate: f64) -> Self {
        Self { rate, left: rate.max(1.0), at: Instant::now() }
    }

    /// How many seconds until there is room for one.
    fn wait(&mut self) -> f64 {
        let now = Instant::now();
        self.left = (self.left + now.duration_since(self.at).as_secs_f64() * self.rate).min(self.rate.max(1.0));
        self.at = now;
        if self.left >= 1.0 { 0.0 } else { (1.0 - self.left) / self.rate }
    }
}

impl BotApi {
    /// Lets something go wrong with calls of a method (`*`: of any). Returns a number to lift it by.
    pub fn fault(&self, method: &str, when: When, fault: Fault) -> usize {
        self.rule(method, None, when, fault)
    }

    /// As [`BotApi::fault`], for calls in one chat only: what goes to several chats goes in any order.
    pub fn fault_in(&self, chat: i64, method: &str, when: When, fault: Fault) -> usize {
        self.rule(method, Some(chat), when, fault)
    }

    fn rule(&self, method: &str, chat: Option<i64>, when: When, fault: Fault) -> usize {
        self.change(|state| {
            let faults = &mut state.faults;
            faults.asked += 1;
            let (number, method) = (faults.asked, method.to_lowercase());
            faults.rules.push(Rule { number, method, chat, when, seen: 0, fault });
            number
        })
    }

    /// Ends a fault. What hangs already goes on hanging.
    pub fn lift(&self, number: usize) {
        self.change(|state| state.faults.rules.retain(|rule| rule.number != number));
    }

    /// Ends all faults, and the limit.
    pub fn lift_all(&self) {
        self.change(|state| {
            state.faults.rules.clear();
            state.faults.limit = None;
        });
    }

    /// From now on no more than so many messages (sent or edited) a second in all, and in each chat, on
    /// real time; the rest is answered 429. A second's worth at once is within the limit.
    pub fn limit(&self, overall: f64, per_chat: f64) {
        self.change(|state| {
            let overall = Bucket::full(overall);
            state.faults.limit = Some(Limit { overall, per_chat, chats: BTreeMap::new() });
        });
    }

    /// Calls that send or edit: how many came, and how many of them took effect.
    pub fn sending_calls(&self) -> (usize, usize) {
        let state = self.state();
        let sends = |method: &str| {
            let method = method.to_ascii_lowercase();
            method.starts_with("send") || method.starts_with("editmessage")
        };
        let calls = state.log.calls.iter().filter(|call| sends(&call.method));
        calls.fold((0, 0), |(all, applied), call| (all + 1, applied + usize::from(call.applied)))
    }
}
