use crate::approval::{Command, Target};

/// The longest reaction that is looked at, in bytes.
const LONGEST: usize = 64;

/// What a reaction says about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// `+`, a thumb up or a tick.
    Approve,
    /// `-`, a thumb down or a cross.
    Deny,
}

impl Reaction {
    /// The same as the one grammar says it, about `target`.
    pub fn command(self, target: Target) -> Command {
        match self {
            Self::Approve => Command::Approve { target },
            Self::Deny => Command::Deny { target, reason: None },
        }
    }
}

/// What `content` says; none for everything else, the empty like and all other emoji too: one taps them
/// without thinking of a decision.
pub fn reaction(content: &str) -> Option<Reaction> {
    // A picture with all its variants is short; more is no picture.
    if content.len() > LONGEST {
        return None;
    }
    let bare: String = content.trim().chars().filter(|c| !is_variant(*c)).collect();
    match bare.as_str() {
        "+" | "👍" | "✅" => Some(Reaction::Approve),
        "-" | "👎" | "❌" => Some(Reaction::Deny),
        _ => None,
    }
}

/// The picture's style, or the colour of a hand.
fn is_variant(c: char) -> bool {
    c == '\u{fe0f}' || ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)
}
