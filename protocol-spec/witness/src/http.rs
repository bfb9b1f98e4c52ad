//! `POST /add-checkpoint`, and the statuses of c2sp.org/tlog-witness.

use std::sync::Arc;

use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing::post,
};
use protocol_spec::log::Submission;

use crate::witness::{Refusal, Witness};

/// The one resource.
pub(crate) fn router(witness: Arc<Witness>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .layer(DefaultBodyLimit::max(Submission::MAX_LEN))
        .with_state(witness)
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: String) -> Response {
    let submission = match body.parse::<Submission>() {
        Ok(submission) => submission,
        Err(error) => return refuse(&Refusal::Malformed(error)),
    };
    // It waits for the disk.
    match tokio::task::spawn_blocking(move || witness.add(submission)).await {
        Ok(Ok(line)) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], line.to_string()).into_response(),
        Ok(Err(refusal)) => refuse(&refusal),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn refuse(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::Unsigned => StatusCode::FORBIDDEN,
        Refusal::UnknownLog => StatusCode::NOT_FOUND,
        Refusal::Conflict(size) => {
            let size = format!("{size}\n");
            return (StatusCode::CONFLICT, [(CONTENT_TYPE, "text/x.tlog.size")], size).into_response();
        }
        Refusal::Inconsistent => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, format!("{refusal}\n")).into_response()
}
