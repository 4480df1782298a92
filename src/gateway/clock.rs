use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// The gateway's own time: the wall clock as it was at the last anchor, and what has passed since on
/// the clock that never jumps. So when somebody sets the wall clock, nothing notices until the sweep
/// finds the difference, gives every deadline the time it had left, and anchors anew, all at once;
/// in between no request expires for a clock's sake and no vote comes too late.
pub struct SteadyClock {
    machine: Arc<dyn Clock>,
    anchor: Mutex<Anchor>,
}

/// Where the gateway's time is tied to the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    wall: Timestamp,
    elapsed: Duration,
}

impl SteadyClock {
    /// Anchored at this moment.
    pub fn over(machine: Arc<dyn Clock>) -> Self {
        let anchor = Anchor { wall: machine.now(), elapsed: machine.elapsed() };
        Self { machine, anchor: Mutex::new(anchor) }
    }

    /// By how many milliseconds the wall clock is ahead of the gateway's time.
    pub fn ahead_ms(&self) -> i64 {
        self.machine.now().as_millis().saturating_sub(self.now().as_millis())
    }

    /// Takes the wall clock's word again.
    pub fn anchor(&self) {
        self.anchor_at(Anchor { wall: self.machine.now(), elapsed: self.machine.elapsed() });
    }

    /// Where it is anchored.
    pub fn anchored(&self) -> Anchor {
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes by `anchor`, an earlier one: what was to go with a newer one was not kept.
    pub fn anchor_at(&self, anchor: Anchor) {
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = anchor;
    }
}

impl SteadyClock {
    /// The gateway's time.
    pub fn now(&self) -> Timestamp {
        let anchor = self.anchored();
        anchor.wall.plus(self.machine.elapsed().saturating_sub(anchor.elapsed))
    }

    /// Time since some fixed point, which never jumps.
    pub fn elapsed(&self) -> Duration {
        self.machine.elapsed()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_time_flows_on_when_somebody_sets_the_clock() {
        let machine = Arc::new(SetClock::at(Timestamp::from_millis(1_000_000)));
        let steady = SteadyClock::over(Arc::clone(&machine) as Arc<dyn Clock>);
        machine.pass(Duration::from_secs(1));
        machine.jump(3_600_000);
        assert_eq!(steady.now(), Timestamp::from_millis(1_001_000));
        assert_eq!(steady.ahead_ms(), 3_600_000);
        steady.anchor();
        assert_eq!(steady.now(), Timestamp::from_millis(4_601_000));
        assert_eq!(steady.ahead_ms(), 0);
    }
}
