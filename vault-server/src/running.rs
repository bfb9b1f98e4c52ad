//! A server's life: opened in the order of its parts, served, drained, closed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use protocol_spec::{link::ServerLink, log::NoteKey};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    files::{self, FilePlan},
    http::{self, App, accept::accept},
    opening::{Data, Ready, check_settings},
    start_error::StartError,
    store::{RocksStore, StoreError},
    tls::{Keeper, Tls},
};

/// Why a server did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// A write failed while it served: what the device holds is known only after a new start.
    #[error("storage failed, check the device and start again: {0}")]
    StorageFailed(String),
    /// The store did not close.
    #[error("the store did not close: {0}")]
    Close(#[from] StoreError),
    /// A task of the server ended by a defect.
    #[error("the server's supervision ended: {0}")]
    Supervision(#[from] tokio::task::JoinError),
}

/// A server that has begun to serve.
#[derive(Debug)]
pub struct Running {
    link: ServerLink,
    log: NoteKey,
    addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
    stop: CancellationToken,
    keeper: Arc<Keeper>,
    supervision: JoinHandle<Result<(), StopError>>,
}

impl Running {
    /// The link that clients are given.
    pub fn link(&self) -> &ServerLink {
        &self.link
    }

    /// The key of its log, as policies and witnesses name it.
    pub fn log(&self) -> &NoteKey {
        &self.log
    }

    /// The address on which it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it answers its operator.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// Tells it to take no more, finish what runs, and end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// [`Running::stop`] for somebody else to call, by cancelling it.
    pub fn stopper(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// For somebody else to call when the certificate's files are to be read again at once (OPR-4).
    pub fn reloader(&self) -> impl Fn() + Send + 'static {
        let keeper = self.keeper.clone();
        move || keeper.look_now()
    }

    /// Waits until the server has ended.
    ///
    /// [`StopError`] says what can go wrong.
    pub async fn wait(self) -> Result<(), StopError> {
        self.supervision.await?
    }
}

/// Starts a server; it serves when this returns.
///
/// [`StartError`] says what can go wrong.
pub async fn serve(config: Config) -> Result<Running, StartError> {
    let source = check_settings(&config)?;
    let plan = FilePlan::make(config.limits.connections).map_err(StartError::Settings)?;
    let data = Data::open(&config, plan.tables).await?;
    let tls = Tls::new(&config, source)?;
    let (listener, addr) = listen(config.listen).await?;
    let admin = match config.admin {
        Some(admin) => Some(listen(admin).await?),
        None => None,
    };
    let admin_addr = admin.as_ref().map(|(_, addr)| *addr);
    let keeper = tls.keeper.clone();
    let Ready {
        app,
        store,
        link,
        log,
    } = data.ready(&config, addr, &tls).await?;
    tokio::spawn(keeper.clone().run(config.tls_poll));
    tracing::info!(%addr, admin = admin_addr.map(tracing::field::display), "serving");
    let stop = app.stop.clone();
    let router = http::router(app.clone());
    let acceptor = Some(tls.acceptor);
    tokio::spawn(accept(app.clone(), listener, acceptor, router, plan.connections));
    if let Some((listener, _)) = admin {
        let router = http::admin::router(app.clone());
        tokio::spawn(accept(app.clone(), listener, None, router, files::ADMIN));
    }
    Ok(Running {
        link,
        log,
        addr,
        admin_addr,
        stop,
        keeper,
        supervision: tokio::spawn(supervise(app, store)),
    })
}

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = async {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    };
    bound.await.map_err(|source| StartError::Listen { addr, source })
}

/// Until told to stop or the store fails; then drains and closes.
pub(crate) async fn supervise(app: App, store: Arc<RocksStore>) -> Result<(), StopError> {
    let failed = tokio::select! {
        cause = store.failed() => Some(cause),
        () = app.stop.cancelled() => None,
    };
    app.stop.cancel();
    if let Some(cause) = failed {
        return Err(StopError::StorageFailed(cause));
    }
    tracing::info!("stopping: running requests are finished");
    app.tasks.close();
    // A second more than a connection has, so that each ends by its own clock.
    let patience = app.limits.drain + Duration::from_secs(1);
    if tokio::time::timeout(patience, app.tasks.wait()).await.is_err() {
        tracing::warn!("some requests were cut off");
    }
    drop(app);
    store.close().await?;
    Ok(())
}
