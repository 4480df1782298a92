//! One relay: connect, ask for everything that is ours, read what waited there page by page, and see to it
//! that our questions stay open. The library is given no subscription to keep: it would forget it at almost
//! every refusal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, OptionFuture};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::compare::Trust;
use super::intake::Came;
use super::known::Known;
use super::pages::Pages;
use super::people::all_keys;
use super::standing::{Question, Standing};
use super::{SOURCE, start};
use crate::channel::nostr::nostr_sdk::pool::RelayNotification;
use crate::channel::nostr::nostr_sdk::{
    ClientMessage, Filter, Kind, PublicKey, Relay, RelayMessage, RelayStatus, RelayUrl, SubscriptionId,
};
use crate::channel::nostr::{Relays, Signer};
use crate::gateway::Gateway;
use crate::wording::Alarm;

/// A connection that has held for so long was a good one.
const GOOD: Duration = Duration::from_secs(60);
/// What waited is read again so often, whatever the relay says: so the place up to which it was read moves on.
const READ_AGAIN: Duration = Duration::from_secs(3600);
/// Where that failed, it is tried after a deadline, then after two, and so on, up to this.
const READ_AGAIN_MAX: Duration = Duration::from_secs(300);
/// Notes that go out together change a question once.
const GATHER: Duration = Duration::from_millis(200);
/// So many refusals in a row are told to people.
const REFUSALS_MAX: u32 = 3;
/// So long without any relay, people on the other channels hear of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// One relay of the configuration.
pub struct Line {
    /// The daemon.
    pub gateway: Arc<Gateway>,
    /// The connections.
    pub relays: Arc<Relays>,
    /// What pages bring.
    pub pages: Arc<Pages>,
    /// The wraps that were worked off.
    pub wraps: Arc<Known>,
    /// Whether comparing sets with this relay may take the place of pages.
    pub trust: Mutex<Trust>,
    /// Where it is.
    pub url: RelayUrl,
    /// Our own key.
    pub us: PublicKey,
    /// Says that what came in before is to be kept first.
    pub came: mpsc::Sender<Came>,
    /// Ends when nothing more is to be sent.
    pub over: watch::Receiver<bool>,
}

impl Line {
    /// Stays with the relay until nothing more is to be sent.
    pub async fn run(mut self) {
        let mut wait = self.settings().retry;
        let mut down_since: Option<Instant> = None;
        let mut over = self.over.clone();
        while !*over.borrow() {
            let opened = tokio::select! {
                opened = self.relays.open(&self.url) => opened,
                () = ended(&mut over) => return,
            };
            let why = match opened {
                Ok(relay) => {
                    let since = Instant::now();
                    down_since = None;
                    let why = self.stay(&relay).await;
                    if since.elapsed() >= GOOD {
                        wait = self.settings().retry;
                    }
                    why
                }
                Err(why) => why,
            };
            self.relays.close(&self.url).await;
            if *over.borrow() {
                return;
            }
            self.gateway.nostr.lost(&self.name(), why.clone(), self.gateway.clock.now());
            let down = *down_since.get_or_insert_with(Instant::now);
            if !self.gateway.nostr.is_connected() {
                self.all_down(why, down.elapsed()).await;
            }
            // Those that lost the same relay at the same moment do not come back at the same moment.
            let pause = wait.mul_f64(0.5 + self.gateway.ids.share());
            wait = (wait * 2).min(self.settings().retry_max);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = ended(&mut over) => return,
            }
        }
    }

    pub(super) fn settings(&self) -> crate::config::gate::Nostr {
        self.gateway.in_force().config.gate.channels.nostr.clone()
    }

    pub(super) fn name(&self) -> String {
        self.url.as_str_without_trailing_slash().to_owned()
    }

    pub(super) fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn all_down(&self, why: String, since: Duration) {
        let alarm = Alarm::ChannelDown { channel: SOURCE.into(), why: format!("no relay is reached: {why}") };
        self.gateway.status.raise(SOURCE, alarm.clone(), self.gateway.clock.now());
        if since >= PATIENCE && self.gateway.status.raise("nostr.told", alarm.clone(), self.gateway.clock.now()) {
            start::tell(&self.gateway, alarm).await;
        }
    }

    /// Works on one connection; tells why it ended.
    async fn stay(&mut self, relay: &Relay) -> String {
        let mut notes = relay.notifications();
        let name = self.name();
        let first = self.gateway.nostr.connected(&name, self.gateway.clock.now());
        if first {
            self.gateway.status.settle("nostr.told");
            self.gateway.status.settle(SOURCE);
            if let Err(error) = start::back(&self.gateway).await {
                tracing::error!(error = crate::gateway::inbox::chain(&error), "messages wait on");
            }
        }
        self.gateway.bells.deliver();
        let mut asked = all_keys(&self.gateway.in_force());
        let mut awaited = self.gateway.nostr.awaited();
        let mut notes_asked = awaited.borrow_and_update().notes.clone();
        let mut standing = Standing::new(Instant::now());
        let (mut complained, mut failures) = (false, 0);
        let mut reading: Option<BoxFuture<'_, Result<(), String>>> = None;
        let mut read_at = Instant::now();
        let mut passed_over = self.gateway.nostr.passed_over();
        let mut greeted = false;
        let mut beaten = Instant::now();
        let mut heard_before = relay.stats().bytes_received();
        if let Err(why) = self.beat(relay) {
            return why;
        }
        let mut over = self.over.clone();
        let mut watchdog = tokio::time::interval(self.settings().watchdog.max(Duration::from_millis(10)));
        let this = &*self;
        loop {
            tokio::select! {
                note = notes.recv() => match note {
                    Ok(RelayNotification::Message { message: RelayMessage::Closed { subscription_id, message } }) => {
                        if let Some(refusals) = standing.closed(&subscription_id, Instant::now()) {
                            let said: String = message.chars().filter(|c| !c.is_control()).take(200).collect();
                            this.gateway.nostr.says(&name, format!("refuses: {said}"), this.gateway.clock.now());
                            if refusals >= REFUSALS_MAX && !std::mem::replace(&mut complained, true) {
                                this.refuses(&said).await;
                            }
                        }
                    }
                    Ok(RelayNotification::Authenticated) => {
                        // What it refused before, it may answer now.
                        standing.taken();
                        standing.doubt(Instant::now());
                        (failures, read_at) = (0, Instant::now());
                    }
                    Ok(RelayNotification::RelayStatus {
                        status: RelayStatus::Disconnected | RelayStatus::Terminated | RelayStatus::Banned,
                    }) => return "the connection was lost".to_owned(),
                    Ok(RelayNotification::Shutdown) => return "the connection was lost".to_owned(),
                    // It asks once on each connection, and the signer was silent just then.
                    Ok(RelayNotification::AuthenticationFailed)
                        if matches!(this.relays.signer(), Signer::Remote(..)) =>
                    {
                        return "it could not be told who we are".to_owned();
                    }
                    Ok(_) => {}
                    // Some of it was not seen, and any question may be closed by now.
                    Err(RecvError::Lagged(_)) => standing.doubt(Instant::now()),
                    Err(RecvError::Closed) => return "the connection was lost".to_owned(),
                },
                () = sleep_until(standing.next()) => {
                    for question in standing.take(Instant::now()) {
                        let filter = this.filter(question, &asked);
                        let was_open = standing.put(question, filter.is_some());
                        let message = match filter {
                            Some(filter) => ClientMessage::req(question.id(), vec![filter]),
                            // Nobody is asked for what nobody could say; and what was asked for before is over.
                            None if was_open => ClientMessage::close(question.id()),
                            None => continue,
                        };
                        if let Err(why) = relay.send_msg(message) {
                            return why.to_string();
                        }
                    }
                    if !greeted {
                        greeted = true;
                        tokio::spawn(start::introduce(
                            Arc::clone(&this.gateway),
                            Arc::clone(&this.relays),
                            this.us,
                            this.url.clone(),
                        ));
                    }
                },
                Ok(()) = awaited.changed() => {
                    let notes = &awaited.borrow_and_update().notes;
                    if *notes != notes_asked {
                        notes_asked.clone_from(notes);
                        standing.changed(Question::Threads, Instant::now() + GATHER);
                    }
                },
                () = tokio::time::sleep_until(read_at), if reading.is_none() => {
                    reading = Some(this.catch_up(relay).boxed());
                },
                Some(read) = OptionFuture::from(reading.as_mut()), if reading.is_some() => {
                    reading = None;
                    match read {
                        Ok(()) => {
                            standing.taken();
                            (complained, failures) = (false, 0);
                            read_at = Instant::now() + READ_AGAIN;
                            this.gateway.nostr.says(&name, "connected, all read", this.gateway.clock.now());
                            if this.gateway.nostr.caught_up(&name) {
                                this.gateway.bells.plan.notify_one();
                            }
                        }
                        Err(why) => {
                            tracing::warn!(relay = name, why, "what waited at a relay is not all here");
                            this.gateway.nostr.says(&name, format!("not all read: {why}"), this.gateway.clock.now());
                            failures += 1;
                            let wait = read_again_wait(failures, this.settings().catch_up_deadline);
                            read_at = Instant::now() + wait.mul_f64(0.5 + this.gateway.ids.share());
                        }
                    }
                },
                _ = watchdog.tick() => {
                    if !relay.is_connected() {
                        return "the connection was lost".to_owned();
                    }
                    if beaten.elapsed() >= this.settings().heartbeat {
                        let heard = relay.stats().bytes_received();
                        if heard == heard_before {
                            return "it has fallen silent".to_owned();
                        }
                        (beaten, heard_before) = (Instant::now(), heard);
                        if let Err(why) = this.beat(relay) {
                            return why;
                        }
                    }
                    // What the remote signer did not open in time is here once more.
                    let now_over = this.gateway.nostr.passed_over();
                    if now_over != passed_over {
                        passed_over = now_over;
                        read_at = read_at.min(Instant::now() + this.settings().catch_up_deadline);
                    }
                    this.relays.configure(start::configured(&this.gateway));
                    let now = all_keys(&this.gateway.in_force());
                    if now != asked {
                        asked = now;
                        this.wraps.forget();
                        for question in [Question::Open, Question::Threads, Question::Lists] {
                            standing.changed(question, Instant::now());
                        }
                    }
                },
                () = ended(&mut over) => return "the gateway stops".to_owned(),
            }
        }
    }

    /// What a question that stays open asks for now: what is stored, and then whatever comes.
    fn filter(&self, question: Question, keys: &[String]) -> Option<Filter> {
        let awaited = self.gateway.nostr.awaited().borrow().clone();
        question.filter(self.us, keys, &awaited, self.gateway.clock.now().as_secs())
    }

    /// Asks for something that is there and small: a link of which one half is gone takes every word, and brings
    /// none back.
    fn beat(&self, relay: &Relay) -> Result<(), String> {
        let filter = Filter::new().kind(Kind::Metadata).author(self.us).limit(1);
        let question = ClientMessage::req(SubscriptionId::new("lazarus-beat"), vec![filter]);
        relay.send_msg(question).map_err(|error| error.to_string())
    }

    async fn refuses(&self, said: &str) {
        let why = format!("{} refuses our subscriptions: {said}", self.name());
        start::tell(&self.gateway, Alarm::ChannelDown { channel: SOURCE.into(), why }).await;
    }
}

/// So long after the last of `failures` in a row, what waited is read again; some jitter comes on top.
fn read_again_wait(failures: u32, first: Duration) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(READ_AGAIN_MAX.max(first))
}

/// Ends when nothing more is to be sent.
pub(super) async fn ended(over: &mut watch::Receiver<bool>) {
    // That the sender is gone means the same.
    let _ = over.wait_for(|over| *over).await;
}

/// Ends at that moment; never if there is none.
pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_tried_more_and_more_rarely() {
        let wait = |failures| read_again_wait(failures, Duration::from_secs(15)).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 40].map(wait), [15, 30, 60, 120, 240, 300, 300]);
        assert_eq!(read_again_wait(9, Duration::from_secs(900)), Duration::from_secs(900));
    }
}
