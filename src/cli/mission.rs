use std::path::PathBuf;

use super::World;
use super::exit::Exit;
use super::place::Place;
use crate::mission::MissionRole;
use crate::pool::{AgentName, MissionName};

mod files;
mod hand;
mod look;
mod word;

/// Missions: who takes part, what was said, how far the work is, and who hands it over
///
/// What changes a mission goes through the daemon, under the name that `people` gives you there. What is read
/// comes from the store itself where no daemon runs, for its owner and root.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lazarus-gate mission create forge --title 'The forge'
  lazarus-gate mission join forge ada write
  lazarus-gate mission checkpoint forge 'before review' --state state.json
  lazarus-gate mission handoff forge bob --note 'please go on'
  lazarus-gate mission accept h-7k3qxm
  lazarus-gate mission resume h-7k3qxm > packet.json")]
pub struct MissionArgs {
    #[command(subcommand)]
    verb: Verb,
}

/// What every one of them takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Common {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make one; you are its first lead
    Create {
        /// Its name
        mission: MissionName,
        /// What people read
        #[arg(long, value_name = "TEXT")]
        title: String,
        #[command(flatten)]
        common: Common,
    },
    /// Say who takes part, and as what; leads may
    Join {
        /// Which mission
        mission: MissionName,
        /// Who: an agent, or a person by their name there
        name: AgentName,
        /// lead, write, read or audit
        role: MissionRole,
        #[command(flatten)]
        common: Common,
    },
    /// Choose the isolation profile
    Isolation {
        /// Of which mission
        mission: MissionName,
        /// Its name
        profile: String,
        #[command(flatten)]
        common: Common,
    },
    /// List the missions
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Show one: who takes part, who does whose work, what waits
    Show {
        /// Which one
        mission: MissionName,
        #[command(flatten)]
        common: Common,
    },
    /// Publish a message; a JSON object passes as it is
    Publish {
        /// In which mission
        mission: MissionName,
        /// What it is about, in one word
        topic: String,
        /// What is said
        #[arg(required = true)]
        text: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Write down how far the work is
    Checkpoint {
        /// In which mission
        mission: MissionName,
        /// In a sentence
        #[arg(required = true)]
        summary: Vec<String>,
        /// What it takes to go on: a file with JSON, or - for standard input
        #[arg(long, value_name = "FILE")]
        state: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Hand the work over; shows what would be posted, and asks first
    Handoff {
        /// In which mission
        mission: MissionName,
        /// To whom
        recipient: AgentName,
        /// From which checkpoint on [default: the newest]
        #[arg(long, value_name = "CHECKPOINT")]
        from: Option<String>,
        /// What the recipient should know
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Post it without asking
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Post a handoff that you were shown
    Post {
        /// Its id
        handoff: String,
        #[command(flatten)]
        common: Common,
    },
    /// Do not post it
    Cancel {
        /// Its id
        handoff: String,
        #[command(flatten)]
        common: Common,
    },
    /// Take over what you were offered
    Accept {
        /// Its id, or MISSION/ID
        handoff: String,
        #[command(flatten)]
        common: Common,
    },
    /// Do not
    Decline {
        /// Its id, or MISSION/ID
        handoff: String,
        /// Why not
        #[arg(required = true)]
        reason: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Print the packet to go on with, as JSON
    Resume {
        /// Its id, or MISSION/ID
        handoff: String,
        #[command(flatten)]
        common: Common,
    },
    /// Show the newest events
    Log {
        /// Of which mission
        mission: MissionName,
        /// So many
        #[arg(default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=500))]
        events: u32,
        /// Only events before the one of this number
        #[arg(long, value_name = "N")]
        before: Option<i64>,
        #[command(flatten)]
        common: Common,
    },
    /// Show what was refused there lately; that takes `audit`
    Refusals {
        /// In which mission
        mission: MissionName,
        /// So many
        #[arg(default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=500))]
        count: u32,
        #[command(flatten)]
        common: Common,
    },
    /// Read the whole stream, and tell whether anything was changed, removed or moved
    ///
    /// Leaves with 1 if something was, and names the first event that is wrong.
    Verify {
        /// Of which mission
        mission: MissionName,
        #[command(flatten)]
        common: Common,
    },
    /// Write a mission to a file in the reference's form, or to standard output (-); as the store's owner or root
    Export {
        /// Which one
        mission: MissionName,
        /// The new file; an existing one is never overwritten
        to: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Take a mission over from a file in the reference's form
    Import {
        /// The file, or - for standard input
        from: PathBuf,
        #[command(flatten)]
        common: Common,
    },
}

impl MissionArgs {
    pub(super) fn before(&mut self, before: &Place) {
        let common = self.verb.common();
        common.place = common.place.or(before);
    }
}

impl Verb {
    fn common(&mut self) -> &mut Common {
        match self {
            Self::Create { common, .. }
            | Self::Join { common, .. }
            | Self::Isolation { common, .. }
            | Self::List { common }
            | Self::Show { common, .. }
            | Self::Publish { common, .. }
            | Self::Checkpoint { common, .. }
            | Self::Handoff { common, .. }
            | Self::Post { common, .. }
            | Self::Cancel { common, .. }
            | Self::Accept { common, .. }
            | Self::Decline { common, .. }
            | Self::Resume { common, .. }
            | Self::Log { common, .. }
            | Self::Refusals { common, .. }
            | Self::Verify { common, .. }
            | Self::Export { common, .. }
            | Self::Import { common, .. } => common,
        }
    }
}

/// Does it.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &MissionArgs) -> anyhow::Result<Exit> {
    let say = |common: &Common, line: String| word::say(world, common, &line, None);
    match &args.verb {
        Verb::Create { mission, title, common } => say(common, format!("newmission {mission} {title}")),
        Verb::Join { mission, name, role, common } => say(common, format!("join {mission} {name} {role}")),
        Verb::Isolation { mission, profile, common } => say(common, format!("isolation {mission} {profile}")),
        Verb::Publish { mission, topic, text, common } => {
            say(common, format!("publish {mission} {topic} {}", text.join(" ")))
        }
        Verb::Checkpoint { mission, summary, state, common } => {
            let state = state.as_deref().map(files::state).transpose()?;
            word::say(world, common, &format!("checkpoint {mission} {}", summary.join(" ")), state)
        }
        Verb::Handoff { mission, recipient, from, note, yes, common } => {
            // Said with the word, so that the first of the note is taken for no checkpoint.
            let from = from.as_deref().unwrap_or("last");
            let line = format!("handoff {mission} {recipient} {from} {}", note.as_deref().unwrap_or_default());
            hand::over(world, common, line.trim_end(), *yes)
        }
        Verb::Post { handoff, common } => say(common, format!("post {handoff}")),
        Verb::Cancel { handoff, common } => say(common, format!("cancel {handoff}")),
        Verb::Accept { handoff, common } => say(common, format!("accept {handoff}")),
        Verb::Decline { handoff, reason, common } => say(common, format!("decline {handoff} {}", reason.join(" "))),
        Verb::List { common } => look::list(world, common),
        Verb::Show { mission, common } => look::show(world, common, mission),
        Verb::Log { mission, events, before, common } => look::log(world, common, mission, (*before, *events)),
        Verb::Resume { handoff, common } => look::resume(world, common, handoff),
        Verb::Refusals { mission, count, common } => look::refusals(world, common, mission, *count),
        Verb::Verify { mission, common } => look::verify(world, common, mission),
        Verb::Export { mission, to, common } => files::export(world, common, mission, to),
        Verb::Import { from, common } => files::import(world, common, from),
    }
}
