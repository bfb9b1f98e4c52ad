//! What comes of one attempt: an answer, a refusal by a rule of the protocol, or nothing.

use http::response::Parts;
use protocol_spec::problem::Problem;
use serde::Deserialize;

use super::http::Incoming;
use crate::{Error, error::Addressee, ground::TransportFailure};

/// A failed attempt: what to report, and whether another attempt may do better.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) error: Error,
    pub(crate) useful: bool,
}
/// The transport gave no answer.
pub(crate) fn lost(failure: TransportFailure, authority: &str) -> Retry {
    let authority = authority.to_owned();
    let (cause, proxy) = match failure {
        TransportFailure::Transport(cause) => (cause, None),
        TransportFailure::Proxy { proxy, cause } => (cause, Some(proxy)),
        TransportFailure::Certificate(fault) => {
            let error = Error::Certificate { authority, fault };
            return Retry { error, useful: false };
        }
    };
    let error = Error::Unreachable {
        authority,
        cause,
        proxy,
    };
    Retry { error, useful: true }
}

/// An attempt that failed, and by which rule the server has refused it.
pub(super) struct Refusal {
    pub(super) problem: Option<Problem>,
    /// The server's clock, in milliseconds, when that is what is wrong.
    pub(super) now: Option<u64>,
    pub(super) retry: Retry,
}

impl Refusal {
    /// The server has refused nothing: there is no answer of its own.
    pub(super) fn own(retry: Retry) -> Self {
        Self {
            problem: None,
            now: None,
            retry,
        }
    }
}

/// RFC 9457, as far as it is read here.
#[derive(Deserialize)]
struct ProblemDocument {
    #[serde(rename = "type")]
    uri: String,
    detail: Option<String>,
    now: Option<u64>,
}

impl Retry {
    /// The answer is a refusal by no rule of the protocol.
    fn without_reason(status: http::StatusCode, authority: &str) -> Self {
        Self {
            error: Error::Unreachable {
                authority: authority.to_owned(),
                cause: format!("it answers {status} without a reason"),
                proxy: None,
            },
            useful: status.is_server_error(),
        }
    }

    /// A rule of the protocol does not allow what was asked for.
    fn refused(problem: Problem, detail: Option<&str>, reader: Addressee) -> Self {
        let printable = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect();
        Self {
            error: Error::Refused {
                problem,
                detail: detail.map(printable),
                reader,
            },
            useful: matches!(
                problem,
                Problem::Internal
                    | Problem::Unavailable
                    | Problem::TooMany
                    | Problem::TooSlow
                    | Problem::Replayed
            ),
        }
    }
}

/// The body of an answer, if it is no refusal.
pub(super) async fn answered(
    answer: Result<(Parts, Incoming), TransportFailure>,
    authority: &str,
    reader: Addressee,
) -> Result<Incoming, Refusal> {
    let unanswered = |failure| Refusal::own(lost(failure, authority));
    let (parts, body) = answer.map_err(unanswered)?;
    if parts.status.is_success() {
        return Ok(body);
    }
    let text = body.collect(MAX_PROBLEM).await.map_err(unanswered)?;
    let document: Option<ProblemDocument> = serde_json::from_slice(&text).ok();
    let problem = |document: ProblemDocument| Some((Problem::from_type(&document.uri)?, document));
    let Some((problem, document)) = document.and_then(problem) else {
        return Err(Refusal::own(Retry::without_reason(parts.status, authority)));
    };
    Err(Refusal {
        problem: Some(problem),
        now: document.now,
        retry: Retry::refused(problem, document.detail.as_deref(), reader),
    })
}

const MAX_PROBLEM: usize = 64 << 10;
