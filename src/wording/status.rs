use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::phrase::{count, to_do, vote};
use super::plain::{REASON_MAX, SHORT_MAX, harmless, list};
use super::time::human;
use super::{Alarm, Setting};
use crate::approval::{Action, Code, InputId, Request};
use crate::incident::{Disposition, ExecutionId, Keeper};
use crate::pool::{AgentName, MissionName, Timestamp};

/// What `status` shows; made by the gateway, also printed as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// Since when the daemon is at work; none: there is no daemon.
    pub daemon_since: Option<Timestamp>,
    /// The newest sweep; none: not one has ended yet.
    pub sweep: Option<SweepView>,
    /// Agents by health.
    pub health: HealthCounts,
    /// Open incidents, by agent.
    pub incidents: Vec<IncidentView>,
    /// Executions that may still come to something, by agent.
    pub executions: Vec<LiveExecution>,
    /// Rows that cannot be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
    /// Messages to people that are not sent yet.
    pub messages_due: u64,
    /// Inputs that were set aside, oldest first.
    pub set_aside: Vec<InputId>,
    /// Alarms in force, oldest first.
    pub alarms: Vec<AlarmView>,
    /// The daemon's tasks, by name.
    pub tasks: Vec<TaskView>,
    /// Relays, by address; none where Nostr is off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<RelayView>,
}

/// One relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayView {
    /// Its address.
    pub url: String,
    /// There is a connection.
    pub connected: bool,
    /// Its last word, or the network's.
    pub says: String,
    /// When.
    pub at: Timestamp,
}

/// One sweep over the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepView {
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How far behind its schedule it began.
    pub late: Duration,
}

/// Agents by health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCounts {
    /// Every signal good.
    pub healthy: u32,
    /// At least one bad.
    pub unhealthy: u32,
    /// None bad, at least one without an answer.
    pub unknown: u32,
    /// No signal at all.
    pub unobservable: u32,
}

/// One open incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentView {
    /// Who is dead.
    pub agent: AgentName,
    /// In which mission.
    pub mission: MissionName,
    /// Since when.
    pub opened_at: Timestamp,
    /// What becomes of it.
    pub disposition: Disposition,
    /// The pending request's code.
    pub code: Option<Code>,
}

/// An execution that may still come to something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveExecution {
    /// Which.
    pub id: ExecutionId,
    /// Who is dead.
    pub agent: AgentName,
    /// What is done.
    pub action: Action,
    /// The word of its state.
    pub state: String,
    /// When it became ready.
    pub ready_at: Timestamp,
}

/// An alarm in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmView {
    /// Since when.
    pub at: Timestamp,
    /// What.
    pub alarm: Alarm,
}

/// One task of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its name.
    pub name: String,
    /// What it did last, or waits for, in a few words.
    pub state: String,
    /// When its last step ended.
    pub at: Option<Timestamp>,
}

/// One line of `pending`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingView {
    /// The request.
    pub request: Request,
    /// When its agent was taken for dead.
    pub opened_at: Timestamp,
    /// Quiet until then.
    pub snoozed_until: Option<Timestamp>,
}

/// The text of `status`.
pub fn status_text(view: &StatusView, setting: &Setting, now: Timestamp) -> String {
    let time = |at: Timestamp| setting.time(at, now);
    let mut lines = vec![match view.daemon_since {
        Some(since) => format!("Daemon: at work since {}.", time(since)),
        None => "Daemon: NOT RUNNING. What follows is what the store last knew.".to_owned(),
    }];
    lines.extend(setting.keeper(now));
    lines.push(match &view.sweep {
        None => "Last sweep: none has ended yet.".to_owned(),
        Some(sweep) => {
            let late = if sweep.late.as_secs() == 0 { String::new() } else { format!(", {} late", human(sweep.late)) };
            format!("Last sweep: {}, took {}{late}.", time(sweep.ended_at), human(sweep.took))
        }
    });
    let HealthCounts { healthy, unhealthy, unknown, unobservable } = view.health;
    lines.push(format!(
        "Agents: {healthy} healthy, {unhealthy} unhealthy, {unknown} unknown, {unobservable} unobservable."
    ));
    section(&mut lines, "Open incidents", &view.incidents, |one| {
        let code = one.code.map_or(String::new(), |code| format!(" [{code}]"));
        format!(
            "{} ('{}'){code}: dead since {}; {}",
            one.agent,
            one.mission,
            time(one.opened_at),
            becomes(&one.disposition, &one.agent, setting, now)
        )
    });
    section(&mut lines, "Executions", &view.executions, |one| {
        format!(
            "{}: {}, {} (since {})",
            one.agent,
            vote(&one.action),
            harmless(&one.state, SHORT_MAX),
            time(one.ready_at)
        )
    });
    if !view.damaged.is_empty() {
        section(&mut lines, "CANNOT BE READ", &view.damaged, |why| harmless(why, REASON_MAX));
    }
    section(&mut lines, "Alarms", &view.alarms, |one| {
        format!("{}  {}", time(one.at), one.alarm.text().replace('\n', " "))
    });
    if !view.set_aside.is_empty() {
        let ids = view.set_aside.iter().map(|id| harmless(&id.0, SHORT_MAX));
        lines.push(format!("Inputs set aside (`inbox retry ID`): {}.", list(ids, "none")));
    }
    lines.push(format!("Messages not sent yet: {}.", view.messages_due));
    if !view.relays.is_empty() {
        section(&mut lines, "Relays", &view.relays, |one| {
            let connected = if one.connected { "" } else { "not connected: " };
            let (url, says) = (harmless(&one.url, REASON_MAX), harmless(&one.says, REASON_MAX));
            format!("{url}: {connected}{says} ({})", time(one.at))
        });
    }
    section(&mut lines, "Tasks", &view.tasks, |one| {
        let at = one.at.map_or(String::new(), |at| format!(" ({})", time(at)));
        format!("{}: {}{at}", harmless(&one.name, SHORT_MAX), harmless(&one.state, REASON_MAX))
    });
    lines.join("\n")
}

fn section<T>(lines: &mut Vec<String>, title: &str, of: &[T], line: impl Fn(&T) -> String) {
    if of.is_empty() {
        lines.push(format!("{title}: none."));
        return;
    }
    lines.push(format!("{title}: {}", of.len()));
    lines.extend(of.iter().map(|one| format!("  {}", line(one))));
}

/// What becomes of an open incident, in a few words; `explain` has the whole of it.
fn becomes(disposition: &Disposition, agent: &AgentName, setting: &Setting, now: Timestamp) -> String {
    let time = |at: Timestamp| setting.time(at, now);
    match disposition {
        Disposition::New => "to be planned".to_owned(),
        Disposition::Asking { .. } => "people are asked".to_owned(),
        Disposition::Snoozed { until } => format!("snoozed until {}", time(*until)),
        Disposition::Held { by: Keeper::Hold } => "on hold".to_owned(),
        Disposition::Held { by: Keeper::Observe } => "observed only".to_owned(),
        Disposition::Reviving { action, .. } => format!("under way: {}", to_do(action, agent)),
        Disposition::Recovering { since } => format!("healthy again since {}", time(*since)),
        Disposition::Substituted { by } => format!("{by} does its work"),
        Disposition::Denied { by } => format!("denied by {by}"),
        Disposition::Suppressed => "nothing is done: the policy says no".to_owned(),
        Disposition::Waiting { for_ } => {
            format!("waits for {}", super::phrase::awaited(for_, setting, now))
        }
        Disposition::GaveUp => "cannot be revived from here".to_owned(),
    }
}

/// The text of `pending`: one request a line, in the order given; then what of them could not be read.
pub fn pending_text(requests: &[PendingView], damaged: &[String], setting: &Setting, now: Timestamp) -> String {
    if requests.is_empty() && damaged.is_empty() {
        return "Nothing is asked.".to_owned();
    }
    let mut lines = Vec::new();
    for one in requests {
        let request = &one.request;
        let expires = match request.expires() {
            Some(at) => format!("expires at {}", setting.time(at, now)),
            None => "has reached nobody yet".to_owned(),
        };
        let restart = request.offers.restart.then(|| "restart".to_owned());
        let substitutes = request.offers.substitutes.iter().map(|who| format!("substitute {who}"));
        let quiet = one.snoozed_until.filter(|until| now < *until);
        let quiet = quiet.map_or(String::new(), |until| format!("; snoozed until {}", setting.time(until, now)));
        lines.push(format!(
            "{}  {} ('{}'): dead since {}; {expires}{quiet}; offers: {}",
            request.code,
            request.agent,
            request.mission,
            setting.time(one.opened_at, now),
            list(restart.into_iter().chain(substitutes), "nothing to run")
        ));
    }
    lines.extend(setting.keeper(now));
    if !requests.is_empty() {
        let count = count(requests.len() as u64, "request");
        lines.push(format!("{count}: `show CODE` shows one, with the answers it takes."));
    }
    lines.extend(damaged.iter().map(|why| format!("CANNOT BE READ: {}", harmless(why, REASON_MAX))));
    lines.join("\n")
}
