//! One relay: connect, ask for everything that is ours, read what waited there page by page, and see to it
//! that our questions stay open. The library is given no subscription to keep: it would forget it at almost
//! every refusal.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, OptionFuture};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::intake::{Came, OPEN};
use super::pages::Pages;
use super::people::all_keys;
use super::{SOURCE, start};
use crate::channel::nostr::nostr_sdk::pool::RelayNotification;
use crate::channel::nostr::nostr_sdk::{
    ClientMessage, Filter, Kind, PublicKey, Relay, RelayMessage, RelayStatus, RelayUrl, SubscriptionId,
    Timestamp as Seconds,
};
use crate::channel::nostr::{Relays, Signer};
use crate::gateway::Gateway;
use crate::wording::Alarm;

/// The time of a wrap lies up to two days back; and clocks differ.
pub(super) const WRAPS_BACK: Duration = Duration::from_secs(2 * 86_400 + 600);
/// The time of everything else.
pub(super) const OPEN_BACK: Duration = Duration::from_secs(600);
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
/// A relay is asked for something so often; one that says nothing at all until the next time is left.
const HEARTBEAT: Duration = Duration::from_secs(30);
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

    pub(super) fn settings(&self) -> crate::config::gate::Nostr {
        self.gateway.in_force().config.gate.channels.nostr.clone()
    }

    pub(super) fn name(&self) -> String {
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
        let (mut refusals, mut refused, mut complained) = (0u32, false, false);
        let mut again: Option<Instant> = Some(Instant::now());
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
                        for (question, open) in Question::ALL.iter().zip(&mut open) {
                            if question.id() == *subscription_id {
                                *open = false;
                                // Three that are refused together are one refusal.
                                refusals += u32::from(!std::mem::replace(&mut refused, true));
                                again.get_or_insert(Instant::now() + refused_wait(refusals));
                                let said: String = message.chars().filter(|c| !c.is_control()).take(200).collect();
                                this.gateway.nostr.says(&name, format!("refuses: {said}"), this.gateway.clock.now());
                                if refusals == REFUSALS_MAX && !std::mem::replace(&mut complained, true) {
                                    this.refuses(&said).await;
                                }
                            }
                        }
                    }
                    Ok(RelayNotification::Authenticated) => {
                        // What it refused before, it may answer now.
                        open = [false; 3];
                        refusals = 0;
                        again = Some(Instant::now());
                        read_at = Instant::now();
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
                    Err(RecvError::Lagged(_)) => {
                        open = [false; 3];
                        again = Some(Instant::now());
                    }
                    Err(RecvError::Closed) => return "the connection was lost".to_owned(),
                },
                () = sleep_until(again), if again.is_some() => {
                    (again, refused) = (None, false);
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
                            (refusals, complained) = (0, false);
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
                    if beaten.elapsed() >= HEARTBEAT {
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
                        for question in [Question::Open, Question::Lists] {
                            if let Err(why) = this.ask(relay, question, &asked) {
                                return why;
                            }
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
        let filter = match question {
            // No limit: it would cut what an outage withheld.
            Question::Private => Some(Filter::new().kind(Kind::GiftWrap).pubkey(self.us).since(since(WRAPS_BACK))),
            Question::Open => self.open_of(keys).map(|filter| filter.since(since(OPEN_BACK))),
            Question::Lists => authors(keys).map(|keys| Filter::new().kind(Kind::InboxRelays).authors(keys)),
        };
        // Nobody is asked for what nobody could say.
        let Some(filter) = filter else { return Ok(()) };
        relay.send_msg(ClientMessage::req(question.id(), vec![filter])).map_err(|error| error.to_string())
    }

    /// Asks for something that is there and small: a link of which one half is gone takes every word, and brings
    /// none back.
    fn beat(&self, relay: &Relay) -> Result<(), String> {
        let filter = Filter::new().kind(Kind::Metadata).author(self.us).limit(1);
        let question = ClientMessage::req(SubscriptionId::new("lazarus-beat"), vec![filter]);
        relay.send_msg(question).map_err(|error| error.to_string())
    }

    /// What these people say to us in the open. A relay gives so many events and no more: strangers must not
    /// take the place of those who count.
    pub(super) fn open_of(&self, keys: &[String]) -> Option<Filter> {
        authors(keys).map(|keys| Filter::new().kinds(OPEN).pubkey(self.us).authors(keys))
    }

    async fn refuses(&self, said: &str) {
        let why = format!("{} refuses our subscriptions: {said}", self.name());
        start::tell(&self.gateway, Alarm::ChannelDown { channel: SOURCE.into(), why }).await;
    }
}

fn refused_wait(refusals: u32) -> Duration {
    ASK_AGAIN.saturating_mul(1 << refusals.saturating_sub(1).min(10)).min(ASK_AGAIN_MAX)
}

fn authors(keys: &[String]) -> Option<Vec<PublicKey>> {
    let keys: Vec<PublicKey> = keys.iter().filter_map(|key| PublicKey::from_hex(key).ok()).collect();
    if keys.is_empty() { None } else { Some(keys) }
}

pub(super) fn seconds(at: i64) -> Seconds {
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
