//! Signed answers under the clock: a real daemon at a relay of this process that forwards what it is told to.
//!
//! `cargo bench --bench nostr [-- one verify flood catchup 5000]`: all parts, unless some are named; the number
//! is for fewer stored events. Relay, daemon and
//! bench share the machine.
#![forbid(unsafe_code)]

#[allow(dead_code)]
mod report;
#[allow(dead_code)]
mod world;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use lazarus_gate::channel::nostr::nostr_sdk::nips::nip44;
use lazarus_gate::channel::nostr::nostr_sdk::{
    Event, EventBuilder, JsonUtil as _, Keys, Kind, SecretKey, Tag, Timestamp, ToBech32 as _,
};
use lazarus_gate::channel::nostr::{Verified, unwrap};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// Decisions of each part.
const DECISIONS: usize = 60;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(150);
/// A flood lasts as long as its decisions.
const BAD_SIGNATURES: u64 = 10_000;
const STRANGE_WRAPS: u64 = 5_000;
/// Events that wait at the relay.
const WAITING: u64 = 100_000;
/// So many it gives in one page.
const PAGE: usize = 500;

fn main() {
    let began = now();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, path] = words.as_slice()
        && verb == "stamp"
    {
        return std::fs::write(path, format!("{began}\n")).expect("a place for the time");
    }
    let parts = ["one", "verify", "flood", "catchup"];
    let named = parts.iter().any(|part| words.iter().any(|word| word == part));
    let wanted = |part: &str| !named || words.iter().any(|word| word == part);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    if wanted("verify") {
        verify();
    }
    runtime.block_on(async {
        if wanted("one") {
            let delays = decisions(Flood::None).await;
            told("relay event to the command's main", &delays, "-");
        }
        if wanted("flood") {
            for (name, flood) in [
                ("under 10,000 bad signatures/s", Flood::Signatures),
                ("under 5,000 wraps of strangers/s", Flood::Wraps),
            ] {
                let calm = report::quantile(&decisions(Flood::None).await, 0.5);
                let delays = decisions(flood).await;
                told(name, &delays, "-");
                let more = report::quantile(&delays, 0.5) - calm;
                println!("  delayed by {more:.1} ms at the median; to reach: at most 100 ms");
            }
        }
        if wanted("catchup") {
            catch_up(words.iter().find_map(|word| word.parse().ok()).unwrap_or(WAITING)).await;
        }
    });
    report::load();
}

fn told(name: &str, delays: &[f64], target: &str) {
    let (median, p99) = (report::quantile(delays, 0.5), report::quantile(delays, 0.99));
    println!("{name:<56} median {median:>8.2} ms   p99 {p99:>8.2} ms   of {}   to reach: {target}", delays.len());
}

#[expect(clippy::disallowed_methods, reason = "two processes compare their times")]
fn now() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

fn seconds() -> u64 {
    u64::try_from(now() / 1_000_000_000).unwrap_or(0)
}

fn keys(number: u8) -> Keys {
    Keys::new(SecretKey::from_slice(&[number; 32]).expect("a key"))
}

/// A note of `author` to the gateway.
fn note(author: &Keys, text: &str, at: u64) -> Event {
    let gate = keys(1).public_key();
    let note = EventBuilder::new(Kind::TextNote, text).tag(Tag::public_key(gate));
    note.custom_created_at(Timestamp::from(at)).sign_with_keys(author).expect("a signature")
}

/// What a stranger wraps for the gateway.
fn strange_wrap(number: u64) -> Event {
    let (gate, ephemeral) = (keys(1).public_key(), Keys::generate());
    let seal = EventBuilder::new(Kind::Seal, format!("stranger {number}")).sign_with_keys(&keys(9)).expect("a seal");
    let text = nip44::encrypt(ephemeral.secret_key(), &gate, seal.as_json(), nip44::Version::V2).expect("a text");
    EventBuilder::new(Kind::GiftWrap, text).tag(Tag::public_key(gate)).sign_with_keys(&ephemeral).expect("a signature")
}

/// How many signatures and wraps one thread checks in a second.
fn verify() {
    let rate = |name: &str, count: usize, work: &mut dyn FnMut(usize)| {
        let start = Instant::now();
        (0..count).for_each(work);
        println!("{name:<56} {:>11.0} /s", count as f64 / start.elapsed().as_secs_f64());
    };
    let notes: Vec<Event> = (0..2_000).map(|number| note(&keys(2), &format!("approve {number}"), seconds())).collect();
    rate("signed decisions verified", notes.len(), &mut |at| {
        Verified::new(notes[at].clone()).expect("it is genuine");
    });
    let (gate, wraps) = (keys(1), (0..1_000).map(strange_wrap).collect::<Vec<_>>());
    let us = gate.public_key().to_hex();
    rate("wraps of strangers turned away", wraps.len(), &mut |at| {
        unwrap(&wraps[at], gate.secret_key(), &us, |_| false).expect_err("it is a stranger's");
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flood {
    None,
    Signatures,
    Wraps,
}

/// Decisions one after the other, in milliseconds from the relay to the command's main.
async fn decisions(flood: Flood) -> Vec<f64> {
    let relay = Relay::start().await;
    let (folder, stamps) = (world::folder("bench-nostr-").expect("a folder"), PathBuf::from("stamps"));
    let stamps = folder.path().join(stamps);
    let daemon = start(folder.path(), &relay, DECISIONS).await;
    let codes = daemon.codes(DECISIONS).await;
    relay.until_asked().await;
    let events: Vec<String> = match flood {
        Flood::None => Vec::new(),
        Flood::Signatures => {
            let good = note(&keys(9), "hello", seconds());
            let notes = (0..BAD_SIGNATURES * 2).map(|number| note(&keys(9), &number.to_string(), seconds()));
            notes.map(|event| event.as_json().replace(&event.sig.to_string(), &good.sig.to_string())).collect()
        }
        Flood::Wraps => (0..STRANGE_WRAPS * 4).map(|number| strange_wrap(number).as_json()).collect(),
    };
    let rate = if flood == Flood::Signatures { BAD_SIGNATURES } else { STRANGE_WRAPS };
    let flooding = (flood != Flood::None).then(|| {
        let relay = relay.clone();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            for some in events.chunks(usize::try_from(rate / 100).unwrap_or(1)).cycle() {
                tick.tick().await;
                some.iter().for_each(|event| relay.tell(event));
            }
        })
    });
    let mut delays = Vec::with_capacity(codes.len());
    for (seen, code) in codes.iter().enumerate() {
        tokio::time::sleep(PAUSE).await;
        let event = note(&keys(2), &format!("approve {code}"), seconds()).as_json();
        let started = now();
        relay.tell(&event);
        delays.push(stamp(&stamps, seen).await.saturating_sub(started) as f64 / 1e6);
    }
    if let Some(flooding) = flooding {
        flooding.abort();
    }
    delays
}

/// From the start of a daemon to a command that the oldest of many stored events orders.
async fn catch_up(waiting: u64) {
    let relay = Relay::start().await;
    let folder = world::folder("bench-nostr-").expect("a folder");
    let stamps = folder.path().join("stamps");
    // It asks, and is stopped: the answer comes when it is down, and then much that says nothing.
    let daemon = start(folder.path(), &relay, 1).await;
    let code = daemon.codes(1).await.remove(0);
    relay.until_asked().await;
    let at = seconds();
    relay.stores(at, note(&keys(2), &format!("approve {code}"), at).as_json());
    drop(daemon);
    let stranger = keys(9);
    for number in 0..waiting {
        let at = at + 1 + number % 90;
        relay.stores(at, note(&stranger, &number.to_string(), at).as_json());
    }
    relay.sort();
    let started = Instant::now();
    let _daemon = world::Daemon::start(folder.path()).await.expect("a daemon");
    stamp(&stamps, 0).await;
    let took = started.elapsed().as_secs_f64();
    println!(
        "{:<56} {took:>9.1} s   {:.0} events/s",
        format!("catch-up of {waiting} stored events"),
        waiting as f64 / took
    );
}

async fn start(dir: &Path, relay: &Relay, agents: usize) -> world::Daemon {
    let me = std::env::current_exe().expect("this program");
    std::fs::create_dir_all(dir.join("stamps")).expect("a folder");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let fleet = world::Fleet {
        agents,
        url: &|_| format!("http://127.0.0.1:{port}/"),
        schedule: "{interval: 2s, probe_deadline: 1s}",
        restart: &format!("['{}', stamp, '{}/{{agent}}']", me.display(), dir.join("stamps").display()),
    };
    let path = fleet.write(dir).expect("the gateway's files");
    let (gate, kim, url) = (keys(1), keys(2), &relay.url);
    std::fs::write(dir.join("nostr.key"), gate.secret_key().to_bech32().expect("a key")).expect("a key's file");
    let text = world::text(&path).replace(
        "approves: '*'}",
        &format!("approves: '*', nostr: {}, relays: ['{url}']}}", kim.public_key().to_hex()),
    );
    let nostr = format!(
        "  nostr: {{enabled: true, secret_key_file: nostr.key, relays: ['{url}'], audiences: {{ops: {{people: [me]}}}}}}\n"
    );
    std::fs::write(&path, text + &nostr).expect("the gateway's file");
    world::Daemon::start(dir).await.expect("a daemon")
}

/// When the next command that has not been seen was in its `main`.
async fn stamp(stamps: &Path, seen: usize) -> u128 {
    let start = Instant::now();
    loop {
        let files: Vec<_> = std::fs::read_dir(stamps).expect("the stamps").filter_map(Result::ok).collect();
        if files.len() > seen {
            let times: Option<Vec<u128>> =
                files.iter().map(|file| world::text(&file.path()).strip_suffix('\n')?.parse().ok()).collect();
            if let Some(times) = times {
                return times.into_iter().max().expect("a stamp");
            }
        }
        assert!(start.elapsed() < Duration::from_secs(180), "the command was not started");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A relay that gives what it has in pages, and forwards what the bench tells it, and nothing else.
#[derive(Clone)]
struct Relay {
    inner: Arc<Mutex<Inner>>,
    url: String,
}

#[derive(Default)]
struct Inner {
    stored: Vec<(u64, String)>,
    lines: Vec<mpsc::UnboundedSender<String>>,
    asked: bool,
}

impl Relay {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("ws://{}", listener.local_addr().expect("an address"));
        let inner = Arc::new(Mutex::new(Inner::default()));
        let served = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let inner = Arc::clone(&served);
                tokio::spawn(async move {
                    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
                    let (mut out, mut into) = socket.split();
                    let (line, mut lines) = mpsc::unbounded_channel::<String>();
                    inner.lock().expect("a lock").lines.push(line.clone());
                    tokio::spawn(async move {
                        while let Some(text) = lines.recv().await {
                            if out.send(Message::text(text)).await.is_err() {
                                return;
                            }
                        }
                    });
                    while let Some(Ok(message)) = into.next().await {
                        let Ok(text) = message.into_text() else { continue };
                        let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
                        answer(&inner, &line, &message);
                    }
                });
            }
        });
        Self { inner, url }
    }

    fn tell(&self, event: &str) {
        let text = format!("[\"EVENT\",\"lazarus-open\",{event}]");
        self.inner.lock().expect("a lock").lines.retain(|line| line.send(text.clone()).is_ok());
    }

    fn stores(&self, at: u64, event: String) {
        self.inner.lock().expect("a lock").stored.push((at, event));
    }

    fn sort(&self) {
        self.inner.lock().expect("a lock").stored.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    }

    async fn until_asked(&self) {
        while !self.inner.lock().expect("a lock").asked {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn answer(inner: &Mutex<Inner>, line: &mpsc::UnboundedSender<String>, message: &Value) {
    // Whoever has gone hears nothing.
    let say = |text: String| drop(line.send(text));
    match message[0].as_str() {
        Some("EVENT") => say(json!(["OK", message[1]["id"], true, ""]).to_string()),
        Some("REQ") => {
            let (id, filter) = (&message[1], &message[2]);
            let is_open = filter["kinds"].as_array().is_some_and(|kinds| kinds.contains(&json!(1)));
            let (until, since) = (filter["until"].as_u64().unwrap_or(u64::MAX), filter["since"].as_u64().unwrap_or(0));
            let mut inner = inner.lock().expect("a lock");
            inner.asked |= is_open;
            let from = inner.stored.partition_point(|(at, _)| *at > until);
            let page = inner.stored[from..].iter().take_while(|(at, _)| is_open && *at >= since).take(PAGE);
            page.for_each(|(_, event)| say(format!("[\"EVENT\",{id},{event}]")));
            say(json!(["EOSE", id]).to_string());
        }
        _ => {}
    }
}
