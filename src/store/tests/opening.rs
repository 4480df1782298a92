use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::super::row::sql;
use super::super::{DaemonLock, Holder, holder, lock_path, meta, newest_version};
use super::*;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn folder_and_files_are_the_owners_alone() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| meta::set(tx, "a", "b").await).unwrap();
    assert_eq!(mode(place.file().parent().unwrap()), 0o700);
    for name in ["lazarus.db", "lazarus.db-wal", "lazarus.db-shm"] {
        assert_eq!(mode(&place.file().with_file_name(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn what_others_could_get_at_is_refused() {
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil); 4] = [
        ("group-writable folder", |file| set_mode(file.parent().unwrap(), 0o770)),
        ("readable file", |file| set_mode(file, 0o644)),
        ("link", |file| {
            fs::rename(file, file.with_extension("real")).unwrap();
            symlink(file.with_extension("real"), file).unwrap();
        }),
        ("folder in its place", |file| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        }),
    ];
    for (name, spoil) in cases {
        let place = Place::new();
        place.open().await.close().await.unwrap();
        spoil(&place.file());
        let refused = Store::open(&place.file(), OpenOptions::default()).await.err();
        assert!(matches!(refused, Some(StoreError::Unsafe { .. })), "{name}: {refused:?}");
        let refused = Store::open_read_only(&place.file()).await.err();
        assert!(matches!(refused, Some(StoreError::Unsafe { .. })), "{name}, reading: {refused:?}");
    }
}

#[tokio::test]
async fn what_is_no_store_is_named() {
    let place = Place::new();
    let missing = Store::open_read_only(&place.file()).await.err();
    assert!(matches!(missing, Some(StoreError::Missing { .. })), "{missing:?}");
    fs::create_dir(place.file().parent().unwrap()).unwrap();
    fs::write(place.file(), "x".repeat(5000)).unwrap();
    set_mode(&place.file(), 0o600);
    let corrupt = Store::open(&place.file(), OpenOptions::default()).await.err();
    assert!(matches!(corrupt, Some(StoreError::Corrupt(_))), "{corrupt:?}");
    fs::write(place.file(), "").unwrap();
    let empty = Store::open_read_only(&place.file()).await.err();
    assert!(matches!(empty, Some(StoreError::OlderVersion { found: 0, .. })), "{empty:?}");
}

#[tokio::test]
async fn durability_is_as_promised() {
    let place = Place::new();
    let store = place.open().await;
    // 2 is FULL, 1 is on.
    for (pragma, expected) in
        [(sql("PRAGMA synchronous"), 2), (sql("PRAGMA foreign_keys"), 1), (sql("PRAGMA busy_timeout"), 5000)]
    {
        let got = job!(store, |tx| super::super::row::number(tx, pragma).await).unwrap();
        assert_eq!(got, Some(expected));
    }
    let journal = job!(store, |tx| super::super::row::text(tx, sql("PRAGMA journal_mode")).await).unwrap();
    assert_eq!(journal.as_deref(), Some("wal"));
    let mut read = store.read().await.unwrap();
    let refused = super::super::Reads::ask(&mut read, sql("DELETE FROM meta")).await;
    assert!(matches!(refused.err().unwrap(), StoreError::ReadOnly(_)));
}

#[tokio::test]
async fn a_store_of_another_version_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let store = place.open().await;
    let insert = "INSERT INTO migrations (version, name, checksum) VALUES (9999, 'from the future', '00')";
    job!(store, |tx| tx.execute(sql(insert)).await).unwrap();
    store.close().await.unwrap();
    for refused in [
        Store::open(&place.file(), OpenOptions::default()).await.err(),
        Store::open_read_only(&place.file()).await.err(),
    ] {
        let refused = refused.unwrap();
        assert!(matches!(refused, StoreError::NewerVersion { found: 9999, .. }), "{refused}");
        assert!(refused.to_string().contains(&format!("knows up to {}", newest_version())), "{refused}");
    }

    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| tx.execute(sql("UPDATE migrations SET checksum = '00' WHERE version = 1")).await).unwrap();
    store.close().await.unwrap();
    let refused = Store::open(&place.file(), OpenOptions::default()).await.err();
    assert!(matches!(refused, Some(StoreError::ChangedMigration { version: 1, .. })), "{refused:?}");
}

/// The first builds let a library keep it.
#[tokio::test]
async fn a_store_that_keeps_its_migrations_as_the_first_builds_did_is_taken_over() {
    let place = Place::new();
    place.open().await.close().await.unwrap();
    let early = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
            installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,
            checksum BLOB NOT NULL, execution_time BIGINT NOT NULL);
        INSERT INTO _sqlx_migrations
            SELECT version, name, applied_at, 1, unhex(checksum), 0 FROM migrations;
        DROP TABLE migrations";
    let db = rusqlite::Connection::open(place.file()).unwrap();
    db.execute_batch(early).unwrap();
    assert!(Store::open_read_only(&place.file()).await.is_ok());
    place.open().await.close().await.unwrap();
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    assert_eq!(db.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    db.execute_batch("UPDATE migrations SET checksum = '00' WHERE version = 2").unwrap();
    let refused = Store::open(&place.file(), OpenOptions::default()).await.err();
    assert!(matches!(refused, Some(StoreError::ChangedMigration { version: 2, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_reader_sees_one_moment_and_only_what_is_committed() {
    let place = Place::new();
    let store = place.open().await;
    let beside = Store::open_read_only(&place.file()).await.unwrap();
    let mut before = beside.read().await.unwrap();
    assert_eq!(meta::get(&mut before, "a").await.unwrap(), None);
    job!(store, |tx| meta::set(tx, "a", "b").await).unwrap();
    assert_eq!(meta::get(&mut before, "a").await.unwrap(), None, "its moment was before");
    drop(before);
    assert_eq!(meta::get(&mut beside.read().await.unwrap(), "a").await.unwrap().as_deref(), Some("b"));
}

#[tokio::test]
async fn values_this_program_cannot_have_written_are_named() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| open_incident(tx, "i1", "ada").await).unwrap();
    job!(store, |tx| tx.execute(sql("UPDATE incidents SET agent = 'a b; rm' WHERE id = 'i1'")).await).unwrap();
    let damaged = incidents::load(&mut store.read().await.unwrap(), "i1").await.unwrap_err();
    assert!(
        matches!(&damaged, StoreError::Inconsistent { table: "incidents", column: "agent", row, .. } if row == "i1"),
        "{damaged}"
    );
}

#[test]
fn a_second_daemon_is_told_the_pid_of_the_first() {
    let place = Place::new();
    assert_eq!(holder(&place.file()).unwrap(), None);
    let lock = DaemonLock::take(&place.file()).unwrap();
    let second = DaemonLock::take(&place.file()).unwrap_err();
    assert!(matches!(second, StoreError::Locked { pid: Some(pid), .. } if pid == std::process::id()), "{second}");
    assert_eq!(holder(&place.file()).unwrap(), Some(Holder { pid: Some(std::process::id()) }));
    assert_eq!(mode(lock.path()), 0o600);
    drop(lock);
    assert_eq!(holder(&place.file()).unwrap(), None);
    DaemonLock::take(&place.file()).unwrap();
}

#[test]
fn a_lock_of_another_process_holds_and_goes_with_it() {
    let place = Place::new();
    drop(DaemonLock::take(&place.file()).unwrap());
    // `cat` has the lock until its input ends; `flock` passes the open file on to it.
    let mut other = match Command::new("flock")
        .args(["--nonblock".as_ref(), lock_path(&place.file()).as_os_str(), "cat".as_ref()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    {
        Ok(other) => other,
        Err(error) => {
            println!("skipped: no flock(1) here ({error})");
            return;
        }
    };
    // An echoed line proves that the lock is held.
    use std::io::{BufRead as _, Write as _};
    other.stdin.as_mut().unwrap().write_all(b"held\n").unwrap();
    let mut line = String::new();
    std::io::BufReader::new(other.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(holder(&place.file()).unwrap().is_some());
    assert!(matches!(DaemonLock::take(&place.file()), Err(StoreError::Locked { .. })));
    other.kill().unwrap();
    drop(other.stdin.take());
    other.wait().unwrap();
    let mut rest = String::new();
    use std::io::Read as _;
    other.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    DaemonLock::take(&place.file()).unwrap();
}
