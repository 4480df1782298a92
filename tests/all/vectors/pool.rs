//! One function of `pool.json` after the other, on the real core.

use std::collections::BTreeMap;

use lazarus_gate::config::{json_to_value, yaml_to_value};
use lazarus_gate::pool::{
    Action, AgentName, ApprovalRequest, DEFAULT_ISSUE, Dead, LocalHosts, MissionName, Planned, Planner, Policy, Reason,
    RestartCommand, SnapshotHealth, Step, SummaryLine, UnitTemplate, choose_substitute, detect, next_step, summary,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::adapt::{self, checked, object, refusal, text};
use super::{Answer, Case, Refusal, command};

pub fn run(case: &Case) -> Answer {
    let input = &case.input;
    match case.function.as_str() {
        "is_local_host" => is_local_host(input),
        "build_restart_command" => Ok(json!(UnitTemplate::default().restart(&adapt::agent(input)?).to_string())),
        "collect_health_snapshot" => collect_health_snapshot(input),
        "update_state" => update_state(input),
        "detect_downed_agents" => detect_downed_agents(input),
        "resolve_policy" => resolve_policy(input),
        "choose_substitute" => choose(input),
        "build_approval_request" => build_approval_request(input),
        "plan_resurrections" => plan_resurrections(input),
        "execute_plan" => execute_plan(input),
        "render_summary" => render_summary(input),
        "load_policy" => load_policy(input),
        "load_registry" => load_registry(input),
        "ticks" => ticks(input),
        "main" => command::main(input),
        other => panic!("{}: no such function: {other}", case.id),
    }
}

fn is_local_host(input: &Value) -> Answer {
    let host = match &input["host"] {
        Value::Null => None,
        other => Some(text(other)?),
    };
    Ok(json!(LocalHosts::default().contains(host)))
}

fn collect_health_snapshot(input: &Value) -> Answer {
    let registry = adapt::registry(input)?;
    let mut by_agent = Map::new();
    for entry in adapt::snapshot(&registry, input) {
        by_agent.insert(entry.agent.to_string(), serde_json::to_value(&entry)?);
    }
    Ok(Value::Object(by_agent))
}

fn update_state(input: &Value) -> Answer {
    let healths = adapt::healths(&input["snapshot"])?;
    let sweep = healths.iter().map(|(agent, health)| (agent.as_str(), health));
    Ok(serde_json::to_value(adapt::state(input)?.updated(sweep, adapt::now(input)?))?)
}

fn detect_downed_agents(input: &Value) -> Answer {
    let (state, policy, now) = (adapt::state(input)?, adapt::policy(input)?, adapt::now(input)?);
    let mut downed = Map::new();
    for (agent, health) in adapt::healths(&input["snapshot"])? {
        let last = state.last_healthy_at(agent.as_str());
        let detection = detect(health.healthy, last, policy.dead_timeout_seconds_of(&agent), now);
        let mut entry = object(&input["snapshot"][agent.as_str()])?.clone();
        entry.extend(object(&serde_json::to_value(detection)?)?.clone());
        downed.insert(agent.to_string(), Value::Object(entry));
    }
    Ok(Value::Object(downed))
}

fn resolve_policy(input: &Value) -> Answer {
    let (policy, spec) = (adapt::policy(input)?, adapt::spec(input)?);
    Ok(Value::Object(policy.resolve(&adapt::agent(input)?, Some(&spec)).merged()))
}

fn choose(input: &Value) -> Answer {
    let (policy, spec) = (adapt::policy(input)?, adapt::spec(input)?);
    let healths = adapt::healths(&input["health_snapshot"])?;
    let is_healthy = |agent: &AgentName| healths.get(agent).is_some_and(|health| health.healthy);
    Ok(json!(choose_substitute(&adapt::agent(input)?, Some(&spec), &policy, is_healthy)))
}

fn build_approval_request(input: &Value) -> Answer {
    let (policy, agent) = (adapt::policy(input)?, adapt::agent(input)?);
    let mission = match input["policy_decision"].get("mission") {
        Some(mission) => MissionName::new(text(mission)?)?,
        None => MissionName::from(&agent),
    };
    let reasons = reasons(input["down_info"].get("reasons"))?;
    let substitute = match &input["substitute"] {
        Value::Null => None,
        name => Some(AgentName::new(text(name)?)?),
    };
    let now = adapt::now(input)? as i64;
    let about = (&agent, &mission);
    let channels = &policy.approval_channels;
    let request = ApprovalRequest::new(about, &reasons, substitute.as_ref(), channels, DEFAULT_ISSUE, now);
    Ok(serde_json::to_value(request)?)
}

fn reasons(value: Option<&Value>) -> Result<Vec<Reason>, Refusal> {
    Ok(value.map(|value| serde_json::from_value(value.clone())).transpose()?.unwrap_or_default())
}

#[derive(Deserialize)]
struct Down {
    #[serde(default)]
    dead: bool,
    #[serde(default)]
    reasons: Vec<Reason>,
    timeout_seconds: Option<i64>,
}

fn plan_resurrections(input: &Value) -> Answer {
    let (registry, policy) = (adapt::registry(input)?, adapt::policy(input)?);
    let healths = adapt::healths(&input["health_snapshot"])?;
    let mut downs: BTreeMap<AgentName, Down> = BTreeMap::new();
    for (agent, down) in object(&input["downed_agents"])? {
        downs.insert(AgentName::new(agent.as_str())?, serde_json::from_value(down.clone())?);
    }
    let dead = downs.iter().rev().filter(|(_, down)| down.dead).map(|(agent, down)| Dead {
        agent,
        spec: registry.fleet.get(agent),
        reasons: &down.reasons,
        timeout_seconds: down.timeout_seconds,
    });
    let local_hosts = LocalHosts::default();
    let planner = Planner { policy: &policy, local_hosts: &local_hosts };
    let is_healthy = |agent: &AgentName| healths.get(agent).is_some_and(|health| health.healthy);
    Ok(plan_json(&planner.plan(dead.collect(), is_healthy), &policy, adapt::now(input)?))
}

fn plan_json(plan: &[Planned<'_>], policy: &Policy, now: f64) -> Value {
    let units = UnitTemplate::default();
    let entries = plan.iter().map(|entry| entry.to_json(&units, &policy.approval_channels, DEFAULT_ISSUE, now as i64));
    entries.map(Value::Object).collect()
}

fn action(entry: &Value) -> Result<Action, Refusal> {
    Ok(serde_json::from_value(entry["action"].clone())?)
}

fn execute_plan(input: &Value) -> Answer {
    let dry_run = input["dry_run"] == true;
    let (mut plan, mut commands_run) = (Vec::new(), Vec::new());
    for entry in input["plan"].as_array().ok_or_else(|| refusal("WrongType", "the plan is no list"))? {
        let restart = match entry.get("restart_command").filter(|command| !command.is_null()) {
            None => None,
            Some(command) => Some(restart_command(entry, text(command)?)?),
        };
        let execution = match next_step(action(entry)?, restart, dry_run) {
            Step::Report(execution) => execution,
            Step::Run(command) => {
                commands_run.push(command.to_string());
                adapt::command(input, &command.to_string())
            }
        };
        let mut entry = object(entry)?.clone();
        entry.extend(object(&serde_json::to_value(execution)?)?.clone());
        plan.push(Value::Object(entry));
    }
    Ok(json!({"plan": plan, "commands_run": commands_run}))
}

/// A command is made from the agent's name, never taken from a text.
fn restart_command(entry: &Value, recorded: &str) -> Result<RestartCommand, Refusal> {
    let command = UnitTemplate::default().restart(&AgentName::new(text(&entry["agent"])?)?);
    match command.to_string() == recorded {
        true => Ok(command),
        false => Err(refusal("ForeignCommand", format!("{recorded:?} is not the agent's own restart"))),
    }
}

fn render_summary(input: &Value) -> Answer {
    let healths = adapt::healths(&input["snapshot"])?;
    let mut lines = Vec::new();
    for entry in input["plan"].as_array().ok_or_else(|| refusal("WrongType", "the plan is no list"))? {
        let due = entry.get("reasons").ok_or_else(|| refusal("WrongType", "reasons are missing"))?;
        let names = (text(&entry["agent"])?, text(&entry["mission"])?);
        lines.push((names, action(entry)?, reasons(Some(due))?));
    }
    let lines = lines.iter().map(|((agent, mission), action, reasons)| SummaryLine {
        agent,
        action: *action,
        mission,
        reasons,
    });
    let healthy = healths.values().filter(|health| health.healthy).count();
    Ok(json!(summary(healthy, healths.len() - healthy, lines)))
}

fn load_policy(input: &Value) -> Answer {
    let policy = match &input["text"] {
        Value::Null => Policy::default(),
        written => checked(Policy::from_value(json_to_value(text(written)?)?))?,
    };
    Ok(serde_json::to_value(policy)?)
}

/// The document is what is compared; that it is a sound registry, too, is checked beside it.
fn load_registry(input: &Value) -> Answer {
    let written = &input["text"];
    if written.is_null() {
        return Err(refusal("Missing", "no such file"));
    }
    let document = yaml_to_value(text(written)?)?;
    checked(lazarus_gate::pool::Registry::from_value(document.clone()))?;
    match document {
        Value::Object(_) => Ok(document),
        _ => Ok(json!({})),
    }
}

fn ticks(input: &Value) -> Answer {
    let (registry, policy) = (adapt::registry(input)?, adapt::policy(input)?);
    let mut state = adapt::state(input)?;
    let mut rows = Vec::new();
    for tick in input["ticks"].as_array().ok_or_else(|| refusal("WrongType", "ticks are no list"))? {
        let now = adapt::now(tick)?;
        let snapshot = adapt::snapshot(&registry, tick);
        state = state.updated(snapshot.iter().map(|entry| (entry.agent.as_str(), &entry.health)), now);
        let through_json = serde_json::to_value(&state)?;
        state = adapt::state(&json!({ "state": through_json }))?;

        let health: BTreeMap<&AgentName, &SnapshotHealth> =
            snapshot.iter().map(|entry| (entry.agent, &entry.health)).collect();
        let (mut dead, mut dead_names, mut unhealthy_for) = (Vec::new(), Vec::new(), Map::new());
        for (agent, health) in &health {
            let timeout = policy.dead_timeout_seconds_of(agent);
            let detection = detect(health.healthy, state.last_healthy_at(agent.as_str()), timeout, now);
            unhealthy_for.insert(agent.to_string(), json!(detection.unhealthy_for_seconds));
            if detection.dead {
                dead_names.push(agent.to_string());
                dead.push(Dead {
                    agent,
                    spec: registry.fleet.get(*agent),
                    reasons: &health.reasons,
                    timeout_seconds: Some(timeout),
                });
            }
        }
        let local_hosts = LocalHosts::default();
        let planner = Planner { policy: &policy, local_hosts: &local_hosts };
        let plan = planner.plan(dead, |agent| health.get(agent).is_some_and(|health| health.healthy));
        let healthy: Vec<_> = health.iter().filter(|(_, health)| health.healthy).map(|(agent, _)| agent).collect();
        rows.push(json!({
            "healthy": healthy,
            "dead": dead_names,
            "state": state,
            "unhealthy_for_seconds": unhealthy_for,
            "plan": plan_json(&plan, &policy, now),
            "summary": summary(healthy.len(), health.len() - healthy.len(), plan.iter().map(SummaryLine::from)),
        }));
    }
    Ok(Value::Array(rows))
}
