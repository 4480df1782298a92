//! Receipts: what proves each decision stays in the inbox for good, and the journal holds its hash.

use serde_json::json;

use super::SOURCE;
use crate::channel::nostr::{Evidence, RECEIPT, Utterance, receipt_hash};
use crate::gateway::ledger::Entry;
use crate::store::inbox::Input;
use crate::store::journal::Entry as Journaled;
use crate::store::{self, StoreError, Tx};

/// Journals that `input` proves what its author said. What was said in private is not told here: only which
/// signature covers it, and the hash of what is kept.
pub(super) async fn note(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    evidence: &Evidence,
    said: &Utterance,
) -> Result<(), StoreError> {
    let body = json!({
        "receipt": SOURCE,
        "input": input.id,
        "key": said.author,
        "kind": said.kind,
        "private": said.is_private,
        "attested": evidence.is_attested(),
        "signed": evidence.signed_id(),
        "sha256": receipt_hash(&input.raw),
    });
    let journaled = Journaled { kind: RECEIPT.to_owned(), agent: None, body };
    store::journal::append(tx, &[journaled], entry.now).await.map(drop)
}
