//! A server without sockets, for tests in the same process: everything that [`crate::serve`] starts but connections and TLS. What
//! bounds connections (API-11, API-14) does not hold here, and whoever asks is taken for this machine: nothing is to be served by it.

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body};
use bytes::Bytes;
use protocol_spec::{hash::Sha256Digest, link::ServerLink};
use tower::ServiceExt;

use crate::{
    config::Config,
    files::FilePlan,
    http::{self, App, accept::Connection},
    opening::{Data, Ready, check_settings},
    running::{StopError, supervise},
    start_error::StartError,
    store::RocksStore,
    tls::Tls,
};

/// A server that is asked by calls. Copies ask the same one.
#[derive(Clone)]
pub struct InProcess {
    app: App,
    router: Router,
    store: Arc<RocksStore>,
    link: ServerLink,
    certificate: Option<Sha256Digest>,
}

impl InProcess {
    /// Opens the data of these settings. It answers under the address on which it would listen.
    ///
    /// [`StartError`] says what can go wrong.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let source = check_settings(&config)?;
        let plan = FilePlan::make(config.limits.connections).map_err(StartError::Settings)?;
        let data = Data::open(&config, plan.tables).await?;
        let tls = Tls::new(&config, source)?;
        let Ready { app, store, link, .. } = data.ready(&config, config.listen, &tls).await?;
        Ok(Self {
            router: http::router(app.clone()),
            app,
            store,
            link,
            certificate: tls.development_certificate,
        })
    }

    /// The link that clients are given.
    pub fn link(&self) -> &ServerLink {
        &self.link
    }

    /// SHA-256 of the certificate that the link pins, which whoever carries requests here has to show.
    pub fn certificate(&self) -> Option<Sha256Digest> {
        self.certificate
    }

    /// Answers a request to `https://HOST:PORT/…`, as it would one that came by a connection.
    pub async fn answer(&self, request: ::http::Request<Bytes>) -> ::http::Response<Body> {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(Connection::in_process());
        let answered: Result<_, Infallible> = self.router.clone().oneshot(request).await;
        answered.unwrap_or_else(|never| match never {})
    }

    /// Answers nothing more, finishes what runs and closes the store.
    ///
    /// [`StopError`] says what can go wrong.
    pub async fn close(self) -> Result<(), StopError> {
        self.app.stop.cancel();
        supervise(self.app, self.store).await
    }
}
