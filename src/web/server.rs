//! Connections of the local socket: who called, how many at once, for how long.
//!
//! One connection carries one request. Every user of the machine can connect, so strangers may not keep
//! people out: all strangers together have a few places of their own, a head and a body must come
//! within seconds, and the whole connection ends after minutes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::converse::{self, Cut};
use super::desk::Desk;
use super::routes;
use super::socket::Socket;

/// How much the server takes on.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Of these, connections of all those together who are nobody here.
    pub strangers: usize,
    /// Commands that strangers can send at once, all together; one more each second after that. Each is
    /// answered and journaled, and a journal never shrinks.
    pub strangers_say: u32,
    /// Within this time the head, and then the body, of a request must have come.
    pub arrive_within: Duration,
    /// After this time a connection is over, whatever it is doing.
    pub connection: Duration,
    /// Bytes of a request's body.
    pub body: usize,
    /// How long requests under way have when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            strangers: 16,
            strangers_say: 60,
            arrive_within: Duration::from_secs(5),
            // The longest answer is a journal of millions of entries being verified.
            connection: Duration::from_secs(300),
            body: 64 * 1024,
            drain: Duration::from_secs(2),
        }
    }
}

/// Who is at the other end of the connection, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The effective uid of the process when it connected.
    pub uid: u32,
}

/// Answers on `socket` until `stop` is ready; then lets the requests under way finish.
pub async fn serve<D: Desk>(socket: Socket, desk: Arc<D>, limits: Limits, stop: impl Future<Output = ()>) {
    let router = routes::router(desk.clone(), &limits);
    let places = Places::new(&limits);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = next(&socket, &places) => accepted,
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: it passes when something is closed.
                tracing::warn!(%error, "the local socket could not take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(peer) = stream.peer_cred().map(|seen| Peer { uid: seen.uid() }) else { continue };
        let Some(place) = places.take(routes::is_known(&*desk, peer.uid)) else {
            // Told by the closed connection alone: an answer would take the place that there is not. And
            // not in the log, which a stranger could fill by it.
            tracing::debug!(uid = peer.uid, "strangers have too many connections open");
            continue;
        };
        let (router, limits) = (router.clone(), limits.clone());
        connections.spawn(async move {
            let _held = (permit, place);
            converse(stream, peer, router, &limits).await;
        });
    }
    // No new callers; the file goes now, so that they see at once that nobody is there.
    drop(socket);
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(limits.drain, finish).await;
}

async fn next(socket: &Socket, places: &Places) -> std::io::Result<(UnixStream, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let permit = places.all.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = socket.listener.accept().await?;
    Ok((stream, permit))
}

async fn converse(stream: UnixStream, peer: Peer, router: Router, limits: &Limits) {
    let router = router.layer(Extension(peer));
    match converse::converse(stream, router, limits.arrive_within, limits.connection).await {
        Ok(()) => {}
        Err(Cut::Early(error)) => tracing::debug!(uid = peer.uid, %error, "a local connection ended early"),
        Err(Cut::TooLong) => tracing::warn!(uid = peer.uid, "a local connection took too long and was closed"),
    }
}

/// The places of connections.
struct Places {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl Places {
    fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections)),
            strangers: Arc::new(Semaphore::new(limits.strangers)),
        }
    }

    /// A place besides the one among all: nobody but strangers needs one. None if they have them all.
    fn take(&self, known: bool) -> Option<Option<OwnedSemaphorePermit>> {
        if known { Some(None) } else { self.strangers.clone().try_acquire_owned().ok().map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_leave_room_for_people() {
        let places = Places::new(&Limits { strangers: 2, ..Limits::default() });
        let held = [places.take(false).unwrap(), places.take(false).unwrap()];
        assert!(places.take(false).is_none());
        assert!(places.take(true).is_some());
        drop(held);
        assert!(places.take(false).is_some());
    }
}
