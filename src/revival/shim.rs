//! The shim: a process between the daemon and a command that outlives the daemon.
//!
//! `lazarus-gate shim RUN_FILE` takes the run's lock, makes its mark, runs the command and adds the outcome; the
//! order of these and their fsyncs is what "exactly once" rests on. It is one thread without a runtime, and does
//! nothing before the command's start that it need not do: each millisecond here is one between a person's tap and
//! the command. For the same reason it is also a program of its own, `lazarus-gate-shim`: the system needs a
//! millisecond more to start the whole of `lazarus-gate`.
//!
//! With several run files it does the same for each, in a thread of its own: to start a process costs more than all
//! that a shim does. No run has to do with another, whatever becomes of it; only the death of the process is that
//! of all of them.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGTERM};

use super::command::{self, Command, Leftover};
use super::error::RevivalError;
use super::held::{Held, Opened};
use super::outcome::{End, Outcome};
use super::output::CapturedOutput;
use super::run_file::open_packet;
use super::side_by_side::{of_a_run, side_by_side};
use super::spec::Spec;
use super::telling::{OfRun, Telling};
use super::text::{STARTED, Text, Told};
use crate::pool::Timestamp;

/// Runs the shim; `args` are those after `shim`. Leaves with 0 when all outcomes were written, 2 when called wrongly, and
/// else with another number; the daemon goes by the run files and not by this.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let paths: Vec<PathBuf> = args.map(PathBuf::from).collect();
    let Some((first, others)) = paths.split_first() else {
        let usage = "usage: lazarus-gate shim RUN_FILE... (the daemon calls it; people need not)";
        let _ = writeln!(io::stderr(), "{usage}");
        return ExitCode::from(2);
    };
    let all_written = match outlive_the_daemon() {
        Ok(()) => carry_all(first, others),
        Err(e) => complain(&e),
    };
    if all_written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Asks the shim's own program for [`CONTRACT`].
pub(super) const CONTRACT_FLAG: &str = "--contract";

/// What daemon and shim have to agree on, as a number: the sources of both sides of a run file. Two programs of the
/// same number were built from the same ones.
pub(super) const CONTRACT: u64 = contract();

const fn contract() -> u64 {
    let sources: [&[u8]; 13] = [
        env!("CARGO_PKG_VERSION").as_bytes(),
        include_bytes!("shim.rs"),
        include_bytes!("side_by_side.rs"),
        include_bytes!("telling.rs"),
        include_bytes!("queue.rs"),
        include_bytes!("run_file.rs"),
        include_bytes!("spec.rs"),
        include_bytes!("text.rs"),
        include_bytes!("held.rs"),
        include_bytes!("command.rs"),
        include_bytes!("output.rs"),
        include_bytes!("outcome.rs"),
        include_bytes!("settle.rs"),
    ];
    // FNV-1a: it tells builds apart, and nobody is to be kept from forging it.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325 ^ cfg!(feature = "failpoints") as u64;
    let mut source = 0;
    while source < sources.len() {
        let mut at = 0;
        while at < sources[source].len() {
            hash = (hash ^ sources[source][at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        source += 1;
    }
    hash
}

/// As [`main`], for the shim's own program; `args` are all of them.
pub fn main_alone(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    match args.next() {
        Some(verb) if verb == "shim" => main(args),
        Some(flag) if flag == CONTRACT_FLAG => match writeln!(io::stdout(), "{CONTRACT:016x}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        _ => main(std::iter::empty()),
    }
}

/// Carries out the run at `first` in this thread, and each of the others in one of its own; whether all outcomes were
/// written.
fn carry_all(first: &Path, others: &[PathBuf]) -> bool {
    let telling = Telling::of(1 + others.len());
    let first = (first, telling.of_run(0));
    let others = (1..).zip(others).map(|(place, path)| (path.as_path(), telling.of_run(place))).collect();
    // Without a thread the run is told of all the same, by the drop of what it would have been told by. So it is after a
    // panic, which is a death of that one run: without an outcome, and the lock is free.
    let refuse = |e| {
        complain(&RevivalError::setup("start a thread for a run")(e));
    };
    side_by_side(first, others, |(path, of_run)| carry(path, of_run), of_a_run, refuse)
}

/// Carries out one run, tells of its end, and stays while its command's descendants hold its output; whether the
/// outcome was written.
fn carry(path: &Path, of_run: OfRun<'_>) -> bool {
    let (written, leftover) = match run(path) {
        Ok(Carried { written, leftover }) => (written, leftover),
        Err(e) => (Err(e), None),
    };
    // The lock is free by now.
    drop(of_run);
    if let Some(leftover) = leftover {
        leftover.drain();
    }
    written.map_or_else(|e| complain(&e), |()| true)
}

/// Says what went wrong to a person who calls this by hand. Under the daemon it goes nowhere: the file tells how far
/// the run came.
fn complain(error: &RevivalError) -> bool {
    let _ = writeln!(io::stderr(), "lazarus-gate shim: failed to {}", told(error));
    false
}

/// A run whose command was started, or could not be.
struct Carried {
    /// Whether there is an outcome.
    written: Result<(), RevivalError>,
    leftover: Option<Leftover>,
}

fn run(path: &Path) -> Result<Carried, RevivalError> {
    let bell = command::ChildBell::hang()?;
    let held = match Held::open(path)? {
        Opened::Held(held) => held,
        Opened::Busy => return Err(RevivalError::StillRunning(path.to_owned())),
        Opened::Gone => return Err(RevivalError::Gone(path.to_owned())),
    };
    let text = held.read()?;
    match text.told() {
        Told::Nothing => {}
        Told::NeverStarted | Told::Started | Told::Ended(_) | Told::Unreadable { .. } => {
            return Err(RevivalError::AlreadyMarked(path.to_owned()));
        }
    }
    // From here on nobody else can start this run, and nobody may think that it never started.
    fail_point!("shim.before_mark");
    held.mark(&text, STARTED)?;
    fail_point!("shim.in_mark");
    held.keep_mark(&text)?;
    fail_point!("shim.after_mark");
    let started = now();
    let (end, stdout, stderr, leftover) = match start(path, &text) {
        Ok(command) => {
            fail_point!("shim.after_exec");
            let ended = command.watch(bell);
            (ended.end, ended.stdout, ended.stderr, Some(ended.leftover))
        }
        Err(error) => (End::CouldNotStart { error }, CapturedOutput::default(), CapturedOutput::default(), None),
    };
    fail_point!("shim.before_outcome");
    let written = add(&Outcome { end, stdout, stderr, started, ended: now() }, &held, path);
    fail_point!("shim.after_outcome");
    held.unlock()?;
    Ok(Carried { written, leftover })
}

/// Adds the outcome, durably. Should only a part of it get there, that has no end, and counts for nothing.
fn add(outcome: &Outcome, held: &Held, path: &Path) -> Result<(), RevivalError> {
    let line = outcome.line().map_err(|e| RevivalError::Unreadable { path: path.to_owned(), why: e.to_string() })?;
    held.append("write the outcome to", &line)?;
    fail_point!("outcome.written");
    held.make_durable("make the outcome durable in")
}

/// The daemon's end, a terminal that closes, a `systemctl stop`: none of them ends the command. The signals get
/// handlers that do nothing, since *ignored* would be inherited by the command, and a handler is not.
fn outlive_the_daemon() -> Result<(), RevivalError> {
    for signal in [SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .map_err(RevivalError::setup("set up the shim's signals"))?;
    }
    Ok(())
}

/// Starts the command of the run at `path`, which says `text`; or says why that could not be.
fn start(path: &Path, text: &Text) -> Result<Command, String> {
    let spec = Spec::read(text.spec()).map_err(|why| {
        let path = path.to_owned();
        told(&RevivalError::Unreadable { path, why })
    })?;
    let packet = if spec.has_packet { Some(open_packet(path).map_err(|e| told(&e))?) } else { None };
    if let Some(descriptors) = spec.descriptors {
        limit_descriptors(descriptors);
    }
    fail_point!("shim.before_exec");
    Command::start(&spec, packet).map_err(|e| e.to_string())
}

/// The command inherits the shim's limits, and the shim the daemon's, which raised its own to probe a large fleet.
/// Programs that close every possible descriptor, or use `select`, do badly with such a limit. It is one for the whole
/// process: runs that share it have the same in their specs.
fn limit_descriptors(soft: u64) {
    let hard = getrlimit(Resource::Nofile).maximum;
    let soft = hard.map_or(soft, |hard| soft.min(hard));
    // Lowering the soft limit is everybody's right; should it fail all the same, the command still starts.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum: hard });
}

/// An error with its causes, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

#[expect(clippy::disallowed_methods, reason = "the shim is a process of its own; nobody could hand it the time")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
