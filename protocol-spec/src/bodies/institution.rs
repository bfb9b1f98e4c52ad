//! What institutions and their terminals say.

use crate::{
    Error,
    declare::{bodies, fields},
    field::{Name, SealedBytes},
    hash::{ContentRoot, Sha256Digest},
    ids::{InstitutionId, OperatorId, PatientId, PermissionId, RecordId, RequestId, TerminalId, VersionId},
    keys::{IdentityKey, RecipientKey},
    parts::part::Part,
    purpose::Purpose,
};

fields! {
    /// Where an entry stands in its institution's chain.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Succession: Succession where follows {
        /// Counts the entries of the institution, from 1.
        sequence: u64,
        /// SHA-256 of the entry before it.
        previous: Sha256Digest,
        /// When the keys of earlier entries end at the latest, in milliseconds since 1970.
        overlap_ends: u64,
    }
}

impl Succession {
    fn follows(&self) -> Result<(), Error> {
        match self.sequence {
            0 => Err(Error::Field { field: "sequence" }),
            _ => Ok(()),
        }
    }
}

bodies! {
    /// An institution's keys, for the registrar.
    AccreditationRequest: AccreditationRequestBody, ACCREDITATION_REQUEST = "medvault/v1 accreditation req", by institution {
        name: Name,
        identity_key: IdentityKey,
        /// What is sealed to the institution is sealed to this.
        recipient_key: RecipientKey,
    }
    /// An institution's entry in the directory of one operator.
    InstitutionKeys: InstitutionKeysBody, INSTITUTION_KEYS = "medvault/v1 institution keys", by institution {
        operator_id: OperatorId,
        name: Name,
        /// Signs this and its requests.
        identity_key: IdentityKey,
        /// What is sealed to the institution is sealed to this.
        recipient_key: RecipientKey,
        /// SHA-256 of the accreditation's body.
        accreditation_hash: Sha256Digest,
        /// Its place in the institution's chain; none in the first entry.
        succession: Option<Succession>,
    }
    /// A terminal's keys, for its institution.
    TerminalRequest: TerminalRequestBody, TERMINAL_REQUEST = "medvault/v1 terminal request", by terminal {
        name: Name,
        terminal_key: IdentityKey,
        /// What is sealed to the terminal is sealed to this.
        recipient_key: RecipientKey,
    }
    /// Institution → one of its terminals: it speaks for us.
    TerminalCertificate: TerminalCertificateBody, TERMINAL_CERTIFICATE = "medvault/v1 terminal certificate", by institution {
        operator_id: OperatorId,
        institution_id: InstitutionId,
        name: Name,
        /// Verifies the terminal's statements and requests.
        terminal_key: IdentityKey,
        /// What is sealed to the terminal is sealed to this.
        recipient_key: RecipientKey,
        /// After this it speaks for nobody.
        not_after: u64,
    }
    /// Institution: this terminal does not speak for us any more.
    TerminalRemoval: TerminalRemovalBody, TERMINAL_REMOVAL = "medvault/v1 terminal removal", by institution {
        operator_id: OperatorId,
        institution_id: InstitutionId,
        terminal_id: TerminalId,
    }
    /// Institution → everybody: it has ended.
    Retirement: RetirementBody, RETIREMENT = "medvault/v1 retirement", by institution {
        operator_id: OperatorId,
        institution_id: InstitutionId,
        /// SHA-256 of its newest entry.
        entry_hash: Sha256Digest,
    }
    /// Institution → patient: may I download?
    DownloadRequest: DownloadRequestBody, DOWNLOAD_REQUEST = "medvault/v1 download request", by institution {
        operator_id: OperatorId,
        request_id: RequestId,
        institution_id: InstitutionId,
        patient_id: PatientId,
        /// After this it cannot be permitted.
        expires: u64,
        /// What is wanted and why, sealed to the patient.
        text: SealedBytes,
        /// Epoch of the vault key that the text is sealed to.
        root_epoch: u64,
        purpose: Option<Purpose>,
    }
    /// First institution → patient: may the second download?
    ReferenceRequest: ReferenceRequestBody, REFERENCE_REQUEST = "medvault/v1 reference request", by institution {
        operator_id: OperatorId,
        /// Minted by the first institution.
        request_id: RequestId,
        /// The first institution, which asks and signs this.
        institution_id: InstitutionId,
        second_institution_id: InstitutionId,
        patient_id: PatientId,
        /// After this it cannot be permitted.
        expires: u64,
        /// The referral's reason, sealed to the patient.
        text: SealedBytes,
        /// Epoch of the vault key that the text is sealed to.
        root_epoch: u64,
        purpose: Option<Purpose>,
    }
    /// Institution → server: what we have stored is taken back (DEL-6).
    TakeBack: TakeBackBody, TAKE_BACK = "medvault/v1 take back", by institution {
        operator_id: OperatorId,
        patient_id: PatientId,
        institution_id: InstitutionId,
        record_id: RecordId,
        version_id: VersionId,
        /// SHA-256 of the upload receipt's body.
        receipt_hash: Sha256Digest,
    }
    /// Institution: it opens in an emergency. Believed as an [`crate::emergency::Opening`].
    EmergencyOpening: EmergencyOpeningBody, EMERGENCY_OPENING = "medvault/v1 emergency opening", by institution {
        operator_id: OperatorId,
        opening_id: RequestId,
        patient_id: PatientId,
        institution_id: InstitutionId,
        card_key: IdentityKey,
    }
    /// Institution: what a record contains.
    RecordManifest: RecordManifestBody, RECORD_MANIFEST = "medvault/v1 record manifest", by institution {
        patient_id: PatientId,
        record_id: RecordId,
        version_id: VersionId,
        /// Who made it, and signs this.
        institution_id: InstitutionId,
        /// The permission it was uploaded under.
        permission_id: PermissionId,
        /// BLAKE3 of the sealed stream.
        content_root: ContentRoot,
        /// Plaintext bytes of all parts.
        plaintext_len: u64,
        /// The files, in stream order.
        parts: Vec<Part>,
    }
}
