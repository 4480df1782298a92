//! How large an event may be.
//!
//! A stream is read by people, sent to chats and put into packets, so what is large does not belong
//! there: it goes to a file, and the event refers to it by its hash. The reference is a plain JSON
//! object, so that it passes through exports unchanged:
//!
//! ```json
//! {"$file": {"sha256": "9f86d081884c7d65…", "bytes": 1048576}}
//! ```

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::error::MissionError;

/// Most bytes that an event's JSON may have, unless set otherwise.
pub const EVENT_BYTES: usize = 64 * 1024;

/// That an event's JSON of `bytes` bytes is not over `limit`.
pub fn check(bytes: usize, limit: usize) -> Result<(), MissionError> {
    if bytes > limit { Err(MissionError::TooLarge { bytes, limit }) } else { Ok(()) }
}

/// A file that an event refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StateFile {
    /// The SHA-256 of its content, in lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

impl StateFile {
    /// The reference to a file with this content.
    pub fn of(content: &[u8]) -> Self {
        Self { sha256: super::chain::hex(&Sha256::digest(content)), bytes: content.len() as u64 }
    }

    /// What stands in the event in the content's place.
    pub fn to_value(&self) -> Value {
        json!({"$file": {"sha256": self.sha256, "bytes": self.bytes}})
    }

    /// The file that a state or payload refers to, if it is nothing but that.
    pub fn from_value(value: &Value) -> Option<Self> {
        let map = value.as_object().filter(|map| map.len() == 1)?;
        let file = map.get("$file")?;
        let sha256 = file.get("sha256")?.as_str()?;
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_hash.then_some(Self { sha256: sha256.to_owned(), bytes: file.get("bytes")?.as_u64()? })
    }
}
