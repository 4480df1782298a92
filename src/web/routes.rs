//! What can be asked on the local socket, version 1. No rules live here: a command goes to the inbox
//! as it was said, and whether its speaker may say it is decided there. Only reading is refused here,
//! since reading has no place in the inbox.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};

use super::desk::{Desk, Shown, Submitted};
use super::reads;
use super::server::{Limits, Peer};
use crate::approval::{Answer, Channel, Code, InputId, Said, Speaker};
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::{StoreError, inbox};
use crate::wording;

/// Longest line of a command, in bytes; the grammar keeps less.
const LINE_MAX: usize = 32 * 1024;
/// Most bytes of a command with its document; a state that is kept has at most 16 MiB.
const DOCUMENT_MAX: usize = 17 * 1024 * 1024;
/// Entries of a page of history: what is shown without being asked for, and at most.
const PAGE: u32 = 50;
const PAGE_MAX: u32 = 500;

/// A command as the client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCommand {
    /// Made by the client; the same id again is the same command again.
    pub id: String,
    /// One line of the grammar.
    pub line: String,
    /// The request it replies to, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Code>,
    /// The JSON document that comes along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<serde_json::Value>,
}

/// What the client is told about a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandState {
    /// The id that the inbox knows it by: for `inbox retry`, and in the journal.
    pub input: String,
    /// The answer; none as long as it is being worked off.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// Anything that is not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Its kind, in one word.
    pub error: String,
    /// For the person.
    pub text: String,
}

#[derive(Debug, Default, Deserialize)]
struct HistoryQuery {
    agent: Option<AgentName>,
    limit: Option<u32>,
    before: Option<i64>,
}

pub(super) struct Shared<D> {
    desk: Arc<D>,
    body_max: usize,
    pub(super) arrive_within: Duration,
    strangers_say: Allowance,
}

/// So many at once, and one more each second after that.
struct Allowance {
    most: u32,
    left: Mutex<(f64, Instant)>,
}

impl Allowance {
    fn new(most: u32) -> Self {
        Self { most, left: Mutex::new((most.into(), Instant::now())) }
    }

    fn take(&self, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let again = left.0 + now.saturating_duration_since(left.1).as_secs_f64();
        *left = (again.min(self.most.into()), now);
        let enough = left.0 >= 1.0;
        if enough {
            left.0 -= 1.0;
        }
        enough
    }
}

pub(super) type At<D> = State<Arc<Shared<D>>>;
pub(super) type Answered = Result<Response, Fault>;

/// A [`Problem`] on its way out.
pub(super) struct Fault {
    status: StatusCode,
    error: &'static str,
    text: String,
}

/// The id under which a command of `uid` stands in the inbox. With the uid in it, nobody can use up
/// another's ids, nor those of another source.
pub fn input_id(uid: u32, id: &str) -> InputId {
    InputId(format!("cli:{uid}:{id}"))
}

/// What was said, as it is put into the inbox; the source is the channel's name.
///
/// # Errors
/// Never in practice: it says that what was said is no JSON.
pub fn input_of(id: &InputId, said: &Said, now: Timestamp) -> Result<inbox::Input, serde_json::Error> {
    Ok(inbox::Input {
        id: id.0.clone(),
        source: said.via.key().into(),
        raw: serde_json::to_string(said)?,
        entered_at: now,
    })
}

/// Whether a client may choose `id`: 8 to 64 letters, digits and hyphens.
pub fn is_id(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

pub(super) fn router<D: Desk>(desk: Arc<D>, limits: &Limits) -> Router {
    let shared = Shared {
        desk,
        body_max: limits.body,
        arrive_within: limits.arrive_within,
        strangers_say: Allowance::new(limits.strangers_say),
    };
    Router::new()
        .route("/v1/commands", post(say::<D>))
        .route("/v1/commands/{id}", get(said::<D>))
        .route("/v1/whoami", get(whoami::<D>))
        .route("/v1/pending", get(pending::<D>))
        .route("/v1/requests/{target}", get(request::<D>))
        .route("/v1/drills/{id}", get(drill::<D>))
        .route("/v1/status", get(status::<D>))
        .route("/v1/history", get(history::<D>))
        .route("/v1/explain/{agent}", get(explain::<D>))
        .route("/v1/agents", get(agents::<D>))
        .route("/v1/inbox/set-aside", get(set_aside::<D>))
        .route("/v1/journal/verify", get(verify::<D>))
        .route("/v1/metrics", get(metrics::<D>))
        .merge(super::bus::router())
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "no_such_route", "there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "this address does not take that method")
        })
        .with_state(Arc::new(shared))
}

async fn say<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>, body: Body) -> Answered {
    // Only who is somebody here may bring a document along.
    let most = if is_known(&*at.desk, peer.uid) { at.body_max.max(DOCUMENT_MAX) } else { at.body_max };
    let bytes = match tokio::time::timeout(at.arrive_within, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let text = format!("a command has at most {most} bytes, or it was cut off");
            return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text));
        }
        Err(_) => return Err(problem(StatusCode::REQUEST_TIMEOUT, "too_slow", "the command did not come in time")),
    };
    let wrong = |text: String| problem(StatusCode::BAD_REQUEST, "wrong_form", text);
    let command: NewCommand =
        serde_json::from_slice(&bytes).map_err(|error| wrong(format!("this is no command: {error}")))?;
    if !is_id(&command.id) {
        return Err(wrong("an id has 8 to 64 letters, digits and hyphens".into()));
    }
    if command.line.len() > LINE_MAX {
        return Err(wrong(format!("a line has at most {LINE_MAX} bytes")));
    }
    if !is_known(&*at.desk, peer.uid) && !at.strangers_say.take(Instant::now()) {
        let text = wording::stranger(&Speaker::LocalUser(peer.uid));
        return Err(problem(StatusCode::TOO_MANY_REQUESTS, "not_a_person", text));
    }
    let id = input_id(peer.uid, &command.id);
    // The inbox holds what is small; a file beside the store holds the rest.
    let document = match command.document {
        Some(document) => Some(at.desk.small_document(document).await.map_err(|error| match error {
            StoreError::Invalid { why, .. } => problem(StatusCode::PAYLOAD_TOO_LARGE, "too_large", why),
            error => failed(&error),
        })?),
        None => None,
    };
    let said = Said {
        speaker: Speaker::LocalUser(peer.uid),
        via: Channel::Cli,
        line: command.line,
        context: command.context,
        document,
    };
    match at.desk.submit(id.clone(), said).await.map_err(|error| failed(&error))? {
        Submitted::Answered(answer) => Ok(told(id, Some(answer))),
        Submitted::Pending => Ok(told(id, None)),
        Submitted::IdTaken => {
            let text = "this id stands for another command already; send it anew under an id of its own";
            Err(problem(StatusCode::CONFLICT, "id_taken", text))
        }
    }
}

/// Only who sent it may ask, since the id is looked up together with the caller's uid; root may ask
/// for anybody's by the whole id of the inbox.
async fn said<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>, Path(id): Path<String>) -> Answered {
    let id = if peer.uid == 0 && id.starts_with("cli:") { InputId(id) } else { input_id(peer.uid, &id) };
    match reads::answer(at.desk.reader(), &id).await.map_err(|error| failed(&error))? {
        Some(answer) => Ok(told(id, answer)),
        None => Err(problem(StatusCode::NOT_FOUND, "unknown", "no command of this id was received from you")),
    }
}

async fn whoami<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>) -> Answered {
    Ok(Json(reads::whoami(peer.uid, at.desk.person_of(peer.uid).as_ref())).into_response())
}

async fn pending<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>) -> Answered {
    let desk = reading(&at, peer)?;
    shown(reads::pending(desk.reader(), &desk.setting(), desk.now()).await.map(Some))
}

async fn request<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>, Path(target): Path<String>) -> Answered {
    let desk = reading(&at, peer)?;
    shown(reads::request(desk.reader(), &target, desk.approval_ttl(), &desk.setting(), desk.now()).await)
}

async fn drill<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>, Path(id): Path<String>) -> Answered {
    let desk = reading(&at, peer)?;
    shown(reads::drill(desk.reader(), &id, &desk.setting(), desk.now()).await)
}

async fn status<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>) -> Answered {
    let desk = reading(&at, peer)?;
    shown(reads::status(desk.reader(), Some(desk.live()), &desk.setting(), desk.now()).await.map(Some))
}

async fn history<D: Desk>(
    State(at): At<D>,
    Extension(peer): Extension<Peer>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Answered {
    let desk = reading(&at, peer)?;
    let query = asked(query)?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let who = |mission: &MissionName| desk.bus_reader(peer.uid, mission);
    let (setting, now) = (desk.setting(), desk.now());
    shown(reads::history(desk.reader(), query.agent, query.before, limit, who, &setting, now).await.map(Some))
}

async fn explain<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>, Path(agent): Path<String>) -> Answered {
    let desk = reading(&at, peer)?;
    let agent =
        AgentName::new(agent).map_err(|error| problem(StatusCode::BAD_REQUEST, "wrong_form", error.to_string()))?;
    shown(desk.explain(&agent).await)
}

async fn agents<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>) -> Answered {
    let desk = reading(&at, peer)?;
    shown(reads::agents(desk.reader(), desk.live().agents, &desk.setting(), desk.now()).await.map(Some))
}

async fn set_aside<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>) -> Answered {
    let desk = reading(&at, peer)?;
    shown(reads::set_aside(desk.reader(), &desk.setting(), desk.now()).await.map(Some))
}

async fn verify<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>) -> Answered {
    let desk = reading(&at, peer)?;
    shown(reads::verify(desk.reader(), |_, _| {}).await.map(Some))
}

async fn metrics<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>) -> Answered {
    let desk = reading(&at, peer)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], desk.metrics_text()).into_response())
}

/// Whether this user is somebody here: one of the people, root, or the user that the daemon runs as.
/// Who is may read, and may ask as often as they please; what they may decide is another question.
pub(super) fn is_known<D: Desk>(desk: &D, uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw() || desk.person_of(uid).is_some()
}

/// The desk, for somebody who may read.
pub(super) fn reading<D: Desk>(at: &Shared<D>, peer: Peer) -> Result<&D, Fault> {
    if is_known(&*at.desk, peer.uid) {
        return Ok(&at.desk);
    }
    Err(problem(StatusCode::FORBIDDEN, "not_a_person", wording::stranger(&Speaker::LocalUser(peer.uid))))
}

fn shown(read: Result<Option<Shown>, StoreError>) -> Answered {
    match read {
        Ok(Some(shown)) => Ok(Json(shown).into_response()),
        Ok(None) => Err(problem(StatusCode::NOT_FOUND, "unknown", "there is no such request or agent")),
        Err(error) => Err(failed(&error)),
    }
}

fn told(id: InputId, answer: Option<Answer>) -> Response {
    let status = if answer.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, Json(CommandState { input: id.0, answer })).into_response()
}

pub(super) fn failed(error: &StoreError) -> Fault {
    tracing::error!(error = %Chain(error), "a local request failed at the store");
    problem(StatusCode::SERVICE_UNAVAILABLE, "store", format!("the store did not answer: {}", Chain(error)))
}

/// What was asked behind the `?`.
pub(super) fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Fault> {
    query.map(|Query(asked)| asked).map_err(|error| problem(StatusCode::BAD_REQUEST, "wrong_form", error.body_text()))
}

pub(super) fn problem(status: StatusCode, error: &'static str, text: impl Into<String>) -> Fault {
    Fault { status, error, text: text.into() }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.status, Json(Problem { error: self.error.into(), text: self.text })).into_response()
    }
}

/// An error with its causes, in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
