//! The ways on which people are told and asked. A channel carries: it turns what is due into messages,
//! and what people say into [`Said`](crate::approval::Said), which goes into the inbox. It decides
//! nothing, keeps no queue of its own (what is due stands in the store until it was confirmed) and
//! knows no other channel, so that one which fails never stops the others.

mod terminal;

use std::time::Duration;

use futures_util::future::BoxFuture;

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
    /// To which chat, recipient or terminal; the channel's own form.
    pub target: &'a str,
    /// The text, ready for people: harmless, and not too long.
    pub text: &'a str,
    /// The message on the other side that this one takes the place of, for an edit. A channel that
    /// cannot edit says it anew.
    pub replaces: Option<&'a str>,
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
    /// Never: the chat is lost, the message to be edited was deleted, the output was closed.
    Gone {
        /// Why, in a few words, without secrets.
        why: String,
    },
}
