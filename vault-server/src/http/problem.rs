//! Refusals as RFC 9457 documents: the one place where a refusal becomes a response. See `spec/api.md` §6.
//!
//! Documents hold nothing of the request, so that refusals with one code are equal in every byte.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use protocol_spec::problem::Problem;

use crate::vault::Refusal;

/// A refusal on its way out: an empty response that carries it until [`render`] writes the document.
#[derive(Clone, Debug)]
pub(super) struct RefusedRequest(pub(super) Refusal);

impl<E: Into<Refusal>> From<E> for RefusedRequest {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for RefusedRequest {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

pub(super) async fn not_found() -> RefusedRequest {
    Problem::NotFound.into()
}

pub(super) async fn method_not_allowed() -> RefusedRequest {
    Problem::MethodNotAllowed.into()
}

/// The response for a refusal; `now_ms` is told only to those whose clock seems off (API-7).
pub(super) fn render(problem: Problem, now_ms: u64) -> Response {
    let mut document = serde_json::json!({
        "type": format!("{}{}", Problem::TYPE_PREFIX, problem.code()),
        "title": problem.title(),
        "status": problem.status(),
    });
    if problem == Problem::SignatureExpired {
        document["now"] = now_ms.into();
    }
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, document.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    match problem {
        Problem::TooMany | Problem::Unavailable => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // What is left of the body is not read, so the connection is of no more use.
        Problem::TooSlow | Problem::TooLarge => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn document(problem: Problem) -> serde_json::Value {
        let body = render(problem, 5).into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn every_problem_has_its_document() {
        for problem in Problem::ALL.iter().copied() {
            let document = document(problem).await;
            assert_eq!(
                Problem::from_type(document["type"].as_str().unwrap()),
                Some(problem)
            );
            assert_eq!(document["status"], problem.status());
            assert_eq!(
                document.get("now").is_some(),
                problem == Problem::SignatureExpired
            );
            assert_eq!(render(problem, 0).status(), problem.status());
        }
    }
}
