//! The ways on which people are told and asked. A channel carries: it turns what is due into messages,
//! and what people say into [`Said`](crate::approval::Said), which goes into the inbox. It decides
//! nothing, keeps no queue of its own (what is due stands in the store until it was confirmed) and
//! knows no other channel, so that one which fails never stops the others.

pub mod nostr;
pub mod telegram;
mod terminal;

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::pool::Timestamp;
use crate::wording::Content;
pub use terminal::{Heard, Terminal, listen};

/// A way on which people are told.
pub trait Channel: Send + Sync + 'static {
    /// Its key under `channels` in the configuration.
    fn name(&self) -> &'static str;

    /// Hands one message over. Delivered means that the other side has confirmed it; an answer that
    /// got lost is a [`Delivery::Retry`], since twice is better than not at all. May be dropped at any
    /// await.
    fn deliver<'a>(&'a self, message: Outgoing<'a>) -> BoxFuture<'a, Delivery>;
}

/// A message that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// Its id in the store: the same at each attempt.
    pub id: &'a str,
    /// When it was made: the same at each attempt.
    pub made_at: Timestamp,
    /// To which chat, recipient or terminal; the channel's own form.
    pub target: &'a str,
    /// What it says: harmless, and not too long.
    pub content: &'a Content,
    /// What it does there.
    pub kind: Kind<'a>,
}

/// What a message does on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// It stands for itself.
    New,
    /// It takes the place of all of these. A channel that cannot edit says it anew.
    Edit(&'a [String]),
    /// It answers a tap; its target is that tap.
    Answer,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The other side has it.
    Delivered {
        /// The id it has there, where there are ids.
        remote_id: Option<String>,
    },
    /// Not now.
    Retry {
        /// Not before this time has passed.
        after: Duration,
        /// Why, in a few words, without secrets.
        why: String,
    },
    /// The other side wants a pause for this target: nothing is wrong.
    Pause {
        /// For how long.
        after: Duration,
    },
    /// The target has another name from now on.
    Moved {
        /// Which.
        to: String,
    },
    /// The target cannot be reached any more; other targets can.
    Lost {
        /// Why, in a few words, without secrets.
        why: String,
    },
    /// Never: the message to be edited was deleted, or nobody would take it.
    Gone {
        /// Why, in a few words, without secrets.
        why: String,
    },
    /// The whole channel is stopped until somebody mends it.
    Stopped {
        /// Why, in a few words, without secrets.
        why: String,
    },
}
