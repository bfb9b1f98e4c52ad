//! The history of one permission as a server would show it, from request to revocation, whole or with one thing changed
//! before it is signed.

use bytes::Bytes;
use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::{Signer, SigningKey};
use prost::Message;

use crate::{
    bodies::{
        Accreditation, DownloadRequest, InstitutionKeys, ReferenceRequest, ReleaseReceipt, ReleaseTicket,
        Revocation, RevocationReceipt, StandbyTicket, UploadReceipt, UploadRequest,
    },
    case::{CaseError, VerifiedCase},
    devices::{DeviceList, FirstDevice},
    field::{Name, SealedBytes},
    hash::{ContentRoot, Sha256Digest},
    ids::{
        InstitutionId, OperatorId, PatientId, PermissionId, RecordId, RegistrarId, ReleaseId, RequestId,
        UploadId, VersionId,
    },
    keys::{IdentityKey, RecipientKey},
    link::{Fingerprint, ServerLink},
    log::{Entry, alone},
    messages as pb,
    patient::{DeviceChain, OfPatient, PatientSigned},
    permission::{Kind, PermissionBody, RecordSelector, SignedPermission},
    released::{LeafRanges, ReleasedHasher, VersionLeaves},
    request::content_digest,
    statement::{Body, Signed},
    vault_head::HeadRef,
};

use pb::history_entry::What;

const PATIENT: u8 = 1;
pub(crate) const DEVICE: u8 = 2;
pub(crate) const OPERATOR: u8 = 3;
pub(crate) const REGISTRAR: u8 = 4;
const HOSPITAL: u8 = 5;
const POSSESSION: u8 = 6;
pub(crate) const STRANGER: u8 = 7;
const PERMISSION: PermissionId = PermissionId::from_bytes([8; 16]);
const REQUEST: RequestId = RequestId::from_bytes([9; 16]);
const RELEASE: ReleaseId = ReleaseId::from_bytes([10; 16]);
const UPLOAD: UploadId = UploadId::from_bytes([11; 16]);
const RECORD: RecordId = RecordId::from_bytes([12; 16]);
const VERSION: VersionId = VersionId::from_bytes([13; 16]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn public(seed: u8) -> IdentityKey {
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

pub(crate) fn patient() -> PatientId {
    PatientId::from(&public(PATIENT))
}

pub(crate) fn operator() -> OperatorId {
    OperatorId::from(&public(OPERATOR))
}

pub(crate) fn hospital() -> InstitutionId {
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

pub(crate) fn first_device() -> (DeviceChain, Signed<DeviceList>) {
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

pub(crate) fn by_device<T: OfPatient>(device: u8, body: T) -> PatientSigned<T> {
    PatientSigned::new(signed(device, body), first_device().0)
}

/// What a test changes before it is signed.
pub(crate) struct Story {
    pub(crate) kind: Kind,
    /// Who signs for the hospital.
    pub(crate) hospital: u8,
    /// Who signs for the patient.
    pub(crate) device: u8,
    pub(crate) download: DownloadRequest,
    pub(crate) reference: ReferenceRequest,
    pub(crate) upload: UploadRequest,
    pub(crate) permission: PermissionBody,
    /// As both keys sign it.
    pub(crate) presentation: pb::Presentation,
    /// Of the presentation's path.
    pub(crate) presented: PermissionId,
    /// Who proves possession.
    pub(crate) possession: u8,
    pub(crate) standby: StandbyTicket,
    pub(crate) release: ReleaseTicket,
    pub(crate) stored: UploadReceipt,
    pub(crate) released: ReleaseReceipt,
    pub(crate) versions: Vec<VersionLeaves>,
    pub(crate) revocation: Revocation,
    /// Whether ticket and receipt name the presentation that there was.
    pub(crate) names_presentation: bool,
    /// What the operator says was revoked.
    pub(crate) accounted: PermissionId,
    pub(crate) link: ServerLink,
}

pub(crate) fn entry() -> pb::DirectoryEntry {
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
    pub(crate) fn new(kind: Kind) -> Self {
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
            presentation: pb::Presentation::default(),
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

    pub(crate) fn bundle(&self) -> pb::CaseBundle {
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
        let presentation = self.presentation.encode_to_vec();
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

    pub(crate) fn verify(&self) -> Result<VerifiedCase, CaseError> {
        VerifiedCase::verify(self.bundle(), &self.link)
    }
}

const HEAD: HeadRef = HeadRef {
    sequence: 3,
    hash: Sha256Digest::from_bytes([0x77; 32]),
};
