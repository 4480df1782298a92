use rusqlite::Connection;

use super::super::messages::{self, MessageKind, MessageState, NewMessage};
use super::super::schema;
use super::super::tokens::{self, NewToken};
use super::*;

fn card(id: &str, about: Option<&str>) -> NewMessage {
    NewMessage {
        id: id.into(),
        channel: "telegram".into(),
        target: "-100/3".into(),
        about: about.map(str::to_owned),
        kind: MessageKind::Card,
        priority: 1,
        created_at: at(1),
        body: "\"first\"".into(),
    }
}

fn token(name: &str) -> NewToken {
    NewToken { token: name.into(), press: format!("\"{name}\"") }
}

async fn with_a_copy(place: &Place) -> Store {
    let store = place.open().await;
    job!(store, |tx| {
        open_incident(tx, "i1", "ada").await?;
        messages::insert(tx, &[card("copy", Some("r1"))]).await?;
        tokens::insert(tx, "copy", &[token("yes"), token("no")], at(1)).await
    })
    .unwrap();
    store
}

#[tokio::test]
async fn a_token_is_found_with_the_chat_of_its_copy() {
    let place = Place::new();
    let store = with_a_copy(&place).await;
    let read = &mut store.read().await.unwrap();
    let found = tokens::load(read, "yes").await.unwrap().unwrap();
    assert_eq!((found.copy.as_str(), found.target.as_str(), found.press.as_str()), ("copy", "-100/3", "\"yes\""));
    assert!(tokens::load(read, "other").await.unwrap().is_none());
    assert_eq!(tokens::of_copy(read, "copy").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_copy_may_be_known_by_several_ids() {
    let place = Place::new();
    let store = with_a_copy(&place).await;
    for (id, new) in [("7", true), ("8", true), ("7", false)] {
        assert_eq!(job!(store, |tx| tokens::learn(tx, "telegram", "-100/3", id, "copy").await).unwrap(), new, "{id}");
    }
    let read = &mut store.read().await.unwrap();
    assert_eq!(tokens::remote_ids(read, "copy").await.unwrap(), ["7", "8"]);
    assert_eq!(tokens::copy_of(read, "telegram", "-100/3", "8").await.unwrap().as_deref(), Some("copy"));
    assert_eq!(tokens::copy_of(read, "telegram", "-200", "8").await.unwrap(), None);
}

#[tokio::test]
async fn the_copies_of_what_is_still_asked_are_found_by_where_they_are() {
    let place = Place::new();
    let store = with_a_copy(&place).await;
    let read = &mut store.read().await.unwrap();
    assert_eq!(requests::oldest_pending(read).await.unwrap(), None);
    job!(store, |tx| {
        for (number, incident) in [(5, "i1"), (3, "i2"), (4, "i3")] {
            if incident != "i1" {
                open_incident(tx, incident, &format!("agent-{number}")).await?;
            }
            let new = requests::NewRequest {
                id: &format!("request-{number}"),
                incident_id: incident,
                agent: &agent("ada"),
                mission: &mission("forge"),
                approval_key: &format!("ada:forge:{number}"),
                key_second: number,
                code: "7K3QXM",
                created_at: at(number),
                body: &serde_json::json!({"v": 1}),
            };
            requests::insert(tx, new).await?;
            for (target, kind) in [("note:ops", MessageKind::Card), ("private:ab", MessageKind::Card)] {
                let id = format!("{target}-{number}");
                let about = Some(format!("request-{number}"));
                let new = NewMessage { target: target.into(), about, kind, ..card(&id, None) };
                messages::insert(tx, &[new]).await?;
                tokens::learn(tx, "telegram", target, &format!("remote-{id}"), &id).await?;
            }
        }
        let over = requests::RequestChange {
            state: requests::RequestPhase::Denied,
            expires_at: None,
            closed_at: Some(at(9)),
            body: &serde_json::json!({"v": 1}),
        };
        requests::update(tx, "request-3", requests::RequestPhase::Pending, over).await
    })
    .unwrap();
    let read = &mut store.read().await.unwrap();
    assert_eq!(requests::oldest_pending(read).await.unwrap(), Some(at(4)));
    for (channel, target, limit, expected) in [
        ("telegram", "note:", 9, vec!["remote-note:ops-5", "remote-note:ops-4"]),
        ("telegram", "note:", 1, vec!["remote-note:ops-5"]),
        ("telegram", "private:", 9, vec!["remote-private:ab-5", "remote-private:ab-4"]),
        ("telegram", "group:", 9, vec![]),
        ("nostr", "note:", 9, vec![]),
    ] {
        assert_eq!(tokens::ids_of_pending(read, channel, target, limit).await.unwrap(), expected, "{channel} {target}");
    }
}

#[tokio::test]
async fn a_group_that_moved_takes_what_is_due_along() {
    let place = Place::new();
    let store = with_a_copy(&place).await;
    job!(store, |tx| messages::move_target(tx, "telegram", "-100/3", "-1005/3").await).unwrap();
    let read = &mut store.read().await.unwrap();
    let moved = messages::load(read, "copy").await.unwrap().unwrap();
    assert_eq!((moved.target.as_str(), moved.state), ("-1005/3", MessageState::Due));
    assert_eq!(tokens::load(read, "yes").await.unwrap().unwrap().target, "-1005/3");
}

#[tokio::test]
async fn tokens_go_some_time_after_their_request_and_pages_after_they_were_read() {
    let place = Place::new();
    let store = with_a_copy(&place).await;
    job!(store, |tx| {
        let new = requests::NewRequest {
            id: "r1",
            incident_id: "i1",
            agent: &agent("ada"),
            mission: &mission("forge"),
            approval_key: "ada:forge:1",
            key_second: 1,
            code: "7K3QXM",
            created_at: at(1),
            body: &serde_json::json!({"v": 1}),
        };
        requests::insert(tx, new).await?;
        messages::insert(tx, &[card("page", None)]).await?;
        tokens::insert(tx, "page", &[token("next")], at(1)).await
    })
    .unwrap();
    assert_eq!(job!(store, |tx| tokens::purge(tx, at(50), 500).await).unwrap(), 1, "the request is still pending");
    assert_eq!(job!(store, |tx| messages::purge_pages(tx, at(50), 500).await).unwrap(), 0, "it was not sent yet");
    let due = messages::due(&mut store.read().await.unwrap(), "telegram", at(9), 9).await.unwrap();
    let page = due.into_iter().find(|row| row.id == "page").unwrap();
    job!(store, |tx| messages::sent(tx, &page, Some("9"), at(10), "unused").await).unwrap();
    assert_eq!(job!(store, |tx| messages::purge_pages(tx, at(50), 500).await).unwrap(), 1);
    let read = &mut store.read().await.unwrap();
    assert!(messages::load(read, "copy").await.unwrap().is_some(), "a request's card stays");
}

#[test]
fn messages_of_the_first_schema_are_kept() {
    let place = Place::new();
    std::fs::create_dir(place.file().parent().unwrap()).unwrap();
    let mut db = Connection::open(place.file()).unwrap();
    db.pragma_update(None, "foreign_keys", "on").unwrap();
    schema::migrate_to(&mut db, &place.file(), 1).unwrap();
    for insert in [
        "INSERT INTO messages (id, channel, target, kind, priority, created_at, state, attempts, next_at, remote_id, body)
             VALUES ('card', 'terminal', '', 'card', 0, 1, 'sent', 0, 1, '5', '{}')",
        "INSERT INTO messages (id, channel, target, copy, kind, priority, created_at, state, attempts, next_at, body)
             VALUES ('edit', 'terminal', '', 'card', 'edit', 0, 0, 'due', 0, 1, '{}')",
    ] {
        db.execute(insert, []).unwrap();
    }
    schema::migrate(&mut db, &place.file()).unwrap();
    let kept: i64 = db.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 2);
    assert!(db.execute("DELETE FROM messages WHERE id = 'card'", []).is_err(), "the edit still refers to it");
}

#[tokio::test]
async fn an_edit_that_is_on_its_way_while_another_id_is_learned_is_made_once_more() {
    let place = Place::new();
    let store = with_a_copy(&place).await;
    let due = || async { messages::due(&mut store.read().await.unwrap(), "telegram", at(50), 10).await.unwrap() };
    let card = due().await.remove(0);
    job!(store, |tx| messages::sent(tx, &card, Some("7"), at(2), "unused").await).unwrap();
    job!(store, |tx| messages::edit(tx, "copy", "edit", 1, at(3), "\"second\"").await).unwrap();
    for _ in 0..2 {
        let on_its_way = due().await.remove(0);
        job!(store, |tx| {
            messages::edit_again(tx, "copy", "unused", 1, at(4)).await?;
            messages::sent(tx, &on_its_way, None, at(5), "unused").await
        })
        .unwrap();
        let still = due().await;
        assert_eq!(still.len(), 1, "the other id has not had it");
        assert_eq!((still[0].id.as_str(), still[0].body.trim_end()), ("edit", "\"second\""));
    }
    let last = due().await.remove(0);
    job!(store, |tx| messages::sent(tx, &last, None, at(6), "unused").await).unwrap();
    assert!(due().await.is_empty());
}
