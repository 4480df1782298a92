use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_wsocket::{ConnectionMode, Message, WebSocket};
use futures_util::stream::SplitSink;
use futures_util::{Sink, StreamExt as _, TryStreamExt as _};
use nostr_sdk::RelayUrl;
use nostr_sdk::pool::transport::error::TransportError;
use nostr_sdk::pool::transport::websocket::{WebSocketSink, WebSocketStream, WebSocketTransport};
use nostr_sdk::util::BoxedFuture;
use tokio::net::{TcpStream, lookup_host};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::address::is_public;

/// Longest message of a relay that is read at all, in bytes. The library refuses what is longer than 5 MiB and
/// goes on; only what nobody would send ends the connection.
const MESSAGE_MAX: usize = 16 << 20;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Connects to relays: to those of the configuration wherever they are, to all others only where everybody
/// could. The address that was judged is the one that is connected to.
pub struct Transport {
    configured: RwLock<BTreeSet<RelayUrl>>,
    overheard: Option<Overheard>,
}

/// Is told each text that a relay says, before anybody has judged it.
pub type Overheard = Arc<dyn Fn(&RelayUrl, &str) + Send + Sync>;

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    /// The address names no host and port.
    #[error("the address names no host")]
    NoHost,
    /// It is in a network where relays of other people's lists are not looked for.
    #[error("its address is not public, and it is not in the configuration")]
    NotPublic,
    /// It took too long.
    #[error("no connection within {} ms", .0.as_millis())]
    TooSlow(Duration),
    /// The network.
    #[error("{0}")]
    Network(#[from] std::io::Error),
    /// It does not speak the protocol.
    #[error("{0}")]
    WebSocket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
}

impl Transport {
    /// With the relays of the configuration.
    pub fn new(configured: BTreeSet<RelayUrl>) -> Self {
        Self { configured: RwLock::new(configured), overheard: None }
    }

    /// The same, and `overheard` is told all that relays say.
    pub fn overheard_by(self, overheard: Overheard) -> Self {
        Self { overheard: Some(overheard), ..self }
    }

    /// The configuration names these from now on.
    pub fn configure(&self, configured: BTreeSet<RelayUrl>) {
        *self.configured.write().unwrap_or_else(PoisonError::into_inner) = configured;
    }

    /// Whether the configuration names it.
    pub fn is_configured(&self, url: &RelayUrl) -> bool {
        self.configured.read().unwrap_or_else(PoisonError::into_inner).contains(url)
    }

    /// The addresses of a relay that may be connected to.
    ///
    /// # Errors
    /// There are none.
    pub async fn addresses(&self, url: &RelayUrl) -> Result<Vec<SocketAddr>, NotConnected> {
        let parsed: &nostr_sdk::Url = url.into();
        let host = parsed.host_str().ok_or(NotConnected::NoHost)?;
        let port = parsed.port_or_known_default().ok_or(NotConnected::NoHost)?;
        // An IPv6 address stands in brackets in an URL, and without them everywhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
        allowed(found, self.is_configured(url))
    }

    async fn open(&self, url: &RelayUrl, timeout: Duration) -> Result<WebSocket, NotConnected> {
        open_any(url, self.addresses(url).await?, timeout).await
    }
}

/// Those of the addresses of a relay that may be connected to: of the configuration's all, of others' those that
/// everybody could reach.
fn allowed(found: Vec<SocketAddr>, configured: bool) -> Result<Vec<SocketAddr>, NotConnected> {
    if found.is_empty() {
        return Err(NotConnected::NoHost);
    }
    let allowed = found.into_iter().filter(|address| configured || is_public(address.ip()));
    let allowed: Vec<SocketAddr> = allowed.take(ADDRESSES_MAX).collect();
    if allowed.is_empty() { Err(NotConnected::NotPublic) } else { Ok(allowed) }
}

/// The first that answers. Each gets its share of the time: one that swallows every word, as many an IPv6 address
/// does, must not keep the next from being tried.
async fn open_any(url: &RelayUrl, addresses: Vec<SocketAddr>, timeout: Duration) -> Result<WebSocket, NotConnected> {
    let mut last = NotConnected::NoHost;
    let share = timeout / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    for address in addresses {
        match tokio::time::timeout(share, open_at(url, address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => last = error,
            Err(_) => last = NotConnected::TooSlow(share),
        }
    }
    Err(last)
}

async fn open_at(url: &RelayUrl, address: SocketAddr) -> Result<WebSocket, NotConnected> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    let opening = tokio_tungstenite::client_async_tls_with_config(url.as_str(), stream, Some(config), None);
    // It is large, and this future is polled on small stacks.
    let (socket, _) = Box::pin(opening).await.map_err(Box::new)?;
    Ok(WebSocket::Tokio(socket))
}

impl WebSocketTransport for Transport {
    fn support_ping(&self) -> bool {
        true
    }

    fn connect<'a>(
        &'a self,
        url: &'a nostr_sdk::Url,
        _: &'a ConnectionMode,
        timeout: Duration,
    ) -> BoxedFuture<'a, Result<(WebSocketSink, WebSocketStream), TransportError>> {
        Box::pin(async move {
            let url = RelayUrl::parse(url.as_str()).map_err(|_| TransportError::backend(NotConnected::NoHost))?;
            let opened = tokio::time::timeout(timeout, self.open(&url, timeout)).await;
            let socket = opened.unwrap_or(Err(NotConnected::TooSlow(timeout))).map_err(TransportError::backend)?;
            let (sink, stream) = socket.split();
            let sink: WebSocketSink = Box::new(Outgoing(sink));
            let overheard = self.overheard.clone();
            let stream = stream.inspect_ok(move |message| {
                if let (Some(overheard), Message::Text(text)) = (&overheard, message) {
                    overheard(&url, text);
                }
            });
            let stream: WebSocketStream = Box::pin(stream.map_err(TransportError::backend));
            Ok((sink, stream))
        })
    }
}

/// The half that sends, with the library's error.
struct Outgoing(SplitSink<WebSocket, Message>);

impl Sink<Message> for Outgoing {
    type Error = TransportError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Pin::new(&mut self.0).poll_ready(cx).map_err(TransportError::backend)
    }

    fn start_send(mut self: Pin<&mut Self>, item: Message) -> Result<(), TransportError> {
        Pin::new(&mut self.0).start_send(item).map_err(TransportError::backend)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Pin::new(&mut self.0).poll_flush(cx).map_err(TransportError::backend)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Pin::new(&mut self.0).poll_close(cx).map_err(TransportError::backend)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn url(text: &str) -> RelayUrl {
        RelayUrl::parse(text).unwrap()
    }

    #[tokio::test]
    async fn of_somebodys_list_only_public_addresses_are_used() {
        let own = url("ws://127.0.0.1:7447");
        let transport = Transport::new(BTreeSet::from([own.clone()]));
        for inside in [
            "ws://127.0.0.1",
            "ws://localhost:7447",
            "ws://[::1]:7447",
            "ws://2130706433",
            "ws://0x7f.1",
            "ws://0.0.0.0",
            "ws://10.1.2.3",
            "ws://192.168.0.1",
            "ws://100.64.0.1",
            "ws://169.254.169.254",
            "wss://[::ffff:10.0.0.1]",
            "wss://[fd00::1]",
        ] {
            let found = transport.addresses(&url(inside)).await;
            assert!(matches!(found, Err(NotConnected::NotPublic)), "{inside}: {found:?}");
        }
        assert!(transport.addresses(&own).await.is_ok());
        assert!(transport.addresses(&url("ws://8.8.8.8")).await.is_ok());
    }

    #[test]
    fn it_is_the_address_of_a_name_that_is_judged() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let found = || vec![at("10.1.2.3:443"), at("8.8.8.8:443"), at("[fe80::1]:443")];
        assert_eq!(allowed(found(), false).unwrap(), [at("8.8.8.8:443")]);
        assert_eq!(allowed(found(), true).unwrap(), found());
        assert!(matches!(allowed(vec![at("10.1.2.3:443")], false), Err(NotConnected::NotPublic)));
        assert!(matches!(allowed(Vec::new(), true), Err(NotConnected::NoHost)));
    }

    #[tokio::test]
    async fn where_one_address_refuses_or_is_silent_the_next_is_tried() {
        let listen = || TcpListener::bind(("127.0.0.1", 0));
        let (refuses, silent, good) = (listen().await.unwrap(), listen().await.unwrap(), listen().await.unwrap());
        let at = |listener: &TcpListener| listener.local_addr().unwrap();
        let addresses = vec![at(&refuses), at(&silent), at(&good)];
        drop(refuses);
        let serving = tokio::spawn(async move {
            let (stream, _) = good.accept().await.unwrap();
            tokio_tungstenite::accept_async(stream).await.map(drop)
        });
        let opened = open_any(&url("ws://relay.example"), addresses, Duration::from_millis(900)).await;
        assert!(opened.is_ok(), "{:?}", opened.err());
        serving.await.unwrap().unwrap();
        let only = open_any(&url("ws://relay.example"), vec![at(&silent)], Duration::from_millis(50)).await;
        assert!(matches!(only, Err(NotConnected::TooSlow(_))));
    }
}
