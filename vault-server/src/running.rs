//! A server's life: opened in the order of its parts, served, drained, closed.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use protocol_spec::{
    defence::Defence,
    link::ServerLink,
    log::{NoteKey, log_key_of},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    files::{self, Plan},
    http::{self, App, Gate, MAX_AHEAD},
    identity::OperatorIdentity,
    start_error::StartError,
    store::{OpenError, RocksConfig, RocksStore, StoreError},
    tls::{Keeper, Tls},
    vault::{Accepted, Binding, Bound, Refusal, SystemClock, Vault, VaultLimits},
    witnesses::Witnesses,
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

/// A server that serves.
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
    /// What clients are given.
    pub fn link(&self) -> &ServerLink {
        &self.link
    }

    /// The key of its log, as policies and witnesses name it.
    pub fn log(&self) -> &NoteKey {
        &self.log
    }

    /// Where it listens.
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

    /// Waits for its end.
    ///
    /// # Errors
    /// See [`StopError`].
    pub async fn wait(self) -> Result<(), StopError> {
        self.supervision.await?
    }
}

/// Starts a server; it serves when this returns.
///
/// # Errors
/// See [`StartError`].
pub async fn serve(config: Config) -> Result<Running, StartError> {
    let source = config
        .certificate_source()
        .map_err(|text| StartError::Settings(text.to_owned()))?;
    config.check_memory().map_err(StartError::Settings)?;
    if config.listen.ip().is_unspecified() && config.public_authority.is_empty() {
        return Err(StartError::Settings(
            "clients cannot reach a server under an unspecified address: give --public-authority HOST:PORT"
                .to_owned(),
        ));
    }
    let first_start = !config.data.join("db").exists();
    let plan = Plan::make(config.limits.connections).map_err(StartError::Settings)?;
    let store = Arc::new(open_store(&config, plan.tables)?);
    let bound = Bound::read(&*store).await.map_err(unopened)?;
    let accepted = Accepted {
        link: config.accept_link.clone(),
        witnesses: config.accept_witness_policy.clone(),
        registrar: config.accept_registrar,
    };
    let operator = if bound.has_operator() {
        OperatorIdentity::load(&config.data)?
    } else {
        OperatorIdentity::load_or_create(&config.data)?
    };
    bound.check_keys(operator.key(), &config.registrar, &accepted)?;
    let tls = Tls::new(&config, source)?;
    let (listener, addr) = listen(config.listen).await?;
    let admin = match config.admin {
        Some(admin) => Some(listen(admin).await?),
        None => None,
    };
    let admin_addr = admin.as_ref().map(|(_, addr)| *addr);

    let operator_key = *operator.key();
    let authorities = authorities(&config, addr);
    let log = log_key_of(&operator_key, bound.generation())?;
    let witnesses = match &config.witness_policy {
        Some(policy) => Some(Witnesses::open(policy, config.witness_pace, log.clone())?),
        None => None,
    };
    let binding = Binding {
        operator: operator_key,
        registrar: config.registrar,
        certificate: tls.development_certificate,
        authorities: authorities.clone(),
        named: !config.public_authority.is_empty(),
        witnesses: witnesses.as_ref().map(Witnesses::digest),
    };
    bound.check_changes(&binding, &accepted)??;
    let link = binding.link()?;
    let limits = config.accounts.apply(config.session_limits.vault(&config.limits));
    let limits = VaultLimits {
        enrolment: config.enrolment.policy(config.dev),
        invited_per_institution: config.enrolment.invited_per_institution,
        ..limits
    };
    let enrolments = config.enrolment.of_address(config.dev);
    let clock = Arc::new(SystemClock);
    let vault = Vault::new(
        store.clone(),
        store.clone(),
        operator,
        config.registrar,
        clock,
        limits,
    )
    .await
    .map_err(unopened)?;
    binding.keep(&*store).await.map_err(unopened)?;
    let not_before = if first_start {
        0
    } else {
        past_replays(&vault).await
    };
    if let Some(mut witnesses) = witnesses {
        vault.await_witnesses();
        let enough = witnesses.ask_all(&vault).await;
        tokio::spawn(witnesses.run(vault.clone(), enough));
    }
    let gate = Gate::new(&operator_key, authorities, not_before, &config.limits);

    let keeper = tls.keeper.clone();
    tokio::spawn(keeper.clone().run(config.tls_poll));
    let app = App::new(vault, gate, keeper.clone(), config.limits, enrolments);
    tracing::info!(%addr, admin = admin_addr.map(tracing::field::display), "serving");
    let stop = app.stop.clone();
    let router = http::router(app.clone());
    tokio::spawn(http::accept::accept(
        app.clone(),
        listener,
        Some(tls.acceptor),
        router,
        plan.connections,
    ));
    if let Some((listener, _)) = admin {
        let router = http::admin::router(app.clone());
        tokio::spawn(http::accept::accept(
            app.clone(),
            listener,
            None,
            router,
            files::ADMIN,
        ));
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

fn open_store(config: &Config, tables: usize) -> Result<RocksStore, OpenError> {
    let store_config = RocksConfig {
        cache_bytes: config.limits.cache,
        reserve_bytes: u64::try_from(config.limits.reserve).unwrap_or(u64::MAX),
        max_open_files: i32::try_from(tables).unwrap_or(i32::MAX),
        ..RocksConfig::default()
    };
    RocksStore::open(Path::new(&config.data), &store_config)
}

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = async {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    };
    bound.await.map_err(|source| StartError::Listen { addr, source })
}

/// The names by which clients know this server; the first one stands in the link.
fn authorities(config: &Config, addr: SocketAddr) -> Vec<String> {
    let mut names = config.public_authority.clone();
    names.push(addr.to_string());
    if addr.ip().is_loopback() || addr.ip().is_unspecified() {
        names.push(format!("localhost:{}", addr.port()));
        names.push(format!("127.0.0.1:{}", addr.port()));
    }
    names
}

fn unopened(refusal: Refusal) -> StartError {
    StartError::Vault(refusal.cause.unwrap_or_default())
}

/// From when on, in seconds, signatures are taken that were created then or later (API-20). Whatever a process before this one
/// has accepted was created [`MAX_AHEAD`] seconds ahead of its clock at most, so before that: refusing what is older keeps replays out
/// without storing nonces. Waits until then, so that nobody whose clock is right is refused.
async fn past_replays(vault: &Vault) -> u64 {
    if Defence::RestartReplay.is_off() {
        return 0;
    }
    let now = vault.now_ms();
    let not_before = now / 1000 + MAX_AHEAD + 1;
    tokio::time::sleep(Duration::from_millis(not_before * 1000 - now)).await;
    not_before
}

/// Until told to stop or the store fails; then drains and closes.
async fn supervise(app: App, store: Arc<RocksStore>) -> Result<(), StopError> {
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
