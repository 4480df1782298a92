//! What is waited for: since when a request has been open, and the open notes that tell of open requests.
//! Both change what relays are asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::SOURCE;
use super::relay::ended;
use crate::gateway::{Gateway, inbox};
use crate::pool::Timestamp;
use crate::store::{self, StoreError};

/// Notes that a relay is asked about at most, those of the newest requests first: a filter of thousands would
/// be refused.
const NOTES_MAX: u32 = 256;
/// How the target of an open note begins. Ids of private messages are told to no relay.
const OPEN_NOTE: &str = "note:";

/// What is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Awaited {
    /// The oldest open request was made then.
    pub since: Option<Timestamp>,
    /// The open notes that tell of open requests, by their ids.
    pub notes: BTreeSet<String>,
}

impl Awaited {
    /// As it stands in the store.
    pub async fn load(gateway: &Gateway) -> Result<Self, StoreError> {
        let mut read = gateway.store.read().await?;
        let since = store::requests::oldest_pending(&mut read).await?;
        let notes = store::tokens::ids_of_pending(&mut read, SOURCE, OPEN_NOTE, NOTES_MAX).await?;
        Ok(Self { since, notes: notes.into_iter().collect() })
    }
}

/// Looks what is waited for, when a note goes out and from time to time, until nothing more is sent.
pub async fn keep(gateway: Arc<Gateway>, mut over: watch::Receiver<bool>) {
    loop {
        match Awaited::load(&gateway).await {
            Ok(awaited) => gateway.nostr.awaits(awaited),
            Err(error) => tracing::warn!(error = inbox::chain(&error), "what is waited for could not be looked up"),
        }
        let every = gateway.in_force().config.gate.channels.nostr.watchdog;
        tokio::select! {
            () = gateway.nostr.note_went_out() => {}
            () = tokio::time::sleep(every) => {}
            () = ended(&mut over) => return,
        }
    }
}
