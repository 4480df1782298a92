use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::approval_packet::ApprovalRequest;
use super::host::LocalHosts;
use super::name::AgentName;
use super::policy::{Mode, Policy, Resolved};
use super::reason::Reason;
use super::registry::AgentSpec;
use super::substitute::choose_substitute;
use super::unit::{RestartCommand, UnitTemplate};

/// What is to be done about a dead agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Policy *yes*, on this machine: its unit is restarted.
    AutoRestart,
    /// Policy *yes*, on another machine: a healthy agent takes over.
    Substitute,
    /// Policy *yes*, on another machine, and nobody can take over.
    Unrecoverable,
    /// Policy *ask*.
    ApprovalRequired,
    /// Policy *no*.
    Suppressed,
}

impl Action {
    /// The word that stands for it in plans and summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::AutoRestart => "auto_restart",
            Action::Substitute => "substitute",
            Action::Unrecoverable => "unrecoverable",
            Action::ApprovalRequired => "approval_required",
            Action::Suppressed => "suppressed",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A dead agent, as the planner is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Dead<'a> {
    /// Who.
    pub agent: &'a AgentName,
    /// Its entry in the registry; None for one that is not (any more) in the fleet. Handed in, since
    /// whoever goes through the fleet has it at hand: looking up every agent again would cost more
    /// than the rest of planning.
    pub spec: Option<&'a AgentSpec>,
    /// What is wrong with it.
    pub reasons: &'a [Reason],
    /// The dead timeout that it exceeded, in whole seconds.
    pub timeout_seconds: Option<i64>,
}

/// What a plan rests on, beside who is dead and who is well.
#[derive(Clone, Copy, Debug)]
pub struct Planner<'a> {
    /// What may be done.
    pub policy: &'a Policy,
    /// Which hosts are this machine.
    pub local_hosts: &'a LocalHosts,
}

/// What is to be done about one dead agent, and why that.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned<'a> {
    /// Who is dead.
    pub agent: &'a AgentName,
    /// Mission and mode in force.
    pub policy: Resolved<'a>,
    /// What is wrong with it.
    pub reasons: &'a [Reason],
    /// The dead timeout that it exceeded, in whole seconds.
    pub timeout_seconds: Option<i64>,
    /// What is to be done.
    pub action: Action,
    /// Who could stand in, whatever the action.
    pub substitute: Option<&'a AgentName>,
}

impl<'a> Planner<'a> {
    /// The plan for all the dead, in the order of code points of their names.
    ///
    /// `is_healthy` is asked for every candidate up to the first healthy one: for a large fleet, let a
    /// hash set of the healthy answer it.
    pub fn plan(&self, mut dead: Vec<Dead<'a>>, is_healthy: impl Fn(&AgentName) -> bool) -> Vec<Planned<'a>> {
        dead.sort_by_key(|dead| dead.agent);
        dead.into_iter().map(|dead| self.plan_one(dead, &is_healthy)).collect()
    }

    /// The plan for one of the dead.
    pub fn plan_one(&self, dead: Dead<'a>, is_healthy: impl Fn(&AgentName) -> bool) -> Planned<'a> {
        let Dead { agent, spec, reasons, timeout_seconds } = dead;
        let policy = self.policy.resolve(agent, spec);
        let substitute = choose_substitute(agent, spec, self.policy, is_healthy);
        let is_local = || self.local_hosts.contains(spec.and_then(|spec| spec.host_name()));
        let action = match policy.mode {
            Mode::No => Action::Suppressed,
            Mode::Ask => Action::ApprovalRequired,
            Mode::Yes if is_local() => Action::AutoRestart,
            Mode::Yes if substitute.is_some() => Action::Substitute,
            Mode::Yes => Action::Unrecoverable,
        };
        Planned { agent, policy, reasons, timeout_seconds, action, substitute }
    }
}

impl Planned<'_> {
    /// What the plan runs, if it runs something.
    pub fn restart(&self, units: &UnitTemplate) -> Option<RestartCommand> {
        (self.action == Action::AutoRestart).then(|| units.restart(self.agent))
    }

    /// The request to people, if the policy asks them.
    pub fn approval_request<'s>(
        &'s self,
        channels: &'s Map<String, Value>,
        issue: u64,
        now_seconds: i64,
    ) -> Option<ApprovalRequest<'s>> {
        let about = (self.agent, self.policy.mission.as_ref());
        (self.action == Action::ApprovalRequired)
            .then(|| ApprovalRequest::new(about, self.reasons, self.substitute, channels, issue, now_seconds))
    }

    /// The entry with the reference's nine keys.
    pub fn to_json(
        &self,
        units: &UnitTemplate,
        channels: &Map<String, Value>,
        issue: u64,
        now_seconds: i64,
    ) -> Map<String, Value> {
        let entry = json!({
            "agent": self.agent,
            "mission": self.policy.mission,
            "policy": self.policy.merged(),
            "reasons": self.reasons,
            "timeout_seconds": self.timeout_seconds,
            "action": self.action,
            "substitute": self.substitute,
            "restart_command": self.restart(units).map(|command| command.to_string()),
            "approval_request": self.approval_request(channels, issue, now_seconds),
        });
        match entry {
            Value::Object(entry) => entry,
            // `json!` of braces is an object.
            _ => Map::new(),
        }
    }
}
