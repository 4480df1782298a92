//! What a journal says was decided, against what was signed. Each book is whole as a chain: whoever changes a
//! store can make a new chain, and cannot make a signature.

use serde_json::{Value, json};

use super::*;
use crate::approval::{Action, ApprovalKey, Channel, Code, InputId, PersonId, RequestId};
use crate::channel::nostr::receipt_hash;
use crate::incident::Event as Happened;
use crate::pool::{AgentName, Timestamp};
use crate::store::inbox::{self, Input};
use crate::store::journal::{self, Entry};
use crate::store::{OpenOptions, Store};

const PACKET: &str = "73d7909cbc2c74e7b887e346e7a6def08233d8dae1e59e31147c8be98d0f0512";
const ADA: &str = "ada:ledger:1795416000";
const BOB: &str = "bob:nightly:1795416000";

fn lee() -> Keys {
    keys(3)
}

/// A store in the making: entries of the journal, and inputs.
struct Book {
    entries: Vec<(&'static str, Value)>,
    inputs: Vec<(String, String)>,
}

impl Book {
    /// Kim and lee, and two requests.
    fn new() -> Self {
        let mut book = Self { entries: Vec::new(), inputs: Vec::new() };
        book.keys(&[("kim", &kim()), ("lee", &lee())]);
        for (request, key, code) in [("r-ada", ADA, "7K3QXM"), ("r-bob", BOB, "4M9ZTA")] {
            let (key, code) = (ApprovalKey::parse(key).unwrap(), Code::parse(code).unwrap());
            book.entries.push(("asked", json!(Happened::Asked { request: RequestId(request.into()), key, code })));
        }
        book
    }

    fn keys(&mut self, of: &[(&str, &Keys)]) {
        let of: std::collections::BTreeMap<_, _> =
            of.iter().map(|(who, keys)| (*who, [keys.public_key().to_hex()])).collect();
        self.entries.push((KEYS, json!({ "nostr": of })));
    }

    /// Something that was said, with its receipt; tells the input.
    fn receipt(&mut self, evidence: &Evidence, under: Option<&str>) -> InputId {
        let (said, raw) = (evidence.utterance().unwrap(), json!(evidence).to_string());
        let input = format!("nostr:{}", said.id);
        let mut entry = json!({ "input": input, "key": said.author, "sha256": receipt_hash(&raw) });
        if let Some(under) = under {
            entry["request"] = json!(under);
        }
        self.entries.push((RECEIPT, entry));
        self.inputs.push((input.clone(), raw));
        InputId(input)
    }

    fn approved(&mut self, request: &str, action: Action, by: &str, input: InputId) {
        let (request, by) = (RequestId(request.into()), PersonId::new(by).unwrap());
        let event = Happened::Approved { request, action, by, via: Channel::Nostr, input };
        self.entries.push(("approved", json!(event)));
    }

    fn denied(&mut self, request: &str, reason: Option<&str>, by: &str, input: InputId) {
        let (request, by) = (RequestId(request.into()), PersonId::new(by).unwrap());
        let reason = reason.map(str::to_owned);
        self.entries.push(("denied", json!(Happened::Denied { request, by, via: Channel::Nostr, input, reason })));
    }

    /// Kim's answers that are told right: in private under ada's packet, and a decision about bob.
    fn honest() -> Self {
        let mut book = Self::new();
        let input = book.receipt(&private(&kim(), "approve"), Some("r-ada"));
        book.approved("r-ada", Action::Restart, "kim", input);
        let input = book.receipt(&decision(&kim(), BOB, "deny", "it is moved"), Some("r-bob"));
        book.denied("r-bob", Some("it is moved"), "kim", input);
        book
    }

    async fn check(self) -> Checked {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store/gate.db"), OpenOptions::default()).await.unwrap();
        let now = Timestamp::from_millis(0);
        let written = store.write(move |tx| {
            Box::pin(async move {
                for (id, raw) in self.inputs {
                    let input = Input { id, source: "nostr".into(), raw, entered_at: now };
                    inbox::append(tx, &input).await?;
                }
                let entries = self.entries.into_iter().map(|(kind, body)| Entry {
                    kind: kind.into(),
                    agent: Some(AgentName::new("ada").unwrap()),
                    body,
                });
                journal::append(tx, &entries.collect::<Vec<_>>(), now).await.map(drop)
            })
        });
        written.await.unwrap();
        let mut db = store.read().await.unwrap();
        check_receipts(&mut db).await.unwrap()
    }
}

fn private(author: &Keys, text: &str) -> Evidence {
    let us = us().public_key().to_hex();
    let rumor = unsigned(author, 14, &[&["p", &us], &["e", PACKET]], text).as_json();
    let secret = self::us();
    let wrap = wrapped(&sealed(author, 13, &[], &rumor).as_json());
    unwrap(&wrap, secret.secret_key(), &us, |_| true).unwrap().0
}

fn open(author: &Keys, kind: u16, text: &str) -> Evidence {
    let us = us().public_key().to_hex();
    Evidence::Signed { event: signed(author, kind, &[&["p", &us], &["e", PACKET]], text).as_json(), private: false }
}

fn decision(author: &Keys, key: &str, decision: &str, reason: &str) -> Evidence {
    let us = us().public_key().to_hex();
    let (verb, who) = decision.split_once(' ').map_or((decision, None), |(verb, who)| (verb, Some(who)));
    let mut tags = vec![vec!["e", PACKET], vec!["p", &us], vec!["approval", key], vec!["decision", verb]];
    tags.extend(who.map(|who| vec!["substitute", who]));
    let tags: Vec<&[&str]> = tags.iter().map(Vec::as_slice).collect();
    Evidence::Signed { event: signed(author, 4717, &tags, reason).as_json(), private: false }
}

fn substitute(who: &str) -> Action {
    Action::Substitute(AgentName::new(who).unwrap())
}

#[tokio::test]
async fn every_way_to_decide_is_proven_by_its_receipt() {
    let checked = Book::honest().check().await;
    assert_eq!(checked, Checked { good: 2, proven: 2, ..Checked::default() });
    let mut book = Book::new();
    let input = book.receipt(&open(&lee(), 7, "👍"), Some("r-ada"));
    book.approved("r-ada", Action::Restart, "lee", input);
    let input = book.receipt(&open(&lee(), 1, "deny 7K3QXM because of the move"), None);
    book.denied("r-ada", Some("of the move"), "lee", input);
    let input = book.receipt(&decision(&kim(), BOB, "substitute eve", "disk is full"), Some("r-bob"));
    book.approved("r-bob", substitute("eve"), "kim", input);
    // Whose key it was then is what counts, not whose it is.
    book.keys(&[("mallory", &kim())]);
    let checked = book.check().await;
    assert_eq!((checked.proven, &checked.unproven[..], &checked.bad[..]), (3, &[][..], &[][..]));
}

#[tokio::test]
async fn a_decision_that_its_receipt_does_not_say_is_named() {
    type Tell = fn(&mut Book);
    let cases: [(&str, Tell, &str); 13] = [
        (
            "the receipt's entry is left out",
            |book| {
                *book = Book::honest();
                book.entries.retain(|(kind, _)| *kind != RECEIPT);
            },
            "it has no receipt; there should be one of the input nostr:",
        ),
        (
            "the evidence was removed",
            |book| {
                *book = Book::honest();
                book.inputs.clear();
            },
            "proves nothing",
        ),
        (
            "the receipt of another request was put there",
            |book| {
                let input = book.receipt(&decision(&kim(), BOB, "approve", ""), Some("r-bob"));
                book.approved("r-ada", Action::Restart, "kim", input);
            },
            "what was signed was said under another request, 4M9ZTA",
        ),
        (
            "the same, and the journal lies of that",
            |book| {
                let input = book.receipt(&decision(&kim(), BOB, "approve", ""), Some("r-ada"));
                book.approved("r-ada", Action::Restart, "kim", input);
            },
            "it is about ada:ledger:1795416000, and what was signed names bob:nightly:1795416000",
        ),
        (
            "a reply to another request",
            |book| {
                let input = book.receipt(&private(&kim(), "approve"), Some("r-bob"));
                book.approved("r-ada", Action::Restart, "kim", input);
            },
            "what was signed was said under another request, 4M9ZTA",
        ),
        (
            "the journal says approve, and kim said deny",
            |book| {
                let input = book.receipt(&private(&kim(), "deny"), Some("r-ada"));
                book.approved("r-ada", Action::Restart, "kim", input);
            },
            "the journal says approve, and what was signed says deny",
        ),
        (
            "another substitute",
            |book| {
                let input = book.receipt(&decision(&kim(), ADA, "substitute eve", ""), Some("r-ada"));
                book.approved("r-ada", substitute("bob"), "kim", input);
            },
            "the journal says substitute bob, and what was signed says substitute eve",
        ),
        (
            "another reason",
            |book| {
                let input = book.receipt(&private(&kim(), "deny too hot"), Some("r-ada"));
                book.denied("r-ada", Some("too cold"), "kim", input);
            },
            "the journal says deny because of \"too cold\", and what was signed says deny because of \"too hot\"",
        ),
        (
            "the key of another person",
            |book| {
                let input = book.receipt(&private(&lee(), "approve"), Some("r-ada"));
                book.approved("r-ada", Action::Restart, "kim", input);
            },
            "a key of lee",
        ),
        (
            "a key that was nobody's by then",
            |book| {
                book.keys(&[("lee", &lee())]);
                let input = book.receipt(&private(&kim(), "approve"), Some("r-ada"));
                book.approved("r-ada", Action::Restart, "kim", input);
            },
            "a key of nobody here",
        ),
        (
            "small talk",
            |book| {
                let input = book.receipt(&private(&kim(), "status"), Some("r-ada"));
                book.approved("r-ada", Action::Restart, "kim", input);
            },
            "what was signed is no decision",
        ),
        (
            "a word that nobody can say what it was about",
            |book| {
                let input = book.receipt(&private(&kim(), "approve"), None);
                book.approved("r-ada", Action::Restart, "kim", input);
            },
            "what was signed is no decision",
        ),
        (
            "one receipt for two",
            |book| {
                let input = book.receipt(&decision(&kim(), ADA, "approve", ""), Some("r-ada"));
                book.approved("r-ada", Action::Restart, "kim", input.clone());
                book.approved("r-ada", Action::Restart, "kim", input);
            },
            "what proves it is what proves entry",
        ),
    ];
    for (name, tell, expected) in cases {
        let mut book = Book::new();
        tell(&mut book);
        let checked = book.check().await;
        assert!(!checked.is_whole(), "{name}");
        let found = checked.unproven.iter().any(|(_, why)| why.contains(expected));
        assert!(found, "{name}: {:?}", checked.unproven);
    }
}
