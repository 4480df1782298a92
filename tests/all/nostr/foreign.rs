//! Relays that nobody here wrote, and answers that another library signs.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::phone::Shown;
use super::room::Room;
use crate::world::pause;

/// Where `tests/run` has put them.
fn installed(what: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_BIN_EXE_lazarus-gate")).ancestors().nth(2)?.join("relays");
    if folder.join(what).exists() {
        return Some(folder);
    }
    let _ = writeln!(std::io::stderr(), "SKIPPED: no foreign relay or signer ({what}); tests/run installs them");
    None
}

fn script(folder: &Path, name: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/relays/foreign").join(name);
    let there = folder.join(name);
    // Node looks for libraries beside the script. Several tests may write the same at once.
    let new = tempfile::Builder::new().suffix(name).tempfile_in(folder).unwrap();
    fs::copy(ours, new.path()).unwrap();
    new.persist(&there).unwrap();
    there
}

/// A relay's process; it ends with the test.
struct Relay {
    process: Child,
    url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// npm @nostr-relay/core.
fn node(auth: bool) -> Option<Relay> {
    let folder = installed("node_modules/@nostr-relay/core")?;
    let mut command = Command::new("node");
    command.arg(script(&folder, "serve.mjs")).args(auth.then_some("auth"));
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().ok()?;
    let mut url = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
    assert!(url.starts_with("ws://"), "the relay did not come up: {url:?}");
    Some(Relay { process, url: url.trim().to_owned(), _folder: None })
}

/// PyPI nostr-relay.
fn python() -> Option<Relay> {
    let folder = installed("venv/bin/nostr-relay")?;
    let home = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let database = home.path().join("relay.sqlite3").display().to_string();
    let config = format!(
        "purple: {{host: 127.0.0.1, port: {port}, workers: 1, disable_compression: true}}\n\
         gunicorn: {{bind: \"127.0.0.1:{port}\", workers: 1}}\n\
         storage:\n  sqlalchemy.url: \"sqlite+aiosqlite:///{database}\"\n  validators: \
         [nostr_relay.validators.is_not_too_large, nostr_relay.validators.is_signed, nostr_relay.validators.is_recent]\n\
         authentication: {{enabled: false}}\n"
    );
    let file = home.path().join("relay.yaml");
    fs::write(&file, config).unwrap();
    let log = fs::File::create(home.path().join("log")).unwrap();
    let mut process = Command::new(folder.join("venv/bin/nostr-relay"))
        .arg("-c")
        .arg(&file)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .current_dir(home.path())
        .spawn()
        .ok()?;
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let over = process.try_wait().unwrap().is_some() || begun.elapsed() > Duration::from_secs(30);
        assert!(!over, "it did not come up: {}", fs::read_to_string(home.path().join("log")).unwrap());
        pause(Duration::from_millis(50));
    }
    Some(Relay { process, url: format!("ws://127.0.0.1:{port}"), _folder: Some(home) })
}

/// Kim answers with a client made of nostr-tools.
fn answers(room: &Room, relay: &Relay, packet: &Shown, how: &str) {
    let Some(folder) = installed("node_modules/nostr-tools") else { panic!("it is there beside the relay") };
    let mut command = Command::new("node");
    command.arg(script(&folder, "answer.mjs")).arg(&relay.url);
    command.arg(room.kim.keys.secret_key().to_secret_hex()).arg(room.kim.gate.to_hex()).args([packet.code(), how]);
    let ended = command.stdin(Stdio::null()).output().unwrap();
    assert!(ended.status.success(), "{how}: {}", String::from_utf8_lossy(&ended.stderr));
}

/// One story: ada dies, kim approves with another library, she lives.
fn tell(relay: &Relay, style: &str, how: &str) {
    let mut room = Room::in_style(style, &["ada"]);
    room.moves_to(&relay.url);
    let room = room.but(|world| world.gate["channels"]["nostr"]["reactions"] = true.into()).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    answers(&room, relay, &packet, how);
    room.world.until_journal("ada", "verified");
    let told = room.kim.until_told("approved by me (Nostr)");
    assert!(told.text.contains(packet.code()), "{told:?}");
    let verified = room.world.says(&["journal", "verify"]);
    assert!(verified.out.contains("1 receipts prove"), "{verified:?}");
}

#[test]
fn in_the_open_over_the_npm_relay() {
    for how in ["reply", "open", "reaction"] {
        let Some(relay) = node(false) else { return };
        tell(&relay, "note", how);
    }
}

#[test]
fn in_private_over_the_npm_relay() {
    for how in ["private", "wrapped", "open"] {
        let Some(relay) = node(false) else { return };
        tell(&relay, "private", how);
    }
}

#[test]
fn over_the_python_relay() {
    if installed("node_modules/nostr-tools").is_none() {
        return;
    }
    for how in ["private", "open"] {
        let Some(relay) = python() else { return };
        tell(&relay, "private", how);
    }
}

#[test]
fn a_relay_that_wants_to_know_who_we_are_is_told() {
    let Some(relay) = node(true) else { return };
    let mut room = Room::with_agents(&["ada"]);
    room.moves_to(&relay.url);
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    room.world.until_journal("ada", "verified");
}
