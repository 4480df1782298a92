use crate::pool::Timestamp;

/// What an event gets from outside: the moment, and ids where it brings none. An id is drawn only
/// for what really becomes an event.
pub struct Stamp<'s> {
    /// The moment, as events write it; see [`event_time`].
    pub at: &'s str,
    /// Draws a new id, one that was never drawn before.
    pub new_id: &'s mut dyn FnMut() -> String,
}

impl Stamp<'_> {
    pub(super) fn id(&mut self) -> String {
        (self.new_id)()
    }
}

/// `at` as events write it: UTC, `2026-04-15T04:00:00.500000+00:00`, without the fraction where it is 0.
pub fn event_time(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(moment) if at.as_millis().rem_euclid(1000) == 0 => moment.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
        Ok(moment) => moment.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string(),
        Err(_) => at.to_string(),
    }
}

/// The moment that an event's `timestamp` tells; None if it is no time.
pub fn event_moment(text: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}
