//! Answers to taps, on the short way. Whoever tapped looks at a spinner: so an answer is handed to whoever
//! sends it when it is committed, and need not be looked for in the store. It is there as well, and one that
//! is lost here is found there.
//!
//! From before its commit until it is taken, an answer has its place here. So a look at the store that finds
//! it can tell that it is on its way ([`Owed::targets`]), and nobody is answered twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::messages::{MessageRow, MessageState, NewMessage};

/// The answers that are on the short way, by the id of the input that they answer.
#[derive(Debug, Default)]
pub struct Owed(Mutex<BTreeMap<String, Place>>);

#[derive(Debug, Default)]
struct Place {
    row: Option<MessageRow>,
    is_committed: bool,
}

/// The places of some inputs. When this is dropped, the answers that were not committed lose theirs.
#[derive(Debug)]
pub struct Expected<'o> {
    owed: &'o Owed,
    inputs: Vec<String>,
}

impl Place {
    fn is_ready_on(&self, channel: &str) -> bool {
        self.is_committed && self.row.as_ref().is_some_and(|row| row.channel == channel)
    }
}

impl Owed {
    /// Gives each of `inputs` a place for its answer. Those of other inputs go the long way.
    pub fn expect(&self, inputs: Vec<String>) -> Expected<'_> {
        let mut places = self.lock();
        for input in &inputs {
            places.entry(input.clone()).or_default();
        }
        drop(places);
        Expected { owed: self, inputs }
    }

    /// The answer to `input` is made, in the transaction that also puts it into the store.
    pub fn announce(&self, input: &str, answer: &NewMessage) {
        if let Some(place) = self.lock().get_mut(input) {
            place.row = Some(row_of(answer));
        }
    }

    /// The answers on `channel` that are committed; from now on they are the taker's.
    pub fn take(&self, channel: &str) -> Vec<MessageRow> {
        let mut places = self.lock();
        places.extract_if(.., |_, place| place.is_ready_on(channel)).filter_map(|(_, place)| place.row).collect()
    }

    /// Whether there is one to take.
    pub fn is_ready_on(&self, channel: &str) -> bool {
        self.lock().values().any(|place| place.is_ready_on(channel))
    }

    /// To whom answers are on their way here, committed or not.
    pub fn targets(&self) -> BTreeSet<String> {
        self.lock().values().filter_map(|place| Some(place.row.as_ref()?.target.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Expected<'_> {
    /// The answer to the `nth` input is committed.
    pub fn committed(&self, nth: usize) {
        let Some(input) = self.inputs.get(nth) else { return };
        if let Some(place) = self.owed.lock().get_mut(input) {
            place.is_committed = true;
        }
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        let mut places = self.owed.lock();
        for input in &self.inputs {
            if places.get(input).is_some_and(|place| !place.is_committed || place.row.is_none()) {
                places.remove(input);
            }
        }
    }
}

/// The message as the store has it.
fn row_of(message: &NewMessage) -> MessageRow {
    MessageRow {
        id: message.id.clone(),
        channel: message.channel.clone(),
        target: message.target.clone(),
        about: message.about.clone(),
        copy: None,
        kind: message.kind,
        priority: message.priority,
        created_at: message.created_at,
        state: MessageState::Due,
        attempts: 0,
        next_at: message.created_at,
        remote_id: None,
        sent_at: None,
        body: message.body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Timestamp;
    use crate::store::messages::MessageKind;

    fn answer(target: &str) -> NewMessage {
        NewMessage {
            id: format!("answer to {target}"),
            channel: "telegram".into(),
            target: target.into(),
            about: None,
            kind: MessageKind::Answer,
            priority: 0,
            created_at: Timestamp::from_millis(1),
            body: "{}".into(),
        }
    }

    fn taken(owed: &Owed) -> Vec<String> {
        owed.take("telegram").into_iter().map(|row| row.target).collect()
    }

    #[test]
    fn only_what_is_committed_is_handed_over_and_only_once() {
        let owed = Owed::default();
        let expected = owed.expect(vec!["a".into(), "b".into(), "c".into()]);
        for input in ["a", "b", "somebody else's"] {
            owed.announce(input, &answer(input));
        }
        assert_eq!(taken(&owed), [""; 0], "nothing is committed");
        expected.committed(0);
        expected.committed(2);
        assert_eq!(owed.targets(), ["a".to_owned(), "b".to_owned()].into(), "both may be found in the store by now");
        drop(expected);
        assert_eq!(owed.targets(), ["a".to_owned()].into(), "the store's sender may have what was not committed here");
        assert_eq!(owed.take("nostr").len(), 0);
        assert_eq!(taken(&owed), ["a"]);
        assert_eq!(taken(&owed), [""; 0]);
    }
}
