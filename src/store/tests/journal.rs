use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::journal::{self, Entry, Filter, Verified};
use super::super::row::sql;
use super::*;

fn entry(kind: &str, about: Option<&str>, body: serde_json::Value) -> Entry {
    Entry { kind: kind.into(), agent: about.map(agent), body }
}

/// A store whose journal has `count` entries, in transactions of up to 150.
async fn with_entries(place: &Place, count: i64) -> Store {
    let store = place.open().await;
    for from in (0..count).step_by(150) {
        job!(store, |tx| {
            let about = |number| if number % 2 == 0 { Some("ada") } else { None };
            let entries: Vec<_> = (from..count.min(from + 150))
                .map(|number| entry("vote", about(number), json!({"text": format!("say \"{number}\"\nand more")})))
                .collect();
            journal::append(tx, &entries, at(from)).await
        })
        .unwrap();
    }
    store
}

async fn verify(store: &Store) -> Verified {
    journal::verify(&mut store.read().await.unwrap(), |_, _| {}).await.unwrap()
}

#[tokio::test]
async fn a_chain_over_many_pages_verifies_and_tells_its_progress() {
    let place = Place::new();
    let store = place.open().await;
    assert!(matches!(verify(&store).await, Verified::Whole { head } if head.seq == 0));
    store.close().await.unwrap();
    let store = with_entries(&place, 2345).await;
    let mut seen = Vec::new();
    let verified = journal::verify(&mut store.read().await.unwrap(), |read, of| seen.push((read, of))).await.unwrap();
    assert_eq!(seen, [(1000, 2345), (2000, 2345), (2345, 2345)]);
    let head = journal::head(&mut store.read().await.unwrap()).await.unwrap();
    assert_eq!(verified, Verified::Whole { head });
}

#[tokio::test]
async fn the_hash_is_what_the_documentation_says() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| {
        let entries =
            [entry("request.approved", Some("ada"), json!({"b": 1, "a": "x"})), entry("tick", None, json!({}))];
        journal::append(tx, &entries, at(1234)).await
    })
    .unwrap();
    let hex = |text: &str| hex::encode(Sha256::digest(text));
    let zeros = "0".repeat(64);
    let first = hex(&format!("v1\n1\n1234\nrequest.approved\nada\n{{\"a\":\"x\",\"b\":1,\"v\":1}}\n{zeros}"));
    let second = hex(&format!("v1\n2\n1234\ntick\n\n{{\"v\":1}}\n{first}"));
    let rows = journal::page(&mut store.read().await.unwrap(), None, 10, &Filter::default()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.hash.as_str()).collect::<Vec<_>>(), [second.as_str(), first.as_str()]);
}

#[tokio::test]
async fn tampering_is_found_where_it_was_done() {
    let cases = [
        ("body", "UPDATE journal SET body = '{\"v\":1}' WHERE seq = 5", Some(5)),
        ("time", "UPDATE journal SET at = at + 1 WHERE seq = 5", Some(5)),
        ("kind", "UPDATE journal SET kind = 'deny' WHERE seq = 5", Some(5)),
        ("agent taken out", "UPDATE journal SET agent = NULL WHERE seq = 5", Some(5)),
        ("no name", "UPDATE journal SET agent = 'a' || char(10) WHERE seq = 5", Some(5)),
        ("hash", "UPDATE journal SET hash = prev WHERE seq = 5", Some(5)),
        ("removed", "DELETE FROM journal WHERE seq = 5", Some(5)),
        ("first removed", "DELETE FROM journal WHERE seq = 1", Some(1)),
        (
            "put before",
            "INSERT INTO journal SELECT 0, at, kind, agent, body, prev, hash FROM journal WHERE seq = 1",
            Some(0),
        ),
        (
            "swapped",
            "UPDATE journal SET seq = CASE seq WHEN 5 THEN -6 WHEN 6 THEN -5 END WHERE seq IN (5, 6);
             UPDATE journal SET seq = -seq WHERE seq < 0",
            Some(5),
        ),
        (
            "removed and renumbered",
            "DELETE FROM journal WHERE seq = 5; UPDATE journal SET seq = seq - 1 WHERE seq > 5",
            Some(5),
        ),
        ("nothing", "UPDATE journal SET kind = kind", None),
    ];
    for (name, statement, broken) in cases {
        let place = Place::new();
        let store = with_entries(&place, 10).await;
        for one in statement.split(';') {
            job!(store, |tx| tx.execute(sql(one)).await).unwrap();
        }
        match (verify(&store).await, broken) {
            (Verified::Broken { seq, .. }, Some(expected)) => assert_eq!(seq, expected, "{name}"),
            (Verified::Whole { .. }, None) => {}
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn a_cut_end_shows_against_a_noted_head() {
    let place = Place::new();
    let store = with_entries(&place, 10).await;
    let noted = journal::head(&mut store.read().await.unwrap()).await.unwrap();
    job!(store, |tx| tx.execute(sql("DELETE FROM journal WHERE seq = 10")).await).unwrap();
    assert!(matches!(verify(&store).await, Verified::Whole { head } if head != noted));
}

#[tokio::test]
async fn pages_go_backwards_and_filter() {
    let place = Place::new();
    let store = with_entries(&place, 10).await;
    let mut read = store.read().await.unwrap();
    let ada = Filter { agent: Some(agent("ada")), ..Filter::default() };
    let seqs = |rows: Vec<journal::JournalRow>| rows.into_iter().map(|row| row.seq).collect::<Vec<_>>();
    assert_eq!(seqs(journal::page(&mut read, None, 2, &ada).await.unwrap()), [9, 7]);
    assert_eq!(seqs(journal::page(&mut read, Some(7), 9, &ada).await.unwrap()), [5, 3, 1]);
    let other = Filter { kind: Some("none".into()), ..Filter::default() };
    assert!(journal::page(&mut read, None, 9, &other).await.unwrap().is_empty());
    let late = Filter { since: Some(at(1)), ..Filter::default() };
    assert!(journal::page(&mut read, None, 9, &late).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_would_blur_the_lines_is_refused() {
    let place = Place::new();
    let store = place.open().await;
    for bad in [entry("two\nlines", None, json!({})), entry("", None, json!({})), entry("ok", None, json!([1]))] {
        let refused = job!(store, |tx| journal::append(tx, &[bad], at(1)).await);
        assert!(matches!(refused, Err(StoreError::Invalid { .. })));
    }
}
