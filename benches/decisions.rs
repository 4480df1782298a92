//! How many decisions a second are taken when they come together, each durable and whole: through the inbox,
//! worked off, the vote counted, the execution made, the answer kept. Beside the floor of bare commits.
//!
//! `cargo bench --bench decisions [-- DECISIONS]`. First the inbox alone, as a burst of taps meets it; then a
//! real daemon over its socket, which starts the commands meanwhile.
#![forbid(unsafe_code)]

#[allow(dead_code)]
mod report;
#[allow(dead_code)]
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lazarus_gate::approval::{AnswerKind, Channel, InputId, Said, Speaker};
use lazarus_gate::config;
use lazarus_gate::gateway::{Gateway, GatewayDesk, MachineClock, Parts, SteadyClock, inbox, plan};
use lazarus_gate::pool::{Health, Timestamp, Watch};
use lazarus_gate::probe::{DescriptorBudget, HttpProber, HttpSettings, Sweeper};
use lazarus_gate::revival::{self, Launcher};
use lazarus_gate::store::{OpenOptions, Store, executions, meta, requests};
use lazarus_gate::web::{Desk, NewCommand, Submitted};

/// Decisions that come together, unless the command line says otherwise.
const DECISIONS: usize = 2_000;
/// To reach, a second.
const LIMIT: f64 = 2_000.0;
/// Connections of one user that the daemon takes at a time, less one for looking.
const CALLERS: usize = 12;
/// Bare commits of the floor.
const COMMITS: u32 = 1_000;

fn main() {
    let decisions = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(DECISIONS);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        inbox_alone(decisions).await;
        real_daemon(decisions).await;
    });
    report::load();
}

async fn inbox_alone(decisions: usize) {
    let folder = world::folder("bench-decisions-").expect("a folder");
    let (gateway, uid) = gateway(folder.path(), decisions).await;
    let mut read = gateway.store.read().await.expect("a reader");
    let pending = requests::pending(&mut read).await.expect("what is pending");
    drop(read);
    assert_eq!(pending.len(), decisions, "not all are asked about");
    let floor = floor(&gateway.store).await;

    let worker = tokio::spawn(inbox::run(Arc::clone(&gateway)));
    let desk = GatewayDesk(Arc::clone(&gateway));
    let started = Instant::now();
    let submitted = join_all(pending.iter().map(|request| {
        let said = Said {
            speaker: Speaker::LocalUser(uid),
            via: Channel::Cli,
            line: format!("approve {}", request.code),
            context: None,
            document: None,
        };
        desk.submit(InputId(format!("bench:{}", request.code)), said)
    }))
    .await;
    let took = started.elapsed();
    for one in submitted {
        match one.expect("the store takes it") {
            Submitted::Answered(answer) => assert_eq!(answer.outcome, AnswerKind::Taken, "{}", answer.text),
            other => panic!("not answered in time: {other:?}"),
        }
    }
    let mut read = gateway.store.read().await.expect("a reader");
    assert_eq!(executions::live(&mut read).await.expect("executions").len(), decisions);
    drop(read);
    gateway.bells.stop();
    worker.await.expect("the inbox");
    let rate = decisions as f64 / took.as_secs_f64();
    let name = format!("decisions a second, {decisions} together, inbox alone");
    report::figure(
        &name,
        &format!("{rate:.0}/s"),
        &format!("{floor:.0}/s"),
        rate / floor,
        &format!("at least {LIMIT}/s"),
    );
    println!(
        "  each: appended, then worked off with vote, execution, journal and answer; floor = bare commits, one by one"
    );
    gateway.store.close().await.expect("the store closes");
}

/// Commits of one small row, one by one.
async fn floor(store: &Store) -> f64 {
    let started = Instant::now();
    for number in 0..COMMITS {
        store
            .write(move |tx| Box::pin(async move { meta::set(tx, "bench", &number.to_string()).await }))
            .await
            .expect("a commit");
    }
    f64::from(COMMITS) / started.elapsed().as_secs_f64()
}

/// A gateway whose whole fleet is dead and asked about; none of its tasks runs.
async fn gateway(dir: &Path, agents: usize) -> (Arc<Gateway>, u32) {
    let fleet = world::Fleet {
        agents,
        url: &|_| "http://127.0.0.1:9/".to_owned(),
        schedule: "{interval: 1s, probe_deadline: 1s}",
        restart: "['true']",
    };
    let path = fleet.write(dir).expect("the gateway's files");
    let config = config::load(&path, &|_: &str| None).expect("sound files").config;
    let store = Store::open(&config.gate.store.path, OpenOptions::default()).await.expect("a store");
    let runs = dir.join("runs");
    revival::prepare_runs(&runs).expect("a folder");
    let clock = Arc::new(SteadyClock::over(Arc::new(MachineClock::start())));
    let (probe_clock, uid) = (Arc::clone(&clock), rustix::process::geteuid().as_raw());
    let http = HttpProber::new(&HttpSettings::default()).expect("a prober");
    let sweeper = Sweeper::new(http, None, DescriptorBudget::raise(), Arc::new(move || probe_clock.now()));
    let gateway = Gateway::new(Parts {
        store,
        clock: Arc::clone(&clock),
        launcher: Launcher::new(env!("CARGO_BIN_EXE_lazarus-gate")),
        runs,
        sweeper,
        config,
        environment: BTreeMap::new(),
        has_manager: false,
        own_uid: uid,
        observe: false,
    });
    let interval = Duration::from_secs(1);
    let now = clock.now().as_millis();
    for (agent, _) in gateway.in_force().members() {
        gateway.watches.begin(agent.clone(), Watch::new(None, Timestamp::from_millis(now - 10_000)));
        for at in [now - 5_000, now - 1_000] {
            let at = Timestamp::from_millis(at);
            gateway.watches.observe(agent, Health::Unhealthy(Vec::new()), at, at, interval);
        }
    }
    plan::step(&gateway).await.expect("planning");
    (gateway, uid)
}

async fn real_daemon(decisions: usize) {
    let folder = world::folder("bench-daemon-").expect("a folder");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let started = folder.path().join("started");
    let fleet = world::Fleet {
        agents: decisions,
        url: &|_| format!("http://127.0.0.1:{port}/"),
        schedule: "{interval: 5s, probe_deadline: 1s}",
        restart: &format!("[mkdir, '{}/{{agent}}']", started.display()),
    };
    fleet.write(folder.path()).expect("the gateway's files");
    std::fs::create_dir(&started).expect("a folder");
    let daemon = Arc::new(world::Daemon::start(folder.path()).await.expect("a daemon"));
    let codes = Arc::new(daemon.codes(decisions).await);
    tokio::time::sleep(Duration::from_secs(1)).await;

    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (daemon, codes) = (Arc::clone(&daemon), Arc::clone(&codes));
            tokio::spawn(async move {
                for code in codes.iter().skip(caller).step_by(CALLERS) {
                    let command = NewCommand {
                        id: format!("bench-{code}"),
                        line: format!("approve {code}"),
                        context: None,
                        document: None,
                    };
                    let state = daemon.client.say(&command).await.expect("an answer");
                    assert!(state.answer.is_some(), "{state:?}");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("a caller");
    }
    let answered = began.elapsed();
    let count = || std::fs::read_dir(&started).map_or(0, Iterator::count);
    while count() < decisions && began.elapsed() < Duration::from_secs(120) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ran = began.elapsed();
    println!(
        "decisions a second, {decisions} over the socket by {CALLERS} callers {:>7.0}/s while commands start; {} commands ran within {ran:.1?} ({:.0}/s)",
        decisions as f64 / answered.as_secs_f64(),
        count(),
        count() as f64 / ran.as_secs_f64(),
    );
}
