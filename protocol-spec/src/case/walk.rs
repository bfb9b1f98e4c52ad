//! The entries of a case, one after the other: each by its makers' signatures, each against those before it.

use std::collections::{BTreeMap, HashSet};

use super::{CaseError, CaseEvent, CaseWhat, Grounds};
use crate::{
    Error,
    bodies::{
        DownloadRequest, ReferenceRequest, ReleaseReceipt, ReleaseTicket, Revocation, StandbyTicket,
        UploadReceipt, UploadRequest,
    },
    error::must,
    evidence::ProvenPresentation,
    hash::Sha256Digest,
    ids::{InstitutionId, RecordId, ReleaseId, TerminalId, UploadId, VersionId},
    lifecycle::ShownUses,
    log::Receipt,
    messages as pb,
    patient::{Device, PatientSigned},
    permission::{Kind, SignedPermission, VerifiedPermission},
    purpose::Purpose,
    released::{ReleasedHasher, VersionLeaves},
    statement::Signed,
};

use pb::history_entry::What;

/// Goes through all of them (CAS-3).
pub(super) fn walk(
    entries: &[pb::HistoryEntry],
    grounds: &Grounds,
    permission: &VerifiedPermission,
) -> Result<Vec<CaseEvent>, CaseError> {
    let mut walk = Walk {
        grounds,
        permission,
        requested: false,
        permitted: false,
        revoked: false,
        uses: ShownUses::default(),
        bytes: 0,
        releases: BTreeMap::new(),
        presentations: HashSet::new(),
        uploads: BTreeMap::new(),
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
        let (at, what) = walk.entry(entry.what.as_ref()).map_err(at_entry)?;
        events.push(CaseEvent { number, at, what });
    }
    Ok(events)
}

/// What happened, and when, as it was signed.
type Dated = (u64, CaseWhat);

struct Walk<'a> {
    grounds: &'a Grounds,
    permission: &'a VerifiedPermission,
    requested: bool,
    permitted: bool,
    revoked: bool,
    uses: ShownUses,
    bytes: u64,
    /// Presentations by the releases that they opened.
    releases: BTreeMap<ReleaseId, Sha256Digest>,
    /// Evidence of presentations.
    presentations: HashSet<Sha256Digest>,
    /// The same of uploads, with what comes to be.
    uploads: BTreeMap<UploadId, (Sha256Digest, RecordId, VersionId)>,
}

impl Walk<'_> {
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
        self.listed(request.device())?;
        let fits = self.permission.kind == Kind::Upload
            && request.patient_id == self.permission.patient_id
            && request.institution_id == self.permission.institution_id;
        self.asked(fits, request.hash())?;
        let requested = CaseWhat::Requested {
            request_id: request.request_id,
        };
        Ok((request.created, requested))
    }

    fn download_requested(&mut self, statement: &pb::Statement) -> Result<Dated, Error> {
        let asker = self.grounds.institution(asker_of_download(statement)?)?;
        let request = Signed::<DownloadRequest>::try_from(statement.clone())?.verify_by(asker)?;
        let fits = self.permission.kind == Kind::Download
            && request.patient_id == self.permission.patient_id
            && request.institution_id == self.permission.institution_id;
        self.asked(fits, request.hash())?;
        let requested = CaseWhat::Requested {
            request_id: request.request_id,
        };
        Ok((request.created, requested))
    }

    fn reference_requested(&mut self, statement: &pb::Statement) -> Result<Dated, Error> {
        let asker = self.grounds.institution(asker_of_reference(statement)?)?;
        let request = Signed::<ReferenceRequest>::try_from(statement.clone())?.verify_by(asker)?;
        let fits = self.permission.kind == Kind::Reference
            && request.patient_id == self.permission.patient_id
            && request.second_institution_id == self.permission.institution_id;
        self.asked(fits, request.hash())?;
        let requested = CaseWhat::Requested {
            request_id: request.request_id,
        };
        Ok((request.created, requested))
    }

    /// The request comes first, and is the one that the permission answers (FLW-2).
    fn asked(&mut self, fits: bool, hash: Sha256Digest) -> Result<(), Error> {
        let first = !self.requested && !self.permitted;
        self.requested = true;
        must(
            fits && first && hash == self.permission.request_hash,
            "request and permission",
        )
    }

    fn permitted(&mut self, permission: &pb::Permission) -> Result<Dated, Error> {
        let permission = SignedPermission::try_from(Some(permission.clone()))?.verify()?;
        let only = self.requested && !self.permitted;
        must(
            only && permission.hash() == self.permission.hash(),
            "case and permission",
        )?;
        match permission.delegation() {
            Some(delegation) => self.listed(delegation.device())?,
            None => self.listed(permission.device())?,
        }
        self.permitted = true;
        let permitted = CaseWhat::Permitted {
            by_delegate: permission.delegation().is_some(),
        };
        Ok((permission.created, permitted))
    }

    /// CAS-4.
    fn presented(&mut self, presented: &pb::Presented) -> Result<Dated, Error> {
        must(self.permitted && !self.revoked, "presentation and permission")?;
        let by = InstitutionId::try_from(presented.institution_id.as_ref())?;
        let same = by == self.permission.institution_id
            && presented.permission_id == self.permission.permission_id.as_bytes()[..];
        must(same, "presentation and permission")?;
        let institution = self.grounds.permitted(self.permission)?;
        let proven = ProvenPresentation::verify(presented, self.permission, institution)?;
        let first = self.presentations.insert(proven.hash);
        must(first, "presentation and one before it")?;
        let purpose = Purpose::read(proven.presentation.purpose)?;
        let permitted = self.permission.purpose;
        must(
            permitted.is_none() || purpose == permitted,
            "purpose and permission",
        )?;
        let at = self.opened(presented, proven.hash)?;
        let release = self.permission.kind != Kind::Upload;
        let within = self.uses.presented(release, self.permission.uses);
        must(within, "uses and permission")?;
        let in_time = (self.permission.not_before..self.permission.not_after).contains(&at);
        must(in_time, "time of the presentation and permission")?;
        let presented = CaseWhat::Presented {
            terminal: proven
                .terminal
                .map(|terminal| TerminalId::from(&terminal.terminal_key)),
            purpose,
        };
        Ok((at, presented))
    }

    /// Notes the session that a presentation opened; gives the time of its ticket.
    fn opened(&mut self, presented: &pb::Presented, hash: Sha256Digest) -> Result<u64, Error> {
        let operator = &self.grounds.operator;
        let what = "presentation and ticket";
        let (patient, institution) = (self.permission.patient_id, self.permission.institution_id);
        if let Some(ticket) = presented.release_ticket.clone() {
            let ticket = Receipt::<ReleaseTicket>::verify(Some(ticket), operator)?.statement;
            let same = ticket.permission_id == self.permission.permission_id
                && (ticket.patient_id, ticket.institution_id) == (patient, institution)
                && ticket.presentation_hash == hash
                && self.permission.kind != Kind::Upload;
            must(same, what)?;
            let again = self.releases.insert(ticket.release_id, hash);
            must(again.is_none(), what)?;
            return Ok(ticket.created);
        }
        let ticket = Signed::<StandbyTicket>::try_from(presented.standby_ticket.clone())?.verify(operator)?;
        let same = ticket.permission_id == self.permission.permission_id
            && (ticket.patient_id, ticket.institution_id) == (patient, institution)
            && self.permission.kind == Kind::Upload;
        must(same, what)?;
        let waits_for = (hash, ticket.record_id, ticket.version_id);
        let again = self.uploads.insert(ticket.upload_id, waits_for);
        must(again.is_none(), what)?;
        Ok(ticket.created)
    }

    /// CAS-5.
    fn stored(&mut self, receipt: &pb::Receipt) -> Result<Dated, Error> {
        let receipt = Receipt::<UploadReceipt>::verify(Some(receipt.clone()), &self.grounds.operator)?;
        let said = &receipt.statement;
        let opened = self.uploads.remove(&said.upload_id);
        let same = opened == Some((said.presentation_hash, said.record_id, said.version_id))
            && said.permission_id == self.permission.permission_id
            && said.patient_id == self.permission.patient_id
            && said.institution_id == self.permission.institution_id
            && said.replaces.is_none();
        must(same, "receipt and presentation")?;
        must(self.uses.stored(self.permission.uses), "uses and permission")?;
        self.spend(said.stream_len)?;
        let stored = CaseWhat::Stored {
            record_id: said.record_id,
            version_id: said.version_id,
            bytes: said.stream_len,
            log_size: receipt.checkpoint.size,
        };
        Ok((said.created, stored))
    }

    /// CAS-5.
    fn released(&mut self, receipt: &pb::Receipt) -> Result<Dated, Error> {
        let receipt = Receipt::<ReleaseReceipt>::verify(Some(receipt.clone()), &self.grounds.operator)?;
        let said = &receipt.statement;
        let opened = self.releases.remove(&said.release_id);
        let same = opened == Some(said.presentation_hash)
            && said.permission_id == self.permission.permission_id
            && said.patient_id == self.permission.patient_id
            && said.institution_id == self.permission.institution_id;
        must(same, "receipt and presentation")?;
        self.uses.released(said.bytes);
        self.spend(said.bytes)?;
        let versions = self.grounds.released.get(&said.release_id).cloned();
        let versions = versions.unwrap_or_default();
        let mut hasher = ReleasedHasher::default();
        for version in &versions {
            hasher.add(version)?;
            must(self.names(version), "released version and permission")?;
        }
        must(hasher.finish() == said.released_hash, "release and its leaves")?;
        let released = CaseWhat::Released {
            bytes: said.bytes,
            versions,
            log_size: receipt.checkpoint.size,
        };
        Ok((said.created, released))
    }

    /// Whether the permission is for a version, as far as it shows: what lay in a collection when, it does not.
    fn names(&self, version: &VersionLeaves) -> bool {
        let mut named = self.permission.records.iter();
        self.permission.collection.is_some()
            || named.any(|record| {
                record.record_id == version.record_id && record.version_id == version.version_id
            })
    }

    /// What was moved is within what was permitted.
    fn spend(&mut self, bytes: u64) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes);
        must(self.bytes <= self.permission.bytes, "bytes and permission")
    }

    /// CAS-6.
    fn revoked(&mut self, statement: &pb::PatientStatement) -> Result<Dated, Error> {
        let revocation = PatientSigned::<Revocation>::try_from(statement.clone())?.verify()?;
        self.listed(revocation.device())?;
        let same = self.permitted
            && !self.revoked
            && revocation.patient_id == self.permission.patient_id
            && revocation.permission_hash == self.permission.hash();
        must(same, "revocation and permission")?;
        let missing = Error::Field {
            field: "revocation_receipt",
        };
        let receipt = self.grounds.revoked.as_ref().ok_or(missing)?;
        let same = receipt.permission_id == self.permission.permission_id
            && receipt.patient_id == self.permission.patient_id
            && receipt.revocation_hash == revocation.hash();
        must(same, "revocation and the operator's receipt")?;
        self.revoked = true;
        Ok((receipt.created, CaseWhat::Revoked))
    }

    /// Whether a device is or was on the patient's lists (CAS-2).
    fn listed(&self, device: &Device) -> Result<(), Error> {
        let known = self.grounds.devices.device(device.id());
        must(known.is_some(), "device and the patient's lists")
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
