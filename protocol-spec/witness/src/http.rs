//! `POST /add-checkpoint`, and the statuses of c2sp.org/tlog-witness.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use protocol_spec::{Error, log::Submission};
use tokio::time::timeout;

use crate::witness::{NotCosigned, Witness};

/// For the body of a request, some kilobytes.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Serves the one resource of tlog-witness, `add-checkpoint`.
pub(crate) fn router(witness: Arc<Witness>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .with_state(witness)
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: Body) -> Response {
    let Ok(body) = timeout(BODY_TIME, to_bytes(body, Submission::MAX_LEN)).await else {
        return StatusCode::REQUEST_TIMEOUT.into_response();
    };
    let Ok(body) = body else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let text = std::str::from_utf8(&body).map_err(|_| Error::Field { field: "submission" });
    let submission = match text.and_then(str::parse::<Submission>) {
        Ok(submission) => submission,
        Err(error) => return refuse(&NotCosigned::Malformed(error)),
    };
    // It waits for the disk.
    match tokio::task::spawn_blocking(move || witness.add(submission)).await {
        Ok(Ok(line)) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], line.to_string()).into_response(),
        Ok(Err(refusal)) => refuse(&refusal),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn refuse(refusal: &NotCosigned) -> Response {
    let status = match refusal {
        NotCosigned::Malformed(_) => StatusCode::BAD_REQUEST,
        NotCosigned::Unsigned => StatusCode::FORBIDDEN,
        NotCosigned::UnknownLog => StatusCode::NOT_FOUND,
        NotCosigned::Conflict(size) => {
            let size = format!("{size}\n");
            return (StatusCode::CONFLICT, [(CONTENT_TYPE, "text/x.tlog.size")], size).into_response();
        }
        NotCosigned::Inconsistent => StatusCode::UNPROCESSABLE_ENTITY,
        NotCosigned::Forgotten | NotCosigned::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, format!("{refusal}\n")).into_response()
}
