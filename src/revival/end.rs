//! Ending a run before its time: for whoever must leave nothing running, and nobody else.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process_group};

use super::run_file::RunFile;

/// Sends `signal` to the groups of whatever `run` has started; the shim sees its command end, adds
/// the outcome and leaves by itself. With `shim_too` its own group gets the signal as well: then the outcome stays
/// unwritten. Does nothing where nothing of it runs, or where there is no `/proc`.
pub fn end(run: &RunFile, signal: Signal, shim_too: bool) {
    let all = processes();
    for shim in all.iter().filter(|one| is_shim_of(one.id, run.path())) {
        for command in all.iter().filter(|one| one.parent == shim.id) {
            // Whose process has ended meanwhile needs no signal.
            let _ = kill_process_group(command.group, signal);
        }
        if shim_too {
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

/// Whether the arguments of that process are those that the launcher gives to the shim of the run at `path`.
fn is_shim_of(id: Pid, path: &Path) -> bool {
    let process = Path::new("/proc").join(id.as_raw_nonzero().to_string());
    let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let [_, b"shim", of, ..] = words.as_slice() else { return false };
    // As that process sees it: a relative name begins at its own working directory.
    let of = process.join("cwd").join(OsStr::from_bytes(of));
    match (of.canonicalize(), path.canonicalize()) {
        (Ok(of), Ok(path)) => of == path,
        _ => false,
    }
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
