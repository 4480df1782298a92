use super::super::messages::{self, Edited, MessageKind, MessageRow, MessageState, NewMessage};
use super::*;

fn message(id: &str, kind: MessageKind, priority: i64, created_at: i64) -> NewMessage {
    NewMessage {
        id: id.into(),
        channel: "telegram".into(),
        target: "-100".into(),
        about: Some("r1".into()),
        kind,
        priority,
        created_at: at(created_at),
        body: "\"first\"".into(),
    }
}

async fn due(store: &Store, now: i64) -> Vec<MessageRow> {
    messages::due(&mut store.read().await.unwrap(), "telegram", at(now), 10).await.unwrap()
}

fn ids(rows: &[MessageRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

async fn edit(store: &Store, id: &'static str, body: &'static str) -> Edited {
    job!(store, |tx| messages::edit(tx, "card", id, 1, at(50), body).await).unwrap()
}

#[tokio::test]
async fn messages_go_out_by_priority_and_age_when_their_time_has_come() {
    let place = Place::new();
    let store = place.open().await;
    let all = [
        message("late", MessageKind::Note, 0, 90),
        message("b", MessageKind::Note, 5, 2),
        message("a", MessageKind::Note, 5, 1),
        message("urgent", MessageKind::Card, 1, 3),
    ];
    job!(store, |tx| messages::insert(tx, &all).await).unwrap();
    assert_eq!(ids(&due(&store, 10).await), ["urgent", "a", "b"]);
    job!(store, |tx| messages::failed(tx, "a", at(20)).await).unwrap();
    assert_eq!(ids(&due(&store, 10).await), ["urgent", "b"]);
    assert_eq!(due(&store, 20).await[1].attempts, 1);
    assert_eq!(job!(store, |tx| messages::postpone(tx, "telegram", "-100", at(30)).await).unwrap(), 3);
    assert!(due(&store, 29).await.is_empty());
    let next = messages::next_due(&mut store.read().await.unwrap(), "telegram").await.unwrap();
    assert_eq!(next, Some(at(90)), "the target waits for the last of its messages that has to");
    for (now, expected) in [(89, true), (90, false)] {
        let held = messages::held(&mut store.read().await.unwrap(), "telegram", at(now)).await.unwrap();
        assert_eq!(held.contains("-100"), expected, "at {now}");
    }
    assert_eq!(messages::next_due(&mut store.read().await.unwrap(), "nostr").await.unwrap(), None);
    assert_eq!(messages::count_due(&mut store.read().await.unwrap()).await.unwrap(), 4);
    let edit = message("e", MessageKind::Edit, 1, 1);
    assert!(job!(store, |tx| messages::insert(tx, &[edit]).await).is_err());
}

#[tokio::test]
async fn an_edit_waits_for_its_card_and_a_newer_one_takes_its_place() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| messages::insert(tx, &[message("card", MessageKind::Card, 1, 1)]).await).unwrap();
    assert_eq!(edit(&store, "e1", "\"second\"").await, Edited::Card);
    let card = due(&store, 60).await.remove(0);
    assert_eq!(card.body, "\"second\"", "an unsent card takes the new content");

    job!(store, |tx| messages::sent(tx, &card, Some("77"), at(60), "unused").await).unwrap();
    assert!(due(&store, 60).await.is_empty());
    assert_eq!(edit(&store, "e2", "\"third\"").await, Edited::Queued);
    assert_eq!(edit(&store, "e3", "\"fourth\"").await, Edited::Replaced);
    let edits = due(&store, 60).await;
    assert_eq!(ids(&edits), ["e2"]);
    assert_eq!((edits[0].body.as_str(), edits[0].remote_id.as_deref()), ("\"fourth\"", Some("77")));

    assert_eq!(edit(&store, "e4", "\"fifth\"").await, Edited::Replaced);
    let old = edits[0].clone();
    job!(store, |tx| messages::sent(tx, &old, None, at(61), "unused").await).unwrap();
    let newer = due(&store, 61).await.remove(0);
    assert_eq!(newer.body, "\"fifth\"", "it changed while the older content was on its way");
    job!(store, |tx| messages::sent(tx, &newer, None, at(62), "unused").await).unwrap();
    assert!(due(&store, 99).await.is_empty());
    let cards = messages::cards(&mut store.read().await.unwrap(), "r1").await.unwrap();
    assert_eq!((cards[0].state, cards[0].remote_id.as_deref()), (MessageState::Sent, Some("77")));
    assert_eq!(job!(store, |tx| messages::purge(tx, at(99), 500).await).unwrap(), 1, "the card stays");
}

#[tokio::test]
async fn a_card_that_changed_on_its_way_is_edited_at_once() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| messages::insert(tx, &[message("card", MessageKind::Card, 1, 1)]).await).unwrap();
    let on_its_way = due(&store, 60).await.remove(0);
    assert_eq!(edit(&store, "unused", "\"denied\"").await, Edited::Card);
    job!(store, |tx| messages::sent(tx, &on_its_way, Some("77"), at(60), "e1").await).unwrap();
    let edits = due(&store, 60).await;
    assert_eq!((ids(&edits), edits[0].body.as_str()), (vec!["e1"], "\"denied\""));
}

#[tokio::test]
async fn a_lost_chat_ends_its_cards_and_their_edits() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| messages::insert(tx, &[message("card", MessageKind::Card, 1, 1)]).await).unwrap();
    job!(store, |tx| messages::gone(tx, "card").await).unwrap();
    assert_eq!(edit(&store, "e1", "\"second\"").await, Edited::Gone);
    assert!(due(&store, 60).await.is_empty());
    let late = job!(store, |tx| messages::failed(tx, "card", at(1)).await).unwrap_err();
    assert_eq!(late.to_string(), "messages card: expected due, found gone");
}
