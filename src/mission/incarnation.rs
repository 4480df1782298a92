//! Which incarnation of an agent may write to a mission.
//!
//! An agent's epoch rises when an execution for it starts. An incarnation attaches with a nonce of
//! its own boot and learns the epoch; the first one to attach to an epoch has it. A write names
//! epoch and nonce, and counts only under the newest epoch, by whoever attached to it. So one that
//! was thought dead, and comes back after its successor began, changes nothing any more.
//!
//! | the execution that raised the epoch | may the old incarnation attach again? |
//! | --- | --- |
//! | failed, or was called off before it began | yes, as long as nobody else has attached since |
//! | is still under way | not yet |
//! | done, or nobody knows what became of it | never |
//!
//! Epoch 0 is before the first execution. An agent of which no incarnation ever attached writes
//! under it without any nonce; from the first attach on all its writes need one.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::pool::Timestamp;

use super::error::MissionError;

/// Fewest characters of a nonce, so that nobody guesses one.
pub(super) const NONCE_MIN: usize = 16;
/// Most characters of a nonce.
pub(super) const NONCE_MAX: usize = 128;

/// The nonce of one boot of an agent, as its hash: the nonce itself is kept nowhere, since whoever
/// knows it can write in the incarnation's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(String);

impl Nonce {
    /// The nonce that an incarnation sent.
    pub fn new(sent: &str) -> Result<Self, MissionError> {
        let plain = sent.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !plain || !(NONCE_MIN..=NONCE_MAX).contains(&sent.len()) {
            return Err(MissionError::BadNonce);
        }
        Ok(Self(super::chain::hex(&Sha256::digest(sent))))
    }

    /// From its hash, as [`Nonce::as_hash`] gave it.
    pub fn from_hash(hash: impl Into<String>) -> Self {
        Self(hash.into())
    }

    /// Its SHA-256, in lower-case hex.
    pub fn as_hash(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(…)")
    }
}

/// What became of the execution that raised an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaisedBy {
    /// It is about to run or runs.
    UnderWay,
    /// It could not start, or ended with an error: the old incarnation was not replaced.
    Failed,
    /// It was called off before it began.
    NeverStarted,
    /// It was carried out.
    Done,
    /// Nobody knows.
    Unknown,
}

impl RaisedBy {
    /// Whether the old incarnation is certainly still the one that there is.
    pub const fn is_void(self) -> bool {
        matches!(self, Self::Failed | Self::NeverStarted)
    }
}

/// An epoch above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raise {
    /// Its number, from 1.
    pub epoch: i64,
    /// When its execution started.
    pub at: Timestamp,
    /// What became of that.
    pub by: RaisedBy,
}

/// Who has an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The epoch.
    pub epoch: i64,
    /// The incarnation that attached first.
    pub nonce: Nonce,
    /// When it did.
    pub at: Timestamp,
}

/// Under what a write wants to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The epoch that attaching told.
    pub epoch: i64,
    /// The nonce that attached.
    pub nonce: Nonce,
}

/// How an attach ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// The incarnation has the epoch from now on; this is to be stored.
    New {
        /// The epoch.
        epoch: i64,
    },
    /// It had it already.
    Again {
        /// The epoch.
        epoch: i64,
    },
}

impl Attach {
    /// The epoch under which the incarnation writes.
    pub const fn epoch(self) -> i64 {
        match self {
            Self::New { epoch } | Self::Again { epoch } => epoch,
        }
    }
}

/// All that is known of one agent's incarnations in one mission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incarnations {
    /// Its epochs, in any order.
    pub raises: Vec<Raise>,
    /// Who attached, at most one an epoch.
    pub attachments: Vec<Attachment>,
}

impl Incarnations {
    /// The newest epoch; 0 before the first execution.
    pub fn epoch(&self) -> i64 {
        self.raises.iter().map(|raise| raise.epoch).max().unwrap_or(0)
    }

    /// Whether the incarnation with this nonce may attach, and to which epoch.
    pub fn attach(&self, nonce: &Nonce) -> Result<Attach, MissionError> {
        let epoch = self.epoch();
        match self.holder(epoch) {
            Some(holder) if holder.nonce == *nonce => return Ok(Attach::Again { epoch }),
            Some(holder) => {
                return Err(MissionError::Replaced { at: holder.at, why: "another incarnation attached first" });
            }
            None => {}
        }
        let last = self.attachments.iter().filter(|one| one.nonce == *nonce).map(|one| one.epoch).max();
        match last.and_then(|since| self.replacement(since)) {
            Some(refused) => Err(refused),
            None => Ok(Attach::New { epoch }),
        }
    }

    /// The epoch under which a write is taken, or why it is not.
    pub fn admit(&self, claim: Option<&Claim>) -> Result<i64, MissionError> {
        let first = self.attachments.iter().map(|one| one.at).min();
        let (claim, since) = match (claim, first) {
            (None, None) => return Ok(0),
            (None, Some(at)) => {
                let why = "an incarnation attached then, and since then all writes need its epoch and nonce";
                return Err(MissionError::Replaced { at, why });
            }
            (Some(claim), None) => return Err(MissionError::NotAttached { epoch: claim.epoch }),
            (Some(claim), Some(_)) => (claim, claim.epoch),
        };
        let known = self.holder(claim.epoch).is_some_and(|holder| holder.nonce == claim.nonce);
        match self.holder(self.epoch()) {
            Some(holder) if holder.nonce == claim.nonce && holder.epoch == claim.epoch => Ok(claim.epoch),
            Some(holder) if holder.nonce != claim.nonce => {
                Err(MissionError::Replaced { at: holder.at, why: "another incarnation attached first" })
            }
            _ if !known => Err(MissionError::NotAttached { epoch: claim.epoch }),
            _ => Err(self.replacement(since).unwrap_or_else(|| MissionError::Replaced {
                at: self.raised_after(since).map_or(Timestamp::from_millis(0), |raise| raise.at),
                why: "an execution for you began, and failed; attach again",
            })),
        }
    }

    fn holder(&self, epoch: i64) -> Option<&Attachment> {
        self.attachments.iter().find(|one| one.epoch == epoch)
    }

    /// Why one that had `epoch` has no right to a newer one; None if none of those replaced it.
    fn replacement(&self, epoch: i64) -> Option<MissionError> {
        let later = || self.raises.iter().filter(|raise| raise.epoch > epoch && !raise.by.is_void());
        // What has certainly happened is told before what may still come to nothing.
        let settled = later().filter(|raise| raise.by != RaisedBy::UnderWay).min_by_key(|raise| raise.epoch);
        let raise = settled.or_else(|| later().min_by_key(|raise| raise.epoch))?;
        let why = match raise.by {
            RaisedBy::UnderWay => "an execution for you is under way; attach again if it fails",
            RaisedBy::Unknown => "an execution for you began, and nobody knows what became of it",
            RaisedBy::Done | RaisedBy::Failed | RaisedBy::NeverStarted => "an execution for you was carried out",
        };
        Some(MissionError::Replaced { at: raise.at, why })
    }

    fn raised_after(&self, epoch: i64) -> Option<&Raise> {
        self.raises.iter().filter(|raise| raise.epoch > epoch).min_by_key(|raise| raise.epoch)
    }
}
