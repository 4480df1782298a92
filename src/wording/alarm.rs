use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::notice::{Notice, Urgency};
use super::phrase::{capital, count, told_reason};
use super::plain::{REASON_MAX, SHORT_MAX, harmless, list};
use super::time::human;
use crate::approval::{InputId, PersonId};
use crate::incident::ExecutionId;
use crate::pool::{AgentName, MissionName};

/// What is wrong with the gateway itself, or new about it. Each is journaled under its
/// [`word`](Alarm::word), told on every channel, and has its place in `docs/operations.md`. Kept on
/// disk: add variants and optional fields, change none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "alarm")]
pub enum Alarm {
    /// An input could not be worked off three times.
    InputSetAside {
        /// Which.
        id: InputId,
        /// What went wrong the last time.
        why: String,
    },
    /// Agents have had no answer for longer than their timeout.
    UnknownTooLong {
        /// Why there is none.
        cause: String,
        /// How many agents.
        agents: u32,
    },
    /// A command should have ended long ago, and its shim still lives.
    UnsettledRun {
        /// Whom it touches.
        agent: AgentName,
        /// Which execution.
        execution: ExecutionId,
    },
    /// The new configuration is not taken; the old one stays in force.
    ReloadFailed {
        /// The first problem.
        problem: String,
        /// How many there are in all.
        problems: u32,
    },
    /// Nobody may decide for a mission.
    MissionWithoutApprovers {
        /// Which.
        mission: MissionName,
    },
    /// A person's word does not count any more.
    PersonRevoked {
        /// Whose.
        person: PersonId,
        /// Who said so; none: the person was taken out of `people`.
        by: Option<String>,
    },
    /// Executions are on hold.
    Held {
        /// Who said so.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// They are no longer.
    Released {
        /// Who said so.
        by: String,
    },
    /// The store is a restored backup.
    RestoredBackup {
        /// Requests that were withdrawn, to be asked anew.
        withdrawn: u32,
        /// Executions that were called off.
        called_off: u32,
    },
    /// A channel is stopped until somebody mends it.
    ChannelStopped {
        /// Its key in the configuration.
        channel: String,
        /// Why.
        why: String,
    },
    /// A chat cannot be written to any more.
    ChatLost {
        /// Which, as far as it has a name.
        chat: String,
        /// Why.
        why: String,
    },
    /// A group has another id now.
    ChatMoved {
        /// Which, as far as it has a name.
        chat: String,
        /// Its id now.
        to: i64,
    },
    /// The wall clock jumped.
    ClockJumped {
        /// By so many milliseconds; negative: back.
        by_ms: i64,
    },
    /// The sweeps do not keep their schedule.
    SweepLate {
        /// By how much.
        by: Duration,
    },
    /// Fewer probes at once than configured.
    DescriptorsCapped {
        /// How many.
        slots: u32,
    },
    /// A channel delivers nothing, or takes nothing in.
    ChannelDown {
        /// Which.
        channel: String,
        /// Why.
        why: String,
    },
    /// An agent is back whose work another has taken over.
    OriginalReturned {
        /// Who is back.
        agent: AgentName,
        /// Who has its work.
        by: AgentName,
        /// In which mission.
        mission: MissionName,
    },
    /// An import was cut off; what there was of the mission is taken away.
    ImportCut {
        /// Which.
        mission: MissionName,
    },
    /// The door for agents cannot be opened.
    AgentsShut {
        /// At which address.
        at: String,
        /// Why.
        why: String,
    },
    /// A new configuration is in force.
    NewConfig {
        /// What changed.
        changes: Vec<String>,
    },
    /// The daemon is at work.
    DaemonStarted {
        /// It only observes.
        observing: bool,
    },
    /// The store is slow, full, or cannot be written.
    StorePressure {
        /// What is wrong.
        why: String,
    },
    /// A step that would have broken a promise was not stored.
    BrokenPromise {
        /// Whose case.
        agent: AgentName,
        /// What must never be.
        what: String,
    },
}

/// How many changes of a configuration are named.
const CHANGES_MAX: usize = 10;

impl Alarm {
    /// Its stable name, in the journal and in `docs/operations.md`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::InputSetAside { .. } => "input_set_aside",
            Self::UnknownTooLong { .. } => "unknown_too_long",
            Self::UnsettledRun { .. } => "unsettled_run",
            Self::ReloadFailed { .. } => "reload_failed",
            Self::MissionWithoutApprovers { .. } => "mission_without_approvers",
            Self::PersonRevoked { .. } => "person_revoked",
            Self::Held { .. } => "held",
            Self::Released { .. } => "released",
            Self::RestoredBackup { .. } => "restored_backup",
            Self::ClockJumped { .. } => "clock_jumped",
            Self::SweepLate { .. } => "sweep_late",
            Self::DescriptorsCapped { .. } => "descriptors_capped",
            Self::ChannelDown { .. } => "channel_down",
            Self::ChannelStopped { .. } => "channel_stopped",
            Self::ChatLost { .. } => "chat_lost",
            Self::ChatMoved { .. } => "chat_moved",
            Self::OriginalReturned { .. } => "original_returned",
            Self::ImportCut { .. } => "import_cut",
            Self::AgentsShut { .. } => "agents_shut",
            Self::NewConfig { .. } => "new_config",
            Self::DaemonStarted { .. } => "daemon_started",
            Self::StorePressure { .. } => "store_pressure",
            Self::BrokenPromise { .. } => "broken_promise",
        }
    }

    /// How much it wants of its reader: some of these are only news.
    pub fn urgency(&self) -> Urgency {
        match self {
            Self::InputSetAside { .. }
            | Self::UnknownTooLong { .. }
            | Self::UnsettledRun { .. }
            | Self::ReloadFailed { .. }
            | Self::MissionWithoutApprovers { .. }
            | Self::RestoredBackup { .. }
            | Self::ClockJumped { .. }
            | Self::SweepLate { .. }
            | Self::DescriptorsCapped { .. }
            | Self::ChannelDown { .. }
            | Self::ChannelStopped { .. }
            | Self::ChatLost { .. }
            | Self::ImportCut { .. }
            | Self::AgentsShut { .. }
            | Self::StorePressure { .. }
            | Self::BrokenPromise { .. } => Urgency::Alarm,
            Self::OriginalReturned { .. } => Urgency::Decision,
            Self::ChatMoved { .. } | Self::PersonRevoked { .. } | Self::Held { .. } | Self::Released { .. } => {
                Urgency::Decision
            }
            Self::NewConfig { .. } | Self::DaemonStarted { .. } => Urgency::Progress,
        }
    }

    /// What happened, to what, why, and (in a second line) what to do.
    pub fn text(&self) -> String {
        let (what, to_do) = match self {
            Self::InputSetAside { id, why } => (
                format!("the input {} could not be worked off three times: {}", short(&id.0), long(why)),
                format!("its sender is told; nothing was done. Then: `inbox retry {}`.", short(&id.0)),
            ),
            Self::UnknownTooLong { cause, agents } => (
                format!(
                    "no answer on {} for longer than the timeout: {}",
                    count((*agents).into(), "agent"),
                    long(cause)
                ),
                "nothing is done for an agent without an answer. Look at this machine and its network first.".into(),
            ),
            Self::UnsettledRun { agent, execution } => (
                format!("the command for {agent} should have ended long ago (execution {})", short(&execution.0)),
                format!(
                    "{agent} stays blocked until it ends. Find it with `ps -ef`, as the child of its `shim`, and end it, \
                     not the shim: others may share it."
                ),
            ),
            Self::ReloadFailed { problem, problems } => (
                format!(
                    "the new configuration is not taken ({}); the first: {}",
                    count((*problems).into(), "problem"),
                    long(problem)
                ),
                "the old one stays in force, but for people who were taken out. `check` prints all problems.".into(),
            ),
            Self::MissionWithoutApprovers { mission } => (
                format!("nobody may decide for the mission '{mission}'"),
                "its requests stay pending. Name somebody who `approves` it in `people`.".into(),
            ),
            Self::PersonRevoked { person, by: Some(by) } => (
                format!("{person} was revoked by {}", short(by)),
                format!("what {person} approved and has not begun does not run. Take {person} out of `people`, too."),
            ),
            Self::PersonRevoked { person, by: None } => (
                format!("{person} is out of `people`"),
                format!("what {person} approved and has not begun does not run."),
            ),
            Self::Held { by, reason } => (
                format!("executions are on hold, said {}{}", short(by), told_reason(reason.as_ref())),
                "nothing is begun until somebody says `release`; what had begun goes on.".into(),
            ),
            Self::Released { by } => {
                (format!("the hold is over, said {}", short(by)), "what waited is planned and checked anew.".into())
            }
            Self::RestoredBackup { withdrawn, called_off } => (
                format!(
                    "the store is a restored backup: {} withdrawn, {} called off",
                    count((*withdrawn).into(), "request"),
                    count((*called_off).into(), "execution")
                ),
                "what is still dead is asked about anew, under new keys. Answers given after the backup are lost."
                    .into(),
            ),
            Self::ClockJumped { by_ms } => (
                format!(
                    "this machine's clock jumped {} by {}",
                    if *by_ms < 0 { "back" } else { "ahead" },
                    human(Duration::from_millis(by_ms.unsigned_abs()))
                ),
                "the watch over every agent begins anew, deadlines keep the time they had. Look at its time service."
                    .into(),
            ),
            Self::SweepLate { by } => (
                format!("the probes are {} behind their schedule", human(*by)),
                "deaths are noticed later. Is this machine overloaded, or `interval` too short for the fleet?".into(),
            ),
            Self::DescriptorsCapped { slots } => (
                format!("only {} at once: too few file descriptors for more", count((*slots).into(), "probe")),
                "sweeps take longer. Raise the limit (`LimitNOFILE=` in the unit, `ulimit -n`).".into(),
            ),
            Self::ChannelDown { channel, why } => (
                format!("the channel {} is down: {}", short(channel), long(why)),
                "people there are not reached. The other channels go on; `status` shows when it is back.".into(),
            ),
            Self::ChannelStopped { channel, why } => (
                format!("the channel {} is stopped: {}", short(channel), long(why)),
                "nobody is asked or heard there until that is mended; then load the files anew (SIGHUP) or restart. \
                 The other channels go on."
                    .into(),
            ),
            Self::ChatLost { chat, why } => (
                format!("the Telegram chat {} cannot be written to: {}", short(chat), long(why)),
                "people there are not asked. Add the bot again (and let it write), or name another chat.".into(),
            ),
            Self::ChatMoved { chat, to } => (
                format!("the Telegram group {} has become a supergroup with the id {to}", short(chat)),
                "it is written to there from now on; put the new id into the configuration, too.".into(),
            ),
            Self::OriginalReturned { agent, by, mission } => (
                format!("{agent} is back, and {by} has its work on the mission '{mission}'"),
                format!("hand it back? `handback {agent}` offers it to {agent}; else {by} keeps it."),
            ),
            Self::AgentsShut { at, why } => (
                format!("the door for agents at {} cannot be opened: {}", short(at), long(why)),
                "agents cannot come in until it is; it is tried again and again. Everything else goes on.".into(),
            ),
            Self::ImportCut { mission } => (
                format!("the import of the mission '{mission}' was cut off, and what there was of it is taken away"),
                format!("there is no mission '{mission}'. Import it once more."),
            ),
            Self::NewConfig { changes } => (
                format!("a new configuration is in force: {}", changed(changes)),
                "open incidents are planned anew under it.".into(),
            ),
            Self::DaemonStarted { observing: false } => {
                ("the gateway has started".into(), "`status` shows what it watches.".into())
            }
            Self::DaemonStarted { observing: true } => (
                "the gateway has started, OBSERVING ONLY".into(),
                "it asks and tells, and runs nothing. Start it without --observe to let it act.".into(),
            ),
            Self::StorePressure { why } => (
                format!("the store is in trouble: {}", long(why)),
                "answers may wait, and nothing runs that was not recorded. Look at its disk; `doctor` tells more."
                    .into(),
            ),
            Self::BrokenPromise { agent, what } => (
                format!("a step for {agent} would have broken a promise, and was not taken: {}", long(what)),
                "this is a defect of the gateway: report it, with `journal` and `explain`. Others go on.".into(),
            ),
        };
        format!("[{}] {what}.\n{}", self.word(), capital(&to_do))
    }

    /// The text with its urgency.
    pub fn notice(&self) -> Notice {
        Notice { text: self.text(), urgency: self.urgency() }
    }
}

fn short(text: &str) -> String {
    harmless(text, SHORT_MAX)
}

fn long(text: &str) -> String {
    harmless(text, REASON_MAX)
}

fn changed(changes: &[String]) -> String {
    let named = list(changes.iter().take(CHANGES_MAX).map(|change| short(change)), "nothing that matters");
    match changes.len().saturating_sub(CHANGES_MAX) {
        0 => named,
        more => format!("{named} … ({more} more)"),
    }
}
