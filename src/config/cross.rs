//! What is wrong between the files: names that lead nowhere, missions that nobody can sign off,
//! agents that no command reaches.
//!
//! The gateway's own file is written for this gateway, so a name that leads nowhere there is an
//! error. The other files are shared with older programs and must load unchanged: warnings.

use std::collections::{BTreeMap, BTreeSet};

use super::Lookup;
use super::gate::Gate;
use super::report::{Notes, Step, Trail};
use super::words::suggest;
use crate::approval::Approves;
use crate::pool::{AgentName, AgentSpec, MissionName, Mode, Policy, Registry};

/// The three files that are checked against each other, and where their problems go.
pub(super) struct Cross<'a> {
    pub gate: &'a Gate,
    pub registry: &'a Registry,
    pub policy: &'a Policy,
    pub in_gate: &'a Notes,
    pub in_registry: &'a Notes,
    pub in_policy: &'a Notes,
}

/// One agent with what holds for it.
struct Case<'a> {
    name: &'a AgentName,
    spec: &'a AgentSpec,
    mode: Mode,
    mission: MissionName,
    local: bool,
}

/// How many names a message lists before it says how many more there are.
const LISTED: usize = 5;

impl Cross<'_> {
    /// Notes everything that is wrong between the files.
    pub fn check(&self, machine: &dyn Lookup) {
        let cases: Vec<Case<'_>> = self.registry.fleet.iter().map(|(name, spec)| self.case(name, spec)).collect();
        if cases.is_empty() {
            self.in_registry.warning(&trail(&["fleet"]), "`fleet`: there is no agent in it, so nobody is watched");
        }
        self.check_people(&cases);
        self.check_channels(&cases);
        self.check_names();
        self.check_templates(&cases);
        self.check_signals(&cases, machine.has_service_manager());
    }

    fn case<'a>(&'a self, name: &'a AgentName, spec: &'a AgentSpec) -> Case<'a> {
        let resolved = self.policy.resolve(name, Some(spec));
        let local = self.gate.local_hosts.contains(spec.host.as_deref());
        Case { name, spec, mode: resolved.mode, mission: resolved.mission.into_owned(), local }
    }

    /// Every mission that may come to a vote has somebody who may vote, and can.
    fn check_people(&self, cases: &[Case<'_>]) {
        // Who could not be read is no reason to say that nobody is there.
        if self.in_gate.has_error_at(&[]) || self.in_gate.has_error_under(&trail(&["people"])) {
            return;
        }
        let mut missions: BTreeMap<&MissionName, (Mode, &AgentName)> = BTreeMap::new();
        for case in cases.iter().filter(|case| case.mode != Mode::No) {
            let entry = missions.entry(&case.mission).or_insert((case.mode, case.name));
            // `ask` is the stricter case of a mission with both.
            if case.mode == Mode::Ask && entry.0 != Mode::Ask {
                *entry = (case.mode, case.name);
            }
        }
        let people = &self.gate.people;
        let at = trail(&["people"]);
        for (mission, (mode, agent)) in &missions {
            let approvers: Vec<_> = people.iter().filter(|person| person.approves.covers(mission)).collect();
            let channels = &self.gate.channels;
            let can_speak = approvers.iter().any(|person| {
                person.uid.is_some()
                    || (channels.telegram.enabled && person.telegram.is_some())
                    || (channels.nostr.enabled && !person.nostr.is_empty())
            });
            match (mode, approvers.is_empty()) {
                (Mode::Ask, true) => self.in_gate.error(
                    &at,
                    format!(
                        "`people`: the mission {mission:?} (agent {agent}) is under `ask`, but nobody approves it; \
                         add it to somebody's `approves`"
                    ),
                ),
                (_, true) => self.in_gate.warning(
                    &at,
                    format!(
                        "`people`: nobody approves the mission {mission:?} (agent {agent}); it is under `yes`, which \
                         becomes `ask` after failed attempts: add it to somebody's `approves`"
                    ),
                ),
                (_, false) if !can_speak => {
                    let names: Vec<_> = approvers.iter().map(|person| person.id.as_str()).collect();
                    self.in_gate.warning(
                        &at,
                        format!(
                            "`people`: {} may approve the mission {mission:?}, but can answer on no channel that is \
                             on; add a `local_user` that exists",
                            list(&names)
                        ),
                    );
                }
                (_, false) => {}
            }
        }
        let known: BTreeSet<&str> = cases
            .iter()
            .map(|case| case.mission.as_str())
            .chain(self.policy.missions.keys().map(MissionName::as_str))
            .collect();
        for person in people {
            let Approves::Missions(approved) = &person.approves else { continue };
            for mission in approved.iter().map(MissionName::as_str).filter(|mission| !known.contains(mission)) {
                let hint = suggest(mission, known.iter().copied());
                let message = format!("`people.{}.approves`: there is no mission {mission:?}{hint}", person.id);
                self.in_gate.error(&trail(&["people", person.id.as_str(), "approves"]), message);
            }
        }
    }

    fn check_channels(&self, cases: &[Case<'_>]) {
        let channels = &self.gate.channels;
        let on = channels.enabled();
        if on.is_empty() {
            let right = "turn `channels.terminal` on";
            match cases.iter().find(|case| case.mode == Mode::Ask) {
                Some(case) => self.in_gate.error(
                    &trail(&["channels"]),
                    format!(
                        "`channels`: no channel is on, but {} is under `ask`, so nobody could be asked; {right}",
                        case.name
                    ),
                ),
                None => self.in_gate.warning(
                    &trail(&["channels"]),
                    format!("`channels`: no channel is on, so nobody is told anything; {right}"),
                ),
            }
        }
        for target in self.policy.channel_targets().filter(|target| target.enabled) {
            let name = target.name;
            let at = trail(&["approval_channels", name]);
            let enabled = match channels.is_enabled(name) {
                Some(enabled) => enabled,
                None => {
                    let hint = suggest(name, ["terminal", "telegram", "nostr"]);
                    self.in_policy.warning(&at, format!("`approval_channels`: there is no channel {name:?}{hint}"));
                    continue;
                }
            };
            if !enabled && !on.is_empty() {
                let message = format!(
                    "`approval_channels.{name}`: the channel is off in the gateway's file; people are asked on {} only",
                    list(&on)
                );
                self.in_policy.warning(&at, message);
            }
            self.check_target(name, target.target, enabled);
        }
    }

    /// The terminal has no targets; the others need one that the gateway's file defines.
    fn check_target(&self, channel: &str, target: Option<&str>, enabled: bool) {
        let known = self.gate.channels.targets(channel);
        let (defined_in, thing) = match channel {
            "telegram" => ("channels.telegram.chats", "chat"),
            "nostr" => ("channels.nostr.audiences", "audience"),
            _ => return,
        };
        let message = match target {
            Some(target) if known.contains(&target) => return,
            Some(target) => {
                let hint = suggest(target, known.iter().copied());
                format!(
                    "`approval_channels.{channel}.target`: no {thing} {target:?} under `{defined_in}` of the gateway's file{hint}"
                )
            }
            None => format!("`approval_channels.{channel}`: `target` is missing; name a {thing} of `{defined_in}`"),
        };
        let at = trail(&["approval_channels", channel, "target"]);
        if enabled { self.in_policy.error(&at, message) } else { self.in_policy.warning(&at, message) }
    }

    /// Names of agents in the gateway's file.
    fn check_names(&self) {
        let fleet = || self.registry.fleet.keys().map(AgentName::as_str);
        for agent in self.gate.units.keys().filter(|agent| !self.registry.fleet.contains_key(*agent)) {
            let hint = suggest(agent.as_str(), fleet().collect::<Vec<_>>());
            let message = format!("`units.{agent}`: no agent of the registry has this name{hint}");
            self.in_gate.error(&trail(&["units", agent.as_str()]), message);
        }
        for agent in self.gate.delivery.by_agent.keys().filter(|agent| !self.registry.fleet.contains_key(*agent)) {
            let hint = suggest(agent.as_str(), fleet().collect::<Vec<_>>());
            let message = format!("`delivery.{agent}`: no agent of the registry has this name{hint}");
            self.in_gate.error(&trail(&["delivery", agent.as_str()]), message);
        }
        let beats = self.gate.agents.iter().flat_map(|agents| agents.heartbeats.keys());
        for agent in beats.filter(|agent| !self.registry.fleet.contains_key(*agent)) {
            let hint = suggest(agent.as_str(), fleet().collect::<Vec<_>>());
            let message = format!("`agents.heartbeats.{agent}`: no agent of the registry has this name{hint}");
            self.in_gate.error(&trail(&["agents", "heartbeats", agent.as_str()]), message);
        }
        // A person would write as the agent, and whoever has the agent's token as the person.
        for person in &self.gate.people {
            for (mission, given) in &person.participant {
                if self.registry.fleet.contains_key(given.name.as_str()) {
                    let (id, name) = (&person.id, &given.name);
                    let message = format!(
                        "`people.{id}.participant.{mission}.name`: an agent of the registry is called {name:?}; write another"
                    );
                    let at = ["people", id.as_str(), "participant", mission.as_str(), "name"];
                    self.in_gate.error(&trail(&at), message);
                }
            }
        }
        for (at, template) in self.gate.restart.iter().enumerate() {
            let super::gate::NameFilter::Names(names) = &template.agents else { continue };
            for name in names.iter().filter(|name| !self.registry.fleet.contains_key(name.as_str())) {
                let hint = suggest(name, fleet().collect::<Vec<_>>());
                let message = format!("`restart[{at}].agents`: no agent of the registry is called {name:?}{hint}");
                self.in_gate.error(&template_trail(at, "agents"), message);
            }
        }
    }

    /// A local command must never stand in for a remote host (invariant 14).
    fn check_templates(&self, cases: &[Case<'_>]) {
        let mut used = vec![false; self.gate.restart.len()];
        let mut short: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        let mut hostless: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for case in cases {
            let Some((at, template)) = self.template_of(case) else { continue };
            used[at] = true;
            let host = case.spec.host_name().unwrap_or_default();
            if host.is_empty() && template.uses_host() {
                hostless.entry(at).or_default().push(case.name.as_str());
            }
            if !case.local && !template.reaches(host) {
                short.entry(at).or_default().push(case.name.as_str());
            }
        }
        for (at, agents) in short {
            let message = format!(
                "`restart[{at}]` would run on this machine for remote agents ({}): put {{host}} into `run`, or name \
                 their host in `hosts`",
                list(&agents)
            );
            self.in_gate.error(&template_trail(at, "run"), message);
        }
        for (at, agents) in hostless {
            let message = format!(
                "`restart[{at}]` has {{host}} in `run`, but applies to agents without a host ({}); give them one in \
                 the registry, or name others in `agents`",
                list(&agents)
            );
            self.in_gate.error(&template_trail(at, "run"), message);
        }
        for at in used.iter().enumerate().filter(|(_, used)| !**used).map(|(at, _)| at) {
            let message =
                format!("`restart[{at}]` applies to no agent of the registry; an earlier template may hide it");
            self.in_gate.warning(&[Step::Key("restart".to_owned()), Step::Index(at)], message);
        }
    }

    /// The first template that applies.
    fn template_of(&self, case: &Case<'_>) -> Option<(usize, &super::gate::RestartTemplate)> {
        let host = case.spec.host.as_deref();
        self.gate.restart.iter().enumerate().find(|(_, template)| template.covers(case.name.as_str(), host))
    }

    /// Who can be seen at all, and by what.
    fn check_signals(&self, cases: &[Case<'_>], has_service_manager: bool) {
        let mut on_systemd = Vec::new();
        for case in cases {
            let at = |key: &[&str]| {
                let mut steps = vec!["fleet", case.name.as_str()];
                steps.extend(key);
                trail(&steps)
            };
            let uses_unit = case.local && (self.template_of(case).is_none() || self.gate.units.contains_key(case.name));
            if uses_unit {
                on_systemd.push(case.name.as_str());
            }
            if let Some(url) = case.spec.gateway()
                && !is_web_address(url)
            {
                let message = format!(
                    "`fleet.{}.health_endpoints.gateway` is no web address, so the agent will always count as \
                     unreachable; write http://… or https://…",
                    case.name
                );
                self.in_registry.warning(&at(&["health_endpoints", "gateway"]), message);
            }
            let rated = case.spec.provider.as_deref().is_some_and(|provider| {
                self.registry.providers.get(provider).is_some_and(|provider| provider.status.is_some())
            });
            if case.spec.gateway().is_none() && !rated && !(uses_unit && has_service_manager) {
                let message = format!(
                    "`fleet.{}` has no signal (no gateway, no unit that can be looked up here, no rated provider), so \
                     its death cannot be seen; add `health_endpoints.gateway`",
                    case.name
                );
                self.in_registry.warning(&at(&[]), message);
            }
        }
        if !has_service_manager && !on_systemd.is_empty() {
            let message = format!(
                "`fleet`: there is no service manager here (/run/systemd/system is absent), so {} cannot be looked up \
                 or restarted by systemctl; add a `restart` template to the gateway's file",
                list(&on_systemd)
            );
            self.in_registry.warning(&trail(&["fleet"]), message);
        }
    }
}

/// Without a full parse for each of ten thousand agents: the scheme and something after it.
fn is_web_address(url: &str) -> bool {
    let lower = url.get(..8).unwrap_or(url).to_ascii_lowercase();
    let rest = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://")).map(str::len);
    let Some(rest) = rest else { return false };
    let begin = lower.len() - rest;
    url.get(begin..).is_some_and(|rest| rest.chars().next().is_some_and(|c| c.is_alphanumeric() || "[_".contains(c)))
        && !url.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn trail(keys: &[&str]) -> Trail {
    keys.iter().map(|key| Step::Key((*key).to_owned())).collect()
}

fn template_trail(at: usize, key: &str) -> Trail {
    vec![Step::Key("restart".to_owned()), Step::Index(at), Step::Key(key.to_owned())]
}

/// `a, b, c and 4 more`.
fn list(names: &[&str]) -> String {
    let shown = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(LISTED) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        Some(0) | None => shown,
    }
}
