use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::ambient::Ambient;
use crate::config::gate::Gate;
use crate::config::{self, Users};
use crate::web::{Client, Patience};

/// Where the gateway's file is looked for, in this order.
const CONFIGS: [&str; 2] = ["/etc/lazarus-gate/lazarus-gate.yaml", "config/lazarus-gate.yaml"];
/// Where the daemon's socket is if no file says otherwise.
const SOCKET: &str = "/run/lazarus-gate/gate.sock";

/// Which configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct ConfigAt {
    /// The gateway's file [env: LAZARUS_CONFIG] [default: /etc/lazarus-gate/lazarus-gate.yaml, else
    /// config/lazarus-gate.yaml]
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

/// Which daemon. Both can also stand before the subcommand.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Place {
    #[command(flatten)]
    at: ConfigAt,
    /// The daemon's socket [env: LAZARUS_SOCKET] [default: as the gateway's file says]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl ConfigAt {
    /// The file to use: named, by the environment, or the first that is there.
    pub fn path(&self, place: &Place, ambient: &Ambient) -> Option<PathBuf> {
        let named = self.config.clone().or_else(|| place.at.config.clone()).or_else(|| ambient.config.clone());
        named.or_else(|| CONFIGS.iter().map(PathBuf::from).find(|path| path.exists()))
    }
}

impl From<ConfigAt> for Place {
    fn from(at: ConfigAt) -> Self {
        Self { at, socket: None }
    }
}

impl Place {
    /// What stands here, or else before the subcommand.
    pub fn or(&self, before: &Self) -> Self {
        Self {
            at: ConfigAt { config: self.at.config.clone().or_else(|| before.at.config.clone()) },
            socket: self.socket.clone().or_else(|| before.socket.clone()),
        }
    }

    /// Whether somebody said which file is meant: by a flag, or by the environment.
    pub fn names_a_config(&self, ambient: &Ambient) -> bool {
        self.at.config.is_some() || ambient.config.is_some()
    }

    /// The gateway's file; an error tells where it was looked for.
    ///
    /// # Errors
    /// None is named, and none is there.
    pub fn config(&self, ambient: &Ambient) -> anyhow::Result<PathBuf> {
        self.at.path(&Self::default(), ambient).ok_or_else(|| {
            let [first, second] = CONFIGS;
            anyhow!("there is no {first} and no {second} here; name the file with --config, or make one with `lazarus-gate init`")
        })
    }

    /// Where the daemon is to be found, and its file as far as it can be read.
    ///
    /// # Errors
    /// A file that was named and cannot be read; one that merely lies there may be private.
    pub fn reach(&self, ambient: &Ambient) -> anyhow::Result<Reach> {
        let socket = self.socket.clone().or_else(|| ambient.socket.clone());
        let named = self.at.config.is_some() || (ambient.config.is_some() && socket.is_none());
        let gate = match self.at.path(&Self::default(), ambient) {
            None => None,
            Some(path) => match config::load_gate_only(&path, &Users::of_this_machine()) {
                Ok(gate) => Some(gate),
                Err(problem) if named => return Err(anyhow!("{problem}")),
                Err(_) => None,
            },
        };
        let socket = socket.or_else(|| gate.as_ref().map(|gate| gate.socket.clone()));
        Ok(Reach { socket: socket.unwrap_or_else(|| SOCKET.into()), gate })
    }
}

/// Where the daemon is to be found.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Its socket.
    pub socket: PathBuf,
    /// Its file, where the caller may read it.
    pub gate: Option<Gate>,
}

impl Reach {
    /// Speaks to it.
    pub fn client(&self) -> Client {
        let patience = match &self.gate {
            Some(gate) => Patience { reconnect: gate.timing.reconnect, ..Patience::default() },
            None => Patience::default(),
        };
        Client::new(&self.socket, patience)
    }

    /// The store, for a command that works on it without the daemon.
    ///
    /// # Errors
    /// No file says where it is.
    pub fn store(&self) -> anyhow::Result<&Path> {
        let gate = self.gate.as_ref().ok_or_else(|| {
            anyhow!("it is not known where the store is, since no configuration could be read; name it with --config")
        })?;
        Ok(&gate.store.path)
    }
}
