//! The operator's own address: liveness, readiness, metrics. Plain HTTP, under the same limits; it tells
//! nothing about patients, but belongs on a private interface all the same.

use std::time::Duration;

use axum::{Router, extract::State, routing::get};
use http::{StatusCode, header};

use super::App;
use crate::tls::{Ending, time};

/// What readiness waits for a read of the store.
const PATIENCE: Duration = Duration::from_secs(1);

/// The routes `/livez`, `/readyz` and `/metrics`, on the operator's own address.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(app)
}

/// Ready means that the store answers, that no witness contradicts the log, that clients take the certificate, and that the server is
/// not about to stop. What will need the operator stands behind it.
async fn ready(State(app): State<App>) -> (StatusCode, String) {
    let not = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("not ready{why}\n"));
    if app.vault.check_uncontradicted().is_err() {
        return not(": a witness contradicts the log, restore the newest copy of the data");
    }
    let read = tokio::time::timeout(PATIENCE, app.vault.log_checkpoint()).await;
    if app.stop.is_cancelled() || !matches!(read, Ok(Ok(_))) {
        return not("");
    }
    let ends = time(app.keeper.ends());
    let mut more = app.keeper.unused().map_or_else(String::new, |why| {
        format!("what lies in the certificate's files is not served: {why}\n")
    });
    for warning in app.keeper.warnings() {
        more.push_str(&warning);
        more.push('\n');
    }
    match app.keeper.ending() {
        Ending::Over => not(&format!(": the certificate ended at {ends}, renew it\n{more}")),
        Ending::Soon(days) => (
            StatusCode::OK,
            format!("ready\nthe certificate ends in {days} days, at {ends}: renew it\n{more}"),
        ),
        Ending::Far => (StatusCode::OK, format!("ready\n{more}")),
    }
}

async fn metrics(State(app): State<App>) -> ([(header::HeaderName, &'static str); 1], String) {
    app.metrics.body_memory(app.memory.in_use());
    app.metrics
        .certificate(app.keeper.ends(), app.keeper.unused().is_some());
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], app.metrics.text())
}
