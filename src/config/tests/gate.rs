//! Sections of the gateway's own file.

use super::*;

#[test]
fn defaults_are_those_of_the_documents() {
    let folder = Folder::new();
    let config = folder.config();
    let gate = &config.gate;
    assert_eq!(gate.store.path, Path::new("/var/lib/lazarus-gate/gate.db"));
    assert_eq!(gate.socket, Path::new("/run/lazarus-gate/gate.sock"));
    assert_eq!(gate.files.registry, folder.path("lazarus-registry.yaml"));
    assert_eq!((gate.issue, gate.observe), (882, false));
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
fn the_door_for_agents_is_shut_unless_it_is_asked_for() {
    assert_eq!(Folder::new().config().gate.agents, None);
    let open = Folder::gate(&format!(
        "agents: {{listen: '127.0.0.1:8750', heartbeats: {{ada: {{within: 90s, stalled_after: 10m}}}}}}\n{PEOPLE}"
    ));
    assert_eq!(open.problems(), "");
    let agents = open.config().gate.agents.clone().unwrap();
    assert_eq!((agents.listen.to_string().as_str(), agents.rate, agents.connections), ("127.0.0.1:8750", 50, 256));
    let rule = agents.heartbeats.values().next().unwrap();
    assert_eq!((rule.within, rule.busy_at_most), (Duration::from_secs(90), Duration::from_secs(3600)));
    assert_eq!(rule.stalled_after, Some(Duration::from_secs(600)));
    check("agents: {listen: '0.0.0.0:8750'}", &["can be reached from other machines, and tokens would travel"]);
    check("agents: {listen: '0.0.0.0:8750', expose: true}", &["whoever can read the traffic can act as any agent"]);
    check("agents: {listen: '[::1]:0'}", &[]);
    check("agents: {listen: localhost}", &["is no address; write an address with a port"]);
    check("agents: {rate: 5}", &["`agents.listen`: is missing"]);
    check("agents: {listen: '127.0.0.1:1', heartbeats: {adda: {within: 1m}}}", &["no agent of the registry has this"]);
    check("agents: {listen: '127.0.0.1:1', heartbeats: {ada: {}}}", &["`agents.heartbeats.ada.within`: is missing"]);
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
    assert_eq!((gate.people[0].uid, gate.people[0].telegram), (Some(1000), Some(123)));
    assert_eq!((gate.people[1].id.as_str(), gate.people[1].uid), ("lee", Some(1001)));
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
        ("observe: maybe", "is text; write true or false"),
        ("channels: {telegram: on}", "`channels.telegram.chats`: is missing; name the chats"),
        ("channels: {telegram: {api_url: 'ftp://x'}}", "is no web address"),
        ("channels: {telegram: {api_url: 'http://u:p@x'}}", "holds a name or password"),
        (
            "channels: {nostr: {enabled: true, relays: ['ws://x']}}",
            "1:12: error: `channels.nostr.audiences`: is missing; say who is asked",
        ),
        ("channels: {nostr: {relays: ['http://x']}}", "`channels.nostr.relays[0]` is no relay; write wss://"),
        ("channels: {nostr: {relays: ['ws://u:p@x']}}", "holds a name or password"),
        ("channels: {nostr: {bunker: x}}", "put it into a file of its own and name that in `remote_signer_file`"),
        ("channels: {nostr: {nsec: x}}", "put it into a file of its own and name that in `secret_key_file`"),
        ("channels: {nostr: {embedded_relay: '7447'}}", "is no address with a port"),
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
        ("lee: {telegram: 1087968824}", "is no person: anonymous admins"),
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
        ("lee: {telegram: 5, participant: {forge: {name: 'a b'}}}", "is no name on a mission's bus"),
        ("lee: {telegram: 5, participant: {forge: {name: gateway}}}", "the gateway itself has that name"),
        ("lee: {telegram: 5, participant: {forge: {name: kim}}}", "kim acts as kim in forge, too"),
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
fn whom_nostr_may_not_reach_and_who_may_reach_it() {
    let npub = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg";
    let file = |person: &str, nostr: &str| {
        format!(
            "people: {{kim: {{local_user: 1, approves: '*', nostr: {npub}{person}}}}}\nchannels: {{nostr: {{enabled: true, \
             relays: ['ws://x'], audiences: {{a: {{people: [kim]{nostr}}}}}}}}}\n"
        )
    };
    let own = ", relays: ['wss://r.example']";
    check(&file(own, ""), &[]);
    check(&file("", ", style: note"), &[]);
    let unsure = "warning: `channels.nostr.audiences.a.people`: kim has no `relays` in `people`, and is reached only if a \
                  list of theirs (kind 10050) is found; `doctor nostr` looks for it, or give kim `relays`";
    check(&file("", ""), &[unsure]);
    check(&file("", "").replace("enabled: true", "enabled: false"), &[]);
    let with = |key: &str| file(own, "").replace("relays: ['ws://x']", &format!("relays: ['ws://x'], {key}"));
    check(
        &with("secret_key_file: a, remote_signer_file: b"),
        &["`channels.nostr.remote_signer_file`: there is a `secret_key_file` as well; name one of them"],
    );
    check(
        &with("embedded_relay: '0.0.0.0:7447'"),
        &["warning: `channels.nostr.embedded_relay`: whoever reaches 0.0.0.0:7447 can read every open note there"],
    );
    check(&with("embedded_relay: '127.0.0.1:7447'"), &[]);
}
