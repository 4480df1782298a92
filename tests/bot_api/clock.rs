//! The server's time: real at the start, and from then on only moved by the test; or, if it asks so,
//! by real time, too.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::BotApi;

/// Virtual time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    stood_at_ms: i64,
    /// Since when it runs, if it does.
    runs_since: Option<Instant>,
}

impl Clock {
    /// Starts at the real time, so that dates make sense to a bot that looks at its own clock.
    #[expect(clippy::disallowed_methods, reason = "where the virtual clock is set")]
    pub(super) fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { stood_at_ms: millis(since_1970), runs_since: None }
    }

    /// Unix time in milliseconds.
    pub(super) fn now_ms(self) -> i64 {
        self.stood_at_ms + self.runs_since.map_or(0, |since| millis(since.elapsed()))
    }

    /// Unix time in seconds, as dates of messages are.
    pub(super) fn now(self) -> i64 {
        self.now_ms() / 1000
    }

    fn advance(&mut self, time: Duration) {
        self.stood_at_ms = self.stood_at_ms.saturating_add(millis(time));
    }

    fn run(&mut self, run: bool) {
        self.stood_at_ms = self.now_ms();
        self.runs_since = run.then(Instant::now);
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl BotApi {
    /// Lets time pass for the server: taps wait in the queue for 150 s, everything else for 24 h.
    pub fn advance(&self, time: Duration) {
        self.change(|state| {
            state.clock.advance(time);
            state.queue.forget_expired(state.clock.now_ms());
        });
    }

    /// Whether real time moves the clock; at first it does not.
    pub fn run_clock(&self, run: bool) {
        self.change(|state| state.clock.run(run));
    }

    /// The server's time, in unix seconds.
    pub fn now(&self) -> i64 {
        self.state().clock.now()
    }
}
