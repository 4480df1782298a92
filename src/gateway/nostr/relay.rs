//! One relay: connect, ask for everything that is ours, read what waited there page by page, and see to it
//! that our questions stay open. The library is given no subscription to keep: it would forget it at almost
//! every refusal.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, OptionFuture};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::intake::{Came, OPEN, PAGE};
use super::pages::Pages;
use super::people::all_keys;
use super::{SOURCE, start};
use crate::channel::nostr::Relays;
use crate::channel::nostr::nostr_sdk::pool::RelayNotification;
use crate::channel::nostr::nostr_sdk::{
    ClientMessage, Filter, Kind, PublicKey, Relay, RelayMessage, RelayStatus, RelayUrl, SubscriptionId,
    Timestamp as Seconds,
};
use crate::gateway::Gateway;
use crate::store::{self, StoreError};
use crate::wording::Alarm;

/// The time of a wrap lies up to two days back; and clocks differ.
const WRAPS_BACK: Duration = Duration::from_secs(2 * 86_400 + 600);
/// The time of everything else.
const OPEN_BACK: Duration = Duration::from_secs(600);
/// A connection that has held for so long was a good one.
const GOOD: Duration = Duration::from_secs(60);
/// What waited is read again so often, whatever the relay says: so the place up to which it was read moves on.
const READ_AGAIN: Duration = Duration::from_secs(3600);
/// The first wait after a question was refused; it doubles.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// The longest such wait.
const ASK_AGAIN_MAX: Duration = Duration::from_secs(300);
/// So many refusals in a row are told to people.
const REFUSALS_MAX: u32 = 3;
/// So long without any relay, people on the other channels hear of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// An answer that holds no event is shorter than this, in bytes, with what else a relay says at that moment: a
/// longer one held some that we did not see.
const EMPTY_MAX: usize = 4096;
/// So many such answers in a row are no chance.
const UNREADABLE_MAX: u32 = 5;

/// One relay of the configuration.
pub struct Line {
    /// The daemon.
    pub gateway: Arc<Gateway>,
    /// The connections.
    pub relays: Arc<Relays>,
    /// What pages bring.
    pub pages: Arc<Pages>,
    /// Where it is.
    pub url: RelayUrl,
    /// Our own key.
    pub us: PublicKey,
    /// Says that what came in before is to be kept first.
    pub came: mpsc::Sender<Came>,
    /// Ends when nothing more is to be sent.
    pub over: watch::Receiver<bool>,
}

/// What is asked on a connection; the ids are the same for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Private,
    Open,
    Lists,
}

impl Question {
    const ALL: [Self; 3] = [Self::Private, Self::Open, Self::Lists];

    fn id(self) -> SubscriptionId {
        SubscriptionId::new(match self {
            Self::Private => "lazarus-private",
            Self::Open => "lazarus-open",
            Self::Lists => "lazarus-lists",
        })
    }
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

    fn settings(&self) -> crate::config::gate::Nostr {
        self.gateway.in_force().config.gate.channels.nostr.clone()
    }

    fn name(&self) -> String {
        self.url.as_str_without_trailing_slash().to_owned()
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
        let mut open = [false; 3];
        let mut refusals = 0u32;
        let mut again: Option<Instant> = Some(Instant::now());
        let mut reading: Option<BoxFuture<'_, Result<(), String>>> = None;
        // What the open questions bring first would look like something that pages do not show.
        let mut told = [false; 3];
        let mut read_at = Instant::now() + self.settings().catch_up_deadline;
        let mut greeted = false;
        let mut over = self.over.clone();
        let mut watchdog = tokio::time::interval(self.settings().watchdog.max(Duration::from_millis(10)));
        let this = &*self;
        loop {
            tokio::select! {
                note = notes.recv() => match note {
                    Ok(RelayNotification::Message { message: RelayMessage::Closed { subscription_id, message } }) => {
                        for (question, open) in Question::ALL.iter().zip(&mut open) {
                            if question.id() == *subscription_id {
                                *open = false;
                                refusals += 1;
                                again.get_or_insert(Instant::now() + refused_wait(refusals));
                                let said: String = message.chars().filter(|c| !c.is_control()).take(200).collect();
                                this.gateway.nostr.says(&name, format!("refuses: {said}"), this.gateway.clock.now());
                                if refusals == REFUSALS_MAX {
                                    this.refuses(&said).await;
                                }
                            }
                        }
                    }
                    Ok(RelayNotification::Message { message: RelayMessage::EndOfStoredEvents(of) }) => {
                        let was_told = told == [true; 3];
                        for (question, told) in Question::ALL.iter().zip(&mut told) {
                            *told |= question.id() == *of;
                        }
                        if told == [true; 3] && !was_told {
                            read_at = Instant::now();
                        }
                    }
                    Ok(RelayNotification::Authenticated) => {
                        // What it refused before, it may answer now.
                        (open, told) = ([false; 3], [false; 3]);
                        again = Some(Instant::now());
                        read_at = Instant::now() + this.settings().catch_up_deadline;
                    }
                    Ok(RelayNotification::RelayStatus {
                        status: RelayStatus::Disconnected | RelayStatus::Terminated | RelayStatus::Banned,
                    }) => return "the connection was lost".to_owned(),
                    Ok(RelayNotification::Shutdown) => return "the connection was lost".to_owned(),
                    Ok(_) => {}
                    // Some of it was not seen: whatever was refused is found open by nobody, so ask again.
                    Err(RecvError::Lagged(_)) => { again = Some(Instant::now()); }
                    Err(RecvError::Closed) => return "the connection was lost".to_owned(),
                },
                () = sleep_until(again), if again.is_some() => {
                    again = None;
                    let asking = Question::ALL.iter().zip(&mut open).filter(|(_, open)| !**open);
                    for (question, open) in asking {
                        if let Err(why) = this.ask(relay, *question, &asked) {
                            return why;
                        }
                        *open = true;
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
                () = tokio::time::sleep_until(read_at), if reading.is_none() => {
                    reading = Some(this.catch_up(relay).boxed());
                },
                Some(read) = OptionFuture::from(reading.as_mut()), if reading.is_some() => {
                    reading = None;
                    match read {
                        Ok(()) => {
                            refusals = 0;
                            read_at = Instant::now() + READ_AGAIN;
                            this.gateway.nostr.says(&name, "connected, all read", this.gateway.clock.now());
                            if this.gateway.nostr.caught_up(&name) {
                                this.gateway.bells.plan.notify_one();
                            }
                        }
                        Err(why) => {
                            tracing::warn!(relay = name, why, "what waited at a relay is not all here");
                            this.gateway.nostr.says(&name, format!("not all read: {why}"), this.gateway.clock.now());
                            read_at = Instant::now() + this.settings().catch_up_deadline;
                        }
                    }
                },
                _ = watchdog.tick() => {
                    if !relay.is_connected() {
                        return "the connection was lost".to_owned();
                    }
                    let now = all_keys(&this.gateway.in_force());
                    if now != asked {
                        asked = now;
                        if let Err(why) = this.ask(relay, Question::Lists, &asked) {
                            return why;
                        }
                    }
                    if open.contains(&false) {
                        again.get_or_insert(Instant::now() + refused_wait(refusals));
                    }
                },
                () = ended(&mut over) => return "the gateway stops".to_owned(),
            }
        }
    }

    /// Puts a question that stays open: what is stored, and then whatever comes.
    fn ask(&self, relay: &Relay, question: Question, keys: &[String]) -> Result<(), String> {
        let now = self.gateway.clock.now();
        let since = |back| seconds(now.minus(back).as_secs());
        // No limit: it would cut what an outage withheld.
        let filter = match question {
            Question::Private => Filter::new().kind(Kind::GiftWrap).pubkey(self.us).since(since(WRAPS_BACK)),
            Question::Open => Filter::new().kinds(OPEN).pubkey(self.us).since(since(OPEN_BACK)),
            Question::Lists => {
                let keys = keys.iter().filter_map(|key| PublicKey::from_hex(key).ok());
                Filter::new().kind(Kind::InboxRelays).authors(keys)
            }
        };
        relay.send_msg(ClientMessage::req(question.id(), vec![filter])).map_err(|error| error.to_string())
    }

    async fn refuses(&self, said: &str) {
        let why = format!("{} refuses our subscriptions: {said}", self.name());
        start::tell(&self.gateway, Alarm::ChannelDown { channel: SOURCE.into(), why }).await;
    }

    /// Reads what waited, page by page from the newest to what was read before, and moves the place up to
    /// which this relay was read. Whatever is doubtful leaves that place where it was.
    async fn catch_up(&self, relay: &Relay) -> Result<(), String> {
        let name = self.name();
        let begun = self.gateway.clock.now();
        let source = format!("nostr.read:{name}");
        let cursor = self.position(&source).await.map_err(|error| crate::gateway::inbox::chain(&error))?;
        let from = cursor.unwrap_or(begun.as_secs()).min(begun.as_secs());
        self.pages.begin(&name);
        let private = (Filter::new().kind(Kind::GiftWrap).pubkey(self.us), WRAPS_BACK);
        let open = (Filter::new().kinds(OPEN).pubkey(self.us), OPEN_BACK);
        let mut read = Ok(());
        for (filter, back) in [private, open] {
            let since = seconds(from.saturating_sub(i64::try_from(back.as_secs()).unwrap_or(i64::MAX)));
            read = self.read_back(relay, &name, filter.since(since), since).await;
            if read.is_err() {
                break;
            }
        }
        self.pages.end(&name);
        read?;
        // All of it is in the inbox before the place moves.
        let (mark, kept) = oneshot::channel();
        if self.came.send(Came::Mark(mark)).await.is_err() || kept.await.is_err() {
            return Err("the gateway stops".to_owned());
        }
        let position = begun.as_secs().to_string();
        self.gateway
            .store
            .write_low(move |tx| Box::pin(async move { store::inbox::set_offset(tx, &source, &position).await }))
            .await
            .map_err(|error| crate::gateway::inbox::chain(&error))
    }

    async fn position(&self, source: &str) -> Result<Option<i64>, StoreError> {
        let mut read = self.gateway.store.read().await?;
        Ok(store::inbox::offset(&mut read, source).await?.and_then(|text| text.parse().ok()))
    }

    async fn read_back(&self, relay: &Relay, name: &str, filter: Filter, since: Seconds) -> Result<(), String> {
        let mut until: Option<u64> = None;
        let (mut stale, mut unreadable) = (0, 0);
        loop {
            let filter = until.map_or_else(|| filter.clone(), |until| filter.clone().until(Seconds::from(until)));
            let before = relay.stats().bytes_received();
            self.page(relay, name, filter).await?;
            let page = self.pages.turn(name);
            let Some(oldest) = page.oldest else {
                let unseen = relay.stats().bytes_received().saturating_sub(before);
                if unseen <= EMPTY_MAX {
                    return Ok(());
                }
                // What has expired, or was forged, is dropped before we see it; what stands behind it is not. Or
                // something else was said at that moment.
                unreadable += 1;
                if unreadable >= UNREADABLE_MAX {
                    return Err("it sends what cannot be read".to_owned());
                }
                continue;
            };
            if oldest < since.as_secs() {
                return Ok(());
            }
            // What is as old as the oldest may be cut off, so that second is asked for again; if it brings
            // nothing new, the one before it.
            if page.new > 0 {
                (until, stale) = (Some(oldest), 0);
            } else {
                stale += 1;
                let next = until.unwrap_or(oldest).min(oldest);
                if stale > 2 && until.is_some_and(|until| oldest > until) {
                    return Err("it gives the same again and again".to_owned());
                }
                let Some(before) = next.checked_sub(1) else { return Ok(()) };
                until = Some(before);
            }
        }
    }

    /// One page: until the relay says that this was all.
    async fn page(&self, relay: &Relay, name: &str, filter: Filter) -> Result<(), String> {
        let id = SubscriptionId::new(PAGE);
        let deadline = self.settings().catch_up_deadline;
        let mut notes = relay.notifications();
        relay.send_msg(ClientMessage::req(id.clone(), vec![filter])).map_err(|error| error.to_string())?;
        let mut had = 0;
        let answered = loop {
            match tokio::time::timeout(deadline, notes.recv()).await {
                Ok(Ok(RelayNotification::Message { message })) => match message {
                    RelayMessage::EndOfStoredEvents(of) if *of == id => break Ok(()),
                    RelayMessage::Closed { subscription_id, message } if *subscription_id == id => {
                        break Err(format!("it refuses: {}", message.chars().take(200).collect::<String>()));
                    }
                    _ => {}
                },
                Ok(Ok(RelayNotification::RelayStatus { status })) if status != RelayStatus::Connected => {
                    break Err("the connection was lost".to_owned());
                }
                Ok(Ok(_)) => {}
                Ok(Err(_)) => break Err("it says more than could be heard".to_owned()),
                Err(_) => {
                    // Slow is not silent: we may be the ones who let it wait.
                    let has = self.pages.so_far(name);
                    if has == had {
                        break Err("it does not say that this was all".to_owned());
                    }
                    had = has;
                }
            }
        };
        // It may be gone by now.
        let _ = relay.send_msg(ClientMessage::close(id));
        answered
    }
}

fn refused_wait(refusals: u32) -> Duration {
    ASK_AGAIN.saturating_mul(1 << refusals.saturating_sub(1).min(10)).min(ASK_AGAIN_MAX)
}

fn seconds(at: i64) -> Seconds {
    Seconds::from(u64::try_from(at).unwrap_or(0))
}

/// Ends when nothing more is to be sent.
async fn ended(over: &mut watch::Receiver<bool>) {
    // That the sender is gone means the same.
    let _ = over.wait_for(|over| *over).await;
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
