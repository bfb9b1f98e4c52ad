//! From settings to a server that can answer: its data are opened, checked against what this start binds them to, and set going.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use protocol_spec::{
    defence::Defence,
    hash::Sha256Digest,
    link::ServerLink,
    log::{NoteKey, log_key_of},
};

use crate::{
    config::{CertificateSource, Config},
    http::{App, Gate, MAX_AHEAD},
    identity::OperatorIdentity,
    start_error::StartError,
    store::{OpenError, RocksConfig, RocksStore},
    tls::Tls,
    vault::{Accepted, Binding, Bound, Refusal, SystemClock, Vault, VaultLimits},
    witnesses::Witnesses,
};

/// Refuses settings with which no server can be reached or run, before anything is touched.
pub(crate) fn check_settings(config: &Config) -> Result<CertificateSource<'_>, StartError> {
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
    Ok(source)
}

/// The data of a server, opened.
pub(crate) struct Data {
    store: Arc<RocksStore>,
    bound: Bound,
    operator: OperatorIdentity,
    accepted: Accepted,
    first_start: bool,
}

/// What a start binds its data to, and who is to cosign their log.
struct Bindings {
    binding: Binding,
    /// The key of the log.
    log: NoteKey,
    witnesses: Option<Witnesses>,
}

/// What answers requests, whoever brings them.
pub(crate) struct Ready {
    pub(crate) app: App,
    pub(crate) store: Arc<RocksStore>,
    /// The link that clients are given.
    pub(crate) link: ServerLink,
    /// The key of the log.
    pub(crate) log: NoteKey,
}

impl Data {
    /// Opens the store and the operator's key, which have to belong together.
    pub(crate) async fn open(config: &Config, tables: usize) -> Result<Self, StartError> {
        let first_start = !config.data.join("db").exists();
        let store = Arc::new(open_store(config, tables)?);
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
        Ok(Self {
            store,
            bound,
            operator,
            accepted,
            first_start,
        })
    }

    /// Goes on with the data under this address. The log's witnesses are asked from now on, if there are any.
    pub(crate) async fn ready(
        self,
        config: &Config,
        addr: SocketAddr,
        tls: &Tls,
    ) -> Result<Ready, StartError> {
        let Bindings {
            binding,
            log,
            witnesses,
        } = self.bind(config, addr, tls.development_certificate)?;
        let link = binding.link()?;
        let store = self.store.clone();
        let (vault, not_before) = self.vault(config, &binding).await?;
        if let Some(mut witnesses) = witnesses {
            vault.await_witnesses();
            let enough = witnesses.ask_all(&vault).await;
            tokio::spawn(witnesses.run(vault.clone(), enough));
        }
        let gate = Gate::new(&binding.operator, binding.authorities, not_before, &config.limits);
        let enrolments = config.enrolment.of_address(config.dev);
        let app = App::new(vault, gate, tls.keeper.clone(), config.limits.clone(), enrolments);
        Ok(Ready {
            app,
            store,
            link,
            log,
        })
    }

    /// What this start binds the data to; refused if they are bound to something else that may not change.
    fn bind(
        &self,
        config: &Config,
        addr: SocketAddr,
        certificate: Option<Sha256Digest>,
    ) -> Result<Bindings, StartError> {
        let operator = *self.operator.key();
        let log = log_key_of(&operator, self.bound.generation())?;
        let witnesses = match &config.witness_policy {
            Some(policy) => Some(Witnesses::open(policy, config.witness_pace, log.clone())?),
            None => None,
        };
        let binding = Binding {
            operator,
            registrar: config.registrar,
            certificate,
            authorities: authorities(config, addr),
            named: !config.public_authority.is_empty(),
            witnesses: witnesses.as_ref().map(Witnesses::digest),
        };
        self.bound.check_changes(&binding, &self.accepted)??;
        Ok(Bindings {
            binding,
            log,
            witnesses,
        })
    }

    /// The vault on these data, which are bound from now on; and from when on, in seconds, signatures are taken.
    async fn vault(self, config: &Config, binding: &Binding) -> Result<(Vault, u64), StartError> {
        let Self {
            store,
            operator,
            first_start,
            ..
        } = self;
        let limits = config.accounts.apply(config.session_limits.vault(&config.limits));
        let limits = VaultLimits {
            enrolment: config.enrolment.policy(config.dev),
            invited_per_institution: config.enrolment.invited_per_institution,
            ..limits
        };
        let clock = Arc::new(SystemClock);
        let vault = Vault::new(
            store.clone(),
            store.clone(),
            operator,
            config.registrar,
            clock,
            limits,
        );
        let vault = vault.await.map_err(unopened)?;
        binding.keep(&*store).await.map_err(unopened)?;
        let not_before = if first_start {
            0
        } else {
            past_replays(&vault).await
        };
        Ok((vault, not_before))
    }
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
