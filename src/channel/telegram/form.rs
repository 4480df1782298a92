//! A form with a file in it, as `multipart/form-data`.

use sha2::{Digest as _, Sha256};

/// A file that is sent.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// The field that holds it.
    pub field: &'a str,
    /// Its name there.
    pub name: &'a str,
    /// What is in it.
    pub content: &'a [u8],
}

/// The content type and the body of a form.
pub(super) fn of(fields: &[(&str, String)], file: &File<'_>) -> (String, Vec<u8>) {
    // No content holds the hash of itself; that of the fields stands in no file that does not mean harm, and
    // with both in it nobody can write the line.
    let mut hash = Sha256::new();
    for (name, value) in fields {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(value.as_bytes());
        hash.update([0]);
    }
    hash.update(file.content);
    let line = hex::encode(&hash.finalize()[..24]);
    let mut body = Vec::with_capacity(file.content.len() + 1024);
    for (name, value) in fields {
        let head = format!("--{line}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n", plain(name));
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    let head = format!(
        "--{line}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\n\
         Content-Type: application/json\r\n\r\n",
        plain(file.field),
        plain(file.name),
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file.content);
    body.extend_from_slice(format!("\r\n--{line}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={line}"), body)
}

/// A name that cannot end its quotes or its line.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_quotes() {
        let file = File { field: "document", name: "a\"\r\nb.json", content: b"{}" };
        let (kind, body) = of(&[("chat_id", "-5".into())], &file);
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("name=\"document\"; filename=\"a___b.json\"\r\n"), "{body}");
        let line = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert_eq!(body.matches(line).count(), 3);
        assert!(body.ends_with(&format!("\r\n--{line}--\r\n")));
    }
}
