//! Questions about single units that come at about the same time, put in one call of `systemctl`.
//!
//! After a mass death many verifications look at their own unit each. One call at a time is under way; whoever
//! comes meanwhile waits for the next one, which asks for all of them. So nobody gets an answer from a call that
//! had begun before the question, and the number of calls does not grow with the number of looks.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::answer::{UnitAnswer, UnitSilence};
use super::systemd::{Systemd, UNITS_MAX};

/// Those who wait for the next call.
#[derive(Default)]
pub(super) struct Together {
    waiting: Mutex<VecDeque<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    unit: String,
    answer: oneshot::Sender<UnitAnswer>,
}

impl Together {
    /// What systemd says of `unit` in a call that begins after this one; `deadline` covers the waiting, too.
    pub(super) async fn ask(&self, systemd: &Systemd, unit: &str, deadline: Duration) -> UnitAnswer {
        let until = Instant::now() + deadline;
        'anew: loop {
            let mut answered = self.wait_for(unit);
            loop {
                tokio::select! {
                    biased;
                    got = &mut answered => match got {
                        Ok(answer) => return answer,
                        // Whoever called for all has been called off in the middle of it.
                        Err(_) => continue 'anew,
                    },
                    turn = self.turn.lock() => {
                        self.call(systemd, until, deadline).await;
                        drop(turn);
                    }
                    () = sleep_until(until) => {
                        return UnitAnswer::NoAnswer { why: UnitSilence::TimedOut(deadline) };
                    }
                }
            }
        }
    }

    fn wait_for(&self, unit: &str) -> oneshot::Receiver<UnitAnswer> {
        let (answer, answered) = oneshot::channel();
        let one = Waiting { unit: unit.to_owned(), answer };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(one);
        answered
    }

    /// Asks for those who have waited longest, as many as one call takes.
    async fn call(&self, systemd: &Systemd, until: Instant, deadline: Duration) {
        let taken: Vec<Waiting> = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|one| !one.answer.is_closed());
            let count = waiting.len().min(UNITS_MAX);
            waiting.drain(..count).collect()
        };
        let units: Vec<String> = taken.iter().map(|one| one.unit.clone()).collect();
        let answers = systemd.units_until(&units, until, deadline).await;
        // Several may have asked for one unit; each name has its answer.
        let left_out = UnitAnswer::NoAnswer { why: UnitSilence::LeftOut };
        for one in taken {
            let answer = answers.get(&one.unit).unwrap_or(&left_out).clone();
            // Who does not wait any more needs none.
            let _ = one.answer.send(answer);
        }
    }
}
