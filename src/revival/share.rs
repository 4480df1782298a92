//! Which runs share a shim.

use std::collections::VecDeque;

/// Runs that share one shim at most. In a storm of approvals the start of a process is the dearest part of a command, so
/// they share it; a shim that is killed leaves all of its runs *unknown*, so not more of them do.
const SHARED_MAX: usize = 8;
/// Descriptors that a shim of several runs must be allowed: each takes up to nine while its command is started.
const DESCRIPTORS_MIN: u64 = 128;

/// What all runs of a shim have in common: it is the shim's own, and their commands inherit it.
#[derive(PartialEq, Eq)]
pub(super) struct Common {
    /// The environment. Two orders of the same are two: it is handed on as it is.
    pub(super) env: Vec<(String, String)>,
    /// The soft limit of open descriptors.
    pub(super) descriptors: Option<u64>,
}

impl Common {
    /// How many runs with this share one shim at most.
    fn most(&self) -> usize {
        if self.descriptors.is_some_and(|limit| limit < DESCRIPTORS_MIN) { 1 } else { SHARED_MAX }
    }
}

/// Takes the first of `waiting` out, and with it the next ones that have the same in common, as many as may share a
/// shim. Those it takes and those it leaves stay in their order.
pub(super) fn take_together<T>(waiting: &mut VecDeque<T>, common: impl Fn(&T) -> &Common) -> Vec<T> {
    let mut together: Vec<T> = waiting.pop_front().into_iter().collect();
    let most = together.first().map_or(0, |first| common(first).most());
    let mut at = 0;
    while together.len() < most && at < waiting.len() {
        if common(&waiting[at]) == common(&together[0]) {
            together.extend(waiting.remove(at));
        } else {
            at += 1;
        }
    }
    together
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(env: &str, descriptors: Option<u64>) -> Common {
        Common { env: vec![("WHICH".into(), env.into())], descriptors }
    }

    /// Each letter is a run: the same letter, the same environment; the case tells the limit of descriptors.
    #[test]
    fn those_that_wait_go_with_their_like_in_order_and_not_too_many() {
        let few = Some(DESCRIPTORS_MIN - 1);
        for (waiting, few_may, groups) in [
            ("", false, vec![]),
            ("a", false, vec!["a0"]),
            ("aaa", false, vec!["a0 a1 a2"]),
            ("abab", false, vec!["a0 a2", "b1 b3"]),
            ("abca", false, vec!["a0 a3", "b1", "c2"]),
            ("aAa", false, vec!["a0 a2", "A1"]),
            ("aaaaaaaa", false, vec!["a0 a1 a2 a3 a4 a5 a6 a7"]),
            ("aaaabaaaaaa", false, vec!["a0 a1 a2 a3 a5 a6 a7 a8", "b4", "a9 a10"]),
            ("AaAa", true, vec!["A0", "a1 a3", "A2"]),
        ] {
            let of = |letter: char| {
                let limit = if !letter.is_uppercase() {
                    None
                } else if few_may {
                    few
                } else {
                    Some(DESCRIPTORS_MIN)
                };
                common(&letter.to_lowercase().to_string(), limit)
            };
            let mut left: VecDeque<_> =
                waiting.chars().enumerate().map(|(at, letter)| (format!("{letter}{at}"), of(letter))).collect();
            let mut taken = Vec::new();
            while !left.is_empty() {
                let together = take_together(&mut left, |(_, common)| common);
                taken.push(together.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" "));
            }
            assert_eq!(taken, groups, "{waiting}");
            assert!(take_together(&mut left, |(_, common)| common).is_empty());
        }
    }
}
