//! Telegram is away for five seconds while a fleet dies: how long after its return everything is out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::bot_api::BotApi;
use crate::room::{OPS, PEOPLE, Room, Verification, chat, person};
use crate::{report, until};

/// Agents that die meanwhile, each with a card.
const AGENTS: usize = 300;
/// How long Telegram is away.
const OUTAGE: Duration = Duration::from_secs(5);
/// To reach: everything is out within this.
const LIMIT: Duration = Duration::from_secs(1);

pub async fn measure() {
    let lives = Arc::new(AtomicBool::new(true));
    let port = serve(Arc::clone(&lives)).await;
    let url = |n: usize| format!("http://127.1.{}.{}:{port}/", n / 200, n % 200 + 1);
    let room = Room::open(chat(), AGENTS, &url, &|_| "['true']".to_owned(), Verification::Short).await;
    until("a first poll", || (!room.api.calls_of("getUpdates").is_empty()).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(4)).await;

    room.api.close_port();
    let began = Instant::now();
    lives.store(false, Ordering::Relaxed);
    room.daemon.codes(AGENTS).await;
    tokio::time::sleep((OUTAGE).saturating_sub(began.elapsed())).await;
    let away = began.elapsed();
    assert!(room.api.cards(OPS).is_empty(), "something came through");
    room.api.open_port();
    let opened = Instant::now();
    until("the cards", || (room.api.cards(OPS).len() >= AGENTS).then_some(())).await;
    let out = opened.elapsed();

    let floor = bare(&room.api).await;
    let ratio = out.as_secs_f64() / floor.as_secs_f64();
    let name = format!("{AGENTS} cards due, all out after an outage of {:.1} s", away.as_secs_f64());
    let target = format!("at most {:.0} s", LIMIT.as_secs_f64());
    report::figure(
        &name,
        &format!("{:.2} s", out.as_secs_f64()),
        &format!("{:.2} s", floor.as_secs_f64()),
        ratio,
        &target,
    );
    println!("  floor = the same texts over one plain, kept-alive socket, one after the other");
}

/// The cards once more, from plain sockets, to one of the people.
async fn bare(api: &BotApi) -> Duration {
    let texts: Vec<String> = api.cards(OPS).into_iter().map(|card| card.text).collect();
    let (url, to) = (api.url(), person(PEOPLE - 1));
    tokio::task::spawn_blocking(move || crate::plain::send(&url, to, &texts)).await.expect("the plain sockets")
}

/// One program for the whole fleet; each agent has an address of its own.
async fn serve(lives: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port of our own");
    let port = listener.local_addr().expect("the address of a bound socket").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let lives = Arc::clone(&lives);
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while let Ok(1..) = stream.read(&mut request).await {
                    // Who is dead answers nothing.
                    let dead = !lives.load(Ordering::Relaxed);
                    if dead || stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}
