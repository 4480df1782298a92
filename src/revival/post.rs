//! A packet that is sent by HTTP, and what came back. It is sent at least once: whoever receives it goes by its
//! `Idempotency-Key`.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use serde::Deserialize;

/// Most bytes of an answer that are read.
const ANSWER_BYTES: usize = 64 * 1024;
/// Most characters of a reason that is kept.
const REASON_MAX: usize = 200;

/// What is sent, and to where. It has no `Debug`: addresses and tokens are secrets.
pub struct Post<'a> {
    /// To where; http or https.
    pub url: &'a str,
    /// The bearer token that is sent along.
    pub token: Option<&'a str>,
    /// The same for the same thing, however often it is sent.
    pub key: &'a str,
    /// The packet, JSON.
    pub body: Vec<u8>,
    /// How long it may take, with its answer.
    pub timeout: Duration,
}

/// What a substitute may answer to a packet: in a 2xx answer's body, or as the last line that its command prints.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Reply {
    /// Whether it takes over.
    pub accepted: bool,
    /// Why not.
    #[serde(default)]
    reason: String,
}

impl Reply {
    /// What `text` says, if it says anything of that kind.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text.trim()).ok()
    }

    /// Why it does not take over: one harmless line; none if it does.
    pub fn declined(&self) -> Option<String> {
        if self.accepted {
            return None;
        }
        let plain: String = self.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let kept: String = plain.trim().chars().take(REASON_MAX).collect();
        Some(if kept.is_empty() { "no reason was given".into() } else { kept })
    }
}

/// Why a packet is not known to have arrived, in a few words without the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDelivered {
    /// It was not taken: nobody was reached, or the answer says so.
    Refused(String),
    /// It was on its way when the connection ended: nobody can say whether it was taken.
    Unclear(String),
}

impl std::fmt::Display for NotDelivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) | Self::Unclear(why) => f.pad(why),
        }
    }
}

/// Sends it. No redirect is followed and no proxy asked, and an answer that is too long is cut: what it says then is
/// nothing.
///
/// # Errors
/// Why it is not known to have been taken.
pub async fn post(post: Post<'_>) -> Result<Option<Reply>, NotDelivered> {
    let wrong = |error: reqwest::Error| {
        let before_it_was_sent = error.is_builder() || error.is_connect();
        let why = why(&error.without_url());
        if before_it_was_sent { NotDelivered::Refused(why) } else { NotDelivered::Unclear(why) }
    };
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .timeout(post.timeout)
        .connect_timeout(post.timeout)
        .build()
        .map_err(wrong)?;
    let mut request = client
        .post(post.url)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header("idempotency-key", post.key)
        .body(post.body);
    if let Some(token) = post.token {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| NotDelivered::Refused("its token holds what no header can".into()))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let mut answer = request.send().await.map_err(wrong)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(NotDelivered::Refused(format!("it answered with status {}", status.as_u16())));
    }
    let mut body = Vec::new();
    // It has taken the packet: what goes wrong from here on only hides what else it says.
    while let Ok(Some(chunk)) = answer.chunk().await {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(std::str::from_utf8(&body).ok().and_then(Reply::read))
}

fn why(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    let kind = if error.is_timeout() { "it did not answer in time" } else { "the connection failed" };
    let kind = if error.is_connect() { "it could not be reached" } else { kind };
    format!("{kind} ({})", text.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_so_is_an_answer() {
        for (text, expected) in [
            ("{\"accepted\": true}", Some(None)),
            (" {\"accepted\": true, \"more\": 1}\n", Some(None)),
            ("{\"accepted\": false, \"reason\": \"no\\nroom\"}", Some(Some("no room"))),
            ("{\"accepted\": false}", Some(Some("no reason was given"))),
            ("{\"accepted\": \"yes\"}", None),
            ("accepted", None),
            ("", None),
        ] {
            let read = Reply::read(text).map(|reply| reply.declined());
            assert_eq!(read, expected.map(|why| why.map(str::to_owned)), "{text}");
        }
    }
}
