//! Path and query parameters: ids in their text form, numbers, cursors.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use protocol_spec::{
    ids::{
        CollectionId, DelegationId, DeviceId, InstitutionId, LinkId, PatientId, PermissionId, RecordId,
        ReleaseId, RequestId, TerminalId, UploadId, VersionId,
    },
    log::tile::TilePath,
    problem::Problem,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    App,
    api::{Describe, Endpoint, QueryParameter},
    problem::Refused,
};

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

impl<T: Parameter> Describe for Id<T> {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.ids.push(T::schema());
        endpoint.refuses(&[Problem::Malformed]);
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

impl<A: Parameter, B: Parameter> Describe for Ids<A, B> {
    fn describe(endpoint: &mut Endpoint) {
        Id::<A>::describe(endpoint);
        Id::<B>::describe(endpoint);
    }
}

/// The name of a tile of the log, which has several parts (LOG-9).
pub(super) struct TileName(pub(super) TilePath);

impl FromRequestParts<App> for TileName {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
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

impl<T: Parameters> Describe for Params<T> {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.query.extend(T::parameters());
        endpoint.refuses(&[Problem::Malformed]);
    }
}

/// `?after=&limit=`, both optional; the vault bounds the limit.
pub(super) struct Page<T> {
    /// The entry to go on after.
    pub(super) after: Option<T>,
    /// How many entries are wanted at most.
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

impl<T: Parameter> Describe for Page<T> {
    fn describe(endpoint: &mut Endpoint) {
        Params::<PageText>::describe(endpoint);
        for parameter in endpoint
            .query
            .iter_mut()
            .filter(|parameter| parameter.name == "after")
        {
            // Empty: from the beginning.
            parameter.schema = json!({ "anyOf": [{ "const": "" }, T::schema()] });
        }
    }
}

parameters! {
    struct PageText {
        after: Option<String>,
        limit: Option<usize>,
    }
}

/// What a query holds, and nothing else.
pub(super) trait Parameters: DeserializeOwned {
    fn parameters() -> Vec<QueryParameter>;
}

/// A struct of query parameters, which are described as they are read.
macro_rules! parameters {
    ($(#[$doc:meta])* struct $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
        }

        impl $crate::http::query::Parameters for $name {
            fn parameters() -> Vec<$crate::http::api::QueryParameter> {
                vec![$($crate::http::query::parameter::<$type>(stringify!($field))),*]
            }
        }
    };
}
pub(super) use parameters;

pub(super) fn parameter<T: Parameter>(name: &'static str) -> QueryParameter {
    QueryParameter {
        name,
        required: T::REQUIRED,
        schema: T::schema(),
    }
}

/// What stands in a path or query.
pub(super) trait Parameter {
    /// Whether it may not be absent.
    const REQUIRED: bool = true;

    /// The JSON Schema of such a value.
    fn schema() -> Value;
}

impl<T: Parameter> Parameter for Option<T> {
    const REQUIRED: bool = false;

    fn schema() -> Value {
        T::schema()
    }
}

impl Parameter for String {
    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

impl Parameter for bool {
    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Parameter for $number {
            fn schema() -> Value {
                json!({ "type": "integer", "minimum": 0, "maximum": Self::MAX })
            }
        }
    )*};
}
numbers!(u32 u64 usize);

macro_rules! ids {
    ($($id:ty)*) => {$(
        impl Parameter for $id {
            /// A prefix and base32 (KEY-4).
            fn schema() -> Value {
                let letters = (size_of::<Self>() * 8).div_ceil(5);
                json!({ "type": "string", "pattern": format!("^{}_[a-z2-7]{{{letters}}}$", Self::PREFIX) })
            }
        }
    )*};
}
ids!(CollectionId DelegationId DeviceId InstitutionId LinkId PatientId PermissionId RecordId ReleaseId RequestId TerminalId UploadId VersionId);

/// A patient or an institution.
pub(super) enum Principal {
    Patient(PatientId),
    Institution(InstitutionId),
}

impl Principal {
    pub(super) fn into_bytes(self) -> [u8; 32] {
        match self {
            Self::Patient(id) => *id.as_bytes(),
            Self::Institution(id) => *id.as_bytes(),
        }
    }
}

impl FromStr for Principal {
    type Err = protocol_spec::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(patient) => Ok(Self::Patient(patient)),
            Err(_) => text.parse().map(Self::Institution),
        }
    }
}

impl Parameter for Principal {
    fn schema() -> Value {
        json!({ "anyOf": [PatientId::schema(), InstitutionId::schema()] })
    }
}

/// A parameter in its text form.
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        let text = String::deserialize(text)?;
        text.parse()
            .map(Self)
            .map_err(|_| serde::de::Error::custom("it is not in its text form"))
    }
}

impl<T: Parameter> Parameter for Text<T> {
    fn schema() -> Value {
        T::schema()
    }
}

fn text_id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::Malformed)
}
