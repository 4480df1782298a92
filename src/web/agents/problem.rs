use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

use crate::mission::MissionError;
use crate::pool::AgentName;

/// What kind of problem it is. Words are added, and never change what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The body is no JSON, or a header is not what it should be.
    WrongForm,
    /// No token was shown.
    NoToken,
    /// The token is nobody's: never issued, replaced or revoked.
    UnknownToken,
    /// The agent's role does not have the capability; `capability` and `held_by` tell more.
    LacksCapability,
    /// Only a lead may.
    NotALead,
    /// The part belongs to somebody else.
    NotTheOwner,
    /// The handoff is for somebody else.
    NotTheRecipient,
    /// There is nothing at this address.
    NoSuchAddress,
    /// There is no such mission.
    UnknownMission,
    /// There is no such checkpoint.
    UnknownCheckpoint,
    /// There is no such handoff.
    UnknownHandoff,
    /// There is no such file.
    UnknownFile,
    /// The address does not take that method.
    WrongMethod,
    /// The body did not come in time.
    TooSlow,
    /// Another incarnation took over, or is about to; `why` says since when.
    Replaced,
    /// The incarnation that is named never attached.
    NotAttached,
    /// The part is offered to somebody already.
    AlreadyOffered,
    /// The handoff was answered, or its time is over.
    OfferClosed,
    /// The idempotency key stands for another request.
    KeyTaken,
    /// The mission is being imported and takes no events.
    Importing,
    /// The body, or the event, is larger than is taken.
    TooLarge,
    /// The JSON does not have the shape of this request.
    WrongShape,
    /// A nonce that is none.
    BadNonce,
    /// A handoff to somebody who does not take part.
    UnknownRecipient,
    /// More than the agent's share of requests; `Retry-After` says when to come back.
    TooMany,
    /// Too many wrong tokens from there.
    TooManyWrongTokens,
    /// A fault of the gateway's own; nothing was done.
    Internal,
    /// The store did not answer; whether it was done can be found out by sending it again under its key.
    Store,
}

/// Why something was not done (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What kind of problem it is: for programs.
    pub code: Code,
    /// What was not done.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What to do about it.
    pub r#do: String,
    /// The capability that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub capability: Option<&'static str>,
    /// Who has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub held_by: Option<Box<[String]>>,
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) retry_after: Option<u32>,
}

impl Problem {
    /// `what` was not done because of `why`.
    pub fn new(
        status: StatusCode,
        code: Code,
        what: impl Into<String>,
        why: impl Into<String>,
        r#do: impl Into<String>,
    ) -> Self {
        let (what, why, r#do) = (what.into(), why.into(), r#do.into());
        Self { status: status.as_u16(), code, what, why, r#do, capability: None, held_by: None, retry_after: None }
    }

    pub(super) fn again_after(self, wait: Duration) -> Self {
        // Whole seconds, the next ones: who comes back earlier comes in vain.
        let seconds = wait.as_secs_f64().ceil().clamp(1.0, 3600.0) as u32;
        Self { retry_after: Some(seconds), ..self }
    }

    /// The bus does not allow it.
    pub fn refused(what: &str, error: &MissionError, held_by: &[AgentName]) -> Self {
        let (status, code, todo) = kind(error);
        let mut problem = Self::new(status, code, format!("{what} was refused"), error.to_string(), todo);
        if let MissionError::Lacks { capability, .. } = error {
            let names: Vec<String> = held_by.iter().map(ToString::to_string).collect();
            problem.r#do = match names.as_slice() {
                [] => "nobody has it; ask who made the mission for another role".into(),
                names => format!("ask one of those who have it, or a lead for another role: {}", names.join(", ")),
            };
            problem.capability = Some(capability.as_str());
            problem.held_by = Some(names.into());
        }
        problem
    }
}

fn kind(error: &MissionError) -> (StatusCode, Code, &'static str) {
    use MissionError as E;
    match error {
        E::Lacks { .. } => (StatusCode::FORBIDDEN, Code::LacksCapability, ""),
        E::NotALead { .. } => (StatusCode::FORBIDDEN, Code::NotALead, "ask a lead of the mission"),
        E::NotTheOwner { .. } => (StatusCode::FORBIDDEN, Code::NotTheOwner, "ask its owner or a lead to hand it over"),
        E::NotTheRecipient { .. } => {
            (StatusCode::FORBIDDEN, Code::NotTheRecipient, "answer only what is offered to you: GET /v1/handoffs")
        }
        E::UnknownMission(_) => (StatusCode::NOT_FOUND, Code::UnknownMission, "check its name, or have it made"),
        E::UnknownCheckpoint(_) => {
            (StatusCode::NOT_FOUND, Code::UnknownCheckpoint, "make a checkpoint first, or name one of the stream")
        }
        E::UnknownHandoff(_) => {
            (StatusCode::NOT_FOUND, Code::UnknownHandoff, "see GET /v1/handoffs for what is offered to you")
        }
        E::Replaced { .. } => (
            StatusCode::CONFLICT,
            Code::Replaced,
            "stop working on this mission; attach again with a nonce of this boot, which tells whether you may go on",
        ),
        E::NotAttached { .. } => (StatusCode::CONFLICT, Code::NotAttached, "attach first, and name epoch and nonce"),
        E::AlreadyOffered { .. } => {
            (StatusCode::CONFLICT, Code::AlreadyOffered, "wait until it is answered or its time is over")
        }
        E::OfferClosed { .. } => (StatusCode::CONFLICT, Code::OfferClosed, "ask its sender for a new one"),
        E::Importing(_) => (StatusCode::CONFLICT, Code::Importing, "send it again when that is done"),
        E::TooLarge { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, "put what is large into a checkpoint's state or a file")
        }
        E::BadNonce => (StatusCode::UNPROCESSABLE_ENTITY, Code::BadNonce, "draw another one, of random characters"),
        E::UnknownRecipient(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Code::UnknownRecipient, "have a lead let it join, or name another")
        }
        E::UnknownEventType(_)
        | E::BadRole(_)
        | E::MissingKey { .. }
        | E::WrongShape { .. }
        | E::MissionExists(_)
        | E::UnknownProfile { .. }
        | E::BadNumber { .. }
        | E::BadName { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, Code::WrongShape, "send it in the form that /v1/openapi.json describes")
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        response
    }
}
