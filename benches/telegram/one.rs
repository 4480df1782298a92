//! One tap at a time: until it is answered, and until the command that it orders is in its `main`.

use std::path::Path;
use std::time::Duration;

use crate::plain::{ANSWER, COMMAND, Plain};
use crate::room::{OPS, Room, Verification, agent_of, chat, nobody, person};
use crate::{now, report, until};

/// Taps.
const TAPS: usize = 200;
/// Let what follows a tap (its edits, its end) pass before the next.
const PAUSE: Duration = Duration::from_millis(60);
/// To reach: so many times the floor until a tap is answered.
const ANSWERED: f64 = 1.5;
/// To reach: so many times the floor until the command is in its `main`.
const MAIN: f64 = 2.0;

pub async fn measure() {
    let (port, me) = (nobody(), std::env::current_exe().expect("this program"));
    let restart = |dir: &Path| format!("['{}', stamp, '{}/{{agent}}']", me.display(), dir.join("stamps").display());
    let room = Room::open(chat(), TAPS, &|_| format!("http://127.0.0.1:{port}/"), &restart, Verification::Short).await;
    let cards = room.cards(TAPS).await;
    let dir = room.folder.path();
    let (stamps, plain_stamps) = (dir.join("stamps"), dir.join("plain-stamps"));
    std::fs::create_dir(&plain_stamps).expect("a folder");
    let plain = Plain::start(dir, &plain_stamps, &cards[0]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let (mut answered, mut ours) = (Vec::new(), Vec::new());
    let (mut answer_floor, mut floor) = (Vec::new(), Vec::new());
    for (n, card) in cards.iter().enumerate().take(TAPS) {
        tokio::time::sleep(PAUSE).await;
        let began = now();
        let tap = room.api.tap(OPS, card.id, "Restart", person(n));
        tokio::time::sleep(PAUSE).await;
        answered.push(took(&room.api, &tap).await);
        ours.push(main_after(&stamps.join(agent_of(card)), began).await);

        tokio::time::sleep(PAUSE).await;
        let tap = plain.tap(ANSWER, n);
        tokio::time::sleep(PAUSE).await;
        answer_floor.push(took(&plain.api, &tap).await);
        let began = now();
        plain.tap(COMMAND, n);
        tokio::time::sleep(PAUSE).await;
        floor.push(main_after(&plain_stamps.join(n.to_string()), began).await);
    }
    for (what, ours, floor, limit) in
        [("answered", &answered, &answer_floor, ANSWERED), ("the command's main", &ours, &floor, MAIN)]
    {
        let target = format!("ratio at most {limit}");
        for (name, share, target) in [("median", 0.5, target.as_str()), ("p99", 0.99, "-")] {
            let (ours, floor) = (report::quantile(ours, share), report::quantile(floor, share));
            let name = format!("tap to {what}, {name}");
            report::figure(&name, &format!("{ours:.2} ms"), &format!("{floor:.2} ms"), ours / floor, target);
        }
    }
    println!(
        "  of {TAPS}, one at a time; floors = plain sockets, one commit; plain sockets, 2 × (commit, fsync, spawn)"
    );
}

/// Milliseconds until a tap was answered.
async fn took(api: &crate::bot_api::BotApi, tap: &str) -> f64 {
    until("an answer", || api.answer_took(tap)).await.0.as_secs_f64() * 1e3
}

/// Milliseconds from `began` until a command was in its `main`.
async fn main_after(stamp: &Path, began: u128) -> f64 {
    let read = || crate::world::text(stamp).strip_suffix('\n')?.parse::<u128>().ok();
    until("the command", read).await.0.saturating_sub(began) as f64 / 1e6
}
