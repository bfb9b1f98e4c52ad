//! The certificate of a revocation: what had left before, which epochs are closed, what remains exposed. Whoever has
//! it and the server's link checks it without asking anybody. See `spec/revocation.md` §4.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

pub use crate::parts::exposed::ExposedVersion;
use crate::{
    Error,
    bodies::{
        EpochClosure, ReleaseReceipt, Revocation, RevocationCertificate, RevocationReceipt, UploadReceipt,
    },
    collection::Collection,
    error::must,
    field::Field,
    ids::{RecordId, VersionId},
    keys::IdentityKey,
    link::ServerLink,
    log::{Logged, Receipt},
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    permission::{Kind, SignedPermission, VerifiedPermission},
    released::{LeafRanges, ReceiptsHasher, ReleasedHasher, VersionLeaves},
};

/// Exposed versions as a home keeps them: the message of a certificate that has nothing else.
pub fn encode_exposed(exposed: &[ExposedVersion]) -> Vec<u8> {
    let message = pb::RevocationCertificateBody {
        exposed: exposed.iter().map(Field::write).collect(),
        ..pb::RevocationCertificateBody::default()
    };
    message.encode_to_vec()
}

/// Exposed versions as a home has kept them.
///
/// # Errors
/// [`Error::Decode`], or the field that is malformed.
pub fn decode_exposed(bytes: &[u8]) -> Result<Vec<ExposedVersion>, Error> {
    let message: pb::RevocationCertificateBody = pb::decode(bytes)?;
    Field::read(message.exposed, "exposed")
}

/// What under a permission was handed out, in all its releases.
pub fn join_released(releases: impl IntoIterator<Item = VersionLeaves>) -> Vec<VersionLeaves> {
    let mut all: BTreeMap<VersionId, (RecordId, LeafRanges)> = BTreeMap::new();
    for leaves in releases {
        let (_, ranges) = all
            .entry(leaves.version_id)
            .or_insert_with(|| (leaves.record_id, LeafRanges::default()));
        ranges.join(&leaves.leaves);
    }
    let version = |(version_id, (record_id, leaves))| VersionLeaves {
        version_id,
        record_id,
        leaves,
    };
    all.into_iter().map(version).collect()
}

/// A certificate that has been verified with everything that it rests on.
#[derive(Clone, Debug)]
pub struct VerifiedCertificate {
    /// The certificate itself, verified with the chain of its device.
    pub certificate: PatientVerified<RevocationCertificate>,
    /// The permission that was revoked.
    pub permission: VerifiedPermission,
    /// What the operator said when the revocation had taken hold.
    pub receipt: Receipt<RevocationReceipt>,
}

impl VerifiedCertificate {
    /// Checks a certificate against the link of the server that it is about (REV-7). The error is the first thing
    /// that does not verify or does not fit.
    pub fn verify(file: pb::CertificateFile, link: &ServerLink) -> Result<Self, Error> {
        let operator = operator(&file, link)?;
        let certificate = PatientSigned::<RevocationCertificate>::try_from(file.certificate)?.verify()?;
        let permission = SignedPermission::try_from(file.permission)?.verify()?;
        let revocation = PatientSigned::<Revocation>::try_from(file.revocation)?.verify()?;
        let receipt = Receipt::<RevocationReceipt>::verify(file.revocation_receipt, &operator)?;
        let patient = certificate.patient_id;
        must(
            permission.patient_id == patient
                && permission.permission_id == certificate.permission_id
                && permission.hash() == certificate.permission_hash
                && permission.institution_id == certificate.institution_id,
            "certificate and permission",
        )?;
        must(
            revocation.patient_id == patient
                && revocation.permission_hash == permission.hash()
                && receipt.statement.permission_id == permission.permission_id
                && receipt.statement.patient_id == patient
                && receipt.statement.revocation_hash == revocation.hash(),
            "certificate and revocation",
        )?;
        let released = check_releases(file.releases, &permission, &receipt.statement, &operator)?;
        must(
            released == certificate.released,
            "certificate and what was released",
        )?;
        let closed = check_closures(file.closures, &permission, &operator)?;
        must(closed == certificate.closed, "certificate and closed epochs")?;
        check_exposed(&certificate, &permission)?;
        let resealed = check_reseals(file.reseals, &permission, &operator)?;
        must(
            resealed == certificate.resealed
                && resealed.iter().all(|version| {
                    let left = certificate.released.iter();
                    certificate.exposed.contains(version)
                        && !left
                            .map(|leaves| leaves.version_id)
                            .any(|left| left == version.version_id)
                }),
            "certificate and what was sealed anew",
        )?;
        Ok(Self {
            certificate,
            permission,
            receipt,
        })
    }
}

/// The operator's key, if the link covers it.
fn operator(file: &pb::CertificateFile, link: &ServerLink) -> Result<IdentityKey, Error> {
    let shown = [&file.operator_key, &file.registrar_key, &file.server_certificate];
    let keys = link.keys(shown.map(AsRef::as_ref))?;
    let (operator, _) = keys.ok_or(Error::Mismatch {
        what: "certificate and server link",
    })?;
    Ok(operator)
}

/// All releases that the operator speaks of, each with what it handed out; gives all of it together.
fn check_releases(
    releases: Vec<pb::CertifiedRelease>,
    permission: &VerifiedPermission,
    said: &RevocationReceipt,
    operator: &IdentityKey,
) -> Result<Vec<VersionLeaves>, Error> {
    let (mut receipts, mut all, mut count) = (ReceiptsHasher::default(), Vec::new(), 0_u32);
    for release in releases {
        let receipt = Receipt::<ReleaseReceipt>::verify(release.receipt, operator)?;
        let own = receipt.statement.permission_id == permission.permission_id
            && receipt.statement.patient_id == permission.patient_id
            && (receipt.statement.institution_id == permission.institution_id
                || permission.kind == Kind::Emergency);
        must(own, "release and permission")?;
        let mut hasher = ReleasedHasher::default();
        for version in release.versions {
            let leaves = VersionLeaves::try_from(version)?;
            hasher.add(&leaves)?;
            all.push(leaves);
        }
        must(
            hasher.finish() == receipt.statement.released_hash,
            "release and its leaves",
        )?;
        receipts.add(&receipt.statement.hash());
        count = count.saturating_add(1);
    }
    must(
        count == said.releases && receipts.finish() == said.releases_hash,
        "releases and the operator's account of them",
    )?;
    Ok(join_released(all))
}

fn check_closures(
    closures: Vec<pb::LoggedStatement>,
    permission: &VerifiedPermission,
    operator: &IdentityKey,
) -> Result<Vec<Collection>, Error> {
    closures
        .into_iter()
        .map(|closure| {
            let closure = Logged::<EpochClosure>::verify(closure, operator)?.statement;
            must(closure.patient_id == permission.patient_id, "closure and patient")?;
            Ok(Collection {
                id: closure.collection_id,
                epoch: closure.epoch,
            })
        })
        .collect()
}

/// The versions in whose places others were put (REV-10).
fn check_reseals(
    receipts: Vec<pb::Receipt>,
    permission: &VerifiedPermission,
    operator: &IdentityKey,
) -> Result<Vec<ExposedVersion>, Error> {
    receipts
        .into_iter()
        .map(|receipt| {
            let stored = Receipt::<UploadReceipt>::verify(Some(receipt), operator)?.statement;
            must(stored.patient_id == permission.patient_id, "reseal and patient")?;
            let what = "reseal and the version it replaces";
            Ok(ExposedVersion {
                version_id: stored.replaces.ok_or(Error::Mismatch { what })?,
                record_id: stored.record_id,
            })
        })
        .collect()
}

/// What names its records tells which data keys it gave away, and a collection's epoch is closed.
fn check_exposed(certificate: &RevocationCertificate, permission: &VerifiedPermission) -> Result<(), Error> {
    let exposed: BTreeSet<VersionId> = certificate.exposed.iter().map(|one| one.version_id).collect();
    must(exposed.len() == certificate.exposed.len(), "exposed versions")?;
    let all = permission.records.iter().map(|record| record.version_id);
    let handed_out = certificate.released.iter().map(|leaves| leaves.version_id);
    must(
        all.chain(handed_out).all(|version| exposed.contains(&version)),
        "exposed versions and the permission",
    )?;
    let over = permission.collection.map(|selector| selector.collection);
    let closed = over.is_none_or(|collection| certificate.closed.contains(&collection));
    must(closed, "closed epochs and the permission")
}

#[cfg(test)]
mod tests;
