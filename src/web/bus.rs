//! Missions on the local socket: what is read of them, and a whole one that comes in. What changes a mission
//! otherwise is a command like any other.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Deserialize;

use super::desk::{Desk, NoSlot, Shown};
use super::missions::{self, BusReader, NotShown, Seen, Telling};
use super::routes::{Answered, At, Shared, asked, failed, problem, reading};
use super::server::Peer;
use crate::mission::{HandoffRef, MissionError};
use crate::pool::MissionName;
use crate::store::StoreError;
use crate::store::missions::STATE_BYTES;
use crate::wording;

/// Events of a log: what is shown without being asked for, and at most.
const LOG: u32 = 10;
const LOG_MAX: u32 = 500;

#[derive(Debug, Default, Deserialize)]
struct LogQuery {
    limit: Option<u32>,
    before: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct PacketQuery {
    handoff: String,
    mission: Option<MissionName>,
}

pub(super) fn router<D: Desk>() -> Router<Arc<Shared<D>>> {
    Router::new()
        .route("/v1/missions", get(list::<D>).post(import::<D>))
        .route("/v1/missions/{mission}", get(show::<D>))
        .route("/v1/missions/{mission}/log", get(log::<D>))
        .route("/v1/missions/{mission}/refusals", get(refusals::<D>))
        .route("/v1/missions/{mission}/verify", get(verify::<D>))
        .route("/v1/packets", get(packet::<D>))
}

async fn list<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>) -> Answered {
    let desk = reading(&at, peer)?;
    let mut db = desk.reader().read().await.map_err(|error| failed(&error))?;
    missions::list(&mut db).await.map(|shown| Json(shown).into_response()).map_err(|error| failed(&error))
}

async fn show<D: Desk>(
    State(at): At<D>,
    Extension(peer): Extension<Peer>,
    Path(mission): Path<MissionName>,
) -> Answered {
    let desk = reading(&at, peer)?;
    let (setting, now, reader) = (desk.setting(), desk.now(), desk.bus_reader(peer.uid, &mission));
    let read = async {
        let mut db = desk.reader().read().await?;
        missions::show(&mut db, &mission, &reader, Telling { setting: &setting, now }).await
    };
    seen(desk, read.await, "show").await
}

async fn log<D: Desk>(
    State(at): At<D>,
    Extension(peer): Extension<Peer>,
    Path(mission): Path<MissionName>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Answered {
    let desk = reading(&at, peer)?;
    let query = asked(query)?;
    let page = (query.before, query.limit.unwrap_or(LOG).clamp(1, LOG_MAX));
    let (setting, now, reader) = (desk.setting(), desk.now(), desk.bus_reader(peer.uid, &mission));
    let read = async {
        let mut db = desk.reader().read().await?;
        missions::log(&mut db, &mission, &reader, page, Telling { setting: &setting, now }).await
    };
    seen(desk, read.await, "log").await
}

async fn refusals<D: Desk>(
    State(at): At<D>,
    Extension(peer): Extension<Peer>,
    Path(mission): Path<MissionName>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Answered {
    let desk = reading(&at, peer)?;
    let query = asked(query)?;
    let limit = query.limit.unwrap_or(LOG).clamp(1, LOG_MAX) as usize;
    let (setting, now, reader) = (desk.setting(), desk.now(), desk.bus_reader(peer.uid, &mission));
    let read = async {
        let mut db = desk.reader().read().await?;
        missions::refusals(&mut db, &mission, &reader, limit, Telling { setting: &setting, now }).await
    };
    seen(desk, read.await, "audit").await
}

async fn verify<D: Desk>(
    State(at): At<D>,
    Extension(peer): Extension<Peer>,
    Path(mission): Path<MissionName>,
) -> Answered {
    let desk = reading(&at, peer)?;
    let (setting, now, reader) = (desk.setting(), desk.now(), desk.bus_reader(peer.uid, &mission));
    let read = async {
        let mut db = desk.reader().read().await?;
        missions::verify(&mut db, &mission, &reader, Telling { setting: &setting, now }, |_, _| {}).await
    };
    seen(desk, read.await, "verify").await
}

async fn packet<D: Desk>(
    State(at): At<D>,
    Extension(peer): Extension<Peer>,
    query: Result<Query<PacketQuery>, QueryRejection>,
) -> Answered {
    let desk = reading(&at, peer)?;
    let query = asked(query)?;
    let (setting, now) = (desk.setting(), desk.now());
    let telling = Telling { setting: &setting, now };
    let meant = HandoffRef { mission: query.mission, id: query.handoff };
    let read = async {
        let mut db = desk.reader().read().await?;
        match missions::named(&mut db, &meant).await? {
            Ok((mission, id)) => {
                let reader = desk.bus_reader(peer.uid, &mission);
                let seen = missions::packet(&mut db, &mission, &id, &reader, telling).await?;
                drop(db);
                let shown = match seen {
                    Ok(shown) => shown,
                    Err(not) => return Ok(Err(not)),
                };
                let path = desk.reader().path().to_owned();
                let whole = move || missions::with_state(shown, &path, STATE_BYTES as u64);
                let whole = tokio::task::spawn_blocking(whole).await;
                whole.map(Ok).map_err(|error| StoreError::Panicked(error.to_string()))
            }
            Err(refused) => Ok(Err(not_there(refused, telling))),
        }
    };
    seen(desk, read.await, "resume").await
}

/// What is in no mission.
pub(super) fn not_there(refused: MissionError, telling: Telling<'_>) -> NotShown {
    let text = wording::bus_refusal(&refused, &Default::default(), telling.setting, telling.now);
    NotShown::Refused { name: None, mission: None, refused, text }
}

/// A whole mission, in the reference's form. It goes in by slices behind everything else that writes, and takes
/// no events until all of its own are there, so it is no command of the inbox.
async fn import<D: Desk>(State(at): At<D>, Extension(peer): Extension<Peer>, body: Body) -> Answered {
    let desk = reading(&at, peer)?;
    let slot = desk.import_slot(peer.uid).map_err(|no| match no {
        NoSlot::NotAllowed { text } => problem(StatusCode::FORBIDDEN, "refused", text),
        NoSlot::Busy => {
            let text = "another mission is being imported; try again when it is in";
            problem(StatusCode::SERVICE_UNAVAILABLE, "busy", text)
        }
    })?;
    let max_bytes = slot.max_bytes;
    let bytes = match tokio::time::timeout(at.arrive_within * 12, to_bytes(body, max_bytes)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let text = format!("a mission that you import has at most {max_bytes} bytes, or it was cut off");
            return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text));
        }
        Err(_) => return Err(problem(StatusCode::REQUEST_TIMEOUT, "too_slow", "the mission did not come in time")),
    };
    let read = tokio::task::spawn_blocking(move || serde_json::from_slice(&bytes)).await;
    let value = read
        .map_err(|error| failed(&StoreError::Panicked(error.to_string())))?
        .map_err(|error| problem(StatusCode::BAD_REQUEST, "wrong_form", format!("this is no JSON: {error}")))?;
    seen(desk, desk.import(peer.uid, slot, value).await, "import").await
}

async fn seen<D: Desk>(desk: &D, read: Result<Seen<Shown>, StoreError>, doing: &'static str) -> Answered {
    match read {
        Ok(Ok(shown)) => Ok(Json(shown).into_response()),
        Ok(Err(not)) => {
            let response = refused(&not);
            desk.note_not_shown(not, doing).await.map_err(|error| failed(&error))?;
            response
        }
        Err(error) => Err(failed(&error)),
    }
}

fn refused(not: &NotShown) -> Result<Response, super::routes::Fault> {
    let text = not.text().to_owned();
    Err(match not {
        NotShown::Refused { refused: MissionError::UnknownMission(_) | MissionError::UnknownHandoff(_), .. } => {
            problem(StatusCode::NOT_FOUND, "unknown", text)
        }
        NotShown::Refused { .. } | NotShown::Nobody { .. } => problem(StatusCode::FORBIDDEN, "refused", text),
    })
}

/// For whom the user `uid` reads: the owner of the store has the file, whatever else they are.
pub fn is_owner(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// A reader for who is nobody.
pub fn nobody(uid: u32) -> BusReader {
    BusReader::Nobody { text: wording::stranger(&crate::approval::Speaker::LocalUser(uid)) }
}
