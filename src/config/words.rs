//! The small words of the configuration: lengths of time, sizes, shares, and the nearest known
//! word for a mistyped one.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Longest length of time that any setting takes: ten years.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// `500ms`, `30s`, `15m`, `1h 30m`, `1d`; or what would be right instead. Days have 24 hours.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const RIGHT: &str = "write a number with a unit, such as 500ms, 30s, 15m, 1h 30m or 1d";
    if text.trim().parse::<f64>().is_ok() {
        return Err(format!("{:?} has no unit; {RIGHT}", text.trim()));
    }
    let span: Span = text.trim().parse().map_err(|_| format!("{text:?} is no length of time; {RIGHT}"))?;
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("{text:?} has no fixed length; use days, hours, minutes, seconds"))?;
    let length = Duration::try_from(signed).map_err(|_| format!("{text:?} is negative; {RIGHT}"))?;
    if length > LONGEST {
        return Err(format!("{text:?} is longer than ten years; {RIGHT}"));
    }
    Ok(length)
}

/// A length of time as the configuration takes it: `1h 30m`, `500ms`, `0s`.
pub fn spell_duration(length: Duration) -> String {
    let total_ms = length.as_millis();
    let mut parts = Vec::new();
    let mut rest = total_ms;
    for (unit, unit_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= unit_ms {
            parts.push(format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// `64KiB`, `1MiB`, `512B` in bytes; or what would be right instead.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const RIGHT: &str = "write a number of bytes or a size such as 64KiB or 1MiB";
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return Err(format!("{text:?} is no size; {RIGHT}")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no size; {RIGHT}"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large; {RIGHT}"))
}

/// The known word that a mistyped one most likely stands for.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(word.chars().count()) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// "; did you mean `x`?", or else "; known are `a`, `b`".
pub(super) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => {
            const SHOWN: usize = 25;
            let all: Vec<_> = known.into_iter().collect();
            if all.is_empty() {
                return "; there is none".to_owned();
            }
            let listed: Vec<_> = all.iter().take(SHOWN).map(|word| format!("`{word}`")).collect();
            let more = if all.len() > SHOWN { ", …" } else { "" };
            format!("; known are {}{more}", listed.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("15m", 900_000),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            (" 2 days ", 172_800_000),
            ("0s", 0),
            ("1.5s", 1500),
            ("1w", 604_800_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for (text, why) in [
            ("30", "has no unit"),
            ("1.5", "has no unit"),
            ("", "no length of time"),
            ("soon", "no length of time"),
            ("-5s", "negative"),
            ("5s ago", "negative"),
            ("1mo", "no fixed length"),
            ("900000h", "longer than ten years"),
            ("99999999999999999999s", "no length of time"),
        ] {
            let said = duration(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn what_is_spelled_reads_back() {
        for ms in [0, 1, 500, 1500, 60_000, 5_400_000, 90_061_001] {
            let length = Duration::from_millis(ms);
            assert_eq!(duration(&spell_duration(length)), Ok(length));
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("1 MiB"), Ok(1 << 20));
        assert_eq!(size("10"), Ok(10));
        for bad in ["", "KiB", "-1", "1GB", "99999999999999999999", "18446744073709551615KiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn near_words() {
        let known = ["interval", "jitter", "probe_deadline"];
        assert_eq!(nearest("intervall", known), Some("interval"));
        assert_eq!(nearest("Probe_Deadline", known), Some("probe_deadline"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(suggest("zebra", ["a", "b"]), "; known are `a`, `b`");
    }
}
