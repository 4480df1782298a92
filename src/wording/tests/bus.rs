use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::mission::{BusCommand, Draft, MissionBus, MissionEvent, MissionRole, Stamp};

fn events() -> Vec<MissionEvent> {
    let at = "2026-04-15T04:00:00+00:00";
    let checkpoint = Draft::Checkpoint { summary: "before review".into(), state: json!({}), artifacts: vec![] };
    vec![
        Draft::typed("progress", "half of it").into_event("ada", 6, at, "m1".into()),
        checkpoint.into_event("ada", 7, at, "c-5y3ya2".into()),
    ]
}

#[test]
fn a_log() {
    assert_snapshot!(log_text(&mission("forge"), &events(), &setting(), NOW), @r"
    forge: events 6 to 7
    #6 06:00:00 CEST ada on progress: half of it
    #7 06:00:00 CEST ada checkpoint c-5y3ya2: before review
    ");
    assert_snapshot!(log_text(&mission("forge"), &[], &setting(), NOW), @"forge: nothing was said yet.");
}

#[test]
fn what_is_not_posted_and_why() {
    let all = vec![
        NotPosted::Unknown { id: "h-1kyngv".into() },
        NotPosted::NotYours { person: "kim".into() },
        NotPosted::Posted { id: "h-1kyngv".into() },
        NotPosted::Cancelled,
        NotPosted::TooOld { age: Duration::from_secs(7200) },
        NotPosted::Changed { recipient: "bob".into() },
    ];
    covers(&all, 6, |why| match why {
        NotPosted::Unknown { .. } => 0,
        NotPosted::NotYours { .. } => 1,
        NotPosted::Posted { .. } => 2,
        NotPosted::Cancelled => 3,
        NotPosted::TooOld { .. } => 4,
        NotPosted::Changed { .. } => 5,
    });
    let mut texts: Vec<String> = all.iter().map(not_posted).collect();
    texts.push(preview_hint("h-1kyngv"));
    assert_snapshot!(texts.join("\n"), @r"
    refused: there is no handoff h-1kyngv to be posted.
    refused: kim asked for this handoff, and nobody else posts it.
    It was posted before, as h-1kyngv.
    It was cancelled before; nothing is posted.
    refused: it was shown 2 h ago, and much may have changed; ask for it anew.
    Not posted yet: bob is not as it was when you looked. Look again.
    `post h-1kyngv` posts it, `cancel h-1kyngv` does not.
    ");
}

#[test]
fn the_other_texts_of_the_bus() {
    let mut new_id = || "h1".to_owned();
    let mut bus = MissionBus::new("forge", "the forge", Value::Null).unwrap();
    bus.register_participant("ada", MissionRole::Lead, Value::Null);
    bus.register_participant("bob", MissionRole::Write, Value::Null);
    let stamp = &mut Stamp { at: "2026-04-15T04:00:00+00:00", new_id: &mut new_id };
    let checkpoint = Draft::Checkpoint { summary: "before review".into(), state: json!({}), artifacts: vec![] };
    bus.append("ada", checkpoint, stamp).unwrap();
    let handoff = Draft::Handoff { recipient: "bob".into(), checkpoint_id: "h1".into(), note: "go on".into() };
    bus.append("ada", handoff, stamp).unwrap();
    let packet = bus.build_resume_packet("h1").unwrap();
    let wrong = BusCommand::parse("handoff forge", None).unwrap_err();
    let texts = [
        may_not_create(&kim(), &mission("forge"), &[]),
        may_not_create(&kim(), &mission("forge"), &[PersonId::new("lee").unwrap()]),
        no_name(&kim(), &mission("forge")),
        packet_text("h1", &packet),
        bad_document("it is no JSON (expected value at line 1 column 1)"),
        verified(&mission("forge"), 7, "9f86d081"),
        broken(&mission("forge"), 3, "its hash is another"),
        imported(&mission("forge"), 7),
        misunderstood_of_the_bus(&wrong),
    ];
    assert_snapshot!(texts.join("\n"), @r"
    refused: kim may not make the mission forge: that takes `approves` with forge, or to be its lead by `participant`, in `people`. Who may: nobody.
    refused: kim may not make the mission forge: that takes `approves` with forge, or to be its lead by `participant`, in `people`. Who may: lee.
    refused: nobody acts for kim in forge, since kim is an agent there. Say who you are in `people`: participant: {forge: {name: NAME, role: ROLE}}
    forge: the resume packet of h1, for bob: from the checkpoint of ada, before review.
    refused: the document cannot be used: it is no JSON (expected value at line 1 column 1). Nothing was written.
    forge: 7 events, whole. The last one's hash: 9f86d081
    forge: event 3 is not as it was written: its hash is another
    forge: imported, with 7 events.
    not understood: it does not say whom; the form is: handoff MISSION RECIPIENT [CHECKPOINT|last] [note].
    ");
}

#[test]
fn the_journal_tells_of_missions_in_words() {
    let told = |kind: &str, body: Value| journal_line(kind, Some(&agent("kim")), &body, ago(1), &setting(), NOW);
    let handoff = |reason: Value| {
        json!({"mission": "forge", "handoff": "h1", "part": "ada", "sender": "kim", "recipient": "bob",
        "name": "kim", "by": "kim", "reason": reason, "v": 1})
    };
    let all = [
        told("mission.created", json!({"mission": "forge", "title": "The forge", "name": "kim", "by": "kim"})),
        told("mission.joined", json!({"mission": "forge", "participant": "ada", "role": "write", "by": "kim"})),
        told("mission.isolation", json!({"mission": "forge", "profile": "level1-directory", "by": "kim"})),
        told("mission.imported", json!({"mission": "forge", "events": 7, "participants": 2, "by": "kim"})),
        told("mission.handoff_offered", handoff(Value::Null)),
        told("mission.handoff_accepted", handoff(Value::Null)),
        told("mission.handoff_declined", handoff(json!("no\u{202e} time"))),
        told("mission.handoff_expired", handoff(Value::Null)),
        told(
            "mission.refused",
            json!({"mission": "forge", "name": "kim", "doing": "publish", "capability": "publish",
            "why": "kim lacks 'publish' permission"}),
        ),
        told("mission.levitated", json!({"mission": "forge", "height": 3})),
    ];
    assert_snapshot!(all.join("\n"), @r"
    06:04:06 CEST  kim: the mission 'forge' was made (by kim)
    06:04:06 CEST  kim: ada takes part in the mission 'forge' as write (by kim)
    06:04:06 CEST  kim: the mission 'forge' has the isolation profile level1-directory (by kim)
    06:04:06 CEST  kim: the mission 'forge' was imported, with 7 events (by kim)
    06:04:06 CEST  kim: handoff h1 in 'forge': the part of ada is offered to bob (by kim)
    06:04:06 CEST  kim: handoff h1 in 'forge': ACCEPTED, bob has the part of ada (by kim)
    06:04:06 CEST  kim: handoff h1 in 'forge': DECLINED, no time (by kim)
    06:04:06 CEST  kim: handoff h1 in 'forge': EXPIRED, bob did not answer
    06:04:06 CEST  kim: refused in the mission 'forge' (publish): kim lacks 'publish' permission
    06:04:06 CEST  kim: mission.levitated height=3 mission=forge
    ");
}
