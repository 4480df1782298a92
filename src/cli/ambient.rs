use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

use rand::Rng as _;

use crate::pool::Timestamp;

/// What a command takes from its surroundings, read once at its start.
#[derive(Clone, Debug)]
pub struct Ambient {
    /// `LAZARUS_CONFIG`: the gateway's file, where `--config` does not name it.
    pub config: Option<PathBuf>,
    /// `LAZARUS_SOCKET`: the daemon's socket, where `--socket` does not name it.
    pub socket: Option<PathBuf>,
    /// When the command was started.
    pub now: Timestamp,
    /// Its user.
    pub uid: u32,
    id_bits: u128,
}

impl Ambient {
    /// Of this process.
    #[expect(clippy::disallowed_methods, reason = "a command reads its environment and its clock once, here")]
    pub fn of_this_process() -> Self {
        let path = |value: Option<OsString>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            config: path(std::env::var_os("LAZARUS_CONFIG")),
            socket: path(std::env::var_os("LAZARUS_SOCKET")),
            now: Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX)),
            uid: rustix::process::geteuid().as_raw(),
            id_bits: rand::rng().random(),
        }
    }

    /// The id of the command that this process sends: it sorts by time and is unique by its random
    /// end. One process sends one command, so it is made once; sent again, it is the same command.
    pub fn command_id(&self) -> String {
        let bits = self.id_bits & (u128::MAX >> 48);
        format!("{:012x}-{bits:020x}", self.now.as_millis().max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_what_the_daemon_takes() {
        let mut ids = Vec::new();
        for (ms, id_bits) in [(0, 0), (1_776_225_600_000, u128::MAX), (i64::MAX, 7), (-5, 9)] {
            let now = Timestamp::from_millis(ms);
            ids.push(Ambient { config: None, socket: None, now, uid: 0, id_bits }.command_id());
        }
        assert!(ids.iter().all(|id| crate::web::is_id(id)), "{ids:?}");
    }
}
