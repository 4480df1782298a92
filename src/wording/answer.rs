use std::fmt::Write as _;

use super::Setting;
use super::phrase::{awaited, because, count, ended, to_do};
use super::plain::{REASON_MAX, SHORT_MAX, harmless, list};
use super::time::human;
use crate::approval::{Answer, AnswerKind, Misunderstood, PersonId, RequestState, Speaker, Target};
use crate::incident::{Awaited, CalledOff, Case, Disposition, Event, Refusal, Unfit};
use crate::pool::{AgentName, MissionName, Timestamp};

/// What somebody's word did, for themselves: `events` and `case` as the step left them. Without
/// events it had been taken before, and changed nothing.
pub fn answer_to(events: &[Event], case: &Case, setting: &Setting, now: Timestamp) -> String {
    let agent = &case.incident.agent;
    let named = match &case.request {
        Some(request) => format!("{agent} ({})", request.code),
        None => agent.to_string(),
    };
    let mut text = String::new();
    for event in events {
        let said = match event {
            Event::Approved { action, .. } => {
                format!("{named}: your approval is taken: {}.", to_do(action, agent))
            }
            Event::Ready { .. } => {
                " It is checked once more and begun; you are told when the command ended, and whether it helped.".into()
            }
            Event::NotRun { because: why, .. } => {
                let keeper = setting.keeper(now).map_or(String::new(), |keeper| format!(" {keeper}"));
                format!(" Nothing runs because {}; the approval is recorded.{keeper}", because(why))
            }
            Event::CalledOff { because: CalledOff::LaterDeny, .. } => {
                "What was approved had not begun, and is called off. ".into()
            }
            Event::Denied { .. } => format!(
                "{named}: your denial is taken: {agent} stays dead. Nothing is done until it was healthy, or an \
                 approver says `ask {agent}`."
            ),
            Event::Snoozed { until, .. } => {
                let open = case.pending().map_or(String::new(), |request| match request.expires() {
                    Some(expires) => {
                        format!(" {} can be answered until {}.", request.code, setting.time(expires, now))
                    }
                    None => format!(" {} can be answered all the while.", request.code),
                });
                format!("{named}: quiet until {}.{open}", setting.time(*until, now))
            }
            Event::AskedByHand { .. } => match (case.pending(), &case.incident.disposition) {
                (None, Disposition::Waiting { for_: Awaited::Answer }) => format!(
                    "{agent}: taken. Nobody is asked yet: it is not known whether {agent} lives, since its signals \
                     give no answer. People are asked once they say that it is dead."
                ),
                (None, Disposition::Waiting { for_ }) => {
                    format!("{agent}: taken. Nobody is asked yet: it waits for {}.", awaited(for_, setting, now))
                }
                (None, _) => format!("{agent}: taken. `explain {agent}` tells what comes of it."),
                (Some(_), _) => format!("{agent}: people are asked."),
            },
            Event::ShownAgain { .. } => format!(" The request of {named} is shown again."),
            Event::Asked { code, .. } => format!(" The new request is {code}."),
            Event::Opened { .. }
            | Event::OffersChanged { .. }
            | Event::Expired { .. }
            | Event::Withdrawn { .. }
            | Event::CalledOff { .. }
            | Event::Started { .. }
            | Event::NeverStarted { .. }
            | Event::Done { .. }
            | Event::Failed { .. }
            | Event::Unknown { .. }
            | Event::Verified { .. }
            | Event::NotRecovered { .. }
            | Event::Relapsed { .. }
            | Event::StandInLost
            | Event::Suppressed
            | Event::Unrecoverable
            | Event::Held { .. }
            | Event::Waits { .. }
            | Event::Recovered { .. }
            | Event::Gone => continue,
        };
        text.push_str(&said);
    }
    if text.is_empty() {
        let _ = write!(text, "{named}: nothing changed by it.");
    }
    text.trim().to_owned()
}

/// Why somebody's word was not taken, and what to do.
pub fn refusal(refusal: &Refusal, setting: &Setting, now: Timestamp) -> String {
    match refusal {
        Refusal::NotAllowed { person, mission } => format!(
            "refused: {person} does not approve the mission '{mission}'; it takes a person whose `approves` in \
             `people` names it."
        ),
        Refusal::TooLate { expired_at } => format!(
            "refused: too late, it expired at {}. Nothing was done. `ask AGENT` asks anew.",
            setting.time(*expired_at, now)
        ),
        Refusal::Closed { state } => {
            let then = match state {
                RequestState::Pending { .. } => "Say it once more.",
                RequestState::Approved { .. } => "`history AGENT` tells what became of it.",
                RequestState::Denied { .. } | RequestState::Expired { .. } => "`ask AGENT` asks anew.",
                RequestState::Withdrawn { .. } => "`explain AGENT` tells how it stands.",
            };
            let already = if matches!(state, RequestState::Pending { .. }) { "" } else { "already " };
            format!("refused: {already}{}. {then}", ended(state, setting, now))
        }
        Refusal::NotRestartable { substitutes } => format!(
            "refused: it cannot be restarted from here: no `restart` template applies to it. {}",
            instead(substitutes)
        ),
        Refusal::Unfit { agent, why, substitutes } => {
            format!("refused: {}. {}", unfit(agent, why), instead(substitutes))
        }
        Refusal::Busy => "refused: another execution touches this agent right now. Say it again when that has ended; \
                          `status` shows it."
            .to_owned(),
        Refusal::SnoozeTooLong { at_most } => {
            format!("refused: a snooze lasts {} at most. Snooze for less, or `deny CODE`.", human(*at_most))
        }
        Refusal::Gone => "refused: the agent left the registry; there is nothing to decide.".to_owned(),
        Refusal::BeingRevived => {
            "refused: it is being revived right now. `status` shows how far it is; you are told how it ends.".to_owned()
        }
        Refusal::NotDead { agent } => format!(
            "refused: {agent} is not dead (or not for long enough), so there is nothing to ask. `explain {agent}` \
             tells how it stands."
        ),
        Refusal::PolicySaysNo { mission } => format!(
            "refused: the policy says no for the mission '{mission}'; asking by hand does not change it. Change its \
             mode in the policy file."
        ),
    }
}

fn unfit(agent: &AgentName, why: &Unfit) -> String {
    match why {
        Unfit::NotConfigured => format!("{agent} is no configured substitute of it"),
        Unfit::NotHealthy => format!("{agent} is not healthy itself"),
        Unfit::NotFree => format!("{agent} is not free: something is being done with it, or it stands in for another"),
        Unfit::NoDelivery => format!("nothing could tell {agent}: there is no `substitute` command"),
    }
}

fn instead(substitutes: &[AgentName]) -> String {
    match substitutes {
        [] => "Nobody else could take over right now; the request stays as it is.".to_owned(),
        [first, ..] => format!("Could take over right now: {}. Say `substitute CODE {first}`.", list(substitutes, "")),
    }
}

/// To somebody who does not count.
pub fn stranger(speaker: &Speaker) -> String {
    let (which, entry) = match speaker {
        Speaker::LocalUser(uid) => (format!("local user {uid}"), format!("local_user: {uid}")),
        Speaker::Telegram(id) => (format!("Telegram user {id}"), format!("telegram: {id}")),
        Speaker::Nostr(key) => {
            let key = harmless(key, SHORT_MAX);
            (format!("Nostr key {key}"), format!("nostr: [{key}]"))
        }
    };
    format!(
        "refused: you are not in `people` ({which}), so your word does not count. Whoever runs this gateway can add \
         `{entry}` to a person there."
    )
}

/// To somebody who said what is no command: one line with the right form.
pub fn misunderstood(what: &Misunderstood) -> String {
    if *what == Misunderstood::NoSuchVerb {
        let bus: Vec<&str> = crate::mission::BUS_FORMS.iter().map(|form| form.verb).collect();
        return format!("not understood: {what}; or on missions: {}.", bus.join(", "));
    }
    format!("not understood: {}.", harmless(&what.to_string(), REASON_MAX * 2))
}

/// What the gateway answers to all that is not about a case: its own commands, and what it cannot find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Executions are on hold now.
    Held {
        /// Commands that go on under their shims.
        running: u32,
    },
    /// They were before.
    HeldAlready,
    /// The hold is over.
    Released {
        /// Cases that are planned anew.
        waiting: u32,
    },
    /// There was none.
    NotHeld,
    /// The person decides nothing any more.
    Revoked {
        /// Who.
        person: PersonId,
        /// Missions that nobody approves now.
        orphaned: Vec<MissionName>,
    },
    /// They did not before.
    RevokedAlready {
        /// Who.
        person: PersonId,
    },
    /// An input is run again.
    Retried {
        /// Which.
        id: String,
    },
    /// No request has that code or key.
    NoSuchRequest {
        /// What was given.
        target: Target,
    },
    /// A newer request about that agent took its place.
    Superseded {
        /// What was given.
        target: Target,
        /// The newer one's code, if it is pending.
        newer: Option<crate::approval::Code>,
    },
    /// No agent of that name.
    NoSuchAgent {
        /// What was given.
        agent: AgentName,
    },
    /// No person of that name.
    NoSuchPerson {
        /// What was given.
        person: PersonId,
    },
    /// No input of that id was set aside.
    NoSuchInput {
        /// What was given.
        id: String,
    },
    /// The person approves no mission, so may not hold, release, revoke or retry either.
    ApprovesNothing {
        /// Who.
        person: PersonId,
    },
    /// The agent has a token.
    TokenIssued {
        /// Which agent.
        agent: AgentName,
        /// It had one before, which counts no more.
        again: bool,
    },
    /// It has none any more.
    TokenRevoked {
        /// Which agent.
        agent: AgentName,
    },
    /// It had none.
    NoToken {
        /// Which agent.
        agent: AgentName,
    },
    /// An agent that is back is offered its work.
    OfferedBack {
        /// Which agent.
        agent: AgentName,
        /// Under which handoff.
        handoff: String,
    },
    /// It is not.
    NotOfferedBack {
        /// Which agent.
        agent: AgentName,
        /// Why not.
        why: String,
    },
    /// Nobody gets a token under this name.
    NameTaken {
        /// Which name.
        agent: AgentName,
        /// Whose it is.
        by: String,
    },
    /// Only who approves every mission hands out tokens.
    NotForAll {
        /// Who.
        person: PersonId,
    },
    /// It could not be worked off.
    SetAside {
        /// The input.
        id: String,
    },
}

impl Reply {
    /// What it comes to.
    pub fn kind(&self) -> AnswerKind {
        match self {
            Self::Held { .. }
            | Self::HeldAlready
            | Self::Released { .. }
            | Self::NotHeld
            | Self::Revoked { .. }
            | Self::RevokedAlready { .. }
            | Self::Retried { .. }
            | Self::TokenIssued { .. }
            | Self::OfferedBack { .. }
            | Self::TokenRevoked { .. } => AnswerKind::Taken,
            Self::NoSuchRequest { .. }
            | Self::NoSuchAgent { .. }
            | Self::NoSuchPerson { .. }
            | Self::NoSuchInput { .. }
            | Self::NoToken { .. } => AnswerKind::NotFound,
            Self::Superseded { .. }
            | Self::ApprovesNothing { .. }
            | Self::NameTaken { .. }
            | Self::NotOfferedBack { .. }
            | Self::NotForAll { .. } => AnswerKind::Refused,
            Self::SetAside { .. } => AnswerKind::SetAside,
        }
    }

    /// The answer as it is kept with its input.
    pub fn answer(&self, setting: &Setting, now: Timestamp) -> Answer {
        Answer::new(self.kind(), self.text(setting, now))
    }

    /// For the person; `setting` as it is after the command.
    pub fn text(&self, setting: &Setting, now: Timestamp) -> String {
        let hold = || setting.hold.as_ref().map_or(String::new(), |hold| format!(" ({})", hold.says(setting, now)));
        match self {
            Self::Held { running: 0 } => format!("on hold{}: nothing is begun until `release`.", hold()),
            Self::Held { running } => format!(
                "on hold{}: nothing is begun until `release`. {} that had begun before: not stopped.",
                hold(),
                count(u64::from(*running), "command")
            ),
            Self::HeldAlready => format!("on hold already{}; `release` ends it.", hold()),
            Self::Released { waiting } => {
                format!("released: {} planned anew, and checked again before anything runs.", are(*waiting))
            }
            Self::NotHeld => "there is no hold; nothing changed.".to_owned(),
            Self::Revoked { person, orphaned } if orphaned.is_empty() => {
                format!("revoked: {person} decides nothing any more. Take {person} out of `people`, too.")
            }
            Self::Revoked { person, orphaned } => format!(
                "revoked: {person} decides nothing any more. Now nobody approves: {}. Name somebody in `people`.",
                list(orphaned, "")
            ),
            Self::RevokedAlready { person } => format!("{person} was revoked already; nothing changed."),
            Self::Retried { id } => format!("the input {} is run again.", harmless(id, SHORT_MAX)),
            Self::NoSuchRequest { target } => {
                format!("refused: there is no request {target}. `pending` lists those that can be answered.")
            }
            Self::Superseded { target, newer: Some(code) } => {
                format!("refused: {target} is over; the newer request is {code}: `show {code}`.")
            }
            Self::Superseded { target, newer: None } => {
                format!("refused: {target} is over. `pending` lists the requests that can be answered.")
            }
            Self::NoSuchAgent { agent } => {
                format!("refused: the registry has no agent {agent}. `status` lists those there are.")
            }
            Self::NoSuchPerson { person } => {
                format!("refused: `people` has no {person}; names are told apart by case.")
            }
            Self::NoSuchInput { id } => {
                format!("refused: no input {} was set aside. `status` lists those there are.", harmless(id, SHORT_MAX))
            }
            Self::ApprovesNothing { person } => format!(
                "refused: {person} approves no mission, and that is needed here. `approves` in `people` says who does."
            ),
            Self::TokenIssued { agent, again: false } => {
                format!("issued: whoever has this token acts as {agent} at the door for agents.")
            }
            Self::TokenIssued { agent, again: true } => format!(
                "issued: whoever has this token acts as {agent} at the door for agents; the one before counts no more."
            ),
            Self::TokenRevoked { agent } => {
                format!("revoked: nobody acts as {agent} at the door for agents, until it is given a new token.")
            }
            Self::NoToken { agent } => {
                format!("refused: {agent} has no token. `lazarus-gate agent list` shows who has one.")
            }
            Self::OfferedBack { agent, handoff } => format!(
                "offered: {agent} can accept its work again (handoff {}); until it does, whoever has it keeps it.",
                harmless(handoff, SHORT_MAX)
            ),
            Self::NotOfferedBack { agent, why } => {
                format!("refused: {agent} is offered nothing: {}.", harmless(why, REASON_MAX))
            }
            Self::NameTaken { agent, by } => format!(
                "refused: on the mission bus {agent} is {}; a token under that name would act as them. Choose another \
                 name for the agent.",
                harmless(by, SHORT_MAX)
            ),
            Self::NotForAll { person } => format!(
                "refused: an agent's token acts in all missions that the agent takes part in, and {person} does not \
                 approve all; it takes a person with `approves: '*'`, or the user that the gateway runs as."
            ),
            Self::SetAside { id } => format!(
                "could not be worked off three times, so it was set aside and nothing was done. Whoever runs this \
                 gateway is told, and can say `inbox retry {}`.",
                harmless(id, SHORT_MAX)
            ),
        }
    }
}

fn are(cases: u32) -> String {
    match cases {
        1 => "1 open incident is".to_owned(),
        n => format!("{n} open incidents are"),
    }
}
