//! Missions at the command line: the whole life of a handoff, what is read without a daemon, files.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::world::World;

/// Another user of the machine, whom the kernel names.
const LEE: u32 = 61_001;

/// A world in which the user of the tests leads the mission `forge` as kim.
fn forge() -> World {
    World::with_agents(&["ada"]).but(|world| {
        world.gate["people"]["me"]["participant"] = json!({"forge": {"name": "kim", "role": "lead"}});
    })
}

/// The id of what a command made.
fn made(world: &World, args: &[&str], field: &str) -> String {
    let mut all = vec!["mission"];
    all.extend_from_slice(args);
    all.push("--json");
    let heard = world.says(&all);
    let answer = heard.json().unwrap_or_else(|| panic!("no JSON in {heard:?}"));
    let value = answer["value"].pointer(field).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned()
}

#[test]
fn a_mission_is_made_and_handed_over_at_the_command_line() {
    let world = forge().start();
    world.says(&["mission", "list"]).mentions("There is no mission.");
    world.says(&["mission", "create", "forge", "--title", "The forge"]).mentions("forge: made; kim leads it.");
    world.says(&["mission", "create", "forge", "--title", "Again"]).refused("there is a mission forge already");
    world.says(&["mission", "join", "forge", "ada", "write"]).mentions("forge: ada takes part as write.");
    world.says(&["mission", "join", "forge", "ada", "boss"]).ended_with(2, "is not a valid MissionRole");
    world.says(&["mission", "isolation", "forge", "level1-directory"]).mentions("isolation profile level1-directory");
    world.says(&["mission", "isolation", "forge", "level9"]).refused("has no isolation profile level9");
    world.says(&["mission", "publish", "forge", "progress", "half", "of", "it"]).mentions("published as event 1");
    world.says(&["mission", "publish", "forge", "progress", "{\"done\": 3}"]).mentions("published as event 2");

    fs::write(world.path("state.json"), "{\"branch\": \"fix/883\"}").expect("a file");
    let state = world.path("state.json").display().to_string();
    let checkpoint = made(&world, &["checkpoint", "forge", "before review", "--state", &state], "/event/checkpoint_id");
    world
        .says(&["mission", "checkpoint", "forge", "x", "--state", "/nowhere"])
        .ended_with(1, "/nowhere cannot be read");
    fs::write(world.path("broken.json"), "{half").expect("a file");
    let broken = world.path("broken.json").display().to_string();
    world.says(&["mission", "checkpoint", "forge", "x", "--state", &broken]).ended_with(1, "this is no JSON");

    // Shown first; who is not at a terminal posts it by its id.
    let shown = world.says(&["mission", "handoff", "forge", "ada", "--from", &checkpoint, "--note", "go on"]);
    shown.mentions("kim hands the part of kim over to ada").mentions("Not posted yet").mentions("ada is healthy.");
    let id = made(&world, &["handoff", "forge", "ada", "--yes"], "/id");
    world.until_told(&format!("forge: handoff {id} of kim: OFFERED to ada"));
    world.says(&["mission", "handoff", "forge", "ada"]).refused("the part of kim is offered to ada already, until");
    world.says(&["mission", "accept", &id]).refused(&format!("handoff {id} is for ada, not for kim"));
    world.says(&["mission", "accept", "h-0nowhere"]).ended_with(4, "Unknown handoff: h-0nowhere");
    world.says(&["mission", "show", "forge"]).mentions("OFFERED to ada, until").mentions("isolation: level1-directory");

    let packet = world.says(&["mission", "resume", &id]).json().expect("the packet");
    assert_eq!(packet["checkpoint"]["state"], json!({"branch": "fix/883"}));
    assert_eq!(packet["recipient"], "ada");
    world.says(&["mission", "log", "forge", "2"]).mentions("forge: events 3 to 4").mentions("handoff");
    let earlier = world.says(&["mission", "log", "forge", "2", "--before", "3", "--json"]).json().expect("JSON");
    assert_eq!(earlier["events"].as_array().map(Vec::len), Some(2), "{earlier}");
    world.says(&["mission", "log", "elsewhere"]).ended_with(4, "there is no mission elsewhere");
    world.says(&["mission", "verify", "forge"]).mentions("forge: 4 events, whole.");
}

#[test]
fn people_act_under_their_names_and_roles() {
    let mut world = forge();
    if !world.hire("lee", LEE, &[]) {
        return;
    }
    world.gate["people"]["lee"]["participant"] = json!({"forge": {"name": "rae", "role": "read"}});
    let world = world.start();
    world.says(&["mission", "create", "forge", "--title", "The forge"]).taken();
    world.says(&["mission", "checkpoint", "forge", "half"]).taken();
    world.user_says(LEE, &["mission", "log", "forge"]).mentions("checkpoint");
    let told = "rae lacks 'publish' permission; it takes the role lead or write: kim, gateway.";
    world.user_says(LEE, &["mission", "publish", "forge", "a", "b"]).ended_with(3, told);
    world
        .user_says(LEE, &["mission", "create", "other", "--title", "Mine"])
        .ended_with(3, "lee may not make the mission");
    // The lead takes reading away, too.
    world.says(&["mission", "create", "secret", "--title", "A secret"]).taken();
    world.user_says(LEE, &["mission", "log", "secret"]).ended_with(3, "lee lacks 'read' permission");
    world
        .user_says(LEE, &["mission", "show", "secret"])
        .ended_with(3, "it takes the role lead or write or read or audit");
    assert_eq!(world.journaled("lee", "mission.refused").len(), 3);
    // What was refused is for those who may audit.
    world.says(&["mission", "refusals", "forge"]).mentions("rae lacks 'publish' permission");
    world.user_says(LEE, &["mission", "refusals", "forge"]).ended_with(3, "rae lacks 'audit' permission");
    let history = world.user_says(LEE, &["history", "--limit", "100"]);
    assert!(!history.out.contains("'secret'") && !history.out.contains("refused in the mission"), "{history:?}");
    assert!(history.out.contains("rae takes part in the mission 'forge'"), "{history:?}");
    assert!(world.says(&["history", "--limit", "100"]).out.contains("refused in the mission 'secret'"));
    // Handed to somebody who is a person: they accept, and go on.
    world.says(&["mission", "join", "forge", "rae", "write"]).taken();
    let id = made(&world, &["handoff", "forge", "rae", "--yes"], "/id");
    world.user_says(LEE, &["mission", "accept", &id]).mentions("Accepted: rae has the part of kim now.");
    world.user_says(LEE, &["mission", "accept", &id]).mentions("Accepted");
    assert_eq!(world.journaled("rae", "mission.handoff_accepted").len(), 1, "said again, it changes nothing");
    world.says(&["mission", "show", "forge"]).mentions("rae has the part of kim");
    // Strangers get nothing.
    world.user_says(LEE + 1, &["mission", "list"]).ended_with(3, "you are not in `people`");
    world.user_says(LEE + 1, &["mission", "publish", "forge", "a", "b"]).ended_with(3, "you are not in `people`");
}

#[test]
fn an_offer_that_nobody_answers_expires() {
    let world = forge().but(|world| world.gate["mission"] = json!({"handoff_ttl": "300ms"})).start();
    world.says(&["mission", "create", "forge", "--title", "The forge"]).taken();
    world.says(&["mission", "join", "forge", "ada", "write"]).taken();
    world.says(&["mission", "checkpoint", "forge", "half"]).taken();
    let id = made(&world, &["handoff", "forge", "ada", "--yes"], "/id");
    world.until_journal("gateway", "mission.handoff_expired");
    world.until_told(&format!("forge: handoff {id} of kim: EXPIRED"));
    let again = made(&world, &["handoff", "forge", "ada", "--yes"], "/id");
    assert_ne!(id, again);
}

#[test]
fn the_terminal_speaks_of_missions_too() {
    let mut world = forge().but(|world| world.gate["channels"]["terminal"]["input"] = json!(true)).start();
    world.daemon().types("newmission forge The forge");
    world.until_told("forge: made; kim leads it.");
    world.daemon().types("/join forge ada write");
    world.until_told("forge: ada takes part as write.");
    world.daemon().types("checkpoint forge half of it");
    world.until_told("made as event 1");
    world.daemon().types("handoff forge ada over to you");
    world.until_told("Not posted yet");
    let told = world.told.text();
    let id = told.split("`post ").nth(1).and_then(|rest| rest.split('`').next()).expect("its id").to_owned();
    world.daemon().types(&format!("post {id}"));
    world.until_told("Posted:");
    world.daemon().types("handoff forge");
    world.until_told("the form is: handoff MISSION RECIPIENT");
}

#[test]
fn what_is_read_needs_no_daemon_and_what_is_broken_is_named() {
    let mut world = forge().start();
    world.says(&["mission", "create", "forge", "--title", "The forge"]).taken();
    world.says(&["mission", "join", "forge", "ada", "write"]).taken();
    for n in 0..4 {
        world.says(&["mission", "publish", "forge", "n", &n.to_string()]).taken();
    }
    world.says(&["mission", "checkpoint", "forge", "half"]).taken();
    let id = made(&world, &["handoff", "forge", "ada", "--yes"], "/id");
    assert!(world.stop().success());
    world.says(&["mission", "list"]).mentions("forge: The forge (6 events)");
    world.says(&["mission", "show", "forge"]).mentions("OFFERED to ada");
    world.says(&["mission", "log", "forge", "1"]).mentions("events 6 to 6");
    world.says(&["mission", "resume", &id]).mentions("\"handoff_note\": \"\"");
    world.says(&["mission", "verify", "forge"]).mentions("6 events, whole");
    world.says(&["mission", "publish", "forge", "a", "b"]).ended_with(5, "no daemon answers");
    // Somebody changes what was said.
    let edit = "UPDATE mission_events SET body = replace(body, '\"text\":\"2\"', '\"text\":\"9\"') WHERE seq = 3";
    let edited = Command::new("sqlite3").arg(world.store()).arg(edit).stdin(Stdio::null()).status();
    if edited.is_ok_and(|status| status.success()) {
        world.says(&["mission", "verify", "forge"]).ended_with(1, "forge: event 3 is not as it was written");
        let seen = world.says(&["mission", "verify", "forge", "--json"]);
        assert_eq!((seen.code, seen.found("event")), (Some(1), Some(json!(3))));
    } else {
        eprintln!("skipped: there is no sqlite3 here");
    }
}

#[test]
fn a_mission_goes_out_to_a_file_and_comes_in_again() {
    let mut world = forge().start();
    world.says(&["mission", "create", "forge", "--title", "The forge"]).taken();
    world.says(&["mission", "publish", "forge", "hello", "you"]).taken();
    world.says(&["mission", "checkpoint", "forge", "half"]).taken();
    let file = world.path("forge.json").display().to_string();
    world.says(&["mission", "export", "forge", &file]).mentions("forge: 2 events were written to");
    world.says(&["mission", "export", "forge", &file]).ended_with(1, "cannot be made");
    world.says(&["mission", "export", "nowhere", "-"]).ended_with(4, "there is no mission nowhere");
    let piped = world.says(&["mission", "export", "forge", "-"]).json().expect("the reference's form");
    assert_eq!((&piped["mission_id"], piped["events"].as_array().map(Vec::len)), (&json!("forge"), Some(2)));
    world.says(&["mission", "import", &file]).refused("there is a mission forge already");
    let mut other = piped.clone();
    other["mission_id"] = json!("copy");
    fs::write(world.path("copy.json"), other.to_string()).expect("a file");
    let copy = world.path("copy.json").display().to_string();
    world.says(&["mission", "import", &copy]).mentions("copy: imported, with 2 events.");
    world.says(&["mission", "verify", "copy"]).mentions("copy: 2 events, whole");
    // The same without a daemon.
    assert!(world.stop().success());
    other["mission_id"] = json!("another");
    fs::write(&copy, other.to_string()).expect("a file");
    world.forget_reader();
    world.says(&["mission", "import", &copy]).mentions("another: imported, with 2 events.");
    other["mission_id"] = json!("broken");
    other["events"][1]["sequence"] = json!(7);
    fs::write(&copy, other.to_string()).expect("a file");
    world.says(&["mission", "import", &copy]).refused("event 2 of the file has the number 7");
    let imported = world.journal().into_iter().filter(|entry| entry.kind == "mission.imported").count();
    assert_eq!(imported, 2);
}

#[test]
fn a_backup_takes_large_states_along() {
    let world = forge().start();
    world.says(&["mission", "create", "forge", "--title", "The forge"]).taken();
    let state = world.path("state.json");
    fs::write(&state, json!({"text": "x".repeat(200_000)}).to_string()).expect("a file");
    let state = state.display().to_string();
    world.says(&["mission", "checkpoint", "forge", "large", "--state", &state]).taken();
    let log = world.says(&["mission", "log", "forge", "--json"]).json().expect("JSON");
    let hash = log["events"][0]["state"]["$file"]["sha256"].as_str().expect("it refers to a file").to_owned();
    fs::create_dir(world.path("backup")).expect("a folder");
    let copy = world.path("backup/gate.db").display().to_string();
    world.says(&["backup", &copy]).mentions("1 states of missions were copied");
    assert_eq!(fs::metadata(world.path(&format!("backup/states/{hash}"))).expect("the file").len(), 200_011);
    world.says(&["mission", "join", "forge", "ada", "write"]).taken();
    let id = made(&world, &["handoff", "forge", "ada", "--yes"], "/id");
    let packet = world.says(&["mission", "resume", &id]).json().expect("the packet");
    assert_eq!(packet["checkpoint"]["state"]["text"].as_str().map(str::len), Some(200_000), "the whole of it");
}

#[test]
fn missions_outlive_the_daemon() {
    let mut world = forge().start();
    world.says(&["mission", "create", "forge", "--title", "The forge"]).taken();
    world.says(&["mission", "join", "forge", "ada", "write"]).taken();
    world.says(&["mission", "checkpoint", "forge", "half"]).taken();
    let id = made(&world, &["handoff", "forge", "ada"], "/preview");
    world.kill9();
    world.start_daemon();
    world.says(&["mission", "post", &id]).mentions(&format!("Posted: {id} is offered to ada"));
    world.kill9();
    world.start_daemon();
    world.says(&["mission", "post", &id]).refused("It was posted before");
    world.says(&["mission", "cancel", &id]).refused("It was posted before");
    assert_eq!(world.journaled("kim", "mission.handoff_offered").len(), 1);
    world.says(&["mission", "verify", "forge"]).mentions("2 events, whole");
}
