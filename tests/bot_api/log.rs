//! Every call that came in, and what became of it.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::BotApi;

/// One call of the bot's.
#[derive(Clone, Debug)]
pub struct Call {
    /// The server's virtual time, in unix milliseconds.
    pub at_ms: i64,
    /// Real time since the server's start, when the call came in.
    pub real: Duration,
    /// As the bot wrote it.
    pub method: String,
    /// Its parameters; in forms all of them are texts.
    pub params: Value,
    /// `ok`, or the error's status and description, or what fault was done to it; `...` until then.
    pub outcome: String,
    /// Whether it took effect, whatever the bot was told.
    pub applied: bool,
}

impl Call {
    /// Whether it is a call of this method, in any case.
    pub fn is(&self, method: &str) -> bool {
        self.method.eq_ignore_ascii_case(method)
    }

    /// A parameter as a text; empty when absent.
    pub fn param(&self, name: &str) -> String {
        match &self.params[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: String = self.params.to_string().chars().take(300).collect();
        write!(f, "{:>8.3} s  {} {params} -> {}", self.real.as_secs_f64(), self.method, self.outcome)
    }
}

/// The calls so far, oldest first.
pub(super) struct Log {
    pub calls: Vec<Call>,
    started: Instant,
}

impl Log {
    pub(super) fn start() -> Self {
        Self { calls: Vec::new(), started: Instant::now() }
    }

    /// Notes a call, and returns its place.
    pub(super) fn open(&mut self, at_ms: i64, method: &str, params: Value) -> usize {
        self.calls.push(Call {
            at_ms,
            real: self.started.elapsed(),
            method: method.to_owned(),
            params,
            outcome: "...".to_owned(),
            applied: false,
        });
        self.calls.len() - 1
    }

    pub(super) fn close(&mut self, place: usize, outcome: String, applied: bool) {
        if let Some(call) = self.calls.get_mut(place) {
            call.outcome = outcome;
            call.applied = applied;
        }
    }
}

impl BotApi {
    /// Every call so far, oldest first; `getUpdates`, too.
    pub fn calls(&self) -> Vec<Call> {
        self.state().log.calls.clone()
    }

    /// Every call of this method so far.
    pub fn calls_of(&self, method: &str) -> Vec<Call> {
        self.state().log.calls.iter().filter(|call| call.is(method)).cloned().collect()
    }
}
