use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

use rand::Rng as _;

use super::by_nostr::KEY_FILE_VARIABLE;
use crate::approval::Code;
use crate::config::gate::{NOSTR_KEY_VARIABLE, TELEGRAM_TOKEN_VARIABLE};
use crate::pool::Timestamp;

/// What a command takes from its surroundings, read once at its start.
#[derive(Clone)]
pub struct Ambient {
    /// `LAZARUS_CONFIG`: the gateway's file, where `--config` does not name it.
    pub config: Option<PathBuf>,
    /// `LAZARUS_SOCKET`: the daemon's socket, where `--socket` does not name it.
    pub socket: Option<PathBuf>,
    /// When the command was started.
    pub now: Timestamp,
    /// Its user.
    pub uid: u32,
    /// Where a secret may be found, or be itself: of the environment, only what names the Telegram token or a Nostr
    /// key.
    pub environment: BTreeMap<String, String>,
    id_bits: u128,
}

impl std::fmt::Debug for Ambient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { config, socket, now, uid, .. } = self;
        let mut shown = f.debug_struct("Ambient");
        shown.field("config", config).field("socket", socket).field("now", now).field("uid", uid);
        shown.finish_non_exhaustive()
    }
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
            environment: [TELEGRAM_TOKEN_VARIABLE, NOSTR_KEY_VARIABLE, KEY_FILE_VARIABLE, "CREDENTIALS_DIRECTORY"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
                .collect(),
            id_bits: rand::rng().random(),
        }
    }

    /// A code that nobody else has seen.
    pub fn code(&self) -> Code {
        Code::from_random(u32::try_from(self.id_bits >> 96).unwrap_or_default())
    }

    /// 256 bits that nobody can guess, other ones each time.
    #[expect(clippy::disallowed_methods, reason = "a secret is drawn once, by the command that shows it")]
    pub fn secret(&self) -> [u8; 32] {
        rand::rng().random()
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
            ids.push(
                Ambient { config: None, socket: None, now, uid: 0, environment: BTreeMap::new(), id_bits }.command_id(),
            );
        }
        assert!(ids.iter().all(|id| crate::web::is_id(id)), "{ids:?}");
    }
}
