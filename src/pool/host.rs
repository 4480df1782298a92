use std::collections::BTreeSet;

/// Which hosts are this machine: where `systemctl` may be asked and told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalHosts(BTreeSet<String>);

impl Default for LocalHosts {
    /// The set that the reference has built in, with its public address.
    fn default() -> Self {
        Self::new(["127.0.0.1", "localhost", "104.131.15.18"])
    }
}

impl LocalHosts {
    /// These names and addresses, compared exactly, beside the loopback network.
    pub fn new<T: Into<String>>(hosts: impl IntoIterator<Item = T>) -> Self {
        Self(hosts.into_iter().map(Into::into).collect())
    }

    /// Whether `host` is this machine: none at all, one of the set, or an address of 127.0.0.0/8
    /// (also a short one such as `127.1`).
    ///
    /// A *name* that begins with `127.` may belong to anybody, so it is not: a local command
    /// never stands in for a remote host (invariant 14).
    pub fn contains(&self, host: Option<&str>) -> bool {
        let Some(host) = host.filter(|host| !host.is_empty()) else { return true };
        let loopback = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        self.0.contains(host) || host.strip_prefix("127.").is_some_and(loopback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        let hosts = LocalHosts::default();
        for local in ["", "127.0.0.1", "localhost", "104.131.15.18", "127.9.9.9", "127.1", "127."] {
            assert!(hosts.contains(Some(local)), "{local}");
        }
        assert!(hosts.contains(None));
        for remote in ["LOCALHOST", "localhost.", "::1", "0.0.0.0", "127", "127.evil.example", "10.0.0.1", "1270.0.0.1"]
        {
            assert!(!hosts.contains(Some(remote)), "{remote}");
        }
        assert!(LocalHosts::new(["here"]).contains(Some("here")));
        assert!(!LocalHosts::new(["here"]).contains(Some("localhost")));
    }
}
