use std::time::Duration;

use serde_json::json;

use super::super::agents::{self, AgentRow, Health, Written};
use super::super::executions::{self, ExecutionChange, ExecutionPhase, NewExecution};
use super::super::incidents::{IncidentPhase, close};
use super::super::requests::{RequestChange, RequestPhase};
use super::super::{epochs, meta, votes};
use super::*;

#[tokio::test]
async fn an_agent_has_one_open_incident() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| open_incident(tx, "i1", "ada").await).unwrap();
    let second = job!(store, |tx| open_incident(tx, "i2", "ada").await);
    assert!(matches!(second, Err(StoreError::Taken { table: "incidents", .. })), "{second:?}");
    job!(store, |tx| incidents::update(tx, "i1", &mission("archive"), None, &json!({"v": 1, "held": true})).await)
        .unwrap();
    job!(store, |tx| close(tx, "i1", IncidentPhase::Recovered, at(9), &json!({})).await).unwrap();
    let again = job!(store, |tx| close(tx, "i1", IncidentPhase::Gone, at(9), &json!({})).await).unwrap_err();
    assert_eq!(again.to_string(), "incidents i1: expected open, found recovered");
    job!(store, |tx| open_incident(tx, "i2", "ada").await).unwrap();

    let mut read = store.read().await.unwrap();
    assert_eq!(incidents::open_of(&mut read, &agent("ada")).await.unwrap().unwrap().id, "i2");
    let first = incidents::load(&mut read, "i1").await.unwrap().unwrap();
    assert_eq!((first.mission.as_str(), first.closed_at), ("archive", Some(at(9))));
    assert_eq!(incidents::open(&mut read).await.unwrap().len(), 1);
    assert_eq!(incidents::history(&mut read, Some(&agent("ada")), 9).await.unwrap().len(), 2);
    assert_eq!(incidents::history(&mut read, None, 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_incident_asks_once_at_a_time_and_a_request_ends_once() {
    let place = Place::new();
    let store = place.open().await;
    let orphan = job!(store, |tx| ask(tx, "r0", "i1", "ada", "ada:forge:0").await);
    assert!(orphan.is_err(), "no request without its incident");
    job!(store, |tx| {
        open_incident(tx, "i1", "ada").await?;
        ask(tx, "r1", "i1", "ada", "ada:forge:1").await
    })
    .unwrap();
    let second = job!(store, |tx| ask(tx, "r2", "i1", "ada", "ada:forge:2").await);
    assert!(matches!(second, Err(StoreError::Taken { .. })));

    let end = |state| RequestChange { state, expires_at: None, closed_at: Some(at(5)), body: &json!(null) };
    job!(store, |tx| requests::update(tx, "r1", RequestPhase::Pending, end(RequestPhase::Denied)).await).unwrap();
    let late = job!(store, |tx| requests::update(tx, "r1", RequestPhase::Pending, end(RequestPhase::Approved)).await);
    assert_eq!(late.unwrap_err().to_string(), "requests r1: expected pending, found denied");
    let same_key = job!(store, |tx| ask(tx, "r2", "i1", "ada", "ada:forge:1").await);
    assert!(matches!(same_key, Err(StoreError::Taken { .. })), "a key is used once");
    job!(store, |tx| ask(tx, "r2", "i1", "ada", "ada:forge:2").await).unwrap();

    let mut read = store.read().await.unwrap();
    assert_eq!(requests::by_key(&mut read, "ada:forge:1").await.unwrap().unwrap().state, RequestPhase::Denied);
    assert_eq!(requests::by_code(&mut read, "K7M2QX").await.unwrap().unwrap().id, "r2");
    assert_eq!(requests::load(&mut read, "r1").await.unwrap().unwrap().closed_at, Some(at(5)));
    assert_eq!(requests::pending(&mut read).await.unwrap().len(), 1);
    assert_eq!(requests::of_incident(&mut read, "i1").await.unwrap().len(), 2);
    assert_eq!(requests::last_key_second(&mut read, &agent("ada")).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_code_is_not_given_twice_before_it_is_purged() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| {
        open_incident(tx, "i1", "ada").await?;
        ask(tx, "r1", "i1", "ada", "k1").await?;
        assert!(requests::give_code(tx, "AAAAAA", "r1", at(10)).await?);
        assert!(requests::give_code(tx, "BBBBBB", "gone", at(10)).await?);
        assert!(!requests::give_code(tx, "AAAAAA", "r2", at(20)).await?);
        assert_eq!(requests::purge_codes(tx, at(10), 500).await?, 0);
        assert_eq!(requests::purge_codes(tx, at(11), 500).await?, 1, "that of a pending request stays");
        assert!(requests::give_code(tx, "BBBBBB", "r2", at(30)).await?);
        Ok(())
    })
    .unwrap();
}

async fn execution(tx: &mut Tx, id: &str, incident_id: &str, who: &str, by: Option<&str>) -> Result<(), StoreError> {
    let by = by.map(agent);
    let new = NewExecution {
        id,
        incident_id,
        request_id: None,
        agent: &agent(who),
        substitute: by.as_ref(),
        created_at: at(1),
        body: &json!({}),
    };
    executions::insert(tx, new).await
}

async fn becomes(tx: &mut Tx, id: &str, from: ExecutionPhase, to: ExecutionPhase) -> Result<(), StoreError> {
    let change = ExecutionChange { state: to, run: Some("x1-1"), updated_at: at(2), body: &json!({}) };
    executions::update(tx, id, from, change).await
}

#[tokio::test]
async fn one_live_execution_touches_an_agent() {
    use ExecutionPhase::*;
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| {
        open_incident(tx, "i1", "ada").await?;
        open_incident(tx, "i2", "bob").await?;
        open_incident(tx, "i3", "cyd").await?;
        execution(tx, "x1", "i1", "ada", Some("bob")).await
    })
    .unwrap();
    let cases: [(&str, &str, Option<&str>); 4] =
        [("i1", "ada", None), ("i2", "bob", None), ("i3", "cyd", Some("bob")), ("i3", "cyd", Some("ada"))];
    for state in [Ready, Running, Unknown, Done] {
        for (incident, who, by) in cases {
            let refused = job!(store, |tx| execution(tx, "x2", incident, who, by).await);
            assert!(matches!(refused, Err(StoreError::Taken { .. })), "{state}: {who} by {by:?}: {refused:?}");
        }
        let next = match state {
            Ready => Running,
            Running => Unknown,
            Unknown => Done,
            _ => Verified,
        };
        job!(store, |tx| becomes(tx, "x1", state, next).await).unwrap();
    }
    let stale = job!(store, |tx| becomes(tx, "x1", Running, Done).await).unwrap_err();
    assert_eq!(stale.to_string(), "executions x1: expected running, found verified");
    job!(store, |tx| execution(tx, "x2", "i2", "bob", None).await).unwrap();

    let mut read = store.read().await.unwrap();
    assert_eq!(executions::live(&mut read).await.unwrap().len(), 1);
    assert_eq!(executions::of_incident(&mut read, "i1").await.unwrap().len(), 1);
    assert_eq!(executions::load(&mut read, "x1").await.unwrap().unwrap().substitute, Some(agent("bob")));
    assert!(executions::of_request(&mut read, "r1").await.unwrap().is_none());
    assert!(executions::runs_to_remove(&mut read, at(2), 9).await.unwrap().is_empty());
    assert_eq!(executions::runs_to_remove(&mut read, at(3), 9).await.unwrap()[0].id, "x1");
    drop(read);
    job!(store, |tx| executions::forget_run(tx, "x1").await).unwrap();
    assert!(executions::runs_to_remove(&mut store.read().await.unwrap(), at(3), 9).await.unwrap().is_empty());
    for phase in [Ready, Running, CalledOff, Done, Failed, Unknown, Verified, NotRecovered] {
        assert_eq!(phase.is_live(), matches!(phase, Ready | Running | Done | Unknown));
    }
}

#[tokio::test]
async fn new_live_executions_are_found_without_the_others() {
    use ExecutionPhase::*;
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| {
        for (incident, who, id) in [("i1", "ada", "x1"), ("i2", "bob", "x2"), ("i3", "cyd", "x3")] {
            open_incident(tx, incident, who).await?;
            execution(tx, id, incident, who, None).await?;
        }
        becomes(tx, "x2", Ready, CalledOff).await
    })
    .unwrap();
    let ids = |rows: &[executions::LiveRow]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    let mut read = store.read().await.unwrap();
    let all = executions::live_in_short(&mut read).await.unwrap();
    assert_eq!(ids(&all), ["x1", "x3"]);
    assert_eq!(ids(&executions::live_after(&mut read, all[0].number).await.unwrap()), ["x3"]);
    assert_eq!(ids(&executions::live_after(&mut read, all[1].number).await.unwrap()), [""; 0]);
    drop(read);
    job!(store, |tx| becomes(tx, "x3", Ready, CalledOff).await).unwrap();
    let mut read = store.read().await.unwrap();
    assert_eq!(executions::newest(&mut read).await.unwrap(), all[1].number, "nothing behind it is looked through");
}

#[tokio::test]
async fn an_execution_raises_its_epoch_once() {
    let place = Place::new();
    let store = place.open().await;
    let raise = |store: Store, execution: &'static str| async move {
        job!(store, |tx| epochs::raise(tx, &mission("forge"), &agent("ada"), execution, at(1)).await).unwrap();
        epochs::current(&mut store.read().await.unwrap(), &mission("forge"), &agent("ada")).await.unwrap()
    };
    for (execution, epoch) in [("x1", 1), ("x1", 1), ("x2", 2), ("x1", 2)] {
        assert_eq!(raise(store.clone(), execution).await, epoch);
    }
    let mut read = store.read().await.unwrap();
    assert_eq!(epochs::current(&mut read, &mission("forge"), &agent("ada")).await.unwrap(), 2);
    assert_eq!(epochs::current(&mut read, &mission("archive"), &agent("ada")).await.unwrap(), 0);
}

#[tokio::test]
async fn a_hold_stays_the_first_one_until_it_is_released() {
    let place = Place::new();
    let store = place.open().await;
    let hold = |by: &str| meta::Hold { reason: Some("deploy".into()), by: by.into(), since: at(1) };
    let (kim, lee) = (hold("kim"), hold("lee"));
    let expected = kim.clone();
    let in_force = job!(store, |tx| {
        meta::set_hold(tx, &kim).await?;
        meta::set_hold(tx, &lee).await
    });
    assert_eq!(in_force.unwrap(), expected);
    assert_eq!(meta::hold(&mut store.read().await.unwrap()).await.unwrap(), Some(expected.clone()));
    assert_eq!(job!(store, |tx| meta::release(tx).await).unwrap(), Some(expected));
    assert_eq!(meta::hold(&mut store.read().await.unwrap()).await.unwrap(), None);
    assert_eq!(meta::imported_at(&mut store.read().await.unwrap()).await.unwrap(), None);
    job!(store, |tx| meta::set_imported(tx, at(7)).await).unwrap();
    assert_eq!(meta::imported_at(&mut store.read().await.unwrap()).await.unwrap(), Some(at(7)));
}

#[tokio::test]
async fn votes_stand_in_the_order_in_which_they_entered() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| {
        open_incident(tx, "i1", "ada").await?;
        ask(tx, "r1", "i1", "ada", "k1").await?;
        for (id, person, when) in [("v2", "lee", 20), ("v1", "kim", 10)] {
            let new = votes::NewVote {
                id,
                request_id: "r1",
                person,
                input_id: "in1",
                kind: "deny",
                at: at(when),
                body: &json!({}),
            };
            votes::insert(tx, new).await?;
        }
        Ok(())
    })
    .unwrap();
    let votes = votes::of_request(&mut store.read().await.unwrap(), "r1").await.unwrap();
    assert_eq!(votes.iter().map(|vote| vote.person.as_str()).collect::<Vec<_>>(), ["kim", "lee"]);
}

fn observed(name: &str, health: Health, when: i64) -> AgentRow {
    AgentRow {
        agent: agent(name),
        observed_at: at(when),
        last_healthy_at: (health == Health::Healthy).then(|| at(when)),
        healthy_since: None,
        health,
        body: "{}".into(),
    }
}

#[tokio::test]
async fn ten_thousand_agents_are_written_once_and_then_only_what_changes() {
    let place = Place::new();
    let store = place.open().await;
    let sweep = |when| (0..10_000).map(|n| observed(&format!("a{n}"), Health::Healthy, when)).collect::<Vec<_>>();
    let refresh = Duration::from_secs(180);
    let mut written = Written::default();
    let mut counts = Vec::new();
    for tick in 0..13 {
        let mut rows = sweep(tick * 30_000);
        if tick == 1 {
            rows[7] = observed("a7", Health::Unhealthy, 30_000);
        }
        let due: Vec<AgentRow> = written.due(&rows, refresh).into_iter().cloned().collect();
        counts.push(due.len());
        written.note(&due);
        job!(store, |tx| agents::record(tx, &due).await).unwrap();
    }
    assert_eq!(counts[0], 10_000);
    assert_eq!(counts[1], 1, "only what changed");
    assert!(counts[2..].iter().all(|&count| count < 6_000), "refreshes are spread: {counts:?}");
    let stored = agents::load(&mut store.read().await.unwrap()).await.unwrap();
    assert_eq!(stored.len(), 10_000);
    assert!(stored.iter().all(|row| at(12 * 30_000).since(row.observed_at) <= refresh), "none is older than that");

    let written = Written::new(&stored);
    assert_eq!(written.all(&stored).len(), 0);
    assert_eq!(written.all(&sweep(13 * 30_000)).len(), 10_000);
    job!(store, |tx| agents::forget(tx, &[agent("a1")]).await).unwrap();
    assert!(agents::find(&mut store.read().await.unwrap(), &agent("a1")).await.unwrap().is_none());
}
