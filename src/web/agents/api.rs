//! The description of the API, made from the code of its addresses.

use std::collections::BTreeMap;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi as _};

use super::problem::Problem;
use super::routes::Described;

/// The whole description, as OpenAPI 3.1.
pub fn description() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

/// How agents prove who they are.
pub(super) struct Token;

impl Modify for Token {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("Made with `lazarus-gate agent token NAME`; one an agent."));
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer.build()));
    }
}

/// All that any address may answer instead of what was asked for.
pub(super) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let of = |why: &str| {
            let body = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(<Problem as utoipa::ToSchema>::name().into_owned())));
            let response = ResponseBuilder::new().description(why).content("application/problem+json", body.build());
            RefOr::T(response.build())
        };
        [
            ("400", "The body is no JSON, or a header is not what it should be: `wrong_form`"),
            ("401", "No token, or nobody's: `no_token`, `unknown_token`"),
            ("403", "Not allowed: `lacks_capability`, `not_a_lead`, `not_the_owner`, `not_the_recipient`"),
            ("404", "There is no such thing: `unknown_mission`, `unknown_checkpoint`, `unknown_handoff`, …"),
            ("405", "The address does not take that method: `wrong_method`"),
            ("408", "The body did not come in time: `too_slow`"),
            (
                "409",
                "It stands otherwise: `replaced`, `not_attached`, `already_offered`, `offer_closed`, `key_taken`, \
                 `importing`",
            ),
            ("413", "Too large: `too_large`"),
            ("422", "JSON of another shape: `wrong_shape`, `bad_nonce`, `unknown_recipient`"),
            ("429", "Too many requests, see `Retry-After`: `too_many`, `too_many_wrong_tokens`"),
            ("500", "A fault of the gateway's own: `internal`"),
            ("503", "The store did not answer; send it again under its key: `store`"),
        ]
        .into_iter()
        .map(|(status, why)| (status.to_owned(), of(why)))
        .collect()
    }
}

/// The header that lets a request be sent again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is read from the headers; this describes it")]
pub(super) struct IdempotencyKey {
    /// Of the agent's own choice, 8 to 64 of `A-Z a-z 0-9 - _`, for one request: sent again under the same key within
    /// a week it is answered as before, and done once.
    #[param(rename = "Idempotency-Key", min_length = 8, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    idempotency_key: Option<String>,
}
