//! The socket end to end, in one process: a real store, a fake daemon behind it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::*;
use crate::approval::{Answer, AnswerKind, InputId, PersonId, Said};
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::inbox::{self, Appended, Input};
use crate::store::{OpenOptions, Reader, Store, StoreError};
use crate::wording::Setting;

/// Kim's uid; nobody else is anybody.
const KIM: u32 = 4242;

struct FakeDesk {
    store: Store,
    worked_off: AtomicUsize,
}

impl Desk for FakeDesk {
    async fn submit(&self, id: InputId, said: Said) -> Result<Submitted, StoreError> {
        let raw = serde_json::to_string(&said).unwrap();
        let input = Input { id: id.0.clone(), source: "cli".into(), raw, entered_at: self.now() };
        match self.store.write(move |tx| Box::pin(async move { inbox::append(tx, &input).await })).await? {
            Appended::New { .. } if said.line == "wait" => Ok(Submitted::Pending),
            Appended::New { .. } => {
                self.worked_off.fetch_add(1, Ordering::SeqCst);
                let answer = Answer::new(AnswerKind::Taken, format!("{} by {}", said.line, said.speaker));
                let (kept, now) = (serde_json::to_string(&answer).unwrap(), self.now());
                self.store
                    .write(move |tx| Box::pin(async move { inbox::finish(tx, &id.0, &kept, now, false).await }))
                    .await?;
                Ok(Submitted::Answered(answer))
            }
            Appended::AlreadyThere { same: false, .. } => Ok(Submitted::IdTaken),
            Appended::AlreadyThere { answer: None, .. } => Ok(Submitted::Pending),
            Appended::AlreadyThere { answer: Some(answer), .. } => {
                Ok(Submitted::Answered(serde_json::from_str(&answer).unwrap()))
            }
        }
    }

    fn person_of(&self, uid: u32) -> Option<PersonId> {
        (uid == KIM).then(|| PersonId::new("kim").unwrap())
    }

    async fn small_document(&self, document: serde_json::Value) -> Result<serde_json::Value, StoreError> {
        Ok(document)
    }

    fn bus_reader(&self, uid: u32, _: &MissionName) -> missions::BusReader {
        missions::BusReader::Nobody { text: format!("{uid} is nobody there") }
    }

    async fn note_not_shown(&self, _: missions::NotShown, _: &'static str) -> Result<(), StoreError> {
        Ok(())
    }

    fn import_slot(&self, _: u32) -> Result<ImportSlot, NoSlot> {
        let alone = Arc::new(tokio::sync::Mutex::default()).try_lock_owned().expect("a new one");
        Ok(ImportSlot { max_bytes: 1024 * 1024, alone })
    }

    async fn import(&self, _: u32, _: ImportSlot, mission: serde_json::Value) -> Result<missions::Seen, StoreError> {
        Ok(Ok(Shown::new("taken", &mission)))
    }

    fn reader(&self) -> &Reader {
        self.store.reader()
    }

    fn setting(&self) -> Setting {
        Setting { zone: jiff::tz::TimeZone::UTC, issue: 882, observing: false, hold: None }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000)
    }

    fn approval_ttl(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn live(&self) -> Live {
        Live {
            since: Timestamp::from_millis(7),
            sweep: None,
            alarms: Vec::new(),
            tasks: Vec::new(),
            relays: Vec::new(),
            agents: None,
        }
    }

    async fn explain(&self, agent: &AgentName) -> Result<Option<Shown>, StoreError> {
        Ok((agent.as_str() == "ezra").then(|| Shown::new("ezra is well", &serde_json::json!({ "agent": agent }))))
    }

    fn metrics_text(&self) -> String {
        "lazarus_up 1\n".into()
    }
}

struct World {
    folder: TempDir,
    desk: Arc<FakeDesk>,
    stop: Option<oneshot::Sender<()>>,
    server: tokio::task::JoinHandle<()>,
}

impl World {
    async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    async fn start_with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state/gate.db"), OpenOptions::default()).await.unwrap();
        let desk = Arc::new(FakeDesk { store, worked_off: AtomicUsize::new(0) });
        let socket = Socket::open(&folder.path().join("run/gate.sock")).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = desk.clone();
        let server = tokio::spawn(serve(socket, serving, limits, async {
            let _ = stopped.await;
        }));
        Self { folder, desk, stop: Some(stop), server }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/gate.sock")
    }

    fn client(&self) -> Client {
        Client::new(&self.socket(), patience())
    }

    async fn stop(mut self) -> TempDir {
        drop(self.stop.take());
        self.server.await.unwrap();
        self.folder
    }

    /// What a caller of that uid would get, without a socket.
    async fn as_uid(&self, uid: u32, method: &str, address: &str, body: &str) -> (u16, serde_json::Value) {
        let router = routes::router(self.desk.clone(), &Limits::default()).layer(axum::Extension(Peer { uid }));
        let request = hyper::Request::builder()
            .method(method)
            .uri(address)
            .body(http_body_util::Full::new(hyper::body::Bytes::from(body.to_owned())))
            .unwrap();
        let response = TowerToHyperService::new(router).call(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        (status, serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)))
    }
}

fn patience() -> Patience {
    Patience { reconnect: Duration::from_secs(5), pause: Duration::from_millis(5), answer: Duration::from_secs(20) }
}

fn command(id: &str, line: &str) -> NewCommand {
    NewCommand { id: id.into(), line: line.into(), context: None, document: None }
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn refused(error: ClientError) -> (u16, String) {
    match error {
        ClientError::Refused { status, problem } => (status, problem.error),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_command_is_answered_once_under_its_id() {
    let world = World::start().await;
    let client = world.client();
    let first = client.say(&command("0199-aaaa", "release")).await.unwrap();
    let text = format!("release by the local user {}", own_uid());
    assert_eq!(first.answer, Some(Answer::new(AnswerKind::Taken, text)));
    assert_eq!(first.input, format!("cli:{}:0199-aaaa", own_uid()));
    assert_eq!(client.say(&command("0199-aaaa", "release")).await.unwrap(), first);
    assert_eq!(world.desk.worked_off.load(Ordering::SeqCst), 1);
    let taken = client.say(&command("0199-aaaa", "hold")).await.unwrap_err();
    assert_eq!(refused(taken), (409, "id_taken".into()));
    world.stop().await;
}

#[tokio::test]
async fn an_answer_is_for_who_asked_the_question() {
    let world = World::start().await;
    let body = r#"{"id": "0199-aaaa", "line": "release"}"#;
    assert_eq!(world.as_uid(KIM, "POST", "/v1/commands", body).await.0, 200);
    assert_eq!(world.as_uid(KIM, "GET", "/v1/commands/0199-aaaa", "").await.1["outcome"], "taken");
    assert_eq!(world.as_uid(77, "GET", "/v1/commands/0199-aaaa", "").await.0, 404);
    assert_eq!(world.as_uid(77, "GET", "/v1/commands/cli:4242:0199-aaaa", "").await.0, 404);
    assert_eq!(world.as_uid(0, "GET", "/v1/commands/cli:4242:0199-aaaa", "").await.0, 200);
    // The same id of another uid is another command.
    assert_eq!(world.as_uid(77, "POST", "/v1/commands", body).await.1["text"], "release by the local user 77");
    let waits = r#"{"id": "0199-bbbb", "line": "wait"}"#;
    assert_eq!(world.as_uid(KIM, "POST", "/v1/commands", waits).await.0, 202);
    assert_eq!(world.as_uid(KIM, "GET", "/v1/commands/0199-bbbb", "").await.0, 202);
    world.stop().await;
}

#[tokio::test]
async fn strangers_may_not_read() {
    let world = World::start().await;
    let addresses = ["pending", "requests/7K30X1", "status", "history", "explain/ezra", "journal/verify", "metrics"];
    for address in addresses {
        let address = format!("/v1/{address}");
        let (status, said) = world.as_uid(77, "GET", &address, "").await;
        assert_eq!(status, 403, "{address}");
        let text = said["text"].as_str().unwrap();
        assert!(text.contains("local user 77") && text.contains("local_user: 77"), "{text}");
        for allowed in [KIM, 0, own_uid()] {
            assert_ne!(world.as_uid(allowed, "GET", &address, "").await.0, 403, "{address} as {allowed}");
        }
    }
    assert_eq!(world.as_uid(77, "GET", "/v1/whoami", "").await.1["person"], serde_json::Value::Null);
    assert_eq!(world.as_uid(KIM, "GET", "/v1/whoami", "").await.1["person"], "kim");
    world.stop().await;
}

#[tokio::test]
async fn what_is_asked_for_in_vain() {
    let world = World::start().await;
    for (method, address, body, status) in [
        ("GET", "/v1/requests/7K30X1", "", 404),
        ("GET", "/v1/requests/ezra:archive:3000", "", 404),
        ("GET", "/v1/requests/nonsense!", "", 404),
        ("GET", "/v1/explain/nobody", "", 404),
        ("GET", "/v1/explain/no%20name", "", 400),
        ("GET", "/v1/commands/0199-none", "", 404),
        ("GET", "/v1/history?limit=many", "", 400),
        ("GET", "/v1/nothing", "", 404),
        ("DELETE", "/v1/pending", "", 405),
        ("POST", "/v1/commands", "no JSON", 400),
        ("POST", "/v1/commands", r#"{"id": "0199-aaaa"}"#, 400),
        ("POST", "/v1/commands", r#"{"id": "short", "line": "release"}"#, 400),
        ("POST", "/v1/commands", r#"{"id": "tg:000000001", "line": "release"}"#, 400),
        ("POST", "/v1/commands", r#"{"id": "0199-aaaa", "line": "release", "uid": 0}"#, 400),
        ("POST", "/v1/commands", &format!(r#"{{"id": "0199-aaaa", "line": "{}"}}"#, "x".repeat(40_000)), 400),
        ("POST", "/v1/commands", &"x".repeat(18 << 20), 413),
    ] {
        let (got, said) = world.as_uid(KIM, method, address, body).await;
        assert_eq!(got, status, "{method} {address}: {said}");
        assert!(!said["text"].as_str().unwrap_or_default().is_empty(), "{method} {address}: {said}");
    }
    assert_eq!(world.desk.worked_off.load(Ordering::SeqCst), 0);
    world.stop().await;
}

#[tokio::test]
async fn everything_can_be_read_from_an_empty_store() {
    let world = World::start().await;
    let client = world.client();
    assert_eq!(client.read("/v1/pending").await.unwrap().value["requests"], serde_json::json!([]));
    assert_eq!(client.read("/v1/status").await.unwrap().value["daemon_since"], 7);
    assert_eq!(client.read("/v1/history?agent=ezra&limit=5").await.unwrap().value["entries"], serde_json::json!([]));
    assert_eq!(client.read("/v1/explain/ezra").await.unwrap().text, "ezra is well");
    assert_eq!(client.read("/v1/journal/verify").await.unwrap().value["whole"], true);
    assert_eq!(client.read("/v1/inbox/set-aside").await.unwrap().value["inputs"], serde_json::json!([]));
    assert_eq!(client.read_text("/v1/metrics").await.unwrap(), "lazarus_up 1\n");
    assert_eq!(refused(client.read("/v1/requests/7K30X1").await.unwrap_err()), (404, "unknown".into()));
    world.stop().await;
}

/// What becomes of the connections to the socket in front of the daemon's.
#[derive(Clone, Copy)]
enum Fate {
    /// Closed at once: the daemon sees nothing of it.
    Refused,
    /// Closed when the daemon begins to answer: it has worked the command off.
    CutBeforeTheAnswer,
    /// Passed on.
    Through,
}

/// A socket in front of the daemon's that treats its connections as `fates` say; the last repeats.
fn in_front_of(world: &World, fates: &'static [Fate]) -> PathBuf {
    let path = world.folder.path().join("front.sock");
    let (listener, behind) = (UnixListener::bind(&path).unwrap(), world.socket());
    tokio::spawn(async move {
        for at in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            match fates[at.min(fates.len() - 1)] {
                Fate::Refused => {}
                fate => {
                    let mut daemon = UnixStream::connect(&behind).await.unwrap();
                    if matches!(fate, Fate::Through) {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut daemon).await;
                        continue;
                    }
                    let (mut from_client, _to_client) = client.split();
                    let (mut from_daemon, mut to_daemon) = daemon.split();
                    let mut first = [0];
                    tokio::select! {
                        _ = tokio::io::copy(&mut from_client, &mut to_daemon) => {}
                        _ = from_daemon.read(&mut first) => {}
                    }
                }
            }
        }
    });
    path
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_asked_for_by_its_id() {
    let world = World::start().await;
    let client = Client::new(&in_front_of(&world, &[Fate::CutBeforeTheAnswer, Fate::Through]), patience());
    let state = client.say(&command("0199-aaaa", "release")).await.unwrap();
    assert_eq!(state.answer.unwrap().outcome, AnswerKind::Taken);
    assert_eq!(world.desk.worked_off.load(Ordering::SeqCst), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_command_that_was_not_received_is_sent_again_under_its_id() {
    let world = World::start().await;
    let client = Client::new(&in_front_of(&world, &[Fate::Refused, Fate::Refused, Fate::Through]), patience());
    assert!(client.say(&command("0199-aaaa", "release")).await.unwrap().answer.is_some());
    assert_eq!(world.desk.worked_off.load(Ordering::SeqCst), 1);
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_known_is_said_to_be_unknown() {
    let world = World::start().await;
    let short = Patience { reconnect: Duration::from_millis(30), ..patience() };
    let cut = Client::new(&in_front_of(&world, &[Fate::CutBeforeTheAnswer, Fate::Refused]), short.clone());
    assert!(matches!(cut.say(&command("0199-aaaa", "release")).await, Err(ClientError::Unknown { .. })));
    let waits = Client::new(&world.socket(), short.clone());
    match waits.say(&command("0199-bbbb", "wait")).await {
        Err(ClientError::StillWorking { input, .. }) => assert!(input.ends_with(":0199-bbbb")),
        other => panic!("{other:?}"),
    }
    let socket = world.socket();
    let folder = world.stop().await;
    assert!(!socket.exists(), "the socket goes with the daemon");
    let nobody = Client::new(&socket, short);
    assert!(matches!(nobody.say(&command("0199-cccc", "release")).await, Err(ClientError::NoDaemon { .. })));
    assert!(matches!(nobody.read("/v1/pending").await, Err(ClientError::NoDaemon { .. })));
    drop(folder);
}

#[tokio::test]
async fn strangers_cannot_fill_the_journal() {
    let world = World::start().await;
    let limits = Limits { strangers_say: 2, ..Limits::default() };
    let router = routes::router(world.desk.clone(), &limits);
    let say = async |uid: u32, id: u32| {
        let request = hyper::Request::post("/v1/commands")
            .body(http_body_util::Full::from(format!(r#"{{"id": "0199-000{id}", "line": "release"}}"#)))
            .unwrap();
        let service = TowerToHyperService::new(router.clone().layer(axum::Extension(Peer { uid })));
        service.call(request).await.unwrap().status().as_u16()
    };
    let answers = [say(77, 1).await, say(78, 2).await, say(77, 3).await, say(KIM, 4).await];
    assert_eq!(answers, [200, 200, 429, 200]);
    world.stop().await;
}

#[tokio::test]
async fn a_caller_who_says_nothing_is_left() {
    let limits = Limits { arrive_within: Duration::from_millis(20), ..Limits::default() };
    let world = World::start_with(limits).await;
    let mut silent = UnixStream::connect(world.socket()).await.unwrap();
    let mut said = Vec::new();
    silent.read_to_end(&mut said).await.unwrap();
    let mut slow = UnixStream::connect(world.socket()).await.unwrap();
    slow.write_all(b"POST /v1/commands HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\n{").await.unwrap();
    slow.read_to_end(&mut said).await.unwrap();
    assert!(String::from_utf8_lossy(&said).contains("408"), "{}", String::from_utf8_lossy(&said));
    world.stop().await;
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_a_living_one_is_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start().await;
    let path = world.socket();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o755, 0o666));
    assert!(matches!(Socket::open(&path).await, Err(WebError::Answered { .. })));
    let folder = world.stop().await;

    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(Socket::open(&path).await.unwrap());
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(Socket::open(&path).await, Err(WebError::NotASocket { .. })));
    std::fs::set_permissions(path.parent().unwrap(), std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Socket::open(&path).await, Err(WebError::UnsafeFolder { .. })));
    drop(folder);
}
