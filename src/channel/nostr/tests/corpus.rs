//! The corpus of the fuzz targets, run as a plain test.

use super::*;

/// What a fuzz target does with its bytes: nothing they say may break it.
fn try_all(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(event) = Event::from_json(text) {
        let _ = opened(&event);
    }
    let _ = opened(&wrapped(if text.is_empty() { " " } else { text.get(..2_000).unwrap_or("x") }));
    for evidence in [
        Evidence::Signed { event: text.to_owned(), private: false },
        Evidence::Sealed { seal: text.to_owned(), rumor: text.to_owned(), keys: text.to_owned() },
    ] {
        if let Ok(said) = evidence.utterance() {
            let _ = SignedDecision::read(&said, &said.author);
            let _ = Thread::of(&said);
        }
    }
    let _ = serde_json::from_str::<Evidence>(text).map(|evidence| evidence.utterance());
    let _ = reaction(text);
    let _ = line(text);
}

#[test]
fn the_corpus_breaks_nothing() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files = 0;
    for target in ["decision", "unwrap"] {
        for file in std::fs::read_dir(folder.join(target)).unwrap() {
            try_all(&std::fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
    }
    assert!(files >= 10, "only {files} files");
}
