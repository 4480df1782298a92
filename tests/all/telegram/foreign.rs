//! Our Bot API server, checked by bots written with two widespread libraries: what those understand
//! and accept is no invention of ours. One story is told to both; `tests/bot_api/foreign/` has them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bot_api::{BOT, BotApi, Fault, Message, Role, Said, When};

const KIM: i64 = 1001;
const OPS: i64 = -1_001_234_567_890;
const FORUM: i64 = -1_001_234_567_891;
const SMALL: i64 = -4242;
const SMALL_GROWN: i64 = -1_001_234_567_892;

#[test]
fn aiogram_understands_our_server() {
    tell("aiogram_bot.py");
}

#[test]
fn python_telegram_bot_understands_our_server() {
    tell("ptb_bot.py");
}

/// Everything a bot does, once.
fn tell(script: &str) {
    let api = BotApi::start();
    api.add_user(KIM, "Kim");
    api.add_supergroup(OPS, "ops", &[KIM]);
    api.give_role(OPS, BOT, Role::Administrator);
    api.add_forum(FORUM, "forum", &[KIM]);
    api.add_group(SMALL, "small", &[KIM]);
    let Some(mut bot) = Bot::start(script, &api) else { return };

    // A command, a card, a tap, an edit, and another tap.
    api.say(OPS, KIM, "/pending");
    let card = api.wait_message(OPS, |message| message.text == "ada <is> dead");
    assert_eq!((card.labels(), card.silent), (vec!["Restart".to_owned(), "Deny".to_owned()], true));
    assert_eq!(card.reply_to, Some(1));
    let tap = api.tap(OPS, card.id, "Restart", KIM);
    let answer = api.wait_answer(&tap);
    assert_eq!((answer.text.as_str(), answer.show_alert), ("Restarting ada", true));
    let edited = api.wait_edited(OPS, card.id, |message| message.text == "ada restarts, by Kim");
    assert_eq!(edited.labels(), ["Stop"]);
    let tap = api.tap(OPS, card.id, "Stop", KIM);
    assert_eq!(api.wait_answer(&tap).text, "");
    api.wait_edited(OPS, card.id, |message| message.keyboard.is_none());
    api.delete_message(OPS, card.id);
    let tap = api.tap_data(OPS, card.id, "deny", KIM);
    assert_eq!(api.wait_answer(&tap).text, "gone: deny");

    // A topic, an anonymous administrator, a forward, an edit: all of that can be read.
    let topic = api.add_topic(FORUM, "deaths");
    api.say_so(FORUM, KIM, "/pending", Said { thread: Some(topic), ..Said::default() });
    api.wait_message(FORUM, |message| message.text == "ada <is> dead" && message.thread == Some(topic));
    api.say_so(OPS, KIM, "hello", Said { anonymous: true, ..Said::default() });
    api.say_so(OPS, KIM, "hello", Said { forwarded_from: Some(KIM), via_bot: Some(BOT), ..Said::default() });
    let said = api.say(OPS, KIM, "hello");
    api.edit(OPS, said, "good day");

    // Files, both ways.
    api.say(OPS, KIM, "/file");
    let sent = api.wait_message(OPS, |message| message.document.is_some());
    assert_eq!((sent.text.as_str(), sent.document.unwrap().1.len()), ("all of it", 5000));
    let file = api.send_file(OPS, KIM, "notes.txt", "42 ünits".as_bytes(), "");
    let received = api.wait_message(OPS, |message: &Message| message.text == "notes.txt: 42 ünits");
    assert!(received.force_reply.is_some());
    assert_eq!(api.message(OPS, file).unwrap().reactions, ["\u{1f44d}"]);

    // Refusals, in the words of the server.
    api.fault("getChat", When::Next(1), Fault::TooMany(7));
    api.say(OPS, KIM, "/wrong");
    let refusals = api.wait_message(OPS, |message| message.text.contains("limit: "));
    let refusals: Vec<_> = refusals.text.lines().map(|line| line.replace("Bad Request: ", "").to_lowercase()).collect();
    assert_eq!(
        refusals,
        [
            "entities: can't parse entities: can't find end tag corresponding to start tag \"b\"",
            "chat: chat not found",
            "data: button_data_invalid",
            "answer: query is too old and response timeout expired or query id is invalid",
            "edit: message to edit not found",
            "delete: message to delete not found",
            "limit: wait 7",
        ]
    );

    // The group grows, the bot is thrown out elsewhere, the port is closed for a while.
    api.migrate(SMALL, SMALL_GROWN);
    api.wait_message(SMALL_GROWN, |message| message.text == "moved from -4242");
    api.kick_bot(FORUM, KIM);
    api.bring_bot_back(FORUM, KIM);
    api.close_port();
    api.say(OPS, KIM, "/stop");
    api.open_port();
    let told = bot.ended(&api);
    assert!(told.contains("kicked -> member"), "{told}");
    assert!(api.cards(OPS).iter().all(|message| message.text != "good bye"), "{}", api.history());
}

/// A bot's process; it is ended with the test.
struct Bot {
    process: Child,
    output: tempfile::NamedTempFile,
}

impl Bot {
    /// Starts it, if the libraries are installed.
    fn start(script: &str, api: &BotApi) -> Option<Self> {
        let target = Path::new(env!("CARGO_BIN_EXE_lazarus-gate")).ancestors().nth(2)?;
        let python = target.join("foreign/bin/python");
        // Written when everything is installed.
        if !target.join("foreign/installed.txt").exists() {
            let what = "no bot library checks the tests' Bot API server; tests/run installs them";
            let _ = writeln!(std::io::stderr(), "SKIPPED: {what} ({script})");
            return None;
        }
        let output = tempfile::NamedTempFile::new().unwrap();
        // Both streams share one file and one place in it.
        let written = output.reopen().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bot_api/foreign").join(script);
        let process = Command::new(python)
            .arg(script)
            .args([&api.url(), api.token(), &OPS.to_string()])
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(written.try_clone().unwrap())
            .stderr(written)
            .spawn()
            .unwrap();
        let mut bot = Self { process, output };
        // Python takes its time to load.
        let ends = Instant::now() + Duration::from_secs(60);
        while api.calls_of("getUpdates").is_empty() {
            let over = bot.process.try_wait().unwrap().is_some() || Instant::now() > ends;
            assert!(!over, "the bot does not poll:\n{}\n{}", bot.told(), api.history());
            crate::world::pause(Duration::from_millis(20));
        }
        Some(bot)
    }

    /// Waits until it ends by itself, and well; returns what it wrote.
    fn ended(&mut self, api: &BotApi) -> String {
        let ends = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}\n{}\n{}", self.told(), api.history());
                return self.told();
            }
            assert!(Instant::now() < ends, "the bot does not end:\n{}\n{}", self.told(), api.history());
            crate::world::pause(Duration::from_millis(20));
        }
    }

    fn told(&self) -> String {
        fs::read_to_string(self.output.path()).unwrap_or_default()
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the bot wrote:\n{}", self.told());
        }
    }
}
