//! What patients and institutions share: a home, its server, and what has been believed so far.

use std::{path::Path, sync::Arc};

use crypto::DataKey;
use protocol_spec::{
    bodies::{TakeBack, VaultKeyStatement},
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId, PermissionId, VersionId},
    log::{Entry, Receipt, VerifiedCheckpoint},
    messages as pb,
    patient::PatientVerified,
    statement::{Body, Verified},
};

pub(crate) use crate::blocking::blocking;
use crate::{
    Audited, DirectoryEntry, Error, LookAlikes, Progress, Result, Vouched,
    clock::Clock,
    connect::{Credentials, Server, Signs},
    ground::System,
    home::{Home, Pins},
    programs,
    shares::{HeldShare, held_share},
    trust::{
        Asked, Asks, Began, Found, Meanings, Mirror, OtherPatients, PinnedLog, ReceiptedRecord, Restorations,
        StoredRecords, Trust, VerifiedRecord, Witnesses,
    },
};

/// An enrolled principal's connection. Everything that comes out of it has been verified.
pub(crate) struct Session {
    pub(crate) home: Home,
    pub(crate) server: Arc<Server>,
    /// What time it is.
    pub(crate) clock: Arc<Clock>,
    pub(crate) met: Arc<Meanings>,
    pub(crate) witnesses: Arc<Witnesses>,
    pub(crate) log: Arc<PinnedLog>,
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) records: StoredRecords,
    pub(crate) asks: Asks,
    pub(crate) patients: OtherPatients,
    pub(crate) restorations: Restorations,
}

impl Session {
    /// No request leaves before the first is asked for.
    pub(crate) fn new(home: Home, pins: Pins, id: &impl ToString, key: Arc<dyn Signs>) -> Result<Self> {
        let credentials = Credentials {
            key_id: id.to_string(),
            key,
        };
        let server = Arc::new(Server::on(pins, Some(credentials), home.ground())?);
        server.clock().begin(&home)?;
        let met = Arc::new(Meanings::new(home.clone()));
        let witnesses = Arc::new(Witnesses::new(home.clone(), server.clone())?);
        let log = Arc::new(PinnedLog::new(home.clone(), server.clone(), witnesses.clone())?);
        let mirror = Arc::new(Mirror::new(
            home.clone(),
            server.clone(),
            witnesses.clone(),
            log.clone(),
        ));
        Ok(Self {
            records: StoredRecords::new(server.clone(), log.clone(), mirror.clone()),
            asks: Asks::new(met.clone(), mirror.clone()),
            patients: OtherPatients::new(server.clone(), met.clone()),
            restorations: Restorations::new(
                home.clone(),
                server.clone(),
                witnesses.clone(),
                log.clone(),
                mirror.clone(),
            ),
            clock: server.clock().clone(),
            home,
            server,
            met,
            witnesses,
            log,
            mirror,
        })
    }

    /// The machine's time and chance as they come. What ends or begins is decided by [`Self::clock`].
    pub(crate) fn system(&self) -> &dyn System {
        self.clock.system()
    }

    pub(crate) fn trust(&self) -> Trust<'_> {
        Trust::new(&self.home, &self.log, &self.mirror)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What the home has of the time is then older than it could be.
        drop(self.clock.keep(&self.home));
    }
}

/// What callers still ask of the session goes to its owner.
impl Session {
    pub(crate) async fn institution(&self, id: InstitutionId) -> Result<DirectoryEntry> {
        self.mirror.institution(id).await
    }

    pub(crate) async fn present(&self, id: InstitutionId) -> Result<DirectoryEntry> {
        self.mirror.as_of_now(id).await
    }

    pub(crate) async fn find_institution(&self, name_or_id: &str) -> Result<DirectoryEntry> {
        self.mirror.find_named(name_or_id).await
    }

    pub(crate) async fn directory(&self, filter: Option<&str>) -> Result<Vec<DirectoryEntry>> {
        self.mirror.institutions(filter).await
    }

    pub(crate) async fn look_alikes(&self) -> Result<LookAlikes> {
        self.mirror.look_alikes().await
    }

    pub(crate) async fn chain(&self, id: InstitutionId) -> Result<Vec<DirectoryEntry>> {
        self.mirror.chain(id).await
    }

    pub(crate) async fn raw_chain(&self, id: InstitutionId) -> Result<Vec<pb::DirectoryEntry>> {
        self.mirror.raw_chain(id).await
    }

    pub(crate) async fn forget_entries(&self) {
        self.mirror.invalidate().await;
    }

    pub(crate) async fn audit_directory(&self, progress: &dyn Progress) -> Result<Audited> {
        self.mirror.audit(progress).await
    }

    pub(crate) async fn programs(&self) -> Result<Vec<Vouched>> {
        self.mirror.programs().await
    }

    pub(crate) async fn check_program(&self, file: &Path) -> Result<Vouched> {
        programs::check(&self.mirror, file).await
    }

    pub(crate) async fn receipt<T: Body>(
        &self,
        message: Option<pb::Receipt>,
        what: &'static str,
    ) -> Result<Receipt<T>> {
        self.log.receipt(message, what).await
    }

    pub(crate) async fn included(
        &self,
        proof: Option<pb::LogProof>,
        statement: &Sha256Digest,
        what: &'static str,
    ) -> Result<VerifiedCheckpoint> {
        self.log.included(proof, statement, what).await
    }

    pub(crate) async fn accept_log(&self, seen: &VerifiedCheckpoint) -> Result<()> {
        self.log.accept(seen).await
    }

    pub(crate) async fn scan_log(
        &self,
        from: u64,
        progress: &dyn Progress,
        visit: impl FnMut(u64, Entry) -> Result<()>,
    ) -> Result<VerifiedCheckpoint> {
        self.log.scan(from, progress, visit).await
    }

    pub(crate) async fn shown_log(&self) -> Result<VerifiedCheckpoint> {
        self.witnesses.shown().await
    }

    pub(crate) async fn begin_witnessed(&self) -> Result<Began> {
        self.witnesses.begin().await
    }

    pub(crate) async fn witnessed_since(&self, began: Began, leaves: u64) -> Result<()> {
        self.log.witnessed_since(began, leaves).await
    }

    pub(crate) async fn receipted(
        &self,
        patient: PatientId,
        stored: pb::StoredRecord,
    ) -> Result<ReceiptedRecord> {
        self.records.receipted(patient, stored).await
    }

    pub(crate) async fn verify_record(
        &self,
        record: ReceiptedRecord,
        key: &DataKey,
    ) -> Result<VerifiedRecord> {
        self.records.open(record, key).await
    }

    pub(crate) async fn taken_back(&self, message: pb::Receipt) -> Result<(Verified<TakeBack>, u64)> {
        self.records.taken_back(message).await
    }

    pub(crate) async fn asked_download(&self, statement: pb::Statement) -> Result<Asked> {
        self.asks.download(statement).await
    }

    pub(crate) async fn asked_reference(&self, statement: pb::Statement) -> Result<Asked> {
        self.asks.reference(statement).await
    }

    pub(crate) async fn patient_key(&self, patient: PatientId) -> Result<PatientVerified<VaultKeyStatement>> {
        self.patients.vault_key(patient).await
    }

    pub(crate) async fn held_share(&self, file: &[u8], offer: &[u8], check: &str) -> Result<HeldShare> {
        held_share(&self.patients, file, offer, check).await
    }

    pub(crate) fn met_permission(
        &self,
        id: PermissionId,
        patient: PatientId,
        request: &Sha256Digest,
    ) -> Result<()> {
        self.met.permission(id, patient, request)
    }

    pub(crate) fn met_version(&self, id: VersionId, manifest: &Sha256Digest) -> Result<()> {
        self.met.version(id, manifest)
    }

    pub(crate) async fn find_restoration(&self) -> Result<Option<Found>> {
        self.restorations.find().await
    }

    pub(crate) async fn take_restoration(&self, found: Found, done: bool) -> Result<()> {
        self.restorations.take(found, done).await
    }

    pub(crate) fn must_be_back(&self) -> Result<()> {
        self.restorations.must_be_back()
    }

    pub(crate) async fn or_restored(&self, error: Error) -> Error {
        self.restorations.or_restored(error).await
    }
}
