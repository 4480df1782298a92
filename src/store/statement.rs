//! Statements, and how they get to the database: the one place that knows how SQLite's driver takes
//! them, and that another database's would replace.
//!
//! The driver runs each query on the connection's own thread. Crossing to it and back costs several
//! times what a small statement does, so those of which nobody waits for an answer travel together,
//! as one text ([`joined`]); the driver runs the statements of a text one after the other, tells of
//! each how many rows it touched, and stops at the first that fails.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Either, Executor as _, SqlSafeStr as _};

/// A statement with its values. A value is written `$1`, `$2`, … in the text, and never pasted.
#[derive(Clone)]
pub struct Sql {
    text: Cow<'static, str>,
    values: Vec<Value>,
    keep_prepared: bool,
}

/// What can be bound. Cheap to clone.
#[derive(Clone)]
pub enum Value {
    Null,
    Integer(i64),
    Text(Arc<str>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Text(value.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The statement `text`; its values are bound, never pasted.
pub(crate) fn sql(text: &'static str) -> Sql {
    Sql { text: Cow::Borrowed(text), values: Vec::new(), keep_prepared: true }
}

impl Sql {
    /// With the next value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Not to be kept prepared: its text hardly ever comes again.
    pub(crate) fn once(mut self) -> Self {
        self.keep_prepared = false;
        self
    }

    /// Goes on with `text`.
    pub(crate) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Goes on with a value.
    pub(crate) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        // Writing to a String cannot fail.
        let _ = write!(self.text.to_mut(), "${}", self.values.len());
        self
    }

    /// Goes on with rows: `VALUES ($1, $2), ($3, $4)`.
    pub(crate) fn push_rows<const N: usize>(&mut self, rows: impl IntoIterator<Item = [Value; N]>) -> &mut Self {
        for (nth, row) in rows.into_iter().enumerate() {
            self.push(if nth == 0 { " VALUES (" } else { "), (" });
            for (column, value) in row.into_iter().enumerate() {
                if column > 0 {
                    self.push(", ");
                }
                self.push_bind(value);
            }
        }
        self.push(")")
    }

    /// Goes on with a list: `($1, $2)`.
    pub(crate) fn push_list(&mut self, values: impl IntoIterator<Item = impl Into<Value>>) -> &mut Self {
        for (nth, value) in values.into_iter().enumerate() {
            self.push(if nth == 0 { "(" } else { ", " });
            self.push_bind(value);
        }
        self.push(")")
    }

    /// Whether it only reads.
    pub(super) fn reads(&self) -> bool {
        self.text.starts_with("SELECT") || self.text.starts_with("PRAGMA")
    }

    /// Runs it; its rows.
    pub(crate) async fn fetch_all(self, connection: &mut SqliteConnection) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let ran = run(connection, self).await;
        ran.error.map_or(Ok(ran.rows), Err)
    }

    /// Runs it.
    pub(crate) async fn execute(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.fetch_all(connection).await.map(drop)
    }
}

/// `statements` as one text, in which the values of all of them are numbered through.
pub(super) fn joined(mut statements: Vec<Sql>) -> Sql {
    if statements.len() == 1
        && let Some(only) = statements.pop()
    {
        return only;
    }
    let mut all = Sql { text: Cow::Owned(String::new()), values: Vec::new(), keep_prepared: true };
    let text = all.text.to_mut();
    text.reserve(statements.iter().map(|one| one.text.len() + 16).sum());
    for statement in statements {
        if !text.is_empty() {
            text.push_str(";\n");
        }
        renumber(&statement.text, all.values.len(), text);
        all.values.extend(statement.values);
        all.keep_prepared &= statement.keep_prepared;
    }
    all
}

/// Adds `text` to `to` with every `$N` as `$(N + by)`. No text of ours has a `$` that means anything else.
fn renumber(text: &str, by: usize, to: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        to.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        // A number is one: nothing else follows a `$`.
        let number: usize = rest[..digits].parse().unwrap_or(0);
        let _ = write!(to, "${}", number + by);
        rest = &rest[digits..];
    }
    to.push_str(rest);
}

/// How far the statements of a text came.
pub(super) struct Ran {
    /// How many rows each touched that went through, in their order.
    pub(super) touched: Vec<u64>,
    /// The rows they answered with.
    pub(super) rows: Vec<SqliteRow>,
    /// Why the next one did not go through; none if all did.
    pub(super) error: Option<sqlx::Error>,
}

/// Runs the statements of a text on `connection`.
pub(super) async fn run(connection: &mut SqliteConnection, statement: Sql) -> Ran {
    let Sql { text, values, keep_prepared } = statement;
    let mut ran = Ran { touched: Vec::new(), rows: Vec::new(), error: None };
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        let bound = match value {
            Value::Null => arguments.add(None::<i64>),
            Value::Integer(number) => arguments.add(number),
            Value::Text(text) => arguments.add(text),
        };
        if let Err(error) = bound {
            ran.error = Some(sqlx::Error::Encode(error));
            return ran;
        }
    }
    let text = match text {
        Cow::Borrowed(text) => text.into_sql_str(),
        // Put together from texts of ours; whatever comes from outside is bound.
        Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
    };
    let query = sqlx::query_with(text, arguments).persistent(keep_prepared);
    let mut answers = connection.fetch_many(query);
    loop {
        match answers.try_next().await {
            Ok(Some(Either::Left(done))) => ran.touched.push(done.rows_affected()),
            Ok(Some(Either::Right(row))) => ran.rows.push(row),
            Ok(None) => return ran,
            Err(error) => {
                ran.error = Some(error);
                return ran;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_joined_statements_are_numbered_through() {
        let first = sql("UPDATE a SET x = $2 WHERE id = $1 AND y < $2").bind(1).bind("two");
        let mut second = sql("INSERT INTO b (p, q)");
        second.push_rows([["p1".into(), 7.into()], [None::<i64>.into(), 8.into()]]);
        let all = joined(vec![sql("BEGIN IMMEDIATE"), first, second.once()]);
        assert_eq!(
            all.text,
            "BEGIN IMMEDIATE;\nUPDATE a SET x = $2 WHERE id = $1 AND y < $2;\nINSERT INTO b (p, q) VALUES ($3, $4), ($5, $6)"
        );
        assert_eq!(all.values.len(), 6);
        assert!(!all.keep_prepared);
        let twelve = (0..12).fold(sql("SELECT $12, $1"), |statement, n| statement.bind(n));
        assert_eq!(joined(vec![sql("SELECT $1").bind(0), twelve]).text, "SELECT $1;\nSELECT $13, $2");
    }
}
