//! The daemon's own output and input. A message is delivered when it was written and flushed.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::{Channel, Delivered};

/// Where messages and answers are written, one whole at a time.
#[derive(Clone)]
pub struct Terminal {
    out: Arc<Mutex<Box<dyn Write + Send>>>,
}

impl Terminal {
    /// Writes to `out`.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self { out: Arc::new(Mutex::new(Box::new(out))) }
    }

    /// Writes one text and a line break at once.
    pub fn print(&self, text: &str) -> std::io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(format!("{text}\n").as_bytes())?;
        out.flush()
    }
}

impl Channel for Terminal {
    fn name(&self) -> &'static str {
        "terminal"
    }

    fn deliver<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Delivered> {
        Box::pin(async move {
            match self.print(text) {
                Ok(()) => Delivered::Yes { remote_id: None },
                Err(error) => Delivered::Later { after: None, why: format!("the output cannot be written: {error}") },
            }
        })
    }
}
