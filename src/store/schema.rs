//! The migrations, built into the program, and the check that a file and a program fit together.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use sha2::{Digest as _, Sha384};

use super::connect::Lent;
use super::error::StoreError;
use super::row::{Row, Sql, sql};

/// Every migration ever released, oldest first. Released ones never change: a store refuses a
/// program in which the checksum of an applied one differs.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("migrations/sqlite/0001_initial.sql")),
    (2, "telegram", include_str!("migrations/sqlite/0002_telegram.sql")),
    (3, "missions", include_str!("migrations/sqlite/0003_missions.sql")),
    (4, "drills", include_str!("migrations/sqlite/0004_drills.sql")),
    (5, "agents", include_str!("migrations/sqlite/0005_agents.sql")),
    (6, "bus commands", include_str!("migrations/sqlite/0006_bus_commands.sql")),
];

/// What a file has had, and the same as the first builds kept it.
const APPLIED: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
    applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) STRICT";
const APPLIED_EARLY: &str = "_sqlx_migrations";
const TAKE_OVER: &str = "INSERT INTO migrations (version, name, checksum, applied_at)
    SELECT version, description, lower(hex(checksum)), installed_on FROM _sqlx_migrations;
    DROP TABLE _sqlx_migrations";

/// The version of the schema that this program writes.
pub fn newest_version() -> i64 {
    MIGRATIONS.iter().map(|&(version, ..)| version).max().unwrap_or(0)
}

/// Brings the schema up. A store that does not fit is refused before anything is changed.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    apply(MIGRATIONS, connection, path)
}

/// As a release that knew only the first `count` migrations would have left it.
#[cfg(test)]
pub(super) fn migrate_to(connection: &mut Connection, path: &Path, count: usize) -> Result<(), StoreError> {
    apply(MIGRATIONS.get(..count).unwrap_or(MIGRATIONS), connection, path)
}

fn apply(migrations: &[(i64, &'static str, &str)], connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let kept = Kept::of(&tables().run(connection)?.rows)?;
    let applied = match kept.applied() {
        Some(statement) => applied(&statement.run(connection)?.rows)?,
        None => Vec::new(),
    };
    compare(&applied, path)?;
    if kept == Kept::Early {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(APPLIED)?;
        transaction.execute_batch(TAKE_OVER)?;
        transaction.commit()?;
    }
    let done = newest(&applied);
    for &(version, name, text) in migrations.iter().filter(|(version, ..)| *version > done) {
        let failed = |source| StoreError::Migration { path: path.to_owned(), version, source: Box::new(source) };
        apply_one(connection, version, name, text).map_err(failed)?;
    }
    Ok(())
}

fn apply_one(connection: &mut Connection, version: i64, name: &'static str, text: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(APPLIED)?;
    transaction.execute_batch(text)?;
    let note = sql("INSERT INTO migrations (version, name, checksum) VALUES ($1, $2, $3)");
    note.bind(version).bind(name).bind(checksum(text)).run(&transaction)?;
    Ok(transaction.commit()?)
}

/// That the schema is exactly the one this program knows.
pub(super) fn check(reader: &mut Lent, path: &Path) -> Result<(), StoreError> {
    let applied = match Kept::of(&reader.ask(&tables())?)?.applied() {
        Some(statement) => applied(&reader.ask(&statement)?)?,
        None => Vec::new(),
    };
    compare(&applied, path)?;
    let (found, known) = (newest(&applied), newest_version());
    if found < known { Err(StoreError::OlderVersion { path: path.to_owned(), found, known }) } else { Ok(()) }
}

/// Where a file keeps what it has had.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It has had nothing.
    Nowhere,
    Early,
    Now,
}

impl Kept {
    fn of(tables: &[Row]) -> Result<Self, StoreError> {
        let Some(row) = tables.first() else { return Ok(Self::Nowhere) };
        Ok(if row.nth::<String>(0)? == APPLIED_EARLY { Self::Early } else { Self::Now })
    }

    fn applied(self) -> Option<Sql> {
        match self {
            Self::Nowhere => None,
            Self::Early => Some(sql("SELECT version, lower(hex(checksum)) FROM _sqlx_migrations ORDER BY version")),
            Self::Now => Some(sql("SELECT version, checksum FROM migrations ORDER BY version")),
        }
    }
}

fn tables() -> Sql {
    sql("SELECT name FROM sqlite_schema WHERE name IN ('migrations', '_sqlx_migrations')")
}

/// Version and checksum of what the file has had.
fn applied(rows: &[Row]) -> Result<Vec<(i64, String)>, StoreError> {
    rows.iter().map(|row| Ok((row.nth(0)?, row.nth(1)?))).collect()
}

fn newest(applied: &[(i64, String)]) -> i64 {
    applied.iter().map(|(version, _)| *version).max().unwrap_or(0)
}

fn compare(applied: &[(i64, String)], path: &Path) -> Result<(), StoreError> {
    let known = newest_version();
    if let Some((found, _)) = applied.last().filter(|(version, _)| *version > known) {
        return Err(StoreError::NewerVersion { path: path.to_owned(), found: *found, known });
    }
    for (version, there) in applied {
        let ours = MIGRATIONS.iter().find(|(known, ..)| known == version);
        if ours.is_none_or(|(.., text)| checksum(text) != *there) {
            return Err(StoreError::ChangedMigration { path: path.to_owned(), version: *version });
        }
    }
    Ok(())
}

/// The SHA-384 of a migration's text, in hex.
fn checksum(text: &str) -> String {
    hex::encode(Sha384::digest(text.as_bytes()))
}
