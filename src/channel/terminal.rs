//! The daemon's own output and input as a channel: a message is delivered when it was written and
//! flushed, a line that was typed is something said by the user that the daemon runs as.
//!
//! A terminal that was stopped, or a pipe that nobody reads, blocks whoever writes to it, for ever. So one
//! thread of its own writes (whole messages, one after the other), and one reads; everybody else waits
//! for them as long as it pleases them. Neither is waited for at the end of the process.

use std::future::Future;
use std::io::{BufRead, ErrorKind, Read as _, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::{Channel, Delivery, Kind, Outgoing};
use crate::approval::{self, Said, Speaker};

/// Messages that wait for the thread that writes; a full queue means that the output is blocked.
const QUEUE: usize = 16;
/// How long one message may take to be written.
const PATIENCE: Duration = Duration::from_secs(10);
/// When a message is tried again that could not be written.
const AGAIN: Duration = Duration::from_secs(30);
/// Longest line that is read, in bytes; the grammar keeps less.
const LINE_MAX: usize = 4096;

type Written = oneshot::Sender<std::io::Result<()>>;

/// The daemon's output as a channel. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Terminal {
    queue: SyncSender<(String, Written)>,
    patience: Duration,
}

impl Terminal {
    /// Writes to `output`: the daemon's standard output, or whatever a test looks into.
    ///
    /// # Errors
    /// The thread that writes cannot be started.
    pub fn new(output: Box<dyn Write + Send>) -> std::io::Result<Self> {
        Self::with_patience(output, PATIENCE)
    }

    fn with_patience(output: Box<dyn Write + Send>, patience: Duration) -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(QUEUE);
        std::thread::Builder::new().name("terminal-out".into()).spawn(move || write_all(output, &waiting))?;
        Ok(Self { queue, patience })
    }

    /// Writes `text` as a block of its own, a line break after it.
    ///
    /// # Errors
    /// The output says no, or is blocked ([`ErrorKind::TimedOut`], [`ErrorKind::WouldBlock`]): then it may
    /// still be written later.
    pub async fn say(&self, text: &str) -> std::io::Result<()> {
        self.write(format!("{}\n", text.trim_end())).await
    }

    async fn write(&self, block: String) -> std::io::Result<()> {
        let (written, done) = oneshot::channel();
        self.queue.try_send((block, written)).map_err(|error| match error {
            TrySendError::Full(_) => ErrorKind::WouldBlock,
            TrySendError::Disconnected(_) => ErrorKind::BrokenPipe,
        })?;
        match tokio::time::timeout(self.patience, done).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(ErrorKind::BrokenPipe.into()),
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }
}

/// Ends when nobody can send any more.
fn write_all(mut output: Box<dyn Write + Send>, waiting: &Receiver<(String, Written)>) {
    for (block, written) in waiting {
        // One call for the whole, so that the lines of the log do not come in between.
        let result = output.write_all(block.as_bytes()).and_then(|()| output.flush());
        let _ = written.send(result);
    }
}

impl Channel for Terminal {
    fn name(&self) -> &'static str {
        "terminal"
    }

    fn deliver<'a>(&'a self, message: Outgoing<'a>) -> BoxFuture<'a, Delivery> {
        Box::pin(async move {
            if message.kind == Kind::Answer {
                return Delivery::Gone { why: "there are no taps on a terminal".into() };
            }
            // A blank line after each: at 3 a.m. one must see where a message ends.
            match self.write(format!("{}\n\n", message.content.text.trim_end())).await {
                Ok(()) => Delivery::Delivered { remote_id: None },
                // The next start has another output: what is due waits for that.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    Delivery::Retry { after: AGAIN, why: "the daemon's output was closed".into() }
                }
                Err(error) => Delivery::Retry { after: AGAIN, why: format!("writing to the daemon's output: {error}") },
            }
        })
    }
}

/// Something that came from the daemon's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line.
    Line(String),
    /// A line that was longer than any command; what it said is dropped.
    TooLong,
}

/// Hands every line of `input` to `submit`, as said by `uid` (the user that the daemon runs as), and writes
/// the answer that comes back. One after the other. Ends when the input does; may be dropped before.
///
/// # Errors
/// The thread that reads cannot be started.
pub async fn listen<F>(
    terminal: &Terminal,
    input: Box<dyn BufRead + Send>,
    uid: u32,
    submit: impl Fn(Said) -> F,
) -> std::io::Result<()>
where
    F: Future<Output = String>,
{
    let (heard, mut lines) = mpsc::channel(1);
    std::thread::Builder::new().name("terminal-in".into()).spawn(move || read_all(input, &heard))?;
    while let Some(heard) = lines.recv().await {
        let answer = match heard {
            Heard::Line(line) if line.trim().is_empty() => continue,
            Heard::Line(line) => {
                let speaker = Speaker::LocalUser(uid);
                submit(Said { speaker, via: approval::Channel::Terminal, line, context: None, document: None }).await
            }
            Heard::TooLong => format!("not understood: a line has at most {LINE_MAX} bytes."),
        };
        if let Err(error) = terminal.say(&answer).await {
            // The answer is kept in the inbox; what was said counts.
            tracing::warn!(%error, "an answer could not be written to the daemon's output");
        }
    }
    Ok(())
}

/// Ends with the input, or when nobody listens any more.
fn read_all(mut input: Box<dyn BufRead + Send>, heard: &mpsc::Sender<Heard>) {
    loop {
        let mut line = Vec::new();
        let taken = (&mut input).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line);
        let said = match taken {
            Ok(0) => return,
            Ok(_) if line.len() > LINE_MAX && !line.ends_with(b"\n") => {
                if skip_line(&mut *input).is_err() {
                    return;
                }
                Heard::TooLong
            }
            Ok(_) => Heard::Line(String::from_utf8_lossy(&line).trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!(%error, "the daemon's input can no longer be read");
                return;
            }
        };
        if heard.blocking_send(said).is_err() {
            return;
        }
    }
}

/// Reads up to the next line break without keeping anything.
fn skip_line(input: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Blocks until the other end of the channel goes.
    struct Blocked(Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Err(ErrorKind::Other.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    async fn deliver(terminal: &Terminal, text: &str) -> Delivery {
        let content = crate::wording::Content::plain(text);
        let (id, made_at) = ("m", crate::pool::Timestamp::from_millis(0));
        terminal.deliver(Outgoing { id, made_at, target: "", content: &content, kind: Kind::New }).await
    }

    async fn answers(typed: &str) -> (Vec<Said>, String) {
        let screen = Screen::default();
        let terminal = Terminal::new(Box::new(screen.clone())).unwrap();
        let said = Mutex::new(Vec::new());
        let input = Box::new(Cursor::new(typed.to_owned().into_bytes()));
        listen(&terminal, input, 1000, |one| {
            let answer = format!("heard: {}", one.line);
            said.lock().unwrap().push(one);
            async { answer }
        })
        .await
        .unwrap();
        (said.into_inner().unwrap(), screen.text())
    }

    #[tokio::test]
    async fn a_message_is_delivered_when_it_was_written() {
        let screen = Screen::default();
        let terminal = Terminal::new(Box::new(screen.clone())).unwrap();
        assert_eq!(deliver(&terminal, "two\nlines").await, Delivery::Delivered { remote_id: None });
        assert_eq!(screen.text(), "two\nlines\n\n");
        let many = (0..10).map(|number| {
            let terminal = terminal.clone();
            let text = format!("begin {number}\nend {number}");
            async move { deliver(&terminal, &text).await }
        });
        futures_util::future::join_all(many).await;
        let text = screen.text();
        for number in 0..10 {
            assert!(text.contains(&format!("begin {number}\nend {number}\n")), "{text}");
        }
    }

    #[tokio::test]
    async fn an_output_that_fails_or_blocks_is_told() {
        let closed = Terminal::new(Box::new(Failing(ErrorKind::BrokenPipe))).unwrap();
        assert!(matches!(deliver(&closed, "x").await, Delivery::Retry { .. }));
        let full = Terminal::new(Box::new(Failing(ErrorKind::StorageFull))).unwrap();
        assert!(matches!(deliver(&full, "x").await, Delivery::Retry { .. }));
        let (release, held) = sync_channel(0);
        let blocked = Terminal::with_patience(Box::new(Blocked(held)), Duration::from_millis(1)).unwrap();
        for _ in 0..2 * QUEUE {
            assert!(matches!(deliver(&blocked, "x").await, Delivery::Retry { .. }));
        }
        drop(release);
    }

    #[tokio::test]
    async fn lines_become_what_the_daemons_user_said() {
        let (said, text) = answers("approve 7K3QXM\r\n\n  \n deny 7K3QXM no").await;
        let lines: Vec<_> = said.iter().map(|one| one.line.as_str()).collect();
        assert_eq!(lines, ["approve 7K3QXM", "deny 7K3QXM no"]);
        assert!(said.iter().all(|one| one.speaker == Speaker::LocalUser(1000)));
        assert!(said.iter().all(|one| one.via == approval::Channel::Terminal));
        assert_eq!(text, "heard: approve 7K3QXM\nheard: deny 7K3QXM no\n");
    }

    #[tokio::test]
    async fn a_flood_without_line_breaks_is_dropped() {
        let (said, text) = answers(&format!("{}\nrelease\n{}", "x".repeat(100_000), "y".repeat(5000))).await;
        assert_eq!(said.len(), 1, "{text}");
        assert_eq!(text.matches("a line has at most 4096 bytes").count(), 2);
        assert!(text.contains("heard: release"));
    }
}
