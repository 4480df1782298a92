use nostr_sdk::{Event, JsonUtil as _};

/// Longest event that is looked at, as JSON in bytes.
pub const EVENT_MAX: usize = 128 * 1024;
/// Numbers beyond are not the same in every program that reads JSON.
const SECONDS_MAX: u64 = 1 << 53;

/// An event whose id is the hash of what it says, and whose signature is its author's over that id: checked
/// by us, and by nobody else. There is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(Event);

/// Why an event proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// It is none.
    #[error("it is no event")]
    Shape,
    /// It is too large.
    #[error("the event is larger than {EVENT_MAX} bytes")]
    Size,
    /// Its time is beyond all numbers.
    #[error("the event's time is no time")]
    Time,
    /// It says something else than its id.
    #[error("the event's id is not the hash of what it says")]
    Id,
    /// Somebody else signed it, or nobody.
    #[error("the event's signature is not its author's")]
    Signature,
}

impl Verified {
    /// Checks the id, then the signature.
    ///
    /// # Errors
    /// It proves nothing.
    pub fn new(event: Event) -> Result<Self, Unverified> {
        if event.created_at.as_secs() > SECONDS_MAX {
            return Err(Unverified::Time);
        }
        if !event.verify_id() {
            return Err(Unverified::Id);
        }
        if !event.verify_signature() {
            return Err(Unverified::Signature);
        }
        Ok(Self(event))
    }

    /// The same for an event as text.
    ///
    /// # Errors
    /// It proves nothing.
    pub fn from_json(text: &str) -> Result<Self, Unverified> {
        if text.len() > EVENT_MAX {
            return Err(Unverified::Size);
        }
        Self::new(Event::from_json(text).map_err(|_| Unverified::Shape)?)
    }

    /// What was verified.
    pub fn event(&self) -> &Event {
        &self.0
    }

    /// The event as text, in one line.
    pub fn to_json(&self) -> String {
        self.0.as_json()
    }
}
