//! The addresses of the door, version 1. Each looks at the form of what was sent, and no further: what an agent may
//! do is decided where it is done.

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};

use super::answers::{Appended, Attached, Beaten, Handoff, Handoffs, Page};
use super::api::Token;
use super::asked::{
    Incarnation, NewAccept, NewAttach, NewBeat, NewCheckpoint, NewDecline, NewHandoff, NewMessage, PageQuery,
    StateQuery,
};
use super::desk::{AgentDesk, Beat, PageOf, Read, What};
use super::problem::{Code, Problem};
use super::server::Limits;
use super::shared::{self, Agent, Answer, Sent, Shared, Turn, failed, wrong_shape};
use crate::mission::Nonce;
use crate::mission::limit::StateFile;
use crate::pool::{AgentName, MissionName, Timestamp};

/// Events of a page: what is shown without being asked for, and at most.
const PAGE: u32 = 50;
const PAGE_MAX: u32 = 200;

/// Who came, as far as the connection tells.
#[derive(Clone)]
pub(super) struct Caller {
    /// From where.
    pub ip: IpAddr,
    /// Set once a token was found that has requests left: whoever showed one keeps its place.
    pub known: Arc<AtomicBool>,
    /// One of its agent's requests, as long as the connection lasts.
    pub turn: Arc<OnceLock<Turn>>,
}

type At = State<Arc<Shared>>;

/// What stands in the address; one that cannot be read is told as everything else is.
struct Named<T>(T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(error) => Err(wrong_shape("the request", error.body_text())),
        }
    }
}

pub(super) fn router(desk: Arc<dyn AgentDesk>, limits: &Limits) -> Router {
    let shared = Arc::new(Shared::new(desk, limits));
    let known = Router::new()
        .route("/v1/heartbeat", post(heartbeat))
        .route("/v1/handoffs", get(offers))
        .route("/v1/missions/{mission}/attach", post(attach))
        .route("/v1/missions/{mission}/messages", post(publish))
        .route("/v1/missions/{mission}/checkpoints", post(checkpoint))
        .route("/v1/missions/{mission}/handoffs", post(hand_over))
        .route("/v1/missions/{mission}/handoffs/{handoff}/accept", post(accept))
        .route("/v1/missions/{mission}/handoffs/{handoff}/decline", post(decline))
        .route("/v1/missions/{mission}/handoffs/{handoff}/packet", get(packet))
        .route("/v1/missions/{mission}/events", get(events))
        .route("/v1/missions/{mission}/states/{sha256}", get(state))
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), shared::known));
    Router::new()
        .merge(known)
        .route("/v1/openapi.json", get(describe))
        .fallback(|| async {
            let see = "see /v1/openapi.json for the addresses that there are";
            Problem::new(StatusCode::NOT_FOUND, Code::NoSuchAddress, "nothing", "there is nothing at this address", see)
        })
        .method_not_allowed_fallback(|| async {
            let why = "this address does not take that method";
            let see = "see /v1/openapi.json for the one it takes";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::WrongMethod, "nothing", why, see)
        })
        .with_state(shared)
}

pub(super) fn mission(what: &str, name: &str) -> Result<MissionName, Problem> {
    MissionName::new(name).map_err(|error| wrong_shape(what, format!("that is no mission's name: {error}")))
}

/// A text of one line and bounded length.
fn line(what: &str, key: &str, text: &str, most: usize) -> Result<(), Problem> {
    let length = text.chars().count();
    if length == 0 || length > most || text.chars().any(char::is_control) {
        return Err(wrong_shape(what, format!("`{key}` is one line of 1 to {most} characters")));
    }
    Ok(())
}

fn told<T: serde::Serialize>(what: &str, read: Read<T>) -> Answer {
    match read {
        Ok(Ok(value)) => Ok(Json(value).into_response()),
        Ok(Err(refused)) => Err(refused.problem(what)),
        Err(error) => Err(failed(what, &error)),
    }
}

/// An incarnation begins: the epoch under which it writes from now on.
#[utoipa::path(post, path = "/v1/missions/{mission}/attach", params(("mission" = String, Path)), tag = "missions",
    request_body = NewAttach, responses((status = 200, body = Attached), super::api::Problems),
    security(("token" = [])))]
async fn attach(
    State(at): At,
    Extension(Agent(agent)): Extension<Agent>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let what = "the attach";
    let (new, body) = at.body::<NewAttach>(what, body).await?;
    let nonce = Nonce::new(&new.nonce).map_err(|error| Problem::refused(what, &error, &[]))?;
    let sent = Sent { mission: &name, address: "attach".into(), headers: &headers, body: &body };
    at.act(what, agent, sent, None, What::Attach(nonce)).await
}

/// Publish a message.
#[utoipa::path(post, path = "/v1/missions/{mission}/messages", tag = "missions",
    params(("mission" = String, Path), super::api::IdempotencyKey),
    request_body = NewMessage, responses((status = 200, body = Appended), super::api::Problems),
    security(("token" = [])))]
async fn publish(
    State(at): At,
    Extension(Agent(agent)): Extension<Agent>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let what = "the message";
    let (new, body) = at.body::<NewMessage>(what, body).await?;
    line(what, "topic", &new.topic, 100)?;
    let sent = Sent { mission: &name, address: "messages".into(), headers: &headers, body: &body };
    let act = What::Publish { topic: new.topic, payload: new.payload };
    at.act(what, agent, sent, new.incarnation.as_ref(), act).await
}

/// Write down how far the work is, so that another can go on from there.
#[utoipa::path(post, path = "/v1/missions/{mission}/checkpoints", tag = "missions",
    params(("mission" = String, Path), super::api::IdempotencyKey),
    request_body = NewCheckpoint, responses((status = 200, body = Appended), super::api::Problems),
    security(("token" = [])))]
async fn checkpoint(
    State(at): At,
    Extension(Agent(agent)): Extension<Agent>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let what = "the checkpoint";
    let (new, body) = at.body::<NewCheckpoint>(what, body).await?;
    line(what, "summary", &new.summary, 500)?;
    let sent = Sent { mission: &name, address: "checkpoints".into(), headers: &headers, body: &body };
    let act = What::Checkpoint { summary: new.summary, state: new.state, artifacts: new.artifacts };
    at.act(what, agent, sent, new.incarnation.as_ref(), act).await
}

/// Offer the work to another, who accepts or declines.
#[utoipa::path(post, path = "/v1/missions/{mission}/handoffs", tag = "handoffs",
    params(("mission" = String, Path), super::api::IdempotencyKey),
    request_body = NewHandoff, responses((status = 200, body = Handoff), super::api::Problems),
    security(("token" = [])))]
async fn hand_over(
    State(at): At,
    Extension(Agent(agent)): Extension<Agent>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let what = "the handoff";
    let (new, body) = at.body::<NewHandoff>(what, body).await?;
    let recipient = AgentName::new(new.recipient)
        .map_err(|error| wrong_shape(what, format!("`recipient` is no participant's name: {error}")))?;
    if new.note.chars().count() > 2000 {
        return Err(wrong_shape(what, "`note` has at most 2000 characters".into()));
    }
    let sent = Sent { mission: &name, address: "handoffs".into(), headers: &headers, body: &body };
    let act = What::Handoff { recipient, checkpoint: new.checkpoint, note: new.note };
    at.act(what, agent, sent, new.incarnation.as_ref(), act).await
}

/// Take over what was offered: the part is one's own from now on. Accepting again changes nothing.
#[utoipa::path(post, path = "/v1/missions/{mission}/handoffs/{handoff}/accept", tag = "handoffs",
    params(("mission" = String, Path), ("handoff" = String, Path), super::api::IdempotencyKey),
    request_body = NewAccept, responses((status = 200, body = Handoff), super::api::Problems),
    security(("token" = [])))]
async fn accept(
    State(at): At,
    Extension(Agent(agent)): Extension<Agent>,
    Named((name, handoff)): Named<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let what = "the acceptance";
    let (new, body) = at.body::<NewAccept>(what, body).await?;
    let sent = Sent { mission: &name, address: format!("accept/{handoff}"), headers: &headers, body: &body };
    at.act(what, agent, sent, new.incarnation.as_ref(), What::Accept { handoff }).await
}

/// Do not take over what was offered. Declining again changes nothing.
#[utoipa::path(post, path = "/v1/missions/{mission}/handoffs/{handoff}/decline", tag = "handoffs",
    params(("mission" = String, Path), ("handoff" = String, Path), super::api::IdempotencyKey),
    request_body = NewDecline, responses((status = 200, body = Handoff), super::api::Problems),
    security(("token" = [])))]
async fn decline(
    State(at): At,
    Extension(Agent(agent)): Extension<Agent>,
    Named((name, handoff)): Named<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let what = "the refusal";
    let (new, body) = at.body::<NewDecline>(what, body).await?;
    line(what, "reason", &new.reason, 500)?;
    let sent = Sent { mission: &name, address: format!("decline/{handoff}"), headers: &headers, body: &body };
    at.act(what, agent, sent, new.incarnation.as_ref(), What::Decline { handoff, reason: new.reason }).await
}

/// What the recipient of a handoff goes on with: the resume packet.
#[utoipa::path(get, path = "/v1/missions/{mission}/handoffs/{handoff}/packet", tag = "handoffs",
    params(("mission" = String, Path), ("handoff" = String, Path)),
    responses((status = 200, body = Object), super::api::Problems), security(("token" = [])))]
async fn packet(
    State(at): At,
    Extension(Agent(agent)): Extension<Agent>,
    Named((name, handoff)): Named<(String, String)>,
) -> Answer {
    let what = "the packet";
    told(what, at.desk.packet(agent, mission(what, &name)?, handoff).await)
}

/// The handoffs that wait for one's answer, in all missions.
#[utoipa::path(get, path = "/v1/handoffs", tag = "handoffs",
    responses((status = 200, body = Handoffs), super::api::Problems), security(("token" = [])))]
async fn offers(State(at): At, Extension(Agent(agent)): Extension<Agent>) -> Answer {
    told("the list", at.desk.offers(agent).await.map(Ok))
}

/// A page of the mission's stream.
#[utoipa::path(get, path = "/v1/missions/{mission}/events", tag = "missions",
    params(("mission" = String, Path), PageQuery),
    responses((status = 200, body = Page), super::api::Problems), security(("token" = [])))]
async fn events(
    State(at): At,
    Extension(Agent(agent)): Extension<Agent>,
    Named(name): Named<String>,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let what = "the page";
    let Query(query) = query.map_err(|error| wrong_shape(what, error.body_text()))?;
    if query.after.is_some() && query.before.is_some() {
        return Err(wrong_shape(what, "`after` and `before` exclude each other".into()));
    }
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let of = PageOf { after: query.after, before: query.before, limit };
    told(what, at.desk.page(agent, mission(what, &name)?, of).await)
}

/// A state that was too large for its event, by the hash that the event names.
#[utoipa::path(get, path = "/v1/missions/{mission}/states/{sha256}", tag = "missions",
    params(("mission" = String, Path), ("sha256" = String, Path), StateQuery),
    responses((status = 200, body = Object), super::api::Problems), security(("token" = [])))]
async fn state(
    State(at): At,
    Extension(Agent(agent)): Extension<Agent>,
    Named((name, sha256)): Named<(String, String)>,
    query: Result<Query<StateQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let what = "the state";
    let Query(query) = query.map_err(|error| wrong_shape(what, error.body_text()))?;
    // Only what is a hash names a file.
    let named = serde_json::json!({ "$file": { "sha256": sha256, "bytes": query.bytes } });
    let Some(file) = StateFile::from_value(&named) else {
        return Err(wrong_shape(what, "that is no SHA-256 in lower-case hex".into()));
    };
    match at.desk.state(agent, mission(what, &name)?, file).await {
        Ok(Ok(Some(bytes))) => Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response()),
        Ok(Ok(None)) => Err(Problem::new(
            StatusCode::NOT_FOUND,
            Code::UnknownFile,
            what,
            "no state of this hash is kept",
            "take hash and size from `$file` in the event's state",
        )),
        Ok(Err(refused)) => Err(refused.problem(what)),
        Err(error) => Err(failed(what, &error)),
    }
}

/// This description. It asks for no token.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "description", responses((status = 200, body = Object)))]
async fn describe() -> Json<utoipa::openapi::OpenApi> {
    Json(super::api::description())
}

/// A sign of life.
#[utoipa::path(post, path = "/v1/heartbeat", tag = "health", request_body = NewBeat,
    responses((status = 200, body = Beaten), super::api::Problems), security(("token" = [])))]
async fn heartbeat(State(at): At, Extension(Agent(agent)): Extension<Agent>, body: Body) -> Answer {
    let what = "the heartbeat";
    let (new, _) = at.body::<NewBeat>(what, body).await?;
    let busy_until = match new.busy_until.as_deref().map(str::parse::<jiff::Timestamp>) {
        None => None,
        Some(Ok(until)) => Some(Timestamp::from_millis(until.as_millisecond())),
        Some(Err(_)) => {
            return Err(wrong_shape(what, "`busy_until` is a time such as 2026-04-15T04:00:00Z".into()));
        }
    };
    let beat = Beat {
        mission: new.mission.as_deref().map(|name| mission(what, name)).transpose()?,
        claim: Incarnation::claim(new.incarnation.as_ref()).map_err(|error| Problem::refused(what, &error, &[]))?,
        progress: new.progress,
        busy_until,
    };
    told(what, at.desk.beat(agent, beat).await)
}

#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        attach, publish, checkpoint, hand_over, accept, decline, packet, offers, events, state, heartbeat, describe
    ),
    components(schemas(Problem, Beaten)),
    modifiers(&Token),
    info(
        title = "lazarus-gate: the door for agents",
        description = "Agents take part in missions: they attach, publish, make checkpoints, hand over, and say that \
                       they live. Requests that cannot be read at all (a head that is too large, or no HTTP) are \
                       answered without a body."
    )
)]
pub(super) struct Described;
