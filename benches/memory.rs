//! How much memory a real daemon holds that looks after 1,000 agents, each with an HTTP endpoint of its own: as
//! the systemd unit starts it, with one heap for all threads, and as a shell does, with the C library's several.
//!
//! `cargo bench --bench memory`. The floor is the same daemon with one agent.
#![forbid(unsafe_code)]

#[allow(dead_code)]
mod report;
#[allow(dead_code)]
mod world;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Agents.
const AGENTS: usize = 1_000;
/// To reach: less than this, in megabytes of 1,000,000 bytes.
const LIMIT_MB: f64 = 30.0;
/// What `deploy/lazarus-gate.service` sets.
const AS_THE_UNIT: &[(&str, &str)] = &[("MALLOC_ARENA_MAX", "1")];
/// Sweeps to wait for, of half a second each.
const SWEEPS: u32 = 16;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let port = serve().await;
    let target = format!("less than {LIMIT_MB} MB");
    for (how, environment) in [("by the unit", AS_THE_UNIT), ("by a shell", &[])] {
        let (floor_peak, floor_now) = memory(1, port, environment).await;
        let (peak, now) = memory(AGENTS, port, environment).await;
        for (what, value, floor) in [("most", peak, floor_peak), ("at rest", now, floor_now)] {
            let name = format!("resident at {AGENTS} agents, {how}, {what}");
            report::figure(&name, &format!("{value:.1} MB"), &format!("{floor:.1} MB"), value / floor, &target);
        }
    }
    println!("  over {SWEEPS} sweeps; the floor is the daemon with one agent");
}

/// Megabytes: the most there ever was, and now.
async fn memory(agents: usize, port: u16, environment: &[(&str, &str)]) -> (f64, f64) {
    let folder = world::folder("bench-memory-").expect("a folder");
    let fleet = world::Fleet {
        agents,
        url: &|n| format!("http://127.1.{}.{}:{port}/", n / 200, n % 200 + 1),
        schedule: "{interval: 500ms, probe_deadline: 400ms}",
        restart: "['true']",
    };
    fleet.write(folder.path()).expect("the gateway's files");
    let daemon = world::Daemon::start_with(folder.path(), environment).await.expect("a daemon");
    tokio::time::sleep(Duration::from_millis(500) * SWEEPS).await;
    let status = daemon.client.read("/v1/status").await.expect("the status");
    assert!(!status.text.contains("dead"), "the fleet lives: {}", status.text);
    let mb = |line| daemon.memory_kib(line) as f64 * 1024.0 / 1e6;
    (mb("VmHWM"), mb("VmRSS"))
}

/// One program that listens on all of 127.0.0.0/8, so each agent has an address of its own.
async fn serve() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port of our own");
    let port = listener.local_addr().expect("the address of a bound socket").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while let Ok(1..) = stream.read(&mut request).await {
                    if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}
