//! The reference's acceptance tests of the pool, by name.

use std::collections::BTreeMap;

use lazarus_gate::pool::{
    Action, AgentName, Dead, LocalHosts, Mode, Planned, Planner, Policy, Reason, Registry, SnapshotHealth, State,
    UnitTemplate, detect,
};
use serde_json::{Value, json};

fn registry(document: Value) -> Registry {
    Registry::from_value(document).expect("a sound registry").0
}

fn policy(document: Value) -> Policy {
    Policy::from_value(document).expect("a sound policy").0
}

fn agent(name: &str) -> AgentName {
    AgentName::new(name).expect("a sound name")
}

/// The plan for one dead agent whose gateway is silent; `healthy` are well.
fn plan_for(name: &str, registry: &Registry, policy: &Policy, healthy: &[&str], check: impl Fn(&Planned<'_>)) {
    let name = agent(name);
    let reasons = [Reason::GatewayUnreachable];
    let local_hosts = LocalHosts::default();
    let dead =
        vec![Dead { agent: &name, spec: registry.fleet.get(&name), reasons: &reasons, timeout_seconds: Some(600) }];
    let plan =
        Planner { policy, local_hosts: &local_hosts }.plan(dead, |candidate| healthy.contains(&candidate.as_str()));
    assert_eq!(plan.len(), 1);
    check(&plan[0]);
}

#[test]
fn detect_downed_agents_respects_the_timeout() {
    let policy = policy(json!({"dead_timeout_seconds": 600, "agents": {"ezra": {"dead_timeout_seconds": 60}}}));
    for (name, silent_for, dead) in
        [("bezalel", 599.0, false), ("bezalel", 600.0, true), ("ezra", 59.0, false), ("ezra", 60.0, true)]
    {
        let timeout = policy.dead_timeout_seconds_of(&agent(name));
        let detection = detect(false, Some(1000.0), timeout, 1000.0 + silent_for);
        assert_eq!(
            (detection.unhealthy_for_seconds, detection.dead),
            (silent_for, dead),
            "{name} after {silent_for} s"
        );
    }
    assert!(detect(false, None, 600, 1000.0).dead, "never seen healthy is dead at once");
}

#[test]
fn update_state_keeps_last_healthy() {
    let before = State::from_value(json!({"ezra": {"last_healthy_at": 100.0, "last_reasons": []}})).unwrap().0;
    let ezra = SnapshotHealth { healthy: false, reasons: vec![Reason::ServiceInactive] };
    let timmy = SnapshotHealth { healthy: true, reasons: Vec::new() };
    let sweep = BTreeMap::from([("ezra", &ezra), ("timmy", &timmy)]);
    let after = before.clone().updated(sweep, 700.0);
    assert_eq!(before.last_healthy_at("ezra"), Some(100.0));
    assert_eq!(
        serde_json::to_value(after).unwrap(),
        json!({
            "ezra": {"last_checked_at": 700.0, "last_healthy_at": 100.0, "last_reasons": ["service_inactive"]},
            "timmy": {"last_checked_at": 700.0, "last_healthy_at": 700.0, "last_reasons": []},
        })
    );
}

#[test]
fn yes_restarts() {
    let registry = registry(json!({"fleet": {"bezalel": {"host": "127.0.0.1", "mission": "forge"}, "allegro": {}}}));
    let policy = policy(json!({"missions": {"forge": {"mode": "yes"}}, "substitutions": {"bezalel": ["allegro"]}}));
    plan_for("bezalel", &registry, &policy, &["allegro"], |planned| {
        assert_eq!(planned.action, Action::AutoRestart);
        assert_eq!(planned.substitute, Some(&agent("allegro")));
        let command = planned.restart(&UnitTemplate::default()).expect("a command");
        assert_eq!(command.to_string(), "systemctl restart hermes-bezalel.service");
    });
}

#[test]
fn mission_default_applies_after_agent_override() {
    let registry = registry(json!({"fleet": {"ezra": {"mission": "forge"}}}));
    let spec = registry.fleet.get("ezra");
    let policy = policy(json!({
        "default_policy": {"mode": "ask"},
        "missions": {"forge": {"mode": "yes"}, "archive": {"mode": "no"}},
        "agents": {"ezra": {"mission": "archive"}, "timmy": {"mission": "archive", "mode": "ask"}},
    }));
    let ezra = policy.resolve(&agent("ezra"), spec);
    assert_eq!((ezra.mission.as_str(), ezra.mode), ("archive", Mode::No), "the override names the mission");
    let timmy = policy.resolve(&agent("timmy"), None);
    assert_eq!((timmy.mission.as_str(), timmy.mode), ("archive", Mode::Ask), "the agent's own mode wins");
    let other = policy.resolve(&agent("other"), None);
    assert_eq!((other.mission.as_str(), other.mode), ("other", Mode::Ask), "else the default");
}

#[test]
fn ask_makes_an_approval_request() {
    let registry = registry(json!({"fleet": {"ezra": {"host": "203.0.113.20", "mission": "archive"}, "timmy": {}}}));
    let policy = policy(json!({
        "missions": {"archive": {"mode": "ask"}},
        "substitutions": {"ezra": ["timmy"]},
        "approval_channels": {"telegram": {"enabled": true, "target": "ops-room"}},
    }));
    plan_for("ezra", &registry, &policy, &["timmy"], |planned| {
        assert_eq!(planned.action, Action::ApprovalRequired);
        let request = planned.approval_request(&policy.approval_channels, 882, 3000).expect("a request");
        assert_eq!(request.approval_key, "ezra:archive:3000");
        assert_eq!(
            request.message,
            "[#882] Approval required to revive ezra for mission 'archive'. Reasons: gateway_unreachable. \
             Suggested substitute: timmy."
        );
        assert_eq!(request.channels["telegram"]["target"], "ops-room");
    });
}
