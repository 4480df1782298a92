use super::Setting;
use super::phrase::{awaited, because, count, doing, next, noun, reasons, to_do, told_reason, vote, who, withdrawn};
use super::plain::{REASON_MAX, harmless};
use super::time::human;
use crate::approval::Action;
use crate::incident::{Event, Next};
use crate::pool::{AgentName, Timestamp};

/// What happened, as a fragment without the agent's name where that is clear: for a line of history,
/// and the core of every [`notice()`](super::notice()). It never says more than the event does.
pub fn happened(event: &Event, agent: &AgentName, setting: &Setting, now: Timestamp) -> String {
    match event {
        Event::Opened { reasons: why, last_healthy_at } => match last_healthy_at {
            Some(at) => format!("taken for dead: {}; last healthy at {}", reasons(why), setting.time(*at, now)),
            None => format!("taken for dead: {}; never seen healthy here", reasons(why)),
        },
        Event::Asked { code, key, .. } => format!("people are asked: request {code} ({key})"),
        Event::OffersChanged { .. } => "what can be answered has changed".to_owned(),
        Event::ShownAgain { .. } => "the request is shown again".to_owned(),
        Event::Approved { action, by, via, .. } => format!("approved by {}: {}", who(by, *via), vote(action)),
        Event::NotRun { because: why, .. } => format!("approved, not run because {}", because(why)),
        Event::Denied { by, via, reason, .. } => format!("denied by {}{}", who(by, *via), told_reason(reason.as_ref())),
        Event::Expired { next, .. } => {
            format!("nobody answered in time; asked anew after {}, if still dead", setting.time(*next, now))
        }
        Event::Withdrawn { because, .. } => format!("the request is withdrawn: {}", withdrawn(because)),
        Event::Snoozed { until, by, via } => {
            format!("snoozed by {} until {}", who(by, *via), setting.time(*until, now))
        }
        Event::AskedByHand { by, via } => format!("{} wants people to be asked", who(by, *via)),
        Event::Ready { action, by_policy: true, .. } => {
            format!("about to {}: the policy says yes", to_do(action, agent))
        }
        Event::Ready { action, by_policy: false, .. } => format!("about to {}, as approved", to_do(action, agent)),
        Event::CalledOff { request, because: why, .. } => match request {
            Some(_) => format!("approved, not run because {}", because(why)),
            None => format!("called off before it began, because {}", because(why)),
        },
        Event::Started { action, .. } => format!("{}: the command is being started", doing(action, agent)),
        Event::NeverStarted { .. } => "the command never started, for certain; it is tried again".to_owned(),
        Event::Done { action: Action::Restart, .. } => {
            "restarted: the command ended well; checking that it lives".to_owned()
        }
        Event::Done { action: Action::Substitute(by), asks: true, .. } => {
            format!("delivered to {by}, who is asked whether it takes over; that is not said yet")
        }
        Event::Done { action: Action::Substitute(by), .. } => {
            format!("delivered to {by}: the command ended well; checking that {by} lives")
        }
        Event::Failed { action, why, .. } => format!("{} failed: {}", noun(action), harmless(why, REASON_MAX)),
        Event::Unknown { action, why, .. } => format!(
            "nobody can say what {} did: {}; its command may still run",
            noun(action),
            harmless(why, REASON_MAX)
        ),
        Event::Verified { action: Action::Restart, after, .. } => {
            format!("alive again, verified {} after the restart", human(*after))
        }
        Event::Verified { action: Action::Substitute(by), after, .. } => {
            format!("{by} has taken over, verified {} after the delivery", human(*after))
        }
        Event::NotRecovered { action, why, .. } => {
            format!("{} did not help: {}", noun(action), harmless(why, REASON_MAX))
        }
        Event::Relapsed { reasons: why, .. } => format!("dead again after it had lived: {}", reasons(why)),
        Event::StandInLost => "whoever stood in for it is dead or gone".to_owned(),
        Event::Suppressed => "dead, and nothing is done: the policy says no".to_owned(),
        Event::Unrecoverable => "dead, and there is no way to revive it from here".to_owned(),
        Event::Held { action, observing } => format!(
            "would {} now, but {}",
            to_do(action, agent),
            if *observing { "this gateway only observes" } else { "executions are on hold" }
        ),
        Event::Waits { for_ } => format!("waits for {}", awaited(for_, setting, now)),
        Event::Recovered { since } => format!("healthy since {}; the incident is closed", setting.time(*since, now)),
        Event::Gone => "left the registry; the incident is closed".to_owned(),
    }
}

/// What comes next, where the event says so itself.
pub(super) fn what_next(event: &Event, setting: &Setting, now: Timestamp) -> Option<String> {
    let said: Next = match event {
        Event::Failed { next, .. } | Event::NotRecovered { next, .. } | Event::Relapsed { next, .. } => *next,
        _ => return None,
    };
    Some(next(said, setting, now))
}

/// How often something was tried in vain, as a sentence; none if never.
pub(super) fn tried(attempts: u32) -> Option<String> {
    (attempts > 0).then(|| format!("{} in this incident did not help.", count(attempts.into(), "attempt")))
}
