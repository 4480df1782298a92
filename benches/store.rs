//! How many durable decisions a second the store takes: one by one, and when they come together,
//! each beside the floor of a bare commit on the same disk, measured in the same run.
//!
//! `cargo bench --bench store [-- DECISIONS]`; the store lies in a new folder beside the build,
//! so that a temporary file system in memory does not flatter the disk.

use std::path::Path;
use std::time::{Duration, Instant};

use lazarus_gate::pool::{AgentName, MissionName, Timestamp};
use lazarus_gate::store::{
    OpenOptions, Store, StoreError, Tx, epochs, executions, inbox, incidents, journal, messages, meta, requests, votes,
};
use serde_json::json;

/// Decisions of a run unless the command line says otherwise.
const DECISIONS: usize = 4_000;
/// Callers at once in the run with groups: each waits for its answer before its next decision.
const CALLERS: usize = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let decisions = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(DECISIONS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(decisions))
}

async fn run(decisions: usize) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::Builder::new().prefix("bench-store-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = Store::open(&folder.path().join("lazarus.db"), OpenOptions::default()).await?;

    let commits = decisions.min(2_000);
    let started = Instant::now();
    for number in 0..commits {
        store.write(move |tx| Box::pin(async move { meta::set(tx, "bench", &number.to_string()).await })).await?;
    }
    report("floor: commits of one statement, one by one", commits, started.elapsed());
    report_fsync(folder.path(), commits)?;

    let alone = decisions.min(1_000);
    prepare(&store, 0..alone).await?;
    let started = Instant::now();
    for number in 0..alone {
        store.write(move |tx| Box::pin(decide(tx, number))).await?;
    }
    report("decisions, one by one", alone, started.elapsed());

    prepare(&store, alone..alone + decisions).await?;
    let started = Instant::now();
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let store = store.clone();
        callers.push(tokio::spawn(async move {
            for number in (alone + caller..alone + decisions).step_by(CALLERS) {
                store.write(move |tx| Box::pin(decide(tx, number))).await?;
            }
            Ok::<_, StoreError>(())
        }));
    }
    for caller in callers {
        caller.await??;
    }
    report("decisions, together", decisions, started.elapsed());

    let started = Instant::now();
    let verified = journal::verify(&mut store.read().await?, |_, _| {}).await?;
    println!("journal verified in {:?}: {verified:?}", started.elapsed());
    store.close().await?;
    Ok(())
}

fn report(what: &str, count: usize, took: Duration) {
    let each = took.as_secs_f64() * 1000.0 / count as f64;
    println!("{what:<56} {:>9.0}/s   {each:.3} ms each", count as f64 / took.as_secs_f64());
}

/// What the disk gives without any database: append 4 KiB, fdatasync.
fn report_fsync(folder: &Path, count: usize) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(folder.join("floor"))?;
    let started = Instant::now();
    for _ in 0..count {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
    }
    report("floor: 4 KiB appended and synced", count, started.elapsed());
    Ok(())
}

fn name(number: usize) -> Result<(AgentName, MissionName), Box<dyn std::error::Error>> {
    Ok((AgentName::new(format!("agent-{number}"))?, MissionName::new("forge")?))
}

/// A pending request for each number.
async fn prepare(store: &Store, numbers: std::ops::Range<usize>) -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = numbers.collect();
    for slice in numbers.chunks(500) {
        let mut names = Vec::new();
        for &number in slice {
            names.push((number, name(number)?));
        }
        store
            .write(move |tx| {
                Box::pin(async move {
                    for (number, (agent, mission)) in &names {
                        pending(tx, *number, agent, mission).await?;
                    }
                    Ok(())
                })
            })
            .await?;
    }
    Ok(())
}

async fn pending(tx: &mut Tx, number: usize, agent: &AgentName, mission: &MissionName) -> Result<(), StoreError> {
    let (incident, request, code) = (format!("i{number}"), format!("r{number}"), format!("c{number}"));
    let at = Timestamp::from_millis(number as i64);
    let body = json!({"v": 1, "disposition": "asking"});
    incidents::insert(tx, incidents::NewIncident { id: &incident, agent, mission, opened_at: at, body: &body }).await?;
    requests::give_code(tx, &code, &request, at).await?;
    let key = format!("{agent}:{mission}:{number}");
    let new = requests::NewRequest {
        id: &request,
        incident_id: &incident,
        agent,
        mission,
        approval_key: &key,
        key_second: i64::try_from(number).unwrap_or(i64::MAX),
        code: &code,
        created_at: at,
        body: &body,
    };
    requests::insert(tx, new).await
}

/// What a tap costs: the input, the vote, the request, the incident, the execution, its epoch, three
/// journal entries, the answer and the message that owes it, all in one job.
async fn decide(tx: &mut Tx, number: usize) -> Result<(), StoreError> {
    let at = Timestamp::from_millis(1_000_000 + number as i64);
    let (request, incident) = (format!("r{number}"), format!("i{number}"));
    let (execution, input) = (format!("x{number}"), format!("in{number}"));
    let raw = json!({"update_id": number, "callback_query": {"from": {"id": 123456789}, "data": "A".repeat(22)}});
    inbox::append(
        tx,
        &inbox::Input { id: input.clone(), source: "telegram".into(), raw: raw.to_string(), entered_at: at },
    )
    .await?;
    let Some(row) = requests::by_code(tx, &format!("c{number}")).await? else { return Ok(()) };
    let body = json!({"v": 1, "person": "kim", "decision": "restart"});
    votes::insert(
        tx,
        votes::NewVote {
            id: &format!("v{number}"),
            request_id: &request,
            person: "kim",
            input_id: &input,
            kind: "approve",
            at,
            body: &body,
        },
    )
    .await?;
    let change = requests::RequestChange {
        state: requests::RequestPhase::Approved,
        expires_at: None,
        closed_at: Some(at),
        body: &body,
    };
    requests::update(tx, &request, requests::RequestPhase::Pending, change).await?;
    incidents::update(tx, &incident, &row.mission, None, &body).await?;
    let new = executions::NewExecution {
        id: &execution,
        incident_id: &incident,
        request_id: Some(&request),
        agent: &row.agent,
        substitute: None,
        created_at: at,
        body: &body,
    };
    executions::insert(tx, new).await?;
    epochs::raise(tx, &row.mission, &row.agent, &execution, at).await?;
    let entry = |kind: &str| journal::Entry { kind: kind.into(), agent: Some(row.agent.clone()), body: body.clone() };
    journal::append(tx, &[entry("vote"), entry("request.approved"), entry("execution.ready")], at).await?;
    let note = messages::NewMessage {
        id: format!("m{number}"),
        channel: "terminal".into(),
        target: "tty".into(),
        about: Some(request),
        kind: messages::MessageKind::Note,
        priority: 1,
        created_at: at,
        body: body.to_string(),
    };
    messages::insert(tx, &[note]).await?;
    inbox::finish(tx, &input, r#"{"ok":true}"#, at, true).await
}
