use futures_util::future::join_all;

use super::super::super::row::sql;
use super::*;
use crate::mission::chain::Verified;
use crate::mission::{MissionError, limit};

async fn verified(store: &Store) -> Verified {
    let mut db = store.read().await.unwrap();
    missions::verify(&mut db, &mission("forge"), |_, _| {}).await.unwrap().unwrap()
}

fn whole(verified: &Verified) -> i64 {
    match verified {
        Verified::Whole { head } => head.seq,
        broken @ Verified::Broken { .. } => panic!("{broken:?}"),
    }
}

#[tokio::test]
async fn events_are_numbered_and_chained_whoever_writes() {
    let place = Place::new();
    let store = forge(&place).await;
    assert_eq!(append(&store, "kim", message("m1")).await.unwrap()[0].event.sequence(), 1);
    let both = append_as(&store, "ada", None, 1000, vec![checkpoint("c1"), message("m2")]).await.unwrap();
    assert_eq!(both.iter().map(|one| one.event.sequence()).collect::<Vec<_>>(), [2, 3]);
    let rows = stream(&store).await;
    assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["m1", "c1", "m2"]);
    assert_eq!(
        rows[0].body,
        r#"{"event_type":"message","sender":"kim","topic":"t","payload":{"id":"m1"},"sequence":1,"timestamp":"1970-01-01T00:00:01+00:00","message_id":"m1"}"#
    );
    assert_eq!(rows[2].event().unwrap(), both[1].event);
    assert_eq!(whole(&verified(&store).await), 3);
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let place = Place::new();
    let store = forge(&place).await;
    append(&store, "ada", checkpoint("c1")).await.unwrap();
    let large =
        NewEvent::new("m9", Draft::Message { topic: "t".into(), payload: Value::from("x".repeat(limit::EVENT_BYTES)) });
    for (who, events, why) in [
        ("rae", vec![message("m1")], "rae lacks 'publish' permission"),
        ("amy", vec![checkpoint("c2")], "amy lacks 'checkpoint' permission"),
        ("eve", vec![message("m1")], "eve lacks 'publish' permission"),
        ("rae", vec![handoff("h1", "nobody", "nope")], "rae lacks 'handoff' permission"),
        ("ada", vec![handoff("h1", "nobody", "nope")], "Unknown recipient: nobody"),
        ("ada", vec![handoff("h1", "bob", "nope")], "Unknown checkpoint: nope"),
        ("ada", vec![message("m1"), handoff("h1", "bob", "m1")], "Unknown checkpoint: m1"),
        (
            "bob",
            vec![handoff("h1", "kim", "c1")],
            "the part of ada belongs to ada; only ada or a lead can hand it over",
        ),
        ("ada", vec![message("m1"), large], "the event has 65"),
    ] {
        let refused = append_as(&store, who, None, 1000, events).await.unwrap_err();
        assert!(refused.to_string().starts_with(why), "{refused}");
        assert_eq!(stream(&store).await.len(), 1, "{why}");
    }
    assert_eq!(whole(&verified(&store).await), 1);
    let elsewhere = job!(store, |tx| {
        let (nowhere, kim) = (mission("nowhere"), agent("kim"));
        let by = Append { mission: &nowhere, by: Actor::plain(&kim), at: at(1), limits: Limits::default() };
        missions::append(tx, &by, vec![message("m1")]).await
    });
    assert_eq!(elsewhere.unwrap(), Err(MissionError::UnknownMission("nowhere".into())));
}

#[tokio::test]
async fn reading_and_auditing_and_configuring_take_their_roles() {
    let place = Place::new();
    let store = forge(&place).await;
    let forge = mission("forge");
    let refused = append(&store, "rae", message("m1")).await.unwrap_err();
    job!(store, |tx| {
        let forge = mission("forge");
        missions::note_refusal(tx, &forge, &agent("rae"), "publish", &refused, at(7)).await
    })
    .unwrap();
    let mut db = store.read().await.unwrap();
    for (reader, may_read, may_audit) in
        [("kim", true, true), ("ada", true, false), ("rae", true, false), ("amy", true, true), ("eve", false, false)]
    {
        let page = missions::page(&mut db, &forge, &agent(reader), None, 10).await.unwrap();
        assert_eq!(page.is_ok(), may_read, "{reader} reads");
        let refusals = missions::refusals(&mut db, &forge, &agent(reader), 10).await.unwrap();
        assert_eq!(refusals.is_ok(), may_audit, "{reader} audits");
        if let Ok(rows) = refusals {
            assert_eq!(rows.len(), 1);
            assert!(rows[0].body.contains("rae lacks 'publish' permission"), "{}", rows[0].body);
        }
    }
    drop(db);
    let (kim, ada) = (agent("kim"), agent("ada"));
    let isolate = |who: AgentName, profile: &'static str| {
        let store = &store;
        async move { job!(store, |tx| missions::isolate(tx, &mission("forge"), Actor::plain(&who), profile).await).unwrap() }
    };
    let refused = isolate(ada.clone(), "level1-directory").await.unwrap_err();
    assert_eq!(refused.to_string(), "ada lacks 'configure_isolation' permission");
    let refused = isolate(kim.clone(), "level9").await.unwrap_err();
    assert!(refused.to_string().contains("has no isolation profile level9; it has level1-directory"), "{refused}");
    isolate(kim, "level1-directory").await.unwrap();
    let row = missions::mission(&mut store.read().await.unwrap(), &forge).await.unwrap().unwrap();
    assert_eq!(row.profile.as_deref(), Some("level1-directory"));
    let joined = job!(store, |tx| {
        missions::join(tx, &mission("forge"), Actor::plain(&ada), &agent("eve"), MissionRole::Lead, Value::Null, at(3))
            .await
    });
    assert!(matches!(joined.unwrap(), Err(MissionError::NotALead { .. })));
}

#[tokio::test]
async fn a_page_is_read_from_the_end() {
    let place = Place::new();
    let store = forge(&place).await;
    let events = (1..=10).map(|number| message(&format!("m{number}"))).collect();
    append_as(&store, "ada", None, 1000, events).await.unwrap();
    let mut db = store.read().await.unwrap();
    let mut before = None;
    for due in [[10, 9, 8], [7, 6, 5], [4, 3, 2]] {
        let rows = missions::page(&mut db, &mission("forge"), &agent("rae"), before, 3).await.unwrap().unwrap();
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), due);
        before = rows.last().map(|row| row.seq);
    }
}

#[tokio::test]
async fn an_edited_or_torn_stream_is_named_at_its_first_bad_event() {
    for (statement, first) in [
        ("UPDATE mission_events SET body = replace(body, 'half', 'done') WHERE seq = 3", 3),
        ("UPDATE mission_events SET sender = 'kim' WHERE seq = 2", 2),
        ("UPDATE mission_events SET epoch = 7 WHERE seq = 2", 2),
        ("UPDATE mission_events SET id = 'c9' WHERE seq = 3", 3),
        ("UPDATE mission_events SET seq = 99 WHERE seq = 2", 2),
        ("UPDATE mission_events SET seq = -1 WHERE seq = 2", -1),
        ("DELETE FROM mission_events WHERE seq = 1", 1),
        ("DELETE FROM mission_events WHERE seq = 5", 5),
        ("DELETE FROM mission_events WHERE seq > 1", 2),
        ("DELETE FROM mission_events", 1),
        ("UPDATE mission_heads SET seq = 4 WHERE mission = 'forge'", 5),
        ("UPDATE mission_heads SET hash = '0' WHERE mission = 'forge'", 5),
    ] {
        let place = Place::new();
        let store = forge(&place).await;
        let events = vec![message("m1"), message("m2"), checkpoint("c1"), message("m3"), message("m4")];
        append_as(&store, "ada", None, 1000, events).await.unwrap();
        assert_eq!(whole(&verified(&store).await), 5);
        job!(store, |tx| tx.execute(sql(statement)).await).unwrap();
        match verified(&store).await {
            Verified::Broken { seq, why } => assert_eq!((seq, why.is_empty()), (first, false), "{statement}: {why}"),
            whole @ Verified::Whole { .. } => panic!("{statement}: {whole:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_leave_one_whole_stream() {
    const WRITERS: usize = 8;
    const APPENDS: usize = 10_000;
    let place = Place::new();
    let store = forge(&place).await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            let who = ["kim", "ada", "bob", "gateway"][writer % 4];
            let mut mine = Vec::new();
            let numbers: Vec<usize> = (writer..APPENDS).step_by(WRITERS).collect();
            for some in numbers.chunks(10) {
                // Some are refused in between, and leave no gap.
                append(&store, "rae", message("never")).await.unwrap_err();
                let appends = some.iter().map(|number| append(&store, who, message(&format!("m{number}"))));
                for appended in join_all(appends).await {
                    mine.push(appended.unwrap()[0].event.sequence());
                }
            }
            assert!(mine.is_sorted(), "in the order in which one writer appends");
            mine
        }));
    }
    let mut numbers = Vec::new();
    for writer in writers {
        numbers.extend(writer.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..).take(APPENDS).collect::<Vec<i64>>(), "none shared, none skipped");
    assert_eq!(whole(&verified(&store).await), i64::try_from(APPENDS).unwrap());
    store.close().await.unwrap();
}
