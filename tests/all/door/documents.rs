//! The programs in docs/agents.md are run as they stand there.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use lazarus_gate::mission::MissionRole;
use serde_json::json;

use super::{agent, door, open};
use crate::world::World;

/// What stands in the page between the fences of that kind; the first one after `heading`.
fn code(heading: &str, kind: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/agents.md")).unwrap();
    let after = page.split(&format!("\n## {heading}\n")).nth(1).expect("the heading");
    let code = after.split(&format!("```{kind}\n")).nth(1).expect("the code").split("```").next().unwrap();
    code.to_owned()
}

/// The documents speak of the mission forge.
fn world() -> World {
    open(&["forge"], &[], |_| {})
}

fn run(world: &World, mut program: Command) -> Option<Output> {
    program.env("DOOR", format!("http://{}", door(world).unwrap())).current_dir(world.path("."));
    match program.output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("NOT TESTED: {program:?}: {error}");
            None
        }
    }
}

#[test]
fn the_commands_of_the_page_work() {
    let world = world();
    let lead = agent(&world, "forge");
    fs::write(world.path("ada.token"), lead.token.clone().unwrap()).unwrap();
    let script = code("With curl", "sh").replace("missions/forge/", "missions/forge-mission/");
    let script = script.replace("\"mission\": \"forge\"", "\"mission\": \"forge-mission\"");
    let mut sh = Command::new("sh");
    sh.arg("-euc").arg(&script);
    let has_curl = Command::new("curl").arg("--version").output().is_ok();
    let Some(output) = run(&world, sh).filter(|_| has_curl) else { return };
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}\n{script}");
    assert!(out.contains("\"summary\":\"before review\"") && out.contains("\"counts\":false"), "{out}");
}

#[test]
fn the_python_program_of_the_page_works() {
    let world = open(&["forge"], &[("forge-mission", "bob", MissionRole::Write)], |_| {});
    let (forge, bob) = (agent(&world, "forge"), agent(&world, "bob"));
    let at = "/v1/missions/forge-mission";
    let checkpoint = json!({"summary": "half of it", "state": {"branch": "fix/883"}});
    forge.post(&format!("{at}/checkpoints"), checkpoint).taken();
    let offered = forge.post(&format!("{at}/handoffs"), json!({"recipient": "bob"})).taken().clone();
    fs::write(world.path("bob.token"), bob.token.clone().unwrap()).unwrap();
    let program = code("With Python", "python").replace("\"forge\"", "\"forge-mission\"");
    let python = || {
        let mut python = Command::new("python3");
        python.arg("-c").arg(&program);
        python
    };
    let Some(output) = run(&world, python()) else { return };
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}\n{program}");
    assert_eq!(out.trim(), "going on from {'branch': 'fix/883'}");
    let accepted = world.until_journal("bob", "mission.handoff_accepted");
    assert_eq!(accepted.body["handoff"], offered["handoff_id"]);
    let again = run(&world, python()).expect("python3");
    assert!(again.status.success(), "restarted by itself: {}", String::from_utf8_lossy(&again.stderr));
    fs::write(world.path("bus.nonce"), "of-an-incarnation-that-was-not-first").unwrap();
    let other = run(&world, python()).expect("python3");
    assert!(!other.status.success() && String::from_utf8_lossy(&other.stderr).contains("replaced"), "it has no right");
}
