use std::fmt;

use serde::{Deserialize, Serialize};

use super::output::CapturedOutput;
use crate::pool::Timestamp;

/// The version of the outcome's line. A reader refuses a newer one: what it cannot read, it must not guess.
const VERSION: u32 = 1;

/// How a run ended, as the shim saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How the command's own process ended; its descendants may live on.
    pub end: End,
    /// What it printed on standard output.
    pub stdout: CapturedOutput,
    /// What it printed on standard error.
    pub stderr: CapturedOutput,
    /// When the shim was about to start it, by the host's clock.
    #[serde(rename = "started_ms")]
    pub started: Timestamp,
    /// When it had ended, by the host's clock.
    #[serde(rename = "ended_ms")]
    pub ended: Timestamp,
}

/// How a command's process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By itself, with this status.
    Exited {
        /// 0 to 255.
        code: i32,
    },
    /// By a signal that was not ours.
    Signalled {
        /// Its number.
        signal: i32,
    },
    /// It ran longer than it may, and its group was ended.
    TimedOut,
    /// It never ran.
    CouldNotStart {
        /// Why not.
        error: String,
    },
}

/// The outcome as it stands in its line.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    outcome: T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Outcome {
    /// The outcome as the last line of a run file, with its end.
    pub(super) fn line(&self) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&Versioned { version: VERSION, outcome: self })?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads such a line; why not, if it is torn or of a newer version.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let Version { version } = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        if version != VERSION {
            return Err(format!("it is of version {version}, and this program knows version {VERSION}"));
        }
        let read: Versioned<Self> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        Ok(read.outcome)
    }
}

/// What an outcome means for the execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The command said that it did what it should. Whether the agent lives is for the probes to say.
    Done,
    /// It did not start, or said itself that it failed.
    Failed {
        /// What it said.
        why: WhyFailed,
    },
    /// What it began may still go on: nothing may start by itself after it.
    Unknown {
        /// Why nobody knows.
        why: WhyUnknown,
    },
}

/// Why a command counts as failed; displays as a fragment that fits after "failed: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyFailed {
    /// It never ran.
    #[error("it could not be started: {error}")]
    CouldNotStart {
        /// The operating system's reason.
        error: String,
    },
    /// It ended by itself.
    #[error("it ended with status {code}")]
    Status {
        /// Not 0.
        code: i32,
    },
}

/// Why it is unknown what a command did; displays as a fragment that fits after "unknown: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyUnknown {
    /// It ran longer than it may.
    #[error("it did not end in time")]
    TimedOut,
    /// Somebody killed it.
    #[error("it was ended by signal {signal}")]
    Signalled {
        /// The signal's number.
        signal: i32,
    },
    /// The connection to the host was cut or never came about; the two cannot be told apart.
    #[error("ssh lost its connection, or never had one (status 255)")]
    ConnectionCut,
    /// It ended with ssh's status, and nobody can say whether it was one.
    #[error("it ended with status 255, which may be a cut connection, and what it was cannot be read any more")]
    MaybeCut,
}

/// What `outcome` of the command `argv` means; without arguments if those are not known. *Failed* is only what could not
/// start or ended by itself with a status that is not 0; a timeout, a signal and a cut ssh leave open what the command
/// began.
pub fn classify(argv: &[String], outcome: &Outcome) -> Conclusion {
    match &outcome.end {
        End::Exited { code: 0 } => Conclusion::Done,
        End::Exited { code: 255 } if is_ssh(argv) => Conclusion::Unknown { why: WhyUnknown::ConnectionCut },
        End::Exited { code: 255 } if argv.is_empty() => Conclusion::Unknown { why: WhyUnknown::MaybeCut },
        End::Exited { code } => Conclusion::Failed { why: WhyFailed::Status { code: *code } },
        End::Signalled { signal } => Conclusion::Unknown { why: WhyUnknown::Signalled { signal: *signal } },
        End::TimedOut => Conclusion::Unknown { why: WhyUnknown::TimedOut },
        End::CouldNotStart { error } => Conclusion::Failed { why: WhyFailed::CouldNotStart { error: error.clone() } },
    }
}

fn is_ssh(argv: &[String]) -> bool {
    // Also under `timeout 60 ssh …`, in the script of a `sh -c`, and the like: taken for one too often, it only makes us
    // ask.
    let parts_words = |c: char| !(c.is_alphanumeric() || "/._-~".contains(c));
    let mut words = argv.iter().flat_map(|argument| argument.split(parts_words));
    words.any(|word| word.rsplit('/').next() == Some("ssh"))
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed { why } => write!(f, "failed: {why}"),
            Self::Unknown { why } => write!(f, "unknown: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(end: End) -> Outcome {
        let at = Timestamp::from_millis(1_700_000_000_000);
        Outcome { end, stdout: CapturedOutput::default(), stderr: CapturedOutput::default(), started: at, ended: at }
    }

    #[test]
    fn only_what_ended_by_itself_or_never_began_has_failed() {
        const CUT: &str = "unknown: ssh lost its connection, or never had one (status 255)";
        const FAILED: &str = "failed: it ended with status 255";
        for (argv, end, says) in [
            (["true"].as_slice(), End::Exited { code: 0 }, "done"),
            (&["false"], End::Exited { code: 1 }, "failed: it ended with status 1"),
            (&["sshd"], End::Exited { code: 255 }, FAILED),
            (&["sh", "-c", "cat ~/.ssh/config /etc/ssh_config my-ssh"], End::Exited { code: 255 }, FAILED),
            (&["ssh"], End::Exited { code: 1 }, "failed: it ended with status 1"),
            (&["ssh"], End::Exited { code: 255 }, CUT),
            (&["/usr/bin/ssh"], End::Exited { code: 255 }, CUT),
            (&["timeout", "60", "ssh", "relay"], End::Exited { code: 255 }, CUT),
            (&["sh", "-c", "ssh relay restart \"$1\"", "sh", "ada"], End::Exited { code: 255 }, CUT),
            (&["sh", "-c", "cd /tmp;/usr/bin/ssh relay"], End::Exited { code: 255 }, CUT),
            (&["sh", "-c", "out=$(ssh relay)||exit $?"], End::Exited { code: 255 }, CUT),
            // What it was cannot be read any more.
            (
                &[],
                End::Exited { code: 255 },
                "unknown: it ended with status 255, which may be a cut connection, and what it was cannot be read any more",
            ),
            (&[], End::Exited { code: 1 }, "failed: it ended with status 1"),
            (&["x"], End::Signalled { signal: 15 }, "unknown: it was ended by signal 15"),
            (&["x"], End::TimedOut, "unknown: it did not end in time"),
            (
                &["x"],
                End::CouldNotStart { error: "no such file".into() },
                "failed: it could not be started: no such file",
            ),
        ] {
            let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
            assert_eq!(classify(&argv, &outcome(end)).to_string(), says, "{argv:?}");
        }
    }

    #[test]
    fn an_outcome_is_read_back_as_written_and_no_other_version_is() {
        let written = outcome(End::Signalled { signal: 9 });
        let line = String::from_utf8(written.line().unwrap()).unwrap();
        assert_eq!(Outcome::read(line.as_bytes()), Ok(written));
        let text = line.strip_suffix('\n').unwrap();
        assert!(!text.contains('\n'));
        for bad in ["", "\0\0\0", &text[..text.len() - 1], &text.replace("\"version\":1", "\"version\":2"), "{}", "[]"]
        {
            assert!(Outcome::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
