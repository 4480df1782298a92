//! From a person's decision to the `main` of the command it orders, through a real daemon, each beside the
//! floor of the same run: two durable commits, two fsyncs and two bare spawns on the same disk.
//!
//! `cargo bench --bench latency [-- DECISIONS]`. The clock starts when the client begins to connect to the
//! daemon's socket. It stops in the first line of the command's `main`: the command is this very program.
#![forbid(unsafe_code)]

#[allow(dead_code)]
mod floor;
mod report;
#[allow(dead_code)]
mod world;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lazarus_gate::web::NewCommand;
use rusqlite::Connection;

/// Decisions, unless the command line says otherwise.
const DECISIONS: usize = 200;
/// Let what follows a start (its messages, its end) pass before the next.
const PAUSE: Duration = Duration::from_millis(40);
/// To reach: this many times the floor.
const LIMIT: f64 = 2.0;

fn main() {
    let began = now();
    let mut words = std::env::args().skip(1);
    if let (Some("stamp"), Some(path)) = (words.next().as_deref(), words.next()) {
        std::fs::write(path, format!("{began}\n")).expect("a place for the time");
        return;
    }
    let decisions = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(DECISIONS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(decisions));
}

/// Nanoseconds since 1970: a time that two processes can compare.
#[expect(clippy::disallowed_methods, reason = "two processes compare their times")]
fn now() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

async fn measure(decisions: usize) {
    let folder = world::folder("bench-latency-").expect("a folder");
    let (dir, me) = (folder.path(), std::env::current_exe().expect("this program"));
    std::fs::create_dir(dir.join("stamps")).expect("a folder");
    // Nobody listens there: the whole fleet is dead.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let fleet = world::Fleet {
        agents: decisions,
        url: &|_| format!("http://127.0.0.1:{port}/"),
        schedule: "{interval: 2s, probe_deadline: 1s}",
        restart: &format!("['{}', stamp, '{}/{{agent}}']", me.display(), dir.join("stamps").display()),
    };
    fleet.write(dir).expect("the gateway's files");
    let daemon = world::Daemon::start(dir).await.expect("a daemon");
    let codes = daemon.codes(decisions).await;

    let mut floor = Floor::new(dir);
    let (mut ours, mut answered, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    for (n, code) in codes.iter().enumerate() {
        tokio::time::sleep(PAUSE).await;
        let command = NewCommand {
            id: format!("decision-{n:05}"),
            line: format!("approve {code}"),
            context: None,
            document: None,
        };
        let started = now();
        let state = daemon.client.say(&command).await.expect("an answer");
        answered.push((now() - started) as f64 / 1e6);
        assert!(state.answer.is_some_and(|answer| answer.text.contains("estart")), "it is not approved");
        let stamp = stamp(&dir.join("stamps"), n).await;
        ours.push(stamp.saturating_sub(started) as f64 / 1e6);
        tokio::time::sleep(PAUSE).await;
        floors.push(floor.measure(&me, dir, n));
    }
    let sum = |[commit, fsync, spawn]: &[f64; 3]| 2.0 * (commit + fsync + spawn);
    let sums: Vec<f64> = floors.iter().map(sum).collect();
    let part = |n: usize| report::quantile(&floors.iter().map(|parts| parts[n]).collect::<Vec<_>>(), 0.5);
    let target = format!("ratio at most {LIMIT}");
    for (name, share, target) in [("median", 0.5, target.as_str()), ("p99", 0.99, "-")] {
        let (ours, floor) = (report::quantile(&ours, share), report::quantile(&sums, share));
        let name = format!("decision to the command's main, {name}");
        report::figure(&name, &format!("{ours:.2} ms"), &format!("{floor:.2} ms"), ours / floor, target);
    }
    println!(
        "  of {decisions}; answered to its sender after {:.2} ms; floor = 2 × (commit {:.2} + fsync {:.2} + spawn to main {:.2}) ms",
        report::quantile(&answered, 0.5),
        part(0),
        part(1),
        part(2),
    );
    report::load();
}

/// When the next command that has not been seen was in its `main`.
async fn stamp(stamps: &Path, seen: usize) -> u128 {
    let start = Instant::now();
    loop {
        let files = std::fs::read_dir(stamps).expect("the stamps").count();
        if files > seen {
            let newest = std::fs::read_dir(stamps).expect("the stamps").filter_map(Result::ok);
            let times: Option<Vec<u128>> =
                newest.map(|file| world::text(&file.path()).strip_suffix('\n')?.parse().ok()).collect();
            if let Some(times) = times {
                return times.into_iter().max().expect("a stamp");
            }
        }
        assert!(start.elapsed() < Duration::from_secs(20), "the command was not started");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What the least that can be done costs.
struct Floor {
    database: Connection,
    file: std::fs::File,
}

impl Floor {
    fn new(dir: &Path) -> Self {
        let database = floor::database(&dir.join("floor.db"), "CREATE TABLE floor (n INTEGER PRIMARY KEY, text TEXT)");
        Self { database, file: std::fs::File::create(dir.join("floor")).expect("a file") }
    }

    /// Milliseconds: a durable commit of one row, an fsync of a file that has grown, a spawn up to `main`.
    fn measure(&mut self, program: &Path, dir: &Path, n: usize) -> [f64; 3] {
        let mut insert = self.database.prepare_cached("INSERT INTO floor (text) VALUES ($1)").expect("a statement");
        let text = "x".repeat(400);
        let started = Instant::now();
        insert.execute([&text]).expect("a commit");
        let commit = started.elapsed().as_secs_f64() * 1e3;

        let started = Instant::now();
        self.file.write_all(&[7; 4096]).and_then(|()| self.file.sync_all()).expect("an fsync");
        let fsync = started.elapsed().as_secs_f64() * 1e3;

        let path = dir.join(format!("spawned-{n}"));
        let started = now();
        let mut child = Command::new(program)
            .arg("stamp")
            .arg(&path)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        child.wait().expect("its end");
        let main: u128 = world::text(&path).trim().parse().expect("a time");
        [commit, fsync, main.saturating_sub(started) as f64 / 1e6]
    }
}
