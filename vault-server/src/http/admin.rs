//! The operator's own address: liveness, readiness, metrics. Plain HTTP, under the same limits; it tells
//! nothing about patients, but belongs on a private interface all the same.

use std::time::Duration;

use axum::{Router, extract::State, routing::get};
use http::{StatusCode, header};

use super::App;

/// What readiness waits for a read of the store.
const PATIENCE: Duration = Duration::from_secs(1);

/// `/livez`, `/readyz`, `/metrics`.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(app)
}

/// Ready means that the store answers, that no witness contradicts the log, and that the server is not about to stop.
async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.vault.check_uncontradicted().is_err() {
        let text = "not ready: a witness contradicts the log, restore the newest copy of the data\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text);
    }
    let read = tokio::time::timeout(PATIENCE, app.vault.log_checkpoint()).await;
    if app.stop.is_cancelled() || !matches!(read, Ok(Ok(_))) {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n");
    }
    (StatusCode::OK, "ready\n")
}

async fn metrics(State(app): State<App>) -> ([(header::HeaderName, &'static str); 1], String) {
    app.metrics.body_memory(app.memory.in_use());
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], app.metrics.text())
}
