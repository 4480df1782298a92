//! Lines of the daemon's own standard input, on a thread of its own: reading a terminal cannot be
//! called off, and must not keep the daemon from ending.

use std::io::BufRead as _;
use std::sync::Arc;

use super::{Gateway, inbox};
use crate::channel::terminal::Terminal;
use crate::web::Submitted;

/// Lines longer than this are nobody's command.
const LINE_MAX: usize = 4096;

/// Takes in every line until the input ends, and prints its answer.
pub fn listen(gateway: Arc<Gateway>, output: Terminal) {
    let runtime = tokio::runtime::Handle::current();
    let reading = std::thread::Builder::new().name("terminal".into()).spawn(move || {
        for line in std::io::stdin().lock().lines() {
            // What is no text is no command either; the next line may be.
            let Ok(line) = line else { continue };
            let line = line.trim().to_owned();
            if line.is_empty() || line.len() > LINE_MAX || gateway.bells.is_stopping() {
                continue;
            }
            let (id, said) = inbox::said_at_the_terminal(&gateway, line);
            let answer = match runtime.block_on(inbox::submit(&gateway, id, said)) {
                Ok(Submitted::Answered(answer)) => answer.text,
                Ok(Submitted::Pending | Submitted::IdTaken) => "it is being worked off".to_owned(),
                Err(error) => format!("it could not be taken in: {}", inbox::chain(&error)),
            };
            // A terminal that is gone cannot be told that it is.
            let _ = output.print(&answer);
        }
    });
    if let Err(error) = reading {
        tracing::error!(error = %error, "standard input cannot be read");
    }
}
