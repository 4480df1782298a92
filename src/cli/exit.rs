use std::process::ExitCode;

use crate::approval::AnswerKind;
use crate::store::StoreError;
use crate::web::ClientError;

/// How a command of the command line ends; scripts go by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was done, or is under way now.
    Done,
    /// It failed, and what was written says why.
    Failed,
    /// Wrong usage, or not understood: nothing was sent.
    Usage,
    /// It was understood and refused.
    Refused,
    /// There is nothing of that name.
    NotFound,
    /// No daemon answers, and the command needs one.
    NoDaemon,
    /// The connection was cut: it is unknown whether the command was received, or what became of it.
    Unknown,
    /// It could not be worked off three times, and was set aside.
    SetAside,
    /// Nobody answered a drill in time.
    Unanswered,
}

/// No daemon answers, and what can be done without one did not work either.
#[derive(Debug, thiserror::Error)]
#[error("{0}\nNor does it work without one: {1}")]
pub struct Neither(pub ClientError, pub String);

/// The same for `--help`.
pub const HELP: &str = "\
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

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotFound => 4,
            Self::NoDaemon => 5,
            Self::Unknown => 6,
            Self::SetAside => 7,
            Self::Unanswered => 8,
        }
    }

    /// How an error ends: by the first of its causes that says so.
    pub fn of(error: &anyhow::Error) -> Self {
        error
            .chain()
            .find_map(|cause| {
                if let Some(error) = cause.downcast_ref::<ClientError>() {
                    return Some(Self::from(error));
                }
                if cause.is::<Neither>() {
                    return Some(Self::NoDaemon);
                }
                match cause.downcast_ref::<StoreError>() {
                    Some(StoreError::Locked { .. }) => Some(Self::NoDaemon),
                    _ => None,
                }
            })
            .unwrap_or(Self::Failed)
    }
}

impl From<AnswerKind> for Exit {
    fn from(answer: AnswerKind) -> Self {
        match answer {
            AnswerKind::Taken => Self::Done,
            AnswerKind::Refused => Self::Refused,
            AnswerKind::NotFound => Self::NotFound,
            AnswerKind::Misunderstood => Self::Usage,
            AnswerKind::SetAside => Self::SetAside,
        }
    }
}

impl From<&ClientError> for Exit {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::NoDaemon { .. } => Self::NoDaemon,
            ClientError::Unknown { .. } | ClientError::StillWorking { .. } => Self::Unknown,
            ClientError::Cut { .. } | ClientError::Foreign { .. } => Self::Failed,
            ClientError::Refused { status, .. } => match status {
                400 | 405 | 413 => Self::Usage,
                403 | 429 => Self::Refused,
                404 => Self::NotFound,
                _ => Self::Failed,
            },
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Problem;

    #[test]
    fn every_code_is_told_and_stands_for_one_thing() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::NotFound,
            Exit::NoDaemon,
            Exit::Unknown,
            Exit::SetAside,
            Exit::Unanswered,
        ];
        for (expected, exit) in all.iter().enumerate() {
            assert_eq!(usize::from(exit.code()), expected);
            assert!(HELP.contains(&format!("\n  {expected}  ")), "{exit:?}");
        }
    }

    #[test]
    fn errors_end_as_they_are_documented() {
        let refused =
            |status| ClientError::Refused { status, problem: Problem { error: "x".into(), text: "x".into() } };
        let path = std::path::PathBuf::from("s");
        let nobody = ClientError::NoDaemon { path: path.clone(), why: std::io::ErrorKind::NotFound.into() };
        let waited = std::time::Duration::ZERO;
        for (error, exit) in [
            (anyhow::Error::from(refused(403)), Exit::Refused),
            (refused(404).into(), Exit::NotFound),
            (refused(400).into(), Exit::Usage),
            (refused(503).into(), Exit::Failed),
            (anyhow::Error::from(nobody).context("while asking"), Exit::NoDaemon),
            (
                Neither(
                    ClientError::NoDaemon { path: path.clone(), why: std::io::ErrorKind::NotFound.into() },
                    "x".into(),
                )
                .into(),
                Exit::NoDaemon,
            ),
            (ClientError::Unknown { waited }.into(), Exit::Unknown),
            (StoreError::Locked { path, pid: None }.into(), Exit::NoDaemon),
            (StoreError::Closed.into(), Exit::Failed),
            (anyhow::anyhow!("x"), Exit::Failed),
        ] {
            assert_eq!(Exit::of(&error), exit, "{error:?}");
        }
        for (answer, exit) in [
            (AnswerKind::Taken, Exit::Done),
            (AnswerKind::Refused, Exit::Refused),
            (AnswerKind::NotFound, Exit::NotFound),
            (AnswerKind::Misunderstood, Exit::Usage),
            (AnswerKind::SetAside, Exit::SetAside),
        ] {
            assert_eq!(Exit::from(answer), exit);
        }
    }
}
