use super::*;
use crate::approval::{AnswerKind, ApprovalKey, Code};
use crate::channel::nostr::compose::{Draft, InThread, To};
use crate::pool::{AgentName, MissionName};
use crate::wording::Packet;

fn packet() -> Packet {
    Packet {
        key: ApprovalKey::parse("ezra:archive:1795416000").unwrap(),
        code: Code::parse("7K3QXM").unwrap(),
        agent: AgentName::new("ezra").unwrap(),
        mission: MissionName::new("archive").unwrap(),
        ttl_ms: 3_600_000,
        restart: true,
        substitutes: vec![AgentName::new("timmy").unwrap()],
    }
}

fn tags(event: &UnsignedEvent) -> Vec<String> {
    event.tags.iter().map(|tag| tag.as_slice().join(" ")).collect()
}

#[test]
fn a_packet_can_be_read_by_people_and_programs() {
    let packet = packet();
    let draft = Draft {
        to: To::Private(kim().public_key()),
        text: "ezra is dead",
        packet: Some(&packet),
        outcome: None,
        thread: None,
        at: Seconds::from(NOW),
        reacts: false,
    };
    let event = compose::compose(us().public_key(), &draft);
    assert_eq!(event, compose::compose(us().public_key(), &draft), "the same again");
    assert_eq!(event.kind.as_u16(), 14);
    assert_eq!(
        tags(&event),
        [
            format!("p {}", kim().public_key().to_hex()),
            "approval ezra:archive:1795416000".into(),
            "code 7K3QXM".into(),
            "agent ezra".into(),
            "mission archive".into(),
            "ttl 3600".into(),
            "answer approve".into(),
            "answer substitute timmy".into(),
            "answer deny".into(),
            "alt Approval request ezra:archive:1795416000".into(),
            format!("expiration {}", NOW + 3_600 + 25 * 3_600),
        ]
    );
    let (signer, kim, key) = (Signer::Local(Identity::new(us())), kim().public_key(), keys(9));
    let wrapping = signer.wrap(&event, &kim, &key, Seconds::from(NOW), [5, 7]);
    let wrap = futures_executor::block_on(wrapping).unwrap();
    assert_eq!(wrap.created_at.as_secs(), NOW - 7);
    assert_eq!(tags(&wrap.clone().into()).len(), 2, "who gets it, and when it can go");
}

#[test]
fn our_own_note_is_marked() {
    let thread = Some(InThread { root: "a".repeat(64), parent: None });
    let to = To::Open(vec![kim().public_key()]);
    let draft = Draft { to, text: "+", packet: None, outcome: None, thread, at: Seconds::from(NOW), reacts: true };
    let event = compose::compose(us().public_key(), &draft);
    assert_eq!((event.kind.as_u16(), event.content.as_str()), (7, "+"));
    let us_hex = us().public_key().to_hex();
    assert_eq!(tags(&event), [format!("e {}  {us_hex}", "a".repeat(64)), format!("p {us_hex}"), "k 1".into()]);
    assert_eq!(event.id, compose::compose(us().public_key(), &draft).id, "the same again");
}

#[test]
fn an_answer_says_for_programs_what_became_of_it() {
    for (outcome, word) in [(AnswerKind::Taken, "taken"), (AnswerKind::NotFound, "not_found")] {
        let to = To::Private(kim().public_key());
        let draft = Draft {
            to,
            text: "so",
            packet: None,
            outcome: Some(outcome),
            thread: None,
            at: Seconds::from(NOW),
            reacts: false,
        };
        assert!(tags(&compose::compose(us().public_key(), &draft)).contains(&format!("outcome {word}")));
    }
}

#[test]
fn an_end_is_told_in_the_thread() {
    let thread = Some(InThread { root: "a".repeat(64), parent: Some("b".repeat(64)) });
    let at = Seconds::from(NOW);
    let draft = |to| Draft { to, text: "over", packet: None, outcome: None, thread: thread.clone(), at, reacts: false };
    let open = compose::compose(us().public_key(), &draft(To::Open(vec![kim().public_key()])));
    let p = format!("p {}", kim().public_key().to_hex());
    let root = format!("e {}  root", "a".repeat(64));
    assert_eq!((open.kind.as_u16(), tags(&open)), (1, vec![root, format!("e {}  reply", "b".repeat(64)), p.clone()]));
    let private = compose::compose(us().public_key(), &draft(To::Private(kim().public_key())));
    assert_eq!(tags(&private), [p, format!("e {} ", "b".repeat(64))]);
}
