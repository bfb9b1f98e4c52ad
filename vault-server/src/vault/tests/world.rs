//! One vault, one patient, two hospitals, and the steps that they take.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

pub(super) use actors::{HOUR, START};
use actors::{Institution, KeyPair, Patient, setting};
use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    bodies::{
        DownloadRequest, ReferenceRequest, ReleaseReceipt, ReleaseTicket, StandbyTicket, UploadReceipt,
        VaultHead,
    },
    collection::Collection,
    content::{self, LEAF_LEN},
    hash::{LeafHash, Sha256Digest, sha256},
    ids::{CollectionId, PermissionId, RecordId, ReleaseId, UploadId, VersionId},
    log::Receipt,
    messages as pb,
    permission::{Kind, PermissionBody, RecordSelector},
    request::{
        self, CHALLENGE, CONTENT_DIGEST, IDEMPOTENCY_KEY, OPERATOR, RequestSignature, SignatureLabel, Target,
    },
    statement::{Body, Signed},
    vault_head::{Act, Acts, HeadRef, NextHead},
};

use crate::{
    identity::OperatorIdentity,
    store::{BlobStore, Commit, CommitId, Ledger, MemoryStore, Outcome},
    vault::{
        Caller, Clock, EnrolmentPolicy, InboxLimits, Intent, Proof, Refusal, Vault, VaultLimits,
        core::units::random,
        keep::closure,
        tables::{self, Expiring, Mark, Row, WrapRow},
    },
};

use crate::vault::{
    ask::{
        delivery,
        permissions::{self, SubmitPermission},
        presentation,
        requests::{SubmitDownload, SubmitUpload},
        revocation::SubmitRevocation,
    },
    core::submission::submit,
    keep::records,
    telling::{acts, heads::SubmitHead, history, inbox},
    transfer::{commit, intake, release, release_end},
    who::{directory, enrol},
};
use pb::{history_entry, presentation_answer::Answer};

/// Bytes of a whole leaf.
pub(super) const LEAF: usize = 1 << 20;

pub(super) struct TestClock {
    now: AtomicU64,
    gone_by: AtomicU64,
}

impl TestClock {
    /// Time goes by until then; or the clock is set back, which no time goes by for.
    pub(super) fn set(&self, now: u64) {
        let before = self.now.swap(now, Ordering::Relaxed);
        self.gone_by
            .fetch_add(now.saturating_sub(before), Ordering::Relaxed);
    }

    /// The clock is set ahead, and no time has gone by.
    pub(super) fn jump(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn gone_by(&self) -> Duration {
        Duration::from_millis(self.gone_by.load(Ordering::Relaxed))
    }
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) store: Stores,
    pub(super) clock: Arc<TestClock>,
    pub(super) vault: Vault,
    pub(super) operator: KeyPair,
    pub(super) patient: Patient,
    pub(super) first: Institution,
    pub(super) second: Institution,
}

/// Both stores of a server.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) blobs: Arc<dyn BlobStore>,
}

impl Stores {
    pub(super) fn of<S: Ledger + BlobStore + 'static>(store: &Arc<S>) -> Self {
        Self {
            ledger: store.clone(),
            blobs: store.clone(),
        }
    }

    pub(super) fn in_memory() -> Self {
        Self::of(&Arc::new(MemoryStore::default()))
    }
}

/// What a permission shall allow.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) uses: u32,
    pub(super) bytes: u64,
    pub(super) not_before: u64,
    pub(super) not_after: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            uses: 1,
            bytes: 64 << 20,
            not_before: START - HOUR,
            not_after: START + HOUR,
        }
    }
}

/// A new intent, as every new request has one.
pub(super) fn intent() -> Intent {
    let key = random().unwrap();
    Intent {
        key,
        digest: sha256(&[&key]),
    }
}

pub(super) fn limits() -> VaultLimits {
    VaultLimits {
        sweep_interval: Duration::from_secs(1 << 20),
        enrolment: EnrolmentPolicy::Anybody,
        inbox: InboxLimits {
            open_of_stranger: 64,
            daily_of_stranger: 256,
            ..InboxLimits::default()
        },
        ..VaultLimits::default()
    }
}

/// The possession key of every permission here.
pub(super) fn possession() -> KeyPair {
    KeyPair::new(setting::POSSESSION)
}

/// Filler that could be a sealed stream of so much plaintext.
pub(super) fn stream(plaintext: u64) -> Vec<u8> {
    static FILLER: AtomicU8 = AtomicU8::new(1);
    let filler = FILLER.fetch_add(1, Ordering::Relaxed);
    vec![filler; usize::try_from(content::stream_len(plaintext)).unwrap()]
}

pub(super) fn leaf_hashes(stream: &[u8]) -> Vec<LeafHash> {
    let leaves = stream.chunks(LEAF).zip(0..);
    leaves
        .map(|(leaf, index)| content::leaf_hash(index, leaf))
        .collect()
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(limits()).await
    }

    pub(super) async fn with(limits: VaultLimits) -> Self {
        Self::over(Stores::in_memory(), limits).await
    }

    pub(super) async fn over(store: Stores, limits: VaultLimits) -> Self {
        let clock = Arc::new(TestClock {
            now: AtomicU64::new(START),
            gone_by: AtomicU64::new(0),
        });
        let mut world = Self {
            vault: open(&store, &clock, limits).await,
            patient: Patient::new(3),
            first: Institution::new(4),
            second: Institution::new(5),
            operator: KeyPair::new(setting::OPERATOR),
            store,
            clock,
        };
        world.enrol_all().await;
        world.patient.head = world.put_head().await;
        world
    }

    async fn enrol_all(&self) {
        let patient = enrol::enrolling_patient(self.patient.enrolment()).unwrap();
        enrol::enrol(&self.vault, &patient, &intent()).await.unwrap();
        for hospital in [&self.first, &self.second] {
            let caller = enrol::enrolling_institution(&self.vault, hospital.enrolment()).unwrap();
            enrol::enrol(&self.vault, &caller, &intent()).await.unwrap();
        }
    }

    /// A head over what has been done to the vault until now.
    pub(super) async fn put_head(&self) -> HeadRef {
        let (head, hash) = self.next_head(|_| ()).await;
        let sequence = head.sequence;
        self.submit_head(head).await.unwrap();
        HeadRef { sequence, hash }
    }

    /// The head that comes next, changed.
    pub(super) async fn next_head(&self, change: impl FnOnce(&mut VaultHead)) -> (VaultHead, Sha256Digest) {
        self.head(self.acts().await.next_head(), change).await
    }

    /// The head that comes next if this act comes first, changed.
    pub(super) async fn next_head_with(
        &self,
        act: &Act,
        change: impl FnOnce(&mut VaultHead),
    ) -> (VaultHead, Sha256Digest) {
        self.head(self.acts().await.next_head_with(act), change).await
    }

    async fn head(&self, next: NextHead, change: impl FnOnce(&mut VaultHead)) -> (VaultHead, Sha256Digest) {
        let caller = self.as_patient().await;
        let salt = self.vault.log_salt(&caller).await.unwrap().salt;
        let mut head = self.patient.vault_head(&next, &salt);
        change(&mut head);
        let hash = Sha256Digest::of(&head.encode());
        (head, hash)
    }

    pub(super) async fn submit_head(&self, head: VaultHead) -> Result<pb::LoggedStatement, Refusal> {
        let message = pb::SubmitVaultHead {
            head: Some(self.patient.says(head)),
        };
        let caller = self.as_patient().await;
        submit::<SubmitHead>(&self.vault, &caller, &intent(), message).await
    }

    /// How many events of the directory the server shows on a first page.
    pub(super) async fn directory_size(&self) -> usize {
        let page = directory::directory_events(&self.vault, 0, 0, false)
            .await
            .unwrap();
        page.events.len()
    }

    /// All that has been done to the vault, as the server shows it.
    pub(super) async fn acts(&self) -> Acts {
        let caller = self.as_patient().await;
        let shown = acts::acts(&self.vault, &caller, 0, usize::MAX).await.unwrap();
        let mut acts = Acts::default();
        acts.extend(&shown.acts).unwrap();
        assert_eq!(acts.count(), shown.count);
        acts
    }

    /// The server stops and starts again, over the same store.
    pub(super) async fn restart(&mut self) {
        self.vault = open(&self.store, &self.clock, limits()).await;
    }

    pub(super) fn operator_key(&self) -> protocol_spec::keys::IdentityKey {
        self.operator.public()
    }

    pub(super) async fn as_patient(&self) -> Caller {
        self.as_device(&self.patient).await.unwrap()
    }

    /// The caller of a patient's device, if it is one.
    pub(super) async fn as_device(&self, patient: &Patient) -> Option<Caller> {
        let key_id = patient.device_id().to_string();
        enrol::find_key(&self.vault, &key_id).await.unwrap()
    }

    pub(super) async fn as_hospital(&self, hospital: &Institution) -> Caller {
        enrol::find_key(&self.vault, &hospital.id.to_string())
            .await
            .unwrap()
            .unwrap()
    }

    pub(super) fn operator_id(&self) -> protocol_spec::ids::OperatorId {
        (&self.operator_key()).into()
    }

    pub(super) fn permission_body(
        &self,
        hospital: &Institution,
        kind: Kind,
        request_hash: Sha256Digest,
        records: Vec<RecordSelector>,
        terms: Terms,
    ) -> PermissionBody {
        let permission = self.patient.permission(kind).to(hospital);
        let over = permission.answers(request_hash).records(records);
        let bounded = over.uses(terms.uses).bytes(terms.bytes);
        bounded.between(terms.not_before, terms.not_after).body()
    }

    pub(super) fn download_request(&self, hospital: &Institution) -> DownloadRequest {
        hospital.download_request(self.patient.id)
    }

    pub(super) fn reference_request(&self) -> ReferenceRequest {
        self.first.reference_request(self.second.id, self.patient.id)
    }

    /// ① of the upload flow.
    pub(super) async fn permit_upload(&self, hospital: &Institution, terms: Terms) -> PermissionBody {
        let request = self.patient.upload_request(hospital.id);
        let (request, hash) = self.patient.statement(request);
        let body = self.permission_body(hospital, Kind::Upload, hash, Vec::new(), terms);
        let message = pb::SubmitUploadRequest {
            request: Some(request),
            permission: Some(self.patient.permit(&body)),
            upload_key_wrap: vec![8; 104].into(),
            upload_key_epoch: 0,
        };
        let caller = self.as_patient().await;
        submit::<SubmitUpload>(&self.vault, &caller, &intent(), message)
            .await
            .unwrap();
        body
    }

    /// ① of the download flow: asks and gives the request's hash.
    pub(super) async fn ask_download(&self, hospital: &Institution) -> Sha256Digest {
        let (message, hash) = hospital.asks_download(self.download_request(hospital));
        let caller = self.as_hospital(hospital).await;
        submit::<SubmitDownload>(&self.vault, &caller, &intent(), message)
            .await
            .unwrap();
        hash
    }

    pub(super) async fn submit(&self, body: &PermissionBody) -> Result<pb::PermissionAnswer, Refusal> {
        self.submit_with(body, None).await
    }

    /// A permission, and a head that came with it.
    pub(super) async fn submit_with(
        &self,
        body: &PermissionBody,
        head: Option<VaultHead>,
    ) -> Result<pb::PermissionAnswer, Refusal> {
        let message = pb::SubmitPermission {
            head: head.map(|head| self.patient.says(head)),
            ..self.patient.permit(body).into()
        };
        let caller = self.as_patient().await;
        submit::<SubmitPermission>(&self.vault, &caller, &intent(), message).await
    }

    /// ① and ② of the download flow.
    pub(super) async fn permit_download(
        &self,
        hospital: &Institution,
        records: Vec<RecordSelector>,
        terms: Terms,
    ) -> PermissionBody {
        let hash = self.ask_download(hospital).await;
        let body = self.permission_body(hospital, Kind::Download, hash, records, terms);
        self.submit(&body).await.unwrap();
        body
    }

    pub(super) async fn challenge(&self, hospital: &Institution, permission: PermissionId) -> [u8; 32] {
        let caller = self.as_hospital(hospital).await;
        let delivery = delivery::deliver(&self.vault, &caller, permission).await.unwrap();
        delivery.challenge.as_ref().try_into().unwrap()
    }

    /// Presents with everything as it should be.
    pub(super) async fn present(
        &self,
        hospital: &Institution,
        permission: PermissionId,
    ) -> Result<pb::PresentationAnswer, Refusal> {
        let challenge = self.challenge(hospital, permission).await;
        self.present_with(
            hospital,
            permission,
            challenge,
            &intent(),
            &possession(),
            new_names(),
        )
        .await
    }

    pub(super) async fn present_with(
        &self,
        hospital: &Institution,
        permission: PermissionId,
        challenge: [u8; 32],
        intent: &Intent,
        possession: &KeyPair,
        message: pb::Presentation,
    ) -> Result<pb::PresentationAnswer, Refusal> {
        let (id, pop) = self.signatures(hospital, permission, &challenge, possession);
        let proof = Proof {
            challenge,
            pop: &pop,
            id: &id,
        };
        let caller = self.as_hospital(hospital).await;
        let possession = presentation::possession(&self.vault, &caller, permission, proof).await?;
        let answer = possession
            .present(intent, message.clone(), message.encode_to_vec().into())
            .await?;
        let most = possession.answer_bytes();
        assert!(answer.encoded_len() as u64 <= most);
        assert!(most <= self.vault.shared.limits.most_of_release());
        Ok(answer)
    }

    /// A page of the patient's records that are not placed.
    pub(super) async fn arrivals(
        &self,
        caller: &Caller,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<pb::VaultPage, Refusal> {
        let list = records::arrivals(&self.vault, caller, after, limit).await?;
        let most = list.page_bytes();
        let page = list.read().await?;
        assert!(page.encoded_len() as u64 <= most);
        Ok(page)
    }

    fn signatures(
        &self,
        hospital: &Institution,
        permission: PermissionId,
        challenge: &[u8; 32],
        possession: &KeyPair,
    ) -> (RequestSignature, RequestSignature) {
        let authority = "vault.test";
        let request = http::Request::post(format!(
            "https://{authority}/v1/permissions/{permission}/presentation"
        ))
        .header(OPERATOR, self.operator_id().to_string())
        .header(CONTENT_DIGEST, request::content_digest(b""))
        .header(IDEMPOTENCY_KEY, "k")
        .header(CHALLENGE, format!("{challenge:02x?}").replace([' ', ','], ""))
        .body(())
        .unwrap();
        let (mut parts, ()) = request.into_parts();
        let keys = [
            (SignatureLabel::Id, &*hospital.id.to_string(), &hospital.key),
            (SignatureLabel::Pop, &*permission.to_string(), possession),
        ];
        actors::request::sign(&mut parts, authority, self.vault.now_ms() / 1000, &keys);
        let target = Target {
            method: &parts.method,
            authority,
            uri: &parts.uri,
            headers: &parts.headers,
        };
        let parse = |label| RequestSignature::parse(&target, label).unwrap();
        (parse(SignatureLabel::Id), parse(SignatureLabel::Pop))
    }

    /// ② of the upload flow.
    pub(super) async fn stand_by(&self, hospital: &Institution, permission: PermissionId) -> StandbyTicket {
        standby(self.present(hospital, permission).await.unwrap())
    }

    pub(super) async fn send(
        &self,
        hospital: &Institution,
        upload: UploadId,
        first: u32,
        leaves: &[u8],
        hashes: &[LeafHash],
    ) -> Result<(), Refusal> {
        let caller = self.as_hospital(hospital).await;
        let mut intake = intake::begin_leaves(&self.vault, &caller, upload, first, hashes.to_vec()).await?;
        for leaf in leaves.chunks(LEAF) {
            intake.put(Bytes::copy_from_slice(leaf)).await?;
        }
        intake.finish().await
    }

    pub(super) async fn commit(
        &self,
        hospital: &Institution,
        upload: UploadId,
        stream: &[u8],
    ) -> Result<pb::Receipt, Refusal> {
        let caller = self.as_hospital(hospital).await;
        commit::commit_upload(&self.vault, &caller, &intent(), upload, commit_message(stream)).await
    }

    /// The whole upload flow; gives the record as a permission names it.
    pub(super) async fn store_record(&self, hospital: &Institution, stream: &[u8]) -> RecordSelector {
        let permission = self.permit_upload(hospital, Terms::default()).await;
        let ticket = self.stand_by(hospital, permission.permission_id).await;
        let upload = ticket.upload_id;
        if stream.len() as u64 > LEAF_LEN {
            self.send(hospital, upload, 0, stream, &leaf_hashes(stream))
                .await
                .unwrap();
        }
        self.selector(self.commit(hospital, upload, stream).await.unwrap())
    }

    /// A small record with a manifest of this length.
    pub(super) async fn store_manifest(&self, hospital: &Institution, manifest_len: usize) -> RecordSelector {
        let permission = self.permit_upload(hospital, Terms::default()).await;
        let ticket = self.stand_by(hospital, permission.permission_id).await;
        let message = pb::CommitUpload {
            sealed_manifest: vec![5; manifest_len].into(),
            ..commit_message(&stream(10))
        };
        let caller = self.as_hospital(hospital).await;
        let intent = intent();
        let commit = commit::commit_upload(&self.vault, &caller, &intent, ticket.upload_id, message);
        self.selector(commit.await.unwrap())
    }

    /// A stored record as a permission names it.
    fn selector(&self, receipt: pb::Receipt) -> RecordSelector {
        let receipt = Receipt::<UploadReceipt>::verify(Some(receipt), &self.operator_key()).unwrap();
        RecordSelector {
            record_id: receipt.statement.record_id,
            version_id: receipt.statement.version_id,
            content_root: receipt.statement.content_root,
            stream_len: receipt.statement.stream_len,
        }
    }

    /// ③ of the download flow, up to the open session.
    pub(super) async fn open_release(
        &self,
        hospital: &Institution,
        permission: PermissionId,
    ) -> ReleaseTicket {
        release(self.present(hospital, permission).await.unwrap())
    }

    pub(super) async fn fetch(
        &self,
        hospital: &Institution,
        release: ReleaseId,
        version: VersionId,
        first: u32,
        count: u32,
    ) -> Result<Vec<u8>, Refusal> {
        let caller = self.as_hospital(hospital).await;
        let mut leaves =
            release::release_leaves(&self.vault, &caller, release, version, first, count).await?;
        let mut bytes = Vec::new();
        while let Some(leaf) = leaves.next().await {
            bytes.extend_from_slice(&leaf?);
        }
        assert_eq!(bytes.len() as u64, leaves.total());
        Ok(bytes)
    }

    pub(super) async fn close(
        &self,
        hospital: &Institution,
        release: ReleaseId,
    ) -> Result<ReleaseReceipt, Refusal> {
        let caller = self.as_hospital(hospital).await;
        let receipt = release_end::close_release(&self.vault, &caller, &intent(), release).await?;
        let receipt = Receipt::<ReleaseReceipt>::verify(Some(receipt), &self.operator_key()).unwrap();
        Ok(receipt.statement.signed().claimed().clone())
    }

    /// Puts wraps of a closed epoch back, as a crash before their end would leave them, with what names them to the
    /// sweeper.
    pub(super) async fn restore_wraps(&self, id: CollectionId, epoch: u64, numbers: &[u64]) {
        let (patient, of) = (self.patient.id, Collection { id, epoch });
        let due = tables::expiry(closure::AT_ONCE, Expiring::Epoch(patient, of));
        let mut commit = Commit::new(CommitId::fresh()).put(due.key().clone(), Mark {}.bytes());
        for number in numbers {
            let row = WrapRow {
                epoch,
                number: *number,
                ..WrapRow::default()
            };
            commit = commit.put(tables::wrap(patient, of, *number).key().clone(), row.bytes());
        }
        assert_eq!(self.store.ledger.commit(commit).await, Ok(Outcome::Applied));
    }

    pub(super) async fn revoke(&self, permission: &PermissionBody) {
        let caller = self.as_patient().await;
        let message = self.patient.revokes(permission);
        submit::<SubmitRevocation>(&self.vault, &caller, &intent(), message)
            .await
            .unwrap();
    }

    pub(super) async fn entry(&self, permission: PermissionId) -> pb::PermissionEntry {
        let list = permissions::vault_permissions(&self.vault, &self.as_patient().await, None, 0)
            .await
            .unwrap();
        let is = |entry: &&pb::PermissionEntry| {
            let body = &entry.permission.as_ref().unwrap().body;
            PermissionBody::decode(body).unwrap().permission_id == permission
        };
        list.permissions.iter().find(is).unwrap().clone()
    }

    pub(super) async fn history(&self) -> Vec<pb::HistoryEntry> {
        let caller = self.as_patient().await;
        let (mut entries, mut after) = (Vec::new(), 0);
        loop {
            let page = history::history(&self.vault, &caller, after, 3).await.unwrap();
            assert!(page.encoded_len() as u64 <= self.vault.page_bytes());
            entries.extend(page.entries);
            match page.next {
                0 => return entries,
                next => after = next,
            }
        }
    }

    pub(super) async fn events(&self, caller: &Caller) -> Vec<pb::event::What> {
        let page = inbox::inbox(&self.vault, caller, 0, 0).await.unwrap();
        page.events.into_iter().map(|event| event.what.unwrap()).collect()
    }

    /// What must hold after every step: history and inboxes are numbered without gaps, and every receipt
    /// in the history verifies up to the log.
    pub(super) async fn check(&self) {
        let key = self.operator_key();
        for (entry, number) in self.history().await.into_iter().zip(1..) {
            assert_eq!(entry.number, number);
            match entry.what.unwrap() {
                history_entry::What::Stored(receipt) => {
                    Receipt::<UploadReceipt>::verify(Some(receipt), &key).unwrap();
                }
                history_entry::What::Released(receipt) => {
                    Receipt::<ReleaseReceipt>::verify(Some(receipt), &key).unwrap();
                }
                history_entry::What::Presented(presented) => {
                    if let Some(ticket) = presented.release_ticket {
                        Receipt::<ReleaseTicket>::verify(Some(ticket), &key).unwrap();
                    }
                }
                _ => {}
            }
        }
        let hospitals = [
            self.as_hospital(&self.first).await,
            self.as_hospital(&self.second).await,
        ];
        for caller in hospitals.iter().chain([&self.as_patient().await]) {
            let page = inbox::inbox(&self.vault, caller, 0, 0).await.unwrap();
            assert!(
                page.events
                    .iter()
                    .map(|event| event.number)
                    .eq(1..=page.events.len() as u64)
            );
        }
    }
}

pub(super) async fn open(store: &Stores, clock: &Arc<TestClock>, limits: VaultLimits) -> Vault {
    try_open(store, clock, limits).await.unwrap()
}

pub(super) async fn try_open(
    store: &Stores,
    clock: &Arc<TestClock>,
    limits: VaultLimits,
) -> Result<Vault, Refusal> {
    let operator = OperatorIdentity::from_seed(&KeyPair::new(setting::OPERATOR).seed()).unwrap();
    let Stores { ledger, blobs } = store.clone();
    let registrar = KeyPair::new(setting::REGISTRAR).public();
    Vault::new(ledger, blobs, operator, registrar, clock.clone(), limits).await
}

/// New ids for a record to come.
pub(super) fn new_names() -> pb::Presentation {
    pb::Presentation {
        record_id: RecordId::mint(START, random().unwrap())
            .as_bytes()
            .to_vec()
            .into(),
        version_id: VersionId::mint(START, random().unwrap())
            .as_bytes()
            .to_vec()
            .into(),
        ..pb::Presentation::default()
    }
}

pub(super) fn commit_message(stream: &[u8]) -> pb::CommitUpload {
    let stream_len = stream.len() as u64;
    let inline = stream_len <= LEAF_LEN;
    let root = if inline {
        content::single_leaf_root(stream)
    } else {
        content::content_root(&leaf_hashes(stream)).unwrap()
    };
    pb::CommitUpload {
        content_root: root.as_bytes().to_vec().into(),
        stream_len,
        sealed_manifest: vec![5; 900].into(),
        content: if inline {
            stream.to_vec().into()
        } else {
            Bytes::new()
        },
    }
}

pub(super) fn standby(answer: pb::PresentationAnswer) -> StandbyTicket {
    let Some(Answer::Standby(standby)) = answer.answer else {
        panic!("no standby")
    };
    Signed::<StandbyTicket>::try_from(standby.ticket)
        .unwrap()
        .claimed()
        .clone()
}

pub(super) fn release(answer: pb::PresentationAnswer) -> ReleaseTicket {
    let Some(Answer::Release(release)) = answer.answer else {
        panic!("no release")
    };
    Signed::<ReleaseTicket>::try_from(release.ticket)
        .unwrap()
        .claimed()
        .clone()
}
