//! Statements, and how they get to the database: the one place that knows how SQLite's driver takes
//! them, and that another database's would replace.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

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

    /// Runs it.
    pub(super) fn run(&self, connection: &Connection) -> rusqlite::Result<Ran> {
        if self.keep_prepared {
            self.run_prepared(&mut *connection.prepare_cached(&self.text)?, connection)
        } else {
            self.run_prepared(&mut connection.prepare(&self.text)?, connection)
        }
    }

    fn run_prepared(&self, statement: &mut rusqlite::Statement<'_>, connection: &Connection) -> rusqlite::Result<Ran> {
        // To SQLite `$2` is a name like any other, with an index in the order of the first mentions.
        for index in 1..=statement.parameter_count() {
            let number = statement.parameter_name(index).and_then(|name| name.get(1..)?.parse::<usize>().ok());
            let value = number.and_then(|number| self.values.get(number.checked_sub(1)?));
            statement.raw_bind_parameter(
                index,
                value.ok_or(rusqlite::Error::InvalidParameterCount(self.values.len(), index))?,
            )?;
        }
        if statement.column_count() == 0 {
            let touched = statement.raw_execute()?;
            return Ok(Ran { touched: touched.try_into().unwrap_or(u64::MAX), rows: Vec::new(), changes: true });
        }
        let changes = !statement.readonly();
        let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
        let mut answers = statement.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = answers.next()? {
            let values = (0..columns.len()).map(|column| row.get(column)).collect::<Result<_, _>>()?;
            rows.push(Row { columns: Arc::clone(&columns), values });
        }
        drop(answers);
        Ok(Ran { touched: if changes { connection.changes() } else { 0 }, rows, changes })
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// What came of a statement.
pub(super) struct Ran {
    /// How many rows it inserted, updated or deleted.
    pub(super) touched: u64,
    /// The rows it answered with.
    pub(super) rows: Vec<Row>,
    /// Whether it may have changed anything.
    pub(super) changes: bool,
}

/// A row of an answer.
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<rusqlite::types::Value>,
}

impl Row {
    /// The value of the column of that name.
    pub(super) fn named<T: FromSql>(&self, column: &str) -> Result<T, FromSqlError> {
        let at = self.columns.iter().position(|name| name == column);
        self.value(at.and_then(|at| self.values.get(at)))
    }

    /// The value of the nth column, from 0 on.
    pub(super) fn nth<T: FromSql>(&self, column: usize) -> Result<T, FromSqlError> {
        self.value(self.values.get(column))
    }

    fn value<T: FromSql>(&self, value: Option<&rusqlite::types::Value>) -> Result<T, FromSqlError> {
        T::column_result(value.ok_or_else(|| FromSqlError::Other("the answer has no such column".into()))?.into())
    }
}
