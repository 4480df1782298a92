use std::net::SocketAddr;

use nostr_relay_builder::prelude::{LocalRelay, RateLimit, RelayBuilder};

/// Events that one connection may hand over in a minute. The builder's own default of 60 is less than a bad
/// night brings.
const NOTES_PER_MINUTE: u32 = 6_000;
/// Connections at the same time.
const CONNECTIONS: usize = 256;

/// A relay in this process, for a first look, and for teams that want none of their own. It keeps what it has in
/// memory: when it ends, it forgets.
pub struct Embedded(LocalRelay);

impl Embedded {
    /// Listens at `at`.
    ///
    /// # Errors
    /// Somebody else does.
    pub async fn start(at: SocketAddr) -> Result<Self, String> {
        let limit = RateLimit { max_reqs: 500, notes_per_minute: NOTES_PER_MINUTE };
        let builder =
            RelayBuilder::default().addr(at.ip()).port(at.port()).rate_limit(limit).max_connections(CONNECTIONS);
        let relay = LocalRelay::new(builder);
        relay.run().await.map_err(|error| format!("the embedded relay cannot listen at {at}: {error}"))?;
        Ok(Self(relay))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}
