//! A team's chat under the clock: a real daemon against our own Bot API server, each figure beside what a
//! program of plain sockets and nothing else reaches in the same run, on the same server.
//!
//! `cargo bench --bench telegram [-- one flood outage limit]`: all four parts, unless some are named.
//! The server, the daemon and the plain program share the machine, and so does the bench that taps.
#![forbid(unsafe_code)]

#[path = "../../tests/bot_api/mod.rs"]
mod bot_api;
mod flood;
#[path = "../floor/mod.rs"]
mod floor;
mod limit;
mod one;
mod outage;
mod plain;
#[allow(dead_code)]
#[path = "../report/mod.rs"]
mod report;
mod room;
#[allow(dead_code)]
#[path = "../world/mod.rs"]
mod world;

use std::time::Duration;

fn main() {
    let began = now();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        // What a restart starts: it notes when it was in its `main`.
        ["stamp", path] => return std::fs::write(path, format!("{began}\n")).expect("a place for the time"),
        // A program in between, as a shim is, and nothing more.
        ["relay", path] => return plain::spawn(&["stamp", path]),
        ["plain", url, dir, stamps] => return plain::run(url, dir.as_ref(), stamps.as_ref()),
        _ => {}
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let named = ["one", "flood", "outage", "limit"].iter().any(|part| words.contains(part));
    let wanted = |part: &str| !named || words.contains(&part);
    runtime.block_on(async {
        if wanted("one") {
            one::measure().await;
        }
        if wanted("flood") {
            flood::measure().await;
        }
        if wanted("outage") {
            outage::measure().await;
        }
        if wanted("limit") {
            limit::measure().await;
        }
    });
    report::load();
}

/// Nanoseconds since 1970: a time that two processes can compare.
#[expect(clippy::disallowed_methods, reason = "two processes compare their times")]
fn now() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Looks again and again until `look` finds something; how long that took.
async fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> (T, Duration) {
    until_every(Duration::from_millis(5), what, look).await
}

/// The same, looking so often: to look at thousands of things takes its time, and it is the measured programs' time.
async fn until_every<T>(every: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> (T, Duration) {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = look() {
            return (found, start.elapsed());
        }
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for {what}");
        tokio::time::sleep(every).await;
    }
}
