//! The certificate of a revocation: put together from what the server shows and signs, checked as a stranger would
//! check it, then handed out. See `protocol-spec/spec/revocation.md` §4.

use std::collections::HashSet;

use bytes::Bytes;
use crypto::Collection;
use prost::Message;
use protocol_spec::{
    api,
    bodies::{ReleaseReceipt, RevocationCertificate},
    certificate::{ExposedVersion, VerifiedCertificate, join_released},
    ids::{PermissionId, ReleaseId, VersionId},
    link::ServerLink,
    log::Receipt,
    messages as pb,
    patient::PatientSigned,
    permission::VerifiedPermission,
    released::VersionLeaves,
    statement::Signed,
};

use super::{Patient, Resealed};
use crate::{Error, Result, home::make_folder, mint};

/// What a revocation came to.
#[derive(Clone, Debug)]
pub struct RevocationReport {
    /// The certificate, as a file to keep and to show.
    pub certificate: Vec<u8>,
    /// What it says.
    pub says: RevocationCertificate,
    /// What was sealed anew, if that was wanted.
    pub resealed: Option<Resealed>,
}

/// All releases that there were under a permission.
pub(super) struct Released {
    releases: Vec<pb::CertifiedRelease>,
    together: Vec<VersionLeaves>,
}

impl Released {
    /// Versions of which something was handed out.
    pub(super) fn versions(&self) -> impl Iterator<Item = VersionId> {
        self.together.iter().map(|leaves| leaves.version_id)
    }
}

/// Checks a certificate with nothing but the link of the server that it is about.
///
/// # Errors
/// [`Error::Tampered`] says what does not fit.
pub fn verify_certificate(file: &[u8], link: &ServerLink) -> Result<VerifiedCertificate> {
    let file: pb::CertificateFile = protocol_spec::messages::decode(file).map_err(tampered)?;
    VerifiedCertificate::verify(file, link).map_err(tampered)
}

impl Patient {
    /// Signs what a revocation could not take back, with everything that it rests on.
    pub(super) async fn certify(
        &self,
        permission: &VerifiedPermission,
        revoked: pb::RevocationAnswer,
        mut exposed: Vec<ExposedVersion>,
        Released {
            releases,
            together: released,
        }: Released,
        closure: Option<(Collection, pb::LoggedStatement)>,
    ) -> Result<RevocationReport> {
        // Also what was moved elsewhere after it was handed out.
        exposed.extend(released.iter().map(|leaves| ExposedVersion {
            version_id: leaves.version_id,
            record_id: leaves.record_id,
        }));
        exposed.sort_unstable();
        exposed.dedup();
        let handed_out: HashSet<VersionId> = released.iter().map(|leaves| leaves.version_id).collect();
        let kept = exposed.iter().filter(|one| !handed_out.contains(&one.version_id));
        let (resealed, reseals) = self.reseals(kept).await?;
        let (closed, closures) = closure.into_iter().unzip();
        let says = RevocationCertificate {
            created: mint::now_ms(),
            patient_id: self.id(),
            permission_id: permission.permission_id,
            permission_hash: permission.hash(),
            institution_id: permission.institution_id,
            released,
            exposed,
            closed,
            resealed,
        };
        let signed = Signed::sign(says.clone(), |message| self.keys.sign(message));
        let certificate = PatientSigned::new(signed, self.keys.chain.clone());
        let server = &self.session.server;
        let file = pb::CertificateFile {
            certificate: Some((&certificate).into()),
            permission: Some(permission.to_message()),
            revocation: revoked.revocation,
            revocation_receipt: revoked.receipt,
            releases,
            closures,
            reseals,
            operator_key: Bytes::copy_from_slice(server.operator().as_bytes()),
            registrar_key: Bytes::copy_from_slice(server.registrar().as_bytes()),
            server_certificate: server
                .certificate()
                .map_or_else(Bytes::new, |digest| Bytes::copy_from_slice(digest.as_bytes())),
        };
        let certificate = file.encode_to_vec();
        // A server that keeps a release from her is found out here, not when somebody else checks.
        verify_certificate(&certificate, server.link())?;
        Ok(RevocationReport {
            certificate,
            says,
            resealed: None,
        })
    }

    /// What was handed out under a permission (REV-4).
    pub(super) async fn released_under(&self, permission: PermissionId) -> Result<Released> {
        let releases = self.certified_releases(permission).await?;
        let handed_out = releases.iter().flat_map(|release| &release.versions);
        let handed_out = handed_out.map(|version| VersionLeaves::try_from(version.clone()));
        Ok(Released {
            together: join_released(handed_out.collect::<Result<Vec<_>, _>>()?),
            releases,
        })
    }

    /// The releases there were under a permission, each with what it handed out (REV-4).
    async fn certified_releases(&self, permission: PermissionId) -> Result<Vec<pb::CertifiedRelease>> {
        let mut releases = Vec::new();
        let path = api::PAST_RELEASES.at([&permission]).with("limit", &64);
        let mut pages = self.session.server.pages(path);
        while let Some(list) = pages.next().await? {
            for past in list.releases {
                let receipt =
                    Receipt::<ReleaseReceipt>::verify(past.receipt.clone(), self.session.server.operator())
                        .map_err(tampered)?;
                releases.push(pb::CertifiedRelease {
                    receipt: past.receipt,
                    versions: self.released_ranges(receipt.statement.release_id).await?,
                });
            }
        }
        Ok(releases)
    }

    pub(super) async fn released_ranges(&self, release: ReleaseId) -> Result<Vec<pb::VersionRanges>> {
        let mut versions = Vec::new();
        let path = api::RELEASED_RANGES.at([&release]).with("limit", &256);
        let mut pages = self.session.server.pages(path);
        while let Some(page) = pages.next().await? {
            versions.extend(page.versions);
        }
        Ok(versions)
    }

    /// The versions whose data keys a permission gave away. What lies in a collection is noted in the home before its
    /// epoch is closed, because then nobody can tell any more.
    pub(super) async fn exposed(&self, permission: &VerifiedPermission) -> Result<Vec<ExposedVersion>> {
        let Some(selector) = &permission.collection else {
            let mut named: Vec<_> = permission
                .records
                .iter()
                .map(|record| ExposedVersion {
                    version_id: record.version_id,
                    record_id: record.record_id,
                })
                .collect();
            named.sort_unstable();
            return Ok(named);
        };
        let path = format!("{EXPOSED}/{}.pb", permission.permission_id);
        let mut of = selector.collection;
        let open = self.is_open(of).await?;
        // While it is open, what was noted before may be less than what lies there now.
        if let Some(kept) = self.home().read(&path)?.filter(|_| !open) {
            let kept: pb::RevocationCertificateBody =
                protocol_spec::messages::decode(&kept).map_err(|_| self.home().damaged(&path))?;
            return kept.exposed.into_iter().map(exposed).collect();
        }
        // Also what the permission did not cover: the key opens all that lies under it.
        if !open {
            // Another device has closed it: what lies in the collection now is no less than what lay there then,
            // but for what was moved away.
            let current = self.ring.lock().await.current(of.id).map(|(current, _)| current);
            of = current.unwrap_or(of);
        }
        let mut versions = Vec::new();
        let mut pages = self.all_wraps(of);
        while let Some(page) = pages.next().await? {
            versions.extend(page.wraps.into_iter().map(|wrap| pb::ExposedVersion {
                version_id: wrap.version_id,
                record_id: wrap.record_id,
            }));
        }
        self.check_exposed(of, &versions).await?;
        versions.sort_unstable_by(|left, right| left.version_id.cmp(&right.version_id));
        let kept = pb::RevocationCertificateBody {
            exposed: versions,
            ..pb::RevocationCertificateBody::default()
        };
        make_folder(&self.home().path(EXPOSED))?;
        self.home().write(&path, &kept.encode_to_vec())?;
        kept.exposed.into_iter().map(exposed).collect()
    }
}

fn exposed(message: pb::ExposedVersion) -> Result<ExposedVersion> {
    Ok(ExposedVersion {
        version_id: message.version_id.as_ref().try_into()?,
        record_id: message.record_id.as_ref().try_into()?,
    })
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the certificate")(cause)
}

const EXPOSED: &str = "exposed";
