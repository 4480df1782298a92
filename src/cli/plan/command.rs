use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use std::os::unix::process::ExitStatusExt as _;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::pool::{Execution, RestartCommand};

/// Bytes kept of each output stream; the rest is read and dropped, so that nobody blocks on a full pipe.
const OUTPUT_MAX: u64 = 64 * 1024;
/// `systemctl` processes at the same time: more would only queue up at the bus.
const AT_ONCE: usize = 8;

/// Asks and tells the service manager of this machine through `systemctl`, as argument vectors.
#[derive(Debug)]
pub struct SystemctlCommands {
    program: OsString,
    before: Vec<OsString>,
    timeout: Duration,
    turns: Semaphore,
}

impl Default for SystemctlCommands {
    /// `systemctl` from the path, 30 s a call.
    fn default() -> Self {
        Self::new("systemctl", Duration::from_secs(30))
    }
}

impl SystemctlCommands {
    /// `program` in place of `systemctl`, each call ended after `timeout`.
    pub fn new(program: impl Into<OsString>, timeout: Duration) -> Self {
        Self { program: program.into(), before: Vec::new(), timeout, turns: Semaphore::new(AT_ONCE) }
    }

    /// Whether `unit` is active: exit code 0 and nothing else.
    pub async fn is_active(&self, unit: &str) -> bool {
        self.run(&["is-active", "--", unit]).await.executed
    }

    /// Restarts the unit and tells how that ended.
    pub async fn restart(&self, command: &RestartCommand) -> Execution {
        self.run(&["restart", "--", command.unit()]).await
    }

    async fn run(&self, arguments: &[&str]) -> Execution {
        // The semaphore is never closed; without a turn the command would merely run beside others.
        let _turn = self.turns.acquire().await.ok();
        let mut command = Command::new(&self.program);
        command
            .args(&self.before)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let spawned = command.spawn();
        let work = async {
            let mut child = spawned?;
            let (out, err) = (child.stdout.take(), child.stderr.take());
            tokio::try_join!(child.wait(), bounded(out), bounded(err))
        };
        match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok((status, out, err))) => Execution::of_command(exit_code(status), out, err),
            Ok(Err(error)) => {
                let message = format!("cannot run {}: {error}", self.program.display());
                Execution::of_command(127, String::new(), message)
            }
            Err(_) => {
                let text = format!("{} {}", self.program.display(), arguments.join(" "));
                let message =
                    format!("{text} was ended after {} s; what it began may go on", self.timeout.as_secs_f64());
                Execution::of_command(-1, String::new(), message)
            }
        }
    }
}

/// -n for signal n, as the reference counts.
fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or(-1)
}

/// The beginning of what comes, read to its end, without the space around it; bytes that are no UTF-8 are replaced.
async fn bounded(from: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let Some(mut from) = from else { return Ok(String::new()) };
    let mut kept = Vec::new();
    (&mut from).take(OUTPUT_MAX).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&kept).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::{AgentName, UnitTemplate};

    /// A shell in place of `systemctl`: a script of our own could still be open for writing in a
    /// process that another test just forked.
    async fn restart_with(body: &str, timeout: Duration) -> Execution {
        let before = ["-c", body, "systemctl"].map(OsString::from).to_vec();
        let commands = SystemctlCommands { before, ..SystemctlCommands::new("sh", timeout) };
        commands.restart(&UnitTemplate::default().restart(&AgentName::new("ezra").unwrap())).await
    }

    #[tokio::test]
    async fn outcomes_are_told_as_they_are() {
        let minute = Duration::from_secs(60);
        let done = restart_with("echo \" $* \"; echo oops >&2", minute).await;
        assert_eq!(done, Execution::of_command(0, "restart -- hermes-ezra.service".into(), "oops".into()));
        assert_eq!(restart_with("exit 5", minute).await.exit_code, Some(5));
        assert_eq!(restart_with("kill -9 $$", minute).await.exit_code, Some(-9));
        let hangs = restart_with("exec sleep 600", Duration::from_millis(50)).await;
        assert_eq!((hangs.executed, hangs.exit_code), (false, Some(-1)));
        let floods = restart_with("head -c 3000000 /dev/zero", minute).await;
        assert_eq!(floods.stdout.unwrap().len() as u64, OUTPUT_MAX);
    }

    #[tokio::test]
    async fn a_missing_program_is_an_outcome_too() {
        let commands = SystemctlCommands::new("/nowhere/systemctl", Duration::from_secs(60));
        assert!(!commands.is_active("hermes-ezra.service").await);
    }
}
