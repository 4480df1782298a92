//! Plain scalars as YAML 1.1 reads them, to tell whether a difference is that of 1.1 and 1.2 and nothing else.

use serde_json::{Value, json};

use super::compare;

/// Whether `ours` (YAML 1.2) and `recorded` (YAML 1.1) can be readings of the same characters.
pub fn same_characters(recorded: &Value, ours: &Value) -> bool {
    if compare::equal(recorded, ours) {
        return true;
    }
    match (recorded, ours) {
        (recorded, Value::String(text)) => read(text).is_some_and(|value| compare::equal(recorded, &value)),
        // `1e3` is text to 1.1 and a number to 1.2.
        (Value::String(text), Value::Number(number)) => text.parse().ok() == number.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_characters(a, b)),
        (Value::Object(a), Value::Object(b)) => match a.get("$map").and_then(Value::as_array) {
            Some(pairs) => {
                pairs.len() == b.len()
                    && pairs.iter().all(|pair| {
                        let same_key = |key: &str| same_characters(&pair[0], &json!(key));
                        b.iter().any(|(key, value)| same_key(key) && same_characters(&pair[1], value))
                    })
            }
            None => {
                a.len() == b.len()
                    && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same_characters(value, other)))
            }
        },
        _ => false,
    }
}

/// What YAML 1.1 makes of a plain scalar that 1.2 reads as text; None if it is text there too.
fn read(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" if text != "yES" => return Some(json!(true)),
        "no" | "off" => return Some(json!(false)),
        _ => {}
    }
    if is_date(text) {
        return Some(json!({ "$date": text }));
    }
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let value = if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()? as f64
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()? as f64
    } else if digits.contains(':') {
        let mut value = 0.0;
        for part in digits.split(':') {
            value = value * 60.0 + part.parse::<f64>().ok()?;
        }
        value
    } else if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
        i64::from_str_radix(digits, 8).ok()? as f64
    } else {
        digits.parse().ok()?
    };
    Some(json!(sign * value))
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}
