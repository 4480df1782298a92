use super::*;
use crate::approval::ApprovalKey;
use crate::pool::AgentName;

const PACKET: &str = "73d7909cbc2c74e7b887e346e7a6def08233d8dae1e59e31147c8be98d0f0512";
const KEY: &str = "hermes:nightly:1795416000";

/// Made by another program, and signed there.
const FOREIGN: &str = r#"{"id":"99b7c2d5a5417b43876b5b3cc6a86b703d55322f8b322616c2e890c16110ae4e","pubkey":"4d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766","created_at":1795416060,"kind":4717,"tags":[["e","73d7909cbc2c74e7b887e346e7a6def08233d8dae1e59e31147c8be98d0f0512","ws://127.0.0.1:7447","531fe6068134503d2723133227c867ac8fa6c83c537e9a44c3c5bdbdcb1fe337"],["p","531fe6068134503d2723133227c867ac8fa6c83c537e9a44c3c5bdbdcb1fe337"],["approval","hermes:nightly:1795416000"],["decision","substitute"],["substitute","timmy"],["alt","Decision on hermes:nightly:1795416000: substitute timmy"]],"content":"disk is full","sig":"96efa40dc980dc684471d0beff0495735a28eabfddafa0a40b1f58a6e462fb93a0f97e790f9e79f7d001ef55ec28d751225e5aa64c9792ccf6bd91378188a923"}"#;

#[test]
fn one_made_elsewhere_is_read() {
    let said = Evidence::Signed { event: FOREIGN.into(), private: false }.utterance().unwrap();
    let us = "531fe6068134503d2723133227c867ac8fa6c83c537e9a44c3c5bdbdcb1fe337";
    let expected = SignedDecision {
        packet: PACKET.into(),
        key: ApprovalKey::parse(KEY).unwrap(),
        verb: Verb::Substitute(AgentName::new("timmy").unwrap()),
        reason: "disk is full".into(),
    };
    assert_eq!(SignedDecision::read(&said, us), Ok(expected));
    assert_eq!(SignedDecision::read(&said, &kim().public_key().to_hex()), Err(NoDecision::NotToUs));
}

#[test]
fn what_we_make_reads_back() {
    let (us, kim) = (us().public_key(), kim());
    for verb in [Verb::Approve, Verb::Deny, Verb::Substitute(AgentName::new("timmy").unwrap())] {
        let decision = SignedDecision {
            packet: PACKET.into(),
            key: ApprovalKey::parse(KEY).unwrap(),
            verb,
            reason: "because".into(),
        };
        let event = decision.make(kim.public_key(), us, "ws://127.0.0.1:7447", Seconds::from(NOW));
        let event = event.sign_with_keys(&kim).unwrap().as_json();
        let said = Evidence::Signed { event, private: false }.utterance().unwrap();
        assert_eq!(SignedDecision::read(&said, &us.to_hex()), Ok(decision));
    }
}

#[test]
fn anything_missing_doubled_or_unknown_refuses_the_whole() {
    use NoDecision::{Doubled, Expires, Missing, NoKey, NoPacket, Substitute, UnknownVerb};
    let us = us().public_key().to_hex();
    let read = |tags: &[&[&str]], content: &str| SignedDecision::read(&said(&kim(), 4717, tags, content), &us);
    let (e, p, key): (&[&str], &[&str], &[&str]) = (&["e", PACKET], &["p", &us], &["approval", KEY]);
    let (yes, no): (&[&str], &[&str]) = (&["decision", "approve"], &["decision", "deny"]);
    let other: &[&str] = &["decision", "substitute"];
    let timmy: &[&str] = &["substitute", "timmy"];
    assert!(read(&[e, p, key, yes, &["alt", "x"], &["t", "y"], &["t", "y"]], "").is_ok(), "other tags are ignored");
    for (name, tags, expected) in [
        ("no packet", &[p, key, yes] as &[&[&str]], Missing("e")),
        ("a packet without id", &[&["e"], p, key, yes], Missing("e")),
        ("a strange id", &[&["e", "abc"], p, key, yes], NoPacket),
        ("two packets", &[e, e, p, key, yes], Doubled("e")),
        ("nobody addressed", &[e, key, yes], Missing("p")),
        ("two addressed", &[e, p, p, key, yes], Doubled("p")),
        ("no key", &[e, p, yes], Missing("approval")),
        ("a strange key", &[e, p, &["approval", "7K3QXM"], yes], NoKey),
        ("two keys", &[e, p, key, key, yes], Doubled("approval")),
        ("no decision", &[e, p, key], Missing("decision")),
        ("two decisions", &[e, p, key, yes, no], Doubled("decision")),
        ("an unknown verb", &[e, p, key, &["decision", "APPROVE"]], UnknownVerb),
        ("a substitute missing", &[e, p, key, other], Missing("substitute")),
        ("an empty substitute", &[e, p, key, other, &["substitute"]], Substitute),
        ("no name", &[e, p, key, other, &["substitute", "a b"]], Substitute),
        ("two substitutes", &[e, p, key, other, timmy, timmy], Doubled("substitute")),
        ("a substitute too many", &[e, p, key, yes, timmy], Substitute),
        ("two summaries", &[e, p, key, yes, &["alt", "x"], &["alt", "y"]], Doubled("alt")),
        ("one that expires", &[e, p, key, yes, &["expiration", "1"]], Expires),
    ] {
        assert_eq!(read(tags, ""), Err(expected), "{name}");
    }
    assert_eq!(read(&[e, p, key, no], &"x".repeat(1_001)), Err(NoDecision::TooLong));
    assert!(read(&[e, p, key, no], &"é".repeat(1_000)).is_ok());
}
