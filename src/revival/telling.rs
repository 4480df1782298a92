//! How the shim tells the daemon that a run has ended: a line with the run's place among the shim's arguments, after
//! the run's lock was let go of. It is a hint that makes the daemon look at once; what became of the run stands in its
//! file. Both sides of it are here.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that the daemon takes from one shim: many times what all of its runs have to say.
pub(super) const TOLD_MAX: u64 = 1 << 10;

/// The place that a line without its end names.
pub(super) fn place_in(line: &str) -> Option<usize> {
    line.parse().ok()
}

fn line(place: usize) -> String {
    format!("{place}\n")
}

/// Tells of each run of a shim, and lets go of standard output after the last: the other end goes by that as well.
pub(super) struct Telling {
    /// Runs that have not ended.
    left: AtomicUsize,
}

/// Tells of one run when it is dropped, however that comes.
pub(super) struct OfRun<'a> {
    telling: &'a Telling,
    place: usize,
}

impl Telling {
    /// For so many runs.
    pub(super) fn of(runs: usize) -> Self {
        Self { left: AtomicUsize::new(runs) }
    }

    /// To be taken once for each run.
    pub(super) fn of_run(&self, place: usize) -> OfRun<'_> {
        OfRun { telling: self, place }
    }
}

impl Drop for OfRun<'_> {
    fn drop(&mut self) {
        // In one write, so that no two lines mix. Nobody may listen any more: the daemon can be gone.
        let _ = rustix::io::write(rustix::stdio::stdout(), line(self.place).as_bytes());
        // Each has written its line when the last one comes here.
        if self.telling.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let_go_of_stdout();
        }
    }
}

/// This process may live on, for what its commands have left behind; nobody is to wait for that. Should it fail, the
/// lines have told all the same.
fn let_go_of_stdout() {
    if let Ok(nowhere) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&nowhere);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_run_and_anything_else_names_none() {
        for place in [0, 7, 12] {
            assert_eq!(line(place).strip_suffix('\n').and_then(place_in), Some(place));
        }
        for other in ["", " 1", "1 2", "x", "-1", "99999999999999999999999"] {
            assert_eq!(place_in(other), None, "{other}");
        }
    }
}
