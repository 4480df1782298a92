use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::pool::Timestamp;

/// The gateway's two clocks. Every other place gets its `now` handed in.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: for everything that is kept or shown. It may jump.
    fn now(&self) -> Timestamp;
    /// Time since some fixed point, which never jumps: for gaps in the schedule, and to notice that
    /// the wall clock did.
    fn elapsed(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct MachineClock {
    started: Instant,
}

impl MachineClock {
    /// Starts measuring.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "the one real clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved; long waits and jumps are told with it.
#[derive(Debug)]
pub struct SetClock {
    wall_ms: AtomicI64,
    elapsed_ms: AtomicI64,
}

impl SetClock {
    /// Stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { wall_ms: AtomicI64::new(now.as_millis()), elapsed_ms: AtomicI64::new(0) }
    }

    /// Time passes, on both clocks.
    pub fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.elapsed_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock.
    pub fn jump(&self, by_ms: i64) {
        self.wall_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall_ms.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.elapsed_ms.load(Ordering::SeqCst)).unwrap_or(0))
    }
}
