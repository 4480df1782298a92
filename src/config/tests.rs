use std::path::{Path, PathBuf};
use std::time::Duration;

use super::gate::{Approves, PeopleSeen};
use super::*;

const REGISTRY: &str = "\
fleet:
  ada: {mission: forge, health_endpoints: {gateway: 'http://127.0.0.1:1/'}, substitutes: [bob]}
  bob: {host: 10.0.0.7, mission: archive, health_endpoints: {gateway: 'http://10.0.0.7:1/'}}
";
const POLICY: &str = r#"{"default_policy": {"mode": "ask"}}"#;
const PEOPLE: &str = "people: {kim: {local_user: 1000, approves: '*'}}\n";

/// Four files in a folder of their own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("lazarus-gate.yaml", PEOPLE);
        folder.write("lazarus-registry.yaml", REGISTRY);
        folder.write("resurrection_pool.json", POLICY);
        folder.write("mission_bus_profiles.json", "{}");
        folder
    }

    fn gate(text: &str) -> Self {
        let folder = Self::new();
        folder.write("lazarus-gate.yaml", text);
        folder
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Loaded, Problems> {
        load(&self.path("lazarus-gate.yaml"), &users)
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).config
    }

    /// All problems, without the folder's name.
    fn problems(&self) -> String {
        let problems = match self.load() {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        };
        problems.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn users(name: &str) -> Option<u32> {
    match name {
        "kim" => Some(1000),
        "lee" => Some(1001),
        _ => None,
    }
}

/// `text` as the gateway's file, with people unless it names some, has exactly these problems.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let whole = if text.starts_with("people:") { text.to_owned() } else { format!("{text}\n{PEOPLE}") };
    let folder = Folder::gate(&whole);
    let found = folder.problems();
    let found: Vec<&str> = if found.is_empty() { Vec::new() } else { found.lines().collect() };
    assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        let found = found.strip_prefix("lazarus-gate.yaml:").unwrap_or(found);
        assert!(found.contains(expected), "{text}\nfound    {found}\nexpected {expected}");
    }
}

#[test]
fn defaults_are_those_of_the_documents() {
    let folder = Folder::new();
    let config = folder.config();
    let gate = &config.gate;
    assert_eq!(gate.store.path, Path::new("/var/lib/lazarus-gate/gate.db"));
    assert_eq!(gate.socket, Path::new("/run/lazarus-gate/gate.sock"));
    assert_eq!(gate.files.registry, folder.path("lazarus-registry.yaml"));
    assert_eq!((gate.issue, gate.observe, gate.progress), (882, false, true));
    assert_eq!(gate.schedule.interval, Duration::from_secs(30));
    assert_eq!(gate.schedule.jitter, 0.1);
    assert_eq!(gate.timing.back_off, [60, 300, 900].map(Duration::from_secs));
    assert_eq!(gate.retention.inputs, Duration::from_secs(30 * 86400));
    assert_eq!(gate.unit_of(&crate::pool::AgentName::new("ada").unwrap()), "hermes-ada.service");
    assert!(gate.channels.terminal.enabled && !gate.channels.terminal.input);
    assert!(gate.restart.is_empty() && gate.substitute.is_none());
    assert_eq!(gate.systemctl_restart.argv, ["systemctl", "restart", "{unit}"]);
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let folder = Folder::gate(
        "store: {path: var/gate.db}
import_state: old.json
socket: run/s
timezone: UTC
units: {bob: 'bob@1.service'}
schedule: {interval: 1m, jitter: 25%, probe_deadline: 500ms, heartbeat_url: 'https://x.example/secret'}
timing: {approval_ttl: 1h 30m, back_off: 2s, healthy_for: 0s}
restart:
- {agents: bob, hosts: ['*'], run: [ssh, '{host}', restart, '{unit}', 5], env: [SSH_AUTH_SOCK], output_limit: 1MiB}
- {agents: [ada], run: [touch, '{agent}-{{x}}'], timeout: 50ms}
substitute: {run: [hand, '{agent}', '{substitute}', '{mission}']}
people:
  kim: {local_user: kim, telegram: 123, approves: [forge], participant: {forge: {name: kim, role: lead}}}
  lee: {local_user: 1001, nostr: npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg, approves: '*'}
channels: {terminal: on, telegram: {chats: {ops-room: {chat: -100, topic: 3}}}, nostr: {audiences: {a: {people: [lee]}}}}
log: {format: json, level: debug}
observe: yes
",
    );
    assert_eq!(folder.problems(), "");
    let gate = folder.config().gate;
    assert_eq!(gate.store.path, folder.path("var/gate.db"));
    assert_eq!(gate.store.import_state, Some(folder.path("old.json")));
    assert_eq!(gate.schedule.jitter, 0.25);
    assert_eq!(gate.timing.approval_ttl, Duration::from_secs(5400));
    assert_eq!(gate.timing.back_off, [Duration::from_secs(2)]);
    assert_eq!(gate.restart[0].argv[4], "5");
    assert_eq!(gate.restart[0].output_limit, 1 << 20);
    assert!(gate.restart[0].covers("bob", Some("10.0.0.7")) && !gate.restart[0].covers("ada", None));
    assert!(gate.observe);
    assert_eq!(gate.people[0].uid, Some(1000));
    assert_eq!(gate.people[1].approves, Approves::All);
    assert_eq!(gate.people[1].nostr.first().map(String::len), Some(64));
    let shown = format!("{gate:?}");
    assert!(!shown.contains("x.example/secret"), "a heartbeat address does not print");
}

#[test]
fn each_mistake_has_its_line_and_what_would_be_right() {
    for (text, expected) in [
        ("scedule: {}", "1:1: error: unknown key `scedule`; did you mean `schedule`?"),
        ("log:\n  levl: info", "2:3: error: unknown key `log.levl`; did you mean `level`?"),
        ("log: {level: loud}", "1:7: error: `log.level`: \"loud\" is not known; known are `error`"),
        ("log: text", "1:1: error: `log` is text; write `key: value` lines"),
        ("schedule: {interval: 30}", "1:12: error: `schedule.interval`: 30 has no unit; write for example 30s or 30ms"),
        ("schedule: {interval: soon}", "\"soon\" is no length of time; write a number with a unit"),
        ("schedule: {interval: -30s}", "is negative"),
        ("schedule: {interval: 0s}", "is too short; write at least 1ms"),
        ("schedule: {interval: 5s}", "the interval (5s) is shorter than the probe deadline (10s); write an `interval`"),
        ("schedule: {probe_deadline: 31s}", "1:12: error: `schedule.probe_deadline`: the interval (30s) is shorter"),
        ("schedule: {jitter: 0.6}", "`schedule.jitter`: is out of range; write a share from 0 to 0.5"),
        ("schedule: {jitter: 60%}", "is out of range"),
        ("schedule: {jitter: some}", "that is no share"),
        ("schedule: {concurrency: 0}", "0 is out of range; write 1 to 1000000"),
        ("schedule: {concurrency: -1}", "is -1; write a whole number"),
        ("schedule: {heartbeat_url: 'ftp://x'}", "is no web address"),
        ("timing: {back_off: []}", "is an empty list"),
        ("timing:\n  back_off: [1m, 5]", "2:18: error: `timing.back_off[1]`: 5 has no unit"),
        ("timing: {reask_max: 1m}", "1m is shorter than `reask_after` (15m)"),
        ("timing: {verify_for: 1s}", "nothing could be verified"),
        ("timezone: Mars/Olympus", "\"Mars/Olympus\" is not known on this machine; write an IANA name"),
        ("issue: many", "`issue`: is text; write a whole number"),
        ("socket: ''", "`socket`: is empty"),
        ("store: {path: ~/gate.db}", "`~` is not expanded here"),
        ("unit: hermes.service", "{agent} must stand in it exactly once"),
        ("unit: '-{agent}.service'", "must not begin with '-'"),
        ("units: {ada: 'ada; rm'}", "`units.ada`: ';' cannot be in a unit's name"),
        ("units: {bib: bib.service}", "`units.bib`: no agent of the registry has this name; did you mean `bob`?"),
        ("units: {-x: x.service}", "\"-x\" is no agent name"),
        ("local_hosts: [127.1]", "1:15: error: `local_hosts[0]` is a number; write text (in quotes if need be)"),
        ("local_hosts: ['a b']", "\"a b\" is no host"),
        ("progress: maybe", "is text; write true or false"),
        ("channels: {telegram: on}", "`channels.telegram`: Telegram does not exist in this version"),
        ("channels: {nostr: {enabled: true}}", "1:20: error: `channels.nostr`: Nostr does not exist in this version"),
        ("channels: {telegram: {token: '1:secret'}}", "put it into a file of its own and name that in `token_file`"),
        ("channels: {telegram: {chats: {x: {chat: '@ops'}}}}", "is no chat id; write the number"),
        ("channels: {telegram: {chats: {x: {}}}}", "`channels.telegram.chats.x.chat`: is missing"),
        ("channels: {telegram: {chats: {x: {chat: 1, topic: a}}}}", "is no topic id"),
        ("channels: {nostr: {audiences: {a: {people: [kin]}}}}", "\"kin\" is not in `people`; did you mean `kim`?"),
        (
            "channels: {nostr: {audiences: {a: {people: [kim]}}}}",
            "warning: `channels.nostr.audiences.a.people`: kim has no",
        ),
        ("channels: {terminal: off}", "`channels`: no channel is on, but ada is under `ask`"),
        ("channels: {smoke: on}", "unknown key `channels.smoke`"),
        ("retention: {inputs: 900000h}", "is longer than ten years"),
    ] {
        check(text, &[expected]);
    }
}

#[test]
fn commands_are_argument_vectors_with_known_placeholders() {
    for (text, expected) in [
        ("restart: reboot", "`restart`: is text; write a list of templates"),
        ("restart:\n- {agents: ada}", "2:3: error: `restart[0].run`: is missing"),
        ("restart: [{run: 'ssh x', agents: ada}]", "is text; write a list, one item an argument"),
        ("restart: [{run: [], agents: ada}]", "is an empty list; write the program"),
        ("restart: [{run: [' '], agents: ada}]", "names no program"),
        ("restart: [{run: ['{agent}'], agents: ada}]", "the program itself cannot be {agent}"),
        ("restart: [{run: [x, '{agnt}'], agents: ada}]", "{agnt} is not known; did you mean `agent`?"),
        ("restart: [{run: [x, '{mission}'], agents: ada}]", "{mission} does not exist here"),
        ("restart: [{run: [x, {agent}], agents: ada}]", "is a mapping; write text (write \"{agent}\" in quotes)"),
        (
            "restart: [{run: [x], agents: [ava]}]",
            "`restart[0].agents`: no agent of the registry is called \"ava\"; did you mean",
        ),
        ("restart: [{run: [x], agents: []}]", "would apply to nothing"),
        (
            "restart: [{run: [x], agents: bob}]",
            "1:12: error: `restart[0]` would run on this machine for remote agents (bob)",
        ),
        ("restart: [{run: [ssh, '{host}'], agents: ada}]", "applies to agents without a host (ada)"),
        ("restart: [{run: [x, '{'], agents: ada}]", "`restart[0].run[1]` has a single brace"),
        ("restart: [{run: [x], hosts: 10.0.0.9}]", "warning: `restart[0]` applies to no agent"),
        ("restart: [{run: [x], agents: ada, env: [A=1]}]", "write only the name \"A\""),
        ("restart: [{run: [x], agents: ada, env: [1A]}]", "is no name of a variable"),
        ("restart: [{run: [x], agents: ada, output_limit: 1GB}]", "is no size"),
        ("restart: [{run: [x], agents: ada, output_limit: 1000MiB}]", "is out of range"),
        ("restart: [{run: [x], agents: ada, timeout: 60}]", "has no unit"),
        ("restart: [{run: [x], agent: ada, agents: ada}]", "unknown key `restart[0].agent`; did you mean `agents`?"),
        (
            "restart: [{run: [/bin/sh, -c, 'x {agent}'], agents: ada}]",
            "warning: `restart[0].run[2]`: {agent} becomes part of a script",
        ),
        ("systemctl_restart: {run: [systemctl, restart]}", "does not contain {unit}"),
        ("substitute: {timeout: 5s}", "`substitute.run`: is missing"),
        ("substitute: {run: [x, '{host}']}", "{host} does not exist here"),
    ] {
        let expected: &[&str] = match text.contains("agents: [ava]") || text.contains("agents: []") {
            // A template for nobody is told twice: the wrong name, and that nobody is left.
            true => &[&["applies to no agent"], &[expected][..]].concat(),
            false => &[expected],
        };
        check(text, expected);
    }
    check("restart: [{run: [x], hosts: 10.0.0.7}]", &[]);
    check("restart: [{run: [x, '{host}'], agents: bob}]", &[]);
    check("restart: [{run: [x, '{{.Name}} {agent}'], agents: ada}]", &[]);
}

#[test]
fn people_are_told_apart() {
    let person = |entry: &str| format!("people: {{kim: {{local_user: 1000, approves: '*'}}, {entry}}}");
    for (entry, expected) in [
        ("lee: {local_user: 1000}", "kim and lee are both the local user 1000; one identity belongs to one person"),
        ("lee: {local_user: kim}", "kim and lee are both the local user 1000"),
        ("lee: {local_user: nobody-here}", "warning: `people.lee.local_user`: there is no user \"nobody-here\""),
        ("lee: {local_user: 4294967295}", "is no user id"),
        ("lee: {local_user: -1}", "is no user id"),
        ("lee: {local_user: [1]}", "is a list; write a user's name"),
        ("lee: {telegram: '@lee'}", "is text; write the numeric user id without quotes, never a username"),
        ("lee: {telegram: -100}", "is the id of a group"),
        ("lee: {nostr: [npub1x]}", "`people.lee.nostr[0]` is no Nostr public key"),
        (
            "lee: {nostr: nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5}",
            "is a secret key (nsec); remove it",
        ),
        (
            "lee: {telegram: 5, approves: [frge]}",
            "`people.lee.approves`: there is no mission \"frge\"; did you mean `forge`?",
        ),
        ("lee: {telegram: 5, approves: ['a b']}", "\"a b\" is no mission name"),
        ("lee: {telegram: 5, approve: []}", "unknown key `people.lee.approve`; did you mean `approves`?"),
        ("lee: {telegram: 5, participant: {forge: {role: lead}}}", "`people.lee.participant.forge.name`: is missing"),
        ("lee: {telegram: 5, participant: {forge: {name: l, role: boss}}}", "\"boss\" is not known"),
        ("lee: {}", "warning: `people.lee`: nothing says how lee is recognised"),
        ("lee: 5", "error: `people.lee` is a number"),
        ("'l e': {telegram: 5}", "is no name for a person"),
    ] {
        let text = person(entry);
        let found = Folder::gate(&text).problems();
        assert!(found.contains(expected), "{entry}\n{found}");
        assert!(!found.contains("nsec1vl0"), "a secret is never repeated");
        let errors = found.lines().filter(|line| line.contains(": error: ")).count();
        assert_eq!(errors, usize::from(!expected.starts_with("warning")), "{found}");
    }
    let two = "people:\n  kim: {telegram: 5, approves: '*', local_user: 1}\n  lee: {telegram: 5}\n";
    check(two, &["3:9: error: `people.lee.telegram`: kim and lee are both the Telegram user 5"]);
    let key = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e";
    let npub = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg";
    let two = format!("people: {{kim: {{local_user: 1, approves: '*', nostr: {npub}}}, lee: {{nostr: [{key}]}}}}");
    check(&two, &["are both the Nostr key"]);
}

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
fn every_problem_of_every_file_is_in_one_list() {
    let folder = Folder::gate("issue: x\nlog: {level: y}\nwhat: z\npeople: {}\n");
    folder.write("lazarus-registry.yaml", "fleet: []\n");
    folder.write("resurrection_pool.json", "{\"default_policy\": {\"mode\": 1}}");
    let problems = folder.load().unwrap_err();
    assert_eq!(problems.errors().count(), 5, "{problems}");
}

#[test]
fn a_removal_counts_although_the_rest_is_broken() {
    let before = Folder::gate("people: {kim: {local_user: kim, approves: '*'}, lee: {local_user: lee, approves: '*'}}");
    let before = before.config().gate.people.clone();
    let seen = |text: &str| -> Option<PeopleSeen> {
        let folder = Folder::gate(text);
        load_people_only(&folder.path("lazarus-gate.yaml"), &users)
    };
    let left = |text: &str| -> Vec<(String, Option<u32>, bool)> {
        let left = seen(text).unwrap().narrow(&before);
        left.into_iter().map(|person| (person.id, person.uid, person.approves == Approves::All)).collect()
    };
    let kim = ("kim".to_owned(), Some(1000), true);
    let lee = ("lee".to_owned(), Some(1001), true);
    // Another section is wrong, or is no YAML at all, or lee's own entry is wrong.
    assert_eq!(left("people:\n  kim: {local_user: kim, approves: '*'}\nlog: {level: x}\n"), [kim.clone()]);
    assert_eq!(left("people:\n  kim: {local_user: kim, approves: '*'}\nlog: {{{ [\n"), [kim.clone()]);
    assert_eq!(left("people:\n  lee: {local_user: 1001, telegram: oops}\nx: 1\n"), [lee]);
    // Less authority counts, more does not.
    let narrowed = left("people:\n  kim: {local_user: 77, approves: [forge]}\n  new: {local_user: 5, approves: '*'}\n");
    assert_eq!(narrowed, [("kim".to_owned(), None, false)]);
    assert_eq!(left("people: {}\nlog: [}\n"), []);
    // Nothing can be read there.
    for unreadable in [
        "",
        "people:\n",
        "people: 5\n",
        "log: {}\n",
        "people:\n  kim: {\n",
        "people: []\nlog: {[\n",
        "people:\n  lee: {local_user: lee}\nx: [\npeople:\n",
    ] {
        assert_eq!(seen(unreadable), None, "{unreadable}");
    }
    // Half-written: the block may go on, so its end is not known.
    assert_eq!(seen("log: [}\npeople:\n  kim: {local_user: kim}\n"), None);
}

#[test]
fn a_reload_tells_what_changed() {
    let folder = Folder::gate(
        "people: {kim: {local_user: kim, approves: '*'}, lee: {local_user: 5}}\nschedule: {interval: 30s, heartbeat_url: 'https://a/secret'}\n",
    );
    let old = folder.config();
    assert_eq!(diff(&old, &folder.config()), Vec::<String>::new());
    folder.write(
        "lazarus-gate.yaml",
        "people: {kim: {local_user: kim, approves: [forge, archive]}, ann: {local_user: 6}}\nschedule: {interval: 20s, heartbeat_url: 'https://b/secret'}\nobserve: true\n",
    );
    folder.write("lazarus-registry.yaml", format!("{}  cy: {{host: ''}}\n", REGISTRY.replace("10.0.0.7", "10.0.0.8")));
    folder.write(
        "resurrection_pool.json",
        r#"{"dead_timeout_seconds": 5, "agents": {"ada": {"mode": "ask"}}, "default_policy": {"mode": "ask"}}"#,
    );
    let people = "cy";
    folder.write(
        "lazarus-gate.yaml",
        std::fs::read_to_string(folder.path("lazarus-gate.yaml"))
            .unwrap()
            .replace("[forge, archive]", &format!("[forge, archive, {people}]")),
    );
    assert_eq!(
        diff(&old, &folder.config()),
        [
            "observe is now true (was not set)",
            "people.ann was added",
            "people.kim.approves is now [\"forge\",\"archive\",\"cy\"] (was \"*\")",
            "people.lee was removed",
            "schedule.heartbeat_url changed",
            "schedule.interval is now \"20s\" (was \"30s\")",
            "agent bob changed in the registry",
            "agent cy is new in the registry",
            "policy: dead_timeout_seconds is now 5 (was 600)",
            "agent ada is new in the policy",
        ]
    );
}

#[test]
fn what_is_shipped_has_no_error() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/lazarus-gate.yaml");
    let loaded = load(&shipped, &users).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.config.gate.channels.targets("telegram").contains(&"ops-room"));
    assert!(loaded.config.gate.channels.targets("nostr").contains(&"nostr-ops"));
    assert_eq!(loaded.config.registry.fleet.len(), 4);
}

/// What is commented out in the shipped file shows the defaults, and means what it seems to.
#[test]
fn the_commented_keys_of_the_shipped_file_are_the_defaults() {
    let shipped = include_str!("../../config/lazarus-gate.yaml");
    for section in ["schedule", "timing", "retention", "log"] {
        let start = shipped.find(&format!("# {section}:\n")).unwrap_or_else(|| panic!("{section}"));
        let mut lines = vec![PEOPLE.to_owned(), format!("{section}:\n")];
        for line in shipped[start..].lines().skip(1).take_while(|line| line.starts_with("#   ")) {
            if !line.contains("heartbeat_url") {
                lines.push(format!("{}\n", &line[1..]));
            }
        }
        assert!(lines.len() > 3, "{section}");
        let folder = Folder::gate(&lines.concat());
        let (mut spelled, mut default) = ((*folder.config().gate).clone(), (*Folder::new().config().gate).clone());
        (spelled.files, spelled.people) = (default.files.clone(), std::mem::take(&mut default.people));
        assert_eq!(
            format!("{spelled:?}"),
            format!("{:?}", super::gate::Gate { people: spelled.people.clone(), ..default })
        );
    }
}
