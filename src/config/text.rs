//! From the text of a file to one plain [`serde_json::Value`], strictly and in a single pass.
//!
//! `yaml_serde` and `serde_json` let the last of two equal keys win in silence, so a second
//! `mode: yes` further down would quietly overrule the first. The visitor here refuses that,
//! keys that are no text, numbers JSON cannot hold, local tags and several documents; and it
//! applies YAML's merge keys (`<<`), which the parser leaves alone. It builds the value straight
//! from the parser's events: no second tree, so loading costs little more than the bare parse.
//!
//! YAML is read by the rules of 1.2: `yes`, `no`, `on`, `off` are text, `017`, `12:30`, `1_000`
//! and `2026-04-15` too. `docs/compatibility.md` tells what that changes for old files.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A text that is no acceptable YAML or JSON document: what is wrong, and where if that is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*line, *column))]
pub struct TextError {
    /// What is wrong and, where it helps, what would be right; a lower-case fragment.
    pub message: String,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The column, counted from 1.
    pub column: Option<usize>,
}

fn place(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        (Some(line), None) => format!("line {line}: "),
        (None, _) => String::new(),
    }
}

/// The one document of a YAML text. An empty text is [`Value::Null`]; a byte order mark is passed over.
pub fn yaml_to_value(text: &str) -> Result<Value, TextError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read = Strict { merge_keys: true };
    read.deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
        let at = error.location();
        TextError {
            message: without_place(&error.to_string()),
            line: at.as_ref().map(serde_yaml::Location::line),
            column: at.as_ref().map(serde_yaml::Location::column),
        }
    })
}

/// The one value of a JSON text (RFC 8259: no comments, no trailing comma, no `NaN`, no byte order mark).
pub fn json_to_value(text: &str) -> Result<Value, TextError> {
    let read = Strict { merge_keys: false };
    let mut from = serde_json::Deserializer::from_str(text);
    read.deserialize(&mut from).and_then(|value| from.end().map(|()| value)).map_err(|error| TextError {
        message: without_place(&error.to_string()),
        line: Some(error.line()).filter(|line| *line > 0),
        column: Some(error.column()).filter(|column| *column > 0),
    })
}

/// Both parsers append ` at line L column C`, which has fields of its own here.
fn without_place(message: &str) -> String {
    const AT: &str = " at line ";
    let cut = message.rfind(AT).filter(|at| {
        message[at + AT.len()..].split(' ').all(|word| word == "column" || word.bytes().all(|b| b.is_ascii_digit()))
    });
    cut.map_or(message, |at| &message[..at]).to_owned()
}

/// Reads one value, whatever it is.
#[derive(Clone, Copy)]
struct Strict {
    /// Whether `<<` merges (YAML) or is a key like any other (JSON).
    merge_keys: bool,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true, false, null, a list or a mapping")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        Err(E::custom(format_args!("the number {value} is too large; quote it if it is a text")))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        Err(E::custom(format_args!("the number {value} is too large; quote it if it is a text")))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom(format_args!("{value} is no number to work with; quote it if it is a text")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        let mut has_merge = false;
        while let Some(key) = entries.next_key_seed(Key { before: &map, has_merge })? {
            let value = entries.next_value_seed(self)?;
            if self.merge_keys && key == MERGE {
                has_merge = true;
                collect_merged(value, &mut merged).map_err(de::Error::custom)?;
            } else {
                map.insert(key, value);
            }
        }
        // What stands in the mapping itself wins wherever `<<` stands, then the earlier of several.
        for from in merged {
            for (key, value) in from {
                map.entry(key).or_insert(value);
            }
        }
        Ok(Value::Object(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (tag, _) = tagged.variant::<String>()?;
        Err(de::Error::custom(format_args!("the tag !{tag} means nothing here; leave it out")))
    }
}

/// The key that merges another mapping into its own.
const MERGE: &str = "<<";

fn collect_merged(value: Value, merged: &mut Vec<Map<String, Value>>) -> Result<(), &'static str> {
    const WRONG: &str = "`<<` takes a mapping or a list of mappings";
    match value {
        Value::Object(map) => merged.push(map),
        Value::Array(list) => {
            for item in list {
                let Value::Object(map) = item else { return Err(WRONG) };
                merged.push(map);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(WRONG),
    }
    Ok(())
}

/// Reads one key of a mapping; refused here, an error carries the place of the key itself.
struct Key<'m> {
    before: &'m Map<String, Value>,
    has_merge: bool,
}

impl Key<'_> {
    fn check<E: de::Error>(&self, key: String) -> Result<String, E> {
        if self.before.contains_key(&key) || (self.has_merge && key == MERGE) {
            return Err(E::custom(format_args!("the key {key:?} stands here twice; keep one of them")));
        }
        Ok(key)
    }

    fn no_text<E: de::Error>(key: impl fmt::Display) -> Result<String, E> {
        Err(E::custom(format_args!("the key {key} is no text; write it in quotes")))
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text as key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        self.check(key.to_owned())
    }

    fn visit_string<E: de::Error>(self, key: String) -> Result<String, E> {
        self.check(key)
    }

    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Self::no_text("null")
    }

    fn visit_bool<E: de::Error>(self, key: bool) -> Result<String, E> {
        Self::no_text(key)
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<String, E> {
        Self::no_text(key)
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<String, E> {
        Self::no_text(key)
    }

    fn visit_f64<E: de::Error>(self, key: f64) -> Result<String, E> {
        Self::no_text(key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(read: Result<Value, TextError>, message: &str, line: usize, column: usize) {
        let error = read.expect_err("accepted");
        assert!(error.message.contains(message), "{error}");
        assert_eq!((error.line, error.column), (Some(line), Some(column)), "{error}");
    }

    #[test]
    fn plain_documents_are_read_by_yaml_1_2() {
        let read = yaml_to_value("a: {b: [1, -2, 1.5, ~, true]}\nc: no\nd: 017\ne: 12:30\nf: 2026-04-15\n").unwrap();
        assert_eq!(
            read,
            json!({"a": {"b": [1, -2, 1.5, null, true]}, "c": "no", "d": "017", "e": "12:30", "f": "2026-04-15"})
        );
        assert_eq!(yaml_to_value("").unwrap(), Value::Null);
        assert_eq!(yaml_to_value("# only a comment\n").unwrap(), Value::Null);
        assert_eq!(yaml_to_value("\u{feff}a: 1\r\nb: 2\r\n").unwrap(), json!({"a": 1, "b": 2}));
    }

    #[test]
    fn equal_keys_are_refused_where_they_stand() {
        refused(yaml_to_value("fleet:\n  a: {host: x}\n  a: {host: y}\n"), "\"a\" stands here twice", 3, 3);
        refused(json_to_value("{\"a\": 1,\n \"a\": 2}"), "\"a\" stands here twice", 2, 4);
    }

    #[test]
    fn keys_that_are_no_text_are_refused() {
        for (text, key) in [("1: a", "1"), ("true: a", "true"), ("~: a", "null"), ("1.5: a", "1.5"), ("-1: a", "-1")] {
            refused(yaml_to_value(text), &format!("the key {key} is no text"), 1, 1);
        }
        assert!(yaml_to_value("[1]: a").is_err());
        assert!(yaml_to_value("{a: 1}: a").is_err());
    }

    #[test]
    fn merge_keys_fill_in_what_the_mapping_leaves_open() {
        let text = "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nx: {b: 0, <<: *one}\ny: {<<: [*one, *two], d: 0}\n";
        let read = yaml_to_value(text).unwrap();
        assert_eq!(read["x"], json!({"a": 1, "b": 0}));
        assert_eq!(read["y"], json!({"a": 1, "b": 1, "c": 2, "d": 0}));
        assert!(yaml_to_value("x: {<<: 1}").is_err());
        assert!(yaml_to_value("x: {<<: [1]}").is_err());
        assert!(yaml_to_value("a: &a {}\nx: {<<: *a, <<: *a}").is_err());
        assert_eq!(json_to_value("{\"<<\": 1}").unwrap(), json!({"<<": 1}));
    }

    #[test]
    fn what_is_no_single_plain_document_is_refused() {
        for text in [
            "a: 1\n---\nb: 2\n",
            "a: [",
            "a: !mine x",
            "a: *nobody",
            "a:\n\t- b",
            "a: .nan",
            "a: .inf",
            "@",
            "a: &a [*a]",
            "a: 340282366920938463463374607431768211455",
            "a: b: c",
        ] {
            assert!(yaml_to_value(text).is_err(), "{text:?}");
        }
        for text in ["", "{\"a\": 1,}", "NaN", "{} {}", "\u{feff}{}", "\"\\ud800\"", "{'a': 1}", "// x\n1"] {
            assert!(json_to_value(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_or_depth_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 10].join(", ");
            bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(yaml_to_value(&bomb).is_err());
        assert!(yaml_to_value(&"[".repeat(5_000)).is_err());
        assert!(json_to_value(&"[".repeat(5_000)).is_err());
    }
}
