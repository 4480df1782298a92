//! The server's time: real at the start, and from then on only moved by the test.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::BotApi;

/// Virtual time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    now_ms: i64,
}

impl Clock {
    /// Starts at the real time, so that dates make sense to a bot that looks at its own clock.
    #[expect(clippy::disallowed_methods, reason = "where the virtual clock is set")]
    pub(super) fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { now_ms: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX) }
    }

    /// Unix time in milliseconds.
    pub(super) fn now_ms(self) -> i64 {
        self.now_ms
    }

    /// Unix time in seconds, as dates of messages are.
    pub(super) fn now(self) -> i64 {
        self.now_ms / 1000
    }

    fn advance(&mut self, time: Duration) {
        self.now_ms += i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    }
}

impl BotApi {
    /// Lets time pass for the server: taps wait in the queue for 150 s, everything else for 24 h.
    pub fn advance(&self, time: Duration) {
        self.change(|state| {
            state.clock.advance(time);
            state.queue.forget_expired(state.clock.now_ms());
        });
    }

    /// The server's time, in unix seconds.
    pub fn now(&self) -> i64 {
        self.state().clock.now()
    }
}
