//! From a row to a value, in one place: a column that does not hold what this program writes is
//! named with table, column and row instead of being guessed at.

use super::error::StoreError;
pub(crate) use super::statement::{Row, Sql, sql};
use super::tx::Reads;
use crate::pool::{AgentName, MissionName, Timestamp};

/// A row of one table.
pub(crate) trait Stored: Sized {
    fn from_row(row: &Row) -> Result<Self, StoreError>;
}

/// A value that a column can hold.
pub(crate) trait FromColumn: Sized {
    fn from_column(row: &Row, table: &'static str, column: &'static str) -> Result<Self, StoreError>;
}

/// What `column` holds is not what this program writes there.
pub(crate) fn inconsistent(row: &Row, table: &'static str, column: &'static str, why: impl ToString) -> StoreError {
    // Every statement selects the key first.
    let key = row.nth::<String>(0).or_else(|_| row.nth::<i64>(0).map(|number| number.to_string()));
    StoreError::Inconsistent { table, column, row: key.unwrap_or_else(|_| "?".into()), why: why.to_string() }
}

macro_rules! plain_column {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn from_column(row: &Row, table: &'static str, column: &'static str) -> Result<Self, StoreError> {
                row.named(column).map_err(|error| inconsistent(row, table, column, error))
            }
        }
    )*};
}
plain_column!(String, Option<String>, i64, Option<i64>);

macro_rules! mapped_column {
    ($($type:ty, $raw:ty, $map:expr);* $(;)?) => {$(
        impl FromColumn for $type {
            fn from_column(row: &Row, table: &'static str, column: &'static str) -> Result<Self, StoreError> {
                let raw = <$raw>::from_column(row, table, column)?;
                $map(raw).map_err(|why| inconsistent(row, table, column, why))
            }
        }
        impl FromColumn for Option<$type> {
            fn from_column(row: &Row, table: &'static str, column: &'static str) -> Result<Self, StoreError> {
                let Some(raw) = Option::<$raw>::from_column(row, table, column)? else { return Ok(None) };
                $map(raw).map(Some).map_err(|why| inconsistent(row, table, column, why))
            }
        }
    )*};
}
mapped_column! {
    Timestamp, i64, |ms| Ok::<_, &str>(Timestamp::from_millis(ms));
    AgentName, String, AgentName::new;
    MissionName, String, MissionName::new;
    u32, i64, |number: i64| u32::try_from(number).map_err(|_| format!("{number} is no count"));
    bool, i64, |number| match number {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(format!("{other} is neither 0 nor 1")),
    };
}

/// Declares the struct of a row; every column has its field's name.
macro_rules! stored {
    ($table:literal, $(#[$doc:meta])* pub struct $name:ident {
        $($(#[$field_doc:meta])* $visible:vis $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* $visible $field: $type,)*
        }
        impl $crate::store::row::Stored for $name {
            fn from_row(row: &$crate::store::row::Row) -> Result<Self, $crate::store::StoreError> {
                Ok(Self {
                    $($field: $crate::store::row::FromColumn::from_column(row, $table, stringify!($field))?,)*
                })
            }
        }
    };
}
pub(crate) use stored;

/// Declares a closed list of words that a TEXT column can hold.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }
        impl $name {
            /// The word as it stands in the store.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl $crate::store::row::FromColumn for $name {
            fn from_column(
                row: &$crate::store::row::Row, table: &'static str, column: &'static str,
            ) -> Result<Self, $crate::store::StoreError> {
                match String::from_column(row, table, column)?.as_str() {
                    $($word => Ok(Self::$variant),)*
                    other => Err($crate::store::row::inconsistent(
                        row, table, column, format!("{other:?} is none of {:?}", [$($word),*]),
                    )),
                }
            }
        }
    };
}
pub(crate) use words;

/// All rows of the answer.
pub(crate) async fn all<T: Stored>(db: &mut impl Reads, statement: Sql) -> Result<Vec<T>, StoreError> {
    db.ask(statement).await?.iter().map(T::from_row).collect()
}

/// The only row of the answer, if there is one.
pub(crate) async fn optional<T: Stored>(db: &mut impl Reads, statement: Sql) -> Result<Option<T>, StoreError> {
    db.ask(statement).await?.first().map(T::from_row).transpose()
}

/// A bare number: a count, a maximum, 0 or 1 of an EXISTS. None where the answer is NULL or empty.
pub(crate) async fn number(db: &mut impl Reads, statement: Sql) -> Result<Option<i64>, StoreError> {
    match db.ask(statement).await?.first() {
        Some(row) => Ok(row.nth(0)?),
        None => Ok(None),
    }
}

/// A bare text.
pub(crate) async fn text(db: &mut impl Reads, statement: Sql) -> Result<Option<String>, StoreError> {
    match db.ask(statement).await?.first() {
        Some(row) => Ok(row.nth(0)?),
        None => Ok(None),
    }
}

/// A column of bare texts.
pub(crate) async fn texts(db: &mut impl Reads, statement: Sql) -> Result<Vec<String>, StoreError> {
    db.ask(statement).await?.iter().map(|row| Ok(row.nth(0)?)).collect()
}
