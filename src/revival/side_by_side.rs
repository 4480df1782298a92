//! The runs of a shim, each in a thread of its own: none has to do with another.

use std::io;
use std::thread::{self, Builder};

/// Enough for a run, in bytes. Said here, since the standard library would ask the environment, and that is the command's.
const STACK: usize = 2 << 20;

/// The thread of a run.
pub(super) fn of_a_run() -> Builder {
    Builder::new().stack_size(STACK)
}

/// Does `carry` with `first` in this thread and with each of `others` in one that `thread` makes, and returns when all
/// are done: whether all of them say that all is well. With what gets no thread nothing is done but `refuse`; it is
/// dropped before that. A panic is that of one only, and all is not well; if it is the first's, it goes on here when the
/// others are done.
pub(super) fn side_by_side<T: Send>(
    first: T,
    others: Vec<T>,
    carry: impl Fn(T) -> bool + Sync,
    thread: impl Fn() -> Builder,
    refuse: impl Fn(io::Error),
) -> bool {
    let carry = &carry;
    thread::scope(|scope| {
        let others: Vec<_> = others
            .into_iter()
            .map(|other| thread().spawn_scoped(scope, move || carry(other)).map_err(&refuse))
            .collect();
        let mut all_well = carry(first);
        for other in others {
            all_well &= other.is_ok_and(|thread| thread.join().unwrap_or(false));
        }
        all_well
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use super::*;

    /// More than there is of addresses.
    const NO_ROOM: usize = 1 << (usize::BITS - 4);

    /// Notes when it is dropped, as whoever waits for a run is told.
    struct Run<'a>(usize, &'a Mutex<Vec<usize>>);

    impl Drop for Run<'_> {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    fn sorted(noted: &Mutex<Vec<usize>>) -> Vec<usize> {
        let mut noted = std::mem::take(&mut *noted.lock().unwrap());
        noted.sort_unstable();
        noted
    }

    #[test]
    fn what_gets_no_thread_is_not_begun_and_the_others_are_carried_out() {
        for without in [&[][..], &[1], &[2], &[1, 3], &[1, 2, 3]] {
            let (done, ended) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
            let (made, refused) = (Cell::new(0), Cell::new(0));
            let thread = || {
                made.set(made.get() + 1);
                if without.contains(&made.get()) { Builder::new().stack_size(NO_ROOM) } else { of_a_run() }
            };
            let refuse = |_| {
                refused.set(refused.get() + 1);
                assert!(ended.lock().unwrap().contains(&made.get()), "who waits for it was told");
            };
            let carry = |run: Run<'_>| {
                done.lock().unwrap().push(run.0);
                true
            };
            let others = (1..4).map(|run| Run(run, &ended)).collect();
            let all_well = side_by_side(Run(0, &ended), others, carry, thread, refuse);
            assert_eq!((all_well, refused.get()), (without.is_empty(), without.len()), "{without:?}");
            let expected: Vec<_> = (0..4).filter(|run| !without.contains(run)).collect();
            assert_eq!(sorted(&done), expected, "{without:?}");
            assert_eq!(sorted(&ended), [0, 1, 2, 3], "{without:?}");
        }
    }

    #[test]
    fn a_panic_is_that_of_one_only() {
        for (panics, outcome) in [(None, Some(true)), (Some(0), None), (Some(1), Some(false)), (Some(3), Some(false))] {
            let (done, ended) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
            let carry = |run: Run<'_>| {
                // Not out loud: it is meant.
                if Some(run.0) == panics {
                    std::panic::resume_unwind(Box::new(()));
                }
                done.lock().unwrap().push(run.0);
                true
            };
            let others = (1..4).map(|run| Run(run, &ended)).collect();
            let all = || side_by_side(Run(0, &ended), others, carry, of_a_run, |e| panic!("{e}"));
            assert_eq!(catch_unwind(AssertUnwindSafe(all)).ok(), outcome, "{panics:?}");
            let expected: Vec<_> = (0..4).filter(|run| Some(*run) != panics).collect();
            assert_eq!((sorted(&done), sorted(&ended)), (expected, vec![0, 1, 2, 3]), "{panics:?}");
        }
    }
}
