use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The end of what a command printed on one stream; what came before is only counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedOutput {
    /// The last part, as text; bytes that are not UTF-8 are replaced. Agent-supplied: strip
    /// control sequences before a person reads it.
    pub tail: String,
    /// How many bytes before [`tail`](Self::tail) were thrown away.
    pub dropped_bytes: u64,
}

/// Keeps the last bytes of a stream in bounded memory, however much is printed.
#[derive(Debug)]
pub(super) struct Tail {
    kept: VecDeque<u8>,
    limit: usize,
    dropped_bytes: u64,
}

impl Tail {
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: VecDeque::new(), limit, dropped_bytes: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let surplus = (self.kept.len() + bytes.len()).saturating_sub(self.limit);
        let old = surplus.min(self.kept.len());
        self.kept.drain(..old);
        self.kept.extend(&bytes[surplus - old..]);
        self.dropped_bytes += surplus as u64;
    }

    pub(super) fn finish(mut self) -> CapturedOutput {
        let mut bytes = &*self.kept.make_contiguous();
        if self.dropped_bytes > 0 {
            // The cut may lie within a character; its rest would only show as replacements.
            let rest = bytes.iter().take(3).take_while(|&&byte| byte & 0b1100_0000 == 0b1000_0000).count();
            bytes = &bytes[rest..];
            self.dropped_bytes += rest as u64;
        }
        CapturedOutput { tail: String::from_utf8_lossy(bytes).into_owned(), dropped_bytes: self.dropped_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept_and_the_others_counted() {
        for (limit, pushes, tail, dropped_bytes) in [
            (4, vec!["ab"], "ab", 0),
            (4, vec!["ab", "cd"], "abcd", 0),
            (4, vec!["abc", "def"], "cdef", 2),
            (4, vec!["ab", "cdefghij"], "ghij", 6),
            (0, vec!["ab", "c"], "", 3),
            (4, vec!["xé€"], "€", 3),
            (3, vec!["a€b"], "b", 4),
        ] {
            let mut kept = Tail::new(limit);
            pushes.iter().for_each(|bytes| kept.push(bytes.as_bytes()));
            let all: usize = pushes.iter().map(|bytes| bytes.len()).sum();
            let captured = kept.finish();
            assert_eq!(captured, CapturedOutput { tail: tail.into(), dropped_bytes }, "{limit} {pushes:?}");
            assert_eq!(captured.tail.len() as u64 + captured.dropped_bytes, all as u64);
        }
    }

    #[test]
    fn binary_output_becomes_text() {
        let mut kept = Tail::new(10);
        kept.push(&[b'a', 0xff, 0, b'b']);
        assert_eq!(kept.finish().tail, "a\u{fffd}\0b");
    }
}
