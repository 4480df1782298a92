//! The channel's life: find the key, connect, take in and send until the daemon stops. What needs a human
//! stops the channel, and never the daemon.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::intake::{self, DoneWith, Door, LISTS};
use super::opening::{self, speaker};
use super::pages::Pages;
use super::relay::Line;
use super::send::Sender;
use super::{SOURCE, awaited};
use crate::approval::{Channel, Speaker};
use crate::channel::nostr::nostr_sdk::{Event, PublicKey, RelayUrl, Timestamp as Seconds};
use crate::channel::nostr::{Clock, Embedded, Key, Knows, Overheard, Relays, Signer, Word, lists};
use crate::gateway::ledger::from_body;
use crate::gateway::{Gateway, deliver, inbox, speak, start};
use crate::pool::Timestamp;
use crate::store::{self, StoreError, Tx};
use crate::wording::Alarm;

/// So often a relay is told who we are that does not take it yet.
const INTRODUCTIONS: u32 = 5;
/// And after so long the first time; that doubles.
const INTRODUCE_AGAIN: Duration = Duration::from_secs(5);
/// Who we were when an earlier run last knew: what it left in the inbox was said to that key.
const US: &str = "nostr.us";

/// What an earlier run knew of where people are, and of who we are.
pub async fn remember(gateway: &Gateway) -> Result<(), StoreError> {
    let (lists, us) = {
        let mut read = gateway.store.read().await?;
        (store::meta::get(&mut read, LISTS).await?, store::meta::get(&mut read, US).await?)
    };
    if let Some(text) = lists {
        gateway.nostr.set_lists(from_body("meta", LISTS, &text)?);
    }
    if let Some(us) = us {
        gateway.nostr.set_us(us);
    }
    Ok(())
}

/// Runs until the daemon stops. A channel that was stopped begins anew when the files are loaded.
pub async fn run(gateway: Arc<Gateway>) {
    while !gateway.bells.is_stopping() {
        gateway.nostr.begin(gateway.clock.now());
        let config = gateway.in_force().config.gate.channels.nostr.clone();
        // What was mended until now is read now.
        let _ = gateway.bells.mended_nostr.notified().now_or_never();
        match Key::find(&config, &gateway.environment) {
            Ok(key) => {
                let Some(signer) = speaker(&gateway, key, &config).await else { continue };
                match introduce_ourselves(&gateway, &signer).await {
                    Ok(()) => return work(&gateway, signer).await,
                    Err(error) => stop_now(&gateway, inbox::chain(&error)).await,
                }
            }
            Err(error) => stop_now(&gateway, inbox::chain(&error)).await,
        }
        tokio::select! {
            () = gateway.bells.mended_nostr.notified() => {}
            () = gateway.bells.stopped() => return,
        }
    }
}

/// Who we are is kept before anything is taken in.
async fn introduce_ourselves(gateway: &Gateway, signer: &Signer) -> Result<(), StoreError> {
    let us = signer.hex();
    if gateway.nostr.us().as_ref() != Some(&us) {
        let kept = us.clone();
        gateway.store.write(move |tx| Box::pin(async move { store::meta::set(tx, US, &kept).await })).await?;
        gateway.nostr.set_us(us);
    }
    Ok(())
}

/// Every relay that the configuration names, wherever it is.
pub fn configured(gateway: &Gateway) -> BTreeSet<RelayUrl> {
    let gate = &gateway.in_force().config.gate;
    let of_people = gate.people.iter().flat_map(|person| person.relays.clone());
    gate.channels.nostr.all_relays().into_iter().chain(of_people).collect()
}

/// Takes in and sends; ends when the daemon does.
async fn work(gateway: &Arc<Gateway>, signer: Signer) {
    let config = gateway.in_force().config.gate.channels.nostr.clone();
    let embedded = match config.embedded_relay {
        Some(at) => Some(Embedded::start(at, clock(gateway), knows(gateway)).await),
        None => None,
    };
    if let Some(Err(why)) = &embedded {
        tracing::error!(why, "there is no relay of our own");
        tell(gateway, Alarm::ChannelDown { channel: SOURCE.into(), why: why.clone() }).await;
    }
    let (pages, done_with) = (Arc::new(Pages::default()), DoneWith::default());
    let (door, came, comes) = Door::new(Arc::clone(gateway), signer.clone(), done_with.clone());
    let comes = match &signer {
        Signer::Local(_) => comes,
        Signer::Remote(remote, us) => opening::start(gateway, remote, us, done_with.clone(), comes),
    };
    let counted = Arc::clone(&pages);
    let overheard: Overheard = Arc::new(move |url, text| counted.overhear(url.as_str_without_trailing_slash(), text));
    let relays = Arc::new(Relays::new(signer.clone(), door, overheard, configured(gateway), config.call_deadline));
    let wraps = Arc::clone(&done_with.wraps);
    let mut keeping = tokio::spawn(intake::keep(Arc::clone(gateway), done_with, comes));
    let (end, over) = watch::channel(false);
    let mut lines = JoinSet::new();
    lines.spawn(awaited::keep(Arc::clone(gateway), over.clone()));
    for url in config.all_relays() {
        let line = Line {
            gateway: Arc::clone(gateway),
            relays: Arc::clone(&relays),
            pages: Arc::clone(&pages),
            wraps: Arc::clone(&wraps),
            trust: Mutex::default(),
            url,
            us: signer.public(),
            came: came.clone(),
            over: over.clone(),
        };
        lines.spawn(line.run());
    }
    drop(came);
    let sender = Arc::new(Sender::new(Arc::clone(gateway), Arc::clone(&relays)));
    // It sends what is due a last time when the daemon stops; the relays are needed until then.
    let sending = deliver::run(Arc::clone(gateway), sender, Channel::Nostr);
    tokio::pin!(sending);
    let ended = async {
        tokio::select! {
            kept = &mut keeping => kept,
            Some(line) = lines.join_next() => line,
        }
    };
    tokio::select! {
        () = &mut sending => {}
        ended = ended => {
            if !gateway.bells.is_stopping() {
                // A gateway that can still ask, and hears no answer any more, is a picture of itself: it ends, and
                // whoever started it starts it again.
                if let Err(broken) = ended
                    && let Ok(panic) = broken.try_into_panic()
                {
                    std::panic::resume_unwind(panic);
                }
                return;
            }
            sending.await;
        }
    }
    end.send_replace(true);
    while lines.join_next().await.is_some() {}
    relays.shutdown().await;
    drop(relays);
    // What is in hand is kept; the rest comes again.
    keeping.abort();
    drop(embedded);
}

/// The gateway's time, as events have it.
pub(super) fn clock(gateway: &Arc<Gateway>) -> Clock {
    let gateway = Arc::clone(gateway);
    Arc::new(move || Seconds::from(u64::try_from(gateway.clock.now().as_secs()).unwrap_or(0)))
}

/// Who is the gateway or a person, by the files in force.
fn knows(gateway: &Arc<Gateway>) -> Knows {
    let gateway = Arc::clone(gateway);
    Arc::new(move |key| {
        gateway.nostr.us().as_deref() == Some(key)
            || gateway.in_force().people.who(&Speaker::Nostr(key.to_owned())).is_some()
    })
}

/// Tells a relay who we are, without which most clients let nobody answer us in private.
pub async fn introduce(gateway: Arc<Gateway>, relays: Arc<Relays>, us: PublicKey, url: RelayUrl) {
    let config = gateway.in_force().config.gate.channels.nostr.clone();
    let at = Seconds::from(u64::try_from(gateway.clock.now().as_secs()).unwrap_or(0));
    let name = url.as_str_without_trailing_slash();
    let mut left: Vec<Event> = Vec::new();
    for event in lists::own(us, &config.name, &config.all_relays(), at) {
        match relays.signer().sign(&event).await {
            Ok(event) => left.push(event),
            // At the next connection we begin anew.
            Err(why) => return tracing::warn!(relay = name, %why, "what we say of ourselves is not signed"),
        }
    }
    let mut wait = INTRODUCE_AGAIN;
    for _ in 0..INTRODUCTIONS {
        let mut again = Vec::new();
        // One that is refused says nothing about the next: some relays take lists and no profiles.
        for event in left {
            let (why, later) = match relays.publish(&event, &url).await {
                Word::Accepted => continue,
                Word::Later(why) => (why, true),
                Word::Never(why) | Word::NotThere(why) => (why, false),
            };
            tracing::warn!(relay = name, why, "a relay does not take what we say of ourselves");
            gateway.nostr.says(name, format!("does not take our lists: {why}"), gateway.clock.now());
            if later {
                again.push(event);
            }
        }
        if again.is_empty() || !relays.is_connected(&url).await {
            // At the next connection we begin anew.
            return;
        }
        left = again;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = gateway.bells.stopped() => return,
        }
        wait *= 2;
    }
}

/// A relay is reached after none was: nobody may come too late for our sake, and what waited is sent.
pub async fn back(gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    start::extend_pending(gateway).await?;
    let now = gateway.clock.now();
    gateway
        .store
        .write(move |tx| Box::pin(async move { store::messages::lift(tx, SOURCE, now).await.map(drop) }))
        .await?;
    gateway.bells.deliver();
    Ok(())
}

/// Stops the channel: nothing is sent or heard until somebody mends it. The other channels are told.
pub async fn stop(tx: &mut Tx, gateway: &Gateway, why: String, now: Timestamp) -> Result<(), StoreError> {
    let alarm = Alarm::ChannelStopped { channel: SOURCE.into(), why };
    if gateway.nostr.stop() {
        gateway.status.settle(SOURCE);
        gateway.status.raise(SOURCE, alarm.clone(), now);
        speak::alarm(tx, gateway, &alarm, now).await?;
    }
    Ok(())
}

async fn stop_now(gateway: &Arc<Gateway>, why: String) {
    tracing::error!(why, "Nostr is stopped until that is mended");
    let job = Arc::clone(gateway);
    let stopped =
        gateway.store.write(move |tx| Box::pin(async move { stop(tx, &job, why, job.clock.now()).await })).await;
    if let Err(error) = stopped {
        tracing::error!(error = inbox::chain(&error), "nobody could be told");
    }
    gateway.bells.deliver();
}

/// Tells an alarm on the other channels.
pub async fn tell(gateway: &Arc<Gateway>, alarm: Alarm) {
    if let Err(error) = speak::raise(gateway, alarm).await {
        tracing::error!(error = inbox::chain(&error), "nobody could be told");
    }
}
