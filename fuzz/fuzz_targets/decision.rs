//! Whatever an event says, reading it as evidence and as a decision breaks nothing.
#![no_main]

use lazarus_gate::channel::nostr::{Evidence, SignedDecision, Thread, line, reaction};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = (reaction(text), line(text));
    let read = serde_json::from_str::<Evidence>(text).ok();
    let signed = Evidence::Signed { event: text.to_owned(), private: false };
    for evidence in read.into_iter().chain([signed]) {
        if let Ok(said) = evidence.utterance() {
            let _ = (SignedDecision::read(&said, &said.author), Thread::of(&said));
        }
    }
});
