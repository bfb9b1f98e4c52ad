//! The HTTP edge: everything about connections, signatures, bodies and refusals, and nothing about
//! what a permission is. See `spec/api.md`.
//!
//! | module | holds |
//! |---|---|
//! | [`accept`], [`stall`] | connections, their limits and their end |
//! | [`auth`] | who signed a request; replay |
//! | [`body`], [`query`] | what a request carries, bounded and checked against its digest |
//! | [`offers`] | new devices offered by one address |
//! | [`memory`], [`answer`], [`outgoing`] | memory of bodies; what a response carries, until it is gone |
//! | [`handlers`] | one line a message endpoint |
//! | [`leaves`], [`sse`] | the two kinds of streams |
//! | [`problem`], [`observe`] | refusals as documents, log lines and counts |
//! | [`admin`] | the operator's own address |

pub(crate) mod accept;
pub(crate) mod admin;
mod answer;
mod auth;
mod body;
mod handlers;
mod leaves;
mod memory;
mod observe;
mod offers;
mod outgoing;
mod problem;
mod query;
mod sse;
mod stall;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{get, post, put},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::auth::Gate;
use self::{auth::Quota, leaves::LeafBuffers, memory::BodyMemory, offers::Offers};
use crate::{config::Limits, telemetry::Metrics, vault::Vault};

/// What every handler needs.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// One for the process.
pub(crate) struct Shared {
    pub(crate) vault: Vault,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// Cancelled when the server is to stop: streams end, readiness goes.
    pub(crate) stop: CancellationToken,
    /// Connections, and what goes on after one is gone: waited for at the end.
    pub(crate) tasks: TaskTracker,
    gate: Gate,
    memory: BodyMemory,
    leaf_buffers: LeafBuffers,
    inbox_streams: Quota,
    offers: Offers,
}

impl App {
    pub(crate) fn new(vault: Vault, gate: Gate, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            vault,
            gate,
            metrics: Metrics::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            memory: BodyMemory::new(&limits),
            leaf_buffers: LeafBuffers::default(),
            inbox_streams: Quota::new(limits.streams_per_principal),
            offers: Offers::new(limits.link_offers_per_address),
            limits,
        }))
    }

    /// How long so many bytes may take at the slowest rate allowed.
    fn time_for(&self, bytes: u64) -> Duration {
        let rate = u64::try_from(self.limits.min_rate).unwrap_or(u64::MAX).max(1);
        Duration::from_secs(bytes / rate)
    }
}

/// The whole API.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/v1/server", get(handlers::server))
        .route("/v1/directory/events", get(handlers::directory_events))
        .route("/v1/directory/withdrawals", post(handlers::withdraw_institution))
        .route(
            "/v1/directory/{institution}/entries",
            get(handlers::directory_entries),
        )
        .route("/v1/log/checkpoint", get(handlers::log_checkpoint))
        .route("/v1/log/tile/{*name}", get(handlers::log_tile))
        .route("/v1/log/salt", get(handlers::log_salt))
        .route("/v1/log/consistency", get(handlers::log_consistency))
        .route("/v1/patients", post(handlers::enrol_patient))
        .route("/v1/institutions", post(handlers::enrol_institution))
        .route("/v1/institutions/rotation", post(handlers::rotate_institution))
        .route("/v1/institutions/retirement", post(handlers::retire_institution))
        .route(
            "/v1/institutions/terminals",
            get(handlers::terminals).post(handlers::add_terminal),
        )
        .route(
            "/v1/institutions/terminals/removals",
            post(handlers::remove_terminal),
        )
        .route("/v1/institutions/terminal", get(handlers::terminal))
        .route("/v1/patients/{patient}", get(handlers::patient_info))
        .route("/v1/requests/upload", post(handlers::submit_upload_request))
        .route("/v1/requests/download", post(handlers::submit_download_request))
        .route("/v1/requests/reference", post(handlers::submit_reference_request))
        .route("/v1/requests/{request}", get(handlers::request))
        .route("/v1/permissions", post(handlers::submit_permission))
        .route("/v1/denials", post(handlers::submit_denial))
        .route("/v1/revocations", post(handlers::submit_revocation))
        .route("/v1/permissions/{permission}", get(handlers::deliver))
        .route(
            "/v1/permissions/{permission}/presentation",
            post(handlers::present),
        )
        .route("/v1/uploads/{upload}", get(handlers::upload_status))
        .route("/v1/uploads/{upload}/leaves", put(leaves::receive))
        .route("/v1/uploads/{upload}/commit", post(handlers::commit_upload))
        .route(
            "/v1/releases/{release}/records/{version}/leaves",
            get(leaves::release),
        )
        .route("/v1/releases/{release}/records", get(handlers::released_records))
        .route("/v1/releases/{release}/close", post(handlers::close_release))
        .route("/v1/vault/records", get(handlers::vault_records))
        .route("/v1/vault/arrivals", get(handlers::arrivals))
        .route("/v1/vault/records/{version}", get(handlers::vault_record))
        .route(
            "/v1/vault/index",
            get(handlers::index).post(handlers::put_segment),
        )
        .route("/v1/vault/records/{version}/leaves", get(leaves::own))
        .route("/v1/vault/records/{version}/adoption", post(handlers::adopt))
        .route("/v1/vault/reseals", post(handlers::open_reseal))
        .route("/v1/vault/reseals/{upload}", post(handlers::commit_reseal))
        .route("/v1/vault/acts", get(handlers::acts))
        .route("/v1/vault/heads", post(handlers::submit_head))
        .route(
            "/v1/vault/collections",
            get(handlers::collections).post(handlers::put_collection),
        )
        .route("/v1/vault/wraps", get(handlers::wraps).post(handlers::put_wraps))
        .route("/v1/vault/closures", post(handlers::close_epoch))
        .route(
            "/v1/vault/devices",
            get(handlers::device_lists).post(handlers::change_devices),
        )
        .route(
            "/v1/vault/emergency",
            get(handlers::emergency).post(handlers::put_emergency),
        )
        .route("/v1/vault/emergency/objections", post(handlers::submit_objection))
        .route("/v1/emergency/openings", post(handlers::open_emergency))
        .route("/v1/emergency/helps", post(handlers::start_help))
        .route("/v1/emergency/{patient}", get(handlers::emergency_info))
        .route(
            "/v1/links/{link}",
            get(handlers::link_offer).post(handlers::offer_link),
        )
        .route(
            "/v1/vault/delegations",
            get(handlers::given_delegations).post(handlers::put_delegation),
        )
        .route("/v1/vault/delegations/keys", post(handlers::put_delegated_keys))
        .route("/v1/vault/delegations/ends", post(handlers::end_delegation))
        .route("/v1/delegations", get(handlers::held_delegations))
        .route("/v1/delegated-keys", get(handlers::delegated_keys))
        .route("/v1/delegated-requests", get(handlers::delegated_requests))
        .route("/v1/vault/permissions", get(handlers::vault_permissions))
        .route(
            "/v1/vault/permissions/{permission}/releases",
            get(handlers::past_releases),
        )
        .route(
            "/v1/vault/releases/{release}/ranges",
            get(handlers::released_ranges),
        )
        .route("/v1/vault/history", get(handlers::history))
        .route("/v1/inbox", get(handlers::inbox))
        .route("/v1/inbox/stream", get(sse::stream))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            observe::observe,
        ))
        .with_state(app)
}
