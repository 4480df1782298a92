//! Which message is answered. Clients say so in several ways (NIP-10, NIP-17, NIP-22, NIP-25); none of them
//! is trusted to mean one of our packets before the store has said so.

use nostr_sdk::Kind;

use super::utterance::Utterance;

/// What an utterance says it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// The id of the message that it answers.
    pub parent: Option<String>,
    /// All ids that it names: if two of them are packets of different requests, nobody can say which is meant.
    pub named: Vec<String>,
}

impl Thread {
    /// Of anything that was said.
    pub fn of(said: &Utterance) -> Self {
        let parent = match said.kind {
            kind if kind == Kind::TextNote.as_u16() => of_note(said),
            // In a private message, and only there, a quote is how some clients reply.
            kind if kind == Kind::PrivateDirectMessage.as_u16() => {
                of_note(said).or_else(|| said.tagged("q").last().map(str::to_owned))
            }
            kind if kind == Kind::Comment.as_u16() => said.tagged("e").next().map(str::to_owned),
            kind if kind == Kind::Reaction.as_u16() => said.tagged("e").last().map(str::to_owned),
            _ => None,
        };
        let names: &[&str] = if said.kind == Kind::PrivateDirectMessage.as_u16() { &["e", "q"] } else { &["e", "E"] };
        let mut named: Vec<String> = names.iter().flat_map(|name| said.tagged(name)).map(str::to_owned).collect();
        named.dedup();
        Self { parent: parent.filter(|id| is_id(id)), named: named.into_iter().filter(|id| is_id(id)).collect() }
    }
}

/// NIP-10: the one marked as what is replied to, else the root, else the last one without a mark.
fn of_note(said: &Utterance) -> Option<String> {
    let tags = || said.tags.iter().filter(|tag| tag.first().is_some_and(|name| name == "e"));
    let marked = |mark: &str| tags().rfind(|tag| tag.get(3).is_some_and(|found| found == mark));
    let plain = || tags().rfind(|tag| tag.get(3).is_none_or(String::is_empty));
    let tag = marked("reply").or_else(|| marked("root")).or_else(plain)?;
    tag.get(1).cloned()
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
