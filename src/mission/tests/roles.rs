use serde_json::{Value, json};

use crate::mission::{
    Capability, Draft, MissionBus, MissionError, MissionRole, Stamp, event_moment, event_time, limit,
};
use crate::pool::Timestamp;

fn with_stamp<T>(f: impl FnOnce(&mut Stamp<'_>) -> T) -> T {
    let mut drawn = 0;
    let mut new_id = || {
        drawn += 1;
        format!("id-{drawn}")
    };
    f(&mut Stamp { at: "2026-04-15T04:00:00+00:00", new_id: &mut new_id })
}

fn bus() -> MissionBus {
    let mut bus = MissionBus::new("forge", "the forge", Value::Null).unwrap();
    for (name, role) in [("kim", MissionRole::Lead), ("ada", MissionRole::Write), ("bob", MissionRole::Read)] {
        bus.register_participant(name, role, Value::Null);
    }
    bus
}

#[test]
fn reading_takes_a_role_as_well() {
    let mut bus = bus();
    with_stamp(|stamp| {
        bus.create_checkpoint("ada", "half done", json!({"step": 3}), vec![], stamp).unwrap();
        bus.handoff("ada", "kim", "id-1", "", stamp).unwrap();
    });
    for reader in ["kim", "ada", "bob"] {
        assert_eq!(bus.stream_for(reader).unwrap().len(), 2, "{reader}");
        assert_eq!(bus.resume_packet_for(reader, "id-2").unwrap().sender, "ada");
    }
    let refused = bus.stream_for("stranger").unwrap_err();
    assert_eq!(refused.to_string(), "stranger lacks 'read' permission");
    assert!(bus.resume_packet_for("stranger", "id-2").is_err());
}

#[test]
fn audit_and_isolation_are_for_those_who_have_them() {
    let bus = bus();
    for (name, capability, may) in [
        ("kim", Capability::Audit, true),
        ("ada", Capability::Audit, false),
        ("kim", Capability::ConfigureIsolation, true),
        ("ada", Capability::ConfigureIsolation, false),
        ("bob", Capability::ConfigureIsolation, false),
    ] {
        assert_eq!(bus.require(name, capability).is_ok(), may, "{name} {capability}");
    }
    let permissions = bus.config().permissions();
    assert_eq!(permissions.roles_with(Capability::Audit), [MissionRole::Lead, MissionRole::Audit]);
}

#[test]
fn what_is_typed_is_text_unless_it_is_an_object() {
    for (text, payload) in [
        ("hello", json!({"text": "hello"})),
        ("{\"a\": 1}", json!({"a": 1})),
        ("[1]", json!({"text": "[1]"})),
        ("7", json!({"text": "7"})),
        ("{\"a\": ", json!({"text": "{\"a\": "})),
        ("", json!({"text": ""})),
    ] {
        assert_eq!(Draft::typed("t", text), Draft::Message { topic: "t".into(), payload }, "{text}");
    }
}

#[test]
fn what_is_refused_takes_neither_number_nor_id() {
    let mut bus = bus();
    with_stamp(|stamp| {
        assert!(bus.publish("bob", "t", json!({}), stamp).is_err());
        assert!(bus.handoff("ada", "nobody", "x", "", stamp).is_err());
        let event = bus.publish("ada", "t", json!({}), stamp).unwrap();
        assert_eq!((event.sequence(), event.id()), (1, "id-1"));
    });
}

#[test]
fn times_are_written_as_the_reference_writes_them() {
    for (ms, text) in [
        (1_776_225_600_000, "2026-04-15T04:00:00+00:00"),
        (1_776_225_600_500, "2026-04-15T04:00:00.500000+00:00"),
        (1_776_225_600_007, "2026-04-15T04:00:00.007000+00:00"),
        (-1, "1969-12-31T23:59:59.999000+00:00"),
    ] {
        assert_eq!(event_time(Timestamp::from_millis(ms)), text);
        assert_eq!(event_moment(text), Some(Timestamp::from_millis(ms)));
    }
}

#[test]
fn what_is_too_large_is_told_its_size_and_what_to_do() {
    assert_eq!(limit::check(limit::EVENT_BYTES, limit::EVENT_BYTES), Ok(()));
    let refused = limit::check(limit::EVENT_BYTES + 1, limit::EVENT_BYTES).unwrap_err();
    assert_eq!(refused, MissionError::TooLarge { bytes: 65_537, limit: 65_536 });
    assert!(refused.to_string().contains("65537 bytes, at most 65536") && refused.to_string().contains("its hash"));
}

#[test]
fn a_state_in_a_file_is_referred_to_by_its_hash() {
    let file = limit::StateFile::of(b"test");
    assert_eq!(file.sha256, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    assert_eq!(limit::StateFile::from_value(&file.to_value()), Some(file));
    for other in [
        json!({}),
        json!({"$file": 1}),
        json!({"$file": {"sha256": "../etc/passwd", "bytes": 1}}),
        json!({"$file": {"sha256": "9f", "bytes": 1}, "more": 1}),
    ] {
        assert_eq!(limit::StateFile::from_value(&other), None, "{other}");
    }
}
