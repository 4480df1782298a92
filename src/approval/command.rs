//! The one strict grammar. Whatever channel it came by, what somebody says becomes a [`Command`]
//! here or one line with the right form; nothing is guessed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ApprovalKey, Code, DRILL_MAX, DRILL_MIN, DRILL_WAIT, PersonId};
use crate::pool::{AgentName, MissionName};

/// Longest reason that is kept, in characters.
const REASON_MAX: usize = 500;

/// Which request is meant: wherever a code is taken, the full key is taken too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// By its code.
    Code(Code),
    /// By its whole approval key.
    Key(ApprovalKey),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => code.fmt(f),
            Self::Key(key) => key.fmt(f),
        }
    }
}

/// All that can be said to the gateway in order to change something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Command {
    /// Restart this agent.
    Approve {
        /// Which request.
        target: Target,
    },
    /// Leave it dead.
    Deny {
        /// Which request.
        target: Target,
        /// Why, as told; for the journal and the other people.
        reason: Option<String>,
    },
    /// Let another agent take over.
    Substitute {
        /// Which request.
        target: Target,
        /// Who takes over.
        agent: AgentName,
    },
    /// Be quiet about it for a while; the request stays answerable.
    Snooze {
        /// Which request.
        target: Target,
        /// For how long from now.
        for_: Duration,
    },
    /// Ask anew about a dead agent, also after a denial.
    Ask {
        /// Whom.
        agent: AgentName,
    },
    /// Stop all executions until released.
    Hold {
        /// Why.
        reason: Option<String>,
    },
    /// End a hold.
    Release,
    /// Take a person's vote away at once, until the configuration is loaded anew without or with them.
    Revoke {
        /// Whose.
        person: PersonId,
    },
    /// Ask people whether they are there; nothing runs.
    Drill {
        /// Whose approvers; none: the first mission that the speaker approves.
        mission: Option<MissionName>,
        /// For how long it waits for an answer.
        for_: Duration,
    },
    /// The answer to a drill.
    Here {
        /// Which drill.
        target: Target,
    },
    /// Run an input again that was set aside.
    RetryInput {
        /// Its id.
        id: String,
    },
    /// Let whoever has the token of this hash act as the agent; an earlier one counts no more.
    AgentToken {
        /// Which agent.
        agent: AgentName,
        /// The token's SHA-256, in lower-case hex. The token itself never comes here.
        hash: String,
    },
    /// Let nobody act as the agent.
    AgentRevoke {
        /// Which agent.
        agent: AgentName,
    },
    /// Offer an agent that is back the work that another took over.
    HandBack {
        /// Which agent.
        agent: AgentName,
    },
}

/// How one command is written, for help texts and for the answer to what was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The word it begins with.
    pub verb: &'static str,
    /// The whole form.
    pub form: &'static str,
    /// What it does, in a few words.
    pub does: &'static str,
}

/// Every command, in the order of a help text.
pub const FORMS: &[Form] = &[
    Form { verb: "approve", form: "approve CODE", does: "restart the agent" },
    Form { verb: "deny", form: "deny CODE [reason]", does: "leave it dead" },
    Form { verb: "substitute", form: "substitute CODE AGENT", does: "let AGENT take over" },
    Form { verb: "snooze", form: "snooze CODE 2h", does: "be quiet about it for a while" },
    Form { verb: "ask", form: "ask AGENT", does: "ask anew about a dead agent" },
    Form { verb: "hold", form: "hold [reason]", does: "stop all executions" },
    Form { verb: "release", form: "release", does: "end the hold" },
    Form { verb: "revoke", form: "revoke PERSON", does: "take a person's vote away at once" },
    Form { verb: "drill", form: "drill [MISSION] [for 10m]", does: "ask whether people are there; nothing runs" },
    Form { verb: "here", form: "here CODE", does: "answer a drill" },
    Form { verb: "inbox", form: "inbox retry ID", does: "run an input again that was set aside" },
    Form { verb: "handback", form: "handback AGENT", does: "offer an agent that is back its work again" },
    Form { verb: "agent", form: "agent revoke NAME", does: "take an agent's token away at once" },
];

/// What was said is no command; `Display` is the one line that helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misunderstood {
    /// Nothing was said.
    #[error("say one of: {}", verbs())]
    Empty,
    /// The first word is no command.
    #[error("there is no such command; say one of: {}", verbs())]
    NoSuchVerb,
    /// The command is known, the rest is not right.
    #[error("{why}; the form is: {form}")]
    WrongForm {
        /// What is wrong.
        why: String,
        /// How it is written.
        form: &'static str,
    },
}

fn verbs() -> String {
    FORMS.iter().map(|form| form.verb).collect::<Vec<_>>().join(", ")
}

impl Command {
    /// Reads one line, as typed in a chat or a terminal: any case for the verb, an optional `/`
    /// before it, blanks as people leave them. `context` is the request that the line replies
    /// to, where the channel knows it: then the code may be left out.
    pub fn parse(line: &str, context: Option<Code>) -> Result<Self, Misunderstood> {
        let line = line.trim();
        let (verb, rest) = split_word(line);
        if verb.is_empty() {
            return Err(Misunderstood::Empty);
        }
        let verb = verb.strip_prefix('/').unwrap_or(verb).to_lowercase();
        let form = FORMS.iter().find(|form| form.verb == verb).ok_or(Misunderstood::NoSuchVerb)?;
        let wrong = |why: String| Misunderstood::WrongForm { why, form: form.form };
        let nothing_more = |rest: &str| match rest {
            "" => Ok(()),
            more => Err(wrong(format!("'{}' is too much", shown(more)))),
        };
        match form.verb {
            "approve" => {
                let (target, rest) = target(rest, context).map_err(wrong)?;
                nothing_more(rest)?;
                Ok(Self::Approve { target })
            }
            "deny" => {
                let (target, rest) = target(rest, context).map_err(wrong)?;
                Ok(Self::Deny { target, reason: reason(rest) })
            }
            "substitute" => {
                let (target, rest) = target(rest, context).map_err(wrong)?;
                let (agent, rest) = split_word(rest);
                nothing_more(rest)?;
                Ok(Self::Substitute { target, agent: agent_name(agent).map_err(wrong)? })
            }
            "snooze" => {
                let (target, rest) = target(rest, context).map_err(wrong)?;
                Ok(Self::Snooze { target, for_: duration(rest).map_err(wrong)? })
            }
            "ask" => {
                let (agent, rest) = split_word(rest);
                nothing_more(rest)?;
                Ok(Self::Ask { agent: agent_name(agent).map_err(wrong)? })
            }
            "hold" => Ok(Self::Hold { reason: reason(rest) }),
            "release" => nothing_more(rest).map(|()| Self::Release),
            "revoke" => {
                let (person, rest) = split_word(rest);
                nothing_more(rest)?;
                let person = PersonId::new(person)
                    .map_err(|error| wrong(format!("'{}' is no person's name: {error}", shown(person))))?;
                Ok(Self::Revoke { person })
            }
            "drill" => {
                let (mission, for_) = drill(rest).map_err(wrong)?;
                Ok(Self::Drill { mission, for_ })
            }
            "here" => {
                let (target, rest) = target(rest, context).map_err(wrong)?;
                nothing_more(rest)?;
                Ok(Self::Here { target })
            }
            "inbox" => match split_word(rest) {
                ("retry", id) if !id.is_empty() && !id.contains(char::is_whitespace) => {
                    Ok(Self::RetryInput { id: id.to_owned() })
                }
                _ => Err(wrong("an input is named by its id".into())),
            },
            "handback" => {
                let (agent, rest) = split_word(rest);
                nothing_more(rest)?;
                Ok(Self::HandBack { agent: agent_name(agent).map_err(wrong)? })
            }
            "agent" => agent_token(rest).map_err(wrong),
            _ => Err(Misunderstood::NoSuchVerb),
        }
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

/// The request a line names, and what follows. In a reply, a first word is taken for a code only
/// if it is the one replied to or holds a digit: otherwise "deny please wait" would name a request.
pub(super) fn target(text: &str, context: Option<Code>) -> Result<(Target, &str), String> {
    let (word, rest) = split_word(text);
    if let Ok(key) = ApprovalKey::parse(word) {
        return Ok((Target::Key(key), rest));
    }
    match (Code::parse(word), context) {
        (Ok(code), None) => Ok((Target::Code(code), rest)),
        (Ok(code), Some(replied)) if code == replied || word.contains(|c: char| c.is_ascii_digit()) => {
            Ok((Target::Code(code), rest))
        }
        (_, Some(replied)) => Ok((Target::Code(replied), text.trim())),
        (Err(_), None) if word.is_empty() => Err("it does not say which request".into()),
        (Err(error), None) => Err(format!("'{}' is no code: {error}", shown(word))),
    }
}

pub(super) fn agent_name(word: &str) -> Result<AgentName, String> {
    if word.is_empty() {
        return Err("it does not say which agent".into());
    }
    AgentName::new(word).map_err(|error| format!("'{}' is no agent's name: {error}", shown(word)))
}

/// `agent token` comes from the command line alone, which makes the token and sends its hash; nobody types that.
fn agent_token(text: &str) -> Result<Command, String> {
    let (verb, rest) = split_word(text);
    let (agent, rest) = split_word(rest);
    let is_hash = rest.len() == 64 && rest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    match verb {
        "revoke" if rest.is_empty() => Ok(Command::AgentRevoke { agent: agent_name(agent)? }),
        "revoke" => Err(format!("'{}' is too much", shown(rest))),
        "token" if is_hash => Ok(Command::AgentToken { agent: agent_name(agent)?, hash: rest.to_owned() }),
        "token" => Err("a token is made on the gateway's machine, by `lazarus-gate agent token NAME`".into()),
        _ => Err("it does not say what to do with which agent".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Err("it does not say for how long".into());
    }
    let wrong = || format!("'{}' is no duration like 90m, 2h or 1d", shown(text));
    if let Some(days) = text.strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok()) {
        return Ok(Duration::from_secs(u64::from(days) * 86_400));
    }
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let span = Duration::try_from(span).map_err(|_| wrong())?;
    if span.is_zero() { Err(wrong()) } else { Ok(span) }
}

/// Whose approvers a drill asks, and for how long it waits.
fn drill(text: &str) -> Result<(Option<MissionName>, Duration), String> {
    let (word, rest) = split_word(text);
    let (mission, rest) = match (word, rest) {
        ("", _) => (None, ""),
        // A mission may be called that, too; then nothing but its own time follows.
        ("for", rest) if !rest.is_empty() && !rest.starts_with("for ") => (None, text),
        _ => {
            let mission =
                MissionName::new(word).map_err(|error| format!("'{}' is no mission's name: {error}", shown(word)))?;
            (Some(mission), rest)
        }
    };
    let wait = match split_word(rest) {
        ("", _) => DRILL_WAIT,
        ("for", wait) => duration(wait)?,
        (more, _) => return Err(format!("'{}' is too much", shown(more))),
    };
    if wait < DRILL_MIN || wait > DRILL_MAX {
        return Err("a drill waits for 1s at least and 24h at most".into());
    }
    Ok((mission, wait))
}

/// A reason as told, without "because", without what could steer a terminal, of bounded length.
fn reason(text: &str) -> Option<String> {
    let (word, rest) = split_word(text);
    let text = if word.eq_ignore_ascii_case("because") { rest } else { text.trim() };
    // Who writes two lines means two words.
    let lines = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    let kept: String = lines.filter(|c| !c.is_control()).take(REASON_MAX).collect();
    if kept.is_empty() { None } else { Some(kept) }
}

/// What a person typed, short and harmless enough to be shown back.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        Code::parse(text).unwrap()
    }

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn by_code(text: &str) -> Target {
        Target::Code(code(text))
    }

    #[test]
    fn what_is_understood() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let agent = |name| AgentName::new(name).unwrap();
        let mission = |name| Some(MissionName::new(name).unwrap());
        for (line, expected) in [
            ("approve 7K30X1", Command::Approve { target: by_code("7K30X1") }),
            ("  /Approve   7k3oxl ", Command::Approve { target: by_code("7K30X1") }),
            (
                "approve ezra:archive:3000",
                Command::Approve { target: Target::Key(ApprovalKey::parse("ezra:archive:3000").unwrap()) },
            ),
            ("deny 7K30X1", Command::Deny { target: by_code("7K30X1"), reason: None }),
            (
                "deny 7K30X1 because  it is being moved",
                Command::Deny { target: by_code("7K30X1"), reason: Some("it is being moved".into()) },
            ),
            ("substitute 7K30X1 timmy", Command::Substitute { target: by_code("7K30X1"), agent: agent("timmy") }),
            ("snooze 7K30X1 2h", Command::Snooze { target: by_code("7K30X1"), for_: hours(2) }),
            ("snooze 7K30X1 1d", Command::Snooze { target: by_code("7K30X1"), for_: hours(24) }),
            ("snooze 7K30X1 1h 30m", Command::Snooze { target: by_code("7K30X1"), for_: hours(3) / 2 }),
            ("ask ezra", Command::Ask { agent: agent("ezra") }),
            ("hold", Command::Hold { reason: None }),
            ("hold we are moving racks", Command::Hold { reason: Some("we are moving racks".into()) }),
            ("release", Command::Release),
            ("revoke kim", Command::Revoke { person: PersonId::new("kim").unwrap() }),
            ("drill", Command::Drill { mission: None, for_: DRILL_WAIT }),
            ("/drill archive", Command::Drill { mission: mission("archive"), for_: DRILL_WAIT }),
            ("drill for 30s", Command::Drill { mission: None, for_: Duration::from_secs(30) }),
            ("drill for for 2h", Command::Drill { mission: mission("for"), for_: hours(2) }),
            ("drill for", Command::Drill { mission: mission("for"), for_: DRILL_WAIT }),
            ("here 7k30x1", Command::Here { target: by_code("7K30X1") }),
            ("inbox retry 0199-ab", Command::RetryInput { id: "0199-ab".into() }),
            ("handback ezra", Command::HandBack { agent: agent("ezra") }),
            ("/agent revoke ezra", Command::AgentRevoke { agent: agent("ezra") }),
            (&format!("agent token ezra {HASH}"), Command::AgentToken { agent: agent("ezra"), hash: HASH.into() }),
        ] {
            assert_eq!(Command::parse(line, None).as_ref(), Ok(&expected), "{line}");
        }
    }

    #[test]
    fn a_reply_needs_no_code() {
        let replied = Some(code("7K30X1"));
        for (line, expected) in [
            ("approve", Command::Approve { target: by_code("7K30X1") }),
            ("approve 7k30x1", Command::Approve { target: by_code("7K30X1") }),
            ("approve AAAAA2", Command::Approve { target: by_code("AAAAA2") }),
            ("here", Command::Here { target: by_code("7K30X1") }),
            ("deny please", Command::Deny { target: by_code("7K30X1"), reason: Some("please".into()) }),
            (
                "deny it is\nbeing moved",
                Command::Deny { target: by_code("7K30X1"), reason: Some("it is being moved".into()) },
            ),
            ("deny because no", Command::Deny { target: by_code("7K30X1"), reason: Some("no".into()) }),
            ("snooze 2h", Command::Snooze { target: by_code("7K30X1"), for_: Duration::from_secs(7200) }),
            (
                "substitute timmy",
                Command::Substitute { target: by_code("7K30X1"), agent: AgentName::new("timmy").unwrap() },
            ),
        ] {
            assert_eq!(Command::parse(line, replied).as_ref(), Ok(&expected), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_gets_the_right_form() {
        for (line, expected) in [
            (
                "",
                "say one of: approve, deny, substitute, snooze, ask, hold, release, revoke, drill, here, inbox, handback, agent",
            ),
            (
                "yes",
                "there is no such command; say one of: approve, deny, substitute, snooze, ask, hold, release, revoke, drill, here, inbox, handback, agent",
            ),
            ("approve", "it does not say which request; the form is: approve CODE"),
            ("approve 7K30X1 now", "'now' is too much; the form is: approve CODE"),
            (
                "approve nonsense!",
                "'nonsense!' is no code: a code has 6 letters and digits, like 7K3QXM; the form is: approve CODE",
            ),
            ("substitute 7K30X1", "it does not say which agent; the form is: substitute CODE AGENT"),
            (
                "substitute 7K30X1 a;b",
                "'a;b' is no agent's name: ';' is not allowed there; use letters, digits, '_', '.', '-', and begin with a letter, a digit or '_'; the form is: substitute CODE AGENT",
            ),
            ("snooze 7K30X1", "it does not say for how long; the form is: snooze CODE 2h"),
            ("snooze 7K30X1 -2h", "'-2h' is no duration like 90m, 2h or 1d; the form is: snooze CODE 2h"),
            ("snooze 7K30X1 soon", "'soon' is no duration like 90m, 2h or 1d; the form is: snooze CODE 2h"),
            ("drill archive now", "'now' is too much; the form is: drill [MISSION] [for 10m]"),
            (
                "drill archive for 2d",
                "a drill waits for 1s at least and 24h at most; the form is: drill [MISSION] [for 10m]",
            ),
            ("here", "it does not say which request; the form is: here CODE"),
            ("release now", "'now' is too much; the form is: release"),
            ("inbox", "an input is named by its id; the form is: inbox retry ID"),
            ("agent ezra", "it does not say what to do with which agent; the form is: agent revoke NAME"),
            (
                "agent token ezra s3cret",
                "a token is made on the gateway's machine, by `lazarus-gate agent token NAME`; the form is: agent revoke NAME",
            ),
        ] {
            assert_eq!(Command::parse(line, None).unwrap_err().to_string(), expected, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(line: String) {
            let _ = Command::parse(&line, None);
            let _ = Command::parse(&line, Some(Code::from_random(7)));
        }
    }
}
