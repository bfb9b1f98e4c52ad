//! Around every request: how long it may take, and what the operator sees of it. Logged are method,
//! route template, status, time, problem code and internal cause; never ids, keys, header or query values.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, header};
use http_body::Body;
use protocol_spec::{
    log::{LOG_GROWTH, LOG_SIZE},
    problem::Problem,
};

use super::{
    App,
    accept::Connection,
    openapi,
    problem::{RefusedRequest, render},
};
use crate::{
    telemetry::RequestLabels,
    vault::{Refusal, with_growth_from},
};

pub(super) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unknown", MatchedPath::as_str)
        .to_owned();
    let method = method_name(request.method());
    let peer = request.extensions().get::<Connection>().map(Connection::peer);
    let mut response = run(&app, request, next).await;
    let refused = response.extensions_mut().remove::<RefusedRequest>();
    if let Some(RefusedRequest(refusal)) = &refused {
        if !openapi::names(&app.endpoints, method, &route, refusal.problem) {
            let code = refusal.problem.code();
            tracing::error!(target: "vault_server::access", method, route, code, "undescribed refusal");
        }
        app.metrics.refused(refusal.problem.code());
        response = render(refusal.problem, app.vault.now_ms());
    }
    // What the log serves says itself how long it may be kept.
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    let labels = RequestLabels {
        method,
        route,
        status: response.status().as_u16(),
    };
    let took = started.elapsed();
    app.metrics.answered(&labels, took);
    log(
        &app,
        &labels,
        took,
        refused.map(|RefusedRequest(refusal)| (peer, refusal)),
    );
    response
}

async fn run(app: &App, request: Request, next: Next) -> Response {
    // A route for GET would answer HEAD too, and spend bytes of a release for nothing.
    if request.method() == Method::HEAD {
        return RefusedRequest::from(Problem::MethodNotAllowed).into_response();
    }
    let body = request.body().size_hint();
    let patience = app.limits.request_timeout + app.time_for(body.upper().unwrap_or(MAX_BODY));
    let seen = request.headers().get(LOG_SIZE);
    let seen = seen.and_then(|size| size.to_str().ok()?.parse().ok());
    let running = with_growth_from(seen.unwrap_or(0), next.run(request));
    match tokio::time::timeout(patience, running).await {
        Ok((mut response, growth)) => {
            for growth in growth {
                response.headers_mut().append(LOG_GROWTH, growth.field());
            }
            response
        }
        Err(_) => {
            RefusedRequest(Refusal::new(Problem::Unavailable, "the request took too long")).into_response()
        }
    }
}

/// What a body of undeclared length is taken for: the most that one request may carry.
const MAX_BODY: u64 = 64 << 20;

fn log(app: &App, labels: &RequestLabels, took: Duration, refusal: Option<(Option<IpAddr>, Refusal)>) {
    let RequestLabels {
        method,
        route,
        status,
    } = labels;
    let id = uuid::Uuid::now_v7();
    let millis = took.as_secs_f64() * 1000.0;
    let Some((peer, Refusal { problem, cause })) = refusal else {
        tracing::debug!(target: "vault_server::access", %id, method, route, status, millis, "answered");
        return;
    };
    let (code, cause) = (problem.code(), cause.unwrap_or_default());
    let written = app.refusals.count(peer, code, Instant::now());
    for (code, times) in written.left_out {
        tracing::info!(target: "vault_server::access", code, times, "refused without a line of its own");
    }
    if !written.line {
        return;
    }
    if problem.status() >= 500 {
        tracing::error!(target: "vault_server::access", %id, method, route, status, millis, code, cause, "failed");
    } else {
        tracing::info!(target: "vault_server::access", %id, method, route, status, millis, code, cause, "refused");
    }
}

/// Labels of metrics must not be the client's to choose.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        _ => "other",
    }
}
