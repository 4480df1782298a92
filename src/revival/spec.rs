use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The version of the spec's line.
const VERSION: u32 = 1;

/// One command to run, without a shell.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// The argument vector; the first is the program, looked up in the `PATH` of [`env`](Self::env).
    pub argv: Vec<String>,
    /// All of its environment. It may hold secrets: it goes to the shim as its own environment and never to disk.
    pub env: Vec<(String, String)>,
    /// How long it may run.
    pub timeout: Duration,
    /// How long its group has to end after SIGTERM before SIGKILL follows.
    pub grace: Duration,
    /// How much of each output stream is kept, in bytes; at most 1 MiB counts.
    pub output_limit_bytes: usize,
    /// What it reads on standard input; nothing if `None`.
    pub packet: Option<Vec<u8>>,
    /// Its soft limit of open descriptors; `None`: as the daemon's, which raises its own.
    pub descriptors: Option<u64>,
}

impl CommandSpec {
    /// `argv` with `env`, one minute of time, 2 s of grace, 64 KiB of each stream and nothing on standard input.
    pub fn new(argv: Vec<String>, env: Vec<(String, String)>) -> Self {
        let timeout = Duration::from_secs(60);
        Self {
            argv,
            env,
            timeout,
            grace: Duration::from_secs(2),
            output_limit_bytes: 64 << 10,
            packet: None,
            descriptors: None,
        }
    }
}

impl fmt::Debug for CommandSpec {
    /// Names what is in the environment, but not its values: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandSpec")
            .field("argv", &self.argv)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .field("grace", &self.grace)
            .field("output_limit_bytes", &self.output_limit_bytes)
            .field("descriptors", &self.descriptors)
            .field("packet_bytes", &self.packet.as_ref().map(Vec::len))
            .finish()
    }
}

/// The first line of a run file: what the shim must know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    version: u32,
    pub(super) argv: Vec<String>,
    pub(super) timeout_ms: u64,
    pub(super) grace_ms: u64,
    pub(super) output_limit_bytes: usize,
    #[serde(default)]
    pub(super) descriptors: Option<u64>,
    pub(super) has_packet: bool,
}

impl Spec {
    /// What the shim must know of `spec`, as one line with its end.
    pub(super) fn line(spec: &CommandSpec) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&Self {
            version: VERSION,
            argv: spec.argv.clone(),
            timeout_ms: u64::try_from(spec.timeout.as_millis()).unwrap_or(u64::MAX),
            grace_ms: u64::try_from(spec.grace.as_millis()).unwrap_or(u64::MAX),
            output_limit_bytes: spec.output_limit_bytes,
            descriptors: spec.descriptors,
            has_packet: spec.packet.is_some(),
        })?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads such a line; why not, if it is torn or of another version.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let spec: Self = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        if spec.version != VERSION {
            let version = spec.version;
            return Err(format!("it is of version {version}, and this program knows version {VERSION}"));
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_one_line_without_the_environment_and_is_read_back() {
        let argv = ["sh", "-c", "a\n\"started\"\r\n\u{2028}never started\n"].map(str::to_owned).to_vec();
        let mut spec = CommandSpec::new(argv.clone(), vec![("TOKEN".into(), "hunter2".into())]);
        spec.packet = Some(b"{}".to_vec());
        let line = Spec::line(&spec).unwrap();
        let text = std::str::from_utf8(&line).unwrap();
        assert!(text.starts_with('{') && text.find('\n') == Some(text.len() - 1), "{text}");
        assert!(!text.contains("hunter2") && !format!("{spec:?}").contains("hunter2"));
        let read = Spec::read(&line).unwrap();
        assert_eq!((read.argv, read.timeout_ms, read.grace_ms, read.has_packet), (argv, 60_000, 2_000, true));
        for bad in ["", "\0\0", &text[..text.len() - 2], &text.replace("\"version\":1", "\"version\":2"), "{}"] {
            assert!(Spec::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
