use super::super::inbox::{self, Appended, Failed, Input, InputState};
use super::super::{SLICE, StoreError};
use super::*;

fn input(id: &str, entered_at: i64) -> Input {
    Input { id: id.into(), source: "cli".into(), raw: format!("{{\"id\":\"{id}\"}}"), entered_at: at(entered_at) }
}

#[tokio::test]
async fn an_input_enters_once_and_keeps_its_answer() {
    let place = Place::new();
    let store = place.open().await;
    let first = job!(store, |tx| inbox::append(tx, &input("a", 10)).await).unwrap();
    assert_eq!(first, Appended::New { seq: 1 });
    let again = job!(store, |tx| inbox::append(tx, &input("a", 99)).await).unwrap();
    assert_eq!(again, Appended::AlreadyThere { same: true, answer: None });
    job!(store, |tx| inbox::finish(tx, "a", "\"done\"", at(20), true).await).unwrap();
    let again = job!(store, |tx| inbox::append(tx, &input("a", 99)).await).unwrap();
    assert_eq!(again, Appended::AlreadyThere { same: true, answer: Some("\"done\"".into()) });
    let forged = Input { raw: "other".into(), ..input("a", 99) };
    let forged = job!(store, |tx| inbox::append(tx, &forged).await).unwrap();
    assert!(matches!(forged, Appended::AlreadyThere { same: false, .. }));

    let kept = inbox::result(&mut store.read().await.unwrap(), "a").await.unwrap().unwrap();
    assert_eq!((kept.state, kept.keep, kept.entered_at), (InputState::Handled, true, at(10)));
    let twice = job!(store, |tx| inbox::finish(tx, "a", "{}", at(21), false).await).unwrap_err();
    assert_eq!(twice.to_string(), "inputs a: expected new, found handled");
}

#[tokio::test]
async fn inputs_and_their_sources_offset_commit_together_or_not_at_all() {
    let place = Place::new();
    let store = place.open().await;
    let lost = job!(store, |tx| {
        inbox::append_with_offset(tx, &[input("a", 1), input("b", 1)], "telegram", "8").await?;
        Err::<(), _>(StoreError::Closed)
    });
    assert!(lost.is_err());
    let mut read = store.read().await.unwrap();
    assert!(inbox::pending(&mut read, 10).await.unwrap().is_empty());
    assert_eq!(inbox::offset(&mut read, "telegram").await.unwrap(), None);
    drop(read);

    for position in ["8", "9"] {
        let inputs = [input("b", 2), input("a", 1)];
        job!(store, |tx| inbox::append_with_offset(tx, &inputs, "telegram", position).await).unwrap();
    }
    let mut read = store.read().await.unwrap();
    let order: Vec<String> = inbox::pending(&mut read, 10).await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(order, ["b", "a"], "the order of arrival, not of the ids or the times");
    assert_eq!(inbox::offset(&mut read, "telegram").await.unwrap().as_deref(), Some("9"));
}

#[tokio::test]
async fn three_failures_set_an_input_aside_until_it_is_retried() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| inbox::append(tx, &input("a", 10)).await).unwrap();
    for (attempts, set_aside) in [(1, false), (2, false), (3, true)] {
        let failed = job!(store, |tx| inbox::fail_attempt(tx, "a").await).unwrap();
        assert_eq!(failed, Failed { attempts, set_aside });
    }
    let mut read = store.read().await.unwrap();
    assert!(inbox::pending(&mut read, 10).await.unwrap().is_empty(), "it blocks nothing");
    assert!(!inbox::has_earlier_unhandled(&mut read, at(99)).await.unwrap());
    assert_eq!(inbox::set_aside(&mut read, 10).await.unwrap().len(), 1);
    drop(read);
    assert!(job!(store, |tx| inbox::fail_attempt(tx, "a").await).is_err());
    job!(store, |tx| inbox::retry(tx, "a").await).unwrap();
    let again = job!(store, |tx| inbox::fail_attempt(tx, "a").await).unwrap();
    assert_eq!(again, Failed { attempts: 1, set_aside: false });
    assert!(matches!(job!(store, |tx| inbox::retry(tx, "a").await), Err(StoreError::Conflict { .. })));
    assert!(matches!(job!(store, |tx| inbox::retry(tx, "none").await), Err(StoreError::Conflict { .. })));
}

#[tokio::test]
async fn an_earlier_input_that_waits_is_seen() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| inbox::append(tx, &input("a", 10)).await).unwrap();
    let mut read = store.read().await.unwrap();
    for (moment, waits) in [(9, false), (10, true), (11, true)] {
        assert_eq!(inbox::has_earlier_unhandled(&mut read, at(moment)).await.unwrap(), waits, "{moment}");
    }
}

#[tokio::test]
async fn purging_goes_in_slices_and_spares_evidence_and_what_waits() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| {
        for number in 0..1200 {
            let id = format!("in{number}");
            inbox::append(tx, &input(&id, number)).await?;
            if number != 5 {
                inbox::finish(tx, &id, "{}", at(number), number == 7).await?;
            }
        }
        Ok(())
    })
    .unwrap();
    let mut gone = Vec::new();
    loop {
        let count =
            store.write_low(|tx| Box::pin(async move { inbox::purge(tx, at(5000), SLICE).await })).await.unwrap();
        if count == 0 {
            break;
        }
        gone.push(count);
    }
    assert_eq!(gone, [500, 500, 197], "all but one that waits, one that is evidence, and the last");
    let mut read = store.read().await.unwrap();
    for (id, there) in [("in5", true), ("in7", true), ("in6", false), ("in1199", true)] {
        assert_eq!(inbox::result(&mut read, id).await.unwrap().is_some(), there, "{id}");
    }
    drop(read);
    let next = job!(store, |tx| inbox::append(tx, &input("new", 1)).await).unwrap();
    assert_eq!(next, Appended::New { seq: 1201 }, "no number comes twice");
}
