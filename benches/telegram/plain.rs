//! The floor: a bot of plain, kept-alive sockets, one thread, no library but SQLite's. It does what its tap
//! says and nothing else: it keeps no state, checks nobody's right and would lose what a kill interrupts.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::bot_api::{BotApi, Message, TOKEN};
use crate::room::{FIRST, OPS};

/// Commits durably and answers.
pub const ANSWER: &str = "answer";
/// Makes two durable commits, two fsyncs and two bare spawns, one inside the other; then it answers.
pub const COMMAND: &str = "command";
/// What the smallest honest bot does: commits, answers, starts a command and waits for it, edits the message.
pub const ALL: &str = "all";

/// The plain program, running over a server of its own; it is killed when this is dropped.
pub struct Plain {
    child: Child,
    /// Its server.
    pub api: BotApi,
    /// The message that is tapped.
    pub card: i64,
}

impl Plain {
    /// Starts it in `dir`. Commands leave their stamps in `stamps`, under the number of their tap.
    pub async fn start(dir: &Path, stamps: &Path, card: &Message) -> Self {
        let api = crate::room::chat();
        let child = Command::new(std::env::current_exe().expect("this program"))
            .arg("plain")
            .args([api.url().as_ref(), dir.as_os_str(), stamps.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the plain program");
        crate::until("its first poll", || (!api.calls_of("getUpdates").is_empty()).then_some(())).await;
        // What is tapped comes back with each tap, so it is as long as a card.
        let card = api.say(OPS, FIRST, &card.text);
        Self { child, api, card }
    }

    /// Has it do something.
    pub fn tap(&self, what: &str, n: usize) -> String {
        self.api.tap_data(OPS, self.card, &format!("{what} {n}"), FIRST)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program.
pub fn run(url: &str, dir: &Path, stamps: &Path) {
    let schema = "CREATE TABLE taps (n INTEGER PRIMARY KEY, text TEXT)";
    let database = crate::floor::database(&dir.join("plain.db"), schema);
    let mut file = std::fs::File::create(dir.join("plain")).expect("a file");
    let (mut polling, mut sending) = (Socket::connect(url), Socket::connect(url));
    let mut offset = 0;
    loop {
        let updates = polling.call("getUpdates", &json!({"offset": offset, "timeout": 30, "limit": 100}));
        for update in updates.as_array().into_iter().flatten() {
            offset = update["update_id"].as_i64().expect("a number") + 1;
            let Some(tap) = update.get("callback_query") else { continue };
            let (what, n) = tap["data"].as_str().and_then(|data| data.split_once(' ')).expect("what to do");
            let stamp = stamps.join(n).display().to_string();
            commit(&database, tap);
            if what == COMMAND {
                fsync(&mut file);
                commit(&database, tap);
                fsync(&mut file);
                spawn(&["relay", &stamp]);
            }
            sending.call("answerCallbackQuery", &json!({"callback_query_id": tap["id"], "text": "taken"}));
            if what == ALL {
                spawn(&["stamp", &stamp]);
                let (chat, message) = (&tap["message"]["chat"]["id"], &tap["message"]["message_id"]);
                let text = format!("{} {n}", tap["message"]["text"].as_str().unwrap_or_default());
                sending.call("editMessageText", &json!({"chat_id": chat, "message_id": message, "text": text}));
            }
        }
    }
}

fn commit(database: &Connection, tap: &Value) {
    let mut insert = database.prepare_cached("INSERT INTO taps (text) VALUES ($1)").expect("a statement");
    insert.execute([tap.to_string()]).expect("a commit");
}

fn fsync(file: &mut std::fs::File) {
    file.write_all(&[7; 512]).and_then(|()| file.sync_all()).expect("an fsync");
}

/// This program once more, to its end.
pub fn spawn(args: &[&str]) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    command.status().expect("a process");
}

/// A kept-alive connection.
struct Socket {
    stream: TcpStream,
    host: String,
}

impl Socket {
    fn connect(url: &str) -> Self {
        let host = url.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, host }
    }

    /// The result of a call; null if it was refused.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        let (host, body) = (&self.host, params.to_string());
        let request = format!(
            "POST /bot{TOKEN}/{method} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = Vec::with_capacity(16 * 1024);
        let mut piece = [0; 16 * 1024];
        loop {
            let read = self.stream.read(&mut piece).expect("an answer");
            if read == 0 {
                std::process::exit(0);
            }
            answer.extend_from_slice(&piece[..read]);
            let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let length = String::from_utf8_lossy(&answer[..head])
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: ")?.trim().parse::<usize>().ok())
                .expect("a length");
            if answer.len() >= head + 4 + length {
                let mut answer: Value = serde_json::from_slice(&answer[head + 4..]).expect("JSON");
                return answer["result"].take();
            }
        }
    }
}

/// Sends each text as a message, one after the other; how long that took.
pub fn send(url: &str, chat: i64, texts: &[String]) -> std::time::Duration {
    let mut socket = Socket::connect(url);
    let began = std::time::Instant::now();
    for text in texts {
        let sent = socket.call("sendMessage", &json!({"chat_id": chat, "text": text}));
        assert!(sent.is_object(), "a message was refused");
    }
    began.elapsed()
}
