//! How fast the fleet is looked at, each figure beside a floor of the same run.
//!
//! Servers and probes share the machine's cores. The floor is the least that a probe can be: plain sockets that
//! connect, send the same request, read one answer and close.

#[allow(dead_code)]
mod report;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lazarus_gate::pool::{AgentName, Timestamp};
use lazarus_gate::probe::{
    Connection, DescriptorBudget, GatewayAnswer, HttpProber, HttpSettings, Shortage, Signals, Sweeper, Target,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// To reach: new-connection probes a second.
const LIMIT: u32 = 8_000;
const PROBES: usize = 20_000;
const AT_A_TIME: usize = 64;
const SERVERS: usize = 200;
const AGENTS: usize = 10_000;
const DEADLINE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    let budget = DescriptorBudget::raise();
    println!("descriptors: {} (before: {}), slots: {}", budget.limit, budget.limit_before, budget.slots);
    let port = serve().await;
    let floor = new_connections(port).await;
    // The other end of each connection is in this process too.
    let half = DescriptorBudget::of_limit(budget.limit / 2, budget.limit_before);
    sweep(port, half, floor).await;
    println!("  floor = plain sockets, and one deadline of {DEADLINE:?} where some are silent");
    report::load();
}

/// The server of the `n`-th agent: one program that listens on all of 127.0.0.0/8, so each has an address of its own.
fn server(n: usize, port: u16) -> SocketAddr {
    let [.., high, low] = (n / 200 * 256 + n % 200 + 1).to_be_bytes();
    ([127, 1, high, low], port).into()
}

/// Answers every request; `/hole` never.
async fn serve() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port of our own");
    let port = listener.local_addr().expect("the address of a bound socket").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut request).await {
                    if request[..length].starts_with(b"HEAD /hole") {
                        std::future::pending::<()>().await;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

async fn new_connections(port: u16) -> f64 {
    let http = HttpProber::new(&HttpSettings::default()).expect("default settings make a prober");
    // Once each for warmth, then three rounds of both in turn.
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for round in 0..4 {
        let floor = rate(move |n| plain(server(n % SERVERS, port))).await;
        let prober = http.clone();
        let probed = rate(move |n| {
            let (http, url) = (prober.clone(), format!("http://{}/{n}", server(n % SERVERS, port)));
            async move {
                let answer = http.probe_within(&url, Duration::from_secs(10), Connection::Fresh).await;
                answer == GatewayAnswer::Answered { status: 200 }
            }
        })
        .await;
        if round > 0 {
            floors.push(floor);
            ours.push(probed);
        }
    }
    let (floor, probed) = (median(&mut floors), median(&mut ours));
    report::figure(
        "probes on new connections",
        &format!("{probed:.0}/s"),
        &format!("{floor:.0}/s"),
        probed / floor,
        &format!("at least {LIMIT}/s"),
    );
    println!("  {PROBES}, {AT_A_TIME} at a time; floor = plain sockets; the servers share the processors");
    floor
}

async fn plain(server: SocketAddr) -> bool {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        let mut answer = [0; 1024];
        stream.read(&mut answer).await
    };
    exchange.await.is_ok_and(|length| length > 0)
}

/// How many of the questions are answered in a second.
async fn rate<F: Future<Output = bool> + Send + 'static>(ask: impl Fn(usize) -> F + Send + Sync + 'static) -> f64 {
    let (ask, next, failed) = (Arc::new(ask), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let start = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..AT_A_TIME {
        let (ask, next, failed) = (ask.clone(), next.clone(), failed.clone());
        lanes.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= PROBES {
                    return;
                }
                if !ask(n).await {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    while lanes.join_next().await.is_some() {}
    let failed = failed.load(Ordering::Relaxed);
    if failed > 0 {
        println!("  {failed} of {PROBES} failed");
    }
    PROBES as f64 / start.elapsed().as_secs_f64()
}

fn median(of: &mut [f64]) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

async fn sweep(port: u16, budget: DescriptorBudget, floor: f64) {
    for (what, agents, holes) in [
        ("1,000 agents, all answer", 1000, 0),
        ("10,000 agents, all answer", AGENTS, 0),
        ("10,000 agents, 10 % black-holed", AGENTS, 10),
    ] {
        let targets: Vec<Target> = (0..agents)
            .map(|n| Target {
                agent: AgentName::new(format!("agent-{n}")).expect("a name as the design allows"),
                gateway_url: Some(if holes > 0 && n % holes == 0 {
                    format!("http://{}/hole/{n}", server(n, port))
                } else {
                    format!("http://{}/{n}", server(n, port))
                }),
                unit: None,
            })
            .collect();
        let settings = HttpSettings { deadline: DEADLINE, ..HttpSettings::default() };
        let http = HttpProber::new(&settings).expect("default settings make a prober");
        let start = Instant::now();
        let clock = Arc::new(move || Timestamp::from_millis(i64::try_from(start.elapsed().as_millis()).unwrap_or(0)));
        let sweeper = Sweeper::new(http, None, budget, clock);
        let before = resident_kib();
        for round in ["first", "again"] {
            let began = Instant::now();
            let seen = sweeper.sweep(&targets).await;
            let took = began.elapsed();
            let least =
                Duration::from_secs_f64(agents as f64 / floor) + if holes > 0 { DEADLINE } else { Duration::ZERO };
            report::figure(
                &format!("sweep of {what}, {round}"),
                &format!("{took:.2?}"),
                &format!("{least:.2?}"),
                took.as_secs_f64() / least.as_secs_f64(),
                "-",
            );
            println!("  {}; memory +{} KiB", tally(&seen), resident_kib().saturating_sub(before));
        }
    }
}

fn tally(seen: &[(AgentName, Signals)]) -> String {
    let count = |test: fn(&GatewayAnswer) -> bool| {
        seen.iter().filter(|(_, signals)| signals.gateway.as_ref().is_some_and(test)).count()
    };
    format!(
        "{} answered, {} unreachable, {} unknown ({} for want of descriptors)",
        count(|answer| matches!(answer, GatewayAnswer::Answered { .. })),
        count(|answer| matches!(answer, GatewayAnswer::Unreachable { .. })),
        count(|answer| matches!(answer, GatewayAnswer::NoAnswer { .. })),
        count(|answer| matches!(answer, GatewayAnswer::NoAnswer { why: Shortage::Descriptors })),
    )
}

/// What this process holds in memory, the servers included.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
