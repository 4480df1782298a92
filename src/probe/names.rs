//! Names to addresses: each name looked up once, however many agents live under it.
//!
//! The system's resolver blocks a thread for each look-up (up to 512 of them, and 30 seconds each when the
//! name service is down). 10,000 agents on one name would start 10,000 of these in a sweep. So whoever asks
//! for a name joins the look-up that is under way, an answer is good for [`GOOD_FOR`], and at most
//! [`LOOKUPS_MAX`] names are looked up at a time. A look-up is a task of its own: that the probe that started it
//! gave up takes nothing from the others.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answer::Shortage;
use super::fault;

/// How long an answer is good; well below a sweep's interval, so each sweep sees moved hosts.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// Look-ups at a time: each holds a thread and a descriptor or two.
const LOOKUPS_MAX: usize = 32;
/// Names remembered before the stale ones are dropped.
const REMEMBERED_MAX: usize = 1024;

/// Why a name gave no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameFault {
    #[error("no such host")]
    NoSuchHost,
    #[error("the name service does not answer")]
    NoService,
    #[error("{0}")]
    Shortage(Shortage),
}

type Found = Result<Arc<[SocketAddr]>, NameFault>;
type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

struct Entry {
    answer: Shared<BoxFuture<'static, (Found, Instant)>>,
}

impl Entry {
    fn is_stale(&self, good_for: Duration) -> bool {
        self.answer.peek().is_some_and(|(_, at)| at.elapsed() >= good_for)
    }
}

/// The names of one prober.
#[derive(Clone)]
pub(super) struct Names {
    look_up: Arc<LookUp>,
    known: Arc<Mutex<HashMap<String, Entry>>>,
    lanes: Arc<Semaphore>,
    good_for: Duration,
}

impl Names {
    /// Asks the system's resolver (`/etc/hosts`, DNS, …).
    pub(super) fn of_system() -> Self {
        Self::asking(Arc::new(|name: &str| (name, 0).to_socket_addrs().map(Iterator::collect)))
    }

    /// Asks `look_up`, which may block.
    pub(super) fn asking(look_up: Arc<LookUp>) -> Self {
        Self { look_up, known: Arc::default(), lanes: Arc::new(Semaphore::new(LOOKUPS_MAX)), good_for: GOOD_FOR }
    }

    /// Whether a look-up of this name has begun and not ended: who waits for it has not even asked the agent.
    pub(super) fn is_waiting_for(&self, name: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).is_some_and(|entry| entry.answer.peek().is_none())
    }

    /// The addresses of `name`; waits for as long as the resolver takes.
    pub(super) async fn find(&self, name: &str) -> Found {
        let answer = self.entry(name);
        answer.await.0
    }

    fn entry(&self, name: &str) -> Shared<BoxFuture<'static, (Found, Instant)>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get(name).filter(|entry| !entry.is_stale(self.good_for)) {
            return entry.answer.clone();
        }
        if known.len() >= REMEMBERED_MAX {
            known.retain(|_, entry| !entry.is_stale(self.good_for));
        }
        let (look_up, lanes, asked) = (self.look_up.clone(), self.lanes.clone(), name.to_owned());
        let task = tokio::spawn(async move {
            let _lane = lanes.acquire_owned().await;
            let found = tokio::task::spawn_blocking(move || sort_out(look_up(&asked))).await;
            (found.unwrap_or(Err(NameFault::Shortage(Shortage::Defect))), Instant::now())
        });
        let answer =
            async move { task.await.unwrap_or_else(|_| (Err(NameFault::Shortage(Shortage::Defect)), Instant::now())) }
                .boxed()
                .shared();
        known.insert(name.to_owned(), Entry { answer: answer.clone() });
        answer
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let found = names.find(name.as_str()).await?;
            let addresses: Vec<SocketAddr> = found.iter().copied().collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The resolver's answer, read.
fn sort_out(answer: io::Result<Vec<SocketAddr>>) -> Found {
    match answer {
        Ok(addresses) if addresses.is_empty() => Err(NameFault::NoSuchHost),
        Ok(addresses) => Ok(within_reach(addresses).into()),
        Err(error) => Err(match fault::shortage(&error) {
            Some(shortage) => NameFault::Shortage(shortage),
            // The library has no kind for it; the text is the C library's, which is never translated
            // in a program that sets no locale. SERVFAIL, a dead name server and our own lack of
            // descriptors all come out as this one.
            None if error.to_string().contains("Temporary failure") => NameFault::NoService,
            None => NameFault::NoSuchHost,
        }),
    }
}

/// Drops the addresses of a family that this machine does not speak, if others remain.
///
/// `localhost` often has `::1` beside `127.0.0.1` where IPv6 is off. The client tries both and reports the
/// last failure: "no local address" in place of "refused", and a dead agent would pass as
/// unknown. Connecting a UDP socket sends nothing, and asks the routing table.
fn within_reach(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let both = addresses.iter().any(SocketAddr::is_ipv4) && addresses.iter().any(SocketAddr::is_ipv6);
    if !both {
        return addresses;
    }
    let reached: Vec<SocketAddr> = addresses.iter().copied().filter(is_routed).collect();
    if reached.is_empty() { addresses } else { reached }
}

fn is_routed(address: &SocketAddr) -> bool {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    UdpSocket::bind(any).and_then(|socket| socket.connect((address.ip(), 9))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn counted(count: &Arc<AtomicUsize>) -> Names {
        let count = count.clone();
        Names::asking(Arc::new(move |name| {
            count.fetch_add(1, Ordering::SeqCst);
            match name {
                "gone" => Err(io::Error::other("failed to lookup address information: Name or service not known")),
                "flap" => {
                    Err(io::Error::other("failed to lookup address information: Temporary failure in name resolution"))
                }
                "full" => Err(io::Error::from(rustix::io::Errno::MFILE)),
                _ => Ok(vec![([127, 0, 0, 1], 0).into()]),
            }
        }))
    }

    #[tokio::test]
    async fn ten_thousand_targets_on_one_name_are_one_lookup() {
        let count = Arc::new(AtomicUsize::new(0));
        let names = counted(&count);
        let all = (0..10_000).map(|_| names.find("fleet"));
        assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_missing_name_is_the_agents_fault_and_a_silent_service_is_not() {
        let names = counted(&Arc::default());
        assert_eq!(names.find("gone").await, Err(NameFault::NoSuchHost));
        assert_eq!(names.find("flap").await, Err(NameFault::NoService));
        assert_eq!(names.find("full").await, Err(NameFault::Shortage(Shortage::Descriptors)));
        assert!(!names.is_waiting_for("gone"));
    }

    #[tokio::test]
    async fn an_answer_grows_stale() {
        let count = Arc::new(AtomicUsize::new(0));
        for (good_for, lookups) in [(GOOD_FOR, 1), (Duration::ZERO, 3)] {
            let names = Names { good_for, ..counted(&count) };
            names.find("a").await.unwrap();
            names.find("a").await.unwrap();
            assert_eq!(count.load(Ordering::SeqCst), lookups);
        }
    }
}
