//! What a probe may come back with, in closed lists.
//!
//! Each signal has three values. *Good* and *bad* speak of the agent; the third, *no answer*, says that we
//! ourselves could not ask, so nothing is known and nothing may be done for it. The texts are ours alone: no
//! word of a probed server stands in them, so they may be printed and stored (a TLS fault's detail is
//! the exception, and is cut and stripped to printable ASCII).

use std::time::Duration;

/// What the HTTP gateway of an agent had to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayAnswer {
    /// It speaks HTTP. Any status counts as reachable, 5xx and 999 too, as in the reference.
    Answered {
        /// The status of the last answer, 100 to 999.
        status: u16,
    },
    /// It could be asked, and gave no HTTP answer in time.
    Unreachable {
        /// What happened instead.
        why: GatewayFault,
    },
    /// We could not ask it: nothing is known.
    NoAnswer {
        /// What we lacked.
        why: Shortage,
    },
}

/// Why a gateway counts as unreachable; the agent's side. Fits after "the gateway is unreachable: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayFault {
    /// Not an address that is asked over HTTP.
    #[error("{0}")]
    Address(AddressFault),
    /// Nobody listens on the port.
    #[error("connection refused")]
    Refused,
    /// The connection was reset, or closed before a whole answer.
    #[error("connection closed without an answer")]
    Closed,
    /// The host does not answer on the network.
    #[error("the host is down or not routed to")]
    HostDown,
    /// The name does not exist.
    #[error("no such host")]
    NoSuchHost,
    /// Something answered, but it is no HTTP (or more than 100 header lines).
    #[error("the answer is no HTTP")]
    NotHttp,
    /// No secure connection: expired, self-signed, another host's certificate, or no TLS at all.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// Nothing (whole) came within the deadline of the probe.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// Any other failure of the connection.
    #[error("connection failed")]
    Other,
}

/// Why a gateway address cannot be asked; fits after "the gateway is unreachable: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// `file:`, `data:`, `ws:`, no scheme at all, …
    #[error("the address must begin with http:// or https://")]
    Scheme,
    /// `user:password@`: would put a secret on the wire and into the registry.
    #[error("the address must not hold a user or password")]
    UserInfo,
    /// A space, a control character, a backslash or a character beyond ASCII.
    #[error("the address holds a character that no URL may hold")]
    Character,
    /// No host, a bad port or the like.
    #[error("the address is no URL")]
    Malformed,
}

/// What **we** lacked, so that a signal has no answer. Fits after "could not ask: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Shortage {
    /// Out of file descriptors, in this process or on this machine.
    #[error("out of file descriptors here")]
    Descriptors,
    /// Out of local ports, or without a local address of the target's family.
    #[error("out of local ports or addresses here")]
    Ports,
    /// Out of memory for another socket or process.
    #[error("out of memory or processes here")]
    Memory,
    /// No route to the target's network: it is we who are cut off.
    #[error("no network route from here")]
    Route,
    /// A firewall or sandbox on our side forbids the connection or the command.
    #[error("forbidden by this machine")]
    Forbidden,
    /// The name service did not answer, so that not even an address is known.
    #[error("the name service does not answer")]
    Names,
    /// This process stood still past the deadline: an answer may have come, nobody was there to read it.
    #[error("this process was held up past the deadline")]
    HeldUp,
    /// A defect of this program; the other probes go on.
    #[error("the probe broke off inside, please report it")]
    Defect,
}

/// What systemd had to say of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitAnswer {
    /// systemd knows it, if only as "not found".
    Known {
        /// The state that the reference's `is-active` prints.
        active_state: ActiveState,
        /// The finer state of the unit's type: `running`, `auto-restart`, `start-pre`, …
        sub_state: String,
        /// 32 hex digits of the unit's present run; none while it never ran since boot.
        invocation_id: Option<String>,
        /// How often systemd itself restarted it since it was last started by hand; 0 for what is no service.
        restarts: u64,
        /// Whether the unit's file could be loaded.
        load: LoadState,
    },
    /// systemd did not say: nothing is known.
    NoAnswer {
        /// What stood in the way.
        why: UnitSilence,
    },
}

impl UnitAnswer {
    /// Whether the service lives: `None` if that cannot be said. The one place that reads ActiveState:
    ///
    /// * `active`, `reloading`, `refreshing` → yes. The reference's `is-active` leaves with 0 for these.
    /// * `activating` with the sub state `auto-restart` → no: the process is dead, systemd waits to try again.
    /// * any other `activating` → not known. It has neither failed nor started; systemd itself bounds a start
    ///   (`TimeoutStartSec`) and then calls it `failed`. Calling it dead would restart what is just starting,
    ///   calling it alive would verify a restart that hangs. Activating for ever becomes the alarm of an
    ///   answer that never comes.
    /// * `inactive`, `failed`, `deactivating`, `maintenance` → no; masked and missing units are `inactive`.
    /// * a state that this program does not know (a newer systemd) → not known.
    pub fn alive(&self) -> Option<bool> {
        match self {
            Self::NoAnswer { .. } => None,
            Self::Known { active_state, sub_state, .. } => match active_state {
                ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing => Some(true),
                ActiveState::Activating if sub_state.starts_with("auto-restart") => Some(false),
                ActiveState::Activating | ActiveState::Other => None,
                ActiveState::Inactive | ActiveState::Failed | ActiveState::Deactivating | ActiveState::Maintenance => {
                    Some(false)
                }
            },
        }
    }
}

/// systemd's `ActiveState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActiveState {
    /// Started; the process lives.
    Active,
    /// Alive and reading its configuration anew.
    Reloading,
    /// Alive while systemd refreshes its credentials or mounts.
    Refreshing,
    /// Not running.
    Inactive,
    /// Ended badly, or its start limit is hit.
    Failed,
    /// Starting, or waiting to be started again.
    Activating,
    /// Stopping.
    Deactivating,
    /// Not running, something is being cleaned up.
    Maintenance,
    /// A word of a newer systemd.
    Other,
}

impl ActiveState {
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "reloading" => Self::Reloading,
            "refreshing" => Self::Refreshing,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            "maintenance" => Self::Maintenance,
            _ => Self::Other,
        }
    }

    /// systemd's own word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Refreshing => "refreshing",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Maintenance => "maintenance",
            Self::Other => "other",
        }
    }
}

/// systemd's `LoadState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadState {
    /// The unit's file is read.
    Loaded,
    /// There is no such unit.
    NotFound,
    /// An administrator forbade to start it.
    Masked,
    /// The unit's file is wrong (`bad-setting`, `error`).
    Broken,
    /// Any other word.
    Other,
}

impl LoadState {
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "loaded" => Self::Loaded,
            "not-found" => Self::NotFound,
            "masked" => Self::Masked,
            "bad-setting" | "error" => Self::Broken,
            _ => Self::Other,
        }
    }
}

/// Why systemd did not say anything about a unit. Fits after "systemd gave no answer: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitSilence {
    /// `systemctl` ended at once without a word about any unit: no service manager behind it.
    #[error("no service manager answers")]
    NoManager,
    /// It did not answer within the deadline, and was ended.
    #[error("systemctl did not answer within {0:?}")]
    TimedOut(Duration),
    /// What it printed is not what was asked for.
    #[error("the output of systemctl is not understood")]
    Garbled,
    /// It spoke of other units, and left this one out.
    #[error("systemctl says nothing about this unit")]
    LeftOut,
    /// The text is no unit name: it was not asked for.
    #[error("this is no name of a unit")]
    BadName,
    /// The program cannot be started.
    #[error("systemctl cannot be started; is the program there and executable?")]
    NoProgram,
    /// We lacked something.
    #[error("{0}")]
    Shortage(Shortage),
}
