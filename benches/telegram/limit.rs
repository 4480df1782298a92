//! Telegram lets thirty messages a second through: how many calls each of them costs.

use std::time::Instant;

use crate::report;
use crate::room::{OPS, Room, Verification, chat, nobody};

/// Agents that are dead, each with a card.
const AGENTS: usize = 300;
/// Messages and edits that go through in a second.
const RATE: f64 = 30.0;
/// To reach, at most.
const LIMIT: f64 = 1.1;

pub async fn measure() {
    let (port, api) = (nobody(), chat());
    api.limit(RATE, RATE);
    let began = Instant::now();
    let room = Room::open(
        api,
        AGENTS,
        &|_| format!("http://127.0.0.1:{port}/"),
        &|_| "['true']".to_owned(),
        Verification::Short,
    )
    .await;
    room.cards(AGENTS).await;
    let took = began.elapsed().as_secs_f64();
    let (calls, applied) = room.api.sending_calls();
    let each = calls as f64 / applied as f64;
    let name = format!("calls for each message under {RATE:.0}/s");
    report::figure(&name, &format!("{each:.3}"), "1", each, &format!("at most {LIMIT}"));
    println!(
        "  {calls} calls, {applied} of them let through, {} cards, all out {took:.1} s after the start; {:.0} s at the limit",
        room.api.cards(OPS).len(),
        AGENTS as f64 / RATE,
    );
}
