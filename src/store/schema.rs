//! The migrations, built into the program, and the check that a file and a program fit together.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row as _, SqlSafeStr as _};

use super::error::StoreError;
use super::row::sql;

/// Every migration ever released, oldest first. Released ones never change: a store refuses a
/// program in which the checksum of an applied one differs.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("migrations/sqlite/0001_initial.sql")),
    (2, "telegram", include_str!("migrations/sqlite/0002_telegram.sql")),
    (3, "missions", include_str!("migrations/sqlite/0003_missions.sql")),
    (4, "drills", include_str!("migrations/sqlite/0004_drills.sql")),
    (6, "bus commands", include_str!("migrations/sqlite/0006_bus_commands.sql")),
];

fn migrator() -> Migrator {
    migrator_of(MIGRATIONS)
}

fn migrator_of(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = migrations.iter().map(|&(version, name, text)| {
        Migration::new(version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// The version of the schema that this program writes.
pub fn newest_version() -> i64 {
    MIGRATIONS.iter().map(|&(version, ..)| version).max().unwrap_or(0)
}

/// Brings the schema up. A store that does not fit is refused before anything is changed.
pub(super) async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    compare(&applied(connection).await?, path)?;
    migrator().run_direct(None, connection, false).await.map_err(|source| match source {
        MigrateError::Execute(error) => error.into(),
        source => StoreError::Migration { path: path.to_owned(), source },
    })
}

/// As a release that knew only the first `count` migrations would have left it.
#[cfg(test)]
pub(super) async fn migrate_to(connection: &mut SqliteConnection, path: &Path, count: usize) -> Result<(), StoreError> {
    let known = MIGRATIONS.get(..count).unwrap_or(MIGRATIONS);
    migrator_of(known).run_direct(None, connection, false).await.map_err(|source| match source {
        MigrateError::Execute(error) => error.into(),
        source => StoreError::Migration { path: path.to_owned(), source },
    })
}

/// That the schema is exactly the one this program knows.
pub(super) async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let applied = applied(connection).await?;
    compare(&applied, path)?;
    let found = applied.iter().map(|(version, _)| *version).max().unwrap_or(0);
    let known = newest_version();
    if found < known { Err(StoreError::OlderVersion { path: path.to_owned(), found, known }) } else { Ok(()) }
}

/// Version and checksum of what the file has had; nothing for a new one.
async fn applied(connection: &mut SqliteConnection) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let table = sql("SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations'");
    if table.fetch_all(connection).await?.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sql("SELECT version, checksum FROM _sqlx_migrations ORDER BY version").fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn compare(applied: &[(i64, Vec<u8>)], path: &Path) -> Result<(), StoreError> {
    let known = newest_version();
    if let Some((found, _)) = applied.last().filter(|(version, _)| *version > known) {
        return Err(StoreError::NewerVersion { path: path.to_owned(), found: *found, known });
    }
    let migrator = migrator();
    for (version, checksum) in applied {
        let ours = migrator.iter().find(|migration| migration.version == *version);
        if ours.is_none_or(|migration| *migration.checksum != **checksum) {
            return Err(StoreError::ChangedMigration { path: path.to_owned(), version: *version });
        }
    }
    Ok(())
}
