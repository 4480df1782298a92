//! The grammar of the bus: what somebody types about missions, whatever channel it came by, becomes
//! a [`BusCommand`] here, or one line with the right form; nothing is guessed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::permission::MissionRole;
use crate::pool::{AgentName, MissionName};

/// Longest title, summary and reason, in characters.
const LINE_MAX: usize = 200;
/// Longest topic, in characters.
const TOPIC_MAX: usize = 100;
/// Longest id of a checkpoint or handoff, in characters.
const ID_MAX: usize = 200;
/// Events of a log unless said otherwise.
const LOG: u32 = 10;
/// Most events of one log; more is for an export.
const LOG_MAX: u32 = 50;

/// A handoff, by its id alone or as `MISSION/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoffRef {
    /// In which mission, where that was said.
    pub mission: Option<MissionName>,
    /// Its id.
    pub id: String,
}

/// From which checkpoint on work is handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandFrom {
    /// The newest one of whoever hands over, else of the mission.
    Last,
    /// The one of this id.
    Id(String),
}

/// All that can be said about missions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "bus")]
pub enum BusCommand {
    /// Which missions are there?
    Missions,
    /// How does this one stand?
    Mission {
        /// Which one.
        mission: MissionName,
    },
    /// Make one; who says so is its first lead.
    New {
        /// Its name.
        mission: MissionName,
        /// What people read.
        title: String,
    },
    /// Say who somebody is in a mission.
    Join {
        /// Which one.
        mission: MissionName,
        /// Who.
        name: AgentName,
        /// As what.
        role: MissionRole,
    },
    /// Publish a message.
    Publish {
        /// In which mission.
        mission: MissionName,
        /// What it is about.
        topic: String,
        /// What is said; a JSON object passes as it is.
        text: String,
    },
    /// Make a checkpoint.
    Checkpoint {
        /// In which mission.
        mission: MissionName,
        /// In a sentence.
        summary: String,
        /// What it takes to go on: a document that came along, else nothing.
        state: Option<Value>,
    },
    /// Hand over.
    Handoff {
        /// In which mission.
        mission: MissionName,
        /// To whom.
        recipient: AgentName,
        /// From where on.
        from: HandFrom,
        /// What the recipient should know; may be empty.
        note: String,
    },
    /// Post the handoff that was shown.
    Post {
        /// Which one.
        handoff: HandoffRef,
    },
    /// Do not.
    Cancel {
        /// Which one.
        handoff: HandoffRef,
    },
    /// Take over what was offered.
    Accept {
        /// Which handoff.
        handoff: HandoffRef,
    },
    /// Do not.
    Decline {
        /// Which handoff.
        handoff: HandoffRef,
        /// Why not.
        reason: String,
    },
    /// Give me the resume packet.
    Resume {
        /// Of which handoff.
        handoff: HandoffRef,
    },
    /// Show the newest events.
    Log {
        /// Of which mission.
        mission: MissionName,
        /// How many.
        events: u32,
    },
    /// Choose the isolation profile.
    Isolation {
        /// Of which mission.
        mission: MissionName,
        /// Its name.
        profile: String,
    },
}

/// How one command is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusForm {
    /// The word it begins with.
    pub verb: &'static str,
    /// The whole form.
    pub form: &'static str,
    /// What it does, in a few words.
    pub does: &'static str,
}

/// Every command, in the order of a help text.
pub const BUS_FORMS: &[BusForm] = &[
    BusForm { verb: "missions", form: "missions", does: "list the missions" },
    BusForm { verb: "mission", form: "mission NAME", does: "show one, and who takes part" },
    BusForm { verb: "newmission", form: "newmission NAME title", does: "make one and lead it" },
    BusForm {
        verb: "join",
        form: "join MISSION AGENT ROLE",
        does: "say who takes part, as lead, write, read or audit",
    },
    BusForm { verb: "publish", form: "publish MISSION TOPIC TEXT", does: "publish a message" },
    BusForm {
        verb: "checkpoint",
        form: "checkpoint MISSION SUMMARY",
        does: "write down how far the work is; attach its state as JSON",
    },
    BusForm {
        verb: "handoff",
        form: "handoff MISSION RECIPIENT [CHECKPOINT|last] [note]",
        does: "hand the work over; shown before it is posted",
    },
    BusForm { verb: "post", form: "post HANDOFF", does: "post the handoff that you were shown" },
    BusForm { verb: "cancel", form: "cancel HANDOFF", does: "do not post it" },
    BusForm { verb: "accept", form: "accept HANDOFF", does: "take over what you were offered" },
    BusForm { verb: "decline", form: "decline HANDOFF reason", does: "do not take it over" },
    BusForm { verb: "resume", form: "resume HANDOFF", does: "get the packet to go on with" },
    BusForm { verb: "log", form: "log MISSION [N]", does: "show the newest events" },
    BusForm { verb: "isolation", form: "isolation MISSION PROFILE", does: "choose the isolation profile" },
];

/// What was said is no command of the bus; `Display` is the one line that helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOfTheBus {
    /// The first word is none of the bus: another grammar may know it.
    #[error("there is no such command; say one of: {}", BUS_FORMS.iter().map(|form| form.verb).collect::<Vec<_>>().join(", "))]
    OtherVerb,
    /// The command is known, the rest is not right.
    #[error("{why}; the form is: {form}")]
    WrongForm {
        /// What is wrong.
        why: String,
        /// How it is written.
        form: &'static str,
    },
}

impl BusCommand {
    /// Reads what was typed: any case for the verb, an optional `/` before it, blanks and line breaks
    /// as people leave them. `document` is the JSON that came along, attached or replied to.
    pub fn parse(said: &str, document: Option<Value>) -> Result<Self, NotOfTheBus> {
        let (verb, rest) = split_word(said);
        let verb = verb.strip_prefix('/').unwrap_or(verb).to_lowercase();
        let form = BUS_FORMS.iter().find(|form| form.verb == verb).ok_or(NotOfTheBus::OtherVerb)?;
        read(form.verb, rest, document).map_err(|why| NotOfTheBus::WrongForm { why, form: form.form })
    }

    /// Whether it changes something; the others only read.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Missions | Self::Mission { .. } | Self::Resume { .. } | Self::Log { .. })
    }
}

fn read(verb: &str, rest: &str, document: Option<Value>) -> Result<BusCommand, String> {
    if verb == "missions" {
        return nothing_more(rest, BusCommand::Missions);
    }
    if let "accept" | "decline" | "resume" | "post" | "cancel" = verb {
        let (handoff, rest) = handoff(rest)?;
        return match verb {
            "accept" => nothing_more(rest, BusCommand::Accept { handoff }),
            "resume" => nothing_more(rest, BusCommand::Resume { handoff }),
            "post" => nothing_more(rest, BusCommand::Post { handoff }),
            "cancel" => nothing_more(rest, BusCommand::Cancel { handoff }),
            _ => Ok(BusCommand::Decline { handoff, reason: line(rest, "why not")? }),
        };
    }
    let (mission, rest) = mission(rest)?;
    match verb {
        "mission" => nothing_more(rest, BusCommand::Mission { mission }),
        "newmission" => Ok(BusCommand::New { mission, title: line(rest, "its title")? }),
        "join" => {
            let (name, rest) = agent(rest)?;
            let (role, rest) = split_word(rest);
            let known = MissionRole::ALL.into_iter().find(|known| known.as_str() == role.to_lowercase());
            let role = match known {
                Some(role) => role,
                None if role.is_empty() => return Err("it does not say as what".into()),
                None => return Err(format!("'{}' is no role; it is lead, write, read or audit", shown(role))),
            };
            nothing_more(rest, BusCommand::Join { mission, name, role })
        }
        "publish" => {
            let (topic, text) = split_word(rest);
            if topic.is_empty() {
                return Err("it does not say on which topic".into());
            }
            if topic.chars().count() > TOPIC_MAX || topic.chars().any(char::is_control) {
                return Err(format!("a topic is one word of at most {TOPIC_MAX} characters"));
            }
            if text.is_empty() {
                return Err("it does not say what to publish".into());
            }
            Ok(BusCommand::Publish { mission, topic: topic.to_owned(), text: text.to_owned() })
        }
        "checkpoint" => Ok(BusCommand::Checkpoint { mission, summary: line(rest, "how far it is")?, state: document }),
        "handoff" => {
            let (recipient, rest) = agent(rest)?;
            let (from, note) = from(rest);
            Ok(BusCommand::Handoff { mission, recipient, from, note: kept(note) })
        }
        "log" => {
            let (events, rest) = split_word(rest);
            let events = match events {
                "" => LOG,
                number => match number.parse() {
                    Ok(events @ 1..=LOG_MAX) => events,
                    _ => return Err(format!("'{}' is no number from 1 to {LOG_MAX}", shown(number))),
                },
            };
            nothing_more(rest, BusCommand::Log { mission, events })
        }
        "isolation" => {
            let (profile, rest) = split_word(rest);
            if profile.is_empty() {
                return Err("it does not say which profile".into());
            }
            nothing_more(rest, BusCommand::Isolation { mission, profile: profile.chars().take(LINE_MAX).collect() })
        }
        // `parse` has found the verb among the forms.
        _ => Err("it is not understood".into()),
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

fn nothing_more(rest: &str, command: BusCommand) -> Result<BusCommand, String> {
    if rest.is_empty() { Ok(command) } else { Err(format!("'{}' is too much", shown(rest))) }
}

fn mission(text: &str) -> Result<(MissionName, &str), String> {
    let (word, rest) = split_word(text);
    if word.is_empty() {
        return Err("it does not say which mission".into());
    }
    let name = MissionName::new(word).map_err(|error| format!("'{}' is no mission's name: {error}", shown(word)))?;
    Ok((name, rest))
}

fn agent(text: &str) -> Result<(AgentName, &str), String> {
    let (word, rest) = split_word(text);
    if word.is_empty() {
        return Err("it does not say whom".into());
    }
    let name = AgentName::new(word).map_err(|error| format!("'{}' is no participant's name: {error}", shown(word)))?;
    Ok((name, rest))
}

fn handoff(text: &str) -> Result<(HandoffRef, &str), String> {
    let (word, rest) = split_word(text);
    if word.is_empty() {
        return Err("it does not say which handoff".into());
    }
    let (mission, id) = match word.split_once('/').map(|(mission, id)| (MissionName::new(mission), id)) {
        Some((Ok(mission), id)) => (Some(mission), id),
        _ => (None, word),
    };
    if id.is_empty() || id.chars().count() > ID_MAX || id.chars().any(char::is_control) {
        return Err(format!("'{}' is no handoff's id", shown(word)));
    }
    Ok((HandoffRef { mission, id: id.to_owned() }, rest))
}

/// The checkpoint, and the note after it. A first word is taken for an id only if it looks like one,
/// at least five characters with a digit among them: otherwise "please go on" would name a checkpoint.
/// Who begins a note so says `last` before it.
fn from(text: &str) -> (HandFrom, &str) {
    let (word, rest) = split_word(text);
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if word.eq_ignore_ascii_case("last") {
        (HandFrom::Last, rest)
    } else if plain && word.len() >= 5 && word.bytes().any(|b| b.is_ascii_digit()) {
        (HandFrom::Id(word.chars().take(ID_MAX).collect()), rest)
    } else {
        (HandFrom::Last, text.trim())
    }
}

/// One line that must say something.
fn line(text: &str, what: &str) -> Result<String, String> {
    let kept = kept(text);
    if kept.is_empty() { Err(format!("it does not say {what}")) } else { Ok(kept) }
}

/// One line of bounded length, without what could steer a terminal.
fn kept(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    words.join(" ").chars().take(LINE_MAX).collect()
}

/// What a person typed, short and harmless enough to be shown back.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
