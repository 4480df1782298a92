//! The shim: a process between the daemon and a command that outlives the daemon.
//!
//! `lazarus-gate shim RUN_FILE` takes the run's lock, makes its mark, runs the command and adds the outcome; the
//! order of these and their fsyncs is what "exactly once" rests on. It is one thread without a runtime, and does
//! nothing before the command's start that it need not do: each millisecond here is one between a person's tap and
//! the command. For the same reason it is also a program of its own, `lazarus-gate-shim`: the system needs a
//! millisecond more to start the whole of `lazarus-gate`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGTERM};

use super::command::{self, Command};
use super::error::RevivalError;
use super::held::{Held, Opened};
use super::outcome::{End, Outcome};
use super::output::CapturedOutput;
use super::run_file::open_packet;
use super::spec::Spec;
use super::text::{STARTED, Text, Told};
use crate::pool::Timestamp;

/// Runs the shim; `args` are those after `shim`. Leaves with 0 when the outcome was written, 1 when not, 2 when called
/// wrongly; the daemon goes by the run file and not by this.
pub fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(path), None) = (args.next(), args.next()) else {
        let _ = writeln!(io::stderr(), "usage: lazarus-gate shim RUN_FILE (the daemon calls it; people need not)");
        return ExitCode::from(2);
    };
    match run(Path::new(&path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // For a person who calls this by hand. Under the daemon it goes nowhere: the file tells how far this came.
            let _ = writeln!(io::stderr(), "lazarus-gate shim: failed to {}", told(&e));
            ExitCode::FAILURE
        }
    }
}

/// Asks the shim's own program for [`CONTRACT`].
pub(super) const CONTRACT_FLAG: &str = "--contract";

/// What daemon and shim have to agree on, as a number: the sources of both sides of a run file. Two programs of the
/// same number were built from the same ones.
pub(super) const CONTRACT: u64 = contract();

const fn contract() -> u64 {
    let sources: [&[u8]; 10] = [
        env!("CARGO_PKG_VERSION").as_bytes(),
        include_bytes!("shim.rs"),
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

fn run(path: &Path) -> Result<(), RevivalError> {
    outlive_the_daemon()?;
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
    if let Some(leftover) = leftover {
        tell_the_daemon()?;
        leftover.drain();
    }
    written
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
/// Programs that close every possible descriptor, or use `select`, do badly with such a limit.
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

/// Lets go of standard output, at whose other end the daemon waits for the end of the run.
fn tell_the_daemon() -> Result<(), RevivalError> {
    let doing = "tell the daemon that the run has ended";
    let nowhere = File::options().write(true).open("/dev/null").map_err(RevivalError::setup(doing))?;
    rustix::stdio::dup2_stdout(&nowhere).map_err(RevivalError::setup(doing))
}

#[expect(clippy::disallowed_methods, reason = "the shim is a process of its own; nobody could hand it the time")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
