use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::super::generation::{self, Found, Restored};
use super::super::{backup, journal, meta};
use super::*;

/// What a start does; returns what it found.
async fn start(place: &Place) -> Found {
    let store = place.open().await;
    let found = begin(&store).await;
    generation::settle(store.path(), found).unwrap();
    store.close().await.unwrap();
    found
}

/// A start that is killed before it writes the file.
async fn begin(store: &Store) -> Found {
    let found = generation::detect(&mut store.read().await.unwrap(), store.path()).await.unwrap();
    job!(store, |tx| generation::raise(tx, found).await).unwrap();
    found
}

#[tokio::test]
async fn ordinary_starts_are_not_taken_for_a_restored_backup() {
    let place = Place::new();
    for next in 1..4 {
        assert_eq!(start(&place).await, Found { restored: Restored::No, next });
    }
}

#[tokio::test]
async fn a_kill_between_store_and_file_is_none_either() {
    let place = Place::new();
    for next in 1..4 {
        let store = place.open().await;
        assert_eq!(begin(&store).await, Found { restored: Restored::No, next }, "killed before the file");
        store.close().await.unwrap();
    }
    assert_eq!(start(&place).await, Found { restored: Restored::No, next: 4 });
    fs::write(generation::file_beside(&place.file()).with_extension("new"), "half").unwrap();
    assert_eq!(start(&place).await, Found { restored: Restored::No, next: 5 }, "killed before the rename");
}

#[tokio::test]
async fn an_old_copy_put_back_is_recognised_once() {
    let place = Place::new();
    start(&place).await;
    let copy = fs::read(place.file()).unwrap();
    start(&place).await;
    start(&place).await;
    fs::write(place.file(), copy).unwrap();
    assert_eq!(start(&place).await, Found { restored: Restored::Older, next: 4 });
    assert_eq!(start(&place).await, Found { restored: Restored::No, next: 5 });
}

#[tokio::test]
async fn a_store_moved_without_its_file_or_with_a_damaged_one_is_recognised() {
    for damage in [None, Some("not a number"), Some("")] {
        let place = Place::new();
        start(&place).await;
        let file = generation::file_beside(&place.file());
        match damage {
            None => fs::remove_file(file).unwrap(),
            Some(text) => fs::write(file, text).unwrap(),
        }
        assert_eq!(start(&place).await.restored, Restored::NoFileBeside, "{damage:?}");
        assert_eq!(start(&place).await.restored, Restored::No);
    }
}

#[tokio::test]
async fn a_backup_is_whole_stamped_private_and_overwrites_nothing() {
    let place = Place::new();
    start(&place).await;
    let store = place.open().await;
    job!(store, |tx| {
        let entry = journal::Entry { kind: "test".into(), agent: None, body: serde_json::json!({}) };
        journal::append(tx, &[entry], at(1)).await?;
        meta::set(tx, "a", "b").await
    })
    .unwrap();
    let to = place.folder.path().join("copy's.db");
    backup(store.reader(), &to, at(99)).await.unwrap();
    assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&to).unwrap();
    assert!(matches!(backup(store.reader(), &to, at(99)).await, Err(StoreError::Exists { .. })));
    assert_eq!(fs::read(&to).unwrap(), before);
    let mut names: Vec<_> =
        fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["copy's.db", "store"], "nothing half done lies about");
    store.close().await.unwrap();

    // Put back, in the very generation in which it was made.
    fs::copy(&to, place.file()).unwrap();
    assert_eq!(start(&place).await, Found { restored: Restored::Stamped, next: 2 });
    assert_eq!(start(&place).await, Found { restored: Restored::No, next: 3 });
    let store = place.open().await;
    let mut read = store.read().await.unwrap();
    assert_eq!(meta::get(&mut read, "a").await.unwrap().as_deref(), Some("b"));
    let verified = journal::verify(&mut read, |_, _| {}).await.unwrap();
    assert!(matches!(verified, journal::Verified::Whole { head } if head.seq == 1));
}

#[tokio::test]
async fn a_backup_put_beside_the_log_of_a_killed_store_is_refused_before_the_log_spoils_it() {
    let place = Place::new();
    let store = place.open().await;
    let to = place.folder.path().join("copy.db");
    backup(store.reader(), &to, at(99)).await.unwrap();
    job!(store, |tx| meta::set(tx, "a", "b").await).unwrap();
    let log = place.file().with_file_name("lazarus.db-wal");
    let left_by_a_kill = fs::read(&log).unwrap();
    store.close().await.unwrap();
    fs::write(&log, &left_by_a_kill).unwrap();
    place.open().await.close().await.unwrap();

    fs::write(&log, &left_by_a_kill).unwrap();
    fs::copy(&to, place.file()).unwrap();
    let refused = Store::open(&place.file(), OpenOptions::default()).await.err();
    assert!(matches!(&refused, Some(StoreError::Unsafe { path, .. }) if *path == log), "{refused:?}");
    assert!(Store::open_read_only(&place.file()).await.is_err());
    fs::remove_file(&log).unwrap();
    assert_eq!(start(&place).await.restored, Restored::Stamped);
}
