//! That each decision was given by whom the journal says: what the journal says was decided is held against
//! what the receipt says, read from the receipt itself, as if nobody had ever heard it before.
//!
//! Needed for that are the requests' codes and keys, and whose key was whose at that time; all of it stands in
//! the journal too, whose entries hang together.

use std::collections::{BTreeMap, BTreeSet};

use nostr_sdk::Kind;

use super::decision::{DECISION, SignedDecision};
use super::evidence::Evidence;
use super::identity::npub;
use super::reaction::reaction;
use super::receipt::{Checked, Kept, Pages, body, text};
use super::target::Target as Chat;
use super::thread::Thread;
use super::utterance::{Utterance, line};
use crate::approval::{Action, ApprovalKey, Channel, Code, Command, PersonId, RequestId, Target};
use crate::incident::Event;
use crate::store::journal::JournalRow;
use crate::store::{Reads, StoreError, inbox, messages, tokens};

/// The kind of the journal's entries that say whose key is whose from then on.
pub const KEYS: &str = "people_keys";

/// How inputs from here are called.
const INPUT: &str = "nostr:";

/// A request as the journal says that it was asked.
struct Asked {
    key: ApprovalKey,
    code: Code,
}

/// What the journal knows besides.
struct Known<'k> {
    asked: BTreeMap<RequestId, Asked>,
    /// Whose keys are whose, from which entry on; the oldest first.
    keys: Vec<(i64, BTreeMap<String, BTreeSet<String>>)>,
    receipts: &'k BTreeMap<String, Kept>,
    /// Where open messages went.
    notes: Vec<String>,
}

/// What the journal says was decided.
struct Decided {
    request: RequestId,
    by: PersonId,
    input: String,
    what: What,
}

#[derive(PartialEq, Eq)]
enum What {
    Do(Action),
    Nothing { reason: Option<String> },
}

/// Checks every decision that came over Nostr.
pub(super) async fn check(
    db: &mut impl Reads,
    receipts: &BTreeMap<String, Kept>,
    checked: &mut Checked,
) -> Result<(), StoreError> {
    let mut known = Known { asked: BTreeMap::new(), keys: Vec::new(), receipts, notes: Vec::new() };
    let mut pages = Pages::of("asked");
    while let Some(rows) = pages.next(db).await? {
        for row in &rows {
            if let Some(Event::Asked { request, key, code }) = event(row) {
                known.asked.insert(request, Asked { key, code });
            }
        }
    }
    let mut pages = Pages::of(KEYS);
    while let Some(rows) = pages.next(db).await? {
        let keys = |row: &JournalRow| serde_json::from_value(body(row).get("nostr")?.clone()).ok();
        known.keys.extend(rows.iter().map(|row| (row.seq, keys(row).unwrap_or_default())));
    }
    known.keys.reverse();
    known.notes = tokens::targets(db, Channel::Nostr.key(), "note:").await?;
    let mut used = BTreeMap::new();
    for kind in ["approved", "denied"] {
        let mut pages = Pages::of(kind);
        while let Some(rows) = pages.next(db).await? {
            for row in &rows {
                let Some(decided) = came_over_nostr(row) else { continue };
                let outcome = match decided {
                    Err(why) => Err(why),
                    Ok(decided) => match used.insert(decided.input.clone(), row.seq) {
                        Some(other) => Err(format!("what proves it is what proves entry {other}")),
                        None => known.compare(db, &decided).await?,
                    },
                };
                match outcome {
                    Ok(()) => checked.proven += 1,
                    Err(why) => checked.unproven.push((row.seq, why)),
                }
            }
        }
    }
    checked.unproven.sort();
    Ok(())
}

fn event(row: &JournalRow) -> Option<Event> {
    serde_json::from_str(&row.body).ok()
}

/// The decision of an entry; none if it came by another way.
fn came_over_nostr(row: &JournalRow) -> Option<Result<Decided, String>> {
    let body = body(row);
    let is_ours = text(&body, "via") == Channel::Nostr.key() || text(&body, "input").starts_with(INPUT);
    if !is_ours {
        return None;
    }
    let (request, by, via, input, what) = match event(row) {
        Some(Event::Approved { request, action, by, via, input }) => (request, by, via, input, What::Do(action)),
        Some(Event::Denied { request, by, via, input, reason }) => (request, by, via, input, What::Nothing { reason }),
        _ => return Some(Err("it cannot be read".to_owned())),
    };
    if via != Channel::Nostr || !input.0.starts_with(INPUT) {
        return Some(Err(format!("it says that it came over {via}, and by the input {}", input.0)));
    }
    Some(Ok(Decided { request, by, input: input.0, what }))
}

impl Known<'_> {
    /// Holds a decision against its receipt.
    async fn compare(&self, db: &mut impl Reads, decided: &Decided) -> Result<Result<(), String>, StoreError> {
        let Some(kept) = self.receipts.get(&decided.input) else {
            return Ok(Err(format!("it has no receipt; there should be one of the input {}", decided.input)));
        };
        if !kept.is_good {
            return Ok(Err(format!("its receipt, entry {}, proves nothing", kept.seq)));
        }
        let row = inbox::result(db, &decided.input).await?;
        let evidence = row.and_then(|row| serde_json::from_str::<Evidence>(&row.raw).ok());
        let Some(said) = evidence.and_then(|evidence| evidence.utterance().ok()) else {
            return Ok(Err(format!("its receipt, entry {}, cannot be read", kept.seq)));
        };
        let Some(asked) = self.asked.get(&decided.request) else {
            return Ok(Err(format!("nobody was ever asked about the request {}", decided.request.0)));
        };
        if let Err(why) = self.is_theirs(&decided.by, &said.author, kept.seq) {
            return Ok(Err(why));
        }
        let under = self.said_under(db, &said).await?;
        let under = [under, kept.request.clone()];
        let is_known = under.iter().any(Option::is_some);
        if let Some(other) = under.into_iter().flatten().find(|request| *request != decided.request.0) {
            let code = self.asked.get(&RequestId(other.clone())).map(|asked| asked.code);
            let other = code.map_or(other, |code| code.to_string());
            return Ok(Err(format!("what was signed was said under another request, {other}")));
        }
        Ok(agrees(&said, asked, is_known, &decided.what))
    }

    /// Whether `author` was a key of `by` when entry `at` was written. Older journals do not say.
    fn is_theirs(&self, by: &PersonId, author: &str, at: i64) -> Result<(), String> {
        let Some((_, keys)) = self.keys.iter().rfind(|(from, _)| *from < at) else { return Ok(()) };
        if keys.get(by.as_str()).is_some_and(|keys| keys.contains(author)) {
            return Ok(());
        }
        let whose = keys.iter().find(|(_, keys)| keys.contains(author)).map(|(person, _)| person.as_str());
        Err(format!(
            "the journal says that {by} decided, and it was signed by {}, a key of {}",
            npub(author),
            whose.unwrap_or("nobody here")
        ))
    }

    /// The request in whose thread it was said, as far as the store still knows the message that it answers.
    async fn said_under(&self, db: &mut impl Reads, said: &Utterance) -> Result<Option<String>, StoreError> {
        let answered = match said.kind {
            kind if kind == DECISION.as_u16() => said.tagged("e").next().map(str::to_owned),
            _ => Thread::of(said).parent,
        };
        let Some(answered) = answered else { return Ok(None) };
        let own = [Chat::Private(said.author.clone()), Chat::Reply(said.author.clone())].map(|one| one.to_string());
        for target in own.iter().chain(&self.notes) {
            let Some(copy) = tokens::copy_of(db, Channel::Nostr.key(), target, &answered).await? else { continue };
            if let Some(about) = messages::load(db, &copy).await?.and_then(|row| row.about)
                && self.asked.contains_key(&RequestId(about.clone()))
            {
                return Ok(Some(about));
            }
        }
        Ok(None)
    }
}

/// Whether what was said is what was decided about that request; `under_it` tells that it was said in its thread, and
/// need not name it.
fn agrees(said: &Utterance, asked: &Asked, under_it: bool, what: &What) -> Result<(), String> {
    let command = match said.kind {
        kind if kind == DECISION.as_u16() => {
            let to = said.tagged("p").next().unwrap_or_default();
            SignedDecision::read(said, to).map(|decision| decision.command()).map_err(|why| why.to_string())
        }
        kind if kind == Kind::Reaction.as_u16() => {
            let thumb = reaction(&said.content).filter(|_| under_it);
            let command = thumb.map(|one| one.command(Target::Key(asked.key.clone())));
            command.ok_or_else(|| "the reaction decides nothing".to_owned())
        }
        _ => Command::parse(&line(&said.content), under_it.then_some(asked.code)).map_err(|why| why.to_string()),
    };
    let command = command.map_err(|why| format!("what was signed is no decision: {why}"))?;
    let (target, signed) = match command {
        Command::Approve { target } => (target, What::Do(Action::Restart)),
        Command::Substitute { target, agent } => (target, What::Do(Action::Substitute(agent))),
        Command::Deny { target, reason } => (target, What::Nothing { reason }),
        _ => return Err("what was signed is no decision".to_owned()),
    };
    let is_it = match &target {
        Target::Code(code) => *code == asked.code,
        Target::Key(key) => *key == asked.key,
    };
    if !is_it {
        return Err(format!("the journal says that it is about {}, and what was signed names {target}", asked.key));
    }
    if signed != *what {
        return Err(format!("the journal says {}, and what was signed says {}", in_words(what), in_words(&signed)));
    }
    Ok(())
}

fn in_words(what: &What) -> String {
    match what {
        What::Do(Action::Restart) => "approve".to_owned(),
        What::Do(action @ Action::Substitute(_)) => action.to_string(),
        What::Nothing { reason: None } => "deny".to_owned(),
        What::Nothing { reason: Some(reason) } => format!("deny because of {reason:?}"),
    }
}
