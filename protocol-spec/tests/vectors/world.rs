//! Who and what the vectors are about: a patient, an institution, a registrar, an operator, by fixed seeds.

use actors::{Institution, KeyPair, Patient, Setting, institution::Charter, key::sealed_as, operator};
use bytes::Bytes;
use protocol_spec::{
    bodies::{self, DeviceCertificate},
    certificate::ExposedVersion,
    collection::Collection,
    delegation::{Power, Scope, SealedName},
    devices::{DeviceKind, DeviceList, ListedDevice},
    field::SealedBytes,
    hash::{ContentRoot, Sha256Digest, sha256},
    ids::{
        CollectionId, DelegationId, DeviceId, InstitutionId, InvitationId, OperatorId, PatientId,
        PermissionId, RecordId, ReleaseId, RequestId, TerminalId, UploadId, VersionId,
    },
    log::SignedCheckpoint,
    manifest::{Clinical, Part},
    messages as pb,
    patient::DeviceChain,
    permission::{Kind, PermissionBody, RecordSelector},
    purpose::Purpose,
    released::{LeafRanges, VersionLeaves},
    statement::Body,
    tags::{RecordTags, Token},
    vault_head::HeadRef,
};

/// The time of everything, in milliseconds.
pub(crate) use actors::START as NOW;
pub(crate) use actors::{HOUR, recipient};

pub(crate) const PATIENT: u8 = 1;
pub(crate) const DEVICE: u8 = 2;
pub(crate) const INSTITUTION: u8 = 3;
pub(crate) const REGISTRAR: u8 = 4;
pub(crate) const OPERATOR: u8 = 5;
pub(crate) const POSSESSION: u8 = 6;
pub(crate) const STRANGER: u8 = 7;
pub(crate) const SECOND: u8 = 8;
pub(crate) const SECOND_DEVICE: u8 = 9;
pub(crate) const THIRD_DEVICE: u8 = 10;
pub(crate) const RECOVERY: u8 = 11;
pub(crate) const TERMINAL: u8 = 12;
pub(crate) const DELEGATE: u8 = 13;
pub(crate) const DELEGATES_DEVICE: u8 = 14;

pub(crate) fn key(seed: u8) -> KeyPair {
    KeyPair::new(seed)
}

pub(crate) fn sealed(seed: u8) -> SealedBytes {
    sealed_as(seed, 272)
}

fn setting() -> Setting {
    Setting {
        operator: operator(),
        now: || NOW,
    }
}

/// The patient on her first device, with a head of her vault.
fn anna() -> Patient {
    let anna = Patient::first(&key(PATIENT), key(DEVICE), &recipient(DEVICE), setting());
    Patient {
        head: vault_head_ref(),
        ..anna
    }
}

/// The institution, accredited by the registrar.
fn hospital() -> Institution {
    Charter::of(key(INSTITUTION))
        .named("Hospital North")
        .recipient(recipient(2))
        .accredited_by(&key(REGISTRAR))
        .secret_hash(Sha256Digest::of(&SECRET))
        .at(setting())
        .sign()
}

pub(crate) fn hash(text: &str) -> Sha256Digest {
    Sha256Digest::from_bytes(sha256(&[text.as_bytes()]))
}

pub(crate) fn patient() -> PatientId {
    PatientId::from(&key(PATIENT).public())
}

pub(crate) fn institution(seed: u8) -> InstitutionId {
    InstitutionId::from(&key(seed).public())
}

pub(crate) fn operator() -> OperatorId {
    OperatorId::from(&key(OPERATOR).public())
}

pub(crate) const fn record(seed: u8) -> RecordId {
    RecordId::from_bytes([seed; 16])
}

pub(crate) const fn version(seed: u8) -> VersionId {
    VersionId::from_bytes([seed; 16])
}

const REQUEST_ID: RequestId = RequestId::from_bytes([0x11; 16]);
pub(crate) const PERMISSION_ID: PermissionId = PermissionId::from_bytes([0x12; 16]);
const UPLOAD_ID: UploadId = UploadId::from_bytes([0x13; 16]);
const RELEASE_ID: ReleaseId = ReleaseId::from_bytes([0x14; 16]);

pub(crate) fn certificate_of(device: u8) -> DeviceCertificate {
    DeviceCertificate {
        created: NOW,
        patient_id: patient(),
        device_key: key(device).public(),
        recipient_key_hash: recipient(device).digest(),
    }
}

pub(crate) fn device_certificate() -> DeviceCertificate {
    certificate_of(DEVICE)
}

/// Identity key → device.
pub(crate) fn chain() -> DeviceChain {
    anna().chain
}

pub(crate) fn listed(device: u8) -> ListedDevice {
    ListedDevice {
        device_key: key(device).public(),
        recipient_key_hash: recipient(device).digest(),
        kind: DeviceKind::Device,
        sealed_name: Bytes::from(vec![device; 136]),
    }
}

/// One device, by the identity key.
pub(crate) fn first_list() -> DeviceList {
    DeviceList {
        created: NOW,
        patient_id: patient(),
        sequence: 0,
        previous_hash: DeviceList::NONE_BEFORE,
        signer: DeviceId::from(&key(PATIENT).public()),
        root_epoch: 0,
        vault_key: recipient(0x60),
        last_placement: 0,
        devices: vec![listed(DEVICE)],
        leaving: Vec::new(),
    }
}

/// The list after another, by a device.
pub(crate) fn next_list(before: &DeviceList, signer: u8, devices: &[u8]) -> DeviceList {
    DeviceList {
        sequence: before.sequence + 1,
        previous_hash: Sha256Digest::of(&before.encode()),
        signer: DeviceId::from(&key(signer).public()),
        devices: devices.iter().map(|device| listed(*device)).collect(),
        ..before.clone()
    }
}

pub(crate) fn accreditation_request() -> bodies::AccreditationRequest {
    bodies::AccreditationRequest {
        created: NOW,
        name: "Hospital North".to_owned().try_into().unwrap(),
        identity_key: key(INSTITUTION).public(),
        recipient_key: recipient(2),
    }
}

pub(crate) const SECRET: [u8; 32] = [0x5e; 32];

pub(crate) fn accreditation() -> bodies::Accreditation {
    hospital().accreditation.claimed().clone()
}

pub(crate) fn institution_keys() -> bodies::InstitutionKeys {
    hospital().keys.claimed().clone()
}

pub(crate) fn entry() -> pb::DirectoryEntry {
    hospital().entry()
}

pub(crate) fn terminal_request() -> bodies::TerminalRequest {
    bodies::TerminalRequest {
        created: NOW,
        name: "Ward 3".to_owned().try_into().unwrap(),
        terminal_key: key(TERMINAL).public(),
        recipient_key: recipient(3),
    }
}

fn terminal() -> actors::Terminal {
    hospital().terminal(key(TERMINAL), recipient(3), |_| ())
}

pub(crate) fn terminal_certificate() -> bodies::TerminalCertificate {
    terminal().certificate.claimed().clone()
}

pub(crate) fn terminal_certificate_statement() -> pb::Statement {
    terminal().certificate.to_message()
}

pub(crate) fn terminal_removal() -> bodies::TerminalRemoval {
    bodies::TerminalRemoval {
        created: NOW,
        operator_id: operator(),
        institution_id: institution(INSTITUTION),
        terminal_id: TerminalId::from(&key(TERMINAL).public()),
    }
}

pub(crate) fn retirement() -> bodies::Retirement {
    bodies::Retirement {
        created: NOW,
        operator_id: operator(),
        institution_id: institution(INSTITUTION),
        entry_hash: Sha256Digest::of(&institution_keys().encode()),
    }
}

pub(crate) fn withdrawal() -> bodies::Withdrawal {
    bodies::Withdrawal {
        created: NOW,
        registrar_id: accreditation().registrar_id,
        institution_id: institution(INSTITUTION),
    }
}

pub(crate) fn program() -> bodies::Program {
    let text = |text: &str| text.to_owned().try_into().unwrap();
    bodies::Program {
        created: NOW,
        registrar_id: accreditation().registrar_id,
        name: text("medvault"),
        version: text("1.0.0"),
        target: text("x86_64-unknown-linux-gnu"),
        source: text("9d6e8ed3d6a6e0f6b1ee7a3a7d3c1c1b0a1f2e3d"),
        toolchain: text("rustc 1.90.0"),
        file_hash: Sha256Digest::of(b"a program"),
    }
}

pub(crate) fn restoration() -> bodies::Restoration {
    bodies::Restoration {
        created: NOW,
        operator_id: operator(),
        registrar_id: accreditation().registrar_id,
        generation: 2,
        size: 500,
        root: Sha256Digest::from_bytes([5; 32]),
        seen: 800,
        until: NOW - HOUR,
    }
}

pub(crate) fn upload_request() -> bodies::UploadRequest {
    bodies::UploadRequest {
        request_id: REQUEST_ID,
        expires: NOW + HOUR,
        text: sealed(0x21),
        ..anna().upload_request(institution(INSTITUTION))
    }
}

pub(crate) fn download_request() -> bodies::DownloadRequest {
    bodies::DownloadRequest {
        request_id: REQUEST_ID,
        expires: NOW + HOUR,
        text: sealed(0x22),
        root_epoch: 1,
        purpose: Some(Purpose::TREAT),
        ..hospital().download_request(patient())
    }
}

pub(crate) fn reference_request() -> bodies::ReferenceRequest {
    bodies::ReferenceRequest {
        request_id: REQUEST_ID,
        expires: NOW + HOUR,
        text: sealed(0x23),
        root_epoch: 1,
        ..hospital().reference_request(institution(SECOND), patient())
    }
}

pub(crate) fn denial() -> bodies::Denial {
    bodies::Denial {
        text: sealed(0x24),
        ..anna().denial(REQUEST_ID, hash("request"), institution(INSTITUTION))
    }
}

pub(crate) fn note() -> bodies::Note {
    bodies::Note {
        created: NOW,
        note_id: RequestId::from_bytes([0x16; 16]),
        permission_id: PERMISSION_ID,
        permission_hash: hash("permission"),
        patient_id: patient(),
        institution_id: institution(INSTITUTION),
        text: sealed(0x25),
    }
}

pub(crate) const DELEGATION_ID: DelegationId = DelegationId::from_bytes([0x15; 16]);

pub(crate) fn delegate() -> PatientId {
    PatientId::from(&key(DELEGATE).public())
}

/// The delegate's identity key → her device.
pub(crate) fn delegates_chain() -> DeviceChain {
    let certificate = DeviceCertificate {
        patient_id: delegate(),
        ..certificate_of(DELEGATES_DEVICE)
    };
    DeviceChain::first(key(DELEGATE).public(), key(DELEGATE).signed(certificate))
}

/// She may permit, in two collections, for a day.
pub(crate) fn delegation_body() -> bodies::Delegation {
    bodies::Delegation {
        created: NOW,
        operator_id: operator(),
        delegation_id: DELEGATION_ID,
        patient_id: patient(),
        delegate_id: delegate(),
        power: Power::Permit,
        collections: Scope::new(vec![CollectionId::EMERGENCY, CollectionId::DEFAULT]).unwrap(),
        not_before: NOW,
        not_after: NOW + 24 * HOUR,
        root_epoch: 1,
        sealed_name: SealedName::try_from(vec![0x25; 136]).unwrap(),
    }
}

pub(crate) fn delegated_key() -> bodies::DelegatedKey {
    bodies::DelegatedKey {
        created: NOW,
        patient_id: patient(),
        delegation_hash: Sha256Digest::of(&delegation_body().encode()),
        collection_id: CollectionId::DEFAULT,
        epoch: 2,
        root_epoch: 0,
        key: sealed(0x26),
    }
}

pub(crate) fn delegation_end() -> bodies::DelegationEnd {
    bodies::DelegationEnd {
        created: NOW,
        patient_id: patient(),
        delegation_id: DELEGATION_ID,
        delegation_hash: Sha256Digest::of(&delegation_body().encode()),
        last: [(CollectionId::DEFAULT, 2), (CollectionId::EMERGENCY, 0)]
            .map(|(id, epoch)| Collection { id, epoch })
            .into(),
    }
}

pub(crate) fn revocation() -> bodies::Revocation {
    anna().revocation(PERMISSION_ID, hash("permission"))
}

pub(crate) fn placement() -> bodies::Placement {
    bodies::Placement {
        created: NOW,
        patient_id: patient(),
        record_id: record(0x41),
        version_id: version(0x41),
        content_root: ContentRoot::from_bytes([0x41; 32]),
        stream_len: 1096,
        collection_id: CollectionId::EMERGENCY,
        number: 7,
        tags: RecordTags::new(&(0..35).map(token).collect::<Vec<_>>(), &version(0x41)).unwrap(),
    }
}

pub(crate) fn reseal() -> bodies::Reseal {
    bodies::Reseal {
        created: NOW,
        patient_id: patient(),
        record_id: record(0x31),
        replaces: version(0x32),
        version_id: version(0x35),
        content_root: ContentRoot::from_bytes([0x34; 32]),
        manifest_hash: hash("manifest"),
    }
}

pub(crate) const fn token(byte: u8) -> Token {
    Token::from_bytes([byte; 16])
}

pub(crate) fn recovery_shares() -> bodies::RecoveryShares {
    bodies::RecoveryShares {
        created: NOW,
        patient_id: patient(),
        recovery_key: key(RECOVERY).public(),
        threshold: 2,
        commitments: ["first share", "second share", "third share"].map(hash).into(),
    }
}

pub(crate) fn standby_ticket() -> bodies::StandbyTicket {
    bodies::StandbyTicket {
        created: NOW,
        operator_id: operator(),
        upload_id: UPLOAD_ID,
        permission_id: PERMISSION_ID,
        patient_id: patient(),
        institution_id: institution(INSTITUTION),
        record_id: record(0x31),
        version_id: version(0x32),
        bytes: 1 << 30,
        expires: NOW + HOUR,
    }
}

pub(crate) fn release_ticket() -> bodies::ReleaseTicket {
    bodies::ReleaseTicket {
        created: NOW,
        operator_id: operator(),
        release_id: RELEASE_ID,
        permission_id: PERMISSION_ID,
        patient_id: patient(),
        institution_id: institution(INSTITUTION),
        bytes: 1 << 30,
        expires: NOW + HOUR,
        presentation_hash: hash("presentation"),
    }
}

pub(crate) fn upload_receipt() -> bodies::UploadReceipt {
    bodies::UploadReceipt {
        created: NOW,
        operator_id: operator(),
        upload_id: UPLOAD_ID,
        permission_id: PERMISSION_ID,
        patient_id: patient(),
        institution_id: institution(INSTITUTION),
        record_id: record(0x31),
        version_id: version(0x32),
        content_root: ContentRoot::from_bytes([0x33; 32]),
        stream_len: 1096,
        sealed_manifest_hash: hash("sealed manifest"),
        presentation_hash: hash("presentation"),
        replaces: None,
        vault_head: Some(vault_head_ref()),
    }
}

pub(crate) fn release_receipt() -> bodies::ReleaseReceipt {
    bodies::ReleaseReceipt {
        created: NOW,
        operator_id: operator(),
        release_id: RELEASE_ID,
        permission_id: PERMISSION_ID,
        patient_id: patient(),
        institution_id: institution(INSTITUTION),
        bytes: 1096,
        presentation_hash: hash("presentation"),
        released_hash: hash("released"),
        vault_head: Some(vault_head_ref()),
    }
}

pub(crate) fn revocation_receipt() -> bodies::RevocationReceipt {
    bodies::RevocationReceipt {
        created: NOW,
        operator_id: operator(),
        permission_id: PERMISSION_ID,
        patient_id: patient(),
        institution_id: institution(INSTITUTION),
        revocation_hash: hash("revocation"),
        releases: 2,
        releases_hash: hash("releases"),
    }
}

pub(crate) fn vault_head_ref() -> HeadRef {
    HeadRef {
        sequence: 4,
        hash: hash("vault head"),
    }
}

pub(crate) fn vault_head() -> bodies::VaultHead {
    bodies::VaultHead {
        created: NOW,
        operator_id: operator(),
        patient_id: patient(),
        sequence: 5,
        previous_hash: hash("vault head"),
        acts: 41,
        root: hash("vault tree"),
        log_salt_hash: hash("vault salt"),
        log_size: 1000,
    }
}

pub(crate) fn index_segment() -> bodies::IndexSegment {
    bodies::IndexSegment {
        created: NOW,
        patient_id: patient(),
        generation: 1,
        number: 2,
        previous: Sha256Digest::of(b"the body before"),
        through: 3,
        epoch: 4,
        sealed_hash: Sha256Digest::of(b"sealed"),
    }
}

pub(crate) fn emergency_opening() -> bodies::EmergencyOpening {
    bodies::EmergencyOpening {
        opening_id: REQUEST_ID,
        ..hospital().opening(patient(), key(POSSESSION).public())
    }
}

pub(crate) fn emergency_help() -> bodies::EmergencyHelp {
    let of = PatientId::from_bytes([0x66; 32]);
    bodies::EmergencyHelp {
        help_id: REQUEST_ID,
        half: sealed(0x26),
        ..anna().help(of, institution(INSTITUTION), key(POSSESSION).public())
    }
}

pub(crate) fn emergency_objection() -> bodies::EmergencyObjection {
    bodies::EmergencyObjection {
        created: NOW,
        operator_id: operator(),
        help_id: REQUEST_ID,
        patient_id: patient(),
    }
}

pub(crate) fn invitation() -> bodies::Invitation {
    bodies::Invitation {
        created: NOW,
        operator_id: operator(),
        institution_id: Some(institution(INSTITUTION)),
        invitation_id: InvitationId::from_bytes([0x71; 16]),
        uses: 3,
        expires: NOW + 1000,
    }
}

pub(crate) fn record_deletion() -> bodies::RecordDeletion {
    bodies::RecordDeletion {
        created: NOW,
        patient_id: patient(),
        record_id: record(0x51),
        version_id: version(0x41),
    }
}

pub(crate) fn take_back() -> bodies::TakeBack {
    bodies::TakeBack {
        created: NOW,
        operator_id: operator(),
        patient_id: patient(),
        institution_id: institution(INSTITUTION),
        record_id: record(0x51),
        version_id: version(0x41),
        receipt_hash: hash("receipt"),
    }
}

pub(crate) fn epoch_closure() -> bodies::EpochClosure {
    bodies::EpochClosure {
        created: NOW,
        patient_id: patient(),
        collection_id: CollectionId::EMERGENCY,
        epoch: 3,
    }
}

pub(crate) fn revocation_certificate() -> bodies::RevocationCertificate {
    let mut leaves = LeafRanges::default();
    leaves.add(0, 2);
    leaves.add(5, 1);
    bodies::RevocationCertificate {
        created: NOW,
        patient_id: patient(),
        permission_id: PERMISSION_ID,
        permission_hash: hash("permission"),
        institution_id: institution(INSTITUTION),
        released: vec![VersionLeaves {
            version_id: version(0x41),
            record_id: record(0x41),
            leaves,
        }],
        exposed: vec![ExposedVersion {
            version_id: version(0x41),
            record_id: record(0x41),
        }],
        closed: vec![Collection {
            id: CollectionId::EMERGENCY,
            epoch: 3,
        }],
        resealed: Vec::new(),
    }
}

/// The checkpoint of this signer's log.
pub(crate) fn checkpoint(signer: u8, size: u64, root: [u8; 32]) -> SignedCheckpoint {
    operator::checkpoint(&key(signer), size, Sha256Digest::from_bytes(root))
}

pub(crate) fn part(name: &str, offset: u64, length: u64) -> Part {
    Part {
        name: name.to_owned().try_into().unwrap(),
        media_type: "application/dicom".to_owned(),
        offset,
        length,
        sha256: hash(name),
        clinical: Clinical {
            date: "2026-11-23".to_owned(),
            ..Clinical::default()
        },
        modified: None,
    }
}

pub(crate) fn manifest(parts: Vec<Part>) -> bodies::RecordManifest {
    bodies::RecordManifest {
        created: NOW,
        patient_id: patient(),
        record_id: record(0x31),
        version_id: version(0x32),
        institution_id: institution(INSTITUTION),
        permission_id: PERMISSION_ID,
        content_root: ContentRoot::from_bytes([0x33; 32]),
        plaintext_len: parts.iter().map(|part| part.length).sum(),
        parts,
    }
}

pub(crate) fn selector(seed: u8) -> RecordSelector {
    RecordSelector {
        record_id: record(seed),
        version_id: version(seed),
        content_root: ContentRoot::from_bytes([seed; 32]),
        stream_len: 1096,
    }
}

pub(crate) fn permission_body(kind: Kind) -> PermissionBody {
    let records = match kind {
        Kind::Upload => vec![],
        _ => vec![selector(0x41), selector(0x42)],
    };
    let anna = anna();
    let permission = anna.permission(kind).to(&hospital()).id(PERMISSION_ID);
    let over = permission.records(records).answers(hash("request"));
    over.between(NOW, NOW + HOUR)
        .uses(3)
        .bytes(1 << 20)
        .possession(key(POSSESSION).public())
        .body()
}
