//! What the files are, and what holds between them.

use super::*;

#[test]
fn every_mission_under_ask_has_somebody_who_can_sign_off() {
    check("people: {}", &["mission \"archive\" (agent bob) is under `ask`", "mission \"forge\" (agent ada)"]);
    check(
        "people: {kim: {telegram: 5, approves: '*'}}",
        &["warning: `people`: kim may approve the mission \"archive\", but can answer on no channel", "\"forge\""],
    );
    let folder = Folder::gate("people: {kim: {local_user: 1, approves: archive}}");
    folder.write("resurrection_pool.json", r#"{"missions": {"forge": {"mode": "yes"}}}"#);
    assert!(
        folder.problems().contains("warning: `people`: nobody approves the mission \"forge\""),
        "{}",
        folder.problems()
    );
    folder.write("resurrection_pool.json", r#"{"missions": {"forge": {"mode": "no"}}}"#);
    assert_eq!(folder.problems(), "");
}

#[test]
fn the_policys_channels_are_looked_up_here() {
    for (channels, expected) in [
        (
            r#"{"telegram": {"enabled": true, "target": "ops"}}"#,
            vec!["channel is off in the gateway's file; people are asked on terminal only", "no chat \"ops\""],
        ),
        (r#"{"nostr": {"enabled": true}}"#, vec!["channel is off", "`target` is missing"]),
        (r#"{"telegram": {"enabled": false, "target": "nowhere"}}"#, vec![]),
        (r#"{"terminal": {"enabled": true}}"#, vec![]),
        (r#"{"telegramm": {"enabled": true}}"#, vec!["there is no channel \"telegramm\"; did you mean `telegram`?"]),
    ] {
        let folder = Folder::new();
        folder.write("resurrection_pool.json", format!("{{\"approval_channels\": {channels}}}"));
        let found = folder.problems();
        assert_eq!(found.lines().count(), expected.len(), "{channels}\n{found}");
        for (line, expected) in found.lines().zip(expected) {
            assert!(line.contains(expected) && line.contains(": warning: "), "{line}");
        }
    }
}

#[test]
fn the_other_files_are_located_too() {
    let folder = Folder::new();
    folder.write("lazarus-registry.yaml", "fleet:\n  ada:\n    host: 127.1\n  -x: {}\n  bob: {color: red, host: ''}\n");
    folder.write("resurrection_pool.json", "{\n \"agents\": {\"ada\": {\"mode\": \"maybe\"}},\n \"x\": 1\n}");
    folder.write("mission_bus_profiles.json", "{\"roles\": {\"lead\": \"all\"}}");
    let found = folder.problems();
    for expected in [
        "lazarus-registry.yaml:3:5: error: `fleet.ada.host`",
        "lazarus-registry.yaml:4:3: error: `fleet.-x`",
        "lazarus-registry.yaml:5:9: warning: `fleet.bob.color`",
        "resurrection_pool.json:2:21: error: `agents.ada.mode`",
        "resurrection_pool.json:3:2: warning: `x`",
        "mission_bus_profiles.json:1:12: error: `roles.lead` must be a list",
    ] {
        assert!(found.contains(expected), "{expected}\n{found}");
    }
}

#[test]
fn agents_that_cannot_be_seen_are_named() {
    struct Bare;
    impl Lookup for Bare {
        fn uid_of(&self, _: &str) -> Option<u32> {
            None
        }
        fn has_service_manager(&self) -> bool {
            false
        }
    }
    let folder = Folder::new();
    folder.write(
        "lazarus-registry.yaml",
        "fleet:\n  a: {}\n  b: {host: 10.0.0.1}\n  c: {health_endpoints: {gateway: 'localhost:80'}}\n",
    );
    let with = folder.problems();
    assert!(with.contains("3:3: warning: `fleet.b` has no signal") && !with.contains("`fleet.a`"), "{with}");
    assert!(with.contains("`fleet.c.health_endpoints.gateway` is no web address"), "{with}");
    let without = load(&folder.path("lazarus-gate.yaml"), &Bare).unwrap().warnings.to_string();
    assert!(without.contains("`fleet.a` has no signal"), "{without}");
    assert!(without.contains("there is no service manager here") && without.contains("so a, c cannot"), "{without}");
}

#[test]
fn broken_files_give_one_clear_error_each() {
    let cases: [(&str, &[u8], &str); 12] = [
        ("lazarus-gate.yaml", b"", "lazarus-gate.yaml: error: the gateway's file is empty"),
        ("lazarus-gate.yaml", b"people: {kim: {", "error: "),
        ("lazarus-gate.yaml", b"a: 1\na: 2\n", "2:1: error: the key \"a\" stands here twice"),
        ("lazarus-gate.yaml", b"[1]", "error: the file is a list"),
        ("lazarus-gate.yaml", b"x: \xff\n", "1:4: error: the gateway's file is not UTF-8 here"),
        ("lazarus-gate.yaml", b"a: 1\n---\nb: 2\n", "error: "),
        ("lazarus-registry.yaml", b"", "lazarus-registry.yaml: error: the registry is empty"),
        ("lazarus-registry.yaml", b"fleet:\n  a: {\n", "lazarus-registry.yaml:"),
        ("resurrection_pool.json", b"{\"a\": 1,}", "resurrection_pool.json:1:9: error: "),
        ("resurrection_pool.json", b"\xef\xbb\xbf{}", "1:1: error: begins with a byte order mark"),
        ("resurrection_pool.json", b"{\"mis", "resurrection_pool.json:1:"),
        ("mission_bus_profiles.json", b"{", "mission_bus_profiles.json:1:1: error: "),
    ];
    for (name, bytes, expected) in cases {
        let folder = Folder::new();
        folder.write(name, bytes);
        let problems = folder.load().expect_err(name);
        let found = folder.problems();
        assert!(found.contains(expected), "{expected}\n{found}");
        assert_eq!(problems.errors().count(), 1, "{found}");
    }
    for (name, setting) in [("lazarus-registry.yaml", "files.registry"), ("resurrection_pool.json", "files.policy")] {
        let folder = Folder::new();
        std::fs::remove_file(folder.path(name)).unwrap();
        assert!(folder.problems().contains(&format!("is not there; create it (or correct `{setting}`)")));
        std::fs::create_dir(folder.path(name)).unwrap();
        assert!(folder.problems().contains("is a folder; name a file"), "{}", folder.problems());
    }
    let folder = Folder::new();
    std::fs::remove_file(folder.path("mission_bus_profiles.json")).unwrap();
    assert!(folder.load().is_ok() && folder.problems().contains("warning: the file of profiles is not there"));
    assert!(load(Path::new("/nonexistent/x.yaml"), &users).is_err());
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_do_no_harm() {
    let folder =
        Folder::gate("\u{feff}issue: 7\r\npeople:\r\n  kim: {local_user: 1, approves: '*'}\r\nlog: {level: info}\r\n");
    assert_eq!(folder.problems(), "");
    assert_eq!(folder.config().gate.issue, 7);
}

#[test]
fn what_a_terminal_would_obey_is_made_visible() {
    let folder = Folder::gate("\"\\e[31m\\u202Ex\": 1\nlog: {level: \"\\a\"}\n");
    let found = folder.problems();
    assert!(found.contains("`\\u{1b}[31m\\u{202e}x`") && !found.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{found:?}");
}

#[test]
fn a_broken_gateway_file_does_not_hide_the_others() {
    let folder = Folder::gate("people: {kim: {\n");
    folder.write("lazarus-registry.yaml", "fleet: []\n");
    folder.write("resurrection_pool.json", "{\"default_policy\": {\"mode\": 1}}");
    assert_eq!(folder.load().unwrap_err().errors().count(), 3, "{}", folder.problems());
}

#[test]
fn every_problem_of_every_file_is_in_one_list() {
    let folder = Folder::gate("issue: x\nlog: {level: y}\nwhat: z\npeople: {}\n");
    folder.write("lazarus-registry.yaml", "fleet: []\n");
    folder.write("resurrection_pool.json", "{\"default_policy\": {\"mode\": 1}}");
    let problems = folder.load().unwrap_err();
    assert_eq!(problems.errors().count(), 5, "{problems}");
}
