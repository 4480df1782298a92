//! The `--json` form and the state file: as Python's `json.dumps(…, indent=2, sort_keys=True)` prints them.

use std::io::{self, Write};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter};
use serde_json::{Map, Value};

use super::PlanSettings;
use crate::pool::{Detection, Execution, Planned, Policy, SnapshotEntry};

/// One round, to be printed.
pub(super) struct Report<'r> {
    pub(super) now: f64,
    pub(super) snapshot: &'r [SnapshotEntry<'r>],
    /// In the order of `snapshot`.
    pub(super) detections: &'r [Detection],
    pub(super) plan: &'r [Planned<'r>],
    /// In the order of `plan`; empty without `--execute`.
    pub(super) executions: Vec<Execution>,
}

impl Report<'_> {
    pub(super) fn render(self, policy: &Policy, settings: &PlanSettings) -> anyhow::Result<String> {
        let (mut snapshot, mut downed) = (Map::new(), Map::new());
        for (entry, detection) in self.snapshot.iter().zip(self.detections) {
            let as_seen = object(entry)?;
            let mut judged = as_seen.clone();
            judged.append(&mut object(detection)?);
            snapshot.insert(entry.agent.to_string(), Value::Object(as_seen));
            downed.insert(entry.agent.to_string(), Value::Object(judged));
        }
        let mut plan = Vec::with_capacity(self.plan.len());
        for planned in self.plan {
            // `as` cuts towards zero and saturates, as the key's number should.
            plan.push(planned.to_json(&settings.units, &policy.approval_channels, settings.issue, self.now as i64));
        }
        for (entry, execution) in plan.iter_mut().zip(&self.executions) {
            entry.append(&mut object(execution)?);
        }
        python_json(&serde_json::json!({
            "checked_at": iso(self.now)?,
            "downed_agents": downed,
            "plan": plan,
            "snapshot": snapshot,
        }))
    }
}

fn object(of: &impl Serialize) -> anyhow::Result<Map<String, Value>> {
    match serde_json::to_value(of)? {
        Value::Object(map) => Ok(map),
        other => anyhow::bail!("{other} is no mapping"),
    }
}

/// `2026-04-15T04:00:00.500000+00:00`; the fraction is left out when it is zero.
fn iso(seconds: f64) -> anyhow::Result<String> {
    let micros = (seconds * 1e6).round_ties_even();
    let at = jiff::Timestamp::from_microsecond(micros as i64).context("the clock is out of range")?;
    let format = if at.subsec_microsecond() == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S.%6f+00:00" };
    Ok(at.strftime(format).to_string())
}

/// Indented by two, keys sorted (maps here always are), everything beyond ASCII escaped.
pub(super) fn python_json(value: &Value) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let mut to = serde_json::Serializer::with_formatter(&mut bytes, Ascii(PrettyFormatter::new()));
    value.serialize(&mut to)?;
    Ok(String::from_utf8(bytes)?)
}

/// A pretty formatter that leaves nothing but printable ASCII.
struct Ascii(PrettyFormatter<'static>);

impl Formatter for Ascii {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !(' '..='~').contains(&c)) {
            to.write_all(&rest.as_bytes()[..at])?;
            let Some(c) = rest[at..].chars().next() else { break };
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        to.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: Write + ?Sized>(&mut self, to: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(to, escape)
    }

    fn begin_array<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.begin_array(to)
    }

    fn end_array<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.end_array(to)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(to, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.end_array_value(to)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.begin_object(to)
    }

    fn end_object<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.end_object(to)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(to, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.begin_object_value(to)
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.end_object_value(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_leaves_as_ascii() {
        let text = python_json(&serde_json::json!({"b": "é\u{1f600}\n\u{7f}\"", "a": []})).unwrap();
        assert_eq!(text, "{\n  \"a\": [],\n  \"b\": \"\\u00e9\\ud83d\\ude00\\n\\u007f\\\"\"\n}");
    }

    #[test]
    fn the_fraction_is_left_out_when_it_is_zero() {
        assert_eq!(iso(1_776_225_600.0).unwrap(), "2026-04-15T04:00:00+00:00");
        assert_eq!(iso(1_776_225_600.5).unwrap(), "2026-04-15T04:00:00.500000+00:00");
        assert!(iso(f64::MAX).is_err());
    }
}
