use super::super::super::row::sql;
use super::*;
use crate::mission::chain::Verified;
use crate::mission::{MissionBus, Stamp, limit};

fn read(document: Value) -> MissionBus {
    let mut new_id = || unreachable!("all events bring an id");
    MissionBus::from_value(document, &mut Stamp { at: "", new_id: &mut new_id }).unwrap()
}

/// The reference's form of a mission with so many messages, and a checkpoint and a handoff at the end.
fn document(name: &str, messages: i64) -> Value {
    let mut events: Vec<Value> = (1..=messages)
        .map(|n| {
            json!({"event_type": "message", "sender": "ada", "topic": "t", "payload": {"n": n}, "sequence": n,
                   "timestamp": "2026-04-15T04:00:00+00:00", "message_id": format!("m{n}")})
        })
        .collect();
    events.push(json!({"event_type": "checkpoint", "sender": "ada", "summary": "s", "state": null, "artifacts": ["a"],
        "sequence": messages + 1, "timestamp": null, "checkpoint_id": "c1"}));
    events
        .push(json!({"event_type": "handoff", "sender": "ada", "recipient": "bob", "checkpoint_id": "c1", "note": "n",
        "sequence": messages + 2, "timestamp": "2026-04-15T04:00:00.5+00:00", "handoff_id": "h1"}));
    json!({"mission_id": name, "title": "é", "config": {"roles": {"lead": ["read", "publish"]}, "more": 1},
        "participants": {"ada": {"name": "ada", "role": "lead", "metadata": {"a": [1, 2.5]}},
                         "bob": {"name": "bob", "role": "read", "metadata": null}},
        "events": events})
}

async fn import(store: &Store, document: Value) -> Decided<i64> {
    missions::import(store, read(document), "kim", limit::EVENT_BYTES, at(1)).await.unwrap()
}

async fn export(store: &Store, name: &str) -> Value {
    let mut out = Vec::new();
    let write = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    missions::export(store.reader(), &mission(name), None, write).await.unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[tokio::test]
async fn a_mission_goes_through_the_store_and_comes_out_as_it_was() {
    let place = Place::new();
    let store = place.open().await;
    // Below, at and above the limits of a slice.
    for (number, messages) in (1..).zip([0, 498, 499, 998, 1203]) {
        let name = format!("m{number}");
        let document = document(&name, messages);
        assert_eq!(import(&store, document.clone()).await, Ok(messages + 2));
        assert_eq!(export(&store, &name).await, document, "{messages}");
        let verified = missions::verify(&mut store.read().await.unwrap(), &mission(&name), |_, _| {}).await;
        assert!(matches!(verified.unwrap().unwrap(), Verified::Whole { .. }));
    }
    let empty = json!({"mission_id": "none", "title": null, "config": {"roles": {}}, "participants": {}, "events": []});
    import(&store, empty.clone()).await.unwrap();
    assert_eq!(export(&store, "none").await, empty);
}

#[tokio::test]
async fn an_imported_mission_goes_on_where_it_ended() {
    let place = Place::new();
    let store = place.open().await;
    import(&store, document("forge", 3)).await.unwrap();
    assert_eq!(append(&store, "ada", message("new")).await.unwrap()[0].event.sequence(), 6);
    let mut db = store.read().await.unwrap();
    let packet = missions::resume_packet(&mut db, &mission("forge"), &agent("ada"), "h1").await.unwrap().unwrap();
    assert_eq!((packet.recipient.as_str(), packet.stream_length), ("bob", 6));
    assert_eq!(missions::open_offers(&mut db, &mission("forge")).await.unwrap(), [], "its handoffs are history");
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_with_its_place() {
    let place = Place::new();
    let store = forge(&place).await;
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut document = document("new", 3);
        edit(&mut document);
        document
    };
    let table = [
        (edited(&|d| d["mission_id"] = json!("forge")), "there is a mission forge already"),
        (edited(&|d| d["mission_id"] = json!("a b")), "mission \"a b\": ' ' is not allowed"),
        (edited(&|d| d["events"][1]["sequence"] = json!(7)), "event 2 of the file has the number 7"),
        (edited(&|d| d["events"][2]["sequence"] = json!(2)), "event 3 of the file has the number 2"),
        (edited(&|d| d["events"][1]["sender"] = json!("-rf")), "sender \"-rf\": of event 2: '-' is not allowed"),
        (edited(&|d| d["events"][0]["message_id"] = json!("a\nb")), "id \"a\\nb\": of event 1"),
        (edited(&|d| d["participants"]["bob"]["name"] = json!("eve")), "participant \"bob\": the name within is"),
        (edited(&|d| d["events"][0]["payload"] = json!("x".repeat(70_000))), "the event has 70"),
    ];
    for (document, why) in table {
        let refused = import(&store, document).await.unwrap_err();
        assert!(refused.to_string().starts_with(why), "{refused}");
    }
    let list = missions::list(&mut store.read().await.unwrap()).await.unwrap();
    assert_eq!(list.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["forge"]);
}

#[tokio::test]
async fn an_import_that_did_not_end_takes_no_events_and_is_begun_anew() {
    let place = Place::new();
    let store = place.open().await;
    import(&store, document("forge", 1203)).await.unwrap();
    // As a crash between two slices leaves it.
    job!(store, |tx| {
        tx.execute(sql("DELETE FROM mission_events WHERE seq > 1000")).await?;
        tx.execute(sql("UPDATE mission_heads SET seq = 1000")).await?;
        tx.execute(sql("UPDATE missions SET state = 'importing'")).await
    })
    .unwrap();
    let refused = append(&store, "ada", message("m")).await.unwrap_err();
    assert!(refused.to_string().starts_with("mission forge is being imported"), "{refused}");
    assert_eq!(import(&store, document("forge", 7)).await, Ok(9));
    assert_eq!(export(&store, "forge").await, document("forge", 7));
    assert!(missions::discard(&store, &mission("forge")).await.unwrap().is_err(), "an open one stays");
}

#[tokio::test]
async fn an_export_is_for_those_who_may_read() {
    let place = Place::new();
    let store = forge(&place).await;
    for (reader, may) in [("rae", true), ("eve", false)] {
        let reader = agent(reader);
        let exported = missions::export(store.reader(), &mission("forge"), Some(&reader), |_| Ok(())).await;
        assert_eq!(exported.is_ok(), may, "{exported:?}");
    }
    let unknown = missions::export(store.reader(), &mission("none"), None, |_| Ok(())).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no mission none; see `mission list`");
}

#[tokio::test]
async fn a_state_may_be_kept_by_many_at_once() {
    let place = Place::new();
    let store = forge(&place).await;
    let content = vec![b'x'; 1_000_000];
    std::thread::scope(|scope| {
        let keepers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| missions::keep_state(store.path(), &content).map(drop))).collect();
        for keeper in keepers {
            keeper.join().unwrap().unwrap();
        }
    });
    let kept = missions::read_state(store.path(), &limit::StateFile::of(&content)).unwrap();
    assert_eq!(kept, Some(content));
}

#[tokio::test]
async fn a_large_state_is_a_file_that_an_event_refers_to() {
    let place = Place::new();
    let store = forge(&place).await;
    let content = "x".repeat(100_000).into_bytes();
    let file = missions::keep_state(store.path(), &content).unwrap();
    assert_eq!(missions::keep_state(store.path(), &content).unwrap(), file, "equal content is one file");
    let checkpoint =
        NewEvent::new("c1", Draft::Checkpoint { summary: "s".into(), state: file.to_value(), artifacts: vec![] });
    append(&store, "ada", checkpoint).await.unwrap();
    let event = serde_json::to_value(stream(&store).await[0].event().unwrap()).unwrap();
    let referred = limit::StateFile::from_value(&event["state"]).unwrap();
    assert_eq!(missions::read_state(store.path(), &referred).unwrap(), Some(content.clone()));

    let path = place.file().with_file_name("states").join(&file.sha256);
    std::fs::write(&path, "torn").unwrap();
    let damaged = missions::read_state(store.path(), &file);
    assert!(matches!(damaged, Err(StoreError::Inconsistent { .. })), "{damaged:?}");
    missions::keep_state(store.path(), &content).unwrap();
    assert_eq!(missions::read_state(store.path(), &file).unwrap(), Some(content), "kept anew");
    assert_eq!(missions::read_state(store.path(), &limit::StateFile::of(b"other")).unwrap(), None);
    let elsewhere = limit::StateFile { sha256: "../lazarus.db".into(), bytes: 1 };
    assert!(missions::read_state(store.path(), &elsewhere).is_err());
    let too_large = missions::keep_state(store.path(), &vec![0; missions::STATE_BYTES + 1]);
    assert!(matches!(too_large, Err(StoreError::Invalid { .. })));
}
