use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::RevivalError;
use super::held::{Held, Opened};
use super::run_name::RunName;
use super::spec::{CommandSpec, Spec};
use super::text::{NEVER_STARTED, SIZE_MAX, Told};
use crate::pool::Timestamp;

/// The file of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFile {
    name: RunName,
    path: PathBuf,
}

impl RunFile {
    /// The command's argument vector and timeout, as its spec has them: what it was is known also after the
    /// configuration has changed. [`RevivalError::Gone`] and [`RevivalError::Unreadable`] are for good; any other error
    /// (no descriptors) says nothing of the run.
    pub fn command(&self) -> Result<(Vec<String>, Duration), RevivalError> {
        let io = |e: io::Error| match e.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => RevivalError::Gone(self.path.clone()),
            _ => RevivalError::io("read", &self.path)(e),
        };
        let mut line = Vec::new();
        let file = File::open(&self.path).map_err(io)?;
        BufReader::new(file.take(SIZE_MAX as u64)).read_until(b'\n', &mut line).map_err(io)?;
        let spec = Spec::read(&line).map_err(|why| RevivalError::Unreadable { path: self.path.clone(), why })?;
        Ok((spec.argv, Duration::from_millis(spec.timeout_ms)))
    }

    /// Makes the file of `name` with all that the shim needs, and makes it durable in `runs`; commit *running* only
    /// after. Blocks on one fsync. [`RevivalError::Exists`] if a crash left one: take the next attempt.
    pub fn create(runs: &Path, name: &RunName, spec: &CommandSpec) -> Result<Self, RevivalError> {
        let run = Self::at(runs, name);
        let line =
            Spec::line(spec).map_err(|e| RevivalError::Unreadable { path: run.path.clone(), why: e.to_string() })?;
        let mut file = match create_private(&run.path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(RevivalError::Exists(run.path)),
            Err(e) => return Err(RevivalError::io("create", &run.path)(e)),
        };
        fail_point!("run_file.empty");
        if let Err(e) = fill(&mut file, &run.path, &line, spec.packet.as_deref()).and_then(|()| sync_folder(runs)) {
            // Nobody knows of it yet. Left behind it would use up one of the numbers that an execution may have, at each
            // try as long as the disk is full.
            let _ = remove_if_there(&packet_of(&run.path));
            let _ = remove_if_there(&run.path);
            return Err(e);
        }
        fail_point!("run_file.created");
        Ok(run)
    }

    /// The file that `name` has under `runs`, whether it is there or not.
    pub fn at(runs: &Path, name: &RunName) -> Self {
        Self { name: name.clone(), path: runs.join(name.to_string()) }
    }

    /// Whose file it is.
    pub fn name(&self) -> &RunName {
        &self.name
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When something was last added to it, by the machine's clock.
    pub fn changed_at(&self) -> Result<Timestamp, RevivalError> {
        let io = RevivalError::io("look at", &self.path);
        let changed = std::fs::metadata(&self.path).and_then(|found| found.modified()).map_err(io)?;
        let since = changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Removes the file, once its final state was committed long enough ago; no error if it is gone.
    /// [`RevivalError::StillRunning`] while its shim works.
    pub fn remove(&self) -> Result<(), RevivalError> {
        let held = match Held::open(&self.path)? {
            Opened::Held(held) => held,
            Opened::Busy => return Err(RevivalError::StillRunning(self.path.clone())),
            Opened::Gone => return Ok(()),
        };
        // A shim that is late may have opened the file already: it gets the lock after us, and must find a mark. No
        // power cut leaves such a shim, so the mark need not be durable.
        let text = held.read()?;
        if text.told() == Told::Nothing {
            held.mark(&text, NEVER_STARTED)?;
        }
        remove_if_there(&packet_of(&self.path))?;
        fail_point!("run_file.half_removed");
        remove_if_there(&self.path)?;
        held.unlock()
    }
}

/// Writes what the shim of the new, empty run at `path` needs. None of it needs an fsync of its own: only a shim of this
/// boot reads it. That the file and the absence of a mark survive a power cut is what a later settling relies on, and
/// for that its entry is enough: a journal that has it has the file as well, with its first line, a part of it or none.
fn fill(file: &mut File, path: &Path, line: &[u8], packet: Option<&[u8]>) -> Result<(), RevivalError> {
    // The packet comes between the file and its first line: who finds a packet finds the run that it goes with, and
    // who finds a spec finds all of its packet.
    if let Some(packet) = packet {
        put(&packet_of(path), packet)?;
    }
    file.write_all(line).map_err(RevivalError::io("write", path))
}

/// Opens what the command of the run at `path` reads on standard input.
pub(super) fn open_packet(path: &Path) -> Result<File, RevivalError> {
    let packet = packet_of(path);
    File::open(&packet).map_err(RevivalError::io("open", &packet))
}

/// Where the packet of the run at `path` lies. No run is named like that: their names have no dot.
fn packet_of(path: &Path) -> PathBuf {
    path.with_added_extension("packet")
}

/// Makes the folder of the runs (0700) and makes that durable, if it is not there. One that is not ours, or that others
/// can write to, is refused: whoever could put another file in a run's place would say what is run.
pub fn prepare_runs(runs: &Path) -> Result<(), RevivalError> {
    match DirBuilder::new().mode(0o700).create(runs) {
        Ok(()) => sync_folder(runs.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => check_folder(runs),
        Err(e) => Err(RevivalError::io("make the folder", runs)(e)),
    }
}

fn check_folder(runs: &Path) -> Result<(), RevivalError> {
    let seen = std::fs::metadata(runs).map_err(RevivalError::io("look at", runs))?;
    let (owner, own) = (seen.uid(), rustix::process::geteuid().as_raw());
    let why = if !seen.is_dir() {
        "it is no folder".to_owned()
    } else if owner != own {
        format!("it belongs to uid {owner}, this program runs as uid {own}; run it as the owner")
    } else if seen.mode() & 0o022 != 0 {
        "others can write to it; `chmod 700` it".to_owned()
    } else {
        return Ok(());
    };
    Err(RevivalError::Unsafe { path: runs.to_owned(), why })
}

/// All run files under `runs`, by name. What is not named as one is left alone.
pub fn list(runs: &Path) -> Result<Vec<RunFile>, RevivalError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(runs).map_err(RevivalError::io("list", runs))? {
        let entry = entry.map_err(RevivalError::io("list", runs))?;
        if let Some(name) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            files.push(RunFile { name, path: entry.path() });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Creates a file that must not be there yet, readable by its owner only.
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), RevivalError> {
    // Whoever removed a run by hand may have left its packet.
    remove_if_there(path)?;
    let mut file = create_private(path).map_err(RevivalError::io("create", path))?;
    file.write_all(bytes).map_err(RevivalError::io("write", path))
}

/// Makes the entries of a folder durable.
fn sync_folder(folder: &Path) -> Result<(), RevivalError> {
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

    use super::super::settle::{Settled, settle};
    use super::*;

    fn spec() -> CommandSpec {
        let mut spec = CommandSpec::new(vec!["true".into()], vec![("TOKEN".into(), "hunter2".into())]);
        spec.packet = Some(b"{}".to_vec());
        spec
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_run_is_private_never_reused_and_holds_no_environment() {
        let runs = tempfile::tempdir().unwrap();
        let name = RunName::new("e1", 1).unwrap();
        let run = RunFile::create(runs.path(), &name, &spec()).unwrap();
        assert!(matches!(RunFile::create(runs.path(), &name, &spec()), Err(RevivalError::Exists(_))));
        assert_eq!(names(runs.path()), ["e1-1", "e1-1.packet"]);
        for entry in std::fs::read_dir(runs.path()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
            assert!(!std::fs::read_to_string(&path).unwrap().contains("hunter2"), "{path:?}");
        }
        assert_eq!(run.command().unwrap(), (vec!["true".to_owned()], Duration::from_secs(60)));
        assert_eq!(list(runs.path()).unwrap(), std::slice::from_ref(&run));
        run.remove().unwrap();
        run.remove().unwrap();
        assert_eq!(names(runs.path()), [""; 0]);
    }

    #[test]
    fn a_run_without_a_packet_is_one_file_of_one_line() {
        let runs = tempfile::tempdir().unwrap();
        let spec = CommandSpec { packet: None, ..spec() };
        let run = RunFile::create(runs.path(), &RunName::new("e", 1).unwrap(), &spec).unwrap();
        assert_eq!(names(runs.path()), ["e-1"]);
        assert_eq!(std::fs::read(run.path()).unwrap(), Spec::line(&spec).unwrap());
    }

    #[test]
    fn a_packet_that_somebody_left_is_replaced() {
        let runs = tempfile::tempdir().unwrap();
        std::fs::write(runs.path().join("e-1.packet"), "of another").unwrap();
        let run = RunFile::create(runs.path(), &RunName::new("e", 1).unwrap(), &spec()).unwrap();
        assert_eq!(std::io::read_to_string(open_packet(run.path()).unwrap()).unwrap(), "{}");
    }

    /// Else each try on a full disk would use up one of the numbers that an execution may have.
    #[test]
    fn what_could_not_be_made_whole_leaves_nothing_behind() {
        let runs = tempfile::tempdir().unwrap();
        let name = RunName::new("e", 1).unwrap();
        // Nothing can be written in the place of its packet.
        let in_the_way = runs.path().join("e-1.packet");
        std::fs::create_dir(&in_the_way).unwrap();
        assert!(matches!(RunFile::create(runs.path(), &name, &spec()), Err(RevivalError::Io { .. })));
        assert_eq!(names(runs.path()), ["e-1.packet"]);
        std::fs::remove_dir(&in_the_way).unwrap();
        RunFile::create(runs.path(), &name, &spec()).unwrap();
    }

    #[test]
    fn a_run_in_use_is_not_removed_and_one_that_was_half_made_is() {
        let runs = tempfile::tempdir().unwrap();
        let run = RunFile::create(runs.path(), &RunName::new("e", 1).unwrap(), &spec()).unwrap();
        let Opened::Held(shim) = Held::open(run.path()).unwrap() else { panic!("it is free") };
        assert!(matches!(run.remove(), Err(RevivalError::StillRunning(_))));
        drop(shim);
        std::fs::write(run.path(), "").unwrap();
        run.remove().unwrap();
        assert_eq!(names(runs.path()), [""; 0]);
    }

    /// It has opened the file before it was removed, and gets the lock after that.
    #[test]
    fn a_shim_that_is_late_finds_a_mark_in_what_was_removed() {
        for (left, settled) in [(None, Settled::NeverStarted), (Some("{}\nsta"), Settled::Vanished)] {
            let runs = tempfile::tempdir().unwrap();
            let run = RunFile::create(runs.path(), &RunName::new("e", 1).unwrap(), &spec()).unwrap();
            left.inspect(|left| std::fs::write(run.path(), left).unwrap());
            let late = runs.path().join("late-1");
            std::fs::hard_link(run.path(), &late).unwrap();
            run.remove().unwrap();
            assert_eq!(settle(&RunFile::at(runs.path(), &"late-1".parse().unwrap())).unwrap(), settled);
            let Opened::Held(late) = Held::open(&late).unwrap() else { panic!("it is free") };
            assert_ne!(late.read().unwrap().told(), Told::Nothing);
        }
    }

    #[test]
    fn the_folder_of_the_runs_is_made_once() {
        let store = tempfile::tempdir().unwrap();
        let runs = store.path().join("runs");
        prepare_runs(&runs).unwrap();
        prepare_runs(&runs).unwrap();
        assert_eq!(std::fs::metadata(&runs).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_of_runs_that_others_can_write_to_is_refused() {
        let store = tempfile::tempdir().unwrap();
        let runs = store.path().join("runs");
        std::fs::write(&runs, "").unwrap();
        assert!(matches!(prepare_runs(&runs), Err(RevivalError::Unsafe { .. })));
        std::fs::remove_file(&runs).unwrap();
        prepare_runs(&runs).unwrap();
        for (mode, fits) in
            [(0o700, true), (0o755, true), (0o750, true), (0o770, false), (0o702, false), (0o777, false)]
        {
            std::fs::set_permissions(&runs, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(prepare_runs(&runs).is_ok(), fits, "{mode:o}");
        }
    }
}
