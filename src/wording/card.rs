use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::happened::tried;
use super::phrase::{because, capital, dead_since, doing, ended, kept, noun};
use super::plain::{REASON_MAX, SHORT_MAX, harmless, wrapped};
use super::setting::{SNOOZE_OFFERED, Setting, request_sentences};
use super::time::{human, typed};
use crate::approval::{Action, Code, Request, RequestState};
use crate::incident::{Basis, Execution, ExecutionState, Incident, Keeper, Standing};
use crate::pool::{AgentName, Timestamp};

/// What a card needs besides incident and request.
#[derive(Clone, Copy, Debug, Default)]
pub struct CardFacts<'a> {
    /// The incident's newest execution; it is mentioned if this request led to it.
    pub execution: Option<&'a Execution>,
    /// How long after its first delivery a request expires.
    pub approval_ttl: Duration,
    /// What happened to the agent lately, oldest first, one line each; see
    /// [`history_line`](super::history_line).
    pub recent: &'a [String],
}

/// One way to answer a request. Where buttons can be had, each becomes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerOption {
    /// Restart this agent.
    Approve,
    /// Let that one take over.
    Substitute(AgentName),
    /// Leave it dead.
    Deny,
    /// Be quiet for so long.
    Snooze(Duration),
}

impl AnswerOption {
    /// The command that says so, as one types it.
    pub fn command(&self, code: Code) -> String {
        match self {
            Self::Approve => format!("approve {code}"),
            Self::Substitute(agent) => format!("substitute {code} {agent}"),
            Self::Deny => format!("deny {code} [reason]"),
            Self::Snooze(for_) => format!("snooze {code} {}", typed(*for_)),
        }
    }

    /// What is voted for, without the code: `substitute timmy`.
    pub(super) fn vote(&self) -> String {
        match self {
            Self::Approve => "approve".to_owned(),
            Self::Substitute(agent) => format!("substitute {agent}"),
            Self::Deny => "deny".to_owned(),
            Self::Snooze(_) => "snooze".to_owned(),
        }
    }

    /// What it means, in a few words; fits on a button.
    pub fn label(&self, agent: &AgentName) -> String {
        match self {
            Self::Approve => format!("restart {agent}"),
            Self::Substitute(who) => format!("let {who} take over"),
            Self::Deny => "leave it dead".to_owned(),
            Self::Snooze(for_) => format!("be quiet for {}", human(*for_)),
        }
    }
}

/// A request as people see it, pending or closed. Two equal cards look equal: an edit is due when
/// they differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// What died, and what is wanted or was decided.
    pub title: String,
    /// What is known, in order of weight; one paragraph each.
    pub lines: Vec<String>,
    /// What happened to the agent lately, oldest first.
    pub recent: Vec<String>,
    /// How to answer; nothing once it is closed.
    pub answers: Vec<AnswerOption>,
    /// Code, key, expiry.
    pub footer: String,
    agent: AgentName,
    code: Code,
}

impl Card {
    /// The request's code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Plain text for a terminal, 80 columns where words allow it. Nothing depends on colour.
    pub fn to_text(&self) -> String {
        let mut lines = Vec::new();
        let mut put = |line: &str| lines.extend(wrapped(line));
        put(&self.title);
        self.lines.iter().for_each(|line| put(line));
        if !self.recent.is_empty() {
            put("Lately:");
            self.recent.iter().for_each(|line| put(&format!("  {line}")));
        }
        if !self.answers.is_empty() {
            put("Answer with one of:");
            let commands: Vec<String> = self.answers.iter().map(|answer| answer.command(self.code)).collect();
            let width = commands.iter().map(String::len).max().unwrap_or(0);
            for (command, answer) in commands.iter().zip(&self.answers) {
                put(&format!("  {command:width$}   {}", answer.label(&self.agent)));
            }
        }
        put(&self.footer);
        lines.join("\n")
    }
}

impl Card {
    /// Text for a client that wraps lines itself, with how to answer in its thread and elsewhere.
    pub fn to_message(&self) -> String {
        let mut parts = vec![self.title.clone()];
        parts.push(self.lines.join("\n"));
        if !self.recent.is_empty() {
            parts.push(format!("Lately:\n{}", self.recent.join("\n")));
        }
        if !self.answers.is_empty() {
            let answers = self.answers.iter().map(|answer| {
                let short = answer.command(self.code).replace(&format!(" {}", self.code), "");
                format!("• {short} – {}", answer.label(&self.agent))
            });
            let answers = answers.collect::<Vec<_>>().join("\n");
            let example = self.answers.first().map(|answer| answer.command(self.code)).unwrap_or_default();
            parts.push(format!("Reply to this message with one of:\n{answers}\nElsewhere, with the code: {example}"));
        }
        parts.push(self.footer.clone());
        parts.join("\n\n")
    }
}

/// The card of `request` as it stands.
pub fn card(incident: &Incident, request: &Request, known: &CardFacts<'_>, setting: &Setting, now: Timestamp) -> Card {
    let pending = request.is_pending();
    let reasons: Vec<&str> = incident.reasons.iter().map(|reason| reason.as_str()).collect();
    let [wanted, why] = request_sentences(
        setting.issue,
        request.agent.as_str(),
        request.mission.as_str(),
        &reasons,
        request.offers.substitutes.first().map(AgentName::as_str),
    );
    let mut lines = Vec::new();
    let title = if pending {
        wanted
    } else {
        lines.push(format!("Mission '{}', reasons: {}.", request.mission, super::phrase::reasons(&incident.reasons)));
        format!("[#{}] {}: {}.", setting.issue, request.agent, ended(&request.state, setting, now))
    };
    lines.extend(so_far(incident, request, known.execution, setting, now));
    if pending {
        lines.push(why);
        lines.extend(setting.keeper(now));
        lines.extend(may_still_run(incident));
        if !request.offers.restart {
            lines.push("It cannot be restarted from here, so `approve` is not offered.".to_owned());
        }
    }
    lines.push(dead_since(incident.last_healthy_at, incident.opened_at, incident.timeout, setting, now));
    lines.push(match &request.host {
        Some(host) => format!("Host: {}.", harmless(host, SHORT_MAX)),
        None => "Host: this machine.".to_owned(),
    });
    if pending {
        lines.extend(tried(incident.tally.attempts));
        lines.extend(
            incident
                .snoozed_until
                .filter(|until| now < *until)
                .map(|until| format!("Snoozed until {}; it can be answered all the same.", setting.time(until, now))),
        );
    }
    Card {
        title,
        lines,
        recent: known.recent.iter().map(|line| harmless(line, REASON_MAX * 2)).collect(),
        answers: if pending { answers(request) } else { Vec::new() },
        footer: footer(request, known.approval_ttl, setting, now),
        agent: request.agent.clone(),
        code: request.code,
    }
}

/// What can be answered to `request`: what it does not offer is not accepted.
pub fn answers(request: &Request) -> Vec<AnswerOption> {
    let restart = request.offers.restart.then_some(AnswerOption::Approve);
    let substitutes = request.offers.substitutes.iter().cloned().map(AnswerOption::Substitute);
    restart.into_iter().chain(substitutes).chain([AnswerOption::Deny, AnswerOption::Snooze(SNOOZE_OFFERED)]).collect()
}

/// What became of an approval so far: the steps of its execution, or why there is none.
fn so_far(
    incident: &Incident,
    request: &Request,
    execution: Option<&Execution>,
    setting: &Setting,
    now: Timestamp,
) -> Option<String> {
    let RequestState::Approved { decision } = &request.state else {
        return None;
    };
    if let Standing::ApprovedNotRun { request: held } = &incident.standing
        && *held == request.id
    {
        let by = if setting.observing { Keeper::Observe } else { Keeper::Hold };
        let since = setting.hold.as_ref().filter(|_| !setting.observing);
        let since = since.map_or(String::new(), |hold| format!(" ({})", hold.says(setting, now)));
        return Some(format!("Not run: {}{since}. Nothing was started.", kept(by)));
    }
    let of_this = |execution: &&Execution| match &execution.basis {
        Basis::Request { request: id, .. } => *id == request.id,
        Basis::Policy => false,
    };
    let Some(execution) = execution.filter(of_this) else {
        return Some(format!("What became of {} stands in the history.", noun(&decision.action)));
    };
    Some(step(execution, setting, now))
}

/// Where an execution stands, as a sentence that claims no more than is known.
pub(super) fn step(execution: &Execution, setting: &Setting, now: Timestamp) -> String {
    let time = |at: &Timestamp| setting.time(*at, now);
    let (action, agent) = (&execution.action, &execution.agent);
    let what = noun(action);
    match &execution.state {
        ExecutionState::Ready if execution.attempt == 0 => "Nothing has been started yet.".to_owned(),
        ExecutionState::Ready => format!("{} has not begun yet; a start came to nothing.", capital(&what)),
        ExecutionState::Running { since, .. } => {
            format!("{} since {}; its command has not ended yet.", capital(&doing(action, agent)), time(since))
        }
        ExecutionState::CalledOff { at, because: why } => {
            format!("Not run because {} (called off at {}). Nothing was started.", because(why), time(at))
        }
        ExecutionState::Done { verification } if execution.takeover.is_some() => format!(
            "Delivered at {}; it waits for {}'s answer, and for a look whether {} lives.",
            time(&verification.since),
            execution.looked_at(),
            execution.looked_at()
        ),
        ExecutionState::Done { verification } => format!(
            "The command of {what} ended well at {}; whether {} lives is being checked.",
            time(&verification.since),
            execution.looked_at()
        ),
        ExecutionState::Failed { at, why } => {
            format!("{} failed at {}: {}.", capital(&what), time(at), harmless(why, REASON_MAX))
        }
        ExecutionState::Unknown { verification, why } => format!(
            "Since {} nobody can say what {what} did: {}. Its command MAY STILL RUN; probes look whether {} lives.",
            time(&verification.since),
            harmless(why, REASON_MAX),
            execution.looked_at()
        ),
        ExecutionState::Verified { at } => match action {
            Action::Restart => format!("Restarted, and verified at {}: {agent} lives.", time(at)),
            Action::Substitute(who) if execution.takeover.is_some() => {
                format!("Accepted, and verified at {}: {who} lives and has what {agent} left.", time(at))
            }
            Action::Substitute(who) => {
                format!("Delivered, and verified at {}: {who} lives and has what {agent} left.", time(at))
            }
        },
        ExecutionState::NotRecovered { at, why } => {
            format!("{} did not help (given up at {}): {}.", capital(&what), time(at), harmless(why, REASON_MAX))
        }
    }
}

/// The warning that a command may still be at work.
pub(super) fn may_still_run(incident: &Incident) -> Option<String> {
    incident.tally.may_still_run.then(|| {
        "CARE: a command of an earlier attempt MAY STILL BE RUNNING; nobody can say what it did. Look before you \
         approve another one."
            .to_owned()
    })
}

fn footer(request: &Request, ttl: Duration, setting: &Setting, now: Timestamp) -> String {
    let names = format!("Code {}, key {}.", request.code, request.key);
    match &request.state {
        RequestState::Pending { expires: Some(at) } => format!("{names} Expires at {}.", setting.time(*at, now)),
        RequestState::Pending { expires: None } => format!("{names} Expires {} after delivery.", human(ttl)),
        RequestState::Approved { .. }
        | RequestState::Denied { .. }
        | RequestState::Expired { .. }
        | RequestState::Withdrawn { .. } => names,
    }
}
