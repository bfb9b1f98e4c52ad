//! Path and query parameters: ids in their text form, numbers, cursors.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query as Pairs};
use http::request::Parts;
use protocol_spec::{
    api::{Parameter, Query},
    log::tile::TilePath,
    problem::Problem,
};
use serde_json::json;

use super::{
    App,
    api::{Describe, Endpoint},
    problem::RefusedRequest,
};

/// The one id in a path.
pub(super) struct Id<T>(pub(super) T);

impl<T: FromStr> FromRequestParts<App> for Id<T> {
    type Rejection = RefusedRequest;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, RefusedRequest> {
        let Path(text): Path<String> = Path::from_request_parts(parts, &())
            .await
            .map_err(|_| Problem::Malformed)?;
        Ok(Self(text_id(&text)?))
    }
}

impl<T: Parameter> Describe for Id<T> {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.ids.push(T::schema());
        endpoint.refuses(&[Problem::Malformed]);
    }
}

/// The two ids in a path.
pub(super) struct Ids<A, B>(pub(super) A, pub(super) B);

impl<A: FromStr, B: FromStr> FromRequestParts<App> for Ids<A, B> {
    type Rejection = RefusedRequest;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, RefusedRequest> {
        let Path((first, second)): Path<(String, String)> = Path::from_request_parts(parts, &())
            .await
            .map_err(|_| Problem::Malformed)?;
        Ok(Self(text_id(&first)?, text_id(&second)?))
    }
}

impl<A: Parameter, B: Parameter> Describe for Ids<A, B> {
    fn describe(endpoint: &mut Endpoint) {
        Id::<A>::describe(endpoint);
        Id::<B>::describe(endpoint);
    }
}

/// The name of a tile of the log, which has several parts (LOG-9).
pub(super) struct TileName(pub(super) TilePath);

impl FromRequestParts<App> for TileName {
    type Rejection = RefusedRequest;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, RefusedRequest> {
        let Path(name): Path<String> = Path::from_request_parts(parts, &())
            .await
            .map_err(|_| Problem::NotFound)?;
        let tile = format!("tile/{name}").parse().map_err(|_| Problem::NotFound)?;
        Ok(Self(tile))
    }
}

impl Describe for TileName {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.ids.push(json!({ "type": "string", "pattern": TILE }));
        endpoint.refuses(&[Problem::NotFound]);
    }
}

/// Level or `entries`, number in groups of three digits, width of what is partial.
const TILE: &str = r"^(entries|[0-9]{1,2})/(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?$";

/// What is asked in the query: exactly what `X` has.
pub(super) struct TypedQuery<X>(pub(super) X);

impl<X: Query> FromRequestParts<App> for TypedQuery<X> {
    type Rejection = RefusedRequest;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, RefusedRequest> {
        // The reason may quote the query, so it is not for the log.
        let pairs =
            Pairs::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|_| Problem::Malformed)?;
        let query = X::read(pairs.0.into()).ok_or(Problem::Malformed)?;
        Ok(Self(query))
    }
}

impl<X: Query> Describe for TypedQuery<X> {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.query = X::parameters();
        if !endpoint.query.is_empty() {
            endpoint.refuses(&[Problem::Malformed]);
        }
    }
}

fn text_id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::Malformed)
}
