//! How far the intake of a channel is whose server keeps what was said while we were away.

use std::time::Duration;

use crate::pool::Timestamp;

/// How long expiry waits for what may still stand there, at most.
const CATCH_UP_MAX: Duration = Duration::from_secs(600);

/// Where the intake stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Intake {
    /// The channel is not on.
    #[default]
    Off,
    /// Something may wait there that we have not seen, since then.
    Behind(Timestamp),
    /// All that waited is here.
    CaughtUp,
    /// It needs somebody to mend it.
    Stopped,
}

impl Intake {
    /// The channel is stopped; tells whether that is new.
    pub fn stop(&mut self) -> bool {
        std::mem::replace(self, Self::Stopped) != Self::Stopped
    }

    /// Whether a vote may still be on its way, so that nothing expires yet.
    pub fn may_hold_votes(&self, now: Timestamp) -> bool {
        match self {
            Self::Behind(since) => now.since(*since) < CATCH_UP_MAX,
            Self::Off | Self::CaughtUp | Self::Stopped => false,
        }
    }
}
