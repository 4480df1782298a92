use std::time::Duration;

use crate::config::section::Section;
use crate::mission::limit;

/// The fewest bytes that an event may be limited to: below, not even a handoff with its note fits.
const EVENT_BYTES_MIN: u64 = 4 * 1024;
/// The most: a stream is read by people, and sent to chats.
const EVENT_BYTES_MAX: u64 = 1024 * 1024;

/// What missions allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mission {
    /// How long a handoff waits for its recipient.
    pub handoff_ttl: Duration,
    /// Most bytes of an event's JSON; larger state goes into a file.
    pub event_bytes: usize,
}

impl Mission {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let bytes = section.number("event_bytes", limit::EVENT_BYTES as u64, EVENT_BYTES_MIN, EVENT_BYTES_MAX);
        let mission = Self {
            handoff_ttl: section.duration("handoff_ttl", Duration::from_secs(15 * 60), Duration::from_millis(1)),
            event_bytes: usize::try_from(bytes).unwrap_or(limit::EVENT_BYTES),
        };
        section.finish();
        mission
    }
}
