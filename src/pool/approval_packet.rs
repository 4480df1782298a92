use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use super::name::{AgentName, MissionName};
use super::reason::Reason;

/// The issue that approval requests refer to unless the settings name another one.
pub const DEFAULT_ISSUE: u64 = 882;

/// The request to approve the revival of one agent, in the reference's shape.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApprovalRequest<'a> {
    /// See [`approval_key`].
    pub approval_key: String,
    /// Who is dead.
    pub agent: &'a AgentName,
    /// The mission at stake.
    pub mission: &'a MissionName,
    /// Who could stand in.
    pub substitute: Option<&'a AgentName>,
    /// The request in one line.
    pub message: String,
    /// The policy's `approval_channels` whole, the disabled ones too.
    pub channels: &'a Map<String, Value>,
}

/// `agent:mission:unix-seconds`; neither name can hold a colon.
pub fn approval_key(agent: &AgentName, mission: &MissionName, now_seconds: i64) -> String {
    format!("{agent}:{mission}:{now_seconds}")
}

/// The request in one line, under the issue's number.
pub fn approval_message(
    issue: u64,
    agent: &AgentName,
    mission: &MissionName,
    reasons: &[Reason],
    substitute: Option<&AgentName>,
) -> String {
    let mut message = format!("[#{issue}] Approval required to revive {agent} for mission '{mission}'. Reasons: ");
    push_reasons(&mut message, reasons, "no health signal");
    let substitute = substitute.map_or("none available", AgentName::as_str);
    // Writing to a String cannot fail.
    let _ = write!(message, ". Suggested substitute: {substitute}.");
    message
}

/// The reasons, joined by commas, or `none`.
pub(super) fn push_reasons(text: &mut String, reasons: &[Reason], none: &str) {
    for (index, reason) in reasons.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        text.push_str(reason.as_str());
    }
    if reasons.is_empty() {
        text.push_str(none);
    }
}

impl<'a> ApprovalRequest<'a> {
    /// The request for one dead agent, made at `now_seconds` since the epoch.
    pub fn new(
        (agent, mission): (&'a AgentName, &'a MissionName),
        reasons: &[Reason],
        substitute: Option<&'a AgentName>,
        channels: &'a Map<String, Value>,
        issue: u64,
        now_seconds: i64,
    ) -> Self {
        Self {
            approval_key: approval_key(agent, mission, now_seconds),
            agent,
            mission,
            substitute,
            message: approval_message(issue, agent, mission, reasons, substitute),
            channels,
        }
    }
}
