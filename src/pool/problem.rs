use std::fmt;

/// What reading a file gives: the value with the warnings found on the way, or every problem of
/// the file (at least one of them an error).
pub type Checked<T> = Result<(T, Vec<Problem>), Vec<Problem>>;

/// One thing that is wrong, or odd, in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: the keys and indices that lead there from the top of the document.
    pub path: Vec<PathStep>,
    /// Whether the file can still be used.
    pub severity: Severity,
    /// The sort of problem, from a closed list.
    pub kind: ProblemKind,
    /// What is wrong and what would be right; a lower-case fragment that does not repeat the path.
    pub message: String,
}

/// One step from a mapping or a list to what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// Into a mapping, by its key.
    Key(String),
    /// Into a list, by its index, from 0.
    Index(usize),
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file works; somebody should look at it.
    Warning,
    /// The file cannot be used.
    Error,
}

/// The sorts of problems. `docs/compatibility.md` names the rule behind each that refuses what
/// the reference took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// A value of the wrong shape: text for a list, null for a mapping, a number for a text.
    WrongType,
    /// A name that could mean something to a shell, a path, a chat or a terminal.
    BadName,
    /// A mode that is none of yes, no, ask.
    BadMode,
    /// A timeout that is no number, or too large.
    BadTimeout,
    /// A key that means nothing here (kept; a warning).
    UnknownKey,
    /// A known key where it has no effect (a warning).
    IgnoredKey,
    /// A name that no agent of the fleet bears.
    DanglingName,
    /// A document that holds nothing.
    EmptyDocument,
}

impl fmt::Display for Problem {
    /// `fleet.ezra.substitutes[1]: …`; the config room prints file, line and column instead.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.path.iter().enumerate() {
            match step {
                PathStep::Key(key) if index == 0 => f.write_str(key)?,
                PathStep::Key(key) => write!(f, ".{key}")?,
                PathStep::Index(at) => write!(f, "[{at}]")?,
            }
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}
