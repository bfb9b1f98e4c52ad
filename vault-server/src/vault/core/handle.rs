//! The vault as the rest of the server holds it: opened over its stores, with what it says of itself and of its log.

use std::{ops::Deref, sync::Arc};

use protocol_spec::{
    keys::IdentityKey,
    link::{is_nonce, proof_message},
    log::{Hash, VerifiedCheckpoint, tile::TilePath},
    messages as pb,
    problem::Problem,
};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    identity::OperatorIdentity,
    store::{BlobStore, Ledger},
    vault::{
        core::{
            limits::VaultLimits,
            refusal::Refusal,
            shared::Shared,
            time::{Clock, Time},
        },
        log::{Contradiction, Log, Rounds},
        tables,
        telling::wakes::Wakes,
        transfer::{in_flight::InFlight, sweep},
        who::{admission, caller::Caller, known::KnownCallers, work::Challenges},
    },
};

/// The vault. Clones share it.
#[derive(Clone)]
pub struct Vault {
    pub(in crate::vault) shared: Arc<Shared>,
    /// The sequencer and the sweeper; they end with the last clone.
    _tasks: Arc<JoinSet<()>>,
}

impl Deref for Vault {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Vault {
    /// Opens the vault over its stores and starts its two tasks: one sequences the log, one sweeps.
    pub async fn new(
        ledger: Arc<dyn Ledger>,
        blobs: Arc<dyn BlobStore>,
        operator: OperatorIdentity,
        registrar: IdentityKey,
        clock: Arc<dyn Clock>,
        limits: VaultLimits,
    ) -> Result<Self, Refusal> {
        let operator = Arc::new(operator);
        let time = Arc::new(Time::load(clock, ledger.clone(), &limits).await?);
        let log = Log::open(ledger.clone(), operator.clone(), time.clone(), limits.log_wait).await?;
        let shared = Arc::new(Shared {
            ledger,
            blobs,
            operator,
            registrar,
            time,
            limits,
            log,
            wakes: Wakes::default(),
            known: KnownCallers::default(),
            in_flight: InFlight::default(),
            challenges: Challenges::default(),
        });
        let mut tasks = JoinSet::new();
        let (sequencer, sweeper) = (shared.clone(), shared.clone());
        tasks.spawn(async move { sequencer.log.run().await });
        tasks.spawn(async move { sweep::sweep_for_ever(sweeper).await });
        Ok(Self {
            shared,
            _tasks: Arc::new(tasks),
        })
    }

    /// The vault's time in milliseconds since 1970; it never runs backwards.
    pub fn now_ms(&self) -> u64 {
        self.shared.time.now()
    }

    /// The most bytes of a message that a client may have sent.
    pub fn message_bytes(&self) -> u64 {
        self.shared.limits.request_bytes
    }

    /// The most bytes of a page of history.
    pub fn page_bytes(&self) -> u64 {
        self.shared.limits.most_of_page(self.message_bytes())
    }

    /// The most bytes of any other page without manifests, if its rows have at most so many.
    pub fn short_page_bytes(&self, row: u64) -> u64 {
        self.shared.limits.most_of_short_page(row)
    }

    /// What clients must know of this server.
    pub fn server_info(&self) -> pb::ServerInfo {
        let Shared {
            operator,
            registrar,
            limits,
            ..
        } = &*self.shared;
        let mut info = pb::ServerInfo {
            version: protocol_spec::field::VERSION,
            suite: protocol_spec::field::SUITE,
            operator_key: operator.key().as_bytes().to_vec().into(),
            registrar_key: registrar.as_bytes().to_vec().into(),
            now: self.now_ms(),
            max_request_bytes: limits.request_bytes,
            max_leaves_per_request: u64::from(limits.leaves_per_request),
            max_inline_bytes: protocol_spec::content::LEAF_LEN,
            ..Default::default()
        };
        admission::announce_enrolment(self, &mut info);
        info
    }

    /// The same, with the operator's word that this server answers under this name of its own (OPR-10).
    pub fn proven_info(&self, authority: Option<&str>, nonce: &str) -> Result<pb::ServerInfo, Refusal> {
        if !is_nonce(nonce) {
            return Err(Refusal::new(Problem::Malformed, "the nonce has another form"));
        }
        let authority = authority.ok_or_else(|| {
            Refusal::new(
                Problem::NotPermitted,
                "the host is not one of ours: start the server with --public-authority",
            )
        })?;
        let proof = self.shared.operator.sign(&proof_message(authority, nonce));
        Ok(pb::ServerInfo {
            proof: proof.to_vec().into(),
            ..self.server_info()
        })
    }

    /// The checkpoint to be shown, a signed note: the newest, or, where there are witnesses, the newest that the quorum has
    /// cosigned.
    pub async fn log_checkpoint(&self) -> Result<String, Refusal> {
        self.shared.log.checkpoint().await
    }

    /// The newest checkpoint, whoever has cosigned it.
    pub(crate) async fn log_head(&self) -> Result<String, Refusal> {
        self.shared.log.newest().await
    }

    /// Leaves of the log, from now on.
    pub(crate) fn log_growth(&self) -> watch::Receiver<u64> {
        self.shared.log.growth()
    }

    /// The hashes of [`Vault::log_consistency`].
    pub(crate) async fn log_path(&self, first: u64, second: u64) -> Result<Vec<Hash>, Refusal> {
        self.shared.log.consistency(first, second).await
    }

    /// Has the witnesses asked once more, if there are any, and waits some seconds for what they say (LOG-23).
    pub async fn ask_witnesses(&self) {
        self.shared.log.ask_witnesses().await;
    }

    /// How often witnesses are asked.
    pub(crate) fn witness_rounds(&self) -> &Rounds {
        self.shared.log.rounds()
    }

    /// What witnesses say against the log.
    pub(crate) fn contradiction(&self) -> &Contradiction {
        self.shared.log.contradiction()
    }

    /// Whether this may be an old copy of the data (LOG-22).
    pub fn check_uncontradicted(&self) -> Result<(), Refusal> {
        self.shared.log.check_uncontradicted()
    }

    /// From now on only cosigned checkpoints are shown, as soon as there are any.
    pub(crate) fn await_witnesses(&self) {
        self.shared.log.await_witnesses();
    }

    /// Shows a checkpoint that the quorum has cosigned, unless a larger one is shown.
    pub(crate) async fn publish_cosigned(&self, checkpoint: &VerifiedCheckpoint) -> Result<(), Refusal> {
        self.shared.log.publish_cosigned(checkpoint).await
    }

    /// The bytes of a tile, which never change (LOG-9).
    pub async fn log_tile(&self, tile: TilePath) -> Result<Vec<u8>, Refusal> {
        self.shared.log.tile(tile).await
    }

    /// The proof that the tree of the second size continues the tree of the first.
    pub async fn log_consistency(&self, first: u64, second: u64) -> Result<pb::ConsistencyProof, Refusal> {
        let path = self.shared.log.consistency(first, second).await?;
        let path = path.iter().map(|hash| hash.to_vec().into()).collect();
        Ok(pb::ConsistencyProof { path })
    }

    /// The salt from which the caller makes the hashes of the log's leaves that are of her vault, or its own (LOG-7).
    pub async fn log_salt(&self, caller: &Caller) -> Result<pb::LogSalt, Refusal> {
        let row = tables::log_salt(caller.principal())
            .get(&*self.shared.ledger)
            .await?;
        Ok(pb::LogSalt {
            salt: row.unwrap_or_default().salt,
        })
    }
}
