//! Users of this machine by name, from `/etc/passwd` alone.
//!
//! Asking the name service needs libc calls that this crate forbids itself, and could hang on a
//! directory server in the middle of a reload. Where users come from elsewhere (LDAP, sssd),
//! `local_user` takes the numeric id.

use std::collections::BTreeMap;
use std::path::Path;

use super::Lookup;

/// Names and ids of `/etc/passwd`, as it was when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<String, u32>);

impl Users {
    /// The users of this machine; none if the file cannot be read.
    pub fn of_this_machine() -> Self {
        Self::from_file(Path::new("/etc/passwd"))
    }

    fn from_file(path: &Path) -> Self {
        // A line may hold a real name in an old encoding; only its first fields matter here.
        Self::parse(&std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default())
    }

    /// The first line of a name counts, as for the C library.
    fn parse(text: &str) -> Self {
        let mut users = BTreeMap::new();
        for line in text.lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(_), Some(uid)) = (fields.next(), fields.next(), fields.next()) else { continue };
            if let (false, Ok(uid)) = (name.is_empty(), uid.parse()) {
                users.entry(name.to_owned()).or_insert(uid);
            }
        }
        Self(users)
    }

    /// The name of the user with that id, the first if there are several.
    pub fn name_of(&self, uid: u32) -> Option<&str> {
        self.0.iter().find(|(_, other)| **other == uid).map(|(name, _)| name.as_str())
    }
}

impl Lookup for Users {
    fn uid_of(&self, user: &str) -> Option<u32> {
        self.0.get(user).copied()
    }

    fn has_service_manager(&self) -> bool {
        Path::new("/run/systemd/system").is_dir()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids() {
        let users = Users::parse(
            "root:x:0:0:root:/root:/bin/sh\nbroken\nkim:x:1000:1000::/h:/b\nkim:x:1001:\n:x:5:\nz:x:no:\n",
        );
        assert_eq!(users.uid_of("root"), Some(0));
        assert_eq!(users.uid_of("kim"), Some(1000));
        assert_eq!(users.uid_of("z"), None);
        assert_eq!(users.uid_of(""), None);
        assert_eq!(users.name_of(0), Some("root"));
        assert_eq!(Users::from_file(Path::new("/nonexistent")), Users::default());
    }
}
