//! The daemon as a real child process, with all it says kept.

use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::pause;

/// The program under test.
pub const GATE: &str = env!("CARGO_BIN_EXE_lazarus-gate");

/// What a process has written so far.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// As text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Keeps more.
    pub fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    fn listen_to(&self, mut pipe: impl Read + Send + 'static) -> JoinHandle<()> {
        let kept = self.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut chunk) {
                kept.add(&chunk[..read]);
            }
        })
    }
}

/// A running `lazarus-gate run`. Killed when dropped.
pub struct Daemon {
    child: Child,
    listeners: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Starts `program run` over the files of `config`, writing to `out` and `err`.
    pub fn start(
        program: &Path,
        config: &Path,
        flags: &[&str],
        env: &[(&str, &str)],
        out: &Written,
        err: &Written,
    ) -> Self {
        let mut command = Command::new(program);
        command.arg("run").args(flags).arg("--config").arg(config);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the daemon starts");
        let listeners = vec![
            out.listen_to(child.stdout.take().expect("its output")),
            err.listen_to(child.stderr.take().expect("its log")),
        ];
        Self { child, listeners }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types a line into its input.
    pub fn types(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("its input");
        writeln!(input, "{line}").expect("it reads");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the daemon can be signalled");
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the daemon can be waited for")
    }

    /// Waits until it has ended and everything it said was read; none if it still runs after `at_most`.
    pub fn wait(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                for listener in self.listeners.drain(..) {
                    // A shim that lives on does not hold these pipes: all was said.
                    let _ = listener.join();
                }
                return Some(status);
            }
            if begun.elapsed() > at_most {
                return None;
            }
            pause(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
