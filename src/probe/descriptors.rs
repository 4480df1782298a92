//! How many connections this process may hold at a time.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Probes at a time when nothing else limits them.
pub const SLOTS_MAX: usize = 4096;
/// Descriptors kept back for the store, the socket, the channels and the commands.
const RESERVE: u64 = 256;
/// Taken as the limit where the system names none, and the most that is asked for.
const LIMIT_MAX: u64 = 1 << 20;

/// What the descriptors of this process allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorBudget {
    /// Descriptors this process may have open, after raising.
    pub limit: u64,
    /// The soft limit as it was before; commands started for agents should get this one back.
    pub limit_before: u64,
    /// Descriptors that probing may use in all, kept-alive connections included.
    pub for_probes: usize,
    /// Probes that may run at a time, at most [`SLOTS_MAX`].
    pub slots: usize,
}

impl DescriptorBudget {
    /// Raises the soft limit of this process to the hard one, and says what that allows. A refusal of the
    /// system is no error: the budget is then the smaller one.
    pub fn raise() -> Self {
        let before = getrlimit(Resource::Nofile);
        let soft = before.current.unwrap_or(LIMIT_MAX);
        let wanted = before.maximum.unwrap_or(LIMIT_MAX).min(LIMIT_MAX);
        if soft < wanted {
            // The outcome is read back below, so a refusal needs no handling of its own.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: before.maximum });
        }
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(LIMIT_MAX);
        Self::of_limit(limit, soft)
    }

    /// What a limit of `limit` descriptors allows.
    pub fn of_limit(limit: u64, limit_before: u64) -> Self {
        // With fewer descriptors than the reserve asks for, a quarter still goes to probing: who runs out
        // says so for each probe, which is better than a gate that looks at nobody.
        let for_probes = limit.saturating_sub(RESERVE).max(limit / 4).max(1);
        let for_probes = usize::try_from(for_probes).unwrap_or(usize::MAX);
        Self { limit, limit_before, for_probes, slots: for_probes.min(SLOTS_MAX) }
    }

    /// Whether the descriptors, not [`SLOTS_MAX`], limit the probes at a time; people should be told.
    pub fn is_capped(&self) -> bool {
        self.slots < SLOTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_kept_and_never_swallows_everything() {
        for (limit, for_probes, slots, capped) in [
            (20_000, 19_744, 4096, false),
            (4352, 4096, 4096, false),
            (4351, 4095, 4095, true),
            (1024, 768, 768, true),
            (64, 16, 16, true),
            (0, 1, 1, true),
        ] {
            let budget = DescriptorBudget::of_limit(limit, limit);
            assert_eq!((budget.for_probes, budget.slots, budget.is_capped()), (for_probes, slots, capped), "{limit}");
        }
    }

    #[test]
    fn raising_never_lowers() {
        let budget = DescriptorBudget::raise();
        assert!(budget.limit >= budget.limit_before);
    }
}
