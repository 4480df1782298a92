use std::fmt;
use std::str::FromStr;

/// Where a message goes, in this channel's own form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// To this public key (hexadecimal), so that nobody else can read it.
    Private(String),
    /// To the audience of that name, in the open.
    Note(String),
    /// To this public key, in the open: the answer to something that was said there.
    Reply(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private(key) => write!(f, "private:{key}"),
            Self::Note(audience) => write!(f, "note:{audience}"),
            Self::Reply(key) => write!(f, "reply:{key}"),
        }
    }
}

impl FromStr for Target {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, rest) = text.split_once(':').ok_or(())?;
        match kind {
            "private" => Ok(Self::Private(rest.to_owned())),
            "note" => Ok(Self::Note(rest.to_owned())),
            "reply" => Ok(Self::Reply(rest.to_owned())),
            _ => Err(()),
        }
    }
}
