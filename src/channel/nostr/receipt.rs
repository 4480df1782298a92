//! Receipts. What proves a decision is an input that is kept for good, and the journal, whose entries hang
//! together, holds its hash. Whoever has a copy of the store can check both, without our secret key.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::evidence::Evidence;
use crate::store::journal::{self, Filter};
use crate::store::{Reads, StoreError, inbox};

/// The kind of their entries in the journal.
pub const RECEIPT: &str = "receipt";
/// Entries that are read at once.
const PAGE: u32 = 200;

/// The hash of what is kept, in hexadecimal.
pub fn receipt_hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What became of checking all receipts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many prove what the journal says.
    pub good: u64,
    /// How many are as the gateway has kept them, and can be checked no further without its key: a remote signer
    /// opened them, and shows no keys.
    pub attested: u64,
    /// What is wrong with the others: the journal's entry, and why.
    pub bad: Vec<(i64, String)>,
}

/// Checks every receipt that the journal names: it is there, has its hash, and its signature proves that its
/// author said it.
///
/// # Errors
/// As of the store.
pub async fn check_receipts(db: &mut impl Reads) -> Result<Checked, StoreError> {
    let mut checked = Checked::default();
    let filter = Filter { kind: Some(RECEIPT.to_owned()), ..Filter::default() };
    let mut before = None;
    loop {
        let rows = journal::page(db, before, PAGE, &filter).await?;
        let Some(last) = rows.last() else { return Ok(checked) };
        before = Some(last.seq);
        for row in &rows {
            let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
            match of_entry(db, &body).await? {
                Ok(Proof::Whole) => checked.good += 1,
                Ok(Proof::Attested) => checked.attested += 1,
                Err(why) => checked.bad.push((row.seq, why)),
            }
        }
    }
}

/// How much a receipt proves.
enum Proof {
    Whole,
    Attested,
}

async fn of_entry(db: &mut impl Reads, body: &Value) -> Result<Result<Proof, String>, StoreError> {
    let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let Some(row) = inbox::result(db, field("input")).await? else {
        return Ok(Err("what proves it is not in the store any more".to_owned()));
    };
    if receipt_hash(&row.raw) != field("sha256") {
        return Ok(Err("what proves it was changed".to_owned()));
    }
    let evidence: Evidence = match serde_json::from_str(&row.raw) {
        Ok(evidence) => evidence,
        Err(_) => return Ok(Err("what proves it cannot be read".to_owned())),
    };
    Ok(match evidence.utterance() {
        Err(why) => Err(why.to_string()),
        Ok(said) if said.author != field("key") => Err("somebody else said it".to_owned()),
        Ok(said) if format!("nostr:{}", said.id) != row.id => Err("it proves something else".to_owned()),
        Ok(_) if evidence.is_attested() => Ok(Proof::Attested),
        Ok(_) => Ok(Proof::Whole),
    })
}
