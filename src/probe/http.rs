//! The HTTP signal: one question to one gateway, within one deadline.
//!
//! ```text
//! HEAD ── 405, 501 ──► GET ─┐            status of the GET; if the GET fails, of the HEAD
//!   │                       ├── 30x with a place to go ──► HEAD there (10 times at most, 4 to the same URL)
//!   └── anything else ──────┴──► Answered with that status
//! ```
//!
//! * Every step stands under **one** deadline for the whole probe, so that a server that drips, floods with
//!   1xx or never ends its headers gains nothing. Bodies are never read.
//! * A HEAD that was answered has proved that the gateway speaks HTTP: a GET that then fails takes
//!   nothing back. A redirect, though, says that what was asked for is elsewhere; if nothing is there,
//!   the gateway is unreachable, as in the reference. Unlike there, a redirect is followed with HEAD: a
//!   hostile agent must not make us GET whatever it names.
//! * Redirected requests never keep their connection: which hosts we hold connections to is
//!   up to the registry, not to those who are probed.
//! * A kept connection may have been closed by the server just now; that proves nothing, so a kept one that
//!   breaks is tried again on a new one, within the same deadline.
//! * Proxies of the environment are not used: a probe asks the agent, not what stands before it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONNECTION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Certificate, Client, Method, Url, redirect};
use tokio::time::{Instant, timeout_at};

use super::address;
use super::answer::{GatewayAnswer, GatewayFault, Shortage};
use super::fault::{Trouble, classify};
use super::names::Names;

/// Redirects followed in one probe, and how often one of them may lead to the same URL.
const REDIRECTS_MAX: usize = 10;
const SAME_URL_MAX: usize = 4;
/// A timer that fires this much too late says that we stood still, not that the agent did.
const LATE_MAX: Duration = Duration::from_secs(1);
/// Where distributions keep the certificates they trust, as one PEM file.
const SYSTEM_CA_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How gateways are asked.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// For a whole probe: connecting, redirects and a second try included.
    pub deadline: Duration,
    /// Who we say we are. Not a legal header value: [`ProbeError::Client`].
    pub user_agent: String,
    /// How long an unused connection is kept; longer than the interval, or keeping is in vain.
    pub keep_idle: Duration,
    /// Trusted certificates as a PEM file; without one, the list that is built in. A private authority
    /// stands only in the system's own file, see [`system_ca_bundle`].
    pub ca_bundle: Option<PathBuf>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            user_agent: concat!("lazarus-gate/", env!("CARGO_PKG_VERSION")).to_owned(),
            keep_idle: Duration::from_secs(90),
            ca_bundle: None,
        }
    }
}

/// The first file of trusted certificates that this system has.
pub fn system_ca_bundle() -> Option<PathBuf> {
    SYSTEM_CA_BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Why no prober could be made.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The file of trusted certificates cannot be read.
    #[error("read trusted certificates from {path}: {source}; fix the file or name another")]
    CaBundle {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of trusted certificates holds none, or the user agent is no header value.
    #[error("set the HTTP client up: {0}")]
    Client(#[from] reqwest::Error),
}

/// Whether a probe may use and leave behind a kept connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Reuse one if there is one, keep it afterwards.
    Kept,
    /// A new one, closed afterwards. For verification: an old connection proves an old process.
    Fresh,
}

/// Asks gateways. Cheap to clone; all clones share the kept connections and the known names.
#[derive(Clone)]
pub struct HttpProber {
    kept: Client,
    fresh: Client,
    names: Names,
    deadline: Duration,
}

impl HttpProber {
    /// A prober; reads the file of trusted certificates, if one is set.
    pub fn new(settings: &HttpSettings) -> Result<Self, ProbeError> {
        Self::with_names(settings, Names::of_system())
    }

    pub(super) fn with_names(settings: &HttpSettings, names: Names) -> Result<Self, ProbeError> {
        let trusted = match &settings.ca_bundle {
            Some(path) => read_certificates(path)?,
            None => Vec::new(),
        };
        let resolver = Arc::new(names.clone());
        let client = |idle_per_host: usize, headers: HeaderMap| {
            let builder = Client::builder()
                .user_agent(&settings.user_agent)
                .default_headers(headers)
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                .http1_only()
                .pool_max_idle_per_host(idle_per_host)
                .pool_idle_timeout(settings.keep_idle)
                .dns_resolver(resolver.clone())
                .tls_built_in_root_certs(trusted.is_empty());
            trusted.iter().fold(builder, |builder, one| builder.add_root_certificate(one.clone())).build()
        };
        let close = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
        Ok(Self { kept: client(1, HeaderMap::new())?, fresh: client(0, close)?, names, deadline: settings.deadline })
    }

    /// The deadline of the settings.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Asks the gateway at `url`, on a kept connection if there is one, within the deadline of the settings.
    pub async fn probe(&self, url: &str) -> GatewayAnswer {
        self.probe_within(url, self.deadline, Connection::Kept).await
    }

    /// Asks the gateway at `url`; the answer is there when `deadline` is over at the latest.
    pub async fn probe_within(&self, url: &str, deadline: Duration, connection: Connection) -> GatewayAnswer {
        match address::parse(url) {
            Err(fault) => GatewayAnswer::Unreachable { why: GatewayFault::Address(fault) },
            Ok(url) => {
                let until = Until { at: Instant::now() + deadline, deadline };
                match self.walk(url, connection, until).await {
                    Ok(status) => GatewayAnswer::Answered { status },
                    Err(Trouble::Fault(why)) => GatewayAnswer::Unreachable { why },
                    Err(Trouble::Shortage(why)) => GatewayAnswer::NoAnswer { why },
                }
            }
        }
    }

    /// The status at the end of the redirects.
    async fn walk(&self, start: Url, mut connection: Connection, until: Until) -> Result<u16, Trouble> {
        let mut url = start;
        let mut visited: Vec<Url> = Vec::new();
        loop {
            let (status, next) = self.ask(&url, connection, until).await?;
            let Some(next) = next else { return Ok(status) };
            let repeated = visited.iter().filter(|seen| **seen == next).count();
            if visited.len() >= REDIRECTS_MAX || repeated >= SAME_URL_MAX {
                return Ok(status);
            }
            visited.push(next.clone());
            url = next;
            connection = Connection::Fresh;
        }
    }

    /// HEAD, or GET where HEAD is refused: the status, and where it leads on.
    async fn ask(&self, url: &Url, connection: Connection, until: Until) -> Result<(u16, Option<Url>), Trouble> {
        let refused = match self.exchange(Method::HEAD, url, connection, until).await? {
            answer @ (405 | 501, _) => answer,
            answer => return Ok(answer),
        };
        Ok(self.exchange(Method::GET, url, connection, until).await.unwrap_or(refused))
    }

    async fn exchange(
        &self,
        method: Method,
        url: &Url,
        connection: Connection,
        until: Until,
    ) -> Result<(u16, Option<Url>), Trouble> {
        match connection {
            Connection::Fresh => self.exchange_on(&self.fresh, method, url, until).await,
            Connection::Kept => match self.exchange_on(&self.kept, method.clone(), url, until).await {
                Err(Trouble::Fault(GatewayFault::Closed)) => self.exchange_on(&self.fresh, method, url, until).await,
                answer => answer,
            },
        }
    }

    async fn exchange_on(
        &self,
        client: &Client,
        method: Method,
        url: &Url,
        until: Until,
    ) -> Result<(u16, Option<Url>), Trouble> {
        match timeout_at(until.at, client.request(method, url.clone()).send()).await {
            Ok(Ok(response)) => {
                let status = response.status().as_u16();
                let next = match status {
                    301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
                    _ => None,
                };
                let next = next.and_then(|to| address::follow(url, &String::from_utf8_lossy(to.as_bytes())));
                Ok((status, next))
            }
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) if until.at.elapsed() > LATE_MAX => Err(Trouble::Shortage(Shortage::HeldUp)),
            Err(_) if url.domain().is_some_and(|name| self.names.is_waiting_for(name)) => {
                Err(Trouble::Shortage(Shortage::Names))
            }
            Err(_) => Err(Trouble::Fault(GatewayFault::Silent(until.deadline))),
        }
    }
}

/// When a probe is over, and how long it had.
#[derive(Clone, Copy)]
struct Until {
    at: Instant,
    deadline: Duration,
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, ProbeError> {
    let pem = std::fs::read(path).map_err(|source| ProbeError::CaBundle { path: path.to_owned(), source })?;
    let found = Certificate::from_pem_bundle(&pem)?;
    if found.is_empty() {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "there is no certificate in it");
        return Err(ProbeError::CaBundle { path: path.to_owned(), source });
    }
    Ok(found)
}
