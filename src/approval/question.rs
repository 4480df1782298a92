//! What can be asked without changing anything, in a chat as on the command line.

use super::command::{Form, Misunderstood, agent_name, shown, target};
use super::{Code, Target};
use crate::pool::AgentName;

/// Something that is only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// What waits for an answer.
    Pending,
    /// One request, as a fresh card.
    Show {
        /// Which.
        target: Target,
    },
    /// How the gateway and its fleet are.
    Status,
    /// What is going to be done about each death.
    Plan,
    /// What happened.
    History {
        /// To this agent; none: to all.
        agent: Option<AgentName>,
    },
    /// Why things stand with an agent as they do.
    Explain {
        /// Which.
        agent: AgentName,
    },
    /// Who the speaker is here, and what to add for somebody who is nobody yet.
    Whoami,
    /// What can be said.
    Help,
}

/// Every question, in the order of a help text.
pub const QUESTIONS: &[Form] = &[
    Form { verb: "pending", form: "pending", does: "what waits for an answer" },
    Form { verb: "show", form: "show CODE", does: "one request, with its buttons" },
    Form { verb: "status", form: "status", does: "how the gateway and its fleet are" },
    Form { verb: "plan", form: "plan", does: "what is going to be done about each death" },
    Form { verb: "history", form: "history [AGENT]", does: "what happened" },
    Form { verb: "explain", form: "explain AGENT", does: "why things stand with an agent as they do" },
    Form { verb: "whoami", form: "whoami", does: "who you are here" },
    Form { verb: "help", form: "help", does: "this list" },
];

impl Question {
    /// Whether anybody at all may ask it: a newcomer must be able to find out how to be added.
    pub fn is_for_everybody(&self) -> bool {
        matches!(self, Self::Whoami | Self::Help)
    }

    /// Reads one line; none if its first word is no question. `context` as for a command.
    ///
    /// # Errors
    /// The word is a question, the rest is not right.
    pub fn parse(line: &str, context: Option<Code>) -> Option<Result<Self, Misunderstood>> {
        let mut words = line.split_whitespace();
        let verb = words.next()?;
        let verb = verb.strip_prefix('/').unwrap_or(verb).to_lowercase();
        // Chat clients send this word when somebody opens a chat with a bot.
        let verb = if verb == "start" { "help" } else { verb.as_str() };
        let form = QUESTIONS.iter().find(|form| form.verb == verb)?;
        let rest: Vec<&str> = words.collect();
        let wrong = |why: String| Misunderstood::WrongForm { why, form: form.form };
        let bare = |question: Self| match rest.first() {
            // `/start something` is what a link to the bot makes of itself.
            Some(more) if form.verb != "help" => Err(wrong(format!("'{}' is too much", shown(more)))),
            Some(_) | None => Ok(question),
        };
        Some(match (form.verb, rest.as_slice()) {
            ("pending", _) => bare(Self::Pending),
            ("status", _) => bare(Self::Status),
            ("plan", _) => bare(Self::Plan),
            ("whoami", _) => bare(Self::Whoami),
            ("help", _) => bare(Self::Help),
            ("show", []) => target("", context).map(|(target, _)| Self::Show { target }).map_err(wrong),
            ("show", [word]) => target(word, None).map(|(target, _)| Self::Show { target }).map_err(wrong),
            ("history", []) => Ok(Self::History { agent: None }),
            ("history", [name]) => agent_name(name).map(|agent| Self::History { agent: Some(agent) }).map_err(wrong),
            ("explain", []) => agent_name("").map(|agent| Self::Explain { agent }).map_err(wrong),
            ("explain", [name]) => agent_name(name).map(|agent| Self::Explain { agent }).map_err(wrong),
            _ => Err(wrong("that is too much".into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_or_their_form_is_told() {
        let code = Code::parse("7K3QXM").unwrap();
        let ezra = AgentName::new("ezra").unwrap();
        for (line, context, expected) in [
            ("/pending", None, Ok(Question::Pending)),
            ("Status", None, Ok(Question::Status)),
            ("/show 7k3qxm", None, Ok(Question::Show { target: Target::Code(code) })),
            ("show", Some(code), Ok(Question::Show { target: Target::Code(code) })),
            ("/show", None, Err("it does not say which request")),
            ("/show nothing-like-it", None, Err("is no code")),
            ("/history", None, Ok(Question::History { agent: None })),
            ("/history ezra", None, Ok(Question::History { agent: Some(ezra.clone()) })),
            ("/explain ezra", None, Ok(Question::Explain { agent: ezra })),
            ("/explain", None, Err("it does not say which agent")),
            ("/start deep-link", None, Ok(Question::Help)),
            ("/pending now", None, Err("'now' is too much")),
        ] {
            match (Question::parse(line, context).unwrap(), expected) {
                (Ok(question), Ok(expected)) => assert_eq!(question, expected, "{line}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{line}: {error}"),
                (got, _) => panic!("{line}: {got:?}"),
            }
        }
        assert!(Question::parse("approve 7K3QXM", None).is_none());
        assert!(Question::parse("", None).is_none());
    }
}
