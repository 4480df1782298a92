//! What is said on Nostr only.

use super::plain::{SHORT_MAX, harmless};
use super::time::human;
use crate::approval::{Approves, Code, Person, Target, WrongTime};

/// The answer to something that belongs to two requests.
pub fn two_packets() -> String {
    "refused: that names two requests, so nobody can say which is meant. Say it once more with the code, as in \
     `approve 7K3QXM`."
        .to_owned()
}

/// The answer to a reply that names another request than the one it stands under.
pub fn foreign_code(replied: Code, named: &Target) -> String {
    format!("refused: that was said under {replied} and names {named}. Say it under the right one, or by itself.")
}

/// The answer to something that belongs to a message which was not sent to its author.
pub fn not_your_packet() -> String {
    "refused: it does not name a request that was sent to you. Answer the message that you got, or write the code, as in \
     `approve 7K3QXM`."
        .to_owned()
}

/// The answer to a decision whose parts name different requests.
pub fn two_keys() -> String {
    "refused: the message and the approval key that it names belong to different requests.".to_owned()
}

/// The answer to an event of the kind of decisions that is none.
pub fn no_decision(why: &str) -> String {
    format!("refused: this event is no decision: {}. Nothing of it was taken.", harmless(why, SHORT_MAX * 2))
}

/// The answer to something whose time does not count.
pub fn wrong_time(why: WrongTime) -> String {
    match why {
        WrongTime::BeforeItWasAsked { by } => format!(
            "refused: by its own time it was said {} before it was asked. Look at the clock of your device, and say it \
             once more.",
            human(by)
        ),
        WrongTime::InTheFuture { by } => format!(
            "refused: by its own time it was said {} in the future. Look at the clock of your device, and say it once \
             more.",
            human(by)
        ),
        WrongTime::TooOld { age } => {
            format!("refused: it was said {} ago and names no request; say it once more if you mean it.", human(age))
        }
    }
}

/// The answer to a question that everybody could read the answer of.
pub fn ask_in_private() -> String {
    "Ask me that in a private message; here everybody would read the answer.".to_owned()
}

/// Who somebody is here, and what to add for whoever is nobody yet. `key` is an npub.
pub fn whoami_nostr(key: &str, person: Option<&Person>) -> String {
    match person {
        Some(person) => {
            let approves = match &person.approves {
                Approves::All => "all missions".to_owned(),
                Approves::Missions(these) if these.is_empty() => "no mission".to_owned(),
                Approves::Missions(these) => these.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            };
            format!("You are {} ({key}); you decide for: {approves}.", person.id)
        }
        None => format!("You are nobody here. NAME: {{nostr: [{key}], approves: [MISSION]}}"),
    }
}
