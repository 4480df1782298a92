//! The other end of the socket.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::desk::Shown;
use super::routes::{CommandState, NewCommand, Problem};

/// How long the client waits.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For a daemon that went away, or that works on a command, to come with the answer.
    pub reconnect: Duration,
    /// Between two tries.
    pub pause: Duration,
    /// For one answer.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { reconnect: Duration::from_secs(15), pause: Duration::from_millis(200), answer: Duration::from_secs(300) }
    }
}

/// Why the daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers on the socket, and nothing was sent.
    #[error("{}: {}", path.display(), unanswered(why))]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// What connecting came to.
        why: std::io::Error,
    },
    /// The connection was cut, and nobody came back to tell what became of the command.
    #[error(
        "unknown whether it was received: the connection to the daemon was cut and did not come back within {waited:?}; see `lazarus-gate pending` and `history` once it runs"
    )]
    Unknown {
        /// How long.
        waited: Duration,
    },
    /// The command is in the inbox, and its answer did not come in time.
    #[error("it was received as {input}, but is still being worked off after {waited:?}; see `lazarus-gate history`")]
    StillWorking {
        /// Its id in the inbox.
        input: String,
        /// How long.
        waited: Duration,
    },
    /// The connection was cut while something was read.
    #[error("{path}: the daemon's answer did not come; try again")]
    Cut {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The daemon does not do that.
    #[error("{}", problem.text)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it says.
        problem: Problem,
    },
    /// The daemon speaks another language; an older or newer release, or another program.
    #[error("{path}: the daemon's answer is not understood ({why}); is it of another release?")]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

fn unanswered(why: &std::io::Error) -> String {
    match why.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            "no daemon answers; start it with `lazarus-gate run`, or name its socket with --socket".into()
        }
        ErrorKind::PermissionDenied => {
            "you may not go to the daemon's socket; its folder takes mode 755, and is none that holds secrets".into()
        }
        _ => format!("no daemon answers ({why}); name its socket with --socket"),
    }
}

/// Speaks to the daemon behind one socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
    patience: Patience,
}

/// What one exchange came to, where it did not come to an answer.
enum Failed {
    /// Not even connected: nothing was sent.
    NotConnected(std::io::Error),
    /// Cut somewhere later.
    Cut(Box<dyn std::error::Error + Send + Sync>),
}

impl Client {
    /// For the socket at `path`.
    pub fn new(path: &Path, patience: Patience) -> Self {
        Self { path: path.to_owned(), patience }
    }

    /// Whether somebody answers on the socket.
    pub async fn is_answered(&self) -> bool {
        self.exchange(Method::GET, "/v1/whoami", Bytes::new()).await.is_ok()
    }

    /// Reads what is at `address`, e.g. `/v1/pending`.
    ///
    /// # Errors
    /// [`ClientError`], also where the daemon says no.
    pub async fn read(&self, address: &str) -> Result<Shown, ClientError> {
        let (status, body) = self.get(address).await?;
        self.understood(status, &body)
    }

    /// As [`Client::read`], for what is no JSON.
    ///
    /// # Errors
    /// As of [`Client::read`].
    pub async fn read_text(&self, address: &str) -> Result<String, ClientError> {
        let (status, body) = self.get(address).await?;
        if status.is_success() {
            return Ok(String::from_utf8_lossy(&body).into_owned());
        }
        self.understood(status, &body)
    }

    /// Sends something that is no command of the inbox, once.
    ///
    /// # Errors
    /// As of [`Client::read`].
    pub async fn send(&self, address: &str, body: Vec<u8>) -> Result<Shown, ClientError> {
        let sent = self.exchange(Method::POST, address, body.into()).await;
        let (status, body) = sent.map_err(|failed| match failed {
            Failed::NotConnected(why) => ClientError::NoDaemon { path: self.path.clone(), why },
            Failed::Cut(source) => ClientError::Cut { path: self.path.clone(), source },
        })?;
        self.understood(status, &body)
    }

    /// Sends a command and waits for its answer. If the connection is cut, comes back and asks for
    /// the answer by the command's id, and sends it again under the same id if it was not received.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] if it was never sent, [`ClientError::Unknown`] if nobody can say.
    pub async fn say(&self, command: &NewCommand) -> Result<CommandState, ClientError> {
        let body = serde_json::to_vec(command).map(Bytes::from).map_err(|error| self.foreign(error.to_string()))?;
        let send = || self.exchange(Method::POST, "/v1/commands", body.clone());
        let ask_address = format!("/v1/commands/{}", command.id);
        let ask = || self.exchange(Method::GET, &ask_address, Bytes::new());

        let mut last = send().await;
        if let Err(Failed::NotConnected(why)) = last {
            return Err(ClientError::NoDaemon { path: self.path.clone(), why });
        }
        let began = Instant::now();
        let mut received = None;
        loop {
            match last {
                Ok((status, body)) if status.is_success() => {
                    let state: CommandState = self.understood(status, &body)?;
                    if state.answer.is_some() {
                        return Ok(state);
                    }
                    received = Some(state.input);
                }
                Ok((status, body)) if status == StatusCode::SERVICE_UNAVAILABLE && received.is_none() => {
                    // The store had a bad moment; whether it took the command is found out by asking.
                    if began.elapsed() >= self.patience.reconnect {
                        return self.understood(status, &body);
                    }
                }
                Ok((status, body)) => return self.understood(status, &body),
                Err(Failed::NotConnected(_) | Failed::Cut(_)) => {}
            }
            let waited = self.patience.reconnect;
            if began.elapsed() >= waited {
                return Err(match received {
                    Some(input) => ClientError::StillWorking { input, waited },
                    None => ClientError::Unknown { waited },
                });
            }
            tokio::time::sleep(self.patience.pause).await;
            last = match ask().await {
                Ok((StatusCode::NOT_FOUND, _)) => send().await,
                other => other,
            };
        }
    }

    async fn get(&self, address: &str) -> Result<(StatusCode, Bytes), ClientError> {
        self.exchange(Method::GET, address, Bytes::new()).await.map_err(|failed| match failed {
            Failed::NotConnected(why) => ClientError::NoDaemon { path: self.path.clone(), why },
            Failed::Cut(source) => ClientError::Cut { path: self.path.clone(), source },
        })
    }

    async fn exchange(&self, method: Method, address: &str, body: Bytes) -> Result<(StatusCode, Bytes), Failed> {
        let stream = UnixStream::connect(&self.path).await.map_err(Failed::NotConnected)?;
        let talk = async {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let request = hyper::Request::builder()
                .method(method)
                .uri(address)
                .header(hyper::header::HOST, "lazarus-gate")
                .header(hyper::header::CONTENT_TYPE, "application/json")
                .body(Full::new(body))?;
            let ask = async {
                let response = sender.send_request(request).await?;
                let status = response.status();
                let body = response.into_body().collect().await?.to_bytes();
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>((status, body))
            };
            let mut connection = std::pin::pin!(connection);
            let mut ask = std::pin::pin!(ask);
            tokio::select! {
                // The answer first: the server closes right after it.
                biased;
                answer = &mut ask => answer,
                ended = &mut connection => { ended?; ask.await }
            }
        };
        match tokio::time::timeout(self.patience.answer, talk).await {
            Ok(answer) => answer.map_err(Failed::Cut),
            Err(_) => Err(Failed::Cut(Box::new(std::io::Error::from(ErrorKind::TimedOut)))),
        }
    }

    fn understood<T: DeserializeOwned>(&self, status: StatusCode, body: &[u8]) -> Result<T, ClientError> {
        if status.is_success() {
            return serde_json::from_slice(body).map_err(|error| self.foreign(error.to_string()));
        }
        match serde_json::from_slice(body) {
            Ok(problem) => Err(ClientError::Refused { status: status.as_u16(), problem }),
            Err(_) => Err(self.foreign(format!("status {status}"))),
        }
    }

    fn foreign(&self, why: String) -> ClientError {
        ClientError::Foreign { path: self.path.clone(), why }
    }
}
