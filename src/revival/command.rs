//! The command under the shim: start it, read what it prints, end it when its time is up.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpgid, kill_process, kill_process_group, waitid};
use signal_hook::consts::SIGCHLD;

use super::error::RevivalError;
use super::outcome::End;
use super::output::{CapturedOutput, Tail};
use super::spec::Spec;

/// The most that is kept of a stream, whatever the spec says.
const OUTPUT_LIMIT_MAX: usize = 1 << 20;
/// The largest pipe an unprivileged process can have: what a command wrote before its end is at most that.
const PIPE_MAX: usize = 1 << 20;
/// Time left to a stream's reader in one go.
const CHUNK: usize = 64 << 10;
/// Longest wait in one go; a bound in case the bell failed to ring.
const NAP: Duration = Duration::from_secs(60);

/// Rings when a child has ended. A socket instead of a pidfd, since old kernels and strict sandboxes lack the latter.
pub(super) struct ChildBell(UnixStream);

impl ChildBell {
    /// To be called before the child is started.
    pub(super) fn hang() -> Result<Self, RevivalError> {
        let doing = "set up the shim's bell for its child";
        let (ear, clapper) = UnixStream::pair().map_err(RevivalError::setup(doing))?;
        ear.set_nonblocking(true).map_err(RevivalError::setup(doing))?;
        signal_hook::low_level::pipe::register(SIGCHLD, clapper).map_err(RevivalError::setup(doing))?;
        Ok(Self(ear))
    }

    fn silence(&mut self) {
        while matches!(self.0.read(&mut [0; 64]), Ok(1..)) {}
    }
}

/// A command that was started.
pub(super) struct Command {
    child: Child,
    /// Its process, and its process group: the group is its own, so that a timeout can end all of it.
    pid: Pid,
    streams: Streams,
    deadline: Option<Instant>,
    grace: Duration,
}

/// How a command ended.
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) stdout: CapturedOutput,
    pub(super) stderr: CapturedOutput,
    pub(super) leftover: Leftover,
}

/// Output that descendants of a command still hold.
pub(super) struct Leftover(Streams);

impl Command {
    /// Starts what `spec` says, reading `packet` or nothing. It inherits the shim's environment, which is the one its
    /// template grants: unchanged, so that std can spawn instead of fork.
    pub(super) fn start(spec: &Spec, packet: Option<File>) -> io::Result<Self> {
        let [program, arguments @ ..] = spec.argv.as_slice() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no program to start"));
        };
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .stdin(packet.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        #[cfg(feature = "failpoints")]
        for (variable, _) in crate::fail_point::settings() {
            command.env_remove(variable);
        }
        let mut child = command.spawn()?;
        let limit = spec.output_limit_bytes.min(OUTPUT_LIMIT_MAX);
        Ok(Self {
            pid: Pid::from_child(&child),
            streams: Streams {
                stdout: Stream::new(child.stdout.take().map(OwnedFd::from), limit),
                stderr: Stream::new(child.stderr.take().map(OwnedFd::from), limit),
            },
            child,
            // No deadline if it lies further ahead than the clock can say.
            deadline: Instant::now().checked_add(Duration::from_millis(spec.timeout_ms)),
            grace: Duration::from_millis(spec.grace_ms),
        })
    }

    /// Reads the command's output until its *process* has ended, not until its pipes close: an agent it started in
    /// the background may hold those for days.
    pub(super) fn watch(mut self, mut bell: ChildBell) -> Ended {
        let mut phase = Phase::Running;
        // The child is looked at without reaping it: as long as it is not reaped, its number, and with it its
        // group's, cannot come to mean somebody else.
        while !self.has_ended() {
            let left = self.deadline.map_or(NAP, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                phase = self.advance(phase);
                continue;
            }
            self.streams.wait(Some(&bell.0), Some(left.min(NAP)));
            bell.silence();
        }
        if phase != Phase::Running {
            // Those of its group who did not heed the SIGTERM.
            self.signal_group(Signal::KILL);
        }
        let end = match self.child.wait() {
            _ if phase != Phase::Running => End::TimedOut,
            Ok(status) => end(status),
            // The kernel has no more to tell than that it ended: as unknown as a timeout.
            Err(_) => End::TimedOut,
        };
        self.streams.empty();
        let (stdout, stderr) = (self.streams.stdout.take_captured(), self.streams.stderr.take_captured());
        Ended { end, stdout, stderr, leftover: Leftover(self.streams) }
    }

    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.pid), options), Ok(None) | Err(rustix::io::Errno::INTR))
    }

    /// The time is up: ask the group to end, then end it.
    fn advance(&mut self, phase: Phase) -> Phase {
        match phase {
            Phase::Running => {
                self.signal_group(Signal::TERM);
                self.deadline = Instant::now().checked_add(self.grace);
                Phase::AskedToEnd
            }
            Phase::AskedToEnd | Phase::Killed => {
                self.signal_group(Signal::KILL);
                // A process that a dead disk holds ends when that lets go of it; until then the run is not over.
                self.deadline = None;
                Phase::Killed
            }
        }
    }

    fn signal_group(&self, signal: Signal) {
        // It can only fail because nobody is left, or because they became another user's (sudo): then the wait goes on.
        let _ = kill_process_group(self.pid, signal);
        if getpgid(Some(self.pid)) != Ok(self.pid) {
            // It has gone into another group, which is not ours to end.
            let _ = kill_process(self.pid, signal);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    AskedToEnd,
    Killed,
}

fn end(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited { code },
        (None, signal) => End::Signalled { signal: signal.unwrap_or(0) },
    }
}

impl Leftover {
    /// Reads and forgets what the command's descendants print until the last of them closes its output, so that none
    /// blocks on a full pipe or dies of a closed one.
    pub(super) fn drain(mut self) {
        while self.0.stdout.pipe.is_some() || self.0.stderr.pipe.is_some() {
            self.0.wait(None, None);
        }
    }
}

struct Streams {
    stdout: Stream,
    stderr: Stream,
}

/// One output of the command.
struct Stream {
    /// `None` once everybody has closed it.
    pipe: Option<File>,
    tail: Tail,
}

impl Streams {
    /// Waits until there is something to read, `bell` rings, or `timeout` is over; reads what is there.
    fn wait(&mut self, bell: Option<&UnixStream>, timeout: Option<Duration>) {
        let mut streams = [&mut self.stdout, &mut self.stderr];
        let mut fds = Vec::with_capacity(3);
        for stream in &streams {
            fds.extend(stream.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        }
        fds.extend(bell.map(|bell| PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN)));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return; // a signal: look again
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>().into_iter();
        for stream in &mut streams {
            if stream.pipe.is_some() && ready.next() == Some(true) {
                stream.read();
            }
        }
    }

    /// Reads what the command left in its pipes, and no more: a descendant may go on writing for ever.
    fn empty(&mut self) {
        for stream in [&mut self.stdout, &mut self.stderr] {
            let mut left = PIPE_MAX;
            while left > 0 && stream.is_ready() {
                left = left.saturating_sub(stream.read().max(1));
            }
        }
    }
}

impl Stream {
    fn new(pipe: Option<OwnedFd>, limit: usize) -> Self {
        if let Some(pipe) = &pipe {
            // Somebody else may read it as well, and be quicker; no reading may outlast the command's time. The command's
            // own end does not change. Should it fail, all works as long as nobody does that.
            let _ = rustix::io::ioctl_fionbio(pipe, true);
        }
        Self { pipe: pipe.map(File::from), tail: Tail::new(limit) }
    }

    fn is_ready(&self) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let mut fds = [PollFd::new(pipe, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
    }

    /// Reads once what is there; how many bytes came.
    fn read(&mut self) -> usize {
        let Some(pipe) = &mut self.pipe else { return 0 };
        let mut chunk = [0; CHUNK];
        match pipe.read(&mut chunk) {
            Ok(0) => self.pipe = None,
            Ok(count) => {
                self.tail.push(&chunk[..count]);
                return count;
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(_) => self.pipe = None,
        }
        0
    }

    /// What was read so far; what comes now is forgotten.
    fn take_captured(&mut self) -> CapturedOutput {
        std::mem::replace(&mut self.tail, Tail::new(0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A command can read its own output from the other side (`/proc/self/fd/1`), and be quicker than we are.
    #[test]
    fn what_somebody_else_has_read_is_not_waited_for() {
        let (ear, mut mouth) = io::pipe().unwrap();
        let mut stream = Stream::new(Some(ear.into()), 10);
        assert_eq!(stream.read(), 0);
        mouth.write_all(b"more").unwrap();
        assert_eq!(stream.read(), 4, "it still listens");
        drop(mouth);
        assert_eq!(stream.read(), 0);
        assert!(stream.pipe.is_none());
        assert_eq!(stream.take_captured().tail, "more");
    }
}
