//! What was asked for, permitted and revoked.

use super::{Grounds, UsedPermission, Walk, ensure};
use crate::{
    Error,
    bodies::{Denial, DownloadRequest, ReferenceRequest, Revocation, UploadRequest},
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId, PermissionId},
    lifecycle::ShownUses,
    patient::{Device, PatientVerified},
    permission::{Kind, VerifiedPermission},
};

/// What a permission must agree on with the request that it answers (FLW-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedFor {
    /// Of the permission that would answer it.
    pub kind: Kind,
    /// Who is asked, or asks.
    pub patient_id: PatientId,
    /// The institution that would be permitted.
    pub institution_id: InstitutionId,
}

impl From<&UploadRequest> for AskedFor {
    fn from(request: &UploadRequest) -> Self {
        Self {
            kind: Kind::Upload,
            patient_id: request.patient_id,
            institution_id: request.institution_id,
        }
    }
}

impl From<&DownloadRequest> for AskedFor {
    fn from(request: &DownloadRequest) -> Self {
        Self {
            kind: Kind::Download,
            patient_id: request.patient_id,
            institution_id: request.institution_id,
        }
    }
}

impl From<&ReferenceRequest> for AskedFor {
    fn from(request: &ReferenceRequest) -> Self {
        Self {
            kind: Kind::Reference,
            patient_id: request.patient_id,
            institution_id: request.second_institution_id,
        }
    }
}

impl<G: Grounds> Walk<G> {
    /// An institution asked; `hash` is that of its statement.
    pub fn requested(&mut self, hash: Sha256Digest, asked: AskedFor) -> Result<(), Error> {
        self.of_patient(asked.patient_id)?;
        self.counts.statements += 1;
        self.requests.insert(hash, asked);
        Ok(())
    }

    /// The patient asked an institution to upload.
    pub fn upload_requested(&mut self, request: &PatientVerified<UploadRequest>) -> Result<(), Error> {
        self.grounds.device(request.device())?;
        self.requested(request.hash(), AskedFor::from(&**request))
    }

    /// She, or a delegate, permitted; the server received it at `at`. A request that comes before it, and that it names, is of
    /// the same kind, patient and institution (FLW-2).
    pub fn permitted(&mut self, permission: VerifiedPermission, at: u64) -> Result<(), Error> {
        self.of_patient(permission.patient_id)?;
        self.signer(permission.device(), permission.delegation(), at)?;
        let answers = AskedFor {
            kind: permission.kind,
            patient_id: permission.patient_id,
            institution_id: permission.institution_id,
        };
        let asked = self.requests.get(&permission.request_hash);
        let fits = asked.is_none_or(|asked| *asked == answers);
        ensure(fits, "the request that it answers asks for something else")?;
        let id = permission.permission_id;
        ensure(
            !self.permissions.contains_key(&id),
            "it stands here a second time",
        )?;
        let permitted = UsedPermission {
            permission,
            uses: ShownUses::default(),
            revoked: false,
            bytes: 0,
        };
        self.permissions.insert(id, permitted);
        self.counts.statements += 1;
        Ok(())
    }

    /// She, or a delegate, denied a request; the server received it at `at`.
    pub fn denied(&mut self, denial: &PatientVerified<Denial>, at: u64) -> Result<(), Error> {
        self.of_patient(denial.patient_id)?;
        self.signer(denial.device(), denial.delegation(), at)?;
        self.counts.statements += 1;
        Ok(())
    }

    /// A device of hers said something to an institution about its permission, which comes before it (NOTE-4): a note, or whatever
    /// else changes nothing. Gives the permission.
    pub fn said_about(
        &mut self,
        device: &Device,
        to: InstitutionId,
        (id, hash): (PermissionId, Sha256Digest),
    ) -> Result<&VerifiedPermission, Error> {
        self.grounds.device(device)?;
        let permission = self.permission(id)?;
        let about = hash == permission.hash() && to == permission.institution_id;
        ensure(about, "it is about another permission")?;
        self.counts.statements += 1;
        self.permission(id)
    }

    /// She revoked a permission, which she names by its hash. Gives the permission.
    pub fn revoked(
        &mut self,
        revocation: &PatientVerified<Revocation>,
    ) -> Result<&VerifiedPermission, Error> {
        self.of_patient(revocation.patient_id)?;
        self.grounds.device(revocation.device())?;
        let permitted = self.permitted_mut(revocation.permission_id)?;
        let same = revocation.permission_hash == permitted.permission.hash();
        ensure(same, "it revokes another permission")?;
        ensure(!permitted.revoked, "its permission was revoked before")?;
        permitted.revoked = true;
        self.counts.statements += 1;
        self.permission(revocation.permission_id)
    }
}
