//! What all addresses share: who may come in, how much of it, what a body must look like.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::allowance::Allowance;
use super::asked::Incarnation;
use super::desk::{Acted, AgentDesk, Ask, Key, What};
use super::problem::{Code, Problem};
use super::routes::{Caller, mission};
use super::server::Limits;
use crate::pool::AgentName;
use crate::store::{StoreError, door};

/// Longest token that is looked up.
const TOKEN_MAX: usize = 200;
/// Requests that one token may have under way.
const UNDER_WAY: usize = 16;

/// What is answered.
pub(super) type Answer = Result<Response, Problem>;

/// Who is asking, by the token that was shown.
#[derive(Clone, Debug)]
pub(super) struct Agent(pub AgentName);

/// The door, for all that come in.
pub(super) struct Shared {
    pub desk: Arc<dyn AgentDesk>,
    limits: Limits,
    shares: Allowance<AgentName>,
    wrong: Allowance<IpAddr>,
    under_way: Mutex<BTreeMap<AgentName, usize>>,
}

/// Lets through who shows a token, within its share. Nothing of a body was read by then.
pub(super) async fn known(
    State(at): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    mut request: Request,
    next: Next,
) -> Answer {
    let agent = at.who(&caller, request.headers()).await?;
    if let Err(wait) = at.shares.take(&agent, Instant::now()) {
        let why = format!("{agent} may make {} requests a second", at.limits.rate);
        return Err(too_many(Code::TooMany, why, "send it again after the time in Retry-After").again_after(wait));
    }
    let Some(turn) = at.turn(&agent) else {
        let why = format!("{agent} has {UNDER_WAY} requests under way");
        let do_ = "wait for their answers before the next";
        return Err(too_many(Code::TooMany, why, do_).again_after(Duration::from_secs(1)));
    };
    // Its place is its own until the answer was read, however slowly; whoever has more than its share gives way.
    let _ = caller.turn.set(turn);
    caller.known.store(true, Ordering::Release);
    request.extensions_mut().insert(Agent(agent));
    Ok(next.run(request).await)
}

fn too_many(code: Code, why: String, what_to_do: &str) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, "the request was not looked at", why, what_to_do)
}

impl Shared {
    pub fn new(desk: Arc<dyn AgentDesk>, limits: &Limits) -> Self {
        Self {
            desk,
            shares: Allowance::new(limits.rate.saturating_mul(2), limits.rate.into()),
            wrong: Allowance::new(limits.wrong_tokens, 1.0),
            under_way: Mutex::default(),
            limits: limits.clone(),
        }
    }

    async fn who(&self, caller: &Caller, headers: &HeaderMap) -> Result<AgentName, Problem> {
        const GET_ONE: &str = "have one made with `lazarus-gate agent token NAME`, and send it as \
                               `Authorization: Bearer TOKEN`";
        let unauthorized = |code, why| Problem::new(StatusCode::UNAUTHORIZED, code, "the request", why, GET_ONE);
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            shown.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else {
            return Err(self.wrong(caller, unauthorized(Code::NoToken, "it shows no token")));
        };
        let found = match token.trim() {
            token if token.is_empty() || token.len() > TOKEN_MAX => None,
            token => {
                let mut db = self.desk.reader().read().await.map_err(|error| failed("the request", &error))?;
                door::whose(&mut db, &hex::encode(Sha256::digest(token)))
                    .await
                    .map_err(|error| failed("the request", &error))?
            }
        };
        match found {
            Some(token) => match self.desk.whose_name(&token.agent) {
                None => Ok(token.agent),
                Some(_) => {
                    let why = "its token is for a name under which somebody of `people` acts by now";
                    Err(self.wrong(caller, unauthorized(Code::UnknownToken, why)))
                }
            },
            None => {
                let why = "its token is nobody's: it was never issued, was replaced, or was revoked";
                Err(self.wrong(caller, unauthorized(Code::UnknownToken, why)))
            }
        }
    }

    /// Whoever shows a right token is never kept out by the wrong ones of others, so these are counted only here.
    fn wrong(&self, caller: &Caller, problem: Problem) -> Problem {
        match self.wrong.take(&caller.ip, Instant::now()) {
            Ok(()) => problem,
            Err(wait) => {
                tracing::debug!(ip = %caller.ip, "wrong tokens again and again at the door for agents");
                let why = format!("too many requests without a right token came from {}", caller.ip);
                too_many(Code::TooManyWrongTokens, why, "send a right token; those are let through at any time")
                    .again_after(wait)
            }
        }
    }

    fn turn(self: &Arc<Self>, agent: &AgentName) -> Option<Turn> {
        let mut all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(agent.clone()).or_default();
        if *count >= UNDER_WAY {
            return None;
        }
        *count += 1;
        Some(Turn { of: Arc::clone(self), agent: agent.clone() })
    }

    /// The body, as JSON of this shape.
    pub async fn body<T: DeserializeOwned>(&self, what: &str, body: Body) -> Result<(T, Vec<u8>), Problem> {
        let bytes = match tokio::time::timeout(self.limits.arrive_within, to_bytes(body, self.limits.body)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => {
                let why = format!("its body has more than {} bytes, or was cut off", self.limits.body);
                let do_ = "put what is large into a file, and refer to it";
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, not_taken(what), why, do_));
            }
            Err(_) => {
                let why = format!("its body did not come within {:?}", self.limits.arrive_within);
                let do_ = "send it at once";
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, Code::TooSlow, not_taken(what), why, do_));
            }
        };
        let do_ = "send it in the form that /v1/openapi.json describes";
        let value: serde_json::Value = match serde_json::from_slice(if bytes.is_empty() { b"{}" } else { &bytes }) {
            Ok(value) => value,
            Err(error) => {
                let why = format!("its body is no JSON: {error}");
                return Err(Problem::new(StatusCode::BAD_REQUEST, Code::WrongForm, not_taken(what), why, do_));
            }
        };
        match serde_json::from_value(value) {
            Ok(read) => Ok((read, bytes.to_vec())),
            Err(error) => Err(wrong_shape(what, error.to_string())),
        }
    }

    /// Asks the desk, and tells what it says.
    pub async fn act(
        &self,
        what: &str,
        agent: AgentName,
        sent: Sent<'_>,
        incarnation: Option<&Incarnation>,
        act: What,
    ) -> Answer {
        let mission = mission(what, sent.mission)?;
        let claim = Incarnation::claim(incarnation).map_err(|error| Problem::refused(what, &error, &[]))?;
        let key = sent.key(what)?;
        let ask = Ask { agent, mission, claim, key, at: self.desk.now(), what: act };
        match self.desk.act(ask).await.map_err(|error| failed(what, &error))? {
            Acted::Done(answer) => Ok(Json(answer).into_response()),
            Acted::KeyTaken => Err(Problem::new(
                StatusCode::CONFLICT,
                Code::KeyTaken,
                not_taken(what),
                "this idempotency key was used for another request",
                "draw a new key for each new request; keep it only for sending the same one again",
            )),
            Acted::Refused(refused) => Err(refused.problem(what)),
        }
    }
}

/// A request that is under way: from the token until the connection is over.
pub(super) struct Turn {
    of: Arc<Shared>,
    agent: AgentName,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut all = self.of.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.agent) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.agent);
            }
        }
    }
}

/// What of a request makes it the same request again.
pub(super) struct Sent<'a> {
    pub mission: &'a str,
    /// Which address, in a word, with what stands in it.
    pub address: String,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

impl Sent<'_> {
    fn key(&self, what: &str) -> Result<Option<Key>, Problem> {
        let Some(key) = self.headers.get("idempotency-key") else { return Ok(None) };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        match key.to_str() {
            Ok(key) if (8..=64).contains(&key.len()) && key.bytes().all(plain) => {
                let mut asked = Sha256::new();
                for part in [self.mission.as_bytes(), self.address.as_bytes(), self.body] {
                    asked.update((part.len() as u64).to_be_bytes());
                    asked.update(part);
                }
                Ok(Some(Key { key: key.to_owned(), request: hex::encode(asked.finalize()) }))
            }
            _ => {
                let why = "`Idempotency-Key` has 8 to 64 characters of A-Z, a-z, 0-9, '-' and '_'";
                let do_ = "draw another one, such as a UUID";
                Err(Problem::new(StatusCode::BAD_REQUEST, Code::WrongForm, not_taken(what), why, do_))
            }
        }
    }
}

fn not_taken(what: &str) -> String {
    format!("{what} was not taken")
}

pub(super) fn wrong_shape(what: &str, why: String) -> Problem {
    let do_ = "send it in the form that /v1/openapi.json describes";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Code::WrongShape, not_taken(what), why, do_)
}

pub(super) fn failed(what: &str, error: &StoreError) -> Problem {
    let own = matches!(error, StoreError::Panicked(_) | StoreError::Invalid { .. } | StoreError::Inconsistent { .. });
    tracing::error!(%error, "a request of an agent failed at the store");
    if own {
        let why = "a fault of the gateway's own; its log tells more";
        let do_ = "tell whoever runs the gateway; nothing was done";
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, what, why, do_);
    }
    let why = "the store did not answer";
    let do_ = "send it again under the same idempotency key: if it was done after all, that tells its answer";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Store, what, why, do_).again_after(Duration::from_secs(1))
}
