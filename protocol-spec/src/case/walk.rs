//! The entries of a case: each is verified by its makers' signatures, then held against those before it by the walk that
//! whole histories are read by, too.

use super::{Bundled, CaseError, CaseEvent, CaseWhat};
use crate::{
    Error,
    bodies::{DownloadRequest, ReferenceRequest, ReleaseReceipt, Revocation, UploadReceipt, UploadRequest},
    delegation::VerifiedDelegation,
    directory::Institution,
    error::must,
    hash::Sha256Digest,
    history::{AskedFor, Grounds, SessionTicket, Walk},
    ids::{InstitutionId, RequestId, TerminalId},
    log::Receipt,
    messages as pb,
    patient::{Device, PatientSigned},
    permission::{SignedPermission, VerifiedPermission},
    purpose::Purpose,
    statement::Signed,
};

use pb::history_entry::What;

/// Goes through all of them (CAS-3).
pub(super) fn walk(
    entries: &[pb::HistoryEntry],
    bundled: &Bundled,
    permission: &VerifiedPermission,
) -> Result<Vec<CaseEvent>, CaseError> {
    let mut case = CaseWalk {
        walk: Walk::new(permission.patient_id, bundled),
        permission,
        begun: false,
    };
    let mut before = 0;
    let mut events = Vec::with_capacity(entries.len());
    for entry in entries {
        let number = entry.number;
        let at_entry = |error| CaseError {
            entry: Some(number),
            error,
        };
        must(number > before, "order of the entries").map_err(at_entry)?;
        before = number;
        let (at, what) = case.entry(entry.what.as_ref()).map_err(at_entry)?;
        events.push(CaseEvent { number, at, what });
    }
    Ok(events)
}

/// What happened, and when, as it was signed.
type Dated = (u64, CaseWhat);

struct CaseWalk<'a> {
    walk: Walk<&'a Bundled>,
    permission: &'a VerifiedPermission,
    /// Whether the request has been read, which stands first.
    begun: bool,
}

impl CaseWalk<'_> {
    fn entry(&mut self, what: Option<&What>) -> Result<Dated, Error> {
        match what {
            Some(What::UploadRequested(statement)) => self.upload_requested(statement),
            Some(What::DownloadRequested(statement)) => self.download_requested(statement),
            Some(What::ReferenceRequested(statement)) => self.reference_requested(statement),
            Some(What::Permitted(permission)) => self.permitted(permission),
            Some(What::Presented(presented)) => self.presented(presented),
            Some(What::Stored(receipt)) => self.stored(receipt),
            Some(What::Released(receipt)) => self.released(receipt),
            Some(What::Revoked(statement)) => self.revoked(statement),
            _ => Err(Error::Mismatch {
                what: "case and kind of entry",
            }),
        }
    }

    fn upload_requested(&mut self, statement: &pb::PatientStatement) -> Result<Dated, Error> {
        let request = PatientSigned::<UploadRequest>::try_from(statement.clone())?.verify()?;
        self.begin(request.hash())?;
        self.walk.upload_requested(&request)?;
        Ok(requested(request.created, request.request_id))
    }

    fn download_requested(&mut self, statement: &pb::Statement) -> Result<Dated, Error> {
        let asker = self.walk.grounds.institution(asker_of_download(statement)?)?;
        let request = Signed::<DownloadRequest>::try_from(statement.clone())?.verify_by(asker)?;
        self.begin(request.hash())?;
        self.walk.requested(request.hash(), AskedFor::from(&*request))?;
        Ok(requested(request.created, request.request_id))
    }

    fn reference_requested(&mut self, statement: &pb::Statement) -> Result<Dated, Error> {
        let asker = self.walk.grounds.institution(asker_of_reference(statement)?)?;
        let request = Signed::<ReferenceRequest>::try_from(statement.clone())?.verify_by(asker)?;
        self.begin(request.hash())?;
        self.walk.requested(request.hash(), AskedFor::from(&*request))?;
        Ok(requested(request.created, request.request_id))
    }

    /// The request comes first, once, and is the one that the permission answers (FLW-2).
    fn begin(&mut self, hash: Sha256Digest) -> Result<(), Error> {
        let first = !std::mem::replace(&mut self.begun, true);
        must(
            first && hash == self.permission.request_hash,
            "request and permission",
        )
    }

    fn permitted(&mut self, permission: &pb::Permission) -> Result<Dated, Error> {
        let permission = SignedPermission::try_from(Some(permission.clone()))?.verify()?;
        must(
            self.begun && permission.hash() == self.permission.hash(),
            "case and permission",
        )?;
        let created = permission.created;
        let permitted = match permission.delegation() {
            Some(_) => CaseWhat::PermittedByDelegate,
            None => CaseWhat::Permitted,
        };
        self.walk.permitted(permission, created)?;
        Ok((created, permitted))
    }

    /// By both keys, in the time permitted, for the purpose permitted (CAS-4).
    fn presented(&mut self, presented: &pb::Presented) -> Result<Dated, Error> {
        let opened = SessionTicket::verify(presented, &self.walk.grounds.operator)?;
        let proven = self.walk.presented(presented, &opened)?;
        let presented = CaseWhat::Presented {
            terminal: proven
                .terminal
                .map(|terminal| TerminalId::from(&terminal.terminal_key)),
            purpose: Purpose::read(proven.presentation.purpose)?,
        };
        Ok((opened.at(), presented))
    }

    /// What a session of the permission has stored, and nothing that was sealed anew (CAS-5).
    fn stored(&mut self, receipt: &pb::Receipt) -> Result<Dated, Error> {
        let operator = &self.walk.grounds.operator;
        let receipt = Receipt::<UploadReceipt>::verify(Some(receipt.clone()), operator)?;
        let said = &receipt.statement;
        // What her own device sealed anew was not moved under the permission.
        must(said.replaces.is_none(), "receipt and case")?;
        self.walk.stored(&receipt)?;
        let stored = CaseWhat::Stored {
            record_id: said.record_id,
            version_id: said.version_id,
            bytes: said.stream_len,
            log_size: receipt.checkpoint.size,
        };
        Ok((said.created, stored))
    }

    /// What a session of the permission has handed out (CAS-5).
    fn released(&mut self, receipt: &pb::Receipt) -> Result<Dated, Error> {
        let bundled = self.walk.grounds;
        let receipt = Receipt::<ReleaseReceipt>::verify(Some(receipt.clone()), &bundled.operator)?;
        let said = &receipt.statement;
        let versions = bundled.released.get(&said.release_id).cloned();
        let versions = versions.unwrap_or_default();
        self.walk.released(&receipt, &versions)?;
        let released = CaseWhat::Released {
            bytes: said.bytes,
            versions,
            log_size: receipt.checkpoint.size,
        };
        Ok((said.created, released))
    }

    /// By a device of hers, and with the operator's receipt (CAS-6).
    fn revoked(&mut self, statement: &pb::PatientStatement) -> Result<Dated, Error> {
        let revocation = PatientSigned::<Revocation>::try_from(statement.clone())?.verify()?;
        self.walk.revoked(&revocation)?;
        let missing = Error::Field {
            field: "revocation_receipt",
        };
        let receipt = self.walk.grounds.revoked.as_ref().ok_or(missing)?;
        let same = receipt.permission_id == self.permission.permission_id
            && receipt.patient_id == self.permission.patient_id
            && receipt.revocation_hash == revocation.hash();
        must(same, "revocation and the operator's receipt")?;
        Ok((receipt.created, CaseWhat::Revoked))
    }
}

fn requested(created: u64, request_id: RequestId) -> Dated {
    (created, CaseWhat::Requested { request_id })
}

/// Whoever is shown a case has the lists of all times, and no delegation but that which comes with the permission.
impl Grounds for &Bundled {
    /// Whether a device is or was on the patient's lists (CAS-2).
    fn device(&self, device: &Device) -> Result<(), Error> {
        let known = self.devices.device(device.id());
        must(known.is_some(), "device and the patient's lists")
    }

    fn delegation(&self, delegation: &VerifiedDelegation, _: bool) -> Result<(), Error> {
        self.device(delegation.device())
    }

    fn presenter(&self, permission: &VerifiedPermission, _: InstitutionId) -> Result<&Institution, Error> {
        self.permitted(permission)
    }
}

/// Who is said to have asked.
pub(super) fn asker_of_download(statement: &pb::Statement) -> Result<InstitutionId, Error> {
    let signed = Signed::<DownloadRequest>::try_from(statement.clone())?;
    Ok(signed.claimed().institution_id)
}

/// Who is said to have referred.
pub(super) fn asker_of_reference(statement: &pb::Statement) -> Result<InstitutionId, Error> {
    let signed = Signed::<ReferenceRequest>::try_from(statement.clone())?;
    Ok(signed.claimed().institution_id)
}
