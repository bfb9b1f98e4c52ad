//! What institutions ask patients: download and reference requests, verified by the directory and opened.

use std::sync::Arc;

use crypto::{RecipientSecret, TextContext, open_text};
use protocol_spec::{
    bodies::{DownloadRequest, ReferenceRequest},
    field::{ReadsAs, SealedBytes},
    hash::Sha256Digest,
    ids::{InstitutionId, OperatorId, PatientId, RequestId},
    permission::{Kind, PermissionBody},
    purpose::Purpose,
    statement::{Signed, Timestamped, Verified},
};

use super::{met::Meanings, mirror::Mirror};
use crate::{DirectoryEntry, Error, Result};

/// A request whose signature is that of the institution in it.
pub(crate) struct Asked {
    /// Of the permission that would answer it.
    pub(crate) kind: Kind,
    pub(crate) request_id: RequestId,
    /// The institution that has asked.
    pub(crate) asker: DirectoryEntry,
    /// Who would receive: the asker, or the second institution.
    pub(crate) receiver: InstitutionId,
    /// SHA-256 of the body of the request.
    pub(crate) hash: Sha256Digest,
    /// When it ends, in milliseconds since 1970.
    pub(crate) expires: u64,
    /// Of the vault key that the text is sealed to.
    pub(crate) root_epoch: u64,
    /// What for, as the asker says.
    pub(crate) purpose: Option<Purpose>,
    operator_id: OperatorId,
    patient_id: PatientId,
    text: SealedBytes,
}

/// Verifies requests by the directory.
pub(crate) struct Asks {
    met: Arc<Meanings>,
    mirror: Arc<Mirror>,
}

impl Asks {
    pub(crate) fn new(met: Arc<Meanings>, mirror: Arc<Mirror>) -> Self {
        Self { met, mirror }
    }

    pub(crate) async fn download(&self, request: impl ReadsAs<Signed<DownloadRequest>>) -> Result<Asked> {
        let asker = |request: &DownloadRequest| request.institution_id;
        let (request, asker) = self.verify_by(request, asker).await?;
        let asked = Asked {
            kind: Kind::Download,
            request_id: request.request_id,
            hash: request.hash(),
            expires: request.expires,
            root_epoch: request.root_epoch,
            receiver: asker.id(),
            asker,
            purpose: request.purpose,
            operator_id: request.operator_id,
            patient_id: request.patient_id,
            text: request.text.clone(),
        };
        self.met.request(asked.request_id, &asked.hash)?;
        Ok(asked)
    }

    pub(crate) async fn reference(&self, request: impl ReadsAs<Signed<ReferenceRequest>>) -> Result<Asked> {
        let asker = |request: &ReferenceRequest| request.institution_id;
        let (request, asker) = self.verify_by(request, asker).await?;
        let asked = Asked {
            kind: Kind::Reference,
            request_id: request.request_id,
            hash: request.hash(),
            expires: request.expires,
            root_epoch: request.root_epoch,
            receiver: request.second_institution_id,
            asker,
            purpose: request.purpose,
            operator_id: request.operator_id,
            patient_id: request.patient_id,
            text: request.text.clone(),
        };
        self.met.request(asked.request_id, &asked.hash)?;
        Ok(asked)
    }

    /// Verifies a statement by the key of the institution that it names.
    async fn verify_by<T: Timestamped>(
        &self,
        statement: impl ReadsAs<Signed<T>>,
        claimed: impl Fn(&T) -> InstitutionId,
    ) -> Result<(Verified<T>, DirectoryEntry)> {
        let signed = statement.try_into().map_err(Error::tampered(WHAT))?;
        let asker = self.mirror.institution(claimed(signed.claimed())).await?;
        Ok((signed.verify_by(&asker).map_err(Error::tampered(WHAT))?, asker))
    }
}

impl Asked {
    /// The text, if the request is for this patient of this server. That it opens proves that it was sealed
    /// for her in this very request.
    pub(crate) fn open(
        &self,
        patient: PatientId,
        key: &RecipientSecret,
        operator: OperatorId,
    ) -> Result<String> {
        self.check_for(patient, operator)?;
        let context = TextContext::to_patient(self.request_id, &self.asker.id(), &patient);
        open_text(key, &context, &self.text).map_err(Error::tampered(WHAT))
    }

    /// Whether it is for this patient of this server.
    pub(crate) fn check_for(&self, patient: PatientId, operator: OperatorId) -> Result<()> {
        if self.patient_id == patient && self.operator_id == operator {
            Ok(())
        } else {
            Err(Error::tampered(WHAT)("it is for somebody else"))
        }
    }

    /// Whether this is what the permission answers, and the patient asked is the one who signed it.
    pub(crate) fn answered_by(&self, permission: &PermissionBody) -> bool {
        permission.request_hash == self.hash
            && permission.kind == self.kind
            && permission.patient_id == self.patient_id
            && permission.institution_id == self.receiver
    }
}

const WHAT: &str = "the request";
