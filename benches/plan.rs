//! How long planning and loading take, each beside its floor measured in the same run.
//!
//! `cargo bench --bench plan`. Figures are medians; the floors tell what the machine can do at all.
#![forbid(unsafe_code)]

#[allow(dead_code)]
mod report;

use std::collections::{BTreeMap, HashSet};
use std::hint::black_box;
use std::time::{Duration, Instant};

use lazarus_gate::config::yaml_to_value;
use lazarus_gate::pool::{
    Action, AgentName, AgentSpec, Dead, LocalHosts, Planner, Policy, Reason, Registry, SnapshotHealth, dangling_names,
    detect,
};
use serde_json::json;

/// Runs of each measurement.
const RUNS: usize = 9;
/// To reach: this many agents planned in under [`PLAN_LIMIT`].
const PLANNED: usize = 100_000;
const PLAN_LIMIT: Duration = Duration::from_millis(100);
/// To reach: a registry of this many agents loaded and checked within [`LOAD_LIMIT`] times the bare parse.
const LOADED: usize = 10_000;
const LOAD_LIMIT: f64 = 1.5;

fn main() {
    plan();
    load();
    report::load();
}

fn plan() {
    let registry = registry(&registry_text(PLANNED));
    let policy = policy();
    let facts: Vec<Fact<'_>> =
        registry.fleet.iter().enumerate().map(|(index, (agent, spec))| fact(index, agent, spec)).collect();
    let local_hosts = LocalHosts::default();
    let planner = Planner { policy: &policy, local_hosts: &local_hosts };

    let whole = median(|| {
        let healthy = healthy(&facts);
        let mut dead = Vec::new();
        for Fact { agent, spec, health, last_healthy_at } in &facts {
            let timeout = policy.dead_timeout_seconds_of(agent);
            if detect(health.healthy, *last_healthy_at, timeout, 5_000.0).dead {
                dead.push(Dead { agent, spec: Some(spec), reasons: &health.reasons, timeout_seconds: Some(timeout) });
            }
        }
        let plan = planner.plan(dead, |agent| healthy.contains(agent.as_str()));
        assert!(plan.iter().any(|planned| planned.action == Action::AutoRestart));
        black_box(plan);
    });
    // No plan can be had without knowing by name who is healthy.
    let floor = median(|| {
        black_box(healthy(&facts));
    });
    report::figure(
        &format!("detect and plan {PLANNED} agents"),
        &format!("{whole:.1?}"),
        &format!("{floor:.1?}"),
        whole.as_secs_f64() / floor.as_secs_f64(),
        &format!("less than {PLAN_LIMIT:?}"),
    );
    println!("  three of four dead; floor = the table of who is healthy by name");
}

/// What a sweep knows of one agent.
struct Fact<'r> {
    agent: &'r AgentName,
    spec: &'r AgentSpec,
    health: SnapshotHealth,
    last_healthy_at: Option<f64>,
}

/// One of four is healthy; the others are long dead.
fn fact<'r>(index: usize, agent: &'r AgentName, spec: &'r AgentSpec) -> Fact<'r> {
    let health = match index % 4 {
        0 => SnapshotHealth { healthy: true, reasons: Vec::new() },
        _ => SnapshotHealth { healthy: false, reasons: vec![Reason::GatewayUnreachable, Reason::ServiceInactive] },
    };
    Fact { agent, spec, health, last_healthy_at: Some(1_000.0) }
}

fn healthy<'f>(facts: &'f [Fact<'_>]) -> HashSet<&'f str> {
    facts.iter().filter(|fact| fact.health.healthy).map(|fact| fact.agent.as_str()).collect()
}

fn load() {
    let text = registry_text(LOADED);
    let policy = policy();
    // In turns, so that whatever else the machine does meets all of them alike.
    let [parse, parse_json, loaded] = medians([
        &mut || {
            black_box(serde_yaml::from_str::<serde_yaml::Value>(&text).expect("sound YAML"));
        },
        &mut || {
            black_box(serde_yaml::from_str::<serde_json::Value>(&text).expect("sound YAML"));
        },
        &mut || {
            let registry = registry(&text);
            black_box(dangling_names(&registry, &policy));
            black_box(registry);
        },
    ]);
    let floor = parse.min(parse_json);
    report::figure(
        &format!("load and check a registry of {LOADED} agents"),
        &format!("{loaded:.1?}"),
        &format!("{floor:.1?}"),
        loaded.as_secs_f64() / floor.as_secs_f64(),
        &format!("ratio at most {LOAD_LIMIT}"),
    );
    println!(
        "  {} KiB; floor = the bare parse, the faster of {parse:.1?} to YAML and {parse_json:.1?} to JSON values",
        text.len() / 1024
    );
}

fn registry(text: &str) -> Registry {
    Registry::from_value(yaml_to_value(text).expect("sound YAML")).expect("a sound registry").0
}

fn registry_text(agents: usize) -> String {
    let mut text = String::from("fleet:\n");
    for index in 0..agents {
        let host =
            if index % 2 == 0 { "127.0.0.1".to_owned() } else { format!("10.{}.{}.7", index / 250 % 250, index % 250) };
        text.push_str(&format!(
            "  agent-{index:06}:\n    host: {host}\n    mission: mission-{}\n    health_endpoints:\n      \
             gateway: http://{host}:8642/health\n    primary: {{provider: p{}, model: large}}\n    \
             substitutes: [agent-{:06}, agent-{:06}]\n",
            index % 50,
            index % 7,
            (index + 1) % agents,
            (index + 4) % agents,
        ));
    }
    text.push_str("provider_health_matrix:\n  p0: {status: degraded}\n  p1: {status: healthy}\n");
    text
}

fn policy() -> Policy {
    let missions: BTreeMap<_, _> = (0..50)
        .map(|index| (format!("mission-{index}"), json!({"mode": (["yes", "ask", "no"][index % 3]), "owner": "ops"})))
        .collect();
    Policy::from_value(json!({"missions": missions})).expect("a sound policy").0
}

/// The median of [`RUNS`] runs.
fn median(mut run: impl FnMut()) -> Duration {
    let [median] = medians([&mut run]);
    median
}

/// The median of [`RUNS`] runs of each, taking turns.
fn medians<const N: usize>(mut runs: [&mut dyn FnMut(); N]) -> [Duration; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..RUNS {
        for (run, times) in runs.iter_mut().zip(&mut times) {
            let start = Instant::now();
            run();
            times.push(start.elapsed());
        }
    }
    times.map(|mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    })
}
