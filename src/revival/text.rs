//! What a run file says: a pure reading of its bytes, and all that "once" is judged by.

use super::outcome::Outcome;

/// The mark of a shim: from here on the command may have run.
pub(super) const STARTED: &[u8] = b"started\n";
/// The mark of whoever settled or removed a run before a shim came: it never ran and never can.
pub(super) const NEVER_STARTED: &[u8] = b"never started\n";

/// No run file of ours is longer, in bytes: an argument vector is bounded by the kernel (2 MiB), the two tails in an
/// outcome by 1 MiB each, and at worst JSON needs six characters for a byte.
pub(super) const SIZE_MAX: usize = 32 << 20;

/// All that stands in a run file, or one byte more than [`SIZE_MAX`] of it.
pub(super) struct Text(Vec<u8>);

/// What it tells of the command. Where in doubt, it may have run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// There is no mark: nothing was started yet.
    Nothing,
    /// Nothing was started, and nothing can be any more.
    NeverStarted,
    /// It may have run; there is no outcome, or a torn one.
    Started,
    /// It ended.
    Ended(Outcome),
    /// There is an outcome, and it cannot be read.
    Unreadable {
        /// Why not.
        why: String,
    },
}

impl Text {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// The first line, without its end; torn if it has none.
    pub(super) fn spec(&self) -> &[u8] {
        self.lines().0
    }

    /// `mark` as it has to be appended to become a line of its own: a power cut may have left a first line that is
    /// torn, or none at all.
    pub(super) fn with_mark(&self, mark: &[u8]) -> Vec<u8> {
        let end: &[u8] = if self.0.ends_with(b"\n") { b"" } else { b"\n" };
        [end, mark].concat()
    }

    /// What it tells.
    pub(super) fn told(&self) -> Told {
        if self.0.len() > SIZE_MAX {
            return Told::Unreadable { why: format!("it is longer than {SIZE_MAX} bytes, as none of ours is") };
        }
        // Only a whole mark is waited for before a command starts, so a first line without an end proves that none did.
        let marked = match self.lines().1 {
            None | Some([]) => return Told::Nothing,
            Some(NEVER_STARTED) => return Told::NeverStarted,
            Some(marked) => marked,
        };
        // A mark that is torn or nobody's is taken for a shim's. So is an outcome whose line has not come to its end.
        let Some(outcome) = marked.strip_prefix(STARTED) else { return Told::Started };
        match cut(outcome) {
            (_, None) => Told::Started,
            (line, Some([])) => match Outcome::read(line) {
                Ok(outcome) => Told::Ended(outcome),
                Err(why) => Told::Unreadable { why },
            },
            (_, Some(_)) => Told::Unreadable { why: "something follows it".to_owned() },
        }
    }

    fn lines(&self) -> (&[u8], Option<&[u8]>) {
        cut(&self.0)
    }
}

/// The first line of `bytes` without its end, and what follows that end if there is one.
fn cut(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], Some(&bytes[end + 1..])),
        None => (bytes, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::End;
    use super::super::output::CapturedOutput;
    use super::super::spec::{CommandSpec, Spec};
    use super::*;
    use crate::pool::Timestamp;

    fn told(text: &[u8]) -> Told {
        Text::new(text.to_owned()).told()
    }

    fn spec() -> Vec<u8> {
        let argv = ["echo", "\nstarted\n", "\nnever started\n"].map(str::to_owned).to_vec();
        Spec::line(&CommandSpec::new(argv, vec![])).unwrap()
    }

    fn outcome() -> Outcome {
        let stdout = CapturedOutput { tail: "\nnever started\n{}\r\n\u{2028}".into(), dropped_bytes: 7 };
        let at = Timestamp::from_millis(1_700_000_000_000);
        Outcome { end: End::Exited { code: 0 }, stdout, stderr: CapturedOutput::default(), started: at, ended: at }
    }

    #[test]
    fn each_text_says_what_it_proves() {
        let unreadable = |text: &[u8]| matches!(told(text), Told::Unreadable { .. });
        for (text, expected) in [
            ("", Told::Nothing),
            ("\n", Told::Nothing),
            ("{", Told::Nothing),
            ("{}", Told::Nothing),
            ("{}\n", Told::Nothing),
            // Blocks that never reached the disk.
            ("\0\0\0\0", Told::Nothing),
            // Not behind the first line, so no mark.
            ("started", Told::Nothing),
            ("never started\n", Told::Nothing),
            ("{}\nnever started\n", Told::NeverStarted),
            ("\nnever started\n", Told::NeverStarted),
            ("{\"ver\nnever started\n", Told::NeverStarted),
            // Anything else behind the first line might be a shim's.
            ("{}\nnever started", Told::Started),
            ("{}\nnever", Told::Started),
            ("{}\nnever started\n\n", Told::Started),
            ("{}\nnever started\nstarted\n", Told::Started),
            ("{}\n never started\n", Told::Started),
            ("{}\nNEVER STARTED\n", Told::Started),
            ("{}\nnever started\r\n", Told::Started),
            ("{}\n\nnever started\n", Told::Started),
            ("{}\n\0", Told::Started),
            ("{}\ns", Told::Started),
            ("{}\nstarted", Told::Started),
            ("{}\nstarted\n", Told::Started),
            ("\nstarted\n", Told::Started),
            ("{}\nstarted \n{}\n", Told::Started),
            ("{}\nstarted\n{\"version\":1", Told::Started),
            ("{}\nstarted\nnever started", Told::Started),
        ] {
            assert_eq!(told(text.as_bytes()), expected, "{text:?}");
        }
        let line = String::from_utf8(outcome().line().unwrap()).unwrap();
        for third in [
            "\n",
            "{}\n",
            "[]\n",
            "\0\0\n",
            "never started\n",
            "{\"version\":1\n",
            "{\"version\":99,\"end\":\"new\"}\n",
            &line.replace("\"version\":1", "\"version\":2"),
            &format!("{line}{line}"),
            &format!("{line}\0"),
            &format!(" \n{line}"),
        ] {
            assert!(unreadable(format!("{{}}\nstarted\n{third}").as_bytes()), "{third:?}");
        }
        for first in ["", "{}", "{\"torn"] {
            assert_eq!(told(format!("{first}\nstarted\n{line}").as_bytes()), Told::Ended(outcome()), "{first}");
        }
    }

    /// Whatever of a file has reached the disk: it never says less than the whole would of whether it ran, nor that
    /// it ended before all of that is there.
    #[test]
    fn a_file_that_is_cut_anywhere_says_nothing_that_is_not_so() {
        let (spec, line) = (spec(), outcome().line().unwrap());
        for (mark, third, whole) in
            [(STARTED, line.as_slice(), Told::Ended(outcome())), (NEVER_STARTED, b"".as_slice(), Told::NeverStarted)]
        {
            let text = [spec.as_slice(), mark, third].concat();
            for cut in 0..=text.len() {
                let expected = match cut {
                    _ if cut == text.len() => whole.clone(),
                    _ if cut <= spec.len() => Told::Nothing,
                    _ => Told::Started,
                };
                assert_eq!(told(&text[..cut]), expected, "{:?}", String::from_utf8_lossy(&text[..cut]));
            }
        }
    }

    #[test]
    fn behind_any_part_of_a_spec_a_mark_counts() {
        let (spec, line) = (spec(), outcome().line().unwrap());
        for cut in 0..=spec.len() {
            let text = Text::new(spec[..cut].to_owned());
            assert_eq!(text.spec(), &spec[..cut.min(spec.len() - 1)]);
            let marked = |mark: &[u8]| [&spec[..cut], &text.with_mark(mark)].concat();
            assert_eq!(told(&marked(NEVER_STARTED)), Told::NeverStarted, "{cut}");
            assert_eq!(told(&marked(STARTED)), Told::Started, "{cut}");
            assert_eq!(told(&[marked(STARTED), line.clone()].concat()), Told::Ended(outcome()), "{cut}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_none_of_ours() {
        let mut text = [spec(), NEVER_STARTED.to_owned()].concat();
        text.resize(SIZE_MAX, b' ');
        assert_eq!(told(&text), Told::Started);
        text.push(b' ');
        assert!(matches!(told(&text), Told::Unreadable { .. }));
    }
}
