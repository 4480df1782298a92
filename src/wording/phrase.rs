//! Small parts of sentences, so that one thing is called the same in every text.

use std::time::Duration;

use super::Setting;
use super::plain::{REASON_MAX, harmless, list};
use super::time::human;
use crate::approval::{Action, Channel, PersonId, RequestState, Withdrawal};
use crate::incident::{Awaited, CalledOff, Keeper, Next};
use crate::pool::{AgentName, Reason, Timestamp};

/// `restart ezra`, `let timmy take over from ezra`.
pub(super) fn to_do(action: &Action, agent: &AgentName) -> String {
    match action {
        Action::Restart => format!("restart {agent}"),
        Action::Substitute(who) => format!("let {who} take over from {agent}"),
    }
}

/// `restarting ezra`, `handing the work of ezra to timmy`.
pub(super) fn doing(action: &Action, agent: &AgentName) -> String {
    match action {
        Action::Restart => format!("restarting {agent}"),
        Action::Substitute(who) => format!("handing the work of {agent} to {who}"),
    }
}

/// `restart`, `substitute timmy`: what was voted for.
pub(super) fn vote(action: &Action) -> String {
    match action {
        Action::Restart => "restart".to_owned(),
        Action::Substitute(who) => format!("substitute {who}"),
    }
}

/// `the restart`, `the substitution by timmy`.
pub(super) fn noun(action: &Action) -> String {
    match action {
        Action::Restart => "the restart".to_owned(),
        Action::Substitute(who) => format!("the substitution by {who}"),
    }
}

/// `kim (command line)`.
pub(super) fn who(by: &PersonId, via: Channel) -> String {
    format!("{by} ({via})")
}

/// `: moving racks`, or nothing.
pub(super) fn told_reason(reason: Option<&String>) -> String {
    match reason.map(|reason| harmless(reason, REASON_MAX)) {
        Some(reason) if !reason.is_empty() => format!(": {reason}"),
        _ => String::new(),
    }
}

/// `gateway_unreachable, service_inactive`.
pub(super) fn reasons(of: &[Reason]) -> String {
    list(of, "no health signal")
}

/// What comes after an execution that did not help, as a sentence.
pub(super) fn next(next: Next, setting: &Setting, now: Timestamp) -> String {
    match next {
        Next::TriesAgain(at) => format!("It is tried again after {}, if still dead.", setting.time(at, now)),
        Next::Asks => "People are asked what to do now.".to_owned(),
        Next::AsksAnew(at) => format!("People are asked anew after {}, if it is still dead.", setting.time(at, now)),
    }
}

/// After "not run because".
pub(super) fn because(of: &CalledOff) -> String {
    let fixed = match of {
        CalledOff::Recovered => "it is healthy again",
        CalledOff::Gone => "it left the registry",
        CalledOff::PolicyChanged => "the policy no longer allows it",
        CalledOff::Moved => "its mission or host changed meanwhile",
        CalledOff::ApproverRevoked => "the person who approved it may not approve it any more",
        CalledOff::IdentityRevoked => "the key or account that approved it is not theirs any more",
        CalledOff::SubstituteUnfit => "the substitute is no longer a configured, healthy and free candidate",
        CalledOff::NoMeans => "there is no command for it any more",
        CalledOff::LaterDeny => "somebody denied it before it began",
        CalledOff::TooOld => "it could not begin in time",
        CalledOff::OnHold => "executions are on hold",
        CalledOff::Observing => "this gateway only observes",
        CalledOff::Restored => "the store is a restored backup, and the approval may be long over",
        CalledOff::NotHandedOver { why } => return harmless(why, REASON_MAX),
    };
    fixed.to_owned()
}

/// After "withdrawn: ".
pub(super) fn withdrawn(because: &Withdrawal) -> &'static str {
    match because {
        Withdrawal::Recovered => "it is healthy again",
        Withdrawal::Gone => "it left the registry",
        Withdrawal::PolicyChanged => "the policy does not ask about it any more",
        Withdrawal::Moved => "its mission or host is another one now",
        Withdrawal::Restored => "the store is a restored backup; what is still dead is asked about anew",
    }
}

/// `executions are on hold`, `this gateway only observes`.
pub(super) fn kept(by: Keeper) -> &'static str {
    match by {
        Keeper::Hold => "executions are on hold",
        Keeper::Observe => "this gateway only observes",
    }
}

/// After "waits for ".
pub(super) fn awaited(what: &Awaited, setting: &Setting, now: Timestamp) -> String {
    match what {
        Awaited::Time { until } => format!("{}, before the next attempt or request", setting.time(*until, now)),
        Awaited::Answer => "an answer from its health signals".to_owned(),
        Awaited::OtherExecution => "the end of another execution that touches it".to_owned(),
    }
}

/// How a request ended: `approved by kim (command line) at 06:05:06 CEST: restart`.
pub(super) fn ended(state: &RequestState, setting: &Setting, now: Timestamp) -> String {
    let time = |at: &Timestamp| setting.time(*at, now);
    match state {
        RequestState::Pending { .. } => "still pending".to_owned(),
        RequestState::Approved { decision } => format!(
            "approved by {} at {}: {}",
            who(&decision.by, decision.via),
            time(&decision.at),
            vote(&decision.action)
        ),
        RequestState::Denied { by, via, at, reason } => {
            format!("denied by {} at {}{}", who(by, *via), time(at), told_reason(reason.as_ref()))
        }
        RequestState::Expired { at } => format!("expired at {}: nobody answered in time", time(at)),
        RequestState::Withdrawn { at, because } => format!("withdrawn at {}: {}", time(at), withdrawn(because)),
    }
}

/// `1 attempt`, `3 attempts`.
pub(super) fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Since when it is dead against its timeout; it does not grow with the time of reading.
pub(super) fn dead_since(
    last_healthy_at: Option<Timestamp>,
    opened_at: Timestamp,
    timeout: Duration,
    setting: &Setting,
    now: Timestamp,
) -> String {
    let opened = setting.time(opened_at, now);
    let limit = human(timeout);
    match last_healthy_at {
        None => format!("Never seen healthy here; taken for dead at {opened} (limit {limit})."),
        Some(seen) => format!(
            "Last healthy at {}; taken for dead at {opened}, {} later (limit {limit}).",
            setting.time(seen, now),
            human(opened_at.since(seen))
        ),
    }
}

/// With a great first letter.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
