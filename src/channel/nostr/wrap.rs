//! Opening what was wrapped for us (NIP-59), cheapest first: a stranger's wrap costs one decryption.
//!
//! The library's own unwrapping takes a seal of any kind, and a message whose stated id is not its hash;
//! and it cannot open a signed decision, which is wrapped without a seal.

use nostr_sdk::{Event, JsonUtil as _, Kind, SecretKey};

use super::decision::DECISION;
use super::evidence::{Evidence, NoEvidence, of_sealed};
use super::message_keys::{MessageKeys, Payload};
use super::utterance::Utterance;
use super::verified::{Unverified, Verified};

/// Why nothing came of a wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUnwrapped {
    /// It is of another kind.
    #[error("it is no wrap")]
    NoWrap,
    /// We cannot open it.
    #[error("it cannot be opened with our key")]
    Foreign,
    /// What it holds is no event.
    #[error("what is wrapped is no event")]
    Shape,
    /// It holds neither a seal nor a decision.
    #[error("what is wrapped is neither a seal nor a decision")]
    Kind,
    /// Its author is nobody here.
    #[error("its author is nobody here")]
    Stranger,
    /// It proves nothing.
    #[error(transparent)]
    NoEvidence(#[from] NoEvidence),
    /// It was said to somebody else.
    #[error("the message was written to somebody else")]
    NotToUs,
}

/// What lies under the first layer, said by somebody who counts.
pub(super) enum Layer {
    /// A decision, which its author's signature proves.
    Decision(Evidence, Utterance),
    /// A seal that is still to be opened.
    Seal(Verified),
}

/// Opens `wrap` with our `secret`. `is_known` tells whether a public key (hexadecimal) is a person's: only
/// then is more than the first layer looked at.
///
/// # Errors
/// Nothing came of it.
pub fn unwrap(
    wrap: &Event,
    secret: &SecretKey,
    us: &str,
    is_known: impl Fn(&str) -> bool,
) -> Result<(Evidence, Utterance), NotUnwrapped> {
    if wrap.kind != Kind::GiftWrap {
        return Err(NotUnwrapped::NoWrap);
    }
    let open = |from, content: &str| {
        let payload = Payload::parse(content)?;
        let keys = MessageKeys::derive(secret, from, &payload)?;
        let text = keys.open(&payload)?;
        Some((keys, text))
    };
    let (_, inner) = open(&wrap.pubkey, &wrap.content).ok_or(NotUnwrapped::Foreign)?;
    let seal = match first_layer(&inner, us, is_known)? {
        Layer::Decision(evidence, said) => return Ok((evidence, said)),
        Layer::Seal(seal) => seal,
    };
    let (keys, rumor) = open(&seal.event().pubkey, &seal.event().content).ok_or(NoEvidence::Keys)?;
    let said = to_us(of_sealed(&seal, &rumor)?, us)?;
    Ok((Evidence::sealed(&seal, rumor, &keys), said))
}

/// Whether a wrap is worth a question to a signer that is somewhere else.
pub(super) fn is_worth_opening(wrap: &Event) -> Result<(), NotUnwrapped> {
    if wrap.kind != Kind::GiftWrap {
        return Err(NotUnwrapped::NoWrap);
    }
    Payload::parse(&wrap.content).map(drop).ok_or(NotUnwrapped::Foreign)
}

/// What `inner` is, which was wrapped for us.
pub(super) fn first_layer(inner: &str, us: &str, is_known: impl Fn(&str) -> bool) -> Result<Layer, NotUnwrapped> {
    let inner = Event::from_json(inner).map_err(|_| NotUnwrapped::Shape)?;
    if ![Kind::Seal, DECISION].contains(&inner.kind) {
        return Err(NotUnwrapped::Kind);
    }
    if !is_known(&inner.pubkey.to_hex()) {
        return Err(NotUnwrapped::Stranger);
    }
    let inner = verified(inner)?;
    if inner.event().kind != DECISION {
        return Ok(Layer::Seal(inner));
    }
    let said = to_us(Utterance::of_signed(&inner, true), us)?;
    Ok(Layer::Decision(Evidence::Signed { event: inner.to_json(), private: true }, said))
}

/// What `seal` says, by a signer that opened it to `rumor` and shows no keys.
pub(super) fn of_signer(seal: &Verified, rumor: String, us: &str) -> Result<(Evidence, Utterance), NotUnwrapped> {
    let said = to_us(of_sealed(seal, &rumor)?, us)?;
    Ok((Evidence::Attested { seal: seal.to_json(), rumor }, said))
}

fn to_us(said: Utterance, us: &str) -> Result<Utterance, NotUnwrapped> {
    if said.is_for(us) { Ok(said) } else { Err(NotUnwrapped::NotToUs) }
}

fn verified(event: Event) -> Result<Verified, NoEvidence> {
    Verified::new(event).map_err(|error: Unverified| NoEvidence::Unverified(error))
}
