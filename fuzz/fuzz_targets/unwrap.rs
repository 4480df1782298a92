//! Whatever stands in a wrap, opening it breaks nothing.
#![no_main]

use lazarus_gate::channel::nostr::nostr_sdk::nips::nip44;
use lazarus_gate::channel::nostr::nostr_sdk::{Event, EventBuilder, JsonUtil as _, Keys, Kind, SecretKey, Tag};
use lazarus_gate::channel::nostr::unwrap;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let us = Keys::new(SecretKey::from_slice(&[1; 32]).unwrap());
    let hex = us.public_key().to_hex();
    if let Ok(event) = Event::from_json(text) {
        let _ = unwrap(&event, us.secret_key(), &hex, |_| true);
    }
    let other = Keys::new(SecretKey::from_slice(&[2; 32]).unwrap());
    let Ok(content) = nip44::encrypt(other.secret_key(), &us.public_key(), text, nip44::Version::V2) else { return };
    let wrap = EventBuilder::new(Kind::GiftWrap, content).tag(Tag::public_key(us.public_key()));
    let _ = unwrap(&wrap.sign_with_keys(&other).unwrap(), us.secret_key(), &hex, |_| true);
});
