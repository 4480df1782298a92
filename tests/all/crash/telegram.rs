//! kill -9 at every boundary of Telegram: nothing is lost, nothing happens twice, and nobody is told what is
//! not so, by the answer to a tap or by a card.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use lazarus_gate::store::messages;
use rustix::process::Signal;
use serde_json::json;

use super::play::calm;
use super::{kills_asked_for, play_all, seed_asked_for};
use crate::bot_api::{CallbackId, Message};
use crate::telegram::room::{KIM, LEE, OPS, Room};
use crate::world::pause;

/// How long a flow may take, with its deaths.
const DEADLINE: Duration = Duration::from_secs(60);
/// How many bursts are played without a wish.
const BURSTS: usize = 3;
/// Taps in a burst.
const TAPS: usize = 200;

/// Where a life may end, and for the points that are come to often: when.
const POINTS: [&str; 22] = [
    "telegram.before_kept",
    "telegram.after_kept",
    "telegram.before_kept:2",
    "telegram.after_kept:2",
    "inbox.before_handled",
    "inbox.in_handling",
    "inbox.after_handled",
    "deliver.before_marked:1",
    "deliver.before_marked:2",
    "deliver.before_marked:3",
    "deliver.before_marked:4",
    "deliver.before_marked:5",
    "deliver.before_marked:6",
    "deliver.before_marked:7",
    "deliver.before_marked:8",
    "deliver.after_marked:2",
    "deliver.after_marked:3",
    "deliver.after_marked:4",
    "deliver.after_marked:5",
    "deliver.after_marked:6",
    "deliver.after_marked:7",
    "deliver.after_marked:8",
];

/// Starts the next life if the last one has ended by a kill; tells whether it had.
fn live_on(room: &mut Room) -> bool {
    if room.world.daemon().ended().is_none() {
        return false;
    }
    let ended = room.world.until_daemon_died();
    assert_eq!(ended.signal(), Some(Signal::KILL.as_raw()), "the daemon ended with {ended}");
    room.world.spawn_daemon(&[], None);
    true
}

fn nothing_is_due(room: &Room) -> bool {
    room.world.read(async |read| messages::count_due(read).await) == Some(0)
}

/// Ada dies, every card that asks is tapped once, and she is restarted, over as many deaths as it takes.
fn play(point: &str) -> usize {
    let mut room = Room::with_agents(&["ada"]).but(|world, _| calm(world));
    room.world.save();
    room.world.spawn_daemon(&[], Some(point));
    let begun = Instant::now();
    let (mut kills, mut silent) = (0, false);
    let mut taps: BTreeMap<i64, CallbackId> = BTreeMap::new();
    loop {
        assert!(begun.elapsed() < DEADLINE, "{point} did not come to its end\n{}", room.api.history());
        kills += usize::from(live_on(&mut room));
        if !silent && room.world.probes_of("ada") > 4 && room.world.was_seen("ada") {
            room.world.silence("ada");
            silent = true;
        }
        for card in room.api.messages(OPS) {
            if !card.buttons().is_empty() && !taps.contains_key(&card.id) {
                let who = if taps.is_empty() { KIM } else { LEE };
                taps.insert(card.id, room.api.tap(OPS, card.id, "Restart", who));
            }
        }
        let over = silent && !room.world.journaled("ada", "recovered").is_empty();
        let told = |card: &Message| card.text.contains("Restarted, and verified at") && card.buttons().is_empty();
        let shown = || taps.keys().all(|id| room.api.message(OPS, *id).is_some_and(|card| told(&card)));
        let answered = || taps.values().all(|tap| room.api.answer(tap).is_some());
        if over && nothing_is_due(&room) && shown() && answered() {
            break;
        }
        pause(Duration::from_millis(20));
    }
    assert_eq!(room.world.runs_of("ada"), 1);
    assert_eq!(room.world.journaled("ada", "approved").len(), 1);
    let answers: Vec<_> = taps.values().filter_map(|tap| room.api.answer(tap)).collect();
    let taken = answers.iter().filter(|answer| answer.text.contains("your approval is taken")).count();
    assert_eq!(taken, 1, "{answers:?}");
    for other in answers.iter().filter(|answer| !answer.text.contains("your approval is taken")) {
        let knows = ["already approved", "nothing changed", "being revived", "approved by me"];
        assert!(knows.iter().any(|words| other.text.contains(words)), "{other:?}");
    }
    let by = &room.world.journaled("ada", "approved")[0].body["by"];
    assert!(by == "me" || by == "lee", "{by}");
    kills
}

#[test]
fn a_death_at_any_point_of_telegram_loses_nothing_and_does_nothing_twice() {
    let kills = play_all(&POINTS, |point| play(point));
    eprintln!("telegram: {} plays, {} kills", kills.len(), kills.iter().sum::<usize>());
    assert!(kills.iter().filter(|kills| **kills == 0).count() <= 4, "{kills:?}");
}

/// 200 requests are answered at once, two of them by a restart; the daemon is killed at that moment.
fn burst(after: Duration) {
    let mut room = Room::with_agents(&["ada"]).but(|world, _| {
        world.gate["schedule"]["interval"] = json!("2s");
        world.gate["schedule"]["probe_deadline"] = json!("1s");
        world.gate["timing"]["reask_after"] = json!("1h");
        world.gate["timing"]["reask_max"] = json!("2h");
        world.gate["timing"]["verify_for"] = json!("300ms");
        for n in 0..TAPS {
            world.registry["fleet"][format!("dead-{n:03}")] = json!({
                "host": "127.0.0.1", "mission": "many", "health_endpoints": {"gateway": "http://127.0.0.1:9/"},
            });
        }
    });
    room.world.save();
    room.world.start_daemon();
    let begun = Instant::now();
    let cards = |room: &Room| -> Vec<Message> {
        room.api.messages(OPS).into_iter().filter(|message| !message.buttons().is_empty()).collect()
    };
    while cards(&room).len() < TAPS {
        assert!(begun.elapsed() < DEADLINE, "only {} cards", cards(&room).len());
        pause(Duration::from_millis(50));
    }
    let tapped: Vec<(Message, CallbackId, bool)> = cards(&room)
        .into_iter()
        .enumerate()
        .map(|(n, card)| {
            let approve = n % 100 == 0;
            let tap = room.api.tap(OPS, card.id, if approve { "Restart" } else { "Deny" }, KIM);
            (card, tap, approve)
        })
        .collect();
    pause(after);
    room.world.kill9();
    room.world.start_daemon();
    let begun = Instant::now();
    let is_over =
        |room: &Room, card: &Message| room.api.message(OPS, card.id).is_some_and(|card| card.buttons().is_empty());
    while !tapped.iter().all(|(card, tap, _)| room.api.answer(tap).is_some() && is_over(&room, card))
        || !nothing_is_due(&room)
    {
        assert!(begun.elapsed() < DEADLINE, "not all was told\n{}", room.api.history());
        pause(Duration::from_millis(50));
    }
    room.world
        .until("the restarts have ended", |world| (world.journaled("", "not_recovered").len() >= 2).then_some(()));
    for (card, tap, approve) in &tapped {
        let agent = card.text.split_whitespace().find(|word| word.starts_with("dead-")).expect("an agent's name");
        let answer = room.api.answer(tap).expect("an answer");
        let (approved, denied) =
            (room.world.journaled(agent, "approved").len(), room.world.journaled(agent, "denied").len());
        assert_eq!((approved, denied), if *approve { (1, 0) } else { (0, 1) }, "{agent}: {answer:?}");
        let words = if *approve { "your approval is taken" } else { "your denial is taken" };
        assert!(answer.text.contains(words), "{agent}: {answer:?}");
        let shown = room.api.message(OPS, card.id).expect("the card").text;
        let words = if *approve { "approved by me (Telegram)" } else { "denied by me (Telegram)" };
        assert!(shown.contains(words) && !shown.contains("verified at"), "{shown}");
        assert_eq!(room.world.runs_of(agent), usize::from(*approve), "{agent}");
    }
}

#[test]
fn two_hundred_taps_survive_a_kill_at_any_moment() {
    let seed = seed_asked_for().unwrap_or(0x7e1e_94a0).max(1);
    eprintln!("bursts: LAZARUS_SEED={seed}");
    let mut dice = seed;
    let mut below = |end: u64| {
        dice ^= dice >> 12;
        dice ^= dice << 25;
        dice ^= dice >> 27;
        (dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % end
    };
    for _ in 0..kills_asked_for().map_or(BURSTS, |kills| kills / 10) {
        let after = Duration::from_millis(below(400));
        eprintln!("killed after {after:?}");
        super::in_turn(|| burst(after));
    }
}

#[test]
fn whoever_tapped_what_kills_three_times_is_told_that_it_was_set_aside() {
    super::in_turn(|| {
        let mut room = Room::with_agents(&["ada"]).but(|world, _| calm(world)).start();
        let card = room.card_about("ada");
        room.stop();
        let tap = room.kim_taps(&card, "Restart");
        let begun = Instant::now();
        while room.api.answer(&tap).is_none() {
            assert!(begun.elapsed() < DEADLINE, "nobody was told\n{}", room.api.history());
            if room.world.daemon.as_mut().is_none_or(|daemon| daemon.ended().is_some()) {
                room.world.daemon = None;
                room.world.spawn_daemon(&[], Some("inbox.in_handling"));
            }
            pause(Duration::from_millis(20));
        }
        let answer = room.api.wait_answer(&tap);
        assert!(answer.show_alert && answer.text.contains("could not be worked off three times"), "{answer:?}");
        assert_eq!(room.world.journaled("", "input_set_aside").len(), 1);
        room.stop();
        room.world.start_daemon();
        assert_eq!(room.world.runs_of("ada"), 0);
        room.world.says(&["inbox", "retry", &format!("telegram:tap:{tap}")]).taken();
        room.until_card_says(&card, "Restarted, and verified at");
    });
}
