//! The reference's acceptance tests of the pool and of the mission bus, by name.

use std::collections::BTreeMap;

use lazarus_gate::mission::{
    IsolationProfile, MissionBus, MissionError, MissionEvent, MissionRole, Stamp, load_profiles,
};
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

/// A bus with one participant of each role, and something to stamp events with.
fn on_a_bus(test: impl FnOnce(&mut MissionBus, &mut Stamp<'_>)) {
    let mut bus = MissionBus::new("mission-883", "multi-agent teaming", Value::Null).expect("the shipped profiles");
    for (name, role) in [
        ("timmy", MissionRole::Lead),
        ("ezra", MissionRole::Write),
        ("bezalel", MissionRole::Read),
        ("allegro", MissionRole::Audit),
    ] {
        bus.register_participant(name, role, json!({}));
    }
    let mut ids = (1..).map(|number| format!("id-{number}"));
    let mut new_id = || ids.next().unwrap_or_default();
    test(&mut bus, &mut Stamp { at: "2026-04-15T04:00:00+00:00", new_id: &mut new_id });
}

fn lacks(result: Result<&MissionEvent, MissionError>, message: &str) {
    let error = result.expect_err("a refusal");
    assert!(matches!(error, MissionError::Lacks { .. }));
    assert_eq!(error.to_string(), message);
}

#[test]
fn mission_roles_enforce_permissions() {
    on_a_bus(|bus, stamp| {
        bus.publish("timmy", "mission.start", json!({}), stamp).expect("a lead publishes");
        bus.create_checkpoint("ezra", "s", json!({}), vec![], stamp).expect("a writer makes checkpoints");
        lacks(bus.publish("bezalel", "t", json!({}), stamp), "bezalel lacks 'publish' permission");
        lacks(bus.create_checkpoint("allegro", "s", json!({}), vec![], stamp), "allegro lacks 'checkpoint' permission");
        lacks(bus.handoff("bezalel", "timmy", "id-2", "", stamp), "bezalel lacks 'handoff' permission");
        lacks(bus.publish("stranger", "t", json!({}), stamp), "stranger lacks 'publish' permission");
        assert!(bus.allowed("allegro", "audit") && !bus.allowed("ezra", "audit"));
        assert_eq!(bus.events().len(), 2, "what is refused leaves no event");
    });
}

#[test]
fn messages_checkpoints_and_handoffs_share_one_stream() {
    on_a_bus(|bus, stamp| {
        bus.publish("timmy", "mission.start", json!({"goal": "build the slice"}), stamp).expect("published");
        bus.create_checkpoint("ezra", "half done", json!({"step": 3}), vec![json!("a.md")], stamp).expect("made");
        bus.handoff("ezra", "timmy", "id-2", "for review", stamp).expect("handed over");
        let stream: Vec<(i64, &str, &str)> =
            bus.events().iter().map(|event| (event.sequence(), event.kind().as_str(), event.id())).collect();
        assert_eq!(stream, [(1, "message", "id-1"), (2, "checkpoint", "id-2"), (3, "handoff", "id-3")]);
    });
}

#[test]
fn a_handoff_makes_a_resume_packet() {
    on_a_bus(|bus, stamp| {
        bus.create_checkpoint("ezra", "half done", json!({"step": 3}), vec![json!("a.md")], stamp).expect("made");
        bus.handoff("ezra", "timmy", "id-1", "for review", stamp).expect("handed over");
        let packet = serde_json::to_value(bus.build_resume_packet("id-2").expect("a packet")).expect("JSON");
        assert_eq!((&packet["sender"], &packet["recipient"]), (&json!("ezra"), &json!("timmy")));
        assert_eq!(packet["handoff_note"], "for review");
        assert_eq!(packet["checkpoint"]["state"], json!({"step": 3}));
        assert_eq!(packet["checkpoint"]["artifacts"], json!(["a.md"]));
        assert_eq!(packet["stream_length"], 2);
        assert_eq!(packet["participants"].as_object().map(serde_json::Map::len), Some(4));
        let unknown = bus.build_resume_packet("nope").expect_err("unknown");
        assert_eq!(unknown.to_string(), "Unknown handoff: nope");
    });
}

#[test]
fn a_mission_round_trips_through_json() {
    on_a_bus(|bus, stamp| {
        bus.publish("timmy", "t", json!({"a": [1, 2.5, null, "é"]}), stamp).expect("published");
        bus.create_checkpoint("ezra", "s", json!({}), vec![], stamp).expect("made");
        bus.handoff("ezra", "timmy", "id-2", "", stamp).expect("handed over");
        let exported = serde_json::to_value(&*bus).expect("JSON");
        let again = MissionBus::from_value(exported.clone(), stamp).expect("its own form");
        assert_eq!(serde_json::to_value(&again).expect("JSON"), exported);
        let mut camel = exported.clone();
        let id = camel["events"][0].as_object_mut().and_then(|event| event.remove("message_id"));
        camel["events"][0]["messageId"] = id.expect("an id");
        let again = MissionBus::from_value(camel, stamp).expect("camelCase ids");
        assert_eq!(serde_json::to_value(&again).expect("JSON"), exported);
    });
}

#[test]
fn isolation_profiles_come_from_the_configuration() {
    let shipped: Value = serde_json::from_str(include_str!("../../config/mission_bus_profiles.json")).expect("JSON");
    assert_eq!(load_profiles(None), Ok(shipped.clone()), "without a file the shipped ones hold");
    on_a_bus(|bus, _| {
        let levels: Vec<(i64, &str)> =
            bus.isolation_profiles().iter().map(|profile| (profile.level, profile.mechanism.as_str())).collect();
        assert_eq!(levels, [(1, "directory_workspace"), (2, "mount_namespace"), (3, "rootless_podman")]);
    });
    let short = IsolationProfile::from_value(&json!({"name": "n", "label": "l", "level": 1, "mechanism": "m"}));
    assert!(short.is_ok_and(|profile| profile.supports_resume && profile.description.as_deref() == Some("")));
    assert!(MissionBus::new("m", "t", json!({"isolation_profiles": [{"name": "n", "level": 1}]})).is_err());
}
