//! What is said in chats only.

use super::plain::{SHORT_MAX, harmless};
use crate::approval::{Approves, FORMS, Form, Person, QUESTIONS};
use crate::mission::BUS_FORMS;

/// What can be said, and how.
pub fn help() -> String {
    let line = |form: &Form| format!("/{} – {}", form.form, form.does);
    let in_chats = |form: &&Form| !matches!(form.verb, "revoke" | "inbox" | "agent");
    let mut lines = vec!["Press a button under a request, reply to it, or say:".to_owned()];
    lines.extend(FORMS.iter().filter(in_chats).map(line));
    lines.push("On missions:".to_owned());
    lines.extend(BUS_FORMS.iter().map(|form| format!("/{} – {}", form.form, form.does)));
    lines.push("To read:".to_owned());
    lines.extend(QUESTIONS.iter().map(line));
    lines.push("In a reply to a request, the code can be left out: deny because it is being moved".to_owned());
    lines.join("\n")
}

/// Who somebody is here, and, for a newcomer, what to paste into the configuration.
pub fn whoami(id: i64, person: Option<&Person>, chat: &str) -> String {
    let chat = harmless(chat, SHORT_MAX);
    match person {
        Some(person) => {
            let approves = match &person.approves {
                Approves::All => "all missions".to_owned(),
                Approves::Missions(these) if these.is_empty() => "no mission".to_owned(),
                Approves::Missions(these) => these.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            };
            format!("You are {} (Telegram user {id}); you decide for: {approves}.\nThis chat: {chat}", person.id)
        }
        None => format!(
            "You are nobody here yet. Whoever runs this gateway adds you in `people` like this:\n\
             NAME: {{telegram: {id}, approves: [MISSION]}}\nThis chat: {chat}"
        ),
    }
}

/// The answer to a button that stands for nothing here.
pub fn unknown_button() -> String {
    "This button is not known here: it is too old, or belongs to another chat. /pending shows what waits.".to_owned()
}

/// The answer to somebody who cannot be told apart from others.
pub fn anonymous() -> String {
    "refused: you speak as an anonymous admin or a channel, so nobody can say who you are. Press a button instead (it \
     tells me who you are), or write under your own name."
        .to_owned()
}

/// The answer to a message that was written by somebody else, or at another time.
pub fn forwarded() -> String {
    "refused: a forwarded message counts for nothing. Write it yourself.".to_owned()
}

/// The answer to a message that another bot made.
pub fn via_bot() -> String {
    "refused: what another bot wrote for you counts for nothing. Write it yourself.".to_owned()
}

/// There is no death to plan for.
pub fn nothing_planned() -> String {
    "Nothing is dead, so nothing is planned.".to_owned()
}

/// Which page of a long text this is.
pub fn page_line(page: usize, pages: usize) -> String {
    format!("({} of {pages})", page + 1)
}
