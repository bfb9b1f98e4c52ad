//! A certificate over two releases of a permission over a collection, whole and with one thing changed at a time.

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};

use super::*;
use crate::{
    bodies::DeviceCertificate,
    collection::CollectionSelector,
    field::SealedBytes,
    hash::{ContentRoot, Sha256Digest, sha256},
    ids::{CollectionId, InstitutionId, OperatorId, PatientId, PermissionId, ReleaseId, UploadId},
    link::Fingerprint,
    log::alone,
    patient::{DeviceChain, OfPatient},
    permission::{Kind, PermissionBody, RecordSelector},
    statement::{Body, Signed},
    vault_head::HeadRef,
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> IdentityKey {
    IdentityKey::try_from(key(seed).verifying_key().as_bytes().as_slice()).unwrap()
}

fn signed<T: Body>(seed: u8, body: T) -> Signed<T> {
    Signed::sign(body, |message| key(seed).sign(message).to_bytes())
}

const PATIENT: u8 = 1;
const DEVICE: u8 = 2;
const OPERATOR: u8 = 3;
const REGISTRAR: u8 = 4;
const CARDIOLOGY: Collection = Collection {
    id: CollectionId::from_bytes([7; 16]),
    epoch: 3,
};

fn patient() -> PatientId {
    PatientId::from(&public(PATIENT))
}

fn institution() -> InstitutionId {
    InstitutionId::from_bytes([5; 32])
}

fn device() -> DeviceChain {
    let certificate = DeviceCertificate {
        created: 1,
        patient_id: patient(),
        device_key: public(DEVICE),
        recipient_key_hash: Sha256Digest::of(b"recipient key"),
    };
    DeviceChain::first(public(PATIENT), signed(PATIENT, certificate))
}

fn by_device<T: OfPatient>(body: T) -> PatientSigned<T> {
    PatientSigned::new(signed(DEVICE, body), device())
}

fn proof(statement: &Sha256Digest) -> pb::LogProof {
    alone::salted(statement, &key(OPERATOR))
}

fn receipt<T: Body>(body: T) -> pb::Receipt {
    let signed = signed(OPERATOR, body);
    pb::Receipt {
        statement: Some(signed.to_message()),
        proof: Some(proof(&signed.hash())),
    }
}

/// What is changed, and how.
type Change<T> = (&'static str, fn(&mut T));

/// What a test changes before it is signed.
struct Story {
    permission: PermissionBody,
    revocation: Revocation,
    closure: EpochClosure,
    /// What each release handed out: version, first leaf, leaves.
    releases: Vec<Vec<(u8, u32, u32)>>,
    /// As the operator counts them.
    told: u32,
    certificate: RevocationCertificate,
    /// Versions whose places the operator's receipts say others have taken.
    resealed: Vec<u8>,
    link: ServerLink,
}

fn version(seed: u8) -> VersionId {
    VersionId::from_bytes([seed; 16])
}

fn leaves(of: &[(u8, u32, u32)]) -> Vec<VersionLeaves> {
    let one = |&(seed, first, count): &(u8, u32, u32)| {
        let mut leaves = LeafRanges::default();
        leaves.add(first, count);
        VersionLeaves {
            version_id: version(seed),
            record_id: RecordId::from_bytes([seed; 16]),
            leaves,
        }
    };
    of.iter().map(one).collect()
}

fn exposed(seed: u8) -> ExposedVersion {
    ExposedVersion {
        version_id: version(seed),
        record_id: RecordId::from_bytes([seed; 16]),
    }
}

/// Stored in the place of a version.
fn reseal(seed: u8) -> UploadReceipt {
    UploadReceipt {
        created: 1,
        operator_id: OperatorId::from(&public(OPERATOR)),
        upload_id: UploadId::from_bytes([1; 16]),
        permission_id: PermissionId::from_bytes([1; 16]),
        patient_id: patient(),
        institution_id: institution(),
        record_id: RecordId::from_bytes([seed; 16]),
        version_id: version(0x70 + seed),
        content_root: ContentRoot::from_bytes([4; 32]),
        stream_len: 72,
        sealed_manifest_hash: Sha256Digest::of(b"manifest"),
        presentation_hash: Sha256Digest::of(b"presentation"),
        replaces: Some(version(seed)),
        vault_head: Some(HEAD),
    }
}

fn permission() -> PermissionBody {
    PermissionBody {
        created: 1,
        operator_id: OperatorId::from(&public(OPERATOR)),
        permission_id: PermissionId::from_bytes([8; 16]),
        kind: Kind::Download,
        patient_id: patient(),
        institution_id: institution(),
        directory_entry_hash: Sha256Digest::of(b"entry"),
        recipient_key_hash: Sha256Digest::of(b"recipient"),
        records: Vec::new(),
        collection: Some(CollectionSelector {
            collection: CARDIOLOGY,
            until: None,
        }),
        not_before: 1,
        not_after: 2,
        uses: 2,
        bytes: 1 << 30,
        request_hash: Sha256Digest::of(b"request"),
        possession_key: public(9),
        replaces: None,
        purpose: None,
        conditions: None,
        vault_head: Some(HEAD),
        delegation: None,
        emergency: None,
    }
}

impl Story {
    fn new() -> Self {
        let permission = permission();
        let permission_hash = Sha256Digest::of(&permission.encode());
        let fingerprint = Fingerprint::of(&public(OPERATOR), &public(REGISTRAR), None);
        Self {
            revocation: Revocation {
                created: 1,
                permission_id: permission.permission_id,
                permission_hash,
                patient_id: patient(),
            },
            closure: EpochClosure {
                created: 1,
                patient_id: patient(),
                collection_id: CARDIOLOGY.id,
                epoch: CARDIOLOGY.epoch,
            },
            releases: vec![vec![(1, 0, 2), (2, 5, 1)], vec![(2, 6, 4)]],
            told: 2,
            certificate: RevocationCertificate {
                created: 1,
                patient_id: patient(),
                permission_id: permission.permission_id,
                permission_hash,
                institution_id: institution(),
                released: leaves(&[(1, 0, 2), (2, 5, 5)]),
                exposed: vec![exposed(1), exposed(2), exposed(3)],
                closed: vec![CARDIOLOGY],
                resealed: vec![exposed(3)],
            },
            resealed: vec![3],
            permission,
            link: ServerLink::new("vault.example:443", fingerprint).unwrap(),
        }
    }

    fn release(&self, number: u8, handed_out: &[(u8, u32, u32)]) -> pb::CertifiedRelease {
        let mut hasher = ReleasedHasher::default();
        for leaves in leaves(handed_out) {
            hasher.add(&leaves).unwrap();
        }
        let body = ReleaseReceipt {
            created: 1,
            operator_id: self.permission.operator_id,
            release_id: ReleaseId::from_bytes([number; 16]),
            permission_id: self.permission.permission_id,
            patient_id: self.permission.patient_id,
            institution_id: self.permission.institution_id,
            bytes: 1,
            presentation_hash: Sha256Digest::of(b"presentation"),
            released_hash: hasher.finish(),
            vault_head: Some(HEAD),
        };
        pb::CertifiedRelease {
            receipt: Some(receipt(body)),
            versions: leaves(handed_out).iter().map(Into::into).collect(),
        }
    }

    fn file(&self) -> pb::CertificateFile {
        let releases: Vec<_> = (1..)
            .zip(&self.releases)
            .map(|(number, of)| self.release(number, of))
            .collect();
        let mut hasher = ReceiptsHasher::default();
        for release in &releases {
            let statement = release.receipt.as_ref().unwrap().statement.as_ref().unwrap();
            hasher.add(&Sha256Digest::of(&statement.body));
        }
        let revocation = by_device(self.revocation.clone());
        let account = RevocationReceipt {
            created: 1,
            operator_id: self.permission.operator_id,
            permission_id: self.permission.permission_id,
            patient_id: patient(),
            institution_id: institution(),
            revocation_hash: revocation.hash(),
            releases: self.told,
            releases_hash: hasher.finish(),
        };
        let closure = by_device(self.closure.clone());
        let wrap = SealedBytes {
            enc: vec![1; 1120].into(),
            ciphertext: vec![2; 80].into(),
        };
        let sign = |message: &[u8]| key(DEVICE).sign(message).to_bytes();
        let permission = SignedPermission::sign(self.permission.encode(), wrap, device(), sign).unwrap();
        pb::CertificateFile {
            certificate: Some((&by_device(self.certificate.clone())).into()),
            permission: Some((&permission).into()),
            revocation: Some((&revocation).into()),
            revocation_receipt: Some(receipt(account)),
            releases,
            closures: vec![pb::LoggedStatement {
                statement: Some((&closure).into()),
                proof: Some(proof(&closure.hash())),
            }],
            operator_key: Bytes::copy_from_slice(public(OPERATOR).as_bytes()),
            registrar_key: Bytes::copy_from_slice(public(REGISTRAR).as_bytes()),
            server_certificate: Bytes::new(),
            reseals: self.resealed.iter().map(|seed| receipt(reseal(*seed))).collect(),
        }
    }

    fn verify(&self) -> Result<VerifiedCertificate, Error> {
        VerifiedCertificate::verify(self.file(), &self.link)
    }
}

/// REV-7
#[test]
fn a_whole_certificate_is_believed() {
    let verified = Story::new().verify().unwrap();
    assert_eq!(verified.certificate.released, leaves(&[(1, 0, 2), (2, 5, 5)]));
    assert_eq!(verified.receipt.statement.releases, 2);
}

/// REV-7: each statement is rightly signed, and does not fit.
#[test]
fn what_does_not_fit_together_is_refused() {
    let changes: [Change<Story>; 15] = [
        ("another server", |story| {
            let other = Fingerprint::of(&public(OPERATOR), &public(9), None);
            story.link = ServerLink::new("vault.example:443", other).unwrap();
        }),
        ("another permission", |story| story.permission.uses += 1),
        ("another institution", |story| {
            story.certificate.institution_id = InstitutionId::from_bytes([6; 32]);
        }),
        ("another permission is revoked", |story| {
            story.revocation.permission_hash = Sha256Digest::of(b"another");
        }),
        ("a release too few", |story| drop(story.releases.pop())),
        ("a release too many", |story| story.releases.push(Vec::new())),
        ("the operator counts one less", |story| story.told -= 1),
        ("less was released", |story| {
            drop(story.certificate.released.pop())
        }),
        ("other leaves were released", |story| {
            story.certificate.released = leaves(&[(1, 0, 2), (2, 5, 4)]);
        }),
        ("more leaves were handed out", |story| {
            if let Some(release) = story.releases.first_mut() {
                release.push((4, 0, 1));
            }
        }),
        ("another epoch is closed", |story| story.closure.epoch += 1),
        ("no epoch is closed", |story| story.certificate.closed.clear()),
        ("the closed epoch is not the permission's", |story| {
            story.closure.epoch += 1;
            story.certificate.closed = vec![Collection {
                epoch: 4,
                ..CARDIOLOGY
            }];
        }),
        ("a released version is not exposed", |story| {
            story.certificate.exposed.remove(1);
        }),
        ("a version is exposed twice", |story| {
            story.certificate.exposed.push(exposed(3))
        }),
    ];
    for (what, change) in changes {
        let mut story = Story::new();
        change(&mut story);
        assert!(story.verify().is_err(), "{what}");
    }
}

/// REV-7: a permission that names its records gives away the data keys of all of them.
#[test]
fn what_a_permission_names_is_exposed() {
    let named = |seed| RecordSelector {
        record_id: RecordId::from_bytes([seed; 16]),
        version_id: version(seed),
        content_root: ContentRoot::from_bytes([seed; 32]),
        stream_len: 1096,
    };
    let story = |seeds: &[u8]| {
        let mut story = Story::new();
        story.permission.collection = None;
        story.permission.records = seeds.iter().copied().map(named).collect();
        let hash = Sha256Digest::of(&story.permission.encode());
        story.revocation.permission_hash = hash;
        story.certificate.permission_hash = hash;
        story
    };
    assert!(story(&[1, 2, 3]).verify().is_ok());
    assert!(story(&[1, 2, 4]).verify().is_err());
}

/// REV-7: what is signed or logged by somebody else.
#[test]
fn foreign_signatures_are_refused() {
    let changes: [Change<pb::CertificateFile>; 5] = [
        ("certificate", |file| {
            flip(file.certificate.as_mut().and_then(|one| one.statement.as_mut()))
        }),
        ("revocation", |file| {
            flip(file.revocation.as_mut().and_then(|one| one.statement.as_mut()))
        }),
        ("account", |file| {
            flip(
                file.revocation_receipt
                    .as_mut()
                    .and_then(|one| one.statement.as_mut()),
            );
        }),
        ("release", |file| {
            let release = file.releases.first_mut().and_then(|one| one.receipt.as_mut());
            flip(release.and_then(|one| one.statement.as_mut()));
        }),
        ("place in the log", |file| {
            let closure = file.closures.first_mut().and_then(|one| one.proof.as_mut());
            closure.unwrap().salt = Bytes::from_static(&[7; 16]);
        }),
    ];
    let story = Story::new();
    for (what, change) in changes {
        let mut file = story.file();
        change(&mut file);
        assert!(VerifiedCertificate::verify(file, &story.link).is_err(), "{what}");
    }
}

fn flip(statement: Option<&mut pb::Statement>) {
    let statement = statement.unwrap();
    statement.signature = Bytes::copy_from_slice(&sha256(&[&statement.signature]).repeat(2));
}

/// REV-10
#[test]
fn what_was_sealed_anew_was_exposed_and_has_its_receipt() {
    let changes: [Change<Story>; 5] = [
        ("had left", |story| {
            story.resealed = vec![1];
            story.certificate.resealed = vec![exposed(1)];
        }),
        ("no receipt", |story| story.resealed.clear()),
        ("another version's receipt", |story| story.resealed = vec![2]),
        ("not said", |story| story.certificate.resealed.clear()),
        ("was not exposed", |story| {
            story.resealed = vec![4];
            story.certificate.resealed = vec![exposed(4)];
        }),
    ];
    for (name, change) in changes {
        let mut story = Story::new();
        change(&mut story);
        assert!(matches!(story.verify(), Err(Error::Mismatch { .. })), "{name}");
    }
    // A record that was uploaded takes nobody's place, and another patient's is not hers.
    let receipts: [fn(&mut UploadReceipt); 2] = [
        |receipt| receipt.replaces = None,
        |receipt| receipt.patient_id = PatientId::from_bytes([9; 32]),
    ];
    for change in receipts {
        let mut file = Story::new().file();
        let mut stored = reseal(3);
        change(&mut stored);
        file.reseals = vec![receipt(stored)];
        let refused = VerifiedCertificate::verify(file, &Story::new().link);
        assert!(matches!(refused, Err(Error::Mismatch { .. })), "{refused:?}");
    }
}

const HEAD: HeadRef = HeadRef {
    sequence: 3,
    hash: Sha256Digest::from_bytes([0x77; 32]),
};
