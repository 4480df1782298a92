use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::RevivalError;
use crate::pool::Timestamp;

pub(super) const LOCK: &str = "lock";
pub(super) const MARK: &str = "mark";
pub(super) const OUTCOME: &str = "outcome.json";
pub(super) const OUTCOME_ASIDE: &str = "outcome.json.new";
const SPEC: &str = "spec.json";
const PACKET: &str = "packet";

/// The version of the spec file.
const VERSION: u32 = 1;
/// An argument vector is bounded by the kernel (2 MiB); nothing larger is a spec of ours.
const SPEC_SIZE_MAX: u64 = 16 << 20;

/// Longest execution part of a run's name, in characters.
const EXECUTION_MAX: usize = 100;

/// The name of one attempt of one execution, and of its run folder: `EXECUTION-ATTEMPT`.
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

/// The spec file: what the shim must know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    version: u32,
    pub(super) argv: Vec<String>,
    pub(super) timeout_ms: u64,
    pub(super) grace_ms: u64,
    pub(super) output_limit_bytes: usize,
    #[serde(default)]
    pub(super) descriptors: Option<u64>,
    has_packet: bool,
}

impl Spec {
    pub(super) fn read(folder: &Path) -> Result<Self, RevivalError> {
        let path = folder.join(SPEC);
        let io = |e| RevivalError::io("read", &path)(e);
        let mut text = Vec::new();
        File::open(&path).map_err(io)?.take(SPEC_SIZE_MAX).read_to_end(&mut text).map_err(io)?;
        let unreadable = |why: String| RevivalError::Unreadable { path: path.clone(), why };
        let spec: Self = serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
        if spec.version != VERSION {
            let version = spec.version;
            return Err(unreadable(format!("it is of version {version}, and this program knows version {VERSION}")));
        }
        Ok(spec)
    }

    /// What the command reads on standard input, if anything.
    pub(super) fn open_packet(&self, folder: &Path) -> Result<Option<File>, RevivalError> {
        if !self.has_packet {
            return Ok(None);
        }
        let path = folder.join(PACKET);
        File::open(&path).map(Some).map_err(RevivalError::io("open", &path))
    }
}

/// The folder of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    name: RunName,
    path: PathBuf,
}

impl RunFolder {
    /// The command's argument vector and timeout, as its spec file has them: what it was is known also after the
    /// configuration has changed.
    pub fn command(&self) -> Result<(Vec<String>, Duration), RevivalError> {
        let spec = Spec::read(&self.path)?;
        Ok((spec.argv, Duration::from_millis(spec.timeout_ms)))
    }

    /// Makes the folder of `name` with all that the shim needs, and makes it durable in `runs`; commit *running* only
    /// after. Blocks on two fsyncs. [`RevivalError::FolderExists`] if a crash left one: take the next attempt.
    pub fn create(runs: &Path, name: &RunName, spec: &CommandSpec) -> Result<Self, RevivalError> {
        let folder = Self::at(runs, name);
        match DirBuilder::new().mode(0o700).create(&folder.path) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(RevivalError::FolderExists(folder.path)),
            Err(e) => return Err(RevivalError::io("make the run folder", &folder.path)(e)),
        }
        fail_point!("run_folder.empty");
        folder.fill(spec)?;
        // The contents need no fsync of their own: only a shim of this boot reads them. That the folder, the lock and
        // the absence of a mark survive a power cut is what a later settling relies on.
        sync_folder(&folder.path)?;
        sync_folder(runs)?;
        fail_point!("run_folder.created");
        Ok(folder)
    }

    fn fill(&self, spec: &CommandSpec) -> Result<(), RevivalError> {
        if let Some(packet) = &spec.packet {
            self.put(PACKET, packet)?;
        }
        let path = self.path.join(SPEC);
        let text = serde_json::to_vec(&Spec {
            version: VERSION,
            argv: spec.argv.clone(),
            timeout_ms: u64::try_from(spec.timeout.as_millis()).unwrap_or(u64::MAX),
            grace_ms: u64::try_from(spec.grace.as_millis()).unwrap_or(u64::MAX),
            output_limit_bytes: spec.output_limit_bytes,
            descriptors: spec.descriptors,
            has_packet: spec.packet.is_some(),
        })
        .map_err(|e| RevivalError::Unreadable { path, why: e.to_string() })?;
        self.put(SPEC, &text)?;
        self.put(LOCK, b"")
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), RevivalError> {
        let path = self.path.join(name);
        let mut file = create_private(&path).map_err(RevivalError::io("create", &path))?;
        file.write_all(bytes).map_err(RevivalError::io("write", &path))
    }

    /// The folder that `name` has under `runs`, whether it is there or not.
    pub fn at(runs: &Path, name: &RunName) -> Self {
        Self { name: name.clone(), path: runs.join(name.to_string()) }
    }

    /// Whose folder it is.
    pub fn name(&self) -> &RunName {
        &self.name
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When something was last made or renamed in the folder, by the machine's clock.
    pub fn changed_at(&self) -> Result<Timestamp, RevivalError> {
        let io = RevivalError::io("look at", &self.path);
        let changed = std::fs::metadata(&self.path).and_then(|found| found.modified()).map_err(io)?;
        let since = changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Removes the folder, once its final state was committed long enough ago; no error if it is gone.
    /// [`RevivalError::StillRunning`] while its shim works.
    pub fn remove(&self) -> Result<(), RevivalError> {
        let lock_path = self.path.join(LOCK);
        let _lock = match open_lock(&self.path) {
            Ok(lock) => match lock.try_lock() {
                Ok(()) => Some(lock),
                Err(std::fs::TryLockError::WouldBlock) => return Err(RevivalError::StillRunning(self.path.clone())),
                Err(std::fs::TryLockError::Error(e)) => return Err(RevivalError::io("lock", &lock_path)(e)),
            },
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(RevivalError::io("open", &lock_path)(e)),
        };
        // The lock goes first and the mark last: however far a crash lets this come, a shim that is late finds no
        // lock to take, or a mark.
        remove_if_there(&lock_path)?;
        fail_point!("run_folder.half_removed");
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(RevivalError::io("list", &self.path)(e)),
        };
        for entry in entries {
            let entry = entry.map_err(RevivalError::io("list", &self.path))?;
            if entry.file_name() != MARK {
                remove_if_there(&entry.path())?;
            }
        }
        remove_if_there(&self.path.join(MARK))?;
        std::fs::remove_dir(&self.path).map_err(RevivalError::io("remove", &self.path))
    }
}

/// Makes the folder for all run folders (0700) and makes that durable, if it is not there.
pub fn prepare_runs(runs: &Path) -> Result<(), RevivalError> {
    match DirBuilder::new().mode(0o700).create(runs) {
        Ok(()) => sync_folder(runs.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(RevivalError::io("make the folder", runs)(e)),
    }
}

/// All run folders under `runs`, by name. What is not named as a run folder is left alone.
pub fn list(runs: &Path) -> Result<Vec<RunFolder>, RevivalError> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(runs).map_err(RevivalError::io("list", runs))? {
        let entry = entry.map_err(RevivalError::io("list", runs))?;
        if let Some(name) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            folders.push(RunFolder { name, path: entry.path() });
        }
    }
    folders.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(folders)
}

/// Opens the lock of a run, never creating it: a shim must not bring a removed folder back to life.
pub(super) fn open_lock(folder: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(folder.join(LOCK))
}

/// Creates a file that must not be there yet, readable by its owner only.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes the entries of a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), RevivalError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(RevivalError::io("make durable", folder))
}

fn remove_if_there(path: &Path) -> Result<(), RevivalError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(RevivalError::io("remove", path)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn spec() -> CommandSpec {
        let mut spec = CommandSpec::new(vec!["true".into()], vec![("TOKEN".into(), "hunter2".into())]);
        spec.packet = Some(b"{}".to_vec());
        spec
    }

    #[test]
    fn a_run_has_one_name() {
        for good in ["a-0", "0198c2-ab-3", "x_Y-4294967295"] {
            assert_eq!(good.parse::<RunName>().unwrap().to_string(), good);
        }
        for bad in ["", "a", "-1", "a-", "a-+1", "a-01", "a-4294967296", "a/b-1", "..-1", "é-1", "a b-1"] {
            assert!(bad.parse::<RunName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_is_private_never_reused_and_holds_no_environment() {
        let runs = tempfile::tempdir().unwrap();
        let name = RunName::new("e1", 1).unwrap();
        let folder = RunFolder::create(runs.path(), &name, &spec()).unwrap();
        assert!(matches!(RunFolder::create(runs.path(), &name, &spec()), Err(RevivalError::FolderExists(_))));
        assert_eq!(std::fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
            assert!(!std::fs::read_to_string(&path).unwrap().contains("hunter2"), "{path:?}");
        }
        assert!(!format!("{:?}", spec()).contains("hunter2"));
        assert_eq!(list(runs.path()).unwrap(), std::slice::from_ref(&folder));
        folder.remove().unwrap();
        folder.remove().unwrap();
        assert_eq!(list(runs.path()).unwrap(), []);
    }

    #[test]
    fn a_folder_in_use_or_half_made_is_told_apart_when_removed() {
        let runs = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(runs.path(), &RunName::new("e", 1).unwrap(), &spec()).unwrap();
        let lock = open_lock(folder.path()).unwrap();
        lock.lock().unwrap();
        assert!(matches!(folder.remove(), Err(RevivalError::StillRunning(_))));
        drop(lock);
        std::fs::remove_file(folder.path().join(LOCK)).unwrap();
        folder.remove().unwrap();
        assert!(!folder.path().exists());
    }

    #[test]
    fn the_folder_of_all_runs_is_made_once() {
        let store = tempfile::tempdir().unwrap();
        let runs = store.path().join("runs");
        prepare_runs(&runs).unwrap();
        prepare_runs(&runs).unwrap();
        assert_eq!(std::fs::metadata(&runs).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
