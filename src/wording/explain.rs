use std::time::Duration;

use super::Setting;
use super::card::{may_still_run, step};
use super::phrase::{awaited, count, dead_since, doing, kept, reasons};
use super::plain::{REASON_MAX, SHORT_MAX, harmless, list, wrapped};
use super::time::human;
use crate::approval::{Request, RequestState};
use crate::incident::{AgentFacts, Awaited, Disposition, Execution, Incident, IncidentState, Standing};
use crate::pool::{AgentName, Health, Mode, Timestamp};

/// All that tells why an agent is, or is not, being acted on.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// Who.
    pub agent: &'a AgentName,
    /// What is known of it; none: the registry has no such agent.
    pub facts: Option<&'a AgentFacts>,
    /// Its `dead_timeout_seconds`.
    pub timeout: Duration,
    /// Its newest incident, if it ever had one.
    pub incident: Option<&'a Incident>,
    /// That incident's newest request.
    pub request: Option<&'a Request>,
    /// That incident's newest execution.
    pub execution: Option<&'a Execution>,
    /// After so many attempts *yes* becomes *ask*.
    pub attempts_max: u32,
}

/// "Why did it do nothing?" in a few lines: how the agent is, what the policy says, what happens or
/// why nothing does, and what would change that.
pub fn explain(of: &Explained<'_>, setting: &Setting, now: Timestamp) -> String {
    let incident = of.incident.filter(|incident| incident.state == IncidentState::Open);
    let mut lines = Vec::new();
    let Some(facts) = of.facts else {
        lines.push(format!("{}: the registry has no such agent, so it is neither watched nor revived.", of.agent));
        if let Some(incident) = incident {
            lines.push(format!("Its death of {} is closed soon.", setting.time(incident.opened_at, now)));
        }
        return lines.join("\n");
    };
    lines.push(format!("{}: {}", of.agent, health(&facts.health, facts, setting, now)));
    lines.push(policy(facts, incident, of.attempts_max));
    match incident {
        None => lines.push(not_dead(of, facts, setting, now)),
        Some(incident) => {
            lines.push(dead_since(incident.last_healthy_at, incident.opened_at, incident.timeout, setting, now));
            lines.push(disposition(incident, of, facts, setting, now));
            lines.extend(may_still_run(incident));
        }
    }
    if incident.is_some() || matches!(facts.mode, Mode::Yes) {
        lines.extend(setting.keeper(now));
    }
    lines.iter().flat_map(|line| wrapped(line)).collect::<Vec<_>>().join("\n")
}

fn health(health: &Health, facts: &AgentFacts, setting: &Setting, now: Timestamp) -> String {
    match health {
        Health::Healthy => match facts.healthy_since {
            Some(since) => format!("healthy since {}.", setting.time(since, now)),
            None => "healthy.".to_owned(),
        },
        Health::Unhealthy(why) => format!("unhealthy: {}.", reasons(why)),
        Health::Unknown(why) => format!("unknown, its signals give no answer: {}.", harmless(why, REASON_MAX)),
        Health::Unobservable => "unobservable: it has no health signal at all.".to_owned(),
    }
}

fn policy(facts: &AgentFacts, incident: Option<&Incident>, attempts_max: u32) -> String {
    let mission = &facts.mission;
    let host = match &facts.host {
        Some(host) if !facts.local => format!("remote host {}", harmless(host, SHORT_MAX)),
        Some(_) | None => "this machine".to_owned(),
    };
    let restart = if facts.can_restart { "can be restarted" } else { "cannot be restarted from here" };
    let fit = list(facts.fit_substitutes(), "nobody");
    let word = match facts.mode {
        Mode::Yes => "yes (acts by itself)",
        Mode::No => "no (nothing is done)",
        Mode::Ask => "ask",
    };
    let mut text = format!("Policy for the mission '{mission}': {word}. On {host}; {restart}; could take over: {fit}.");
    if facts.mode == Mode::Yes
        && let Some(why) = incident.and_then(|incident| yes_became_ask(incident, attempts_max))
    {
        text.push_str(&format!(" Yet people are asked: {why}."));
    }
    text
}

fn yes_became_ask(incident: &Incident, attempts_max: u32) -> Option<String> {
    let tally = &incident.tally;
    if tally.may_still_run {
        return Some("nobody can say what the last command did".to_owned());
    }
    if tally.asked_by_hand {
        return Some("an approver wanted it".to_owned());
    }
    if tally.attempts >= attempts_max {
        return Some(format!("{} did not help", count(tally.attempts.into(), "attempt")));
    }
    let providers = !incident.reasons.is_empty() && incident.reasons.iter().all(|reason| reason.is_the_providers());
    providers.then(|| "only its model provider is bad, and a restart does not mend that".to_owned())
}

fn not_dead(of: &Explained<'_>, facts: &AgentFacts, setting: &Setting, now: Timestamp) -> String {
    let limit = human(of.timeout);
    match &facts.health {
        Health::Healthy => "Nothing is to be done.".to_owned(),
        Health::Unhealthy(_) => {
            let seen = match facts.last_healthy_at {
                Some(at) => format!("last healthy at {}", setting.time(at, now)),
                None => "never seen healthy here".to_owned(),
            };
            format!(
                "Not taken for dead yet ({seen}): that takes {limit} without health, and two unhealthy probes in an \
                 unbroken watch."
            )
        }
        Health::Unknown(_) => format!(
            "Nothing is done without an answer: unknown is no evidence of death. After {limit} it becomes an alarm."
        ),
        Health::Unobservable => {
            "It can never be taken for dead. Give it a gateway URL or a unit in the registry.".to_owned()
        }
    }
}

fn disposition(
    incident: &Incident,
    of: &Explained<'_>,
    facts: &AgentFacts,
    setting: &Setting,
    now: Timestamp,
) -> String {
    let agent = of.agent;
    let code = of.request.map(|request| request.code);
    let time = |at: Timestamp| setting.time(at, now);
    let named = code.map_or(String::new(), |code| format!(" {code}"));
    match &incident.disposition {
        Disposition::New => "It is planned at the next tick.".to_owned(),
        Disposition::Asking { .. } => {
            let until = match of.request.map(|request| &request.state) {
                Some(RequestState::Pending { expires: Some(at) }) => format!("it expires at {}", time(*at)),
                Some(RequestState::Pending { expires: None }) => "it has reached nobody yet".to_owned(),
                _ => "it is planned anew at the next tick".to_owned(),
            };
            format!("People are asked by the request{named}; {until}. It takes an answer: `show{named}`.")
        }
        Disposition::Snoozed { until } => {
            let open = of.request.is_some_and(Request::is_pending);
            let open = if open { format!(" The request{named} can be answered all the same.") } else { String::new() };
            format!("Snoozed until {}; nobody is asked anew before that.{open}", time(*until))
        }
        Disposition::Held { by } => {
            let what = match &incident.standing {
                Standing::ApprovedNotRun { .. } => "It was approved, and is not run",
                _ => "It would be acted on, but nothing runs",
            };
            format!("{what}: {}.", kept(*by))
        }
        Disposition::Reviving { action, .. } => match of.execution {
            Some(execution) if execution.is_live() => {
                format!("Under way: {}. {}", doing(action, agent), step(execution, setting, now))
            }
            _ => format!("Under way: {}.", doing(action, agent)),
        },
        Disposition::Recovering { since } => {
            format!("Healthy again since {}; the incident closes if it stays so.", time(*since))
        }
        Disposition::Substituted { by } => {
            format!("{by} does its work. Nothing more is done until {by} dies, or {agent} is healthy.")
        }
        Disposition::Denied { by } => {
            let when = match &incident.standing {
                Standing::Denied { at, .. } => format!(" at {}", time(*at)),
                _ => String::new(),
            };
            format!("Denied by {by}{when}. Nothing is done until it was healthy, or an approver says `ask {agent}`.")
        }
        Disposition::Suppressed => "Nothing is done and nobody is asked, because the policy says no. Another mode in \
                                    the policy file changes that."
            .to_owned(),
        Disposition::Waiting { for_ } => {
            let more = match for_ {
                Awaited::Time { .. } => format!(" `ask {agent}` asks people at once."),
                Awaited::Answer => " No answer is no evidence: nothing new is begun meanwhile.".to_owned(),
                Awaited::OtherExecution => String::new(),
            };
            format!("Waits for {}.{more}", awaited(for_, setting, now))
        }
        Disposition::GaveUp => {
            let restart = if facts.local { "" } else { " It is remote, and no `restart` template applies to it." };
            format!(
                "There is nothing the gateway could do: it cannot be restarted from here, and no substitute is healthy \
                 and free.{restart} It goes on as soon as there is a template or a substitute."
            )
        }
    }
}
