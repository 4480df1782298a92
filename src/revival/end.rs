//! Ending runs before their time: for whoever must leave nothing running, and nobody else.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process_group};

use super::run_file::RunFile;

/// Sends `signal` to the groups of whatever `runs` have started; their shims see the commands end, add the outcomes and
/// leave by themselves. With `shims_too` their own groups get the signal as well: then the outcomes stay unwritten. Does
/// nothing where nothing of them runs, or where there is no `/proc`.
///
/// Nobody can tell from outside which of a shim's commands belongs to which of its runs: a run that shares its shim with
/// one of `runs` is ended with it, whether it is among them or not.
pub fn end(runs: &[RunFile], signal: Signal, shims_too: bool) {
    let paths: Vec<PathBuf> = runs.iter().filter_map(|run| run.path().canonicalize().ok()).collect();
    let all = processes();
    for shim in all.iter().filter(|one| is_shim_of(one.id, &paths)) {
        for command in all.iter().filter(|one| one.parent == shim.id) {
            // Whose process has ended meanwhile needs no signal.
            let _ = kill_process_group(command.group, signal);
        }
        if shims_too {
            let _ = kill_process_group(shim.group, signal);
        }
    }
}

struct Process {
    id: Pid,
    parent: Pid,
    group: Pid,
}

fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| process(&entry.path())).collect()
}

fn process(of: &Path) -> Option<Process> {
    let id = Pid::from_raw(of.file_name()?.to_str()?.parse().ok()?)?;
    let stat = std::fs::read(of.join("stat")).ok()?;
    let (parent, group) = parent_and_group(&String::from_utf8_lossy(&stat))?;
    Some(Process { id, parent, group })
}

/// The fourth and fifth word of a `stat` line. The second, the program's name, may hold blanks and brackets.
fn parent_and_group(stat: &str) -> Option<(Pid, Pid)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut words = after_name.split_whitespace().skip(1).map(|word| word.parse().ok().and_then(Pid::from_raw));
    Some((words.next()??, words.next()??))
}

/// Whether the arguments of that process are those that the launcher gives to the shim of one of the runs at `paths`,
/// which are canonical.
fn is_shim_of(id: Pid, paths: &[PathBuf]) -> bool {
    let process = Path::new("/proc").join(id.as_raw_nonzero().to_string());
    let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    let [_, b"shim", its_runs @ ..] = words.as_slice() else { return false };
    its_runs.iter().any(|of| {
        // As that process sees it: a relative name begins at its own working directory.
        let of = process.join("cwd").join(OsStr::from_bytes(of));
        of.canonicalize().is_ok_and(|of| paths.contains(&of))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_the_programs_name() {
        let pid = |id| Pid::from_raw(id).unwrap();
        for (line, expected) in [
            ("7 (sh) S 3 5 5 0", Some((pid(3), pid(5)))),
            ("7 (a) b (c d)) R 3 5 5 0", Some((pid(3), pid(5)))),
            ("1 (init) S 0 1 1", None),
            ("7 (sh) S 3", None),
            ("", None),
        ] {
            assert_eq!(parent_and_group(line), expected, "{line}");
        }
    }
}
