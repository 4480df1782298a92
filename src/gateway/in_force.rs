//! What the files in force come to, agent by agent: worked out once at each load, so that no task
//! resolves policies or templates while it decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::approval::{Approves, People, Person, PersonId, Speaker};
use crate::config::Config;
use crate::config::gate;
use crate::incident::Timing;
use crate::pool::{AgentName, AgentSpec, HostName, MissionName, Mode, ProviderSignal};
use crate::probe::Target;
use crate::revival::{Template, Values};

/// A command that is ready to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedCommand {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables that are passed through, besides `PATH`, `HOME` and `LANG`.
    pub env: Vec<String>,
    /// How long it may run.
    pub timeout: Duration,
    /// How much of each output is kept, in bytes.
    pub output_limit: usize,
}

/// One agent under the files in force.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its mission by the policy.
    pub mission: MissionName,
    /// Its host as the registry has it.
    pub host: Option<String>,
    /// Whether that is this machine.
    pub local: bool,
    /// What the policy says.
    pub mode: Mode,
    /// Its `dead_timeout_seconds`.
    pub timeout: Duration,
    /// What of it is probed.
    pub target: Target,
    /// What the provider matrix says.
    pub provider: Option<ProviderSignal>,
    /// How it is restarted; none: it cannot be from here.
    pub restart: Option<PreparedCommand>,
    /// Its configured substitutes, in order, itself left out.
    pub candidates: Vec<AgentName>,
}

/// The files in force.
#[derive(Debug)]
pub struct InForce {
    /// As loaded.
    pub config: Config,
    /// Who counts, by the file; the store may have revoked some.
    pub people: People,
    /// The core's durations.
    pub timing: Timing,
    members: BTreeMap<AgentName, Member>,
}

impl InForce {
    /// Works `config` out. `has_manager` is whether systemd runs here.
    pub fn new(config: Config, has_manager: bool) -> Self {
        let people = people_of(&config.gate.people);
        Self::with_people(config, people, has_manager)
    }

    /// As [`InForce::new`], with people from elsewhere: of a half-broken file that removed some.
    pub fn with_people(config: Config, people: People, has_manager: bool) -> Self {
        let members = config
            .registry
            .fleet
            .iter()
            .map(|(agent, spec)| (agent.clone(), member(&config, agent, spec, has_manager)));
        let members = members.collect();
        let timing = timing_of(&config.gate.timing);
        Self { people, timing, members, config }
    }

    /// The agent of that name.
    pub fn member(&self, agent: &AgentName) -> Option<&Member> {
        self.members.get(agent)
    }

    /// All agents, by name.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&AgentName, &Member)> {
        self.members.iter()
    }

    /// Missions in which people are asked, and nobody of `people` may decide.
    pub fn missions_without_approvers(&self, people: &People) -> Vec<MissionName> {
        let asked: BTreeSet<&MissionName> =
            self.members.values().filter(|member| member.mode != Mode::No).map(|member| &member.mission).collect();
        asked.into_iter().filter(|mission| people.approvers_of(mission).next().is_none()).cloned().collect()
    }

    /// Whether a substitution can be delivered.
    pub fn can_substitute(&self) -> bool {
        self.config.gate.substitute.is_some() || !self.config.gate.delivery.is_empty()
    }

    /// Whether there is a way to tell `substitute` to take over.
    pub fn reaches(&self, substitute: &AgentName) -> bool {
        self.config.gate.substitute.is_some() || self.delivery_of(substitute).is_some()
    }

    /// How `substitute` is told, and asked for its answer; none: it is only told, by the `substitute` command.
    pub fn delivery_of(&self, substitute: &AgentName) -> Option<&gate::Delivery> {
        self.config.gate.delivery.of(substitute)
    }

    /// The command that tells `substitute` to take over, if there is one.
    pub fn substitute_command(
        &self,
        agent: &AgentName,
        mission: &MissionName,
        substitute: &AgentName,
    ) -> Option<PreparedCommand> {
        let command = match self.delivery_of(substitute).map(|delivery| &delivery.way) {
            Some(gate::DeliveryWay::Command(command)) => command,
            Some(gate::DeliveryWay::Post { .. }) => return None,
            None => self.config.gate.substitute.as_ref()?,
        };
        let values = [("agent", agent.as_str()), ("substitute", substitute.as_str()), ("mission", mission.as_str())];
        Some(PreparedCommand {
            argv: command.argv.iter().map(|argument| filled(argument, &values)).collect(),
            env: command.env.clone(),
            timeout: command.timeout,
            output_limit: usize::try_from(command.output_limit).unwrap_or(usize::MAX),
        })
    }
}

fn member(config: &Config, agent: &AgentName, spec: &AgentSpec, has_manager: bool) -> Member {
    let gate = &config.gate;
    let resolved = config.policy.resolve(agent, Some(spec));
    let host = spec.host_name().map(str::to_owned);
    let local = gate.local_hosts.contains(host.as_deref());
    let template = gate.restart.iter().find(|template| {
        template.covers(agent.as_str(), host.as_deref())
            && (local || template.uses_host() || host.as_deref().is_some_and(|host| template.reaches(host)))
    });
    let unit = gate.unit_of(agent);
    // An agent under a template may be no unit at all, so it is asked for only if its unit is set.
    let looked_up = local && has_manager && (template.is_none() || gate.units.contains_key(agent));
    let host_name = host.as_deref().and_then(|host| HostName::new(host).ok());
    let restart = match template {
        Some(template) => {
            let values = Values { agent, host: host_name.as_ref(), unit: Some(&unit) };
            Template::parse(template.argv.clone()).and_then(|parsed| parsed.fill(values)).ok().map(|argv| {
                PreparedCommand {
                    argv,
                    env: template.env.clone(),
                    timeout: template.timeout,
                    output_limit: usize::try_from(template.output_limit).unwrap_or(usize::MAX),
                }
            })
        }
        None if local && has_manager => {
            let command = &gate.systemctl_restart;
            let values = Values { agent, host: host_name.as_ref(), unit: Some(&unit) };
            Template::parse(command.argv.clone()).and_then(|parsed| parsed.fill(values)).ok().map(|argv| {
                PreparedCommand { argv, env: Vec::new(), timeout: command.timeout, output_limit: OUTPUT_LIMIT }
            })
        }
        None => None,
    };
    let seconds = config.policy.dead_timeout_seconds_of(agent);
    Member {
        mission: resolved.mission.clone().into_owned(),
        local,
        mode: resolved.mode,
        timeout: Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
        target: Target {
            agent: agent.clone(),
            gateway_url: spec.gateway().map(str::to_owned),
            unit: looked_up.then_some(unit),
        },
        provider: match config.registry.provider_status(spec).as_str() {
            Some("dead") => Some(ProviderSignal::Dead),
            Some("degraded") => Some(ProviderSignal::Degraded),
            Some(_) | None => None,
        },
        restart,
        candidates: config
            .policy
            .candidates(agent, Some(spec))
            .into_iter()
            .filter(|candidate| *candidate != agent)
            .cloned()
            .collect(),
        host,
    }
}

/// Kept of a `systemctl restart`'s outputs: its errors are a few lines.
const OUTPUT_LIMIT: usize = 64 * 1024;

/// `argument` with its placeholders filled in; doubled braces are braces. The configuration was
/// checked, so whatever else stands in braces cannot occur and is left as it is.
fn filled(argument: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            text.push_str(&rest[..1]);
            rest = &rest[2..];
            continue;
        }
        let value = rest
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'))
            .and_then(|(name, after)| Some((values.iter().find(|(known, _)| *known == name)?.1, after)));
        match value {
            Some((value, after)) => {
                text.push_str(value);
                rest = after;
            }
            None => {
                text.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    text + rest
}

/// The people of a file, in the core's form. Identities were checked to be unique when it was
/// loaded; should two share one all the same, neither counts.
pub fn people_of(people: &[gate::Person]) -> People {
    let mut seen = BTreeMap::<Speaker, u32>::new();
    let listed: Vec<Person> = people.iter().filter_map(person_of).collect();
    for speaker in listed.iter().flat_map(|person| &person.speaks_as) {
        *seen.entry(speaker.clone()).or_default() += 1;
    }
    let unique = listed.into_iter().map(|person| Person {
        speaks_as: person.speaks_as.into_iter().filter(|speaker| seen.get(speaker) == Some(&1)).collect(),
        ..person
    });
    People::new(unique).unwrap_or_default()
}

fn person_of(person: &gate::Person) -> Option<Person> {
    let speaks_as: BTreeSet<Speaker> = person
        .uid
        .map(Speaker::LocalUser)
        .into_iter()
        .chain(person.telegram.map(Speaker::Telegram))
        .chain(person.nostr.iter().cloned().map(Speaker::Nostr))
        .collect();
    Some(Person {
        id: PersonId::new(person.id.clone()).ok()?,
        speaks_as,
        approves: match &person.approves {
            gate::Approves::All => Approves::All,
            gate::Approves::Missions(these) => Approves::Missions(these.clone()),
        },
    })
}

fn timing_of(timing: &gate::Timing) -> Timing {
    Timing {
        healthy_for: timing.healthy_for,
        approval_ttl: timing.approval_ttl,
        reask_after: timing.reask_after,
        reask_max: timing.reask_max,
        snooze_max: timing.snooze_max,
        verify_gap: timing.verify_gap,
        verify_for: timing.verify_for,
        ready_max_age: timing.ready_max_age,
        back_off: timing.back_off.clone(),
        attempts_max: Timing::default().attempts_max,
    }
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn placeholders_are_filled_in_and_braces_stay_braces() {
        let values = [("agent", "ezra"), ("substitute", "timmy")];
        for (argument, expected) in [
            ("{agent}", "ezra"),
            ("--take={substitute}:{agent}", "--take=timmy:ezra"),
            ("{{agent}}", "{agent}"),
            ("plain", "plain"),
            ("}}{agent}{{", "}ezra{"),
            ("{other}", "{other}"),
        ] {
            assert_eq!(filled(argument, &values), expected, "{argument}");
        }
    }
}
