//! Calls of the Bot API. The calls and their fields are teloxide's; what goes over the wire is ours, since
//! teloxide waits ten seconds at every 5xx, tells errors apart by texts that have changed since, and holds
//! an answer for an error when it has a field that is newer than itself.

use std::time::Duration;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use teloxide_core::requests::Payload;

use super::fault::{Fault, Refusal};
use super::form::{self, File};
use super::token::Token;

/// An answer is at most so long: a hundred updates of the longest kind are far below.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(5);
/// A file may take so much longer than any other call.
const FILE: Duration = Duration::from_secs(30);

/// One bot at one server.
#[derive(Clone)]
pub struct Api {
    http: Client,
    base: String,
    token: Token,
    deadline: Duration,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("base", &self.base).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    ok: bool,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

impl Api {
    /// A client of its own, with connections of its own. `deadline` is for a whole call; a long poll
    /// gets its own time in addition.
    ///
    /// # Errors
    /// TLS could not be set up.
    pub fn new(base: &str, token: Token, deadline: Duration) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(CONNECT.min(deadline))
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .build()?;
        Ok(Self { http, base: base.to_owned(), token, deadline })
    }

    /// The same bot over connections of its own: a poll must never wait for a send.
    ///
    /// # Errors
    /// As [`Api::new`].
    pub fn again(&self) -> Result<Self, reqwest::Error> {
        Self::new(&self.base, self.token.clone(), self.deadline)
    }

    /// Makes one call and returns its result as it came.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn call<P: Payload + Serialize + Sync>(&self, call: &P) -> Result<Box<RawValue>, Fault> {
        let deadline = self.deadline + call.timeout_hint().unwrap_or_default();
        match tokio::time::timeout(deadline, self.exchange(P::NAME, call)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Network { why: format!("none within {} ms", deadline.as_millis()) }),
        }
    }

    /// The same, with the result read.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn ask<P, T>(&self, call: &P) -> Result<T, Fault>
    where
        P: Payload + Serialize + Sync,
        T: for<'de> Deserialize<'de>,
    {
        let raw = self.call(call).await?;
        serde_json::from_str(raw.get()).map_err(|_| Fault::Unreadable { status: 200 })
    }

    async fn exchange(&self, method: &str, call: &(impl Serialize + Sync)) -> Result<Box<RawValue>, Fault> {
        self.post(method, |post| post.json(call)).await
    }

    /// A call that holds a file, as the parts of a form: `fields` as text, `file` with its name and content.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn upload(
        &self,
        method: &str,
        fields: &[(&str, String)],
        file: File<'_>,
    ) -> Result<Box<RawValue>, Fault> {
        let (kind, body) = form::of(fields, &file);
        let posted = self.post(method, |post| post.header(CONTENT_TYPE, kind).body(body));
        match tokio::time::timeout(self.deadline + FILE, posted).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Network { why: format!("none within {} ms", (self.deadline + FILE).as_millis()) }),
        }
    }

    /// The file at `path`, as `getFile` told it; None if it has more than `at_most` bytes.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn download(&self, path: &str, at_most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let address = self.file_at(path).ok_or_else(|| Fault::Refused { why: "its path is none".into() })?;
        let read = async {
            let mut response = self.http.get(address).send().await.map_err(lost)?;
            match response.status().as_u16() {
                200 => {}
                status @ 500..=599 => return Err(Fault::Server { status }),
                429 => return Err(Fault::Flood { after: Duration::from_secs(5) }),
                status => return Err(Fault::Refused { why: format!("Telegram has no such file (status {status})") }),
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(lost)? {
                if body.len() + chunk.len() > at_most {
                    return Ok(None);
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Some(body))
        };
        match tokio::time::timeout(self.deadline + FILE, read).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Network { why: format!("none within {} ms", (self.deadline + FILE).as_millis()) }),
        }
    }

    /// Where a file is. Its path comes from outside, so it may lead nowhere else.
    fn file_at(&self, path: &str) -> Option<reqwest::Url> {
        let mut address = reqwest::Url::parse(&self.base).ok()?;
        let strange = |part: &str| part.is_empty() || part == "." || part == "..";
        if path.split('/').any(strange) {
            return None;
        }
        let bot = format!("bot{}", self.token.reveal());
        address.path_segments_mut().ok()?.pop_if_empty().push("file").push(&bot).extend(path.split('/'));
        Some(address)
    }

    async fn post(
        &self,
        method: &str,
        with: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Box<RawValue>, Fault> {
        let address = format!("{}/bot{}/{method}", self.base, self.token.reveal());
        let sent = with(self.http.post(address)).send().await;
        let mut response = sent.map_err(lost)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > ANSWER_MAX {
                return Err(Fault::Unreadable { status });
            }
            body.extend_from_slice(&chunk);
        }
        match serde_json::from_slice::<Frame<'_>>(&body) {
            Ok(Frame { ok: true, result: Some(result) }) => Ok(result.to_owned()),
            Ok(_) => {
                let refusal = serde_json::from_slice::<Refusal>(&body).map_err(|_| unreadable(status))?;
                Err(Fault::of(status, refusal))
            }
            // A proxy in between, or an answer that was cut off.
            Err(_) => Err(unreadable(status)),
        }
    }
}

/// Which of the two kinds of trouble an answer without a frame is.
fn unreadable(status: u16) -> Fault {
    match status {
        500..=599 => Fault::Server { status },
        429 => Fault::Flood { after: Duration::from_secs(5) },
        status => Fault::Unreadable { status },
    }
}

/// Without the address: it holds the token.
fn lost(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let mut why = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(next) = cause {
        why = next.to_string();
        cause = next.source();
    }
    Fault::Network { why: crate::wording::harmless(&why, crate::wording::SHORT_MAX) }
}
