//! One look at the whole fleet.
//!
//! Every distinct gateway address is asked once, however many agents share it, and every unit too; gateways and
//! units at the same time. At most [`DescriptorBudget::slots`] gateways are asked at a time.
//!
//! **How long it takes.** A silent gateway holds its slot for the deadline, any other for as long as it
//! answers. With `b` silent ones a sweep ends within `ceil(b / slots)` deadlines plus the work itself: one deadline
//! as long as no more than 4,096 are silent. If few descriptors leave fewer slots, it takes longer, and
//! those that were silent the last time are asked last, so that they delay nobody but themselves.
//!
//! **Not all at the same instant.** 4,096 probes begun at once on a busy machine wait for *our* processor, and their
//! deadlines run meanwhile: healthy agents would look silent. So at most [`YOUNG_MAX`] probes are in
//! their first twentieth of a second; the silent ones leave these places quickly, so that even a
//! fleet without any answer is begun at 2,560 probes a second.
//!
//! **How many connections are kept.** [`KEPT_MAX`], or less if the slots leave less of the budget; beyond that, gateways
//! are asked on a new connection each time, so that a large fleet does not hold memory for being asked now and then. The first addresses in alphabetical order keep theirs, so that it is the same ones
//! every time.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::address;
use super::answer::{GatewayAnswer, GatewayFault, Shortage, UnitAnswer, UnitSilence};
use super::descriptors::DescriptorBudget;
use super::http::{Connection, HttpProber};
use super::systemd::Systemd;
use super::together::Together;
use crate::pool::{AgentName, Timestamp};

/// Probes at a time that have neither ended nor been under way for [`YOUNG_FOR`].
const YOUNG_MAX: usize = 64;
/// After this a probe waits for the other side, and costs us a slot but no work.
const YOUNG_FOR: Duration = Duration::from_millis(50);
/// Connections that are kept from sweep to sweep, at most. One costs 27 KiB of memory for as long as it is kept, a
/// new one a tenth of a millisecond in each sweep.
const KEPT_MAX: usize = 64;

/// Tells the time; the gateway's clock in earnest.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What of one agent is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose signals these are.
    pub agent: AgentName,
    /// Its HTTP address, if it has one; an empty text is none, as in the reference.
    pub gateway_url: Option<String>,
    /// Its systemd unit, if it is to be asked for.
    pub unit: Option<String>,
}

/// What was seen of one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signals {
    /// The gateway's answer; none if there is no gateway.
    pub gateway: Option<GatewayAnswer>,
    /// systemd's answer; none if there is no unit, or no service manager on this machine.
    pub service: Option<UnitAnswer>,
    /// When the first of these questions was put. What was seen is not older than this.
    pub begun: Timestamp,
    /// When the last answer was there.
    pub ended: Timestamp,
}

/// How far a sweep has come, in signals (an agent has up to two).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Signals that have their answer.
    pub done: usize,
    /// Signals that are asked for in this sweep.
    pub total: usize,
}

/// Looks at agents.
pub struct Sweeper {
    http: HttpProber,
    systemd: Option<Systemd>,
    budget: DescriptorBudget,
    clock: Clock,
    silent: Mutex<HashSet<Arc<str>>>,
    together: Together,
}

/// An answer, with the times of question and answer.
#[derive(Clone)]
struct Timed<T> {
    answer: T,
    begun: Timestamp,
    ended: Timestamp,
}

impl Sweeper {
    /// `systemd` is none where there is no service manager: the service signal then does not exist.
    pub fn new(http: HttpProber, systemd: Option<Systemd>, budget: DescriptorBudget, clock: Clock) -> Self {
        Self { http, systemd, budget, clock, silent: Mutex::default(), together: Together::default() }
    }

    /// The soft limit of descriptors as it was before it was raised: what commands started for agents get back.
    pub fn descriptors_before(&self) -> u64 {
        self.budget.limit_before
    }

    /// The signals of all targets, in their order.
    pub async fn sweep(&self, targets: &[Target]) -> Vec<(AgentName, Signals)> {
        self.sweep_telling(targets, &|_| ()).await
    }

    /// As [`sweep`](Self::sweep); `progress` is called whenever some answers have come.
    pub async fn sweep_telling(
        &self,
        targets: &[Target],
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Vec<(AgentName, Signals)> {
        let start = (self.clock)();
        let mut urls: BTreeMap<&str, usize> = BTreeMap::new();
        for url in targets.iter().filter_map(gateway_of) {
            *urls.entry(url).or_default() += 1;
        }
        let mut units: BTreeMap<&str, usize> = BTreeMap::new();
        if self.systemd.is_some() {
            for unit in targets.iter().filter_map(|target| target.unit.as_deref()) {
                *units.entry(unit).or_default() += 1;
            }
        }
        let total = urls.values().chain(units.values()).sum();
        let done = AtomicUsize::new(0);
        let tell = |more: usize| progress(Progress { done: done.fetch_add(more, Ordering::Relaxed) + more, total });
        let (gateways, services) = tokio::join!(self.ask_gateways(&urls, &tell), self.ask_units(&units, &tell));

        targets
            .iter()
            .map(|target| {
                let gateway = gateway_of(target).and_then(|url| gateways.get(url)).cloned();
                let service = target.unit.as_ref().zip(services.as_ref()).map(|(unit, found)| Timed {
                    answer: found.answer.get(unit).cloned().unwrap_or(LEFT_OUT),
                    begun: found.begun,
                    ended: found.ended,
                });
                (target.agent.clone(), Signals::of(gateway, service, start))
            })
            .collect()
    }

    /// The signals of one agent, within `deadline` (2 s for the check before running, and for verification). Always
    /// on a new connection: a kept one could prove an old process. Units of looks at the same time share a call.
    pub async fn probe_one(&self, target: &Target, deadline: Duration) -> Signals {
        let start = (self.clock)();
        let gateway = async {
            let url = gateway_of(target)?;
            let begun = (self.clock)();
            let answer = self.http.probe_within(url, deadline, Connection::Fresh).await;
            Some(Timed { answer, begun, ended: (self.clock)() })
        };
        let service = async {
            let (systemd, unit) = (self.systemd.as_ref()?, target.unit.as_ref()?);
            let begun = (self.clock)();
            let answer = self.together.ask(systemd, unit, deadline).await;
            Some(Timed { answer, begun, ended: (self.clock)() })
        };
        let (gateway, service) = tokio::join!(gateway, service);
        Signals::of(gateway, service, start)
    }

    async fn ask_gateways<'a>(
        &self,
        urls: &BTreeMap<&'a str, usize>,
        tell: &(dyn Fn(usize) + Sync),
    ) -> BTreeMap<&'a str, Timed<GatewayAnswer>> {
        let slots = self.budget.slots.min(urls.len()).max(1);
        let kept = origins_to_keep(urls, self.budget.for_probes.saturating_sub(slots).min(KEPT_MAX));
        let mut order: Vec<(&'a str, usize)> = urls.iter().map(|(url, agents)| (*url, *agents)).collect();
        {
            let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
            order.sort_by_key(|(url, _)| silent.contains(*url));
        }
        let mut answers = BTreeMap::new();
        let mut silent: HashSet<Arc<str>> = HashSet::new();
        let young = Arc::new(Semaphore::new(YOUNG_MAX));
        let mut waiting = order.iter().enumerate().peekable();
        let mut running: JoinSet<(usize, Timed<GatewayAnswer>)> = JoinSet::new();
        loop {
            tokio::select! {
                Ok(permit) = young.clone().acquire_owned(), if waiting.peek().is_some() && running.len() < slots => {
                    let Some((index, (url, _))) = waiting.next() else { continue };
                    let connection = match address::parse(url) {
                        Ok(parsed) if kept.contains(&parsed.origin().ascii_serialization()) => Connection::Kept,
                        Ok(_) | Err(_) => Connection::Fresh,
                    };
                    let one = ask_gateway(self.http.clone(), self.clock.clone(), (*url).to_owned(), connection, permit);
                    running.spawn(async move { (index, one.await) });
                }
                Some(ended) = running.join_next() => {
                    // A defect breaks one probe off: its address gets its answer below, and the others go on.
                    let Ok((index, timed)) = ended else { continue };
                    let (url, agents) = order[index];
                    if matches!(timed.answer, GatewayAnswer::Unreachable { why: GatewayFault::Silent(_) }) {
                        silent.insert(url.into());
                    }
                    answers.insert(url, timed);
                    tell(agents);
                }
                else => break,
            }
        }
        *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = silent;
        for (url, agents) in order {
            answers.entry(url).or_insert_with(|| {
                tell(agents);
                let now = (self.clock)();
                Timed { answer: GatewayAnswer::NoAnswer { why: Shortage::Defect }, begun: now, ended: now }
            });
        }
        answers
    }

    async fn ask_units(
        &self,
        units: &BTreeMap<&str, usize>,
        tell: &(dyn Fn(usize) + Sync),
    ) -> Option<Timed<BTreeMap<String, UnitAnswer>>> {
        let systemd = self.systemd.as_ref()?;
        let begun = (self.clock)();
        let names: Vec<String> = units.keys().map(|unit| (*unit).to_owned()).collect();
        let answer = systemd.units(&names).await;
        tell(units.values().sum());
        Some(Timed { answer, begun, ended: (self.clock)() })
    }
}

/// One gateway's answer. Gives `young` back as soon as the probe has ended or only waits for the other side.
async fn ask_gateway(
    http: HttpProber,
    clock: Clock,
    url: String,
    connection: Connection,
    young: OwnedSemaphorePermit,
) -> Timed<GatewayAnswer> {
    let begun = clock();
    let mut probe = Box::pin(http.probe_within(&url, http.deadline(), connection));
    let answer = match timeout(YOUNG_FOR, &mut probe).await {
        Ok(answer) => answer,
        Err(_) => {
            drop(young);
            probe.await
        }
    };
    Timed { answer, begun, ended: clock() }
}

impl Signals {
    /// Both answers as one look: as old as the older question, finished with the later answer.
    fn of(gateway: Option<Timed<GatewayAnswer>>, service: Option<Timed<UnitAnswer>>, start: Timestamp) -> Self {
        let times = |pick: fn(Timestamp, Timestamp) -> Timestamp, gateway: Option<Timestamp>, service| {
            [gateway, service].into_iter().flatten().reduce(pick).unwrap_or(start)
        };
        Self {
            begun: times(Ord::min, gateway.as_ref().map(|t| t.begun), service.as_ref().map(|t| t.begun)),
            ended: times(Ord::max, gateway.as_ref().map(|t| t.ended), service.as_ref().map(|t| t.ended)),
            gateway: gateway.map(|timed| timed.answer),
            service: service.map(|timed| timed.answer),
        }
    }
}

const LEFT_OUT: UnitAnswer = UnitAnswer::NoAnswer { why: UnitSilence::LeftOut };

fn gateway_of(target: &Target) -> Option<&str> {
    target.gateway_url.as_deref().filter(|url| !url.is_empty())
}

/// The first `room` distinct servers, which may keep a connection each.
fn origins_to_keep(urls: &BTreeMap<&str, usize>, room: usize) -> BTreeSet<String> {
    let parsed = urls.keys().filter_map(|url| address::parse(url).ok());
    let mut origins: BTreeSet<String> = parsed.map(|url| url.origin().ascii_serialization()).collect();
    if let Some(first_without) = origins.iter().nth(room).cloned() {
        origins.split_off(&first_without);
    }
    origins
}
