//! How a message is written down: Protobuf, or JSON where that is allowed (API-12).

use http::{HeaderMap, HeaderValue, header};
use prost::Name;
use protocol_spec::{messages::Presentation, problem::Problem};

use crate::vault::Refusal;

/// The media type of messages in protobuf.
pub(super) const PROTOBUF: HeaderValue = HeaderValue::from_static("application/protobuf");

/// Media type of messages for people.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Most bytes of a body in JSON. Each `{},` of three bytes can become a message, so 64 KiB of
/// them become 22,000: see [`JSON_MEMORY`].
const MOST_OF_JSON: usize = 64 << 10;

/// The memory that JSON takes while it is read or made, by its length or that of the message.
const JSON_MEMORY: u64 = 64;

/// How a message is written down (API-12).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

impl Format {
    /// The format that the client accepts.
    pub(super) fn of_answer(headers: &HeaderMap) -> Self {
        match headers.get(header::ACCEPT) {
            Some(accepted) if *accepted == JSON => Self::Json,
            _ => Self::Protobuf,
        }
    }

    pub(super) fn of<M: Name>(headers: &HeaderMap) -> Result<Self, Refusal> {
        match headers.get(header::CONTENT_TYPE) {
            None => Ok(Self::Protobuf),
            Some(given) if *given == PROTOBUF => Ok(Self::Protobuf),
            Some(given) if *given == JSON && Self::is_json_for::<M>() => Ok(Self::Json),
            Some(_) => Err(Refusal::new(
                Problem::Malformed,
                "messages are application/protobuf or application/json",
            )),
        }
    }

    /// Whether a message may come as JSON: a presentation is kept as evidence, as it came.
    pub(super) fn is_json_for<M: Name>() -> bool {
        M::NAME != Presentation::NAME
    }

    /// JSON takes many times its length while it is read.
    pub(super) fn check_unsigned(self) -> Result<(), Refusal> {
        match self {
            Self::Protobuf => Ok(()),
            Self::Json => Err(Refusal::new(
                Problem::Malformed,
                "whoever is not known yet sends application/protobuf",
            )),
        }
    }

    /// Most bytes of a body.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Protobuf => usize::MAX,
            Self::Json => MOST_OF_JSON,
        }
    }

    /// Bytes of memory for each byte of a body, or of the message that becomes one.
    pub(super) fn cost(self) -> u64 {
        match self {
            Self::Protobuf => 1,
            Self::Json => JSON_MEMORY,
        }
    }
}
