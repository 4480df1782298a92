//! Receipts. What proves a decision is an input that is kept for good, and the journal, whose entries hang
//! together, holds its hash. Whoever has a copy of the store can check both, without our secret key.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::evidence::Evidence;
use super::proof;
use crate::store::journal::{self, Filter, JournalRow};
use crate::store::{Reads, StoreError, inbox};

/// The kind of their entries in the journal.
pub const RECEIPT: &str = "receipt";
/// Entries that are read at once.
const PAGE: u32 = 200;

/// The hash of what is kept, in hexadecimal.
pub fn receipt_hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
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
    /// How many decisions are what a receipt says.
    pub proven: u64,
    /// The others, of those that came over Nostr: the journal's entry, and what is wrong.
    pub unproven: Vec<(i64, String)>,
}

impl Checked {
    /// Whether there is nothing to complain of.
    pub fn is_whole(&self) -> bool {
        self.bad.is_empty() && self.unproven.is_empty()
    }
}

/// The journal's entry of a receipt.
pub(super) struct Kept {
    pub(super) seq: i64,
    /// In the thread of which request it was said.
    pub(super) request: Option<String>,
    /// It proves what its author said.
    pub(super) is_good: bool,
}

/// Checks every receipt that the journal names: it is there, has its hash, and its signature proves that its
/// author said it. Then every decision that came over Nostr: it has one of them, which says just that.
///
/// # Errors
/// As of the store.
pub async fn check_receipts(db: &mut impl Reads) -> Result<Checked, StoreError> {
    let mut checked = Checked::default();
    let mut kept = BTreeMap::new();
    let mut pages = Pages::of(RECEIPT);
    while let Some(rows) = pages.next(db).await? {
        for row in &rows {
            let body = body(row);
            let outcome = of_entry(db, &body).await?;
            let input = text(&body, "input").to_owned();
            let request = body.get("request").and_then(Value::as_str).map(str::to_owned);
            kept.insert(input, Kept { seq: row.seq, request, is_good: outcome.is_ok() });
            match outcome {
                Ok(Proof::Whole) => checked.good += 1,
                Ok(Proof::Attested) => checked.attested += 1,
                Err(why) => checked.bad.push((row.seq, why)),
            }
        }
    }
    proof::check(db, &kept, &mut checked).await?;
    Ok(checked)
}

/// The entries of one kind, page by page, the newest first.
pub(super) struct Pages {
    filter: Filter,
    before: Option<i64>,
}

impl Pages {
    pub(super) fn of(kind: &str) -> Self {
        Self { filter: Filter { kind: Some(kind.to_owned()), ..Filter::default() }, before: None }
    }

    /// The next ones; none once all were read.
    pub(super) async fn next(&mut self, db: &mut impl Reads) -> Result<Option<Vec<JournalRow>>, StoreError> {
        let rows = journal::page(db, self.before, PAGE, &self.filter).await?;
        self.before = rows.last().map(|row| row.seq).or(self.before);
        Ok(Some(rows).filter(|rows| !rows.is_empty()))
    }
}

pub(super) fn body(row: &JournalRow) -> Value {
    serde_json::from_str(&row.body).unwrap_or_default()
}

pub(super) fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// How much a receipt proves.
enum Proof {
    Whole,
    Attested,
}

async fn of_entry(db: &mut impl Reads, body: &Value) -> Result<Result<Proof, String>, StoreError> {
    let Some(row) = inbox::result(db, text(body, "input")).await? else {
        return Ok(Err("what proves it is not in the store any more".to_owned()));
    };
    if receipt_hash(&row.raw) != text(body, "sha256") {
        return Ok(Err("what proves it was changed".to_owned()));
    }
    let evidence: Evidence = match serde_json::from_str(&row.raw) {
        Ok(evidence) => evidence,
        Err(_) => return Ok(Err("what proves it cannot be read".to_owned())),
    };
    Ok(match evidence.utterance() {
        Err(why) => Err(why.to_string()),
        Ok(said) if said.author != text(body, "key") => Err("somebody else said it".to_owned()),
        Ok(said) if format!("nostr:{}", said.id) != row.id => Err("it proves something else".to_owned()),
        Ok(_) if evidence.is_attested() => Ok(Proof::Attested),
        Ok(_) => Ok(Proof::Whole),
    })
}
