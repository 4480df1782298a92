//! `init` finds the chat and the person by a message to the bot.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use super::room::{KIM, MALLORY, OPS};
use crate::bot_api::{BOT_NAME, BotApi, Said, TOKEN};
use crate::world::{GATE, hear, own_uid};

struct Setup {
    home: tempfile::TempDir,
    api: BotApi,
}

impl Setup {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("token"), format!("{TOKEN}\n")).expect("the token's file");
        let api = BotApi::start();
        api.add_user(KIM, "Kim");
        api.add_user(MALLORY, "Mallory");
        api.add_supergroup(OPS, "ops", &[KIM, MALLORY]);
        Self { home, api }
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn init(&self, more: &[&str]) -> Command {
        let mut command = Command::new(GATE);
        command.args([
            "init",
            "--dir",
            &self.path("config"),
            "--state",
            &self.path("state"),
            "--agent",
            "ada==http://127.0.0.1:1/",
        ]);
        command.args(["--user", &own_uid().to_string(), "--telegram-token-file", &self.path("token")]);
        command.args(["--telegram-api-url", &self.api.url()]).args(more);
        command
    }

    fn checked(&self) {
        let mut check = Command::new(GATE);
        check.args(["check", "--config", &self.path("config/lazarus-gate.yaml")]);
        let checked = hear(check, &["check"]);
        checked.taken();
        // A machine without systemd is warned of; what was written is not.
        assert!(!checked.out.contains("lazarus-gate.yaml:") && !checked.out.contains("pool.json:"), "{checked:?}");
        let mode =
            std::fs::metadata(self.path("config/telegram.token")).expect("the token's file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let gate = std::fs::read_to_string(self.path("config/lazarus-gate.yaml")).expect("the gateway's file");
        assert!(!gate.contains(TOKEN));
        let mut doctor = Command::new(GATE);
        doctor.args(["doctor", "telegram", "--config", &self.path("config/lazarus-gate.yaml")]);
        hear(doctor, &["doctor"]).mentions("the bot is in it and may write").taken();
    }
}

/// Starts it, and reads up to the code that it wants to be told.
fn started(mut command: Command) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("init starts");
    let mut told = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    while !line.contains("/start@") {
        line.clear();
        assert_ne!(told.read_line(&mut line).expect("its output"), 0, "it ended before it told a code");
    }
    let code = line.trim().rsplit(' ').next().expect("a code").to_owned();
    (child, told, code)
}

#[test]
fn the_group_and_the_person_are_found_by_a_message() {
    let setup = Setup::new();
    let (mut child, mut told, code) = started(setup.init(&[]));
    // Somebody without the code, and somebody whom nobody can tell, are not taken for the approver.
    setup.api.say(OPS, MALLORY, &format!("/start@{BOT_NAME}"));
    setup.api.say(OPS, MALLORY, &format!("/start@{BOT_NAME} 000000"));
    setup.api.say_so(OPS, KIM, &format!("/start@{BOT_NAME} {code}"), Said { anonymous: true, ..Said::default() });
    setup.api.say(OPS, KIM, &format!("/start@{BOT_NAME} {code}"));
    let mut rest = String::new();
    told.read_to_string(&mut rest).expect("its output");
    assert!(child.wait().expect("its end").success(), "{rest}");
    assert!(rest.contains("Heard: Kim (Telegram user 1001), in \"ops\" (-1001234567890)."), "{rest}");
    assert!(
        rest.contains("written anonymously") && rest.contains("doctor telegram") && !rest.contains(TOKEN),
        "{rest}"
    );
    let gate = std::fs::read_to_string(setup.path("config/lazarus-gate.yaml")).expect("the gateway's file");
    assert!(gate.contains("telegram: 1001\n") && gate.contains("{chat: -1001234567890, topic: null}"), "{gate}");
    setup.checked();
}

#[test]
fn where_all_is_known_nobody_is_waited_for() {
    let setup = Setup::new();
    let heard = hear(setup.init(&["--telegram-chat", "-1001234567890", "--telegram-user", "1001"]), &["init"]);
    heard.taken();
    setup.checked();
    let again = hear(setup.init(&["--telegram-chat=-1", "--telegram-user=1"]), &["init"]);
    again.ended_with(1, "is there already, and nothing was written");
}

#[test]
fn what_does_not_work_is_told_and_writes_nothing() {
    let setup = Setup::new();
    hear(setup.init(&["--telegram-wait", "1s"]), &["init"]).ended_with(1, "in time; nothing was written");
    setup.api.put_webhook("https://elsewhere.example/");
    hear(setup.init(&[]), &["init"]).ended_with(1, "a webhook is set");
    setup.api.revoke_token(true);
    hear(setup.init(&[]), &["init"]).ended_with(1, "was it revoked?");
    std::fs::write(setup.path("token"), "hunter2").expect("the token's file");
    let heard = hear(setup.init(&[]), &["init"]);
    heard.ended_with(1, "that is no bot token");
    assert!(!format!("{heard:?}").contains("hunter2"));
    assert!(!std::fs::exists(setup.path("config")).expect("the folder"));
}
