//! What the mission bus costs: appends a second one by one and in batches, a resume packet, the last
//! page and an append in a long mission, export and import; each beside a floor of the same run.
//!
//! `cargo bench --bench bus [-- EVENTS]`: EVENTS (1,000,000) is the length of the long mission, a
//! tenth of it is exported and imported. The store lies in a new folder beside the build.

mod floor;
mod report;

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use lazarus_gate::mission::{Draft, MissionBus, MissionRole, Stamp, limit};
use lazarus_gate::pool::{AgentName, MissionName, Timestamp};
use lazarus_gate::store::missions::{self, Actor, Append, Limits, NewEvent, NewMission};
use lazarus_gate::store::{OpenOptions, SLICE, Store, StoreError, Tx, meta};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

/// Events of the long mission unless the command line says otherwise.
const EVENTS: usize = 1_000_000;
/// Appends, one by one and from callers at once.
const APPENDS: usize = 2_000;
/// Callers at once: each waits for its answer before its next append.
const CALLERS: usize = 64;
/// How often what takes microseconds is repeated.
const TIMES: usize = 300;

fn main() -> Result<(), Box<dyn Error>> {
    let events = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(EVENTS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(events))
}

async fn run(events: usize) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::Builder::new().prefix("bench-bus-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = Store::open(&folder.path().join("lazarus.db"), OpenOptions::default()).await?;
    let mut floor = Floor::open(folder.path());
    report::load();
    for name in ["short", "long"] {
        store.write(move |tx| Box::pin(make(tx, name))).await?;
    }
    alone_and_together(&store).await?;
    batched(&store, &mut floor, events).await?;
    independent_of_length(&store).await?;
    files(&store, &mut floor, folder.path(), events / 10).await?;
    report::load();
    store.close().await?;
    Ok(())
}

async fn alone_and_together(store: &Store) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    for number in 0..APPENDS {
        store.write(move |tx| Box::pin(async move { meta::set(tx, "bench", &number.to_string()).await })).await?;
    }
    let floor = rate(APPENDS, started.elapsed());
    let started = Instant::now();
    for number in 0..APPENDS {
        append(store, "short", vec![event(number)]).await?;
    }
    let alone = rate(APPENDS, started.elapsed());
    show("appends, one by one (floor: commits of one statement)", alone, floor, ">= 0.5");

    let sets = together(store, |store, number| async move {
        store.write(move |tx| Box::pin(async move { meta::set(tx, "bench", &number.to_string()).await })).await
    });
    let floor = rate(APPENDS * 4, sets.await?);
    let appends = together(store, |store, number| async move { append(&store, "short", vec![event(number)]).await });
    let at_once = rate(APPENDS * 4, appends.await?);
    show("appends, 64 callers at once (floor: the same commits)", at_once, floor, ">= 0.3");
    Ok(())
}

async fn together<F>(
    store: &Store,
    one: impl Fn(Store, usize) -> F + Clone + Send + 'static,
) -> Result<Duration, Box<dyn Error>>
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    let started = Instant::now();
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let (store, one) = (store.clone(), one.clone());
        callers.push(tokio::spawn(async move {
            for number in (caller..APPENDS * 4).step_by(CALLERS) {
                one(store.clone(), number).await?;
            }
            Ok::<_, StoreError>(())
        }));
    }
    for caller in callers {
        caller.await??;
    }
    Ok(started.elapsed())
}

async fn batched(store: &Store, floor: &mut Floor, events: usize) -> Result<(), Box<dyn Error>> {
    let compared = events.min(100_000);
    let floor = rate(compared, floor.insert("batched", compared)?);
    let started = Instant::now();
    let mut number = 0;
    let mut took_compared = Duration::ZERO;
    while number < events {
        let batch: Vec<NewEvent> = (number..events.min(number + SLICE as usize)).map(event).collect();
        number += batch.len();
        append(store, "long", batch).await?;
        if took_compared.is_zero() && number >= compared {
            took_compared = started.elapsed();
        }
    }
    show("appends, 500 a job (floor: bare rows, 500 a commit)", rate(compared, took_compared), floor, ">= 0.3");
    println!("  the long mission has {events} events, made in {:.1?}", started.elapsed());
    Ok(())
}

/// The same questions of a short and a long mission: the short one is the floor.
async fn independent_of_length(store: &Store) -> Result<(), Box<dyn Error>> {
    let mut figures = Vec::new();
    for name in ["short", "long"] {
        let checkpoint = NewEvent::new(
            "checkpoint",
            Draft::Checkpoint { summary: "s".into(), state: json!({"step": 3}), artifacts: vec![] },
        );
        let handoff = Draft::Handoff { recipient: "bob".into(), checkpoint_id: "checkpoint".into(), note: "n".into() };
        append(store, name, vec![checkpoint, NewEvent::new("handoff", handoff)]).await?;
        let (mission, ada) = (MissionName::new(name)?, AgentName::new("ada")?);
        let (mut packets, mut pages, mut appends) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..TIMES {
            let started = Instant::now();
            let packet = missions::resume_packet(&mut store.read().await?, &mission, &ada, "handoff").await??;
            packets.push(micros(started));
            let started = Instant::now();
            let page = missions::page(&mut store.read().await?, &mission, &ada, None, 50).await??;
            pages.push(micros(started));
            assert!(packet.stream_length > 0 && page.len() == 50);
            let started = Instant::now();
            append(store, name, vec![event(number)]).await?;
            appends.push(micros(started));
        }
        figures.push([packets, pages, appends].map(|of| report::quantile(&of, 0.5)));
    }
    for (at, what) in ["resume packet", "last page of 50", "append"].into_iter().enumerate() {
        let (short, long) = (figures[0][at], figures[1][at]);
        let name = format!("{what}, long mission (floor: a short one)");
        report::figure(&name, &format!("{long:.0} us"), &format!("{short:.0} us"), long / short, "<= 1.5");
    }
    Ok(())
}

async fn files(store: &Store, floor: &mut Floor, folder: &Path, events: usize) -> Result<(), Box<dyn Error>> {
    let document = document(events);
    let text = document.to_string();
    let mut none = || "none".to_owned();
    let bus = MissionBus::from_value(document, &mut Stamp { at: "", new_id: &mut none })?;

    let inserted = floor.insert("imported", events)?;
    let started = Instant::now();
    missions::import(store, bus, "bench", limit::EVENT_BYTES, Timestamp::from_millis(0)).await??;
    show("import (floor: bare rows, 500 a commit)", rate(events, started.elapsed()), rate(events, inserted), ">= 0.3");

    let selected = floor.select("imported", &folder.join("floor.json"))?;
    let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join("export.json"))?);
    let mission = MissionName::new("imported")?;
    let started = Instant::now();
    missions::export(store.reader(), &mission, None, |bytes| std::io::Write::write_all(&mut file, bytes)).await?;
    std::io::Write::flush(&mut file)?;
    let took = started.elapsed();
    show("export (floor: one SELECT written to a file)", rate(events, took), rate(events, selected), ">= 0.5");
    let exported = std::fs::read_to_string(folder.join("export.json"))?;
    assert_eq!(serde_json::from_str::<Value>(&exported)?, serde_json::from_str::<Value>(&text)?);

    let started = Instant::now();
    let verified = missions::verify(&mut store.read().await?, &mission, |_, _| {}).await??;
    println!("  {events} events verified in {:.2?}: {verified:?}", started.elapsed());
    Ok(())
}

/// The same database engine with the same durability and none of the bus: rows of the same size.
struct Floor {
    connection: Connection,
}

impl Floor {
    fn open(folder: &Path) -> Self {
        let schema = "CREATE TABLE rows
            (mission TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (mission, seq)) STRICT";
        Self { connection: floor::database(&folder.join("floor.db"), schema) }
    }

    fn insert(&mut self, mission: &str, events: usize) -> Result<Duration, Box<dyn Error>> {
        let body = event_json(1).to_string() + &"0".repeat(128);
        let started = Instant::now();
        for from in (0..events).step_by(SLICE as usize) {
            let transaction = self.connection.transaction()?;
            for seq in from..events.min(from + SLICE as usize) {
                let mut insert =
                    transaction.prepare_cached("INSERT INTO rows (mission, seq, body) VALUES ($1, $2, $3)")?;
                insert.execute(params![mission, seq as i64, body])?;
            }
            transaction.commit()?;
        }
        Ok(started.elapsed())
    }

    fn select(&mut self, mission: &str, to: &Path) -> Result<Duration, Box<dyn Error>> {
        let started = Instant::now();
        let mut select = self.connection.prepare("SELECT body FROM rows WHERE mission = $1 ORDER BY seq")?;
        let mut rows = select.query([mission])?;
        let mut text = String::new();
        while let Some(row) = rows.next()? {
            text.push_str(row.get_ref(0)?.as_str()?);
            text.push_str(",\n");
        }
        std::fs::write(to, text)?;
        Ok(started.elapsed())
    }
}

async fn make(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    let invalid = |why: String| StoreError::Invalid { table: "missions", row: name.to_owned(), why };
    let mission = MissionName::new(name).map_err(|error| invalid(error.to_string()))?;
    let [ada, bob] = ["ada", "bob"].map(AgentName::new);
    let (ada, bob) = (ada.map_err(|e| invalid(e.to_string()))?, bob.map_err(|e| invalid(e.to_string()))?);
    let (config, at) = (Value::Null, Timestamp::from_millis(0));
    let new = NewMission { name: &mission, title: "t", config: &config, lead: Some(&ada), created_by: "bench", at };
    missions::create(tx, new).await?.map_err(|error| invalid(error.to_string()))?;
    let joined = missions::join(tx, &mission, Actor::plain(&ada), &bob, MissionRole::Write, Value::Null, at).await?;
    joined.map(drop).map_err(|error| invalid(error.to_string()))
}

async fn append(store: &Store, name: &'static str, events: Vec<NewEvent>) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            Box::pin(async move {
                let invalid = |why: String| StoreError::Invalid { table: "missions", row: name.to_owned(), why };
                let mission = MissionName::new(name).map_err(|error| invalid(error.to_string()))?;
                let ada = AgentName::new("ada").map_err(|error| invalid(error.to_string()))?;
                let at = Timestamp::from_millis(1_776_225_600_500);
                let by = Append { mission: &mission, by: Actor::plain(&ada), at, limits: Limits::default() };
                missions::append(tx, &by, events).await?.map(drop).map_err(|error| invalid(error.to_string()))
            })
        })
        .await
}

fn event(number: usize) -> NewEvent {
    NewEvent::new(
        format!("00000000-0000-4000-8000-{number:012}"),
        Draft::Message { topic: "progress".into(), payload: event_json(number) },
    )
}

fn event_json(number: usize) -> Value {
    json!({"step": number, "files": ["src/main.rs", "docs/plan.md"], "said": "half of the tests pass by now"})
}

/// The reference's form of a mission with so many messages.
fn document(events: usize) -> Value {
    let event = |number: usize| {
        json!({"event_type": "message", "sender": "ada", "topic": "progress", "payload": event_json(number),
               "sequence": number, "timestamp": "2026-04-15T04:00:00.500000+00:00",
               "message_id": format!("00000000-0000-4000-8000-{number:012}")})
    };
    json!({"mission_id": "imported", "title": "t", "config": {"roles": {"lead": ["read"]}, "isolation_profiles": []},
           "participants": {"ada": {"name": "ada", "role": "lead", "metadata": {}}},
           "events": (1..=events).map(event).collect::<Vec<_>>()})
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn show(what: &str, ours: f64, floor: f64, target: &str) {
    report::figure(what, &format!("{ours:.0}/s"), &format!("{floor:.0}/s"), ours / floor, target);
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}
