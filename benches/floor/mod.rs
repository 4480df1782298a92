//! The database engine of the store, with the same durability and nothing around it.

use std::path::Path;

use rusqlite::Connection;

/// A new database in the file `path`, after `schema`.
pub fn database(path: &Path, schema: &str) -> Connection {
    let database = Connection::open(path).expect("a database");
    database.pragma_update(None, "journal_mode", "wal").expect("a log");
    database.pragma_update(None, "synchronous", "full").expect("durability");
    database.execute_batch(schema).expect("tables");
    database
}
