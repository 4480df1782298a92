use std::io::{self, Write};

use serde::Serialize;

/// Writes what was asked for to standard output: the text, or with `--json` the value.
///
/// Whoever closed the pipe has read enough: that is no error.
///
/// # Errors
/// Standard output cannot be written to (a full disk, say).
pub fn print(text: &str, value: &impl Serialize, json: bool) -> anyhow::Result<()> {
    print_to(&mut anstream::stdout().lock(), text, value, json)
}

fn print_to(out: &mut dyn Write, text: &str, value: &impl Serialize, json: bool) -> anyhow::Result<()> {
    let written = if json {
        serde_json::to_writer_pretty(&mut *out, value).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        writeln!(out, "{}", plain(text))
    };
    tolerate(written.and_then(|()| out.flush()))
}

/// Writes bytes as they are.
///
/// # Errors
/// As of [`print`].
pub fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    tolerate(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Tells something besides: to standard error, where it does not disturb what is piped on. There is
/// nobody to tell if that fails.
pub fn aside(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", plain(text));
}

/// That nobody reads on (`| head`) is no failure.
pub(super) fn tolerate(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| anyhow::Error::new(error).context("writing to standard output")),
    }
}

/// What comes over a socket is printed without anything that a terminal would obey, whoever sent it.
fn plain(text: &str) -> String {
    text.trim_end().chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        for json in [false, true] {
            assert!(print_to(&mut Broken(io::ErrorKind::BrokenPipe), "x", &"x", json).is_ok());
            assert!(print_to(&mut Broken(io::ErrorKind::StorageFull), "x", &"x", json).is_err());
        }
    }

    #[test]
    fn text_for_people_and_values_for_programs() {
        let mut out = Vec::new();
        print_to(&mut out, "two\nlines\u{1b}[2J\n", &1, false).unwrap();
        print_to(&mut out, "ignored", &serde_json::json!({ "a": 1 }), true).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "two\nlines[2J\n{\n  \"a\": 1\n}\n");
    }
}
