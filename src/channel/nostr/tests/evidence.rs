use super::*;

#[test]
fn only_what_we_verified_ourselves_is_verified() {
    let genuine = signed(&kim(), 1, &[], "deny 7K3QXM");
    assert!(Verified::new(genuine.clone()).is_ok());
    let with = |change: &dyn Fn(&mut Event)| {
        let mut event = genuine.clone();
        change(&mut event);
        Verified::new(event).map(drop)
    };
    let other = signed(&kim(), 1, &[], "approve 7K3QXM");
    for (name, refused, expected) in [
        ("its id, and other words", with(&|event| event.content = "approve 7K3QXM".into()), Unverified::Id),
        ("another author", with(&|event| event.pubkey = keys(3).public_key()), Unverified::Id),
        ("another signature", with(&|event| event.sig = other.sig), Unverified::Signature),
        ("a time beyond numbers", with(&|event| event.created_at = Seconds::from((1 << 53) + 1)), Unverified::Time),
        ("the end of time", with(&|event| event.created_at = Seconds::from(u64::MAX)), Unverified::Time),
    ] {
        assert_eq!(refused, Err(expected), "{name}");
    }
}

#[test]
fn a_signature_by_somebody_else_over_the_right_id_is_refused() {
    let mut event = signed(&kim(), 1, &[], "approve 7K3QXM");
    event.sig = keys(3).sign_schnorr(&nostr_sdk::secp256k1::Message::from_digest(event.id.to_bytes()));
    assert_eq!(Verified::new(event).map(drop), Err(Unverified::Signature));
}

#[test]
fn text_that_is_no_event_is_refused() {
    let genuine = signed(&kim(), 1, &[], "deny").as_json();
    let time = NOW.to_string();
    for text in [
        String::new(),
        "[]".into(),
        "{}".into(),
        genuine.replace(&time, "-1"),
        genuine.replace(&time, "1.5"),
        genuine.replace(&time, "18446744073709551616"),
    ] {
        assert_eq!(Verified::from_json(&text).map(drop), Err(Unverified::Shape), "{text}");
    }
    let long = signed(&kim(), 1, &[], &"x".repeat(EVENT_MAX)).as_json();
    assert_eq!(Verified::from_json(&long).map(drop), Err(Unverified::Size));
}

#[test]
fn a_receipt_shows_each_change() {
    let us_hex = us().public_key().to_hex();
    let rumor = unsigned(&kim(), 14, &[&["p", &us_hex]], "deny 7K3QXM").as_json();
    let (evidence, _) = opened(&wrapped(&sealed(&kim(), 13, &[], &rumor).as_json())).unwrap();
    let Evidence::Sealed { seal, rumor, keys } = evidence.clone() else { panic!("it is sealed") };
    // It is one line of JSON, and what is read back proves the same.
    let kept = serde_json::to_string(&evidence).unwrap();
    assert_eq!(serde_json::from_str::<Evidence>(&kept).unwrap().utterance(), evidence.utterance());
    let approved = rumor.replace("deny", "approve");
    let other_keys = keys.replace(&keys[..2], if keys.starts_with("00") { "01" } else { "00" });
    for (name, changed) in [
        ("other words", Evidence::Sealed { seal: seal.clone(), rumor: approved, keys: keys.clone() }),
        ("other keys", Evidence::Sealed { seal: seal.clone(), rumor: rumor.clone(), keys: other_keys }),
        ("no keys", Evidence::Sealed { seal, rumor: rumor.clone(), keys: String::new() }),
    ] {
        assert_eq!(changed.utterance(), Err(NoEvidence::Keys), "{name}");
    }
    let other_seal = sealed(&kim(), 13, &[], &rumor).as_json();
    let moved = Evidence::Sealed { seal: other_seal, rumor, keys };
    assert_eq!(moved.utterance(), Err(NoEvidence::Keys), "the keys of one message open no other");
}
