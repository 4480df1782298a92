//! What restart commands do to those who start them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use crate::world::{Daemon, GATE, Inside, Restart, World, pause};

#[test]
fn a_command_fails_and_people_are_asked_anew_with_what_happened() {
    let world = World::with_agents(&["ada"]).start();
    world.restart_command(Restart::Fails(3));
    world.silence("ada");
    let first = world.asked_about("ada");
    world.says(&["approve", &first]).taken();
    let failed = world.until_journal("ada", "failed");
    world.until_told("the restart failed");
    let asked = world.until_journaled("ada", "asked", 2);
    assert!(asked.at_ms >= failed.at_ms + 300, "not before reask_after");
    world.restart_command(Restart::Revives);
    let second = world.asked_about("ada");
    world.until_told("1 attempt in this incident did not help.");
    world.says(&["approve", &second]).taken();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 2, "each approval ran once");
}

#[test]
fn a_command_hangs_and_nothing_starts_by_itself_after_it() {
    // Even under yes: what the command began may still go on.
    let world = World::with_agents(&["ada"]).but(|world| {
        world.policy["agents"]["ada"] = json!({"mode": "yes"});
        world.gate["restart"][0]["timeout"] = json!("300ms");
        world.gate["timing"]["verify_for"] = json!("500ms");
    });
    world.restart_command(Restart::Hangs);
    let world = world.start();
    world.silence("ada");
    world.until_journal("ada", "unknown");
    world.until_told("its command may still run");
    world.until_journal("ada", "not_recovered");
    world.asked_about("ada");
    world.until_probed("ada", 5);
    assert_eq!(world.runs_of("ada"), 1, "people are asked, nothing else runs");
}

#[test]
fn a_command_prints_a_gigabyte_and_little_of_it_is_kept() {
    let world = World::with_agents(&["ada"]).start();
    world.restart_command(Restart::Prints1Gb);
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "recovered");
    let started = world.until_journal("ada", "started");
    let run = world.path("store/runs").join(started.body["run"].as_str().expect("its run file"));
    let kept = fs::metadata(run).expect("it is there").len();
    assert!(kept < 1 << 20, "{kept} bytes are kept");
}

#[test]
fn an_agent_that_does_not_come_back_is_not_called_alive() {
    let world = World::with_agents(&["ada"]).but(|world| world.gate["timing"]["verify_for"] = json!("500ms"));
    world.restart_command(Restart::ChangesNothing);
    let world = world.start();
    world.silence("ada");
    let first = world.asked_about("ada");
    world.says(&["approve", &first]).taken();
    world.until_journal("ada", "done");
    world.until_told("restarted: the command ended well; checking that it lives");
    world.until_journal("ada", "not_recovered");
    world.until_told("the restart did not help: gateway_unreachable");
    assert!(!world.was_told("alive again"));
    let second = world.asked_about("ada");
    assert_ne!(first, second);
}

#[test]
fn a_cut_ssh_is_unknown_and_not_a_failure() {
    let mut world = World::with_agents(&["ada"]);
    world.write("ssh", "#!/bin/sh\nexit 255\n");
    let ssh = world.path("ssh");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).expect("a program");
    world.gate["restart"][0]["run"] = json!([ssh, "{host}", "systemctl", "restart", "{unit}"]);
    world.gate["timing"]["verify_for"] = json!("500ms");
    let world = world.start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "unknown");
    // It may have worked after all: probes look.
    world.revive("ada");
    world.until_journal("ada", "verified");
    world.until_journal("ada", "recovered");
}

#[test]
fn a_remote_agent_without_a_template_cannot_be_restarted_from_here() {
    let world = World::with_agents(&["ada"]).but(|world| {
        world.registry["fleet"]["ada"]["host"] = json!("ada.example");
        world.gate.as_object_mut().expect("a mapping").remove("restart");
    });
    let world = world.start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.until_told("It cannot be restarted from here, so `approve` is not offered.");
    assert!(!world.was_told(&format!("approve {code}")));
    world.says(&["approve", &code]).refused("it cannot be restarted from here");
    assert_eq!(world.pending_code("ada"), Some(code), "the request stays pending");
}

#[test]
fn what_a_command_prints_reaches_no_terminal_as_it_is() {
    let world = World::with_agents(&["ada"]).start();
    world.write("restart.sh", "printf '\\033[2Jgone\\033]0;title\\007 \\342\\200\\256desrever\\r\\n' >&2; exit 1\n");
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until_told("the restart failed");
    let history = world.says(&["history", "ada"]);
    let shown = [world.told.text(), history.taken().to_owned()];
    for text in shown {
        assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{text:?}");
    }
}

#[test]
fn a_command_has_the_descriptors_that_the_gate_was_started_with() {
    let mut world = World::with_agents(&["ada"]);
    world.save();
    let (limited, soft) = (world.path("limited.sh"), world.path("soft"));
    world.write("limited.sh", &format!("#!/bin/sh\nulimit -Sn 300\nexec '{GATE}' \"$@\"\n"));
    fs::set_permissions(&limited, fs::Permissions::from_mode(0o755)).expect("a script that can be run");
    let script = fs::read_to_string(world.path("restart.sh")).expect("the restart command");
    world.write("restart.sh", &format!("ulimit -Sn > '{}'\n{script}", soft.display()));
    world.daemon = Some(Daemon::start(&limited, &world.config(), &[], &[], &world.told, &world.log));
    world.until_daemon_answers();
    world.until_all_healthy();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "recovered");
    assert_eq!(fs::read_to_string(soft).expect("the command's limit").trim(), "300");
}

#[test]
fn run_files_go_with_their_executions_and_strays_by_their_age() {
    let mut world = World::with_agents(&["ada", "bob"]).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "recovered");
    world.restart_command(Restart::Waits);
    world.silence("bob");
    let code = world.asked_about("bob");
    world.says(&["approve", &code]).taken();
    world.until("bob's command runs", |world| (world.runs_of("bob") == 1).then_some(()));
    world.stop();

    let runs = world.runs();
    let all = world.path("store/runs");
    let path = |name: &str| all.join(name);
    let attempt = |run: &str, number: u32| format!("{}-{number}", run.rsplit_once('-').expect("a run's name").0);
    let (ada, bob) = (&runs[0].1, &runs[1].1);
    let (never_started, coming) = (attempt(ada, 7), attempt(bob, 7));
    let left = [never_started.as_str(), coming.as_str(), "nobody-1", "nobody-1.packet", "lately-1", "notes"];
    for name in left {
        fs::write(path(name), "").expect("a file");
    }
    let lately = fs::File::open(path("lately-1")).expect("the file");
    let far_ahead = UNIX_EPOCH + Duration::from_secs(10_000_000_000);
    lately.set_modified(far_ahead).expect("its time can be set");
    world.gate["retention"] = json!({"runs": "1ms"});
    world.save();
    world.start_daemon();
    world.until("the strays are gone", |_| (!path("nobody-1").exists()).then_some(()));
    world.until("retention has looked at all", |world| {
        let tasks = world.says(&["status", "--json"]).out;
        tasks.contains("3 deleted").then_some(())
    });
    for (name, stays) in [
        (ada.as_str(), false),
        (never_started.as_str(), false),
        ("nobody-1", false),
        ("nobody-1.packet", false),
        (bob.as_str(), true),
        (coming.as_str(), true),
        ("lately-1", true),
        ("notes", true),
    ] {
        assert_eq!(path(name).exists(), stays, "{name}");
    }
    world.let_commands_go_on();
    world.until_journal("bob", "recovered");
}

#[test]
fn a_fleet_that_waited_for_the_disk_is_not_started_all_at_once() {
    let names: Vec<String> = (0..70).map(|number| format!("a{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::with_agents(&names).but(|world| world.policy["default_policy"]["mode"] = json!("yes"));
    world.restart_command(Restart::Waits);
    let inside = Inside::of(world);
    inside.pass(Duration::from_secs(60));
    for name in &names {
        inside.world.silence(name);
    }
    inside.pass(Duration::from_secs(120));
    assert_eq!(inside.world.live_executions().len(), names.len());
    // Each is looked at once more, and then its file cannot be made.
    let (runs, aside) = (inside.world.path("store/runs"), inside.world.path("store/aside"));
    fs::rename(&runs, &aside).expect("the folder is moved");
    inside.pass_unnoticed(Duration::from_secs(150));
    let looked: Vec<u64> = names.iter().map(|name| inside.world.probes_of(name)).collect();
    inside.carries_out();
    inside.world.until("all were tried", |world| {
        names.iter().zip(&looked).all(|(name, before)| world.probes_of(name) > *before).then_some(())
    });
    fs::rename(&aside, &runs).expect("the folder is moved back");
    let run = || inside.world.runs().len();
    inside.world.until("many commands run", |_| (run() >= 64).then_some(()));
    // The second tries come two seconds after the first ones.
    pause(Duration::from_secs(3));
    assert_eq!(run(), 64);
    inside.world.let_commands_go_on();
    inside.world.until("all have run", |_| (run() == names.len()).then_some(()));
}
