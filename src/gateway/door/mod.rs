//! The door for agents in the daemon: where it is open, what is done for those who come in, and what their
//! heartbeats say of their health.

mod desk;
mod heartbeats;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;

pub use desk::Door;
pub use heartbeats::Heartbeats;

use super::{Gateway, speak};
use crate::config::gate::Agents;
use crate::store::{self, StoreError};
use crate::web::agents::{self, Limits};
use crate::wording::Alarm;

/// How long until it is tried again to open a door that could not be opened.
const AGAIN: Duration = Duration::from_secs(2);

/// What an earlier run knew of who is busy.
pub async fn remember(gateway: &Gateway) -> Result<(), StoreError> {
    let mut read = gateway.store.read().await?;
    for row in store::door::busy(&mut read, gateway.clock.now()).await? {
        gateway.heartbeats.remember_busy(row.agent, row.until);
    }
    Ok(())
}

/// Opens the door and serves until the daemon stops. A port that is taken stops nothing else: people are told, and
/// it is tried again.
pub async fn run(gateway: Arc<Gateway>, agents: Agents) {
    let limits = Limits {
        connections: agents.connections,
        rate: agents.rate,
        arrive_within: agents.arrive_within,
        ..Limits::default()
    };
    let listener = loop {
        match TcpListener::bind(agents.listen).await.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((at, listener)) => {
                open(&gateway, Some(at));
                gateway.status.settle("agents");
                break listener;
            }
            Err(error) => {
                let alarm = Alarm::AgentsShut { at: agents.listen.to_string(), why: error.to_string() };
                tracing::error!(%error, listen = %agents.listen, "the door for agents could not be opened");
                if gateway.status.raise("agents", alarm.clone(), gateway.clock.now())
                    && let Err(error) = speak::raise(&gateway, alarm).await
                {
                    tracing::error!(%error, "an alarm could not be recorded");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = gateway.bells.stopped() => return,
        }
    };
    let desk = Arc::new(Door::new(Arc::clone(&gateway)));
    let stopped = Arc::clone(&gateway);
    agents::serve(listener, desk, limits, async move { stopped.bells.stopped().await }).await;
    open(&gateway, None);
}

fn open(gateway: &Gateway, at: Option<SocketAddr>) {
    if let Some(at) = at {
        tracing::info!(listen = %at, "agents come in here");
        gateway.heartbeats.open(gateway.clock.elapsed());
    }
    *gateway.agents_at.write().unwrap_or_else(PoisonError::into_inner) = at;
}
