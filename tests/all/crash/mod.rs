//! kill -9 at every boundary: the real program, built with the feature `failpoints`, kills itself at
//! a named point of a flow, or is killed from outside; it is started again, and the flow must come to
//! its right end, with nothing lost and nothing twice.
//!
//! `LAZARUS_KILLS=1000` asks for so many random kills; `LAZARUS_SEED` plays others.

mod downtime;
mod ending;
mod missions;
mod nostr;
mod play;
mod points;
mod poison;
mod random;
mod restored;
mod shims;
mod takeover;
mod telegram;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Worlds that play at once, over all tests: mostly they wait.
const AT_ONCE: usize = 4;

/// Whether somebody asks for more than CI has time for.
fn all_is_asked_for() -> bool {
    kills_asked_for().is_some()
}

/// How many random kills are asked for.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
fn kills_asked_for() -> Option<usize> {
    std::env::var("LAZARUS_KILLS").ok()?.parse().ok()
}

/// The seed that is asked for.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
fn seed_asked_for() -> Option<u64> {
    std::env::var("LAZARUS_SEED").ok()?.parse().ok()
}

static PLAYING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// Plays one world's story when it is its turn.
fn in_turn<T>(story: impl FnOnce() -> T) -> T {
    let lock = || PLAYING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut playing = ENDED.wait_while(lock(), |playing| *playing >= AT_ONCE).unwrap_or_else(PoisonError::into_inner);
    *playing += 1;
    drop(playing);
    let played = catch_unwind(AssertUnwindSafe(story));
    *lock() -= 1;
    ENDED.notify_one();
    played.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Plays every job, several at once; panics with the names of those that failed.
pub fn play_all<J: std::fmt::Debug + Sync, T: Send>(jobs: &[J], play: impl Fn(&J) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let (played, failed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    match catch_unwind(AssertUnwindSafe(|| in_turn(|| play(job)))) {
                        Ok(outcome) => played.lock().unwrap_or_else(PoisonError::into_inner).push(outcome),
                        Err(_) => {
                            eprintln!("=== FAILED: {job:?}");
                            failed.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{job:?}"));
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), jobs.len(), failed.join("\n"));
    played.into_inner().unwrap_or_else(PoisonError::into_inner)
}
