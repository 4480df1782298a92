//! Two thousand taps at once, each on the card of another dead agent: how many commands a second.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bot_api::BotApi;
use crate::plain::{ALL, Plain};
use crate::room::{OPS, PEOPLE, Room, Verification, chat, nobody, person};
use crate::world::{cpu_ms, memory_kib};
use crate::{report, until, until_every};

/// Taps.
const TAPS: usize = 2_000;
/// Taps of the floor, which has no better rate with more.
const PLAIN_TAPS: usize = 400;
/// Whether all are answered, and all commands ran, is looked at so often.
const EVERY: Duration = Duration::from_millis(25);
/// To reach, a second.
const LIMIT: f64 = 600.0;

/// Where the cards are that are tapped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// All in the team's chat, where fifty people tap.
    Team,
    /// In the private chats of fifty people, who had each of their cards shown (`/show`); each is a second
    /// copy, so all that becomes of a request is edited twice.
    Private,
}

pub async fn measure() {
    let floor = floor().await;
    for place in [Place::Private, Place::Team] {
        at(place, &floor).await;
    }
}

/// What the plain program reached.
struct Floor {
    rate: f64,
    cpu_ms: f64,
    memory_mb: f64,
}

async fn at(place: Place, floor: &Floor) {
    let port = nobody();
    let restart = |dir: &Path| format!("[mkdir, '{}/{{agent}}']", dir.join("stamps").display());
    let room =
        Room::open(chat(), TAPS, &|_| format!("http://127.0.0.1:{port}/"), &restart, Verification::AsShipped).await;
    let mut cards = room.cards(TAPS).await;
    if place == Place::Private {
        cards = shown(&room).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let pid = room.daemon.id();
    let (before, at_rest) = (cpu_ms(pid), memory_kib(pid, "VmRSS"));
    let (calls_before, _) = room.api.sending_calls();

    let began = Instant::now();
    let mut taps: Vec<String> = cards
        .iter()
        .enumerate()
        .map(|(n, card)| {
            let who = if card.chat == OPS { person(n) } else { card.chat };
            room.api.tap(card.chat, card.id, "Restart", who)
        })
        .collect();
    let stamps = room.folder.path().join("stamps");
    let count = || std::fs::read_dir(&stamps).map_or(0, Iterator::count);
    let answered = async {
        answers(&room.api, &mut taps).await;
        began.elapsed()
    };
    let ran = async {
        until_every(EVERY, "the commands", || (count() >= TAPS).then_some(())).await;
        began.elapsed()
    };
    let (answered, ran) = tokio::join!(answered, ran);
    let cpu = cpu_ms(pid) - before;
    let (calls, _) = room.api.sending_calls();

    let rate = TAPS as f64 / ran.as_secs_f64();
    let place = match place {
        Place::Private => format!("from {PEOPLE} chats (copies by /show)"),
        Place::Team => format!("by {PEOPLE} people in one chat"),
    };
    let name = format!("{TAPS} taps {place}, commands");
    let target = format!("at least {LIMIT}/s");
    report::figure(&name, &format!("{rate:.0}/s"), &format!("{:.0}/s", floor.rate), rate / floor.rate, &target);
    let each = cpu / TAPS as f64;
    report::figure(
        "  CPU per tap",
        &format!("{each:.2} ms"),
        &format!("{:.2} ms", floor.cpu_ms),
        each / floor.cpu_ms,
        "-",
    );
    let peak = memory_kib(pid, "VmHWM") as f64 * 1024.0 / 1e6;
    let ratio = peak / floor.memory_mb;
    report::figure("  resident, most", &format!("{peak:.1} MB"), &format!("{:.1} MB", floor.memory_mb), ratio, "-");
    println!(
        "  all answered after {answered:.2?}, all commands ran after {ran:.2?}; {:.1} MB before; {} messages and edits meanwhile",
        at_rest as f64 * 1024.0 / 1e6,
        calls - calls_before,
    );
}

/// Everybody has their share of the requests shown to them in private.
async fn shown(room: &Room) -> Vec<crate::bot_api::Message> {
    for (n, code) in room.daemon.codes(TAPS).await.iter().enumerate() {
        room.api.say(person(n), person(n), &format!("/show {code}"));
    }
    let copies = || -> Vec<_> {
        let all = (0..PEOPLE).flat_map(|n| room.api.cards(person(n)));
        all.filter(|card| !card.buttons().is_empty()).collect()
    };
    until("the copies", || Some(copies()).filter(|copies| copies.len() >= TAPS)).await.0
}

/// Waits until all are answered.
async fn answers(api: &BotApi, taps: &mut Vec<String>) {
    let all = || {
        taps.retain(|tap| api.answer(tap).is_none());
        taps.is_empty().then_some(())
    };
    until_every(EVERY, "the answers", all).await;
}

/// The smallest honest bot: commit, answer, start the command and wait, edit the message.
async fn floor() -> Floor {
    let folder = crate::world::folder("bench-plain-").expect("a folder");
    let stamps = folder.path().join("stamps");
    std::fs::create_dir(&stamps).expect("a folder");
    let some = chat();
    let text = "A card is about as long as this line, ten times over. ".repeat(10);
    let like = some.say(OPS, person(0), &text);
    let plain = Plain::start(folder.path(), &stamps, &some.message(OPS, like).expect("a message")).await;
    let before = cpu_ms(plain.id());
    let began = Instant::now();
    for n in 0..PLAIN_TAPS {
        plain.tap(ALL, n);
    }
    let count = || std::fs::read_dir(&stamps).map_or(0, Iterator::count);
    until_every(EVERY, "the plain commands", || (count() >= PLAIN_TAPS).then_some(())).await;
    let took = began.elapsed().as_secs_f64();
    Floor {
        rate: PLAIN_TAPS as f64 / took,
        cpu_ms: (cpu_ms(plain.id()) - before) / PLAIN_TAPS as f64,
        memory_mb: memory_kib(plain.id(), "VmHWM") as f64 * 1024.0 / 1e6,
    }
}
