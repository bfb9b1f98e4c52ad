//! Cases of a download and of an upload, whole and with one thing changed at a time.

use bytes::Bytes;
use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::{Signer, SigningKey};
use prost::Message;

use super::*;
use crate::{
    bodies::{
        Accreditation, DownloadRequest, InstitutionKeys, ReferenceRequest, ReleaseReceipt, ReleaseTicket,
        Revocation, StandbyTicket, UploadReceipt, UploadRequest,
    },
    devices::FirstDevice,
    field::{Name, SealedBytes},
    hash::{ContentRoot, Sha256Digest},
    ids::{PermissionId, RegistrarId, UploadId},
    keys::RecipientKey,
    link::Fingerprint,
    log::{Entry, alone},
    patient::{OfPatient, PatientSigned},
    permission::{PermissionBody, RecordSelector},
    released::{LeafRanges, ReleasedHasher},
    request::content_digest,
    statement::Body,
    vault_head::HeadRef,
};

const PATIENT: u8 = 1;
const DEVICE: u8 = 2;
const OPERATOR: u8 = 3;
const REGISTRAR: u8 = 4;
const HOSPITAL: u8 = 5;
const POSSESSION: u8 = 6;
const STRANGER: u8 = 7;
const PERMISSION: PermissionId = PermissionId::from_bytes([8; 16]);
const REQUEST: RequestId = RequestId::from_bytes([9; 16]);
const RELEASE: ReleaseId = ReleaseId::from_bytes([10; 16]);
const UPLOAD: UploadId = UploadId::from_bytes([11; 16]);
const RECORD: RecordId = RecordId::from_bytes([12; 16]);
const VERSION: VersionId = VersionId::from_bytes([13; 16]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> IdentityKey {
    IdentityKey::try_from(key(seed).verifying_key().as_bytes().as_slice()).unwrap()
}

fn sign(seed: u8, message: &[u8]) -> [u8; 64] {
    key(seed).sign(message).to_bytes()
}

fn signed<T: Body>(seed: u8, body: T) -> Signed<T> {
    Signed::sign(body, |message| sign(seed, message))
}

fn recipient(seed: u8) -> RecipientKey {
    let coefficients = (0..384_u16).flat_map(|i| [seed, 0, u8::try_from(i % 200).unwrap()]);
    let x25519 = MontgomeryPoint::mul_base_clamped([seed; 32]).to_bytes();
    let bytes: Vec<u8> = coefficients.chain([seed; 32]).chain(x25519).collect();
    RecipientKey::try_from(bytes.as_slice()).unwrap()
}

fn patient() -> PatientId {
    PatientId::from(&public(PATIENT))
}

fn operator() -> OperatorId {
    OperatorId::from(&public(OPERATOR))
}

fn hospital() -> InstitutionId {
    InstitutionId::from(&public(HOSPITAL))
}

fn sealed() -> SealedBytes {
    SealedBytes {
        enc: vec![1; 1120].into(),
        ciphertext: vec![2; 80].into(),
    }
}

fn receipt<T: Body>(body: T) -> pb::Receipt {
    let signed = signed(OPERATOR, body);
    pb::Receipt {
        statement: Some(signed.to_message()),
        proof: Some(alone::salted(&signed.hash(), &key(OPERATOR))),
    }
}

fn first_device() -> (DeviceChain, Signed<crate::devices::DeviceList>) {
    FirstDevice {
        created: 1,
        identity_key: public(PATIENT),
        device_key: public(DEVICE),
        recipient_key: &recipient(0x21),
        vault_key: &recipient(0x22),
        sealed_name: vec![3; 136].into(),
    }
    .sign(|message| sign(PATIENT, message))
}

fn by_device<T: OfPatient>(device: u8, body: T) -> PatientSigned<T> {
    PatientSigned::new(signed(device, body), first_device().0)
}

/// What a test changes before it is signed.
struct Story {
    kind: Kind,
    /// Who signs for the hospital.
    hospital: u8,
    /// Who signs for the patient.
    device: u8,
    download: DownloadRequest,
    reference: ReferenceRequest,
    upload: UploadRequest,
    permission: PermissionBody,
    /// Of the presentation's path.
    presented: PermissionId,
    /// Who proves possession.
    possession: u8,
    standby: StandbyTicket,
    release: ReleaseTicket,
    stored: UploadReceipt,
    released: ReleaseReceipt,
    versions: Vec<VersionLeaves>,
    revocation: Revocation,
    /// Whether ticket and receipt name the presentation that there was.
    names_presentation: bool,
    /// What the operator says was revoked.
    accounted: PermissionId,
    link: ServerLink,
}

fn entry() -> pb::DirectoryEntry {
    let name = Name::try_from("Hospital North".to_owned()).unwrap();
    let accreditation = Accreditation {
        created: 1,
        registrar_id: RegistrarId::from(&public(REGISTRAR)),
        institution_id: hospital(),
        name: name.clone(),
        recipient_key_hash: recipient(0x23).digest(),
        secret_hash: Sha256Digest::of(b"secret"),
        emergency: false,
    };
    let accreditation = signed(REGISTRAR, accreditation);
    let keys = InstitutionKeys {
        created: 1,
        operator_id: operator(),
        name,
        identity_key: public(HOSPITAL),
        recipient_key: recipient(0x23),
        accreditation_hash: accreditation.hash(),
        succession: None,
    };
    let keys = signed(HOSPITAL, keys);
    let leaf = Entry::Keys {
        keys: keys.to_message(),
        accreditation: accreditation.to_message(),
    };
    pb::DirectoryEntry {
        proof: Some(alone::published(&leaf, &key(OPERATOR))),
        keys: Some(keys.to_message()),
        accreditation: Some(accreditation.to_message()),
        ..pb::DirectoryEntry::default()
    }
}

fn entry_hash() -> Sha256Digest {
    Sha256Digest::of(&entry().keys.unwrap().body)
}

fn versions() -> Vec<VersionLeaves> {
    let mut leaves = LeafRanges::default();
    leaves.add(0, 2);
    vec![VersionLeaves {
        version_id: VERSION,
        record_id: RECORD,
        leaves,
    }]
}

fn released_hash(versions: &[VersionLeaves]) -> Sha256Digest {
    let mut hasher = ReleasedHasher::default();
    for version in versions {
        hasher.add(version).unwrap();
    }
    hasher.finish()
}

impl Story {
    fn new(kind: Kind) -> Self {
        let fingerprint = Fingerprint::of(&public(OPERATOR), &public(REGISTRAR), None);
        let selector = RecordSelector {
            record_id: RECORD,
            version_id: VERSION,
            content_root: ContentRoot::from_bytes([4; 32]),
            stream_len: 2 << 20,
        };
        let of_upload = kind == Kind::Upload;
        Self {
            kind,
            hospital: HOSPITAL,
            device: DEVICE,
            download: DownloadRequest {
                created: 2,
                operator_id: operator(),
                request_id: REQUEST,
                institution_id: hospital(),
                patient_id: patient(),
                expires: 1000,
                text: sealed(),
                root_epoch: 0,
                purpose: None,
            },
            reference: ReferenceRequest {
                created: 2,
                operator_id: operator(),
                request_id: REQUEST,
                institution_id: hospital(),
                second_institution_id: hospital(),
                patient_id: patient(),
                expires: 1000,
                text: sealed(),
                root_epoch: 0,
                purpose: None,
            },
            upload: UploadRequest {
                created: 2,
                operator_id: operator(),
                request_id: REQUEST,
                patient_id: patient(),
                institution_id: hospital(),
                expires: 1000,
                text: sealed(),
            },
            permission: PermissionBody {
                created: 3,
                operator_id: operator(),
                permission_id: PERMISSION,
                kind,
                patient_id: patient(),
                institution_id: hospital(),
                directory_entry_hash: entry_hash(),
                recipient_key_hash: recipient(0x23).digest(),
                records: if of_upload { Vec::new() } else { vec![selector] },
                collection: None,
                not_before: 0,
                not_after: 1000,
                uses: 1,
                bytes: 2 << 20,
                // As signed below.
                request_hash: Sha256Digest::of(b""),
                possession_key: public(POSSESSION),
                replaces: None,
                purpose: None,
                conditions: None,
                vault_head: Some(HEAD),
                delegation: None,
                emergency: None,
            },
            presented: PERMISSION,
            possession: POSSESSION,
            standby: StandbyTicket {
                created: 4,
                operator_id: operator(),
                upload_id: UPLOAD,
                permission_id: PERMISSION,
                patient_id: patient(),
                institution_id: hospital(),
                record_id: RECORD,
                version_id: VERSION,
                bytes: 2 << 20,
                expires: 1000,
            },
            release: ReleaseTicket {
                created: 4,
                operator_id: operator(),
                release_id: RELEASE,
                permission_id: PERMISSION,
                patient_id: patient(),
                institution_id: hospital(),
                bytes: 2 << 20,
                expires: 1000,
                presentation_hash: Sha256Digest::of(b""),
            },
            stored: UploadReceipt {
                created: 5,
                operator_id: operator(),
                upload_id: UPLOAD,
                permission_id: PERMISSION,
                patient_id: patient(),
                institution_id: hospital(),
                record_id: RECORD,
                version_id: VERSION,
                content_root: ContentRoot::from_bytes([4; 32]),
                stream_len: 2 << 20,
                sealed_manifest_hash: Sha256Digest::of(b"manifest"),
                presentation_hash: Sha256Digest::of(b""),
                replaces: None,
                vault_head: Some(HEAD),
            },
            released: ReleaseReceipt {
                created: 5,
                operator_id: operator(),
                release_id: RELEASE,
                permission_id: PERMISSION,
                patient_id: patient(),
                institution_id: hospital(),
                bytes: 2 << 20,
                presentation_hash: Sha256Digest::of(b""),
                released_hash: released_hash(&versions()),
                vault_head: Some(HEAD),
            },
            versions: versions(),
            revocation: Revocation {
                created: 6,
                permission_id: PERMISSION,
                permission_hash: Sha256Digest::of(b""),
                patient_id: patient(),
            },
            names_presentation: true,
            accounted: PERMISSION,
            link: ServerLink::new("vault.example:443", fingerprint).unwrap(),
        }
    }

    fn evidence(&self, presentation: &[u8]) -> pb::Evidence {
        let base = |label: &str| {
            format!(
                "\"@method\": POST\n\"@path\": /v1/permissions/{}/presentation\n\"content-digest\": {}\n{label}",
                self.presented,
                content_digest(presentation)
            )
        };
        let (id, pop) = (base("id"), base("pop"));
        pb::Evidence {
            signature_id: sign(self.hospital, id.as_bytes()).to_vec().into(),
            signature_pop: sign(self.possession, pop.as_bytes()).to_vec().into(),
            signature_base_id: id.into(),
            signature_base_pop: pop.into(),
        }
    }

    fn request(&self) -> (What, Sha256Digest) {
        match self.kind {
            Kind::Upload => {
                let request = by_device(self.device, self.upload.clone());
                let hash = request.hash();
                (What::UploadRequested((&request).into()), hash)
            }
            Kind::Reference => {
                let request = signed(self.hospital, self.reference.clone());
                let hash = request.hash();
                (What::ReferenceRequested(request.to_message()), hash)
            }
            _ => {
                let request = signed(self.hospital, self.download.clone());
                let hash = request.hash();
                (What::DownloadRequested(request.to_message()), hash)
            }
        }
    }

    fn bundle(&self) -> pb::CaseBundle {
        let (request, request_hash) = self.request();
        let mut permission = self.permission.clone();
        if permission.request_hash == Sha256Digest::of(b"") {
            permission.request_hash = request_hash;
        }
        let bytes = permission.encode();
        let mut revocation = self.revocation.clone();
        if revocation.permission_hash == Sha256Digest::of(b"") {
            revocation.permission_hash = Sha256Digest::of(&bytes);
        }
        let chain = first_device().0;
        let permission =
            SignedPermission::sign(bytes, sealed(), chain, |message| sign(self.device, message)).unwrap();
        let presentation = pb::Presentation::default().encode_to_vec();
        let evidence = self.evidence(&presentation);
        let hash = if self.names_presentation {
            Sha256Digest::of(&evidence.encode_to_vec())
        } else {
            Sha256Digest::of(b"another")
        };
        let (mut release, mut stored, mut released) =
            (self.release.clone(), self.stored.clone(), self.released.clone());
        release.presentation_hash = hash;
        stored.presentation_hash = hash;
        released.presentation_hash = hash;
        let of_upload = self.kind == Kind::Upload;
        let presented = pb::Presented {
            permission_id: Bytes::copy_from_slice(PERMISSION.as_bytes()),
            institution_id: Bytes::copy_from_slice(hospital().as_bytes()),
            evidence: Some(evidence),
            release_ticket: (!of_upload).then(|| receipt(release)),
            standby_ticket: of_upload.then(|| signed(OPERATOR, self.standby.clone()).to_message()),
            presentation: presentation.into(),
            terminal: None,
        };
        let moved = if of_upload {
            What::Stored(receipt(stored))
        } else {
            What::Released(receipt(released))
        };
        let revocation = by_device(self.device, revocation);
        let all = [
            request,
            What::Permitted((&permission).into()),
            What::Presented(presented),
            moved,
            What::Revoked((&revocation).into()),
        ];
        let entry_of = |(number, what)| pb::HistoryEntry {
            number,
            at: number,
            what: Some(what),
        };
        let account = RevocationReceipt {
            created: 7,
            operator_id: operator(),
            permission_id: self.accounted,
            patient_id: patient(),
            institution_id: hospital(),
            revocation_hash: revocation.hash(),
            releases: 1,
            releases_hash: Sha256Digest::of(b"releases"),
        };
        pb::CaseBundle {
            revocation_receipt: Some(receipt(account)),
            entries: (3..).zip(all).map(entry_of).collect(),
            released: vec![pb::ReleasedBy {
                release_id: Bytes::copy_from_slice(RELEASE.as_bytes()),
                versions: self.versions.iter().map(Into::into).collect(),
            }],
            institutions: vec![entry()],
            device_lists: vec![first_device().1.to_message()],
            operator_key: Bytes::copy_from_slice(public(OPERATOR).as_bytes()),
            registrar_key: Bytes::copy_from_slice(public(REGISTRAR).as_bytes()),
            server_certificate: Bytes::new(),
        }
    }

    fn verify(&self) -> Result<VerifiedCase, CaseError> {
        VerifiedCase::verify(self.bundle(), &self.link)
    }
}

const KINDS: [Kind; 3] = [Kind::Upload, Kind::Download, Kind::Reference];

/// CAS-1 to CAS-6
#[test]
fn a_whole_case_is_believed() {
    for kind in KINDS {
        let case = Story::new(kind).verify().unwrap();
        assert_eq!(case.institution.id(), hospital());
        assert_eq!(case.asker.is_some(), kind != Kind::Upload);
        assert_eq!(case.events.len(), 5);
        let bytes = case.events.iter().find_map(|event| match &event.what {
            CaseWhat::Stored { bytes, .. } | CaseWhat::Released { bytes, .. } => Some(*bytes),
            _ => None,
        });
        assert_eq!(bytes, Some(2 << 20));
    }
}

/// What is changed, how, and in which entry it is found.
type Change = (&'static str, fn(&mut Story), Option<u64>);

fn refused(kinds: &[Kind], changes: &[Change]) {
    for kind in kinds {
        for (name, change, entry) in changes {
            let mut story = Story::new(*kind);
            change(&mut story);
            let error = story.verify().expect_err(name);
            assert_eq!(error.entry, *entry, "{kind:?}, {name}: {error}");
        }
    }
}

/// CAS-1, CAS-2
#[test]
fn what_the_entries_rest_on_is_checked() {
    let other = Fingerprint::of(&public(STRANGER), &public(REGISTRAR), None);
    let mut story = Story::new(Kind::Download);
    story.link = ServerLink::new("vault.example:443", other).unwrap();
    assert!(story.verify().is_err());
    type Change = (&'static str, fn(&mut pb::CaseBundle));
    let changes: [Change; 8] = [
        ("no institution", |bundle| bundle.institutions.clear()),
        ("not in the log", |bundle| bundle.institutions[0].proof = None),
        ("accredited by nobody", |bundle| {
            let accreditation = bundle.institutions[0].accreditation.as_mut().unwrap();
            accreditation.signature = vec![0; 64].into();
        }),
        ("no list of devices", |bundle| bundle.device_lists.clear()),
        ("a list by another", |bundle| {
            bundle.device_lists[0].signature = vec![0; 64].into();
        }),
        ("the same list twice", |bundle| {
            let list = bundle.device_lists[0].clone();
            bundle.device_lists.push(list);
        }),
        ("no entries", |bundle| bundle.entries.clear()),
        ("another registrar", |bundle| {
            bundle.registrar_key = Bytes::copy_from_slice(public(STRANGER).as_bytes());
        }),
    ];
    for (name, change) in changes {
        let mut bundle = Story::new(Kind::Download).bundle();
        change(&mut bundle);
        let link = Story::new(Kind::Download).link;
        assert!(VerifiedCase::verify(bundle, &link).is_err(), "{name}");
    }
}

/// CAS-3
#[test]
fn the_request_is_the_one_that_was_permitted() {
    refused(
        &KINDS,
        &[
            (
                "another request",
                |story| story.permission.request_hash = Sha256Digest::of(b"other"),
                Some(3),
            ),
            (
                "of another patient",
                |story| {
                    let other = PatientId::from_bytes([7; 32]);
                    story.download.patient_id = other;
                    story.reference.patient_id = other;
                    story.upload.patient_id = other;
                },
                Some(3),
            ),
        ],
    );
    refused(
        &[Kind::Download, Kind::Reference],
        &[("signed by another", |story| story.hospital = STRANGER, Some(3))],
    );
    refused(
        &KINDS,
        &[
            (
                "for another entry",
                |story| story.permission.directory_entry_hash = Sha256Digest::of(b"other"),
                Some(5),
            ),
            (
                "for another key",
                |story| story.permission.recipient_key_hash = Sha256Digest::of(b"other"),
                Some(5),
            ),
        ],
    );
    for (name, order) in [
        ("request last", vec![1, 2, 3, 4, 0]),
        ("no request", vec![1, 2, 3, 4]),
        ("permitted twice", vec![0, 1, 1, 2, 3, 4]),
        ("presented before", vec![0, 2, 1, 3, 4]),
        ("presented twice", vec![0, 1, 2, 2, 3, 4]),
        ("moved before", vec![0, 1, 3, 2, 4]),
        ("moved twice", vec![0, 1, 2, 3, 3, 4]),
        ("revoked before", vec![0, 1, 4, 2, 3]),
        ("revoked twice", vec![0, 1, 2, 3, 4, 4]),
    ] {
        for kind in KINDS {
            let story = Story::new(kind);
            let mut bundle = story.bundle();
            let entries = order.iter().map(|at: &usize| bundle.entries[*at].clone());
            bundle.entries = (1..)
                .zip(entries.collect::<Vec<_>>())
                .map(|(number, entry)| pb::HistoryEntry { number, ..entry })
                .collect();
            let case = VerifiedCase::verify(bundle, &story.link);
            assert!(case.is_err(), "{kind:?}, {name}");
        }
    }
    let mut bundle = Story::new(Kind::Download).bundle();
    bundle.entries[2].number = 2;
    let error = VerifiedCase::verify(bundle, &Story::new(Kind::Download).link).unwrap_err();
    assert_eq!(error.entry, Some(2));
}

/// CAS-4
#[test]
fn a_presentation_is_proven_by_both_keys() {
    refused(
        &KINDS,
        &[
            (
                "another possession key",
                |story| story.possession = STRANGER,
                Some(5),
            ),
            (
                "of another permission",
                |story| story.presented = PermissionId::from_bytes([7; 16]),
                Some(5),
            ),
            (
                "ticket for another permission",
                |story| {
                    story.standby.permission_id = PermissionId::from_bytes([7; 16]);
                    story.release.permission_id = PermissionId::from_bytes([7; 16]);
                },
                Some(5),
            ),
        ],
    );
    refused(
        &[Kind::Upload],
        &[("another institution", |story| story.hospital = STRANGER, Some(5))],
    );
    refused(
        &[Kind::Download],
        &[(
            "ticket of another presentation",
            |story| story.names_presentation = false,
            Some(5),
        )],
    );
    // Something else was presented than was signed.
    let mut bundle = Story::new(Kind::Download).bundle();
    let Some(What::Presented(presented)) = &mut bundle.entries[2].what else {
        panic!("no presentation")
    };
    presented.presentation = pb::Presentation {
        purpose: "TREAT".to_owned(),
        ..pb::Presentation::default()
    }
    .encode_to_vec()
    .into();
    let error = VerifiedCase::verify(bundle, &Story::new(Kind::Download).link).unwrap_err();
    assert_eq!(error.entry, Some(5));
}

/// CAS-5
#[test]
fn receipts_end_what_was_opened_within_the_budget() {
    refused(
        &KINDS,
        &[
            (
                "more bytes than permitted",
                |story| story.permission.bytes = 1,
                Some(6),
            ),
            (
                "of another session",
                |story| {
                    story.stored.upload_id = UploadId::from_bytes([7; 16]);
                    story.released.release_id = ReleaseId::from_bytes([7; 16]);
                },
                Some(6),
            ),
            (
                "under another permission",
                |story| {
                    story.stored.permission_id = PermissionId::from_bytes([7; 16]);
                    story.released.permission_id = PermissionId::from_bytes([7; 16]);
                },
                Some(6),
            ),
            (
                "to another institution",
                |story| {
                    story.stored.institution_id = InstitutionId::from_bytes([7; 32]);
                    story.released.institution_id = InstitutionId::from_bytes([7; 32]);
                },
                Some(6),
            ),
        ],
    );
    refused(
        &[Kind::Upload],
        &[(
            "of another presentation",
            |story| story.names_presentation = false,
            Some(6),
        )],
    );
    refused(
        &[Kind::Download],
        &[("other leaves", |story| story.versions.clear(), Some(6))],
    );
    // Not in the log.
    let mut bundle = Story::new(Kind::Download).bundle();
    let Some(What::Released(receipt)) = &mut bundle.entries[3].what else {
        panic!("no receipt")
    };
    receipt.proof.as_mut().unwrap().tag = vec![7; 16].into();
    let error = VerifiedCase::verify(bundle, &Story::new(Kind::Download).link).unwrap_err();
    assert_eq!(error.entry, Some(6));
}

/// CAS-6
#[test]
fn the_revocation_names_the_permission() {
    refused(
        &KINDS,
        &[
            (
                "another permission",
                |story| story.revocation.permission_hash = Sha256Digest::of(b"other"),
                Some(7),
            ),
            (
                "another patient",
                |story| story.revocation.patient_id = PatientId::from_bytes([7; 32]),
                Some(7),
            ),
            (
                "a receipt for another permission",
                |story| story.accounted = PermissionId::from_bytes([7; 16]),
                Some(7),
            ),
        ],
    );
    // One that was never submitted has no receipt; and one that was is not left out.
    let link = Story::new(Kind::Download).link;
    let mut bundle = Story::new(Kind::Download).bundle();
    bundle.revocation_receipt = None;
    let error = VerifiedCase::verify(bundle, &link).unwrap_err();
    assert_eq!(error.entry, Some(7));
    let mut bundle = Story::new(Kind::Download).bundle();
    bundle.entries.pop();
    assert!(VerifiedCase::verify(bundle, &link).is_err());
}

/// What was moved is what was permitted, when it was, for what it was.
#[test]
fn what_moved_is_what_was_permitted() {
    refused(
        &KINDS,
        &[
            ("too early", |story| story.permission.not_before = 5, Some(5)),
            ("too late", |story| story.permission.not_after = 4, Some(5)),
            (
                "another institution's ticket",
                |story| {
                    story.standby.institution_id = InstitutionId::from_bytes([7; 32]);
                    story.release.institution_id = InstitutionId::from_bytes([7; 32]);
                },
                Some(5),
            ),
            (
                "another operator's",
                |story| story.permission.operator_id = OperatorId::from_bytes([7; 32]),
                None,
            ),
        ],
    );
    refused(
        &[Kind::Download, Kind::Reference],
        &[(
            "for another purpose",
            |story| story.permission.purpose = Some(Purpose::TREAT),
            Some(5),
        )],
    );
    refused(
        &[Kind::Download],
        &[(
            "another record",
            |story| story.permission.records[0].record_id = RecordId::from_bytes([7; 16]),
            Some(6),
        )],
    );
    refused(
        &[Kind::Upload],
        &[(
            "another record",
            |story| story.standby.record_id = RecordId::from_bytes([7; 16]),
            Some(6),
        )],
    );
    // The operator shows one presentation under two tickets.
    let mut story = Story::new(Kind::Download);
    story.permission.uses = 2;
    let mut bundle = story.bundle();
    story.release.release_id = ReleaseId::from_bytes([7; 16]);
    let again = story.bundle().entries[2].clone();
    bundle.entries.insert(3, again);
    for (number, entry) in (3..).zip(&mut bundle.entries) {
        entry.number = number;
    }
    let error = VerifiedCase::verify(bundle, &story.link).unwrap_err();
    assert_eq!(
        error.error,
        Error::Mismatch {
            what: "presentation and one before it"
        }
    );
}

const HEAD: HeadRef = HeadRef {
    sequence: 3,
    hash: Sha256Digest::from_bytes([0x77; 32]),
};
