use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::plain::is_invisible;
use super::*;
use crate::mission::{Capability, Draft, MissionConfig, MissionError, MissionEvent, MissionRole, OfferEnd};

fn line() -> MissionLine {
    MissionLine { name: mission("forge"), title: Some("the forge".into()), events: 3, importing: false }
}

fn handoff(state: HandoffStands) -> HandoffView {
    HandoffView {
        id: Some("h1".into()),
        mission: mission("forge"),
        part: agent("ada"),
        sender: agent("kim"),
        recipient: agent("bob"),
        summary: "before review".into(),
        made_by: agent("ada"),
        made_at: Some(ago(12)),
        note: "please go on".into(),
        state,
    }
}

fn view() -> MissionView {
    MissionView {
        line: line(),
        profile: Some("level1-directory".into()),
        participants: vec![(agent("kim"), MissionRole::Lead), (agent("ada"), MissionRole::Write)],
        moved: vec![(agent("ada"), agent("bob"))],
        open: vec![handoff(HandoffStands::Offered { until: later(10) })],
    }
}

fn event(draft: Draft) -> MissionEvent {
    draft.into_event("ada", 7, "2026-04-15T04:00:00+00:00", "c1".into())
}

#[test]
fn missions_and_one_of_them() {
    let importing = MissionLine { name: mission("archive"), title: None, events: 1, importing: true };
    let all = table([
        ("none".to_owned(), missions_text(&[])),
        ("list".to_owned(), missions_text(&[line(), importing])),
        ("one".to_owned(), mission_text(&view(), &setting(), NOW)),
    ]);
    assert_snapshot!(all, @r"
    -- none
    There is no mission. `newmission NAME title` makes one, or `mission create` on the command line.
    -- list
    forge: the forge (3 events)
    archive (1 event, being imported)
    -- one
    forge: the forge (3 events)
    isolation: level1-directory
    takes part: kim (lead), ada (write)
    bob has the part of ada
    OFFERED to bob, until 06:15:06 CEST: `accept h1` or `decline h1 reason`. Until then the part of ada stays where it is.
    ");
}

#[test]
fn a_handoff_from_preview_to_end() {
    let ended = |how| HandoffStands::Ended { how, at: ago(1) };
    let preview = |recipient| HandoffStands::Preview { recipient, ttl: Duration::from_secs(900) };
    let card = |state| handoff_card(&handoff(state), &setting(), NOW);
    let end = |state| card(state).lines().last().unwrap_or_default().to_owned();
    let bare = HandoffView { made_at: None, note: String::new(), ..handoff(preview(RecipientHealth::NotWatched)) };
    let all = table([
        ("preview".to_owned(), card(preview(RecipientHealth::Healthy))),
        ("bare".to_owned(), handoff_card(&bare, &setting(), NOW)),
        ("unhealthy".to_owned(), end(preview(RecipientHealth::Unhealthy))),
        ("unknown".to_owned(), end(preview(RecipientHealth::Unknown))),
        ("offered".to_owned(), end(HandoffStands::Offered { until: later(14) })),
        ("accepted".to_owned(), end(ended(OfferEnd::Accepted))),
        ("declined".to_owned(), end(ended(OfferEnd::Declined { reason: "no time".into() }))),
        ("expired".to_owned(), end(ended(OfferEnd::Expired))),
    ]);
    assert_snapshot!(all, @r"
    -- preview
    forge: kim hands the part of ada over to bob.
    From the checkpoint: before review
    made by ada 12 min ago, at 05:53:06 CEST
    Note: please go on
    bob is healthy. Not posted yet; once posted, bob has 15 min to accept.
    -- bare
    forge: kim hands the part of ada over to bob.
    From the checkpoint: before review
    made by ada at a time that it does not tell
    bob is not watched. Not posted yet; once posted, bob has 15 min to accept.
    -- unhealthy
    CAREFUL: bob is not healthy. Not posted yet; once posted, bob has 15 min to accept.
    -- unknown
    CAREFUL: nobody knows whether bob is alive. Not posted yet; once posted, bob has 15 min to accept.
    -- offered
    OFFERED to bob, until 06:19:06 CEST: `accept h1` or `decline h1 reason`. Until then the part of ada stays where it is.
    -- accepted
    ACCEPTED by bob at 06:04:06 CEST: bob has the part of ada now. `resume h1` gives the packet.
    -- declined
    DECLINED by bob at 06:04:06 CEST: no time. The part of ada stays where it was.
    -- expired
    EXPIRED at 06:04:06 CEST: bob did not answer. The part of ada stays where it was.
    ");
}

#[test]
fn a_log_has_one_line_an_event() {
    let show = |draft| event_line(&event(draft), Some(ago(5)), &setting(), NOW);
    let message = |payload| Draft::Message { topic: "progress".into(), payload };
    let handoff = Draft::Handoff { recipient: "bob".into(), checkpoint_id: "c1".into(), note: String::new() };
    let all = table([
        ("text".to_owned(), show(message(json!({"text": "half of\nthe tests"})))),
        ("object".to_owned(), show(message(json!({"done": 3})))),
        (
            "checkpoint".to_owned(),
            show(Draft::Checkpoint { summary: "before review".into(), state: Value::Null, artifacts: vec![] }),
        ),
        ("handoff".to_owned(), show(handoff.clone())),
        ("no time".to_owned(), event_line(&event(handoff), None, &setting(), NOW)),
    ]);
    assert_snapshot!(all, @r#"
    -- text
    #7 06:00:06 CEST ada on progress: half of the tests
    -- object
    #7 06:00:06 CEST ada on progress: {"done":3}
    -- checkpoint
    #7 06:00:06 CEST ada checkpoint c1: before review
    -- handoff
    #7 06:00:06 CEST ada handoff c1 to bob
    -- no time
    #7 no time ada handoff c1 to bob
    "#);
}

fn replies(text: &str) -> Vec<BusReply> {
    let forge = || mission("forge");
    let all = vec![
        BusReply::Created { mission: forge(), lead: agent("kim") },
        BusReply::Joined { mission: forge(), name: agent("ada"), role: MissionRole::Write },
        BusReply::Published { mission: forge(), sequence: 3 },
        BusReply::Checkpointed { mission: forge(), sequence: 4, id: text.into(), has_state: true },
        BusReply::Checkpointed { mission: forge(), sequence: 4, id: text.into(), has_state: false },
        BusReply::Isolated { mission: forge(), profile: text.into() },
        BusReply::Posted { id: text.into(), recipient: agent("bob"), until: later(10) },
        BusReply::Cancelled,
        BusReply::Accepted { id: text.into(), part: agent("ada"), recipient: agent("bob") },
        BusReply::Declined { id: text.into(), part: agent("ada") },
    ];
    covers(&all, 9, |reply| match reply {
        BusReply::Created { .. } => 0,
        BusReply::Joined { .. } => 1,
        BusReply::Published { .. } => 2,
        BusReply::Checkpointed { .. } => 3,
        BusReply::Isolated { .. } => 4,
        BusReply::Posted { .. } => 5,
        BusReply::Cancelled => 6,
        BusReply::Accepted { .. } => 7,
        BusReply::Declined { .. } => 8,
    });
    all
}

#[test]
fn what_somebody_said_did_something() {
    let all = replies("c1").iter().map(|reply| bus_reply(reply, &setting(), NOW)).collect::<Vec<_>>().join("\n");
    assert_snapshot!(all, @r"
    forge: made; kim leads it. `join forge AGENT ROLE` says who else takes part.
    forge: ada takes part as write.
    forge: published as event 3.
    forge: checkpoint c1 made as event 4.
    forge: checkpoint c1 made as event 4. It holds no state; attach a JSON document to add one.
    forge: isolation profile c1.
    Posted: c1 is offered to bob until 06:15:06 CEST.
    Cancelled; nothing was posted.
    Accepted: bob has the part of ada now. `resume c1` gives the packet.
    Declined: c1 is over, and the part of ada stays where it was.
    ");
}

fn refused(text: &str) -> Vec<MissionError> {
    vec![
        MissionError::Lacks { name: "bob".into(), capability: Capability::Publish },
        MissionError::Lacks { name: "bob".into(), capability: Capability::Audit },
        MissionError::Replaced { at: ago(30), why: "another incarnation attached first" },
        MissionError::AlreadyOffered { part: "ada".into(), to: "bob".into(), until: later(5), handoff_id: text.into() },
        MissionError::UnknownCheckpoint(text.into()),
        MissionError::TooLarge { bytes: 70_000, limit: 65_536 },
    ]
}

#[test]
fn each_refusal_says_what_is_missing_and_who_has_it() {
    let config = MissionConfig::from_value(Value::Null).unwrap();
    let participants = [(agent("kim"), MissionRole::Lead), (agent("ada"), MissionRole::Write)];
    let told = |refused: &MissionError| {
        let holders = match refused {
            MissionError::Lacks { capability: Capability::Audit, .. } => Holders::default(),
            MissionError::Lacks { capability, .. } => Holders::of(config.permissions(), *capability, &participants),
            _ => Holders::default(),
        };
        bus_refusal(refused, &holders, &setting(), NOW)
    };
    let all = refused("c9").iter().map(told).collect::<Vec<_>>().join("\n");
    assert_snapshot!(all, @r"
    refused: bob lacks 'publish' permission; it takes the role lead or write: kim, ada.
    refused: bob lacks 'audit' permission; no role of this mission has it.
    refused: you were replaced at 05:35:06 CEST: another incarnation attached first.
    refused: the part of ada is offered to bob already, until 06:10:06 CEST. `decline c9 reason` by bob ends that sooner.
    refused: Unknown checkpoint: c9.
    refused: the event has 70000 bytes, at most 65536 are allowed; put what is large into a file and refer to it by its hash.
    ");
}

proptest! {
    #[test]
    fn no_text_about_missions_steers_or_hides(text in "(\\PC|[\u{1b}\u{202e}\u{200b}\n\r\u{9b}]){0,30}") {
        let mut texts: Vec<String> = replies(&text).iter().map(|reply| bus_reply(reply, &setting(), NOW)).collect();
        texts.extend(refused(&text).iter().map(|one| bus_refusal(one, &Holders::default(), &setting(), NOW)));
        let view = MissionView {
            line: MissionLine { title: Some(text.clone()), ..line() },
            profile: Some(text.clone()),
            ..view()
        };
        texts.push(mission_text(&view, &setting(), NOW).replace('\n', " "));
        let declined = HandoffStands::Ended { how: OfferEnd::Declined { reason: text.clone() }, at: NOW };
        let own = || text.clone();
        let card = HandoffView { id: Some(own()), summary: own(), note: own(), ..handoff(declined) };
        texts.push(handoff_card(&card, &setting(), NOW).replace('\n', " "));
        let drafts = [
            Draft::Message { topic: own(), payload: json!({"text": text}) },
            Draft::Checkpoint { summary: own(), state: Value::Null, artifacts: vec![] },
            Draft::Handoff { recipient: own(), checkpoint_id: own(), note: own() },
        ];
        texts.extend(drafts.map(|draft| event_line(&event(draft), None, &setting(), NOW)));
        for told in texts {
            prop_assert!(!told.contains(|c: char| c.is_control() || is_invisible(c)), "{told:?}");
        }
    }
}
