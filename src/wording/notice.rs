use serde::{Deserialize, Serialize};

use super::Setting;
use super::card::{AnswerOption, answers};
use super::happened::{happened, what_next};
use super::phrase::{because, reasons, to_do, who};
use super::plain::list;
use crate::approval::{Request, RequestId, RequestState, Withdrawal};
use crate::incident::{CalledOff, Event, Incident};
use crate::pool::Timestamp;

/// How much a text wants of its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Something went well, or goes on.
    Progress,
    /// Somebody decided, or somebody is to decide.
    Decision,
    /// Something is wrong that nobody may have seen yet.
    Alarm,
}

/// Something that people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// One or a few lines.
    pub text: String,
    /// How much it wants of its reader.
    pub urgency: Urgency,
}

/// What people are told of `event`; none where a card says it, or it is for the history only.
/// `request` is the one that the event belongs to: the one it names, the one its execution came from,
/// or the pending one; a request of another id is not mentioned.
pub fn notice(
    event: &Event,
    incident: &Incident,
    request: Option<&Request>,
    setting: &Setting,
    now: Timestamp,
) -> Option<Notice> {
    let request = request.filter(|request| speaks_of(event).is_none_or(|id| *id == request.id));
    let (urgency, more) = told(event, incident, request, setting, now)?;
    let agent = &incident.agent;
    let named = match request {
        Some(request) => format!("{agent} ({})", request.code),
        None => agent.to_string(),
    };
    let what = match event {
        Event::NotRun { because: why, .. } | Event::CalledOff { request: Some(_), because: why, .. } => {
            let by = request.and_then(approver).map_or(String::new(), |by| format!(" by {by}"));
            format!("approved{by}, not run because {}", because(why))
        }
        Event::Ready { action, by_policy: true, .. } => format!(
            "dead ({}); about to {} by itself: the policy for {} says yes",
            reasons(&incident.reasons),
            to_do(action, agent),
            incident.mission
        ),
        Event::Unrecoverable => format!("{} ({})", happened(event, agent, setting, now), reasons(&incident.reasons)),
        _ => happened(event, agent, setting, now),
    };
    let mut text = format!("{named}: {what}.");
    for sentence in what_next(event, setting, now).into_iter().chain(more) {
        text.push('\n');
        text.push_str(&sentence);
    }
    Some(Notice { text, urgency })
}

/// How urgently people are told, and what to add; none if they are not told.
fn told(
    event: &Event,
    incident: &Incident,
    request: Option<&Request>,
    setting: &Setting,
    now: Timestamp,
) -> Option<(Urgency, Option<String>)> {
    use Urgency::{Alarm, Decision, Progress};
    let agent = &incident.agent;
    let ask = || format!("`ask {agent}` asks anew before that.");
    Some(match event {
        // Its card, or what is done about it, says so.
        Event::Opened { .. } | Event::Asked { .. } | Event::ShownAgain { .. } => return None,
        // Who snoozed it wants quiet; the fresh card afterwards has the answers of then.
        Event::OffersChanged { .. } if incident.snoozed_until.is_some_and(|until| now < until) => return None,
        // A card on a terminal cannot be edited: a line says what it would show now.
        Event::OffersChanged { .. } => {
            let open = request.filter(|request| request.is_pending())?;
            (Progress, Some(format!("It takes: {}.", list(answers(open).iter().map(AnswerOption::vote), "none"))))
        }
        // Approving made it ready, and told it.
        Event::Ready { by_policy: false, .. } => return None,
        // For history and `explain` only: nobody is to be woken.
        Event::Suppressed | Event::Waits { .. } => return None,
        Event::Approved { .. } => (Decision, Some("Nothing has been started yet.".into())),
        Event::NotRun { because, .. } => (Decision, Some(after_calling_off(because, setting, now))),
        Event::CalledOff { because: CalledOff::Recovered, .. } => (Progress, Some("Nothing was started.".into())),
        Event::CalledOff { because, .. } => (Decision, Some(after_calling_off(because, setting, now))),
        Event::Denied { .. } => (
            Decision,
            Some(format!("Nothing is done about it until it was healthy, or an approver says `ask {agent}`.")),
        ),
        Event::Expired { .. } => (Decision, Some(format!("Nothing runs. {}", ask()))),
        Event::Withdrawn { .. } => (Progress, None),
        Event::Snoozed { .. } => (
            Decision,
            request.filter(|request| request.is_pending()).map(|request| {
                format!("The request stays answerable, and is shown again then: `show {}`.", request.code)
            }),
        ),
        Event::AskedByHand { .. } => (Decision, None),
        Event::Ready { by_policy: true, .. }
        | Event::Started { .. }
        | Event::NeverStarted { .. }
        | Event::Done { .. } => (Progress, None),
        Event::Failed { .. } | Event::NotRecovered { .. } | Event::Relapsed { .. } => (Alarm, None),
        Event::Unknown { .. } => {
            (Alarm, Some("Nothing else starts by itself. Probes look whether it lives; look on its host, too.".into()))
        }
        Event::Verified { .. } => (Progress, None),
        Event::StandInLost => (Alarm, Some(format!("{agent} is still dead, and is planned anew."))),
        Event::Unrecoverable => (
            Alarm,
            Some(
                "It cannot be restarted from here, and no substitute is healthy and free. It is tried as soon as \
                 either changes; else revive it by hand."
                    .into(),
            ),
        ),
        Event::Held { observing: false, .. } => (Decision, setting.keeper(now)),
        Event::Held { observing: true, .. } => (Decision, None),
        Event::Recovered { .. } | Event::Gone => (Progress, None),
    })
}

/// Whether a chat hears of `event` by a message of its own. Where a card stands, the card says how things
/// go on, and a phone rings only for what somebody must look at; without one, the beginning and the end
/// are told, and the steps between are left to the history.
pub fn rings(event: &Event, urgency: Urgency, has_card: bool) -> bool {
    match urgency {
        Urgency::Alarm => true,
        Urgency::Decision => !has_card,
        Urgency::Progress => {
            !has_card && matches!(event, Event::Ready { by_policy: true, .. } | Event::Verified { .. })
        }
    }
}

/// Whether a channel that cannot change what it said hears of `event` in the thread of a request: of every
/// end, and of whatever somebody must look at; the steps between are left to the history.
pub fn told_in_thread(event: &Event, urgency: Urgency) -> bool {
    match urgency {
        Urgency::Alarm | Urgency::Decision => true,
        Urgency::Progress => matches!(
            event,
            Event::Ready { by_policy: true, .. }
                | Event::Verified { .. }
                | Event::Withdrawn { .. }
                | Event::CalledOff { .. }
        ),
    }
}

/// How the note that asked about a request is marked at its end, for whoever only glances at it; nothing in
/// between. `is_its` tells that what was carried out was signed off by it.
pub fn mark(event: &Event, is_its: bool) -> Option<&'static str> {
    match event {
        Event::Approved { .. } => Some("+"),
        Event::Denied { .. } => Some("-"),
        Event::Expired { .. } => Some("⌛"),
        Event::Withdrawn { because: Withdrawal::Recovered, .. } => Some("✅"),
        Event::Withdrawn {
            because: Withdrawal::Gone | Withdrawal::PolicyChanged | Withdrawal::Moved | Withdrawal::Restored,
            ..
        } => Some("⚪"),
        Event::NotRun { .. } | Event::CalledOff { request: Some(_), .. } => Some("✋"),
        Event::Verified { .. } if is_its => Some("✅"),
        Event::Failed { .. } | Event::NotRecovered { .. } if is_its => Some("❌"),
        Event::Opened { .. }
        | Event::Asked { .. }
        | Event::OffersChanged { .. }
        | Event::ShownAgain { .. }
        | Event::Snoozed { .. }
        | Event::AskedByHand { .. }
        | Event::Ready { .. }
        | Event::CalledOff { request: None, .. }
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
        | Event::Gone => None,
    }
}

fn after_calling_off(because: &CalledOff, setting: &Setting, now: Timestamp) -> String {
    let then = match because {
        CalledOff::OnHold => match setting.keeper(now) {
            Some(keeper) => keeper,
            None => "A release plans and checks again.".to_owned(),
        },
        CalledOff::Observing => "Run the gateway without --observe to let it act.".to_owned(),
        CalledOff::LaterDeny => "It stays as it is.".to_owned(),
        CalledOff::Gone | CalledOff::Recovered => return "Nothing was started.".to_owned(),
        CalledOff::PolicyChanged
        | CalledOff::Moved
        | CalledOff::ApproverRevoked
        | CalledOff::IdentityRevoked
        | CalledOff::SubstituteUnfit
        | CalledOff::NoMeans
        | CalledOff::TooOld
        | CalledOff::NotHandedOver { .. }
        | CalledOff::Restored => "It is planned anew, under the policy in force.".to_owned(),
    };
    format!("Nothing was started. {then}")
}

/// The request that an event names.
pub fn speaks_of(event: &Event) -> Option<&RequestId> {
    match event {
        Event::Asked { request, .. }
        | Event::OffersChanged { request }
        | Event::ShownAgain { request }
        | Event::Approved { request, .. }
        | Event::NotRun { request, .. }
        | Event::Denied { request, .. }
        | Event::Expired { request, .. }
        | Event::Withdrawn { request, .. } => Some(request),
        Event::CalledOff { request, .. } => request.as_ref(),
        Event::Opened { .. }
        | Event::Snoozed { .. }
        | Event::AskedByHand { .. }
        | Event::Ready { .. }
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
        | Event::Gone => None,
    }
}

fn approver(request: &Request) -> Option<String> {
    match &request.state {
        RequestState::Approved { decision } => Some(who(&decision.by, decision.via)),
        RequestState::Pending { .. }
        | RequestState::Denied { .. }
        | RequestState::Expired { .. }
        | RequestState::Withdrawn { .. } => None,
    }
}
