//! Times and durations as people read them: in the configured zone, with its abbreviation.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::plain::harmless;
use crate::pool::Timestamp;

/// `06:05:06 CEST` for a moment of the day that `now` is in, `2026-04-14 06:05:06 CEST` for others.
pub fn clock_time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let zoned = |at: Timestamp| Some(jiff::Timestamp::from_millisecond(at.as_millis()).ok()?.to_zoned(zone.clone()));
    let Some(there) = zoned(at) else {
        return at.to_string();
    };
    let today = zoned(now).is_some_and(|now| now.date() == there.date());
    let form = if today { "%H:%M:%S %Z" } else { "%Y-%m-%d %H:%M:%S %Z" };
    // The abbreviation comes from a file of the system.
    harmless(&there.strftime(form).to_string(), 60)
}

/// `400 ms`, `1.5 s`, `45 s`, `10 min`, `2 h 5 min`, `3 d`: at most two units, the rest cut off.
pub fn human(duration: Duration) -> String {
    let whole = duration.as_secs();
    let ms = duration.subsec_millis();
    match whole {
        0 if ms > 0 => return format!("{ms} ms"),
        0..10 if ms >= 100 => return format!("{whole}.{} s", ms / 100),
        _ => {}
    }
    let (units, first) = match whole {
        0..60 => return format!("{whole} s"),
        60..3_600 => ([("min", 60), ("s", 1)], 60),
        3_600..86_400 => ([("h", 3_600), ("min", 60)], 3_600),
        _ => ([("d", 86_400), ("h", 3_600)], 86_400),
    };
    let [(great, _), (small, size)] = units;
    match (whole % first) / size {
        0 => format!("{} {great}", whole / first),
        more => format!("{} {great} {more} {small}", whole / first),
    }
}

/// How a duration is typed in a command: `45s`, `90m`, `2h`, `1d`.
pub(super) fn typed(duration: Duration) -> String {
    let seconds = duration.as_secs().max(1);
    match seconds {
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (ms, text) in [
            (0, "0 s"),
            (1, "1 ms"),
            (400, "400 ms"),
            (1_000, "1 s"),
            (1_050, "1 s"),
            (1_500, "1.5 s"),
            (45_900, "45 s"),
            (60_000, "1 min"),
            (90_000, "1 min 30 s"),
            (600_000, "10 min"),
            (3_600_000, "1 h"),
            (3_659_000, "1 h"),
            (7_500_000, "2 h 5 min"),
            (86_400_000, "1 d"),
            (3 * 86_400_000, "3 d"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(human(Duration::from_millis(ms)), text);
        }
        assert_eq!(human(Duration::MAX), "213503982334601 d 7 h");
    }

    #[test]
    fn times_stand_in_the_zone_and_with_a_date_unless_today() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let at = |text: &str| Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let now = at("2026-04-15T04:05:06Z");
        for (moment, text) in [
            (now, "06:05:06 CEST"),
            (at("2026-04-14T22:00:00Z"), "00:00:00 CEST"),
            (at("2026-04-14T21:59:59Z"), "2026-04-14 23:59:59 CEST"),
            (at("2026-10-25T00:30:00Z"), "2026-10-25 02:30:00 CEST"),
            (at("2026-10-25T01:30:00Z"), "2026-10-25 02:30:00 CET"),
            (Timestamp::from_millis(i64::MAX), "9223372036854775807 ms since 1970"),
            (Timestamp::from_millis(i64::MIN), "-9223372036854775808 ms since 1970"),
        ] {
            assert_eq!(clock_time(moment, now, &zone), text);
        }
        assert_eq!(clock_time(now, now, &TimeZone::UTC), "04:05:06 UTC");
    }
}
