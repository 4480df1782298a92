//! The keys of one private message (NIP-44, version 2): they open that message and no other of the pair,
//! which the conversation key would. So they may be kept as a receipt.

use std::fmt;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _};
use nostr_sdk::hashes::Hash as _;
use nostr_sdk::nips::nip44::v2::ConversationKey;
use nostr_sdk::util::hkdf;
use nostr_sdk::{PublicKey, SecretKey};

/// Key, nonce and authentication key.
const LENGTH: usize = 76;
const VERSION: u8 = 2;
const NONCE: usize = 32;
const MAC: usize = 32;
/// The least that a payload holds: version, nonce, two bytes of length, 32 of text, the code.
const LEAST: usize = 1 + NONCE + 2 + 32 + MAC;
/// The most: what two bytes of length can say, padded.
const MOST: usize = 1 + NONCE + 2 + 65_536 + MAC;

/// The 76 bytes that open one message.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct MessageKeys([u8; LENGTH]);

impl fmt::Debug for MessageKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageKeys(…)")
    }
}

/// One encrypted message, taken apart.
pub(super) struct Payload {
    nonce: [u8; NONCE],
    text: Vec<u8>,
    mac: [u8; MAC],
}

impl Payload {
    /// Reads the base64 that stands in an event.
    pub(super) fn parse(content: &str) -> Option<Self> {
        use base64::Engine as _;
        if content.len() > MOST * 4 / 3 + 4 {
            return None;
        }
        let bytes = base64::engine::general_purpose::STANDARD.decode(content).ok()?;
        if !(LEAST..=MOST).contains(&bytes.len()) || bytes.first() != Some(&VERSION) {
            return None;
        }
        let (head, mac) = bytes.split_at(bytes.len() - MAC);
        let (nonce, text) = head.get(1..)?.split_at_checked(NONCE)?;
        Some(Self { nonce: nonce.try_into().ok()?, text: text.to_vec(), mac: mac.try_into().ok()? })
    }
}

impl MessageKeys {
    /// The keys of `payload`, for either of the two between whom it passed.
    pub(super) fn derive(secret: &SecretKey, other: &PublicKey, payload: &Payload) -> Option<Self> {
        let conversation = ConversationKey::derive(secret, other).ok()?;
        hkdf::expand(conversation.as_bytes(), &payload.nonce, LENGTH).try_into().ok().map(Self)
    }

    pub(super) fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }

    /// What `payload` says; none if these are not its keys, or it was changed.
    pub(super) fn open(&self, payload: &Payload) -> Option<String> {
        let (key, rest) = self.0.split_at(32);
        let (nonce, auth) = rest.split_at(12);
        let signed: Vec<u8> = [payload.nonce.as_slice(), payload.text.as_slice()].concat();
        // What HKDF calls extracting is one HMAC. The keys are known to whoever calls this, so a comparison
        // that takes its time tells nobody anything.
        let mac = hkdf::extract(auth, &signed);
        if mac.to_byte_array() != payload.mac {
            return None;
        }
        let mut text = payload.text.clone();
        let key: &[u8; 32] = key.try_into().ok()?;
        let nonce: &[u8; 12] = nonce.try_into().ok()?;
        ChaCha20::new(key.into(), nonce.into()).apply_keystream(&mut text);
        let (length, padded) = text.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || padded.len() != padded_length(length) {
            return None;
        }
        String::from_utf8(padded.get(..length)?.to_vec()).ok()
    }
}

/// To how many bytes a text is filled up, so that its length tells little.
fn padded_length(length: usize) -> usize {
    if length <= 32 {
        return 32;
    }
    let next = length.next_power_of_two();
    let chunk = if next <= 256 { 32 } else { next / 8 };
    length.div_ceil(chunk) * chunk
}
