//! The vault's state machines: who may do what, when, how often. Knows no HTTP and no ciphers.

mod caller;
mod limits;
mod refusal;

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use protocol_spec::{
    hash::LeafHash,
    ids::{InstitutionId, PatientId, PermissionId, ReleaseId, RequestId, UploadId, VersionId},
    keys::IdentityKey,
    messages as pb,
    request::RequestSignature,
};

pub use self::{
    caller::{Caller, Intent},
    limits::VaultLimits,
    refusal::Refusal,
};
use crate::{
    identity::OperatorIdentity,
    store::{BlobStore, Ledger, StoreError},
};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The vault. Clones share it.
#[derive(Clone)]
pub struct Vault {}

/// Takes the leaves of one request, in order.
pub struct LeafIntake {}

/// Leaves on their way out, in order.
pub struct LeafStream {}

#[allow(
    clippy::todo,
    unused_variables,
    missing_docs,
    clippy::missing_errors_doc,
    unreachable_code,
    reason = "signatures first"
)]
mod pending {
    use super::*;

    impl Clock for SystemClock {
        fn now_ms(&self) -> u64 {
            todo!()
        }
    }

    impl LeafIntake {
        /// Verifies the hash and hands the leaf to the store. Give whole leaves of 1 MiB; only the last of the request may be shorter.
        pub async fn put(&mut self, leaf: Bytes) -> Result<(), Refusal> {
            todo!()
        }
        /// All leaves announced are there: persists and registers them.
        pub async fn finish(self) -> Result<(), Refusal> {
            todo!()
        }
        /// The connection broke: persists and registers the leaves that are complete, so that a resumed upload profits.
        pub async fn finish_partial(self) -> Result<(), Refusal> {
            todo!()
        }
    }

    impl LeafStream {
        /// Bytes in all.
        pub fn total(&self) -> u64 {
            todo!()
        }
        /// Next leaf (it reads ahead by itself); an error must abort the body, so that the client sees an incomplete transfer.
        pub async fn next(&mut self) -> Option<Result<Bytes, Refusal>> {
            todo!()
        }
    }

    impl Vault {
        pub async fn new(
            ledger: Arc<dyn Ledger>,
            blobs: Arc<dyn BlobStore>,
            operator: OperatorIdentity,
            registrar: IdentityKey,
            clock: Arc<dyn Clock>,
            limits: VaultLimits,
        ) -> Result<Self, StoreError> {
            todo!()
        }
        /// The vault's time in milliseconds; never runs backwards.
        pub fn now_ms(&self) -> u64 {
            todo!()
        }
        /// "pat_…" or "inst_…" → enrolled caller.
        pub async fn find_key(&self, key_id: &str) -> Result<Option<Caller>, Refusal> {
            todo!()
        }
        pub fn server_info(&self) -> pb::ServerInfo {
            todo!()
        }
        /// Checks an enrolment and gives the caller it makes: verify the request's signature by its `key()` and `key_id()`, then call `enrol`.
        pub fn enrolling_patient(&self, message: pb::EnrolPatient) -> Result<Caller, Refusal> {
            todo!()
        }
        pub fn enrolling_institution(&self, message: pb::EnrolInstitution) -> Result<Caller, Refusal> {
            todo!()
        }
        pub async fn enrol(&self, caller: &Caller, intent: &Intent) -> Result<pb::Accepted, Refusal> {
            todo!()
        }
        pub async fn patient_info(
            &self,
            caller: &Caller,
            patient: PatientId,
        ) -> Result<pb::PatientInfo, Refusal> {
            todo!()
        }
        pub async fn directory(
            &self,
            after: Option<InstitutionId>,
            limit: usize,
        ) -> Result<pb::DirectoryPage, Refusal> {
            todo!()
        }
        pub async fn directory_entry(
            &self,
            institution: InstitutionId,
        ) -> Result<pb::DirectoryEntry, Refusal> {
            todo!()
        }
        pub async fn submit_upload_request(
            &self,
            caller: &Caller,
            intent: &Intent,
            message: pb::SubmitUploadRequest,
        ) -> Result<pb::Accepted, Refusal> {
            todo!()
        }
        pub async fn submit_download_request(
            &self,
            caller: &Caller,
            intent: &Intent,
            message: pb::SubmitDownloadRequest,
        ) -> Result<pb::Accepted, Refusal> {
            todo!()
        }
        pub async fn submit_reference_request(
            &self,
            caller: &Caller,
            intent: &Intent,
            message: pb::SubmitReferenceRequest,
        ) -> Result<pb::Accepted, Refusal> {
            todo!()
        }
        pub async fn request(
            &self,
            caller: &Caller,
            request: RequestId,
        ) -> Result<pb::StoredRequest, Refusal> {
            todo!()
        }
        pub async fn submit_permission(
            &self,
            caller: &Caller,
            intent: &Intent,
            message: pb::SubmitPermission,
        ) -> Result<pb::Accepted, Refusal> {
            todo!()
        }
        pub async fn submit_denial(
            &self,
            caller: &Caller,
            intent: &Intent,
            message: pb::SubmitDenial,
        ) -> Result<pb::Accepted, Refusal> {
            todo!()
        }
        pub async fn submit_revocation(
            &self,
            caller: &Caller,
            intent: &Intent,
            message: pb::SubmitRevocation,
        ) -> Result<pb::Accepted, Refusal> {
            todo!()
        }
        /// Stores a fresh challenge.
        pub async fn deliver(
            &self,
            caller: &Caller,
            permission: PermissionId,
        ) -> Result<pb::Delivery, Refusal> {
            todo!()
        }
        /// `proof` holds challenge and both signatures of the request; verifies `pop`, `id` must have been verified by the caller's key.
        pub async fn present(
            &self,
            caller: &Caller,
            intent: &Intent,
            permission: PermissionId,
            proof: Proof<'_>,
            message: pb::Presentation,
        ) -> Result<pb::PresentationAnswer, Refusal> {
            todo!()
        }
        pub async fn upload_status(
            &self,
            caller: &Caller,
            upload: UploadId,
        ) -> Result<pb::UploadStatus, Refusal> {
            todo!()
        }
        pub async fn begin_leaves(
            &self,
            caller: &Caller,
            upload: UploadId,
            first: u32,
            hashes: Vec<LeafHash>,
        ) -> Result<LeafIntake, Refusal> {
            todo!()
        }
        pub async fn commit_upload(
            &self,
            caller: &Caller,
            intent: &Intent,
            upload: UploadId,
            message: pb::CommitUpload,
        ) -> Result<pb::Receipt, Refusal> {
            todo!()
        }
        pub async fn release_leaves(
            &self,
            caller: &Caller,
            release: ReleaseId,
            version: VersionId,
            first: u32,
            count: u32,
        ) -> Result<LeafStream, Refusal> {
            todo!()
        }
        pub async fn close_release(
            &self,
            caller: &Caller,
            intent: &Intent,
            release: ReleaseId,
        ) -> Result<pb::Receipt, Refusal> {
            todo!()
        }
        pub async fn vault_records(
            &self,
            caller: &Caller,
            after: Option<VersionId>,
            limit: usize,
        ) -> Result<pb::VaultPage, Refusal> {
            todo!()
        }
        pub async fn own_leaves(
            &self,
            caller: &Caller,
            version: VersionId,
            first: u32,
            count: u32,
        ) -> Result<LeafStream, Refusal> {
            todo!()
        }
        pub async fn adopt(
            &self,
            caller: &Caller,
            intent: &Intent,
            version: VersionId,
            message: pb::AdoptRecord,
        ) -> Result<pb::Accepted, Refusal> {
            todo!()
        }
        pub async fn vault_permissions(&self, caller: &Caller) -> Result<pb::PermissionList, Refusal> {
            todo!()
        }
        pub async fn history(
            &self,
            caller: &Caller,
            after: u64,
            limit: usize,
        ) -> Result<pb::HistoryPage, Refusal> {
            todo!()
        }
        pub async fn inbox(
            &self,
            caller: &Caller,
            after: u64,
            limit: usize,
        ) -> Result<pb::InboxPage, Refusal> {
            todo!()
        }
        /// Resolves once something may have come. Create it before you read the inbox: it counts from its creation on, not from its first poll.
        pub fn inbox_changed(&self, caller: &Caller) -> impl Future<Output = ()> + Send + 'static {
            async { todo!() }
        }
        pub async fn log_checkpoint(&self) -> Result<pb::Statement, Refusal> {
            todo!()
        }
        pub async fn log_inclusion(&self, index: u64, size: u64) -> Result<pb::InclusionProof, Refusal> {
            todo!()
        }
        pub async fn log_consistency(
            &self,
            first: u64,
            second: u64,
        ) -> Result<pb::ConsistencyProof, Refusal> {
            todo!()
        }
        /// Ends expired sessions, deletes what they left; also runs by itself every `VaultLimits::sweep_interval`.
        pub async fn sweep(&self) -> Result<(), Refusal> {
            todo!()
        }
        /// Ends the background tasks; call before the store is closed.
        pub async fn shutdown(&self) {
            todo!()
        }
    }
}

/// What a presentation proves itself with.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// From the delivery.
    pub challenge: [u8; 32],
    /// By the possession key; verified here.
    pub pop: &'a RequestSignature,
    /// By the institution's key; verified already, kept as evidence.
    pub id: &'a RequestSignature,
}
