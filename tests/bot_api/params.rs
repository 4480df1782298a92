//! The parameters of a call, whichever way they come: in the query, as a form, as JSON or as parts.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::http::{Request, find};

/// A file that came with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upload {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Parameters by name. In everything but JSON each value is a text, and lists and objects are JSON in
/// a text; readers here take both.
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    pub fields: Map<String, Value>,
    pub files: BTreeMap<String, Upload>,
}

impl Params {
    /// What the request carries; `None` when its body cannot be read.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let mut params = Self::default();
        params.add_form(request.query.as_bytes());
        let kind = request.content_type.to_ascii_lowercase();
        if kind.starts_with("application/json") {
            if !request.body.is_empty() {
                let Ok(Value::Object(fields)) = serde_json::from_slice(&request.body) else { return None };
                params.fields.extend(fields);
            }
        } else if kind.starts_with("multipart/form-data") {
            params.add_parts(&request.content_type, &request.body)?;
        } else {
            params.add_form(&request.body);
        }
        Some(params)
    }

    /// Numbers and truth values as their text; nothing for what is absent, null or empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name).as_deref(), Some("true" | "True" | "1" | "yes"))
    }

    /// A list or object; `Some(Err)` when the text is no JSON.
    pub(super) fn json(&self, name: &str) -> Option<Result<Value, ()>> {
        match self.fields.get(name)? {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(serde_json::from_str(text).map_err(|_| ())),
            other => Some(Ok(other.clone())),
        }
    }

    /// All of it as JSON, for the log; files by their names and sizes.
    pub(super) fn shown(&self) -> Value {
        let mut shown = self.fields.clone();
        for (name, file) in &self.files {
            shown.insert(name.clone(), Value::String(format!("<{}: {} bytes>", file.name, file.bytes.len())));
        }
        Value::Object(shown)
    }

    fn add_form(&mut self, body: &[u8]) {
        for pair in body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let split = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            let value = pair.get(split + 1..).unwrap_or_default();
            self.fields.insert(unescape(&pair[..split]), Value::String(unescape(value)));
        }
    }

    fn add_parts(&mut self, content_type: &str, body: &[u8]) -> Option<()> {
        let boundary = attribute(content_type, "boundary")?;
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter lacks the line break before it.
        let mut rest = body.strip_prefix(&delimiter[2..])?;
        while !rest.starts_with(b"--") {
            let head_end = find(rest, b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&rest[..head_end]).into_owned();
            let content = &rest[head_end + 4..];
            let end = find(content, &delimiter)?;
            let disposition =
                head.split("\r\n").find(|line| line.to_ascii_lowercase().starts_with("content-disposition"))?;
            let name = attribute(disposition, "name")?;
            let bytes = content[..end].to_vec();
            match attribute(disposition, "filename") {
                Some(file) => {
                    self.files.insert(name, Upload { name: file, bytes });
                }
                None => {
                    self.fields.insert(name, Value::String(String::from_utf8(bytes).ok()?));
                }
            }
            rest = &content[end + delimiter.len()..];
        }
        Some(())
    }
}

/// `name="value"` or `name=value` among the `;`-separated rest of a header.
fn attribute(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// A form's text: `+` is a space, `%41` an A.
pub(super) fn unescape(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (byte, hex) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
