//! The vault's state machines: who may do what, when and how often. Knows no HTTP and no ciphers.
//!
//! Each mutation is a `tx::Operation`: it verifies what can be verified without the ledger, then reads,
//! decides and writes in one commit, which also spends what is spent, writes history, inbox events and
//! the log's queue, and keeps the answer for repetitions. What was refused has changed nothing.
//!
//! | module | holds |
//! |---|---|
//! | `caller`, `who`, `known`, `refusal`, `limits`, `time`, `steady`, `units` | who asks, and for whom; what is answered instead, bounds, time |
//! | `submission`, `submissions`, `proven`, `tell` | the one way by which a principal changes something: what is its own, what is told of it |
//! | `tables`, `tx`, `idempotency` | rows, one try at a commit, mutations that may be repeated |
//! | `bound` | whose data these are |
//! | `enrol`, `enrolment`, `directory` | principals; what a patient brings to be enrolled |
//! | `account`, `payer` | what each principal has the server keep, and may |
//! | `admission` | who may enrol as a patient |
//! | `strangers` | what others see of a patient |
//! | `programs` | client programs that the registrar vouches for |
//! | `acts` | what was done to a vault, and the heads over it |
//! | `devices`, `leaving`, `kept`, `links` | the devices of a patient, what one of them cannot take from her at once, and those that offer themselves |
//! | `delegations`, `held`, `acting` | what patients let others do in their vaults; who may; those who do it |
//! | `received`, `unanswered` | how much anybody may put before whom; what she does about it |
//! | `rotation`, `withdrawal`, `terminals`, `standing` | an institution's keys, end and terminals; whether it may still act |
//! | `requests`, `permissions`, `denial`, `revocation` | asking, permitting, denying, taking back |
//! | `challenge`, `presentation` | delivery of a permission key, proof of possession |
//! | `upload`, `intake`, `commit` | sessions of upload, leaves on their way in, the record |
//! | `release`, `charge`, `outflow`, `release_end` | sessions of release, what a range costs, leaves on their way out, the receipt |
//! | `collections`, `placement`, `released` | collections, what lies in them, what is released of them |
//! | `rewrap`, `closure` | data keys brought under a new key, the end of an old one |
//! | `reseal` | content brought under a new data key |
//! | `deletion`, `take_back` | records that go for good |
//! | `emergency` | emergency permissions, their openings, guardians |
//! | `records`, `history`, `inbox` | what principals see of their own |
//! | `weakened` | what builds for negative controls let a delegate have, and no other |
//! | `log`, `sweep` | transparency log, expired sessions |

mod account;
mod acting;
mod acts;
mod admission;
mod back;
mod bound;
mod caller;
mod challenge;
mod charge;
mod closure;
mod collections;
mod commit;
mod delegations;
mod deletion;
mod denial;
mod devices;
mod directory;
mod emergency;
mod enrol;
mod enrolment;
mod held;
mod history;
mod idempotency;
mod inbox;
mod index;
mod intake;
mod kept;
mod known;
mod leaving;
mod limits;
mod links;
mod log;
mod outflow;
mod payer;
mod permissions;
mod placement;
mod presentation;
mod programs;
mod proven;
mod received;
mod records;
mod refusal;
mod release;
mod release_end;
mod released;
mod requests;
mod reseal;
mod revocation;
mod rewrap;
mod rotation;
mod sessions;
mod standing;
mod steady;
mod strangers;
mod submission;
mod submissions;
mod sweep;
mod tables;
mod take_back;
mod tell;
mod terminals;
#[cfg(test)]
mod tests;
mod time;
mod tx;
mod unanswered;
mod units;
mod upload;
mod weakened;
mod who;
mod withdrawal;

use std::sync::Arc;

use protocol_spec::{
    ids::PatientId,
    keys::IdentityKey,
    link::{is_nonce, proof_message},
    log::{Hash, VerifiedCheckpoint, tile::TilePath},
    messages as pb,
    problem::Problem,
};
use tokio::{sync::watch, task::JoinSet};

pub use self::{
    account::Budgets,
    acting::KEYS_OF_PAGE,
    acts::MAX_ACTS,
    admission::EnrolmentPolicy,
    bound::{Accepted, Binding, Bound, Unbound},
    caller::{Caller, Intent},
    intake::LeafIntake,
    limits::VaultLimits,
    outflow::LeafStream,
    presentation::Proof,
    received::InboxLimits,
    refusal::Refusal,
    release_end::MAX_VERSIONS,
    time::{Clock, SystemClock},
};
use self::{
    admission::Challenges,
    inbox::Wakes,
    intake::InFlight,
    known::KnownCallers,
    log::{Contradiction, Log, Rounds, statement_hash},
    tables::{Row, RowKey},
    time::Time,
};
pub(crate) use self::{
    log::{for_who_has_seen, restoring},
    steady::since_1970,
};
use crate::{
    identity::OperatorIdentity,
    store::{BlobStore, Ledger},
};
pub use protocol_spec::submitted::MAX_WRAPS;

/// The vault. Clones share it.
#[derive(Clone)]
pub struct Vault {
    shared: Arc<Shared>,
    /// The sequencer and the sweeper; they end with the last clone.
    _tasks: Arc<JoinSet<()>>,
}

/// What all operations share.
struct Shared {
    ledger: Arc<dyn Ledger>,
    blobs: Arc<dyn BlobStore>,
    operator: Arc<OperatorIdentity>,
    registrar: IdentityKey,
    time: Arc<Time>,
    limits: VaultLimits,
    log: Log,
    wakes: Wakes,
    known: KnownCallers,
    in_flight: InFlight,
    challenges: Challenges,
}

impl Vault {
    /// Opens the vault over its stores and starts its two tasks: one sequences the log, one sweeps.
    ///
    /// # Errors
    /// Those of the store.
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
        tasks.spawn(async move { sweeper.sweep_for_ever().await });
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
            ..pb::ServerInfo::default()
        };
        self.announce_enrolment(&mut info);
        info
    }

    /// The same, with the operator's word that this server answers under this name of its own (OPR-10).
    ///
    /// # Errors
    /// `malformed` for what is no nonce, `not-permitted` for a name that is not this server's.
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
    ///
    /// # Errors
    /// Those of the store.
    pub async fn log_checkpoint(&self) -> Result<String, Refusal> {
        self.shared.log.checkpoint().await
    }

    /// The newest checkpoint, whoever has cosigned it.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn log_head(&self) -> Result<String, Refusal> {
        self.shared.log.newest().await
    }

    /// Leaves of the log, from now on.
    pub(crate) fn log_growth(&self) -> watch::Receiver<u64> {
        self.shared.log.growth()
    }

    /// The hashes of [`Vault::log_consistency`].
    ///
    /// # Errors
    /// The same.
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
    ///
    /// # Errors
    /// `log-contradicted`.
    pub fn check_uncontradicted(&self) -> Result<(), Refusal> {
        self.shared.log.check_uncontradicted()
    }

    /// From now on only cosigned checkpoints are shown, as soon as there are any.
    pub(crate) fn await_witnesses(&self) {
        self.shared.log.await_witnesses();
    }

    /// Shows a checkpoint that the quorum has cosigned, unless a larger one is shown.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn publish_cosigned(&self, checkpoint: &VerifiedCheckpoint) -> Result<(), Refusal> {
        self.shared.log.publish_cosigned(checkpoint).await
    }

    /// The bytes of a tile, which never change (LOG-9).
    ///
    /// # Errors
    /// `not-found` if the log is not that large.
    pub async fn log_tile(&self, tile: TilePath) -> Result<Vec<u8>, Refusal> {
        self.shared.log.tile(tile).await
    }

    /// The proof that the tree of the second size continues the tree of the first.
    ///
    /// # Errors
    /// `not-found` unless 0 < first ≤ second ≤ the log's size.
    pub async fn log_consistency(&self, first: u64, second: u64) -> Result<pb::ConsistencyProof, Refusal> {
        let path = self.shared.log.consistency(first, second).await?;
        let path = path.iter().map(|hash| hash.to_vec().into()).collect();
        Ok(pb::ConsistencyProof { path })
    }

    /// The salt from which the caller makes the hashes of the log's leaves that are of her vault, or its own (LOG-7).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn log_salt(&self, caller: &Caller) -> Result<pb::LogSalt, Refusal> {
        let row = tables::log_salt(caller.principal())
            .get(&*self.shared.ledger)
            .await?;
        Ok(pb::LogSalt {
            salt: row.unwrap_or_default().salt,
        })
    }
}

impl Shared {
    /// One page of rows, and whether there may be more: it ends after `limit` rows (zero: as many as the
    /// server likes) or after the row with which it reaches the size of a page.
    async fn page<R: Row>(&self, first: RowKey<R>, limit: usize) -> Result<(Vec<R>, bool), Refusal> {
        self.page_of(first, limit, self.limits.page_bytes).await
    }

    /// A page that is made in the memory kept for short messages.
    async fn short_page<R: Row>(&self, first: RowKey<R>, limit: usize) -> Result<(Vec<R>, bool), Refusal> {
        self.page_of(first, limit, self.limits.short_page()).await
    }

    /// A page has one row at least: an empty one would say that there are no more.
    async fn page_of<R: Row>(
        &self,
        first: RowKey<R>,
        limit: usize,
        page_bytes: usize,
    ) -> Result<(Vec<R>, bool), Refusal> {
        let page_bytes = page_bytes.max(1);
        let most = self.limits.page_rows.max(1);
        let wanted = if limit == 0 { most } else { limit.min(most) };
        let (mut from, mut rows, mut bytes) = (first, Vec::new(), 0);
        loop {
            let step = (wanted - rows.len()).min(PAGE_STEP);
            let batch = from.scan(&*self.ledger, step).await?;
            let last = batch.len() < step;
            for (suffix, row) in batch {
                if bytes >= page_bytes {
                    return Ok((rows, true));
                }
                from = from.after(&suffix);
                bytes += row.encoded_len();
                rows.push(row);
            }
            if last || rows.len() >= wanted || bytes >= page_bytes {
                return Ok((rows, !last));
            }
        }
    }

    /// Adds to a stored receipt about somebody's vault its place in the log.
    async fn complete(&self, patient: PatientId, receipt: &mut pb::Receipt) -> Result<(), Refusal> {
        let hash = statement_hash(receipt.statement.as_ref());
        receipt.proof = Some(self.log.prove(*patient.as_bytes(), &hash).await?);
        Ok(())
    }

    /// The same for a statement of a device.
    async fn complete_logged(
        &self,
        patient: PatientId,
        logged: &mut pb::LoggedStatement,
    ) -> Result<(), Refusal> {
        let statement = logged.statement.as_ref();
        let hash = statement_hash(statement.and_then(|signed| signed.statement.as_ref()));
        logged.proof = Some(self.log.prove(*patient.as_bytes(), &hash).await?);
        Ok(())
    }
}

/// Rows read at once for a page: rows are up to some hundred kilobytes large.
const PAGE_STEP: usize = 16;
