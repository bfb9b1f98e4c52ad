//! What was presented, and what came of it: each session ends once, by what opened it, within what was permitted.

use std::collections::BTreeMap;

use super::{Grounds, UsedPermission, Walk, ensure};
use crate::{
    Error,
    bodies::{RecordDeletion, ReleaseReceipt, ReleaseTicket, StandbyTicket, TakeBack, UploadReceipt},
    evidence::ProvenPresentation,
    hash::Sha256Digest,
    ids::{InstitutionId, PermissionId, RecordId, ReleaseId, UploadId, VersionId},
    keys::IdentityKey,
    log::Receipt,
    messages as pb,
    patient::PatientVerified,
    permission::{Kind, VerifiedPermission},
    purpose::Purpose,
    released::{ReleasedHasher, VersionLeaves},
    statement::{Signed, Verified},
};

/// The operator's word that a presentation has opened a session.
#[derive(Clone, Debug)]
pub enum SessionTicket {
    /// Parts of records will be released.
    Release(Receipt<ReleaseTicket>),
    /// A record will be stored.
    Upload(Verified<StandbyTicket>),
}

/// Sessions that have been opened and have not ended.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    releases: BTreeMap<ReleaseId, SessionOf>,
    uploads: BTreeMap<UploadId, (SessionOf, RecordId, VersionId)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SessionOf {
    permission: PermissionId,
    institution: InstitutionId,
    presentation: Sha256Digest,
}

impl SessionTicket {
    /// Reads and verifies the ticket that comes with a presentation.
    pub fn verify(presented: &pb::Presented, operator: &IdentityKey) -> Result<Self, Error> {
        if presented.release_ticket.is_some() {
            let ticket = Receipt::verify(presented.release_ticket.clone(), operator)?;
            return Ok(Self::Release(ticket));
        }
        let ticket = Signed::<StandbyTicket>::try_from(presented.standby_ticket.clone())?;
        Ok(Self::Upload(ticket.verify(operator)?))
    }

    /// When, by the operator's clock.
    pub fn at(&self) -> u64 {
        match self {
            Self::Release(ticket) => ticket.statement.created,
            Self::Upload(ticket) => ticket.created,
        }
    }

    /// Whether it is for a presentation of this permission by this institution.
    fn is_of(&self, permission: &VerifiedPermission, session: SessionOf) -> bool {
        let upload = permission.kind == Kind::Upload;
        let (said, fits) = match self {
            Self::Release(ticket) => {
                let ticket = &ticket.statement;
                let said = (ticket.permission_id, ticket.patient_id, ticket.institution_id);
                (said, !upload && ticket.presentation_hash == session.presentation)
            }
            Self::Upload(ticket) => {
                let said = (ticket.permission_id, ticket.patient_id, ticket.institution_id);
                (said, upload)
            }
        };
        fits && said == (session.permission, permission.patient_id, session.institution)
    }
}

/// Whether a presentation was for what the permission names, where it names something, and its session was opened in the
/// permission's time (CND-2, PRM-12).
fn check_purpose(
    proven: &ProvenPresentation,
    permission: &VerifiedPermission,
    opened: u64,
) -> Result<(), Error> {
    let purpose = Purpose::read(proven.presentation.purpose.clone())?;
    ensure(
        permission.purpose.is_none() || permission.purpose == purpose,
        "it was presented for another purpose than was permitted",
    )?;
    let in_time = (permission.not_before..permission.not_after).contains(&opened);
    ensure(in_time, "it was presented at a time that was not permitted")
}

impl<G: Grounds> Walk<G> {
    /// An institution presented a permission: by both keys, before it was revoked, for its purpose and in its time, not too
    /// often (FLW-18), and a release has a use (FLW-16).
    pub fn presented(
        &mut self,
        message: &pb::Presented,
        opened: &SessionTicket,
    ) -> Result<ProvenPresentation, Error> {
        let id = PermissionId::try_from(message.permission_id.as_ref())?;
        let institution = InstitutionId::try_from(message.institution_id.as_ref())?;
        let permission = self.permission(id)?;
        self.held(permission, institution)?;
        let presenter = self.grounds.presenter(permission, institution)?;
        let proven = ProvenPresentation::verify(message, permission, presenter)?;
        let session = SessionOf {
            permission: id,
            institution,
            presentation: proven.hash,
        };
        ensure(
            opened.is_of(permission, session),
            "its ticket is for something else",
        )?;
        check_purpose(&proven, permission, opened.at())?;
        let first = self.presentations.insert(proven.hash);
        ensure(first, "it stands here a second time")?;
        self.open(session, opened)?;
        let permitted = self.permitted_mut(id)?;
        ensure(!permitted.revoked, "its permission was revoked before it")?;
        let release = permitted.permission.kind != Kind::Upload;
        let within = permitted.uses.presented(release, permitted.permission.uses);
        ensure(within, MORE_USES)?;
        self.counts.presentations += 1;
        Ok(proven)
    }

    fn open(&mut self, session: SessionOf, opened: &SessionTicket) -> Result<(), Error> {
        let first = match opened {
            SessionTicket::Release(ticket) => {
                self.count_receipt(ticket.checkpoint.size);
                let id = ticket.statement.release_id;
                self.sessions.releases.insert(id, session).is_none()
            }
            SessionTicket::Upload(ticket) => {
                let waits_for = (session, ticket.record_id, ticket.version_id);
                self.sessions
                    .uploads
                    .insert(ticket.upload_id, waits_for)
                    .is_none()
            }
        };
        ensure(first, "its session was opened before")
    }

    /// A record was stored, by the session that waited for it; or in the place of a version that was there (REV-9).
    pub fn stored(&mut self, receipt: &Receipt<UploadReceipt>) -> Result<(), Error> {
        let said = &receipt.statement;
        self.of_patient(said.patient_id)?;
        self.held(self.permission(said.permission_id)?, said.institution_id)?;
        match &said.replaces {
            Some(before) => {
                let there = self.stored.remove(before) == Some(said.record_id);
                ensure(there, "the version whose place it takes was not stored before it")?;
            }
            None => self.brought(said)?,
        }
        self.stored.insert(said.version_id, said.record_id);
        let receipted = (said.institution_id, said.hash());
        self.receipts.insert(said.version_id, receipted);
        self.count_receipt(receipt.checkpoint.size);
        Ok(())
    }

    /// What a session stored is what it waited for, within uses and bytes.
    fn brought(&mut self, said: &UploadReceipt) -> Result<(), Error> {
        let session = SessionOf {
            permission: said.permission_id,
            institution: said.institution_id,
            presentation: said.presentation_hash,
        };
        let opened = self.sessions.uploads.remove(&said.upload_id);
        let same = opened == Some((session, said.record_id, said.version_id));
        ensure(same, NOT_OPENED)?;
        let permitted = self.permitted_mut(said.permission_id)?;
        ensure(permitted.uses.stored(permitted.permission.uses), MORE_USES)?;
        permitted.spend(said.stream_len)
    }

    /// A release ended: once, by the presentation that opened it, within the budget; its leaves are of what was permitted,
    /// and have the hash that the receipt names (REV-3).
    pub fn released(
        &mut self,
        receipt: &Receipt<ReleaseReceipt>,
        versions: &[VersionLeaves],
    ) -> Result<(), Error> {
        let said = &receipt.statement;
        self.of_patient(said.patient_id)?;
        self.held(self.permission(said.permission_id)?, said.institution_id)?;
        let session = SessionOf {
            permission: said.permission_id,
            institution: said.institution_id,
            presentation: said.presentation_hash,
        };
        let opened = self.sessions.releases.remove(&said.release_id);
        ensure(opened == Some(session), NOT_OPENED)?;
        let permitted = self.permitted_mut(said.permission_id)?;
        permitted.uses.released(said.bytes);
        permitted.spend(said.bytes)?;
        let mut hasher = ReleasedHasher::default();
        for version in versions {
            hasher.add(version)?;
            ensure(
                permitted.names(version),
                "a record was released that was not permitted",
            )?;
        }
        let same = hasher.finish() == said.released_hash;
        ensure(
            same,
            "the receipt is over other records than those that are shown",
        )?;
        self.count_receipt(receipt.checkpoint.size);
        Ok(())
    }

    /// Her device deleted a record.
    pub fn deleted(&mut self, said: &PatientVerified<RecordDeletion>) -> Result<(), Error> {
        self.grounds.device(said.device())?;
        self.end(said.record_id, said.version_id)?;
        self.counts.statements += 1;
        Ok(())
    }

    /// An institution took back what it had stored, by the receipt that it names (DEL-6).
    pub fn taken_back(&mut self, said: &TakeBack) -> Result<(), Error> {
        self.of_patient(said.patient_id)?;
        let stored = self.receipts.get(&said.version_id);
        let own = stored == Some(&(said.institution_id, said.receipt_hash));
        ensure(own, "it is not of what this institution had stored")?;
        self.end(said.record_id, said.version_id)?;
        self.counts.statements += 1;
        Ok(())
    }

    /// What was stored is gone for good, once.
    fn end(&mut self, record: RecordId, version: VersionId) -> Result<(), Error> {
        let there = self.stored.remove(&version) == Some(record);
        ensure(there, "no such version of the record was stored before it")?;
        self.gone.insert(record);
        Ok(())
    }
}

impl UsedPermission {
    /// What was moved is within what was permitted.
    fn spend(&mut self, bytes: u64) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes);
        let within = self.bytes <= self.permission.bytes;
        ensure(within, "more bytes were moved than were permitted")
    }

    /// Whether the permission is for a version, as far as it shows: what lay in a collection when, it does not.
    fn names(&self, version: &VersionLeaves) -> bool {
        let mut named = self.permission.records.iter();
        self.permission.collection.is_some()
            || named.any(|record| {
                record.record_id == version.record_id && record.version_id == version.version_id
            })
    }
}

const MORE_USES: &str = "it is one more use than was permitted";
const NOT_OPENED: &str = "the presentation that opened it does not come before it";
