use super::*;

#[test]
fn what_was_said_in_private_is_opened_and_proven_without_our_key() {
    let us = us().public_key();
    let rumor = unsigned(&kim(), 14, &[&["p", &us.to_hex()]], "approve 7K3QXM");
    let (signer, ephemeral) = (Signer::Local(Identity::new(kim())), keys(9));
    let wrapping = signer.wrap(&rumor, &us, &ephemeral, Seconds::from(NOW), [100, 172_799]);
    let wrap = futures_executor::block_on(wrapping).unwrap();
    let (evidence, said) = opened(&wrap).unwrap();
    assert_eq!(said.content, "approve 7K3QXM");
    assert_eq!(said.id, rumor.id.unwrap().to_hex());
    assert_eq!(said.said_at.as_secs(), i64::try_from(NOW).unwrap(), "the message's time counts, not the wrap's");
    assert!(said.is_private);
    assert_eq!(evidence.utterance().unwrap(), said);
    assert!(!format!("{evidence:?}").contains("approve"));
}

#[test]
fn a_signed_decision_needs_no_seal() {
    let us = us().public_key().to_hex();
    let decision = signed(&kim(), 4717, &[&["p", &us]], "");
    let (evidence, said) = opened(&wrapped(&decision.as_json())).unwrap();
    assert_eq!((said.id, said.kind, said.is_private), (decision.id.to_hex(), 4717, true));
    assert_eq!(evidence.signed_id(), Some(decision.id.to_hex()));
    let to_another = signed(&kim(), 4717, &[&["p", &keys(7).public_key().to_hex()]], "");
    assert_eq!(opened(&wrapped(&to_another.as_json())), Err(NotUnwrapped::NotToUs));
}

#[test]
fn every_other_wrap_is_refused() {
    let us_hex = us().public_key().to_hex();
    let p: &[&str] = &["p", &us_hex];
    let rumor = unsigned(&kim(), 14, &[p], "approve 7K3QXM").as_json();
    let seal = |kind, tags: &[&[&str]], text: &str| wrapped(&sealed(&kim(), kind, tags, text).as_json());
    let changed = |text: &str, from: &str, to: &str| {
        let other = text.replace(from, to);
        assert_ne!(text, other, "nothing was changed");
        other
    };
    let good = sealed(&kim(), 13, &[], &rumor);
    let good_sig = good.sig.to_string();
    let flipped = format!("{}{}", if good_sig.starts_with('0') { "1" } else { "0" }, &good_sig[1..]);
    let by_lee = unsigned(&keys(3), 14, &[p], "approve 7K3QXM").as_json();
    let to_lee = unsigned(&kim(), 14, &[&["p", &keys(3).public_key().to_hex()]], "approve 7K3QXM").as_json();
    let wrong_id = changed(&rumor, "approve 7K3QXM", "approve 7K3QXN");
    let garbled = {
        let mut event = good.clone();
        event.content = event.content.replacen('A', "B", 1);
        event.content.push_str("AAAA");
        signed(&kim(), 13, &[], &event.content)
    };
    let foreign = {
        let ephemeral = keys(9);
        let text = encrypted(&ephemeral, keys(7).public_key(), &good.as_json());
        signed(&ephemeral, 1059, &[p], &text)
    };
    use NoEvidence::{Keys as NoKeys, RumorAuthor, RumorId, RumorKind, RumorShape, SealKind, SealTags};
    let evidence = |why: NoEvidence| NotUnwrapped::NoEvidence(why);
    for (name, wrap, expected) in [
        ("no wrap", good.clone(), NotUnwrapped::NoWrap),
        ("foreign", foreign, NotUnwrapped::Foreign),
        ("empty", signed(&keys(9), 1059, &[p], ""), NotUnwrapped::Foreign),
        ("no base64", signed(&keys(9), 1059, &[p], "§§"), NotUnwrapped::Foreign),
        ("long", signed(&keys(9), 1059, &[p], &"A".repeat(120_000)), NotUnwrapped::Foreign),
        ("no event", wrapped("hello"), NotUnwrapped::Shape),
        ("as long as can be, and no event", wrapped(&"x".repeat(65_408)), NotUnwrapped::Shape),
        ("a note inside", wrapped(&signed(&kim(), 1, &[p], "approve").as_json()), NotUnwrapped::Kind),
        ("a seal of kind 1", seal(1, &[], &rumor), NotUnwrapped::Kind),
        ("tags on the seal", seal(13, &[&["p", &us_hex]], &rumor), evidence(SealTags)),
        ("a stranger's", wrapped(&sealed(&keys(3), 13, &[], &rumor).as_json()), NotUnwrapped::Stranger),
        (
            "a broken signature",
            wrapped(&good.as_json().replace(&good_sig, &flipped)),
            evidence(Unverified::Signature.into()),
        ),
        (
            "another time than signed",
            wrapped(&good.as_json().replace(&NOW.to_string(), &(NOW + 1).to_string())),
            evidence(Unverified::Id.into()),
        ),
        ("garbled inside", wrapped(&garbled.as_json()), evidence(NoKeys)),
        ("somebody else's words", seal(13, &[], &by_lee), evidence(RumorAuthor)),
        ("another id than its hash", seal(13, &[], &wrong_id), evidence(RumorId)),
        ("to somebody else", seal(13, &[], &to_lee), NotUnwrapped::NotToUs),
        ("a file", seal(13, &[], &unsigned(&kim(), 15, &[p], "x").as_json()), evidence(RumorKind)),
        ("no message", seal(13, &[], "approve"), evidence(RumorShape)),
        ("a time before 1970", seal(13, &[], &changed(&rumor, &NOW.to_string(), "-1")), evidence(RumorShape)),
        ("half a second", seal(13, &[], &changed(&rumor, &NOW.to_string(), "1.5")), evidence(RumorShape)),
    ] {
        assert_eq!(opened(&wrap).map(|(_, said)| said), Err(expected), "{name}");
    }
    assert_eq!(of_kind_13_only(), SealKind);
}

/// A seal of another kind cannot come through a wrap; put into the inbox by hand, it is refused, too.
fn of_kind_13_only() -> NoEvidence {
    let us_hex = us().public_key().to_hex();
    let rumor = unsigned(&kim(), 14, &[&["p", &us_hex]], "approve").as_json();
    let (Evidence::Sealed { rumor, .. }, _) = opened(&wrapped(&sealed(&kim(), 13, &[], &rumor).as_json())).unwrap()
    else {
        panic!("it is sealed")
    };
    let seal = sealed(&kim(), 1, &[], &rumor);
    let payload = super::super::message_keys::Payload::parse(&seal.content).unwrap();
    let keys = super::super::message_keys::MessageKeys::derive(us().secret_key(), &kim().public_key(), &payload);
    let evidence = Evidence::Sealed { seal: seal.as_json(), rumor, keys: keys.unwrap().to_hex() };
    evidence.utterance().unwrap_err()
}

#[test]
fn the_longest_message_is_opened() {
    let us_hex = us().public_key().to_hex();
    // JSON, base64 and two layers: about this much is left for the text.
    let text = format!("deny {}", "x".repeat(20_000));
    let rumor = unsigned(&kim(), 14, &[&["p", &us_hex]], &text).as_json();
    let wrap = wrapped(&sealed(&kim(), 13, &[], &rumor).as_json());
    assert_eq!(opened(&wrap).unwrap().1.content.len(), text.len());
}
