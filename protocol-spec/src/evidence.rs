//! What proves a presentation long after it was made: both signatures over the request as it came. See `spec/permission.md` §4.

use prost::Message;

use crate::{
    Error,
    bodies::TerminalCertificate,
    directory::Institution,
    hash::Sha256Digest,
    keys::IdentityKey,
    messages as pb,
    permission::VerifiedPermission,
    request::content_digest,
    statement::{Signed, Verified},
};

/// A presentation that both keys have signed.
#[derive(Clone, Debug)]
pub struct ProvenPresentation {
    /// The presentation that was signed, as it came.
    pub presentation: pb::Presentation,
    /// SHA-256 of the evidence, by which tickets and receipts name it.
    pub hash: Sha256Digest,
    /// The terminal that presented, if one did.
    pub terminal: Option<Verified<TerminalCertificate>>,
}

impl ProvenPresentation {
    /// Checks that the permission's possession key and a key of the institution signed this very presentation: its path
    /// names the permission, its digest the body (PRM-10). Fails with [`Error::Mismatch`]
    /// when something else was signed.
    pub fn verify(
        presented: &pb::Presented,
        permission: &VerifiedPermission,
        institution: &Institution,
    ) -> Result<Self, Error> {
        let missing = Error::Field { field: "evidence" };
        let evidence = presented.evidence.as_ref().ok_or(missing)?;
        let terminal = match &presented.terminal {
            Some(certificate) => {
                let certificate = Signed::try_from(certificate.clone())?;
                Some(institution.verify_terminal(certificate)?)
            }
            None => None,
        };
        let by = terminal
            .as_ref()
            .map_or(institution.identity_key(), |terminal| &terminal.terminal_key);
        let request = Request {
            path: format!(
                "\"@path\": /v1/permissions/{}/presentation\n",
                permission.permission_id
            ),
            digest: format!(
                "\n\"content-digest\": {}\n",
                content_digest(&presented.presentation)
            ),
        };
        request.check(&evidence.signature_base_id, &evidence.signature_id, by)?;
        request.check(
            &evidence.signature_base_pop,
            &evidence.signature_pop,
            &permission.possession_key,
        )?;
        Ok(Self {
            presentation: pb::decode(&presented.presentation)?,
            hash: Sha256Digest::of(&evidence.encode_to_vec()),
            terminal,
        })
    }
}

/// Lines that a signature base must hold.
struct Request {
    path: String,
    digest: String,
}

impl Request {
    fn check(&self, base: &[u8], signature: &[u8], key: &IdentityKey) -> Result<(), Error> {
        let signature = signature
            .try_into()
            .map_err(|_| Error::Field { field: "signature" })?;
        key.verify(base, signature)?;
        let base = std::str::from_utf8(base).unwrap_or_default();
        if base.contains(&self.path) && base.contains(&self.digest) {
            Ok(())
        } else {
            Err(Error::Mismatch {
                what: "evidence and presentation",
            })
        }
    }
}
