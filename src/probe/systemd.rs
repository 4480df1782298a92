//! The service signal: `systemctl show`, 200 units a call, as an argument vector and without a shell.
//!
//! One deadline covers **all** calls of one question: 10,000 units are 50 calls, and a systemd that hangs must not
//! cost 50 times the deadline. A call that is late is ended with its whole process group. If systemd stops
//! at a unit (it does so at a name that it refuses), the call is repeated behind that unit, so one bad
//! unit hides no others; after [`EMPTY_MAX`] calls in a row without any answer nobody is taken to be there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

use super::answer::{UnitAnswer, UnitSilence};
use super::fault;
use super::units::{Block, PROPERTIES, full_name, parse};

/// Units in one call: about 100 KiB of output, and far below the bound on arguments.
pub(super) const UNITS_MAX: usize = 200;
/// Calls at a time. systemd answers them one after the other anyway.
const CALLS_MAX: usize = 4;
/// Output that is read: what is longer is not ours.
const OUTPUT_MAX: u64 = 1 << 20;
/// Calls in a row that may end without a word about any unit.
const EMPTY_MAX: usize = 3;

/// How systemd is asked.
#[derive(Clone, Debug)]
pub struct SystemdSettings {
    /// The program; a bare name is looked for in the usual system folders, not in our `PATH`.
    pub program: PathBuf,
    /// For all units of one question together.
    pub deadline: Duration,
}

impl Default for SystemdSettings {
    fn default() -> Self {
        Self { program: PathBuf::from("systemctl"), deadline: Duration::from_secs(10) }
    }
}

/// Whether a service manager runs below `root` (`/` in earnest): systemd's own test, `sd_booted`.
/// Where there is none, the service signal does not exist.
pub fn has_service_manager(root: &Path) -> bool {
    root.join("run/systemd/system").symlink_metadata().is_ok_and(|found| found.is_dir())
}

/// One call under way: the names it asks for, and their answers.
type ChunkCall<'a> = BoxFuture<'a, (&'a [&'a str], Vec<UnitAnswer>)>;

/// Asks systemd about units.
#[derive(Clone, Debug)]
pub struct Systemd {
    settings: SystemdSettings,
}

impl Systemd {
    /// Starts nothing yet.
    pub fn new(settings: SystemdSettings) -> Self {
        Self { settings }
    }

    /// The deadline of the settings.
    pub fn deadline(&self) -> Duration {
        self.settings.deadline
    }

    /// What systemd says of these units: an answer for each name as it was asked for, whatever happens.
    pub async fn units(&self, units: &[String]) -> BTreeMap<String, UnitAnswer> {
        let deadline = self.settings.deadline;
        self.units_until(units, Instant::now() + deadline, deadline).await
    }

    /// As [`units`](Self::units), until `until`, which is the end of `deadline`.
    pub(super) async fn units_until(
        &self,
        units: &[String],
        until: Instant,
        deadline: Duration,
    ) -> BTreeMap<String, UnitAnswer> {
        // Several names may mean one unit (`x` and `x.service`): it is asked about once.
        let mut asked: BTreeMap<String, Vec<&String>> = BTreeMap::new();
        let mut answers = BTreeMap::new();
        for unit in units {
            match full_name(unit) {
                Some(full) => asked.entry(full).or_default().push(unit),
                None => {
                    answers.insert(unit.clone(), UnitAnswer::NoAnswer { why: UnitSilence::BadName });
                }
            }
        }
        let names: Vec<&str> = asked.keys().map(String::as_str).collect();
        // Boxed: the compiler cannot prove a stream of borrowing futures to be fit for every task.
        let calls = names
            .chunks(UNITS_MAX)
            .map(|chunk| Box::pin(async move { (chunk, self.chunk(chunk, until, deadline).await) }) as ChunkCall<'_>)
            .collect::<Vec<_>>();
        let mut calls = stream::iter(calls).buffer_unordered(CALLS_MAX);
        while let Some((chunk, found)) = calls.next().await {
            for (full, answer) in chunk.iter().zip(found) {
                for unit in &asked[*full] {
                    answers.insert((*unit).clone(), answer.clone());
                }
            }
        }
        answers
    }

    /// The answers to up to [`UNITS_MAX`] names, in their order.
    async fn chunk(&self, names: &[&str], until: Instant, deadline: Duration) -> Vec<UnitAnswer> {
        let mut answers: Vec<UnitAnswer> = Vec::with_capacity(names.len());
        let mut empty_calls = 0;
        let the_rest_is = |mut answers: Vec<UnitAnswer>, why| {
            answers.resize(names.len(), UnitAnswer::NoAnswer { why });
            answers
        };
        while answers.len() < names.len() {
            let rest = &names[answers.len()..];
            let (blocks, status) = match self.call(rest, until, deadline).await {
                Ok(output) => output,
                Err(why) => return the_rest_is(answers, why),
            };
            let in_order = blocks.len() <= rest.len() && blocks.iter().zip(rest).all(|(block, name)| block.is_of(name));
            let stopped = blocks.len() < rest.len();
            if !in_order || (stopped && status.success()) {
                return the_rest_is(answers, UnitSilence::Garbled);
            }
            empty_calls = if blocks.is_empty() { empty_calls + 1 } else { 0 };
            if empty_calls == EMPTY_MAX.min(names.len()) {
                // Also what was taken for a single unit's fault in the calls just before.
                answers.truncate(answers.len() - (empty_calls - 1));
                return the_rest_is(answers, UnitSilence::NoManager);
            }
            answers.extend(blocks.into_iter().map(|block| block.answer));
            if stopped {
                answers.push(UnitAnswer::NoAnswer { why: UnitSilence::LeftOut });
            }
        }
        answers
    }

    async fn call(
        &self,
        names: &[&str],
        until: Instant,
        deadline: Duration,
    ) -> Result<(Vec<Block>, ExitStatus), UnitSilence> {
        if Instant::now() >= until {
            return Err(UnitSilence::TimedOut(deadline));
        }
        let mut child = Command::new(&self.settings.program)
            .args(["show", PROPERTIES, "--"].map(OsString::from))
            .args(names)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C")
            .env("LC_ALL", "C")
            .env("SYSTEMD_PAGER", "")
            .env("SYSTEMD_COLORS", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| not_started(&error))?;
        let stdout = child.stdout.take();
        let finish = async {
            let output = read_bounded(stdout).await?;
            Ok((output, child.wait().await?))
        };
        match timeout_at(until, finish).await {
            Ok(Ok((output, status))) if output.len() as u64 <= OUTPUT_MAX => {
                Ok((parse(&output).ok_or(UnitSilence::Garbled)?, status))
            }
            Ok(Ok(_)) => Err(UnitSilence::Garbled),
            Ok(Err(error)) => {
                end(&mut child).await;
                Err(not_started(&error))
            }
            Err(_) => {
                end(&mut child).await;
                Err(UnitSilence::TimedOut(deadline))
            }
        }
    }
}

/// Ends the whole group of a call and takes its exit status, so that no zombie stays.
async fn end(child: &mut tokio::process::Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        // It may have ended this very moment; then there is nothing to do.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait().await;
}

/// At most [`OUTPUT_MAX`] bytes and one more, which tells that there was more.
async fn read_bounded(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut output = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT_MAX + 1).read_to_end(&mut output).await?;
    }
    Ok(output)
}

fn not_started(error: &io::Error) -> UnitSilence {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => UnitSilence::NoProgram,
        _ => fault::shortage(error).map_or(UnitSilence::NoProgram, UnitSilence::Shortage),
    }
}
