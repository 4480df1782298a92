use std::fmt;
use std::str::FromStr;

/// Longest execution part of a run's name, in characters.
const EXECUTION_MAX: usize = 100;

/// The name of one attempt of one execution, and of its run file: `EXECUTION-ATTEMPT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunName {
    execution: String,
    attempt: u32,
}

/// Why a text names no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run is named EXECUTION-ATTEMPT: at most 100 letters, digits, '_' and '-', then a number")]
pub struct InvalidRunName;

impl RunName {
    /// The name of the `attempt`-th attempt of `execution` (an id: ASCII letters, digits, `_`, `-`).
    pub fn new(execution: impl Into<String>, attempt: u32) -> Result<Self, InvalidRunName> {
        let execution = execution.into();
        let fits = (1..=EXECUTION_MAX).contains(&execution.len());
        if fits && execution.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            Ok(Self { execution, attempt })
        } else {
            Err(InvalidRunName)
        }
    }

    /// The id of the execution.
    pub fn execution(&self) -> &str {
        &self.execution
    }

    /// Which attempt it is.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.execution, self.attempt)
    }
}

impl FromStr for RunName {
    type Err = InvalidRunName;
    fn from_str(text: &str) -> Result<Self, InvalidRunName> {
        let (execution, attempt) = text.rsplit_once('-').ok_or(InvalidRunName)?;
        let name = Self::new(execution, attempt.parse().map_err(|_| InvalidRunName)?)?;
        // `+7` and `07` are numbers, too, but a run has one name only.
        if name.to_string() == text { Ok(name) } else { Err(InvalidRunName) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_one_name() {
        for good in ["a-0", "0198c2-ab-3", "x_Y-4294967295"] {
            assert_eq!(good.parse::<RunName>().unwrap().to_string(), good);
        }
        for bad in ["", "a", "-1", "a-", "a-+1", "a-01", "a-4294967296", "a/b-1", "..-1", "é-1", "a b-1"] {
            assert!(bad.parse::<RunName>().is_err(), "{bad}");
        }
    }
}
