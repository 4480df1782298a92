use std::error::Error as _;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::row::sql;
use super::super::{StoreError, inbox, journal, meta};
use super::*;

/// Keeps the writer busy until the sender is dropped, so that what is asked meanwhile forms one
/// batch. (A job that awaits anything but its transaction: only a test may.)
async fn busy(store: &Store) -> (oneshot::Sender<()>, JoinHandle<Result<(), StoreError>>) {
    let (release, released) = oneshot::channel::<()>();
    let (begun, has_begun) = oneshot::channel();
    let store = store.clone();
    let job = tokio::spawn(async move {
        store
            .write(move |_| {
                Box::pin(async move {
                    let _ = begun.send(());
                    let _ = released.await;
                    Ok(())
                })
            })
            .await
    });
    has_begun.await.unwrap();
    (release, job)
}

/// Queues one job that sets `key`, then does what `fault` says.
async fn queue(store: &Store, key: &'static str, fault: Fault) -> JoinHandle<Result<(), StoreError>> {
    let handle = store.clone();
    let job = tokio::spawn(async move {
        handle
            .write(move |tx| {
                Box::pin(async move {
                    meta::set(tx, key, "set").await?;
                    match fault {
                        Fault::None => Ok(()),
                        Fault::Fails => Err(StoreError::Invalid { table: "meta", row: key.into(), why: "no".into() }),
                        Fault::Panics => panic!("job {key} falls over"),
                        Fault::BreaksCommit => tx.execute(sql("INSERT INTO child VALUES (7)")).await.map(drop),
                        Fault::LosesTransaction => {
                            tx.execute(sql("ROLLBACK")).await?;
                            tx.execute(sql("SELECT no such column")).await.map(drop)
                        }
                    }
                })
            })
            .await
    });
    // The order in the queue is the order of these calls: let the task reach its send.
    tokio::task::yield_now().await;
    job
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Fails,
    Panics,
    /// A deferred foreign key is checked by COMMIT.
    BreaksCommit,
    /// As a full disk does it: the transaction is over, with an error.
    LosesTransaction,
}

async fn is_set(store: &Store, key: &str) -> bool {
    meta::get(&mut store.read().await.unwrap(), key).await.unwrap().is_some()
}

/// What became of `faults`, as one batch.
async fn batch(store: &Store, faults: &[(&'static str, Fault)]) -> Vec<Result<(), StoreError>> {
    let (release, first) = busy(store).await;
    let mut jobs = Vec::new();
    for &(key, fault) in faults {
        jobs.push(queue(store, key, fault).await);
    }
    drop(release);
    first.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for job in jobs {
        outcomes.push(job.await.unwrap());
    }
    outcomes
}

#[tokio::test]
async fn a_failing_or_panicking_job_takes_only_its_own_effects_along() {
    let place = Place::new();
    let store = place.open().await;
    let outcomes = batch(
        &store,
        &[
            ("a", Fault::None),
            ("b", Fault::Fails),
            ("c", Fault::None),
            ("d", Fault::Panics),
            ("e", Fault::None),
            ("f", Fault::Fails),
        ],
    )
    .await;
    assert!(matches!(outcomes[1], Err(StoreError::Invalid { .. })));
    assert!(matches!(&outcomes[3], Err(StoreError::Panicked(why)) if why == "job d falls over"));
    for (key, kept) in [("a", true), ("b", false), ("c", true), ("d", false), ("e", true), ("f", false)] {
        assert_eq!(is_set(&store, key).await, kept, "{key}");
    }
}

#[tokio::test]
async fn a_job_alone_that_fails_or_panics_leaves_nothing_and_the_writer_goes_on() {
    let place = Place::new();
    let store = place.open().await;
    for (key, fault) in [("a", Fault::Fails), ("b", Fault::Panics)] {
        assert!(queue(&store, key, fault).await.await.unwrap().is_err());
        assert!(!is_set(&store, key).await);
    }
    queue(&store, "c", Fault::None).await.await.unwrap().unwrap();
    assert!(is_set(&store, "c").await);
}

#[tokio::test]
async fn a_failing_commit_is_told_to_every_job_of_the_batch() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| {
        tx.execute(sql("CREATE TABLE parent (id INTEGER PRIMARY KEY)")).await?;
        tx.execute(sql("CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")).await
    })
    .unwrap();
    let outcomes = batch(&store, &[("a", Fault::None), ("b", Fault::BreaksCommit), ("c", Fault::Fails)]).await;
    assert!(matches!(&outcomes[0], Err(StoreError::NotCommitted(_))), "{outcomes:?}");
    assert!(matches!(&outcomes[1], Err(StoreError::NotCommitted(_))));
    assert!(matches!(&outcomes[2], Err(StoreError::Invalid { .. })));
    assert!(outcomes[0].as_ref().unwrap_err().source().is_some());
    assert!(!is_set(&store, "a").await && !is_set(&store, "b").await);
    let alone = batch(&store, &[("a", Fault::BreaksCommit)]).await;
    assert!(matches!(&alone[0], Err(StoreError::NotCommitted(_))));
    let after = batch(&store, &[("a", Fault::None), ("b", Fault::None)]).await;
    assert!(after.iter().all(Result::is_ok));
}

#[tokio::test]
async fn when_the_database_ends_the_transaction_nobody_is_told_a_thing_that_is_not_so() {
    let place = Place::new();
    let store = place.open().await;
    // As a full disk does it: the statement fails, and the transaction is over.
    let outcomes =
        batch(&store, &[("a", Fault::None), ("b", Fault::LosesTransaction), ("c", Fault::None), ("d", Fault::None)])
            .await;
    assert!(matches!(&outcomes[1], Err(StoreError::Database(_))), "{outcomes:?}");
    // What had gone well was done again.
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok() && outcomes[3].is_ok());
    for (key, kept) in [("a", true), ("b", false), ("c", true), ("d", true)] {
        assert_eq!(is_set(&store, key).await, kept, "{key}");
    }
}

#[tokio::test]
async fn what_is_refused_is_told_by_name_and_takes_only_its_own_job_along() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| open_incident(tx, "i1", "ada").await).unwrap();
    let (release, first) = busy(&store).await;
    let mut jobs = Vec::new();
    for number in 0..4 {
        let store = store.clone();
        jobs.push(tokio::spawn(async move {
            job!(store, |tx| {
                meta::set(tx, &format!("before{number}"), "set").await?;
                match number {
                    // A unique index.
                    1 => open_incident(tx, "i2", "ada").await?,
                    // A guard that finds another state.
                    2 => inbox::finish(tx, "nobody", "{}", at(1), false).await?,
                    _ => {}
                }
                meta::set(tx, &format!("after{number}"), "set").await
            })
        }));
        tokio::task::yield_now().await;
    }
    drop(release);
    first.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for job in jobs {
        outcomes.push(job.await.unwrap());
    }
    assert!(matches!(&outcomes[1], Err(StoreError::Taken { table: "incidents", row, .. }) if row == "i2"));
    let guarded = outcomes[2].as_ref().unwrap_err().to_string();
    assert_eq!(guarded, "inputs nobody: expected new, found none of that id");
    for (number, outcome) in outcomes.iter().enumerate() {
        for key in [format!("before{number}"), format!("after{number}")] {
            assert_eq!(is_set(&store, &key).await, outcome.is_ok(), "{key}");
        }
    }
}

#[tokio::test]
async fn a_full_store_says_so_and_works_again_when_there_is_room() {
    let place = Place::new();
    let store = place.open().await;
    let grow = |store: Store| async move { job!(store, |tx| meta::set(tx, "large", &"x".repeat(4_000_000)).await) };
    // The limit belongs to the connection, and the writer keeps its one.
    job!(store, |tx| tx.execute(sql("PRAGMA max_page_count = 100")).await).unwrap();
    assert!(matches!(grow(store.clone()).await, Err(StoreError::DiskFull(_))));
    job!(store, |tx| tx.execute(sql("PRAGMA max_page_count = 1000000")).await).unwrap();
    grow(store.clone()).await.unwrap();
}

#[tokio::test]
async fn the_journal_stays_whole_when_jobs_of_a_batch_roll_back() {
    let place = Place::new();
    let store = place.open().await;
    let (release, first) = busy(&store).await;
    let mut jobs = Vec::new();
    for number in 0..20 {
        let store = store.clone();
        jobs.push(tokio::spawn(async move {
            job!(store, |tx| {
                let entry =
                    journal::Entry { kind: "test".into(), agent: None, body: serde_json::json!({"number": number}) };
                journal::append(tx, &[entry.clone(), entry], at(number)).await?;
                if number % 3 == 0 { Err(StoreError::Closed) } else { Ok(()) }
            })
        }));
        tokio::task::yield_now().await;
    }
    drop(release);
    first.await.unwrap().unwrap();
    for job in jobs {
        let _ = job.await.unwrap();
    }
    let verified = journal::verify(&mut store.read().await.unwrap(), |_, _| {}).await.unwrap();
    assert!(matches!(verified, journal::Verified::Whole { head } if head.seq == 2 * 13), "7 of 20 rolled back");
}

#[tokio::test]
async fn low_jobs_go_behind_and_still_get_their_turn() {
    let place = Place::new();
    let store = place.open().await;
    let (release, first) = busy(&store).await;
    let low = {
        let store = store.clone();
        tokio::spawn(async move {
            store.write_low(|tx| Box::pin(async move { Ok(inbox::pending(tx, 100).await?.len()) })).await
        })
    };
    tokio::task::yield_now().await;
    let mut jobs = Vec::new();
    for number in 0..10 {
        let store = store.clone();
        jobs.push(tokio::spawn(async move {
            let input =
                inbox::Input { id: format!("in{number}"), source: "test".into(), raw: "{}".into(), entered_at: at(1) };
            job!(store, |tx| inbox::append(tx, &input).await)
        }));
        tokio::task::yield_now().await;
    }
    drop(release);
    first.await.unwrap().unwrap();
    assert_eq!(low.await.unwrap().unwrap(), 10, "the low job ran after those that came later");
    for job in jobs {
        job.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn closing_works_off_what_waits_and_refuses_what_comes_later() {
    let place = Place::new();
    let store = place.open().await;
    let (release, first) = busy(&store).await;
    let waiting = queue(&store, "a", Fault::None).await;
    let closing = {
        let store = store.clone();
        tokio::spawn(async move { store.close().await })
    };
    tokio::task::yield_now().await;
    drop(release);
    first.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    closing.await.unwrap().unwrap();
    assert!(matches!(queue(&store, "b", Fault::None).await.await.unwrap(), Err(StoreError::Closed)));
    assert!(matches!(store.read().await, Err(StoreError::Closed)));
    assert!(!place.file().with_extension("db-wal").exists(), "the log went into the file");
    let again = place.open().await;
    assert!(is_set(&again, "a").await && !is_set(&again, "b").await);
}

#[tokio::test]
async fn a_caller_that_stops_waiting_does_not_stop_its_job() {
    let place = Place::new();
    let store = place.open().await;
    let (release, first) = busy(&store).await;
    queue(&store, "a", Fault::None).await.abort();
    drop(release);
    first.await.unwrap().unwrap();
    job!(store, |_tx| Ok(())).unwrap();
    assert!(is_set(&store, "a").await);
}
