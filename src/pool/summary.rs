use std::fmt::Write as _;

use super::approval_packet::push_reasons;
use super::plan::{Action, Planned};
use super::reason::Reason;

/// One line of the summary's plan.
#[derive(Clone, Copy, Debug)]
pub struct SummaryLine<'a> {
    /// Who is dead.
    pub agent: &'a str,
    /// What is to be done.
    pub action: Action,
    /// The mission at stake.
    pub mission: &'a str,
    /// What is wrong.
    pub reasons: &'a [Reason],
}

impl<'a> From<&'a Planned<'_>> for SummaryLine<'a> {
    fn from(planned: &'a Planned<'_>) -> Self {
        Self {
            agent: planned.agent.as_str(),
            action: planned.action,
            mission: planned.policy.mission.as_str(),
            reasons: planned.reasons,
        }
    }
}

/// How many are well and what is planned for the others, as text without a newline at the end.
pub fn summary<'a>(healthy: usize, unhealthy: usize, plan: impl IntoIterator<Item = SummaryLine<'a>>) -> String {
    let mut text = format!("Healthy agents: {healthy}\nUnhealthy agents: {unhealthy}\nResurrection plan:");
    let mut lines = plan.into_iter().peekable();
    if lines.peek().is_none() {
        text.push_str(" no dead agents exceed timeout.");
    }
    for SummaryLine { agent, action, mission, reasons } in lines {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n- {agent}: {action} (mission={mission}, reasons=");
        push_reasons(&mut text, reasons, "none");
        text.push(')');
    }
    text
}
