//! When something was said, by the clock of whoever said it. A signed message can be kept back, and sent
//! again; and a clock can be wrong.

use std::time::Duration;

use crate::pool::Timestamp;

/// Clocks differ by less.
const CLOCKS: Duration = Duration::from_secs(120);

/// A time that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongTime {
    /// Before what it answers was asked.
    BeforeItWasAsked {
        /// By so much.
        by: Duration,
    },
    /// After it came.
    InTheFuture {
        /// By so much.
        by: Duration,
    },
    /// It names no request, and is so old that nobody may mean it any more.
    TooOld {
        /// So old.
        age: Duration,
    },
}

/// Whether a message of `said_at` that came at `came_at` can answer what was asked at `asked_at`.
///
/// # Errors
/// Why not.
pub fn answers_in_time(said_at: Timestamp, asked_at: Timestamp, came_at: Timestamp) -> Result<(), WrongTime> {
    not_in_the_future(said_at, came_at)?;
    let early = asked_at.since(said_at);
    if early > CLOCKS { Err(WrongTime::BeforeItWasAsked { by: early }) } else { Ok(()) }
}

/// Whether a message of `said_at` that came at `came_at` and answers nothing may still be meant.
///
/// # Errors
/// Why not.
pub fn is_meant_now(said_at: Timestamp, came_at: Timestamp, age_max: Duration) -> Result<(), WrongTime> {
    not_in_the_future(said_at, came_at)?;
    let age = came_at.since(said_at);
    if age > age_max { Err(WrongTime::TooOld { age }) } else { Ok(()) }
}

fn not_in_the_future(said_at: Timestamp, came_at: Timestamp) -> Result<(), WrongTime> {
    let ahead = said_at.since(came_at);
    if ahead > CLOCKS { Err(WrongTime::InTheFuture { by: ahead }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_too_early_or_too_late_does_not_count() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let (asked, came) = (10_000, 20_000);
        for (said, right) in [
            (asked, true),
            (asked - 90, true),
            (asked - 120, true),
            (asked - 121, false),
            (came + 90, true),
            (came + 121, false),
            (0, false),
            (-1, false),
            (i64::MAX / 1000, false),
            (32_503_680_000, false),
        ] {
            assert_eq!(answers_in_time(at(said), at(asked), at(came)).is_ok(), right, "{said}");
        }
        let day = Duration::from_secs(86_400);
        assert!(is_meant_now(at(came - 80_000), at(came), day).is_ok());
        assert_eq!(
            is_meant_now(at(came - 90_000), at(came), day),
            Err(WrongTime::TooOld { age: Duration::from_secs(90_000) })
        );
    }
}
