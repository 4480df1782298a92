//! What people read of a drill. The first words of each text say that it is one.

use serde_json::Value;

use super::html::escaped;
use super::plain::{REASON_MAX, SHORT_MAX, harmless, list};
use super::setting::Setting;
use super::time::human;
use crate::approval::{Drill, DrillState, PersonId, Target};
use crate::pool::{MissionName, Timestamp};

/// What every drill begins with.
const MARK: &str = "DRILL – nothing is dead, nothing will run.";

/// A place where a drill was sent, and whether it arrived.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DrillCopy {
    /// By which channel.
    pub channel: String,
    /// Where there.
    pub target: String,
    /// When it arrived; none if it did not.
    pub arrived_at: Option<Timestamp>,
    /// It never will: the chat does not take it.
    pub given_up: bool,
}

/// What stands on the button under a drill.
pub fn drill_button() -> String {
    "I am here".to_owned()
}

fn lines(drill: &Drill, setting: &Setting, now: Timestamp) -> Vec<String> {
    let by = harmless(&drill.started_by, SHORT_MAX);
    let started = setting.time(drill.started_at, now);
    let mut lines = vec![MARK.to_owned()];
    match &drill.state {
        DrillState::Pending => {
            lines.push(format!(
                "{by} asks whether somebody who decides for the mission '{}' sees this and can answer.",
                drill.mission
            ));
            lines.push(format!("Answer with: here {}", drill.code));
            lines.push(format!("Code {}. Ends at {}.", drill.code, setting.time(drill.ends_at, now)));
        }
        DrillState::Answered { .. } | DrillState::Expired { .. } => {
            lines.push(outcome(drill));
            lines.push(format!("Mission '{}', started by {by} at {started}. Code {}.", drill.mission, drill.code));
        }
    }
    lines
}

fn outcome(drill: &Drill) -> String {
    match &drill.state {
        DrillState::Pending => "Nobody has answered yet.".to_owned(),
        DrillState::Answered { by, via, .. } => {
            format!("Over: {by} answered ({via}) after {}.", human(drill.took().unwrap_or_default()))
        }
        DrillState::Expired { .. } => format!("Over: NOBODY answered within {}.", human(drill.wait())),
    }
}

/// The card of a drill, for a terminal.
pub fn drill_text(drill: &Drill, setting: &Setting, now: Timestamp) -> String {
    lines(drill, setting, now).join("\n")
}

/// The card of a drill, for a chat with markup.
pub fn drill_html(drill: &Drill, setting: &Setting, now: Timestamp) -> String {
    let lines = lines(drill, setting, now);
    let mut said = lines.iter().map(|line| escaped(line));
    let title = said.next().map(|title| format!("<b>{title}</b>")).unwrap_or_default();
    std::iter::once(title).chain(said).collect::<Vec<_>>().join("\n")
}

/// To whoever started it.
pub fn drill_started<'a>(
    drill: &Drill,
    approvers: impl IntoIterator<Item = &'a PersonId>,
    setting: &Setting,
    now: Timestamp,
) -> String {
    format!(
        "DRILL {} for the mission '{}': sent, and waits until {}. May answer: {}.",
        drill.code,
        drill.mission,
        setting.time(drill.ends_at, now),
        list(approvers, "nobody (no one in `people` approves that mission)")
    )
}

/// To whoever answered it.
pub fn drill_here(drill: &Drill) -> String {
    let took = human(drill.took().unwrap_or_default());
    format!("DRILL {}: you are here, {took} after it began. Nothing runs; thank you.", drill.code)
}

/// To whoever came too late.
pub fn drill_over(drill: &Drill, setting: &Setting, now: Timestamp) -> String {
    match &drill.state {
        DrillState::Answered { by, via, at } => format!(
            "refused: the drill {} is over; {by} answered it ({via}) at {}.",
            drill.code,
            setting.time(*at, now)
        ),
        DrillState::Pending | DrillState::Expired { .. } => {
            format!("refused: too late, the drill {} ended at {}.", drill.code, setting.time(drill.ends_at, now))
        }
    }
}

/// The whole report: what became of it, and where it arrived when.
pub fn drill_report(drill: &Drill, copies: &[DrillCopy], setting: &Setting, now: Timestamp) -> String {
    let mut lines = vec![format!("DRILL {} for the mission '{}'. {}", drill.code, drill.mission, outcome(drill))];
    if drill.is_pending() {
        lines.push(format!("It waits until {}.", setting.time(drill.ends_at, now)));
    }
    for copy in copies {
        let place = match copy.target.as_str() {
            "" => copy.channel.clone(),
            target => format!("{} {}", copy.channel, harmless(target, SHORT_MAX)),
        };
        lines.push(match (copy.arrived_at, copy.given_up) {
            (Some(at), _) => format!("  {place}: arrived after {}", human(at.since(drill.started_at))),
            (None, true) => format!("  {place}: DID NOT ARRIVE, and will not; `status` and the log tell why"),
            (None, false) => format!("  {place}: has NOT ARRIVED yet; `status` tells what is wrong there"),
        });
    }
    if copies.is_empty() {
        lines.push("  It was sent nowhere: no channel is on.".to_owned());
    }
    lines.join("\n")
}

/// One line of the journal about a drill; none if `body` is none of ours.
pub(super) fn drill_line(body: &Value) -> Option<String> {
    let what = body.get("drill")?.as_str()?;
    let field = |name: &str| harmless(body.get(name).and_then(Value::as_str).unwrap_or("?"), REASON_MAX);
    Some(match what {
        "started" => {
            format!("drill {} for the mission '{}' started by {}", field("code"), field("mission"), field("by"))
        }
        "answered" => {
            let took = body.get("took_ms").and_then(Value::as_u64).map(std::time::Duration::from_millis);
            let took = took.map_or_else(|| "?".to_owned(), human);
            format!("drill {} answered by {} ({}) after {took}", field("code"), field("by"), field("via"))
        }
        "expired" => format!("drill {} for the mission '{}': NOBODY answered in time", field("code"), field("mission")),
        _ => return None,
    })
}

/// Why a drill was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoDrill<'a> {
    /// One for the same mission waits already.
    UnderWay(&'a Drill),
    /// No agent serves that mission; these there are.
    NoSuchMission {
        /// What was given; none where none was.
        given: Option<&'a MissionName>,
        /// Those of the agents.
        known: &'a [MissionName],
    },
    /// No channel is on.
    NoChannel,
}

/// To whoever wanted one.
pub fn no_drill(why: &NoDrill<'_>, setting: &Setting, now: Timestamp) -> String {
    match why {
        NoDrill::UnderWay(drill) => format!(
            "refused: the drill {} for the mission '{}' waits until {}; one at a time is enough.",
            drill.code,
            drill.mission,
            setting.time(drill.ends_at, now)
        ),
        NoDrill::NoSuchMission { given: Some(given), known } => {
            format!("refused: no agent serves the mission '{given}'. Missions: {}.", list(*known, "none"))
        }
        NoDrill::NoSuchMission { given: None, known } => {
            format!("refused: you approve none of the missions here. Missions: {}.", list(*known, "none"))
        }
        NoDrill::NoChannel => "refused: no channel is on, so nobody would be asked.".to_owned(),
    }
}

/// To somebody who answers a drill that there is not.
pub fn no_such_drill(target: &Target) -> String {
    format!("refused: there is no drill {target}. A request is answered with approve, deny, substitute or snooze.")
}

/// To somebody who votes on a drill.
pub fn only_a_drill(drill: &Drill) -> String {
    format!("refused: {} is only a drill, there is nothing to decide. Say: here {}", drill.code, drill.code)
}
