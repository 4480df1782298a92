//! The chain of a mission's stream: each event holds the hash of the one before, so that none can be
//! changed, taken out or moved unseen.
//!
//! The hash can be computed with other tools. It is SHA-256, in lower-case hex, over these nine
//! lines, joined by `\n`, without one at the end:
//!
//! ```text
//! v1
//! MISSION   its name
//! SEQ       decimal, from 1 on without gaps
//! KIND      message, checkpoint or handoff
//! ID        the event's id
//! SENDER    who made it
//! EPOCH     the epoch of the sender's incarnation, decimal; 0 if it never attached
//! BODY      the event's JSON exactly as stored; it holds no line break
//! PREV      the hash of the event before; 64 zeros at the first
//! ```
//!
//! The mission keeps number and hash of its last event apart, so an end that was cut off shows too.

use sha2::{Digest as _, Sha256};

/// The end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event; 0 if there is none.
    pub seq: i64,
    /// Its hash; 64 zeros if there is none.
    pub hash: String,
}

impl Head {
    /// The head of an empty stream.
    pub fn beginning() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }

    /// The head after `link`.
    pub fn after(link: &Link<'_>) -> Self {
        Self { seq: link.seq, hash: link.hash() }
    }
}

/// An event as the chain sees it.
#[derive(Clone, Copy, Debug)]
pub struct Link<'e> {
    /// The mission's name.
    pub mission: &'e str,
    /// Its number, from 1.
    pub seq: i64,
    /// "message", "checkpoint" or "handoff".
    pub kind: &'e str,
    /// Its id.
    pub id: &'e str,
    /// Who made it.
    pub sender: &'e str,
    /// The epoch of the sender's incarnation.
    pub epoch: i64,
    /// Its JSON as stored.
    pub body: &'e str,
    /// The hash of the event before.
    pub prev: &'e str,
}

impl Link<'_> {
    /// The hash of this event, which the next one holds.
    pub fn hash(&self) -> String {
        let Self { mission, seq, kind, id, sender, epoch, body, prev } = self;
        let mut digest = Sha256::new();
        digest.update(format!("v1\n{mission}\n{seq}\n{kind}\n{id}\n{sender}\n{epoch}\n"));
        digest.update(body);
        digest.update("\n");
        digest.update(prev);
        hex(&digest.finalize())
    }
}

/// What reading a stream has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Every event is as it was written.
    Whole {
        /// The end of the stream.
        head: Head,
    },
    /// The stream is broken; what comes before `seq` is whole.
    Broken {
        /// The first event that is wrong or missing.
        seq: i64,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads a stream from its first event on, one after the other.
#[derive(Clone, Debug)]
pub struct Verifier {
    head: Head,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { head: Head::beginning() }
    }
}

impl Verifier {
    /// The number of the last event that was read and found whole.
    pub fn read(&self) -> i64 {
        self.head.seq
    }

    /// Takes the next event with the hash that it has in the store; what is wrong, if anything is.
    pub fn next(&mut self, link: &Link<'_>, hash: &str) -> Result<(), Verified> {
        let seq = self.head.seq + 1;
        let broken = |why: String| Err(Verified::Broken { seq, why });
        if link.seq < seq {
            return Err(Verified::Broken { seq: link.seq, why: format!("it comes after event {}", self.head.seq) });
        }
        if link.seq > seq {
            return broken(format!("it is missing; the next one is {}", link.seq));
        }
        if link.prev != self.head.hash {
            return broken("it does not follow the one before".into());
        }
        let head = Head::after(link);
        if head.hash != hash {
            return broken("its content does not have its hash".into());
        }
        self.head = head;
        Ok(())
    }

    /// All events were read; `noted` is the end that the mission keeps.
    pub fn finish(self, noted: &Head) -> Verified {
        if self.head.seq < noted.seq {
            let why = format!("it is missing, and all after it; the mission has {} events", noted.seq);
            return Verified::Broken { seq: self.head.seq + 1, why };
        }
        if self.head.seq > noted.seq {
            let why = format!("it is one too many; the mission has {} events", noted.seq);
            return Verified::Broken { seq: noted.seq + 1, why };
        }
        if self.head != *noted {
            return Verified::Broken { seq: noted.seq, why: "its hash is not the one that the mission notes".into() };
        }
        Verified::Whole { head: self.head }
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        hex.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        hex.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    hex
}
