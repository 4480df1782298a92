//! What the arguments come to.

use clap::{CommandFactory as _, Parser as _};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("lazarus-gate").chain(line.split_whitespace()))
}

#[test]
fn the_tree_is_sound() {
    Cli::command().debug_assert();
    assert!(LONG_HELP.ends_with(exit::HELP), "both lists of exit codes are the same");
}

#[test]
fn every_command_of_the_grammar_can_be_typed() {
    for line in [
        "pending",
        "pending --json",
        "show 7k3qxm",
        "show ezra:archive:3000 --json",
        "approve 7K3QXM",
        "deny 7K3QXM",
        "deny 7K3QXM it is being moved",
        "substitute 7K3QXM timmy",
        "snooze 7K3QXM 2h",
        "snooze 7K3QXM 1h 30m",
        "ask ezra",
        "status",
        "history",
        "history ezra --limit 5 --before 12",
        "explain ezra",
        "journal verify",
        "hold",
        "hold the racks are being moved",
        "release",
        "revoke kim",
        "inbox list",
        "inbox retry cli:0:0199-ab",
        "whoami",
        "check --strict",
        "check --config x.yaml",
        "init --dir x",
        "backup to.db",
        "doctor --json",
        "completions bash",
        "man",
        "man pages",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
    for line in [
        "",
        "nonsense",
        "show",
        "show nonsense!",
        "approve",
        "explain a;b",
        "history --limit 0",
        "history --limit 501",
        "snooze 7K3QXM",
        "substitute 7K3QXM",
        "completions tcsh2",
        "approve 7K3QXM now",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn where_the_daemon_is_can_stand_before_and_after() {
    for (line, socket) in [
        ("--socket a pending", Some("a")),
        ("pending --socket b", Some("b")),
        ("--socket a pending --socket b", Some("b")),
        ("pending", None),
    ] {
        let Cli { place, verb } = parse(line).unwrap();
        let Verb::Pending(args) = verb else { panic!("{line}") };
        let mut ambient = Ambient::of_this_process();
        (ambient.config, ambient.socket) = (None, Some("env".into()));
        let reach = args.place.or(&place).reach(&ambient).unwrap();
        assert_eq!(reach.socket, std::path::PathBuf::from(socket.unwrap_or("env")), "{line}");
    }
}

/// Without a daemon: a folder with a configuration, and a store as `run` would make it.
struct Alone {
    folder: tempfile::TempDir,
    world: World,
}

impl Alone {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gate.yaml");
        std::fs::write(&config, "store: {path: state/gate.db}\nsocket: run/gate.sock\n").unwrap();
        let mut ambient = Ambient::of_this_process();
        (ambient.config, ambient.socket) = (Some(config), None);
        Self { folder, world: World { ambient } }
    }

    fn store(&self) -> std::path::PathBuf {
        self.folder.path().join("state/gate.db")
    }

    fn make_store(&self) {
        block_on(async {
            let store = crate::store::Store::open(&self.store(), crate::store::OpenOptions::default()).await.unwrap();
            store.close().await.unwrap();
        })
        .unwrap();
    }

    fn exit(&self, line: &str) -> u8 {
        let cli = parse(line).unwrap();
        match run(&self.world, cli) {
            Ok(code) => {
                let all = 0..=7;
                all.into_iter().find(|number| ExitCode::from(*number) == code).unwrap()
            }
            Err(error) => Exit::of(&error).code(),
        }
    }

    fn inputs(&self) -> Vec<crate::store::inbox::InputRow> {
        block_on(async {
            let reader = crate::store::Store::open_read_only(&self.store()).await.unwrap();
            crate::store::inbox::pending(&mut reader.read().await.unwrap(), 10).await.unwrap()
        })
        .unwrap()
    }
}

#[test]
fn without_daemon_and_store_there_is_only_an_exit_code() {
    let alone = Alone::new();
    for (line, code) in [
        ("pending", 5),
        ("approve 7K3QXM", 5),
        ("approve nonsense!", 2),
        ("snooze 7K3QXM soon", 2),
        ("explain ezra", 5),
        ("whoami", 5),
        ("hold", 5),
        ("backup to.db", 1),
        ("--config /nonexistent.yaml pending", 1),
    ] {
        assert_eq!(alone.exit(line), code, "{line}");
    }
    assert!(!alone.store().exists());
}

#[test]
fn without_a_daemon_the_store_is_read() {
    let alone = Alone::new();
    alone.make_store();
    let backup = alone.folder.path().join("copy.db");
    for (line, code) in [
        ("pending --json", 0),
        ("status", 0),
        ("history ezra", 0),
        ("show 7K3QXM", 4),
        ("journal verify", 0),
        ("inbox list", 0),
        ("approve 7K3QXM", 5),
        ("release", 5),
        (&format!("backup {}", backup.display()), 0),
        (&format!("backup {}", backup.display()), 1),
    ] {
        assert_eq!(alone.exit(line), code, "{line}");
    }
    assert!(alone.inputs().is_empty());
}

#[test]
fn without_a_daemon_hold_and_revoke_wait_in_the_inbox() {
    let alone = Alone::new();
    alone.make_store();
    assert_eq!(alone.exit("hold the racks are being moved"), 0);
    let input = alone.inputs().remove(0);
    assert_eq!(input.source, "cli");
    assert_eq!(input.id, format!("cli:{}:{}", alone.world.ambient.uid, alone.world.ambient.command_id()));
    let said: crate::approval::Said = serde_json::from_str(&input.raw).unwrap();
    assert_eq!(said.line, "hold the racks are being moved");
    assert_eq!(said.speaker, crate::approval::Speaker::LocalUser(alone.world.ambient.uid));

    let lock = crate::store::DaemonLock::take(&alone.store()).unwrap();
    assert_eq!(alone.exit("revoke kim"), 5, "a daemon that starts or stops holds the store");
    drop(lock);
    assert_eq!(alone.inputs().len(), 1);
}

#[test]
fn pages_and_completions_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let alone = Alone::new();
    assert_eq!(alone.exit(&format!("man {}", folder.path().join("man1").display())), 0);
    assert!(folder.path().join("man1/lazarus-gate-approve.1").exists());
    assert_eq!(alone.exit("completions zsh"), 0);
}

#[test]
fn the_doctor_looks_and_changes_nothing() {
    let alone = Alone::new();
    assert_eq!(alone.exit("doctor"), 1, "the registry is missing");
    assert!(!alone.store().exists());
    alone.make_store();
    assert_eq!(alone.exit("doctor --json"), 1);
}
