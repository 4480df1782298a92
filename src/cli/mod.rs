//! The command line: one file per subcommand, thin.
//!
//! What changes something is one line of the grammar, sent to the daemon (`say`); what is read comes
//! from the daemon, or from the store itself where none runs (`read`). No rule lives here: the daemon
//! knows the caller by the uid that the kernel tells, and its answer is printed as it is.

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::Parser as _;

mod ambient;
mod exit;
mod out;
mod place;
mod read;
mod say;

mod agent;
mod approve;
mod ask;
mod backup;
mod by_nostr;
pub mod check;
mod completions;
mod deny;
mod doctor;
mod drill;
pub mod example_agent;
mod explain;
mod handback;
mod history;
mod hold;
mod inbox;
pub mod init;
mod journal;
mod keys;
mod man;
mod mission;
mod pending;
pub mod plan;
mod plan_world;
mod quickstart;
mod release;
mod revoke;
mod run;
mod show;
mod snooze;
mod status;
mod substitute;
mod whoami;

#[cfg(test)]
mod tests;

pub use ambient::Ambient;
pub use exit::Exit;
pub use place::{ConfigAt, Place};

use crate::approval::{ApprovalKey, Code, Target};

/// Watches a fleet of agents, asks a human before it revives the dead, and verifies that they live
///
/// `run` is the daemon; everything else talks to it over a socket of this machine, and who you are is
/// your user id. Start with `quickstart`, then `init`, `check` and `run --observe`.
#[derive(Debug, clap::Parser)]
#[command(name = "lazarus-gate", version, after_help = exit::HELP, after_long_help = LONG_HELP, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Verb,
}

const LONG_HELP: &str = "\
Examples:
  lazarus-gate pending                     what is asked
  lazarus-gate show 7K3QXM                 one request, with the answers it takes
  lazarus-gate approve 7K3QXM              restart the agent
  lazarus-gate deny 7K3QXM being moved     leave it dead
  lazarus-gate explain ezra                why it is, or is not, acted on
  lazarus-gate status --json               everything, for programs

Wherever a CODE is taken, the whole key (AGENT:MISSION:SECONDS) is taken too.

Exit codes:
  0  done, or under way now
  1  failed; what was written says why
  2  wrong usage, or a command that was not understood; nothing was sent
  3  understood and refused
  4  there is no such request, agent, person or input
  5  no daemon answers, and the command needs one
  6  the connection was cut: unknown whether it was received, or what became of it
  7  it could not be worked off and was set aside; see `lazarus-gate inbox list`
  8  nobody answered a drill in time";

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Run(run::RunArgs),
    Quickstart(quickstart::QuickstartArgs),
    #[command(hide = true)]
    ExampleAgent(example_agent::ExampleAgentArgs),
    Pending(pending::PendingArgs),
    Show(show::ShowArgs),
    Approve(approve::ApproveArgs),
    Deny(deny::DenyArgs),
    Substitute(substitute::SubstituteArgs),
    Snooze(snooze::SnoozeArgs),
    Ask(ask::AskArgs),
    Drill(drill::DrillArgs),
    Status(status::StatusArgs),
    History(history::HistoryArgs),
    Explain(explain::ExplainArgs),
    Journal(journal::JournalArgs),
    Mission(mission::MissionArgs),
    Hold(hold::HoldArgs),
    Release(release::ReleaseArgs),
    Revoke(revoke::RevokeArgs),
    Agent(agent::AgentArgs),
    Handback(handback::HandbackArgs),
    Inbox(inbox::InboxArgs),
    Whoami(whoami::WhoamiArgs),
    Plan {
        #[command(flatten)]
        at: ConfigAt,
        #[command(flatten)]
        args: plan::PlanArgs,
    },
    Check {
        #[command(flatten)]
        at: ConfigAt,
        #[command(flatten)]
        args: check::CheckArgs,
    },
    Init(init::InitArgs),
    Keys(keys::KeysArgs),
    Backup(backup::BackupArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// What every command gets.
#[derive(Clone, Debug)]
pub struct World {
    /// Its surroundings.
    pub ambient: Ambient,
}

/// Does what the arguments (the program's name first) say, and tells how that ended.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let world = World { ambient: Ambient::of_this_process() };
    // One TLS provider for the whole program; that there is one already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version are no errors; that nobody reads them is none either.
            let _ = told.print();
            return if told.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    match run(&world, cli) {
        Ok(code) => code,
        Err(error) => {
            out::aside(&format!("error: {error:#}"));
            Exit::of(&error).into()
        }
    }
}

fn run(world: &World, cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { place: before, verb } = cli;
    /// What stands before the subcommand counts where nothing stands after it.
    macro_rules! placed {
        ($verb:ident, $args:ident) => {{
            let mut args = $args;
            args.place = args.place.or(&before);
            $verb::run(world, &args)?.into()
        }};
    }
    Ok(match verb {
        Verb::Run(mut args) => {
            args.place = args.place.or(&before);
            run::run(world, &args)?
        }
        Verb::Quickstart(args) => quickstart::run(&args)?,
        Verb::ExampleAgent(args) => example_agent::run(&args)?,
        Verb::Plan { at, args } => plan_world::run(world, &Place::from(at).or(&before), &args)?,
        Verb::Pending(args) => placed!(pending, args),
        Verb::Show(args) => placed!(show, args),
        Verb::Approve(args) => placed!(approve, args),
        Verb::Deny(args) => placed!(deny, args),
        Verb::Substitute(args) => placed!(substitute, args),
        Verb::Snooze(args) => placed!(snooze, args),
        Verb::Ask(args) => placed!(ask, args),
        Verb::Handback(args) => placed!(handback, args),
        Verb::Drill(args) => placed!(drill, args),
        Verb::Status(args) => placed!(status, args),
        Verb::History(args) => placed!(history, args),
        Verb::Explain(args) => placed!(explain, args),
        Verb::Hold(args) => placed!(hold, args),
        Verb::Release(args) => placed!(release, args),
        Verb::Revoke(args) => placed!(revoke, args),
        Verb::Whoami(args) => placed!(whoami, args),
        Verb::Backup(args) => placed!(backup, args),
        Verb::Doctor(args) => placed!(doctor, args),
        Verb::Journal(mut args) => {
            args.before(&before);
            journal::run(world, &args)?.into()
        }
        Verb::Mission(mut args) => {
            args.before(&before);
            mission::run(world, &args)?.into()
        }
        Verb::Agent(mut args) => {
            args.before(&before);
            agent::run(world, &args)?.into()
        }
        Verb::Keys(mut args) => {
            args.before(&before);
            keys::run(world, &args)?.into()
        }
        Verb::Inbox(mut args) => {
            args.before(&before);
            inbox::run(world, &args)?.into()
        }
        Verb::Check { at, mut args } => {
            args.config = at.path(&before, &world.ambient).unwrap_or_else(|| check::DEFAULT_CONFIG.into());
            check::run(&args)?
        }
        Verb::Init(args) => init::run(world, args)?,
        Verb::Completions(args) => completions::run(&args)?.into(),
        Verb::Man(args) => man::run(&args)?.into(),
    })
}

/// Runs a command's IO to its end; one thread is enough for it.
fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}

/// Reads a code or a whole key, as an argument.
fn target(text: &str) -> Result<Target, String> {
    match (ApprovalKey::parse(text), Code::parse(text)) {
        (Ok(key), _) => Ok(Target::Key(key)),
        (Err(_), Ok(code)) => Ok(Target::Code(code)),
        (Err(_), Err(error)) => Err(error.to_string()),
    }
}
