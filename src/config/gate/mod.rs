//! The gateway's own file, `lazarus-gate.yaml`, section by section.
//!
//! Each section is a plain struct that says its defaults, and a `read` that notes every problem
//! and lets the default stand in, so that one pass finds them all. A gate that was read with an
//! error noted is never used.

mod agents;
mod channels;
mod command;
mod delivery;
mod files;
mod hosts;
mod log;
mod mission;
mod nostr;
mod npub;
mod people;
mod schedule;
mod telegram;
mod timing;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::pool::{AgentName, LocalHosts, UnitTemplate};

pub use agents::{Agents, HeartbeatRule};
pub use channels::{Channels, Terminal};
pub use command::{NameFilter, Placeholder, RestartTemplate, SubstituteCommand, SystemctlRestart};
pub use delivery::{Deliveries, Delivery, DeliveryUrl, DeliveryWay};
pub use files::{Files, Store};
pub use log::{Log, LogFormat, LogLevel};
pub use mission::Mission;
pub use nostr::{Audience, NOSTR_CREDENTIAL, NOSTR_KEY_VARIABLE, NOSTR_SIGNER_CREDENTIAL, Nostr, NostrStyle};
pub use people::{BusRole, Participant, PeopleSeen, Person};

pub use crate::approval::Approves;
pub use schedule::{HeartbeatUrl, Schedule};
pub use telegram::{Chat, TELEGRAM_CREDENTIAL, TELEGRAM_TOKEN_VARIABLE, Telegram};
pub use timing::{Retention, Timing};

use super::Lookup;
use super::report::{Notes, Trail};
use super::section::Section;

/// Everything that `lazarus-gate.yaml` says, with defaults filled in and paths resolved against
/// the folder of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Where the other three files are.
    pub files: Files,
    /// Where the truth is kept.
    pub store: Store,
    /// The unix socket the command line talks to.
    pub socket: std::path::PathBuf,
    /// The zone in which people are shown times.
    pub timezone: jiff::tz::TimeZone,
    /// The number in the message of an approval request (`[#882] …`).
    pub issue: u64,
    /// Which hosts are this machine.
    pub local_hosts: LocalHosts,
    /// The systemd unit of an agent.
    pub unit: UnitTemplate,
    /// Units of agents for which the template is not right; naming one here also says that the
    /// agent is looked up in systemd although a restart template applies.
    pub units: BTreeMap<AgentName, String>,
    /// When probes run and how long they may take.
    pub schedule: Schedule,
    /// How long everything else takes.
    pub timing: Timing,
    /// What missions allow.
    pub mission: Mission,
    /// How agents are restarted; the first that matches wins.
    pub restart: Vec<RestartTemplate>,
    /// How a local agent without a template is restarted.
    pub systemctl_restart: SystemctlRestart,
    /// How a substitution is delivered; without it none is offered.
    pub substitute: Option<SubstituteCommand>,
    /// Who may decide what.
    pub people: Vec<Person>,
    /// Where people are asked and told.
    pub channels: Channels,
    /// How substitutes are told what they take over, and answer; those who are not there are told by `substitute`.
    pub delivery: Deliveries,
    /// The door for agents; none: it stays shut.
    pub agents: Option<Agents>,
    /// How long what is done with is kept.
    pub retention: Retention,
    /// What the daemon writes about itself.
    pub log: Log,
    /// Decide, ask and tell, but run nothing.
    pub observe: bool,
}

impl Gate {
    /// Reads the whole file; `folder` is where it lies.
    pub(super) fn read(value: &Value, folder: &Path, users: &dyn Lookup, notes: &Notes) -> Self {
        let mut root = Section::new(Some(value), Trail::new(), notes);
        let gate = Self {
            files: Files::read(root.section("files"), folder),
            store: Store::read(&mut root, folder),
            socket: files::read_socket(&mut root, folder),
            timezone: hosts::read_timezone(&mut root),
            issue: root.number("issue", 882, 0, u64::from(u32::MAX)),
            local_hosts: hosts::read_local_hosts(&mut root),
            unit: hosts::read_unit(&mut root),
            units: hosts::read_units(root.section("units")),
            schedule: Schedule::read(root.section("schedule")),
            timing: Timing::read(root.section("timing")),
            mission: Mission::read(root.section("mission")),
            restart: RestartTemplate::read_all(&mut root),
            systemctl_restart: SystemctlRestart::read(root.section("systemctl_restart")),
            substitute: SubstituteCommand::read(&mut root),
            people: people::read(root.section("people"), users),
            channels: Channels::read(root.section("channels"), folder),
            delivery: Deliveries::read(root.section("delivery"), folder),
            agents: Agents::read(&mut root),
            retention: Retention::read(root.section("retention")),
            log: Log::read(root.section("log")),
            observe: root.flag("observe", false),
        };
        gate.channels.nostr.check_people(&gate.people, notes);
        root.finish();
        gate
    }

    /// Reads nothing but `people`.
    pub(super) fn read_people(value: &Value, users: &dyn Lookup) -> Option<PeopleSeen> {
        let notes = Notes::default();
        let mut root = Section::new(Some(value), Trail::new(), &notes);
        PeopleSeen::read(root.section("people"), users, &notes)
    }

    /// The systemd unit of `agent`: its own, or the template's.
    pub fn unit_of(&self, agent: &AgentName) -> String {
        self.units.get(agent).cloned().unwrap_or_else(|| self.unit.unit(agent))
    }
}
