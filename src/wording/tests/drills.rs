use insta::assert_snapshot;

use super::*;
use crate::approval::{Drill, DrillState, Target};

fn drill(state: DrillState) -> Drill {
    Drill {
        id: "cli:0:0199-ab".into(),
        mission: mission("archive"),
        code: Code::parse("7K3QXM").unwrap(),
        started_by: "kim\u{202e}<b>".into(),
        started_at: ago(1),
        ends_at: later(9),
        state,
    }
}

fn states() -> Vec<Drill> {
    let answered = DrillState::Answered { by: kim(), via: Channel::Telegram, at: ago(1).plus(Duration::from_secs(12)) };
    let all = vec![drill(DrillState::Pending), drill(answered), drill(DrillState::Expired { at: later(9) })];
    covers(&all, 3, |drill| match drill.state {
        DrillState::Pending => 0,
        DrillState::Answered { .. } => 1,
        DrillState::Expired { .. } => 2,
    });
    all
}

#[test]
fn a_drill_says_first_that_it_is_one() {
    let texts = states().into_iter().map(|drill| (drill.state.word().to_owned(), drill_text(&drill, &setting(), NOW)));
    assert_snapshot!(table(texts), @r"
    -- pending
    DRILL – nothing is dead, nothing will run.
    kim<b> asks whether somebody who decides for the mission 'archive' sees this and can answer.
    Answer with: here 7K3QXM
    Code 7K3QXM. Ends at 06:14:06 CEST.
    -- answered
    DRILL – nothing is dead, nothing will run.
    Over: kim answered (Telegram) after 12 s.
    Mission 'archive', started by kim<b> at 06:04:06 CEST. Code 7K3QXM.
    -- expired
    DRILL – nothing is dead, nothing will run.
    Over: NOBODY answered within 10 min.
    Mission 'archive', started by kim<b> at 06:04:06 CEST. Code 7K3QXM.
    ");
    let html = drill_html(&states()[1], &setting(), NOW);
    assert_snapshot!(html, @r"
    <b>DRILL – nothing is dead, nothing will run.</b>
    Over: kim answered (Telegram) after 12 s.
    Mission 'archive', started by kim&lt;b&gt; at 06:04:06 CEST. Code 7K3QXM.
    ");
}

#[test]
fn the_report_tells_where_it_arrived() {
    let copy = |channel: &str, target: &str, arrived_at, given_up| DrillCopy {
        channel: channel.into(),
        target: target.into(),
        arrived_at,
        given_up,
    };
    let copies = [
        copy("terminal", "", Some(ago(1)), false),
        copy("telegram", "-1001/12", Some(ago(1).plus(Duration::from_millis(400))), false),
        copy("telegram", "-1002", None, false),
        copy("telegram", "-1003", None, true),
    ];
    let [pending, answered, expired] = &states()[..] else { panic!() };
    let all = [
        drill_report(pending, &copies, &setting(), NOW),
        drill_report(answered, &[], &setting(), NOW),
        drill_report(expired, &copies[..1], &setting(), NOW),
    ];
    assert_snapshot!(all.join("\n\n"), @r"
    DRILL 7K3QXM for the mission 'archive'. Nobody has answered yet.
    It waits until 06:14:06 CEST.
      terminal: arrived after 0 s
      telegram -1001/12: arrived after 400 ms
      telegram -1002: has NOT ARRIVED yet; `status` tells what is wrong there
      telegram -1003: DID NOT ARRIVE, and will not; `status` and the log tell why

    DRILL 7K3QXM for the mission 'archive'. Over: kim answered (Telegram) after 12 s.
      It was sent nowhere: no channel is on.

    DRILL 7K3QXM for the mission 'archive'. Over: NOBODY answered within 10 min.
      terminal: arrived after 0 s
    ");
}

#[test]
fn what_is_answered_about_drills() {
    let [pending, answered, expired] = &states()[..] else { panic!() };
    let missions = [mission("archive"), mission("forge")];
    let ghost = mission("ghost");
    let target = Target::Code(pending.code);
    let (setting, nobody): (_, [&PersonId; 0]) = (setting(), []);
    let all = [
        drill_started(pending, [&kim()], &setting, NOW),
        drill_started(pending, nobody, &setting, NOW),
        drill_here(answered),
        drill_over(answered, &setting, NOW),
        drill_over(expired, &setting, NOW),
        no_drill(&NoDrill::UnderWay(pending), &setting, NOW),
        no_drill(&NoDrill::NoSuchMission { given: Some(&ghost), known: &missions }, &setting, NOW),
        no_drill(&NoDrill::NoSuchMission { given: None, known: &missions }, &setting, NOW),
        no_drill(&NoDrill::NoChannel, &setting, NOW),
        no_such_drill(&target),
        only_a_drill(pending),
    ];
    assert_snapshot!(all.join("\n"), @r"
    DRILL 7K3QXM for the mission 'archive': sent, and waits until 06:14:06 CEST. May answer: kim.
    DRILL 7K3QXM for the mission 'archive': sent, and waits until 06:14:06 CEST. May answer: nobody (no one in `people` approves that mission).
    DRILL 7K3QXM: you are here, 12 s after it began. Nothing runs; thank you.
    refused: the drill 7K3QXM is over; kim answered it (Telegram) at 06:04:18 CEST.
    refused: too late, the drill 7K3QXM ended at 06:14:06 CEST.
    refused: the drill 7K3QXM for the mission 'archive' waits until 06:14:06 CEST; one at a time is enough.
    refused: no agent serves the mission 'ghost'. Missions: archive, forge.
    refused: you approve none of the missions here. Missions: archive, forge.
    refused: no channel is on, so nobody would be asked.
    refused: there is no drill 7K3QXM. A request is answered with approve, deny, substitute or snooze.
    refused: 7K3QXM is only a drill, there is nothing to decide. Say: here 7K3QXM
    ");
}
