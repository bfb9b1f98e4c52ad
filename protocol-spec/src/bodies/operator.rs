//! What operators say: they invite, and tell what their servers will do and have done.

use crate::{
    declare::bodies,
    hash::{ContentRoot, Sha256Digest},
    ids::{
        InstitutionId, InvitationId, OperatorId, PatientId, PermissionId, RecordId, ReleaseId, UploadId,
        VersionId,
    },
    parts::head::HeadRef,
};

bodies! {
    /// Operator or institution → whoever holds it: may enrol as a patient (ACC-2).
    Invitation: InvitationBody, INVITATION = "medvault/v1 invitation", by operator or institution {
        operator_id: OperatorId,
        /// Who invites; none is the operator.
        institution_id: Option<InstitutionId>,
        invitation_id: InvitationId,
        /// How many patients may enrol by it.
        uses: u32,
        expires: u64,
    }
    /// Operator → patient: nothing leaves under this permission any more, and this is what did.
    RevocationReceipt: RevocationReceiptBody, REVOCATION_RECEIPT = "medvault/v1 revocation receipt", by operator {
        operator_id: OperatorId,
        permission_id: PermissionId,
        patient_id: PatientId,
        institution_id: InstitutionId,
        /// SHA-256 of the revocation's body.
        revocation_hash: Sha256Digest,
        /// Releases there were, all of them closed.
        releases: u32,
        /// SHA-256 of the hashes of their receipts, by release id.
        releases_hash: Sha256Digest,
    }
    /// Operator → institution: I wait for your upload.
    StandbyTicket: StandbyTicketBody, STANDBY_TICKET = "medvault/v1 standby ticket", by operator {
        operator_id: OperatorId,
        upload_id: UploadId,
        permission_id: PermissionId,
        patient_id: PatientId,
        institution_id: InstitutionId,
        /// The record that comes to be.
        record_id: RecordId,
        version_id: VersionId,
        /// Stream bytes that may be sent.
        bytes: u64,
        /// When the server stops waiting.
        expires: u64,
    }
    /// Operator → institution: I release this to you.
    ReleaseTicket: ReleaseTicketBody, RELEASE_TICKET = "medvault/v1 release ticket", by operator {
        operator_id: OperatorId,
        release_id: ReleaseId,
        permission_id: PermissionId,
        patient_id: PatientId,
        institution_id: InstitutionId,
        /// Stream bytes left under the permission.
        bytes: u64,
        expires: u64,
        /// SHA-256 of the evidence that the permission was presented (PRM-10).
        presentation_hash: Sha256Digest,
    }
    /// Operator: this is stored, durably.
    UploadReceipt: UploadReceiptBody, UPLOAD_RECEIPT = "medvault/v1 upload receipt", by operator {
        operator_id: OperatorId,
        upload_id: UploadId,
        permission_id: PermissionId,
        patient_id: PatientId,
        institution_id: InstitutionId,
        record_id: RecordId,
        version_id: VersionId,
        /// BLAKE3 of the stream, recomputed by the server.
        content_root: ContentRoot,
        stream_len: u64,
        /// SHA-256 of the sealed manifest.
        sealed_manifest_hash: Sha256Digest,
        /// SHA-256 of the evidence that the permission was presented (PRM-10).
        presentation_hash: Sha256Digest,
        /// The version in whose place the patient's device put this one, with the same content. Permission, institution,
        /// and evidence are then those that the record first came by (REV-9).
        replaces: Option<VersionId>,
        /// Newest head of the vault that the server has, if there is one.
        vault_head: Option<HeadRef>,
    }
    /// Operator: so much was released.
    ReleaseReceipt: ReleaseReceiptBody, RELEASE_RECEIPT = "medvault/v1 release receipt", by operator {
        operator_id: OperatorId,
        release_id: ReleaseId,
        permission_id: PermissionId,
        patient_id: PatientId,
        institution_id: InstitutionId,
        /// Stream bytes that this release has handed out.
        bytes: u64,
        /// SHA-256 of the evidence that the permission was presented (PRM-10).
        presentation_hash: Sha256Digest,
        /// SHA-256 of what was handed out, leaf by leaf.
        released_hash: Sha256Digest,
        /// Newest head of the vault that the server has, if there is one.
        vault_head: Option<HeadRef>,
    }
}
