//! The HTTP edge: everything about connections, signatures, bodies and refusals, and nothing about
//! what a permission is. See `spec/api.md`.
//!
//! | module | holds |
//! |---|---|
//! | [`accept`], [`stall`] | connections, their limits and their end |
//! | [`prefix`], [`places`], [`handshakes`] | network addresses, and what they have of the server before anybody is known |
//! | [`auth`], [`callers`] | who signed a request, and may call what; replay |
//! | [`body`], [`format`], [`query`], [`presenting`] | what a request carries and how it is written, bounded and checked against its digest |
//! | [`offers`], [`enrolments`] | new devices offered, and from where; patients enrolled by one address |
//! | [`memory`], [`most`], [`answer`], [`outgoing`] | memory of bodies, and who gets how much; how long answers can be; what a response carries, until it is gone |
//! | [`routes`], [`api`], [`openapi`] | who serves each endpoint of the specification, what its handler says of it, and the document made of that |
//! | [`handlers`], [`odd`] | generic handlers of whatever takes and gives one message; those that are like no other |
//! | [`leaves`], [`sse`] | the two kinds of streams |
//! | [`problem`], [`observe`], [`refusals`] | refusals as documents, log lines and counts |
//! | [`admin`] | the operator's own address |

pub(crate) mod accept;
pub(crate) mod admin;
mod answer;
mod api;
mod auth;
mod body;
mod callers;
mod enrolments;
mod format;
mod handlers;
mod handshakes;
mod leaves;
mod memory;
mod most;
mod observe;
mod odd;
mod offers;
mod openapi;
mod outgoing;
mod places;
mod prefix;
mod presenting;
mod problem;
mod query;
mod refusals;
mod routes;
mod sse;
mod stall;

use std::{sync::Arc, time::Duration};

use axum::Router;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::auth::{Gate, MAX_AHEAD};
use self::{
    api::Endpoint,
    auth::Quota,
    callers::OfRoutes,
    enrolments::{Enrolments, HOUR},
    handshakes::Handshakes,
    leaves::LeafBuffers,
    memory::BodyMemory,
    offers::Offers,
    refusals::Refusals,
};
use crate::{config::ClientLimits, telemetry::Metrics, tls::Keeper, vault::Vault};

#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What all handlers share, once in the process.
pub(crate) struct Shared {
    pub(crate) vault: Vault,
    pub(crate) limits: ClientLimits,
    pub(crate) metrics: Metrics,
    /// Cancelled when the server is to stop: streams end, readiness goes.
    pub(crate) stop: CancellationToken,
    /// Connections, and what goes on after one is gone: waited for at the end.
    pub(crate) tasks: TaskTracker,
    pub(crate) keeper: Arc<Keeper>,
    gate: Gate,
    handshakes: Handshakes,
    memory: BodyMemory,
    leaf_buffers: LeafBuffers,
    inbox_streams: Quota,
    offers: Offers,
    enrolments: Enrolments,
    refusals: Refusals,
    /// Every endpoint, and what is said of it.
    endpoints: Vec<Endpoint>,
    document: String,
    callers: OfRoutes,
}

impl App {
    /// `enrolments` of one address in an hour are let in; with [`usize::MAX`] of them, they are not counted.
    pub(crate) fn new(
        vault: Vault,
        gate: Gate,
        keeper: Arc<Keeper>,
        limits: ClientLimits,
        enrolments: usize,
    ) -> Self {
        let (_, endpoints) = routes::api().into_parts();
        Self(Arc::new(Shared {
            document: openapi::document(&endpoints),
            callers: OfRoutes::new(),
            endpoints,
            vault,
            gate,
            keeper,
            metrics: Metrics::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            handshakes: Handshakes::new(limits.handshakes_per_address),
            memory: BodyMemory::new(&limits),
            leaf_buffers: LeafBuffers::default(),
            inbox_streams: Quota::new(limits.streams_per_principal),
            offers: Offers::new(limits.link_offers, limits.link_offers_per_address),
            enrolments: Enrolments::new((enrolments < usize::MAX).then_some(enrolments), HOUR),
            refusals: Refusals::default(),
            limits,
        }))
    }

    /// How long so many bytes may take at the slowest rate allowed.
    fn time_for(&self, bytes: u64) -> Duration {
        let rate = u64::try_from(self.limits.min_rate).unwrap_or(u64::MAX).max(1);
        Duration::from_secs(bytes / rate)
    }
}

/// The OpenAPI document, as it is served (API-13).
pub(crate) fn document() -> String {
    openapi::document(&routes::api().into_parts().1)
}

pub(crate) fn router(app: App) -> Router {
    let (routes, _) = routes::api().into_parts();
    routes
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            observe::observe,
        ))
        .with_state(app)
}
