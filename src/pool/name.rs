use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text cannot be a name; fits after "`X` is no agent name: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// More characters than a name may have.
    #[error("it has {0} characters, at most {1} are allowed")]
    TooLong(usize, usize),
    /// A character that could mean something to a shell, a file system, a chat or a terminal.
    #[error("{0:?} is not allowed there; use letters, digits, '_', '.', '-', and begin with a letter, a digit or '_'")]
    BadCharacter(char),
}

/// Longest agent or mission name, in characters.
const NAME_MAX: usize = 64;
/// Longest host name, in characters (RFC 1035).
const HOST_MAX: usize = 253;

/// `^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`: no name reaches a command, a path or a page that could
/// be read there as anything but a name (invariant 11).
fn check_name(text: &str) -> Result<(), InvalidName> {
    let length = text.chars().count();
    if length > NAME_MAX {
        return Err(InvalidName::TooLong(length, NAME_MAX));
    }
    let first = text.chars().next().ok_or(InvalidName::Empty)?;
    if !(first.is_ascii_alphanumeric() || first == '_') {
        return Err(InvalidName::BadCharacter(first));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "_.-".contains(*c))) {
        Some(bad) => Err(InvalidName::BadCharacter(bad)),
        None => Ok(()),
    }
}

/// A host stands as one argument of a `restart` template (say, of ssh): it must not look like an
/// option, and holds only what host names and IP addresses are made of.
fn check_host(text: &str) -> Result<(), InvalidName> {
    let length = text.chars().count();
    if length > HOST_MAX {
        return Err(InvalidName::TooLong(length, HOST_MAX));
    }
    let first = text.chars().next().ok_or(InvalidName::Empty)?;
    if !(first.is_ascii_alphanumeric() || "_:[".contains(first)) {
        return Err(InvalidName::BadCharacter(first));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "_.-:[]%".contains(*c))) {
        Some(bad) => Err(InvalidName::BadCharacter(bad)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The checked name, or why `text` cannot be one.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                $check(&text)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name!(
    /// The name of an agent, as the registry's `fleet` has it.
    AgentName,
    check_name
);
name!(
    /// The name of a mission: the agent's override, its registry entry, or its own name.
    MissionName,
    check_name
);
name!(
    /// The host an agent lives on: a name or an address, safe as one argument of a command.
    HostName,
    check_host
);

impl From<&AgentName> for MissionName {
    /// An agent's own name is its mission when nothing names one; both kinds obey one rule.
    fn from(agent: &AgentName) -> Self {
        Self(agent.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_design_allows() {
        for good in ["a", "_x", "bezalel", "a.b-c_9", "7", &"x".repeat(64)] {
            assert!(AgentName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-rf", ".hidden", "a b", "a;reboot", "a\n", "é", "a:b", "a/b", "x\u{202e}", &"x".repeat(65)] {
            assert!(AgentName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_never_looks_like_an_option() {
        for good in ["10.0.0.7", "::1", "[fe80::1%eth0]", "node-3.example"] {
            assert!(HostName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-oProxyCommand=x", "a b", "a;b", "$(x)", "a@b"] {
            assert!(HostName::new(bad).is_err(), "{bad}");
        }
    }
}
