//! Path and query parameters: ids in their text form, numbers, cursors.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use protocol_spec::problem::Problem;
use serde::{Deserialize, de::DeserializeOwned};

use super::{App, problem::Refused};

/// The one id in a path.
pub(super) struct Id<T>(pub(super) T);

impl<T: FromStr> FromRequestParts<App> for Id<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        let Path(text): Path<String> = Path::from_request_parts(parts, &())
            .await
            .map_err(|_| Problem::Malformed)?;
        Ok(Self(text_id(&text)?))
    }
}

/// The two ids in a path.
pub(super) struct Ids<A, B>(pub(super) A, pub(super) B);

impl<A: FromStr, B: FromStr> FromRequestParts<App> for Ids<A, B> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        let Path((first, second)): Path<(String, String)> = Path::from_request_parts(parts, &())
            .await
            .map_err(|_| Problem::Malformed)?;
        Ok(Self(text_id(&first)?, text_id(&second)?))
    }
}

/// Query parameters: exactly those of `T`.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        // The reason may quote the query, so it is not for the log.
        let Query(params) = Query::try_from_uri(&parts.uri).map_err(|_| Problem::Malformed)?;
        Ok(Self(params))
    }
}

/// `?after=&limit=`, both optional; the vault bounds the limit.
pub(super) struct Page<T> {
    /// The entry to go on after.
    pub(super) after: Option<T>,
    /// Entries wanted.
    pub(super) limit: usize,
}

impl<T: FromStr> FromRequestParts<App> for Page<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        let Params(PageText { after, limit }) = Params::from_request_parts(parts, app).await?;
        let after = match after.as_deref() {
            None | Some("") => None,
            Some(text) => Some(text_id(text)?),
        };
        Ok(Self {
            after,
            limit: limit.unwrap_or(usize::MAX),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageText {
    after: Option<String>,
    limit: Option<usize>,
}

fn text_id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::Malformed)
}
