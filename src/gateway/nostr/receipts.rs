//! Receipts: what proves each decision stays in the inbox for good, and the journal holds its hash, under which
//! request it was said, and whose key was whose at that moment.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::SOURCE;
use crate::approval::Speaker;
use crate::channel::nostr::{Evidence, KEYS, RECEIPT, Utterance, receipt_hash};
use crate::gateway::InForce;
use crate::gateway::ledger::Entry;
use crate::pool::Timestamp;
use crate::store::inbox::Input;
use crate::store::journal::Entry as Journaled;
use crate::store::{self, StoreError, Tx};

/// Journals that `input` proves what its author said, in the thread of the request `about` if there is one. What
/// was said in private is not told here: only which signature covers it, and the hash of what is kept.
pub(super) async fn note(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    evidence: &Evidence,
    (said, about): (&Utterance, Option<&str>),
) -> Result<(), StoreError> {
    // In this very transaction, so that what is journaled is what was gone by.
    note_keys(tx, entry.in_force(), entry.now).await?;
    let mut body = json!({
        "receipt": SOURCE,
        "input": input.id,
        "key": said.author,
        "kind": said.kind,
        "private": said.is_private,
        "attested": evidence.is_attested(),
        "signed": evidence.signed_id(),
        "sha256": receipt_hash(&input.raw),
    });
    if let (Some(about), Some(fields)) = (about, body.as_object_mut()) {
        fields.insert("request".to_owned(), json!(about));
    }
    let journaled = Journaled { kind: RECEIPT.to_owned(), agent: None, body };
    store::journal::append(tx, &[journaled], entry.now).await.map(drop)
}

/// What the journal said last of whose key is whose.
const NOTED: &str = "nostr.keys";

/// Journals whose key is whose, if that has changed since it was journaled last: whoever reads the journal one
/// day has no file of today.
pub(in crate::gateway) async fn note_keys(tx: &mut Tx, in_force: &InForce, now: Timestamp) -> Result<(), StoreError> {
    let mut keys = BTreeMap::<&str, BTreeSet<&str>>::new();
    for person in in_force.people.iter() {
        for speaker in &person.speaks_as {
            if let Speaker::Nostr(key) = speaker {
                keys.entry(person.id.as_str()).or_default().insert(key);
            }
        }
    }
    let text = json!(keys).to_string();
    let noted = store::meta::get(tx, NOTED).await?;
    if noted.as_deref() == Some(&text) || (noted.is_none() && keys.is_empty()) {
        return Ok(());
    }
    let journaled = Journaled { kind: KEYS.to_owned(), agent: None, body: json!({ "nostr": keys }) };
    store::journal::append(tx, &[journaled], now).await?;
    store::meta::set(tx, NOTED, &text).await
}
