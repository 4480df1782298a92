//! The gateway's key at a remote signer: who speaks, what people hear of it while it is silent, and how what is
//! wrapped for us is opened there.
//!
//! ```text
//! door ──► wraps wait here, few at the signer at once ──► inbox
//!     └──► all else goes past them
//! ```
//!
//! Whoever likes can send us wraps, and each costs the signer work. So they wait in a queue of their own, with a
//! bound, and a relay that brings open answers never waits behind them. What finds no room is passed over: the
//! place up to which relays were read stays where it is, and they are read again.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::SOURCE;
use super::intake::{Came, Done, DoneWith, ROOM, Seen, input};
use super::relay::sleep_until;
use super::start;
use crate::approval::Speaker;
use crate::channel::nostr::nostr_sdk::{Event, PublicKey};
use crate::channel::nostr::{Evidence, Key, NotSigned, NotUnwrapped, RemoteSigner, Signer, Utterance, unwrap_remotely};
use crate::config::gate::Nostr;
use crate::gateway::{Gateway, InForce, inbox};
use crate::wording::Alarm;

/// Wraps that wait for the signer at most, and how many bytes they may be together.
const WAITING: usize = 4_096;
const WAITING_BYTES: usize = 32 << 20;
/// Wraps that are being opened at the same time; the signer's side has a bound and a pace of its own.
const AT_ONCE: usize = 8;
/// A signer that is silent for a moment is no news.
const GRACE: Duration = Duration::from_secs(1);
/// So long without it, people on the other channels hear of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is wrong with it, among the alarms.
const SIGNER: &str = "nostr.signer";

/// Whoever speaks for the gateway; none if the files were loaded anew meanwhile, or the daemon stops. A remote
/// signer is waited for: without it nobody knows in whose name to speak.
pub(super) async fn speaker(gateway: &Arc<Gateway>, key: Key, config: &Nostr) -> Option<Signer> {
    let bunker = match key {
        Key::Here(identity) => return Some(Signer::Local(identity)),
        Key::Remote(bunker) => bunker,
    };
    let remote = RemoteSigner::start(bunker, config.call_deadline, start::clock(gateway));
    let attending = tokio::spawn(attend(Arc::clone(gateway), remote.clone()));
    loop {
        tokio::select! {
            ready = remote.ready(PATIENCE) => if let Ok(public) = ready {
                return Some(Signer::Remote(remote, public));
            },
            () = gateway.bells.mended_nostr.notified() => break,
            () = gateway.bells.stopped() => break,
        }
    }
    attending.abort();
    gateway.status.settle(SIGNER);
    remote.shutdown().await;
    None
}

/// Tells what is wrong with the signer, until it is not, or the daemon stops.
async fn attend(gateway: Arc<Gateway>, remote: RemoteSigner) {
    let mut trouble = remote.trouble();
    let mut since: Option<Instant> = None;
    let (mut raised, mut told) = (false, false);
    loop {
        let alarm = trouble
            .borrow_and_update()
            .as_ref()
            .map(|why| Alarm::ChannelDown { channel: SOURCE.into(), why: why.to_string() });
        if alarm.is_some() {
            since.get_or_insert_with(Instant::now);
        } else if since.take().is_some() {
            (raised, told) = (false, false);
            gateway.status.settle(SIGNER);
            // What could not be opened is here once more, and nobody comes too late for our sake.
            gateway.nostr.pass_over();
            if let Err(error) = start::back(&gateway).await {
                tracing::error!(error = inbox::chain(&error), "messages wait on");
            }
        }
        let next = since.map(|since| since + if raised { PATIENCE } else { GRACE }).filter(|_| !raised || !told);
        tokio::select! {
            changed = trouble.changed() => {
                if changed.is_err() {
                    return;
                }
                // It may say why by now.
                raised = false;
            }
            () = sleep_until(next), if next.is_some() => if let Some(alarm) = alarm {
                if raised {
                    told = true;
                    start::tell(&gateway, alarm).await;
                } else {
                    raised = true;
                    tracing::warn!(alarm = alarm.word(), "the remote signer is of no use");
                    let now = gateway.clock.now();
                    gateway.nostr.fall_behind(now);
                    gateway.status.settle(SIGNER);
                    gateway.status.raise(SIGNER, alarm, now);
                }
            },
            () = gateway.bells.stopped() => return,
        }
    }
}

/// Lets `remote` open what comes wrapped; what comes of it, and all else, comes out again.
pub(super) fn start(
    gateway: &Arc<Gateway>,
    remote: &RemoteSigner,
    us: &PublicKey,
    done_with: DoneWith,
    comes: mpsc::Receiver<Came>,
) -> mpsc::Receiver<Came> {
    let (to, opened) = mpsc::channel(ROOM);
    let opening = Opening {
        gateway: Arc::clone(gateway),
        remote: remote.clone(),
        us: us.to_hex(),
        to,
        waiting: VecDeque::new(),
        bytes: 0,
        in_hand: HashSet::new(),
        unfinished: BTreeSet::new(),
        taken: 0,
        looked: Seen::default(),
        done_with,
        by_files: gateway.in_force(),
        marks: Vec::new(),
    };
    tokio::spawn(opening.run(comes));
    opened
}

struct Waiting {
    number: u64,
    event: Box<Event>,
}

type Opened = Result<Result<(Evidence, Utterance), NotUnwrapped>, NotSigned>;

struct Opening {
    gateway: Arc<Gateway>,
    remote: RemoteSigner,
    us: String,
    to: mpsc::Sender<Came>,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// What waits or is being opened, by its computed id.
    in_hand: HashSet<[u8; 32]>,
    unfinished: BTreeSet<u64>,
    taken: u64,
    /// What came to nothing: those of two days come again at each catch-up, and are not opened again.
    looked: Seen,
    done_with: DoneWith,
    /// Who counted when that was found out.
    by_files: Arc<InForce>,
    /// Whoever waits until all that was taken before that number is done with.
    marks: Vec<(u64, oneshot::Sender<()>)>,
}

impl Opening {
    async fn run(mut self, mut comes: mpsc::Receiver<Came>) {
        let mut trouble = self.remote.trouble();
        let mut running: FuturesUnordered<BoxFuture<'static, (Waiting, Opened)>> = FuturesUnordered::new();
        loop {
            let silent = matches!(*trouble.borrow_and_update(), Some(NotSigned::Silent(_)));
            if silent {
                // They ask again; nobody knows when the signer is back.
                self.marks.clear();
            }
            while !silent
                && running.len() < AT_ONCE
                && let Some(next) = self.waiting.pop_front()
            {
                running.push(self.open(next));
            }
            let passed = tokio::select! {
                Some((wrap, opened)) = running.next(), if !running.is_empty() => self.finished(wrap, opened).await,
                came = comes.recv() => match came {
                    Some(Came::Wrap(event)) => { self.take(event); true }
                    Some(Came::Mark(mark)) => {
                        if silent && !self.unfinished.is_empty() {
                            drop(mark);
                        } else {
                            self.marks.push((self.taken, mark));
                        }
                        true
                    }
                    Some(other) => self.to.send(other).await.is_ok(),
                    // What waits comes again at the next start.
                    None => return,
                },
                changed = trouble.changed() => changed.is_ok(),
            };
            if !passed || !self.pass_marks().await {
                return;
            }
        }
    }

    fn take(&mut self, event: Box<Event>) {
        let in_force = self.gateway.in_force();
        if !Arc::ptr_eq(&in_force, &self.by_files) {
            // A stranger then may be somebody now.
            self.looked = Seen::default();
            self.by_files = in_force;
        }
        let id = event.id.to_bytes();
        if self.looked.contains(&id) || self.in_hand.contains(&id) {
            return;
        }
        if self.waiting.len() >= WAITING || self.bytes.saturating_add(event.content.len()) > WAITING_BYTES {
            self.gateway.nostr.pass_over();
            return;
        }
        self.bytes += event.content.len();
        self.in_hand.insert(id);
        self.unfinished.insert(self.taken);
        self.waiting.push_back(Waiting { number: self.taken, event });
        self.taken += 1;
    }

    fn open(&self, wrap: Waiting) -> BoxFuture<'static, (Waiting, Opened)> {
        let (gateway, remote, us) = (Arc::clone(&self.gateway), self.remote.clone(), self.us.clone());
        Box::pin(async move {
            // Our own key is nobody's, whatever the files say.
            let is_known = |author: &str| {
                author != us && gateway.in_force().people.who(&Speaker::Nostr(author.to_owned())).is_some()
            };
            let opened = unwrap_remotely(&wrap.event, &remote, &us, is_known).await;
            (wrap, opened)
        })
    }

    /// Tells whether anybody wants more.
    async fn finished(&mut self, wrap: Waiting, opened: Opened) -> bool {
        let Ok(opened) = opened else {
            // Its turn comes again.
            self.waiting.push_front(wrap);
            return true;
        };
        let id = wrap.event.id.to_bytes();
        self.in_hand.remove(&id);
        self.unfinished.remove(&wrap.number);
        self.bytes = self.bytes.saturating_sub(wrap.event.content.len());
        match opened {
            Ok((evidence, said)) => {
                let input = input(&self.gateway, &evidence, &said.id);
                let done = Done::wrap(&wrap.event);
                return self.to.send(Came::Said(Box::new(input), done)).await.is_ok();
            }
            Err(NotUnwrapped::Stranger) => self.gateway.nostr.count_stranger(),
            Err(why) => {
                self.gateway.nostr.count_refused();
                tracing::debug!(%why, "a wrap comes to nothing");
            }
        }
        self.looked.insert(id);
        self.done_with.wraps.insert(wrap.event.created_at, wrap.event.id);
        true
    }

    /// Lets those through before whom nothing is left; tells whether anybody wants more.
    async fn pass_marks(&mut self) -> bool {
        let first = self.unfinished.first().copied().unwrap_or(u64::MAX);
        let (ready, wait): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.marks).into_iter().partition(|(number, _)| *number <= first);
        self.marks = wait;
        for (_, mark) in ready {
            if self.to.send(Came::Mark(mark)).await.is_err() {
                return false;
            }
        }
        true
    }
}
