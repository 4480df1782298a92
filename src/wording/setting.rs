use std::time::Duration;

use jiff::tz::TimeZone;

use super::plain::{REASON_MAX, SHORT_MAX, harmless};
use super::time::clock_time;
use crate::pool::Timestamp;

/// What every text needs to know besides its subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The zone in which people read times.
    pub zone: TimeZone,
    /// The issue number in the requests' message.
    pub issue: u64,
    /// Nothing is ever executed in this run (`--observe`).
    pub observing: bool,
    /// Nothing may be executed until somebody releases it.
    pub hold: Option<HoldInfo>,
}

/// A hold in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldInfo {
    /// Who holds: a person, or whoever used the command line without a daemon.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Why, as told.
    pub reason: Option<String>,
}

impl Setting {
    /// A time as people read it.
    pub fn time(&self, at: Timestamp, now: Timestamp) -> String {
        clock_time(at, now, &self.zone)
    }

    /// Why nothing at all runs at present, as a sentence; none if things may run.
    pub fn keeper(&self, now: Timestamp) -> Option<String> {
        if self.observing {
            return Some("OBSERVING ONLY: this gateway runs nothing; an approval is recorded, not run.".into());
        }
        let hold = self.hold.as_ref()?;
        Some(format!(
            "ON HOLD: nothing runs until somebody says `release`; an approval is recorded, not run. Held {}.",
            hold.says(self, now)
        ))
    }
}

impl HoldInfo {
    /// `by kim since 06:00:00 CEST: moving racks`.
    pub fn says(&self, setting: &Setting, now: Timestamp) -> String {
        let reason = match &self.reason {
            Some(reason) => format!(": {}", harmless(reason, REASON_MAX)),
            None => String::new(),
        };
        format!("by {} since {}{reason}", harmless(&self.by, SHORT_MAX), setting.time(self.since, now))
    }
}

/// The message of an approval request in the reference's form. The parts may be anything: they are
/// made harmless here.
///
/// `[#882] Approval required to revive ezra for mission 'archive'. Reasons: a, b. Suggested substitute: timmy.`
pub fn request_message(
    issue: u64,
    agent: &str,
    mission: &str,
    reasons: &[impl AsRef<str>],
    substitute: Option<&str>,
) -> String {
    let [first, second] = request_sentences(issue, agent, mission, reasons, substitute);
    format!("{first} {second}")
}

/// The same in two lines: what died and what is wanted; why, and who could take over.
pub(super) fn request_sentences(
    issue: u64,
    agent: &str,
    mission: &str,
    reasons: &[impl AsRef<str>],
    substitute: Option<&str>,
) -> [String; 2] {
    let reasons: Vec<String> = reasons.iter().map(|reason| harmless(reason.as_ref(), SHORT_MAX)).collect();
    let reasons = if reasons.is_empty() { "no health signal".to_owned() } else { reasons.join(", ") };
    let substitute = match substitute.map(|who| harmless(who, SHORT_MAX)) {
        Some(who) if !who.is_empty() => who,
        _ => "none available".to_owned(),
    };
    [
        format!(
            "[#{issue}] Approval required to revive {} for mission '{}'.",
            harmless(agent, SHORT_MAX),
            harmless(mission, SHORT_MAX)
        ),
        format!("Reasons: {reasons}. Suggested substitute: {substitute}."),
    ]
}

/// The pause that a card offers for quiet.
pub(super) const SNOOZE_OFFERED: Duration = Duration::from_secs(3_600);
