//! The ways to reach people. A channel is told what to send and says what became of it; which
//! words, whom and when is decided elsewhere.

use std::time::Duration;

use futures_util::future::BoxFuture;

pub mod terminal;

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The other side has it.
    Yes {
        /// Its id there, for later edits; none where nothing can be edited.
        remote_id: Option<String>,
    },
    /// Not now.
    Later {
        /// The other side's own wish, if it has told one.
        after: Option<Duration>,
        /// Why.
        why: String,
    },
    /// Never: the chat is gone.
    Never {
        /// Why.
        why: String,
    },
}

/// One way out.
pub trait Channel: Send + Sync + 'static {
    /// Its word in the store.
    fn name(&self) -> &'static str;

    /// Sends `text`.
    fn deliver<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Delivered>;
}
