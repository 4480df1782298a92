use serde_json::json;

use crate::mission::{BUS_FORMS, BusCommand, HandFrom, HandoffRef, MissionRole, NotOfTheBus};
use crate::pool::{AgentName, MissionName};

fn forge() -> MissionName {
    MissionName::new("forge").unwrap()
}

fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

fn handoff(id: &str) -> HandoffRef {
    HandoffRef { mission: None, id: id.into() }
}

fn to_bob(from: HandFrom, note: &str) -> BusCommand {
    BusCommand::Handoff { mission: forge(), recipient: agent("bob"), from, note: note.into() }
}

#[test]
fn what_is_understood() {
    const ID: &str = "f6035852-f437-4b5f-8045-616291954398";
    let mission = forge();
    for (said, expected) in [
        ("missions", BusCommand::Missions),
        (" /Mission  forge ", BusCommand::Mission { mission: mission.clone() }),
        (
            "newmission forge The  forge\nof all",
            BusCommand::New { mission: mission.clone(), title: "The forge of all".into() },
        ),
        (
            "join forge ada WRITE",
            BusCommand::Join { mission: mission.clone(), name: agent("ada"), role: MissionRole::Write },
        ),
        (
            "publish forge progress {\"done\":\n 3}",
            BusCommand::Publish { mission: mission.clone(), topic: "progress".into(), text: "{\"done\":\n 3}".into() },
        ),
        (
            "checkpoint forge half of it",
            BusCommand::Checkpoint { mission: mission.clone(), summary: "half of it".into(), state: None },
        ),
        ("handoff forge bob", to_bob(HandFrom::Last, "")),
        ("handoff forge bob last", to_bob(HandFrom::Last, "")),
        ("handoff forge bob Last 3rd-try now", to_bob(HandFrom::Last, "3rd-try now")),
        ("handoff forge bob please go on", to_bob(HandFrom::Last, "please go on")),
        ("handoff forge bob c-578 please", to_bob(HandFrom::Id("c-578".into()), "please")),
        (&format!("handoff forge bob {ID} please"), to_bob(HandFrom::Id(ID.into()), "please")),
        (&format!("accept {ID}"), BusCommand::Accept { handoff: handoff(ID) }),
        ("accept forge/h1", BusCommand::Accept { handoff: HandoffRef { mission: Some(forge()), id: "h1".into() } }),
        ("decline h1 no time", BusCommand::Decline { handoff: handoff("h1"), reason: "no time".into() }),
        ("resume h1", BusCommand::Resume { handoff: handoff("h1") }),
        ("post h1", BusCommand::Post { handoff: handoff("h1") }),
        ("cancel h1", BusCommand::Cancel { handoff: handoff("h1") }),
        ("log forge", BusCommand::Log { mission: mission.clone(), events: 10 }),
        ("log forge 50", BusCommand::Log { mission: mission.clone(), events: 50 }),
        ("isolation forge level1-directory", BusCommand::Isolation { mission, profile: "level1-directory".into() }),
    ] {
        assert_eq!(BusCommand::parse(said, None).as_ref(), Ok(&expected), "{said}");
    }
}

#[test]
fn a_document_that_came_along_is_the_state_of_a_checkpoint() {
    let document = Some(json!({"step": 3}));
    let said = BusCommand::parse("checkpoint forge half of it", document.clone());
    assert!(matches!(said, Ok(BusCommand::Checkpoint { state, .. }) if state == document));
}

#[test]
fn what_is_not_understood_gets_the_right_form() {
    for (said, expected) in [
        ("mission", "it does not say which mission; the form is: mission NAME"),
        ("missions all", "'all' is too much; the form is: missions"),
        ("newmission forge", "it does not say its title; the form is: newmission NAME title"),
        (
            "mission a;b",
            "'a;b' is no mission's name: ';' is not allowed there; use letters, digits, '_', '.', '-', and begin with a letter, a digit or '_'; the form is: mission NAME",
        ),
        (
            "join forge ada boss",
            "'boss' is no role; it is lead, write, read or audit; the form is: join MISSION AGENT ROLE",
        ),
        ("join forge ada", "it does not say as what; the form is: join MISSION AGENT ROLE"),
        ("join forge", "it does not say whom; the form is: join MISSION AGENT ROLE"),
        ("publish forge progress", "it does not say what to publish; the form is: publish MISSION TOPIC TEXT"),
        ("checkpoint forge", "it does not say how far it is; the form is: checkpoint MISSION SUMMARY"),
        ("handoff forge", "it does not say whom; the form is: handoff MISSION RECIPIENT [CHECKPOINT|last] [note]"),
        ("accept", "it does not say which handoff; the form is: accept HANDOFF"),
        ("accept h1 h2", "'h2' is too much; the form is: accept HANDOFF"),
        ("accept forge/", "'forge/' is no handoff's id; the form is: accept HANDOFF"),
        ("decline h1", "it does not say why not; the form is: decline HANDOFF reason"),
        ("log forge 0", "'0' is no number from 1 to 50; the form is: log MISSION [N]"),
        ("log forge all", "'all' is no number from 1 to 50; the form is: log MISSION [N]"),
        ("isolation forge", "it does not say which profile; the form is: isolation MISSION PROFILE"),
    ] {
        assert_eq!(BusCommand::parse(said, None).unwrap_err().to_string(), expected, "{said}");
    }
    for other in ["", "approve 7K30X1", "hello"] {
        assert_eq!(BusCommand::parse(other, None), Err(NotOfTheBus::OtherVerb), "{other}");
    }
}

#[test]
fn no_verb_means_two_things() {
    let others: Vec<&str> = crate::approval::FORMS.iter().map(|form| form.verb).collect();
    for form in BUS_FORMS {
        assert!(!others.contains(&form.verb), "{}", form.verb);
    }
}

proptest::proptest! {
    #[test]
    fn nothing_said_panics(said: String, verb in 0..12usize) {
        let _ = BusCommand::parse(&said, None);
        let _ = BusCommand::parse(&format!("{} {said}", BUS_FORMS[verb].verb), None);
    }
}
