//! From the way to a value to its line and column.
//!
//! Values carry no positions, and keeping them would slow every load down for the sake of the few
//! that have a problem. So when there is something to report, and only then, the text is read a
//! second time by a parser that marks its events. It reads JSON too, which is YAML.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, Span};
use serde::Serialize;

use super::report::{Step, Trail};

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
}

/// The places of the values that were asked for, and of all that leads to them.
#[derive(Debug, Default)]
pub(super) struct Marks(std::collections::HashMap<Trail, Place>);

/// Where the walk stands inside one collection.
enum Open {
    /// A list, and the index of the next item.
    List(usize),
    /// A mapping that waits for a key.
    Key,
    /// A mapping that waits for the value of a key.
    Value,
    /// A mapping whose next key is itself a collection: nothing of ours lies below.
    Skip,
}

impl Marks {
    /// The places in `text` of the values at `wanted`. What the parser cannot read has no place.
    pub fn of<'a>(text: &str, wanted: impl Iterator<Item = &'a [Step]>) -> Self {
        let mut prefixes: HashSet<&[Step]> = HashSet::new();
        for trail in wanted {
            prefixes.extend((0..=trail.len()).map(|length| &trail[..length]));
        }
        let mut marks = Self::default();
        let mut trail: Trail = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        let mut key_span: Option<Span> = None;
        for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
            let Ok((event, span)) = event else { break };
            let starts = matches!(event, Event::Scalar(..) | Event::Alias(_))
                || matches!(event, Event::SequenceStart(..) | Event::MappingStart(..));
            if starts {
                // A scalar key names what follows; everything else is a value at `trail`.
                match (open.last_mut(), &event) {
                    (Some(state @ Open::Key), Event::Scalar(key, ..)) => {
                        *state = Open::Value;
                        trail.push(Step::Key(key.to_string()));
                        key_span = Some(span);
                        continue;
                    }
                    (Some(state @ Open::Key), _) => {
                        *state = Open::Skip;
                        trail.push(Step::Key(String::new()));
                    }
                    (Some(Open::List(next)), _) => {
                        trail.push(Step::Index(*next));
                        *next += 1;
                    }
                    _ => {}
                }
                if prefixes.contains(trail.as_slice()) && !marks.0.contains_key(&trail) {
                    let span = key_span.unwrap_or(span);
                    let place = Place { line: span.start.line(), column: span.start.col() + 1 };
                    marks.0.insert(trail.clone(), place);
                }
                key_span = None;
            }
            match event {
                Event::SequenceStart(..) => open.push(Open::List(0)),
                Event::MappingStart(..) => open.push(Open::Key),
                Event::Scalar(..) | Event::Alias(_) => leave(&mut open, &mut trail),
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    leave(&mut open, &mut trail);
                }
                Event::DocumentEnd => break,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
            }
        }
        marks
    }

    /// The place of the value at `trail` (of its key, where it has one), or of the nearest value
    /// on the way to it: a missing key is reported where it should stand.
    pub fn find(&self, trail: &[Step]) -> Option<Place> {
        (0..=trail.len()).rev().find_map(|length| self.0.get(&trail[..length]).copied())
    }
}

/// A value has ended: step out of it, and let its collection wait for the next.
fn leave(open: &mut [Open], trail: &mut Trail) {
    match open.last_mut() {
        Some(Open::List(_)) => {
            trail.pop();
        }
        Some(state @ Open::Value) => {
            trail.pop();
            *state = Open::Key;
        }
        Some(state @ Open::Skip) => {
            // The collection that served as a key is over; its value comes under the same name.
            *state = Open::Value;
        }
        Some(Open::Key) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(steps: &str) -> Trail {
        steps.split_whitespace().map(|step| step.parse().map_or_else(|_| Step::Key(step.into()), Step::Index)).collect()
    }

    fn place(text: &str, steps: &str) -> Option<(usize, usize)> {
        let wanted = trail(steps);
        Marks::of(text, std::iter::once(wanted.as_slice())).find(&wanted).map(|at| (at.line, at.column))
    }

    #[test]
    fn values_are_found_in_yaml_and_json() {
        let yaml = "# a comment\na:\n  b: 1\n  c: [x, {d: 2}]\nlist:\n- one\n- k: v\n";
        for (steps, expected) in [
            ("a", (2, 1)),
            ("a b", (3, 3)),
            ("a c", (4, 3)),
            ("a c 1 d", (4, 11)),
            ("list 0", (6, 3)),
            ("list 1 k", (7, 3)),
            ("a missing deep", (2, 1)),
        ] {
            assert_eq!(place(yaml, steps), Some(expected), "{steps}");
        }
        let json = "{\n  \"a\": {\"b\": [1, true]},\n  \"é\": {}, \"c\": null\n}\n";
        for (steps, expected) in [("a b 1", (2, 18)), ("c", (3, 12)), ("", (1, 1))] {
            assert_eq!(place(json, steps), Some(expected), "{steps}");
        }
    }

    #[test]
    fn odd_texts_do_not_confuse_it() {
        let odd = "? [complex, key]\n: value\n&anchor a: &v {b: 1}\nalias: *v\r\nz: 1\r\n";
        assert_eq!(place(odd, "a b"), Some((3, 16)));
        assert_eq!(place(odd, "z"), Some((5, 1)));
        assert_eq!(place("a: [1, 2", "a"), Some((1, 1)), "what lies before a syntax error is found");
        assert_eq!(place("\u{feff}a: 1", "a"), Some((1, 1)));
        assert_eq!(place("", "a"), None);
    }
}
