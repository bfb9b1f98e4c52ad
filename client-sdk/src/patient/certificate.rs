//! The certificate of a revocation: put together from what the server shows and signs, checked as a stranger would
//! check it, then handed out. See `protocol-spec/spec/revocation.md` §4.

use std::collections::HashSet;

use bytes::Bytes;
use crypto::Collection;
use prost::Message;
use protocol_spec::{
    api::{self, PageQuery},
    bodies::{EpochClosure, ReleaseReceipt, RevocationCertificate},
    certificate::{ExposedVersion, VerifiedCertificate, decode_exposed, encode_exposed, join_released},
    defence::Defence,
    ids::{PermissionId, ReleaseId, VersionId},
    index::IndexEntry,
    link::ServerLink,
    log::{LoggedClaim, Receipt},
    messages::{self as pb, decode},
    permission::VerifiedPermission,
    released::VersionLeaves,
};

use crate::{
    Error, Result,
    patient::{
        catching_up, listing,
        reseal::{self, Resealed},
        ring,
        vault::{Vault, acts::hidden},
        wraps,
    },
};

/// The certificate of a revocation, and what followed from it.
#[derive(Clone, Debug)]
pub struct RevocationReport {
    /// The certificate, as a file to keep and to show.
    pub certificate: Vec<u8>,
    /// What the certificate says, as it was signed.
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
/// Errors: [`Error::Tampered`] says what does not fit.
pub fn verify_certificate(file: &[u8], link: &ServerLink) -> Result<VerifiedCertificate> {
    decode(file)
        .and_then(|file| VerifiedCertificate::verify(file, link))
        .map_err(tampered)
}

/// Signs what a revocation could not take back, with everything that it rests on.
pub(super) async fn certify(
    vault: &Vault,
    permission: &VerifiedPermission,
    revoked: pb::RevocationAnswer,
    mut exposed: Vec<ExposedVersion>,
    Released {
        releases,
        together: released,
    }: Released,
    closure: Option<(Collection, LoggedClaim<EpochClosure>)>,
) -> Result<RevocationReport> {
    add_handed_out(&mut exposed, &released);
    let handed_out: HashSet<VersionId> = released.iter().map(|leaves| leaves.version_id).collect();
    let kept = exposed.iter().filter(|one| !handed_out.contains(&one.version_id));
    let (resealed, reseals) = reseal::reseals(vault, kept).await?;
    let closure = closure.map(|(old, logged)| (old, logged.to_message()));
    let (closed, closures) = closure.into_iter().unzip();
    let says = RevocationCertificate {
        created: vault.session.system().now_ms(),
        patient_id: vault.id(),
        permission_id: permission.permission_id,
        permission_hash: permission.hash(),
        institution_id: permission.institution_id,
        released,
        exposed,
        closed,
        resealed,
    };
    let file = pb::CertificateFile {
        permission: Some(permission.to_message()),
        revocation: revoked.revocation,
        revocation_receipt: revoked.receipt,
        releases,
        closures,
        reseals,
        ..signed_file(vault, &says)
    };
    let certificate = file.encode_to_vec();
    // A server that keeps a release from her is found out here, not when somebody else checks.
    verify_certificate(&certificate, vault.session.server.link())?;
    Ok(RevocationReport {
        certificate,
        says,
        resealed: None,
    })
}

/// Adds what was moved elsewhere after it was handed out.
fn add_handed_out(exposed: &mut Vec<ExposedVersion>, released: &[VersionLeaves]) {
    exposed.extend(released.iter().map(|leaves| ExposedVersion {
        version_id: leaves.version_id,
        record_id: leaves.record_id,
    }));
    exposed.sort_unstable();
    exposed.dedup();
}

/// The file of a certificate, signed, with the keys of the server that it is about, and without what it rests on.
fn signed_file(vault: &Vault, says: &RevocationCertificate) -> pb::CertificateFile {
    let certificate = vault.keys.statement(says.clone());
    let server = &vault.session.server;
    pb::CertificateFile {
        certificate: Some((&certificate).into()),
        operator_key: Bytes::copy_from_slice(server.operator().as_bytes()),
        registrar_key: Bytes::copy_from_slice(server.registrar().as_bytes()),
        server_certificate: server
            .certificate()
            .map_or_else(Bytes::new, |digest| Bytes::copy_from_slice(digest.as_bytes())),
        ..pb::CertificateFile::default()
    }
}

/// What was handed out under a permission (REV-4).
pub(super) async fn released_under(vault: &Vault, permission: PermissionId) -> Result<Released> {
    let releases = certified_releases(vault, permission).await?;
    let handed_out = releases.iter().flat_map(|release| &release.versions);
    let handed_out = handed_out.map(|version| VersionLeaves::try_from(version.clone()));
    Ok(Released {
        together: join_released(handed_out.collect::<Result<Vec<_>, _>>()?),
        releases,
    })
}

/// The releases there were under a permission, each with what it handed out (REV-4).
async fn certified_releases(vault: &Vault, permission: PermissionId) -> Result<Vec<pb::CertifiedRelease>> {
    let mut releases = Vec::new();
    let path = api::PAST_RELEASES.ask([&permission], PageQuery::of(64));
    let mut pages = vault.session.server.pages(path);
    while let Some(list) = pages.next().await? {
        for past in list.releases {
            let receipt =
                Receipt::<ReleaseReceipt>::verify(past.receipt.clone(), vault.session.server.operator())
                    .map_err(tampered)?;
            releases.push(pb::CertifiedRelease {
                receipt: past.receipt,
                versions: released_ranges(vault, receipt.statement.release_id).await?,
            });
        }
    }
    Ok(releases)
}

pub(super) async fn released_ranges(vault: &Vault, release: ReleaseId) -> Result<Vec<pb::VersionRanges>> {
    let mut versions = Vec::new();
    let path = api::RELEASED_RANGES.ask([&release], PageQuery::of(256));
    let mut pages = vault.session.server.pages(path);
    while let Some(page) = pages.next().await? {
        versions.extend(page.versions);
    }
    Ok(versions)
}

/// The versions whose data keys a permission gave away. What lies in a collection is noted in the home before its
/// epoch is closed, because then nobody can tell any more.
pub(super) async fn exposed(vault: &Vault, permission: &VerifiedPermission) -> Result<Vec<ExposedVersion>> {
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
    let open = ring::is_open(vault, of).await?;
    // While it is open, what was noted before may be less than what lies there now.
    if let Some(kept) = vault.home().read(&path)?.filter(|_| !open) {
        return decode_exposed(&kept).map_err(|_| vault.home().damaged(&path));
    }
    // Also what the permission did not cover: the key opens all that lies under it.
    if !open {
        // Another device has closed it: what lies in the collection now is no less than what lay there then,
        // but for what was moved away.
        let current = vault.ring.get().current(of.id).map(|(current, _)| current);
        of = current.unwrap_or(of);
    }
    let mut versions = Vec::new();
    let mut pages = wraps::all_wraps(vault, of);
    while let Some(page) = pages.next().await? {
        for wrap in page.wraps {
            versions.push(ExposedVersion {
                version_id: wrap.version_id.as_ref().try_into()?,
                record_id: wrap.record_id.as_ref().try_into()?,
            });
        }
    }
    check_exposed(vault, of, &versions).await?;
    versions.sort_unstable_by_key(|one| one.version_id);
    vault.home().make_folder(EXPOSED)?;
    vault.home().write(&path, &encode_exposed(&versions))?;
    Ok(versions)
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the certificate")(cause)
}

const EXPOSED: &str = "exposed";

/// Whether what is said to lie under an epoch of a collection is all that was placed there while it was the current
/// one, and still lies there: the certificate of a revocation must not leave out what its key opens (REV-7).
pub(super) async fn check_exposed(vault: &Vault, of: Collection, exposed: &[ExposedVersion]) -> Result<()> {
    if Defence::VaultHeads.is_off() {
        return Ok(());
    }
    let listed = listing::listing(vault).await?.entries;
    let numbers = catching_up::known_acts(vault)
        .await?
        .acts()
        .placed_under(of.id, of.epoch);
    let named: HashSet<VersionId> = exposed.iter().map(|one| one.version_id).collect();
    let under = |entry: &&IndexEntry| entry.collection_id == of.id && numbers.contains(&entry.number);
    let missing = |entry: &&IndexEntry| !named.contains(&entry.version_id);
    match listed.iter().filter(under).find(missing) {
        Some(entry) => Err(hidden(format!(
            "{} lies under the key that is taken back, and is not shown there",
            entry.record_id
        ))),
        None => Ok(()),
    }
}
