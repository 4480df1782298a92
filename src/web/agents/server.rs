//! Connections of the door: how many at once, for how long, and who gives way.
//!
//! One connection carries one request. All that anybody can do without a token is to hold a place until the next
//! one comes who needs it.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::{Extension, Router};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};

use super::desk::AgentDesk;
use super::routes::{self, Caller};
use crate::web::converse::{self, Cut};

/// How much the door takes on.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Requests a second of one token, and twice as many at once.
    pub rate: u32,
    /// Requests without a right token that one address may make at once; one more each second after that.
    pub wrong_tokens: u32,
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
            connections: 256,
            rate: 50,
            wrong_tokens: 20,
            arrive_within: Duration::from_secs(5),
            connection: Duration::from_secs(30),
            body: 1024 * 1024,
            drain: Duration::from_secs(2),
        }
    }
}

/// A connection that is open.
struct Open {
    id: Id,
    known: Arc<AtomicBool>,
    abort: AbortHandle,
}

/// Answers on `listener` until `stop` is ready; then lets the requests under way finish.
pub async fn serve(listener: TcpListener, desk: Arc<dyn AgentDesk>, limits: Limits, stop: impl Future<Output = ()>) {
    let router = routes::router(desk, &limits);
    let mut connections = JoinSet::new();
    let mut open: VecDeque<Open> = VecDeque::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(ended) = connections.join_next_with_id(), if !connections.is_empty() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => error.id(),
                };
                open.retain(|one| one.id != id);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: it passes when something is closed.
                tracing::warn!(%error, "the door for agents could not take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if open.len() >= limits.connections && !give_way(&mut open) {
            // All are agents' whose requests are under way. The closed connection tells it.
            tracing::debug!(%peer, "the door for agents has no place left");
            continue;
        }
        let known = Arc::new(AtomicBool::new(false));
        let caller = Caller { ip: peer.ip(), known: Arc::clone(&known), turn: Arc::default() };
        let (router, limits) = (router.clone(), limits.clone());
        let abort = connections.spawn(async move { converse(stream, peer, caller, router, &limits).await });
        open.push_back(Open { id: abort.id(), known, abort });
    }
    // No new callers: they see at once that nobody is there.
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(limits.drain, finish).await;
}

/// Ends the oldest connection that has shown no token yet.
fn give_way(open: &mut VecDeque<Open>) -> bool {
    let Some(at) = open.iter().position(|one| !one.known.load(Ordering::Acquire)) else { return false };
    let Some(oldest) = open.remove(at) else { return false };
    oldest.abort.abort();
    true
}

async fn converse(stream: TcpStream, peer: SocketAddr, caller: Caller, router: Router, limits: &Limits) {
    // Answers are small, and are one write: there is nothing to be gathered.
    let _ = stream.set_nodelay(true);
    // Its turn ends with the connection: the answer is written long after the routes have made it.
    let _turn = Arc::clone(&caller.turn);
    let router = router.layer(Extension(caller));
    match converse::converse(stream, router, limits.arrive_within, limits.connection).await {
        Ok(()) => {}
        Err(Cut::Early(error)) => tracing::debug!(%peer, %error, "an agent's connection ended early"),
        Err(Cut::TooLong) => tracing::debug!(%peer, "an agent's connection took too long and was closed"),
    }
}
