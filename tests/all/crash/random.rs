//! Kills at random times, of the daemon, the shim or both.

use std::time::Duration;

use super::play::{Flow, Kill, Victim, play};
use super::{kills_asked_for, play_all, seed_asked_for};

/// Kills without a wish: with those at the points they stay below some 200.
const KILLS: usize = 40;
/// A flow without a death takes about so long.
const FLOW: Duration = Duration::from_millis(900);

/// xorshift64*: the same plays from the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % end
    }
}

#[test]
fn kills_at_random_times_lose_nothing_and_do_nothing_twice() {
    let wanted = kills_asked_for().unwrap_or(KILLS);
    let seed = seed_asked_for().unwrap_or(0x1a2a_2005);
    eprintln!("random kills: {wanted}, LAZARUS_SEED={seed}");
    let mut dice = Dice(seed.max(1));
    let (mut jobs, mut planned) = (Vec::new(), 0);
    while planned < wanted {
        let flow =
            [Flow::Approve, Flow::Approve, Flow::Deny, Flow::Substitute, Flow::PolicyYes][dice.below(5) as usize];
        let mut at = Duration::ZERO;
        let kills: Vec<Kill> = (0..1 + dice.below(3))
            .map(|_| {
                at += Duration::from_millis(dice.below(FLOW.as_millis() as u64));
                let who = [Victim::Daemon, Victim::Daemon, Victim::Shim, Victim::Both][dice.below(4) as usize];
                Kill { at, who }
            })
            .collect();
        planned += kills.len();
        jobs.push((flow, kills));
    }
    let played = play_all(&jobs, |(flow, kills)| play(*flow, &[], kills).kills);
    eprintln!("random kills: {} plays, {} kills", jobs.len(), played.iter().sum::<usize>());
}
