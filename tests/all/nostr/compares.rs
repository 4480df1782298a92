//! Comparing what a relay has with what was read (NIP-77), instead of reading it again.

use std::sync::{Arc, Mutex};

use nostr_relay_builder::prelude::{
    BoxedFuture, Filter, LocalRelay, PolicyResult, QueryPolicy, RateLimit, RelayBuilder,
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::rogue::{Compares, Manners, Rogue};
use super::rogues::{read_until, value, with_each};
use super::room::Room;

/// How a relay was asked for wraps since question number `from`: by pages, and by their ids.
fn asked_for_wraps(rogue: &Rogue, from: usize) -> (usize, usize) {
    let pages = rogue.questions(from).into_iter().filter(|question| {
        let is_page = question[1].as_str().is_some_and(|id| id.starts_with("lazarus-page-"));
        question[0] == "REQ" && is_page && question[2]["kinds"] == json!([1059])
    });
    let (by_id, by_page): (Vec<_>, Vec<_>) = pages.partition(|question| question[2]["ids"].is_array());
    (by_page.len(), by_id.len())
}

#[test]
fn what_waits_is_found_by_comparing_and_by_pages_wherever_that_fails() {
    let all = [
        Compares::Honestly,
        Compares::Not,
        Compares::Stalls,
        Compares::Garbage,
        Compares::Conceals,
        Compares::Invents,
        Compares::Refuses,
        Compares::HangsUp,
    ];
    // Only catching up shall bring what waits, but where the relay says that there is nothing.
    let manners =
        |compares| Manners { compares, forgets_private: compares != Compares::Conceals, ..Manners::default() };
    let (room, rogues) = with_each(all.map(manners));
    // On a busy machine, an honest one must not seem to stall.
    let room = room.but(|world| world.gate["channels"]["nostr"]["catch_up_deadline"] = json!("4s")).start();
    for (agent, rogue) in &rogues {
        room.world.silence(agent);
        read_until(&room, rogue);
    }
    let mut asked = Vec::new();
    for (agent, rogue) in &rogues {
        let answer = room.kim.decides(&room.kim.packet_about(agent), "deny", "");
        let (wrap, hay) = (room.kim.wraps(&answer), room.mallory.wraps(&answer));
        asked.push(rogue.asked());
        rogue.has(value(&wrap), false);
        rogue.has(value(&hay), false);
        // It is away for a moment; after that, the daemon catches up.
        rogue.cut();
    }
    for ((compares, (agent, rogue)), from) in all.into_iter().zip(&rogues).zip(asked) {
        room.world.until_journal(agent, "denied");
        room.world.until("all is read", |world| {
            let status = world.says(&["status"]).out;
            status.lines().any(|line| line.contains(&rogue.url) && line.contains("all read")).then_some(())
        });
        let (by_page, by_id) = asked_for_wraps(rogue, from);
        match compares {
            Compares::Honestly => assert_eq!((by_page, by_id), (0, 1)),
            Compares::Conceals => assert_eq!((by_page, by_id), (0, 0)),
            Compares::Invents => assert!(by_page > 0 && by_id == 1, "{by_page}, {by_id}"),
            _ => assert!(by_page > 0 && by_id == 0, "{compares:?}: {by_page}, {by_id}"),
        }
        // What failed is not tried again at the next connection.
        let from = rogue.asked();
        rogue.cut();
        room.world.until("it was asked again", |_| (rogue.asked() >= from + 5).then_some(()));
        let tries = rogue.questions(from).iter().filter(|question| question[0] == "NEG-OPEN").count();
        let expected = usize::from([Compares::Honestly, Compares::Conceals].contains(&compares));
        assert_eq!(tries, expected, "{compares:?}");
    }
}

/// Hears what a relay that others wrote is asked.
#[derive(Clone, Debug, Default)]
struct Asked(Arc<Mutex<Vec<Value>>>);

impl QueryPolicy for Asked {
    fn admit_query<'a>(&'a self, query: &'a Filter, _: &'a std::net::SocketAddr) -> BoxedFuture<'a, PolicyResult> {
        self.0.lock().unwrap().push(serde_json::to_value(query).unwrap());
        Box::pin(async { PolicyResult::Accept })
    }
}

/// A way to a relay that can be cut.
struct Wire {
    url: String,
    cut: watch::Sender<()>,
}

impl Wire {
    fn to(handle: &Handle, port: u16) -> Self {
        let listener = handle.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let (cut, cuts) = watch::channel(());
        handle.spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { url, cut }
    }
}

#[test]
fn a_relay_that_others_wrote_is_compared_with() {
    let mut room = Room::with_agents(&["ada"]);
    let asked = Asked::default();
    let limit = RateLimit { max_reqs: 500, notes_per_minute: 100_000 };
    let relay = LocalRelay::new(RelayBuilder::default().rate_limit(limit).query_policy(asked.clone()));
    let url = room.handle().block_on(async {
        relay.run().await.unwrap();
        relay.url().await.to_string()
    });
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    let wire = Wire::to(room.handle(), port);
    // People are at the relay itself, and the gateway behind the wire.
    room.moves_to(&url);
    let room = room
        .but(|world| {
            world.gate["channels"]["nostr"]["relays"] = json!([wire.url]);
            world.gate["channels"]["nostr"]["catch_up_deadline"] = json!("4s");
        })
        .start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let source = format!("nostr.read:{}", wire.url);
    room.world.until("it was read", |world| world.offset(&source));
    for number in 0..5 {
        room.kim.writes(&format!("whoami {number}"), &[]);
    }
    room.kim.writes("status", &[]);
    room.kim.until_told("Agents:");
    let before = asked.0.lock().unwrap().len();
    wire.cut.send_replace(());
    room.kim.replies(&packet, "deny");
    // One question for wraps stays open; no page of them is asked for, but by their ids.
    let asked_for_wraps = || {
        let queries = asked.0.lock().unwrap()[before..].to_vec();
        let wraps = queries.into_iter().filter(|query| query["kinds"] == json!([1059]) && query["ids"].is_null());
        wraps.filter(|query| query["#p"] == json!([room.kim.gate.to_hex()])).count()
    };
    room.world.until("it is asked again", |_| (asked_for_wraps() > 0).then_some(()));
    room.world.until("all is read again", |world| {
        let status = world.says(&["status"]).out;
        status.lines().any(|line| line.contains(&wire.url) && line.contains("all read")).then_some(())
    });
    room.world.until_journal("ada", "denied");
    assert_eq!(asked_for_wraps(), 1);
}
