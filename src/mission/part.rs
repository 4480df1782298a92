//! Who does whose work: the machine of a handoff.
//!
//! ```text
//! offered ──► accepted   by its recipient, in time: the part is the recipient's from then on
//!    │   └──► declined   by its recipient
//!    └──────► expired    nobody answered within `handoff_ttl`: it stays with whom it was
//! ```
//!
//! Everybody who takes part in a mission has a *part* there, under their name, and owns it at
//! first. A handoff moves a part: the one of whom the checkpoint is, unless said otherwise. A part
//! has one owner by construction, and at most one offer is open for it.

use std::time::Duration;

use crate::pool::Timestamp;

use super::error::MissionError;
use super::permission::MissionRole;

/// One participant's part of a mission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whose it is by name.
    pub name: String,
    /// Who owns it now.
    pub owner: String,
    /// The handoff that waits for its recipient's answer.
    pub offer: Option<Offer>,
}

/// A handoff that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub handoff_id: String,
    /// Who offers, and gets the news.
    pub from: String,
    /// Who may accept or decline.
    pub to: String,
    /// Since when.
    pub offered_at: Timestamp,
    /// From when on it is over.
    pub expires_at: Timestamp,
}

/// How a handoff ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferEnd {
    /// The recipient owns the part.
    Accepted,
    /// The recipient does not want it.
    Declined {
        /// Why not, in the recipient's words.
        reason: String,
    },
    /// Nobody answered in time.
    Expired,
}

impl OfferEnd {
    /// The word for people and the store.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Declined { .. } => "declined",
            Self::Expired => "expired",
        }
    }
}

impl Part {
    /// The part of somebody who just joined: their own.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { owner: name.clone(), name, offer: None }
    }

    /// Offers the part. Its owner may, and a lead. An offer that is over must have been ended before
    /// ([`Part::expire`]).
    pub fn offer(&self, by_role: Option<MissionRole>, offer: Offer) -> Result<Self, MissionError> {
        if offer.from != self.owner && by_role != Some(MissionRole::Lead) {
            return Err(MissionError::NotTheOwner { part: self.name.clone(), owner: self.owner.clone() });
        }
        match &self.offer {
            Some(open) => Err(MissionError::AlreadyOffered {
                part: self.name.clone(),
                to: open.to.clone(),
                until: open.expires_at,
                handoff_id: open.handoff_id.clone(),
            }),
            None => Ok(Self { offer: Some(offer), ..self.clone() }),
        }
    }

    /// The recipient takes the part over. `said_at` is when the answer came in, which is what counts.
    pub fn accept(&self, handoff_id: &str, by: &str, said_at: Timestamp) -> Result<Self, MissionError> {
        let offer = self.answerable(handoff_id, by, said_at)?;
        Ok(Self { owner: offer.to.clone(), offer: None, name: self.name.clone() })
    }

    /// The recipient does not want it: the part stays with whom it was.
    pub fn decline(&self, handoff_id: &str, by: &str, said_at: Timestamp) -> Result<Self, MissionError> {
        self.answerable(handoff_id, by, said_at)?;
        Ok(Self { offer: None, ..self.clone() })
    }

    /// The part once its offer is over, if it is at `now`.
    pub fn expire(&self, now: Timestamp) -> Option<Self> {
        let over = self.offer.as_ref().is_some_and(|offer| now >= offer.expires_at);
        over.then(|| Self { offer: None, ..self.clone() })
    }

    fn answerable(&self, handoff_id: &str, by: &str, said_at: Timestamp) -> Result<&Offer, MissionError> {
        let closed = |state| MissionError::OfferClosed { handoff_id: handoff_id.to_owned(), state };
        let offer = self.offer.as_ref().filter(|offer| offer.handoff_id == handoff_id).ok_or(closed("not open"))?;
        if offer.to != by {
            let (handoff_id, to) = (handoff_id.to_owned(), offer.to.clone());
            return Err(MissionError::NotTheRecipient { handoff_id, to, by: by.to_owned() });
        }
        if said_at >= offer.expires_at { Err(closed("expired")) } else { Ok(offer) }
    }
}

impl Offer {
    /// An offer made at `at` that waits for `ttl`.
    pub fn new(handoff_id: &str, from: &str, to: &str, at: Timestamp, ttl: Duration) -> Self {
        Self {
            handoff_id: handoff_id.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            offered_at: at,
            expires_at: at.plus(ttl),
        }
    }
}
