//! The daemon's own life: two of them, old and new stores, stopping, and the command line without it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::world::{GATE, Restart, World, hear};

#[test]
fn a_second_daemon_is_refused_and_names_the_first() {
    let mut world = World::with_agents(&["ada"]).start();
    let pid = world.daemon().pid();
    world.says(&["run"]).ended_with(1, &format!("another lazarus-gate holds the store (pid {pid})"));
    world.says(&["status"]).taken();
}

#[test]
fn a_daemon_over_another_store_does_not_take_the_socket_of_the_first() {
    let first = World::with_agents(&["ada"]).start();
    let mut other = World::with_agents(&["bob"]);
    other.gate["socket"] = first.gate["socket"].clone();
    other.save();
    other.says(&["run"]).ended_with(1, "gate.sock");
    first.silence("ada");
    let code = first.asked_about("ada");
    first.says(&["approve", &code]).taken();
    first.until_journal("ada", "recovered");
}

#[test]
fn a_store_of_a_newer_release_is_refused_and_left_as_it_is() {
    let mut world = World::with_agents(&["ada"]).start();
    world.stop();
    world.change_store("INSERT INTO migrations (version, name, checksum) VALUES (9999, 'from the future', '00')");
    world.says(&["run"]).ended_with(1, "newer");
    world.says(&["status"]).mentions("newer");
    world.change_store("DELETE FROM migrations WHERE version = 9999");
    world.start_daemon();
}

#[test]
fn a_restored_backup_asks_anew_and_knows_no_old_approval() {
    let mut world = World::with_agents(&["ada"]).start();
    world.silence("ada");
    let old = world.asked_about("ada");
    let backup = world.path("backup.db");
    world.says(&["backup", backup.to_str().expect("a path")]).taken();
    // After the backup, it is approved, and ada lives again, for a while.
    world.says(&["approve", &old]).taken();
    world.until_journal("ada", "recovered");
    world.stop();
    world.silence("ada");
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(world.path(&format!("store/gate.db{ending}")));
    }
    fs::copy(&backup, world.store()).expect("the backup is put back");
    fs::rename(world.path("runs.log"), world.path("runs-before.log")).expect("what ran before is another story");

    world.start_daemon();
    world.until_told("the store is a restored backup: 1 request withdrawn");
    let new = world.asked_about("ada");
    assert_ne!(old, new);
    let keys: Vec<_> = world.journaled("ada", "asked").into_iter().map(|asked| asked.body["key"].clone()).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    world.says(&["approve", &old]).refused("");
    assert_eq!(world.runs_of("ada"), 0);
    world.says(&["approve", &new]).taken();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn a_command_runs_on_while_the_gate_is_restarted_and_is_settled_afterwards() {
    let mut world = World::with_agents(&["ada"]).start();
    world.restart_command(Restart::Waits);
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until("the command runs", |world| (world.runs_of("ada") == 1).then_some(()));
    let begun = Instant::now();
    assert!(world.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "stopping took {:?}", begun.elapsed());
    assert_eq!(world.shims().len(), 1, "the command goes on under its shim");
    world.start_daemon();
    world.until_probed("ada", 3);
    assert!(world.journaled("ada", "done").is_empty());
    world.let_commands_go_on();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1, "it was not started again");
}

#[test]
fn a_command_that_ends_while_no_gate_runs_is_settled_at_the_next_start() {
    let mut world = World::with_agents(&["ada"]).start();
    world.restart_command(Restart::Waits);
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until("the command runs", |world| (world.runs_of("ada") == 1).then_some(()));
    world.kill9();
    world.let_commands_go_on();
    world.until("its shim has ended", |world| world.shims().is_empty().then_some(()));
    world.start_daemon();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn without_a_daemon_the_command_line_only_reads_but_for_hold_and_revoke() {
    let mut world = World::with_agents(&["ada"]).but(|world| world.gate["timing"]["reconnect"] = json!("0ms")).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.stop();
    world.says(&["pending"]).mentions(&code);
    world.says(&["show", &code]).mentions("ada");
    world.says(&["status"]).mentions("what the store last knew");
    world.says(&["history", "ada"]).mentions("people are asked");
    world.says(&["approve", &code]).ended_with(5, "no daemon");
    world.says(&["hold", "until", "monday"]).taken();
    world.start_daemon();
    world.until_told("executions are on hold");
    world.says(&["status"]).mentions("until monday");
    world.says(&["approve", &code]).taken();
    world.until_told("not run because executions are on hold");
    assert_eq!(world.runs_of("ada"), 0);
}

#[test]
fn a_copy_of_the_store_that_is_put_back_is_recognised_too() {
    let mut world = World::with_agents(&["ada"]).start();
    world.silence("ada");
    let old = world.asked_about("ada");
    world.stop();
    let copy = world.path("copy.db");
    fs::copy(world.store(), &copy).expect("a copy of the stopped store");
    world.start_daemon();
    world.says(&["deny", &old]).taken();
    world.stop();
    fs::copy(&copy, world.store()).expect("the copy is put back");
    world.start_daemon();
    world.until_told("the store is a restored backup: 1 request withdrawn");
    assert_ne!(world.asked_about("ada"), old);
}

#[test]
fn a_request_outlives_the_gate_and_people_get_their_time_to_answer() {
    let mut world = World::with_agents(&["ada"]).but(|world| {
        world.gate["timing"]["approval_ttl"] = json!("1s");
        world.gate["timing"]["start_grace"] = json!("10m");
    });
    world.save();
    world.start_daemon();
    world.until_all_healthy();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.stop();
    // Nobody could answer while it was down.
    let from = Instant::now();
    world.until("the request's time is over", |_| (from.elapsed() > Duration::from_secs(1)).then_some(()));
    world.start_daemon();
    world.until_probed("ada", 4);
    let pending = world.pending("ada").expect("it is still pending");
    assert_eq!(pending["code"], *code);
    world.says(&["approve", pending["key"].as_str().expect("its key")]).taken();
    world.until_journal("ada", "recovered");
    assert_eq!(world.journaled("ada", "asked").len(), 1);
}

#[test]
fn a_fleet_that_dies_as_a_whole_is_brought_back_one_by_one_and_each_once() {
    let names: Vec<String> = (1..=12).map(|nth| format!("agent-{nth}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::with_agents(&names).start();
    names.iter().for_each(|name| world.silence(name));
    let codes: Vec<String> = names.iter().map(|name| world.asked_about(name)).collect();
    std::thread::scope(|scope| {
        for codes in codes.chunks(6) {
            let voter = world.command_line();
            scope.spawn(move || {
                for code in codes {
                    voter.says(&["approve", code]).taken();
                }
            });
        }
    });
    for name in names {
        world.until_journal(name, "recovered");
        assert_eq!(world.runs_of(name), 1, "{name}");
    }
}

#[test]
fn a_good_tick_is_told_to_whoever_watches_the_gate() {
    let mut world = World::with_agents(&["ada", "watcher"]);
    let url = world.registry["fleet"]["watcher"]["health_endpoints"]["gateway"].clone();
    world.registry["fleet"].as_object_mut().expect("a mapping").remove("watcher");
    world.gate["schedule"]["heartbeat_url"] = url;
    world.save();
    world.start_daemon();
    world.until_probed("watcher", 3);
    world.silence("watcher");
    world.until_probed("watcher", 3);
    world.says(&["status"]).taken();
}

#[test]
fn answers_can_be_typed_where_the_gate_runs() {
    let mut world = World::with_agents(&["ada"]);
    world.save();
    world.spawn_daemon(&["--stdin"], None);
    world.until_daemon_answers();
    world.until_all_healthy();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.daemon().types("please restart it");
    world.until_told("not understood");
    world.daemon().types(&format!("approve {code}"));
    world.until_told("your approval is taken");
    world.until_journal("ada", "recovered");
}

#[test]
fn a_black_holed_agent_does_not_hold_up_the_end() {
    let mut world = World::with_agents(&["ada"]).but(|world| {
        world.gate["schedule"] = json!({"interval": "30s", "probe_deadline": "30s"});
        // Takes connections, and never answers.
        let hole = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}/", hole.local_addr().expect("its address"));
        world.registry["fleet"]["hole"] = json!({"host": "127.0.0.1", "health_endpoints": {"gateway": url}});
        std::mem::forget(hole);
    });
    world.save();
    world.start_daemon();
    world.until("the first sweep has begun", |world| (world.probes_of("ada") > 0).then_some(()));
    let begun = Instant::now();
    assert!(world.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "stopping took {:?}", begun.elapsed());
}

#[test]
fn the_quickstart_plays_by_itself_and_leaves_nothing_running() {
    let world = World::with_agents(&[]);
    let folder = world.path("quickstart");
    let mut command = Command::new(GATE);
    let heard = hear(
        {
            command.args(["quickstart", "--auto", "--dir"]).arg(&folder);
            command
        },
        &["quickstart"],
    );
    heard.taken();
    for told in
        ["Approval required to revive ada", "approved by me (Nostr)", "alive again, verified", "All of it happened."]
    {
        heard.mentions(told);
    }
    world.until("nothing of it runs", |world| world.processes_naming(&folder).is_empty().then_some(()));
}

#[test]
fn what_the_script_knew_is_imported_once_and_only_if_it_could_be_read() {
    let mut world = World::with_agents(&["ada"]);
    world.gate["import_state"] = json!(world.path("state.json"));
    world.gate["timezone"] = json!("UTC");
    world.silence("ada");
    world.write("state.json", "{");
    world.save();
    world.start_daemon_with(&["--observe"]);
    world.stop();
    assert!(world.journaled("", "state_imported").is_empty(), "a torn file is not done with");
    assert!(!world.log.text().contains('\u{1b}'), "no colours where no terminal is: {}", world.log.text());

    // 2026-04-15T04:04:06Z, as the script writes it.
    world.write("state.json", r#"{"ada": {"last_checked_at": 1.0, "last_healthy_at": 1776225846.25}, "gone": {}}"#);
    world.forget_reader();
    fs::remove_dir_all(world.path("store")).expect("another first start");
    fs::create_dir(world.path("store")).expect("the store's folder");
    world.start_daemon();
    assert_eq!(world.journaled("", "state_imported")[0].body["agents"], 1);
    world.asked_about("ada");
    world.until_told("Last healthy at 2026-04-15 04:04:06");
    world.stop();
    world.start_daemon();
    assert_eq!(world.journaled("", "state_imported").len(), 1, "once");
    world.may_end_half_done();
}

#[test]
fn what_is_not_there_has_an_exit_code_of_its_own() {
    let world = World::with_agents(&["ada"]).start();
    for (said, words) in [
        (["approve", "7K3QXM"].as_slice(), "there is no request 7K3QXM"),
        (&["deny", "7K3QXM"], "there is no request 7K3QXM"),
        (&["snooze", "7K3QXM", "1h"], "there is no request 7K3QXM"),
        (&["substitute", "7K3QXM", "ada"], "there is no request 7K3QXM"),
        (&["show", "7K3QXM"], "there is no such request"),
        (&["ask", "nobody"], "the registry has no agent nobody"),
        (&["explain", "nobody"], "there is no such request or agent"),
        (&["revoke", "nobody"], "`people` has no nobody"),
        (&["inbox", "retry", "nothing"], "no input nothing was set aside"),
    ] {
        world.says(said).ended_with(4, words);
    }
}

#[test]
fn a_quickstart_that_is_stopped_ends_a_command_that_overruns() {
    let world = World::with_agents(&[]);
    let folder = world.path("quickstart");
    let config = folder.join("lazarus-gate.yaml").display().to_string();
    let mut command = Command::new(GATE);
    command.args(["quickstart", "--dir"]).arg(&folder).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut quickstart = command.spawn().expect("the quickstart starts");
    let says = |verb: &str| {
        let mut command = Command::new(GATE);
        command.args([verb, "--json", "--config", &config]);
        hear(command, &[verb])
    };
    world.until("bob is seen", |_| {
        let status: String = says("status").out.split_whitespace().collect();
        status.contains("\"healthy\":3").then_some(())
    });
    // From now on the restart of bob, who is restarted by himself, neither ends nor heeds a SIGTERM.
    let text = fs::read_to_string(&config).expect("its configuration");
    let (begun, template) = (folder.join("begun"), text.lines().find(|line| line.contains("run: [")));
    let script = format!("trap '' TERM; : > '{}'; while :; do sleep 1; done", begun.display());
    let hangs = json!({"agents": "*", "run": ["/bin/sh", "-c", script, "{agent}"], "timeout": "10min"});
    let text = text.replace(template.expect("its template"), &format!("  - {hangs}"));
    world.write("new-config", &text);
    fs::rename(world.path("new-config"), &config).expect("the configuration is replaced");
    world.until("the new template is in force", |_| says("history").out.contains("new_config").then_some(()));
    let pid = fs::read_to_string(folder.join("agents/bob.pid")).expect("bob's process");
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::KILL).expect("bob is killed");
    world.until("the command has begun", |_| begun.exists().then_some(()));

    let id = i32::try_from(quickstart.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(id, Signal::INT).expect("Ctrl-C");
    assert!(quickstart.wait().expect("it ends").success());
    world.until("nothing of it runs", |world| world.processes_naming(&folder).is_empty().then_some(()));
}

#[test]
fn a_damaged_case_keeps_nobody_from_a_start() {
    let mut world = World::with_agents(&["ada", "bob"]).start();
    for agent in ["ada", "bob"] {
        world.silence(agent);
        world.asked_about(agent);
    }
    let code = world.asked_about("bob");
    world.stop();
    world.change_store("UPDATE incidents SET body = '{\"damaged\":' || body || '}' WHERE agent = 'ada'");
    world.start_daemon();
    for look in ["status", "pending"] {
        world.says(&[look]).mentions("CANNOT BE READ").mentions(&code);
    }
    world.says(&["approve", &code]).taken();
    world.until_journal("bob", "recovered");
    world.until_journal("ada", "broken_promise");
    world.stop();
    world.change_store("UPDATE incidents SET body = substr(body, 12, length(body) - 12) WHERE agent = 'ada'");
    world.start_daemon();
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "recovered");
}
