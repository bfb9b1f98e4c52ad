//! What patients say, by their devices and by those of whom they let act for them.

use crate::{
    Error,
    declare::bodies,
    field::SealedBytes,
    hash::{ContentRoot, Sha256Digest},
    ids::{
        CollectionId, DelegationId, InstitutionId, OperatorId, PatientId, PermissionId, RecordId, RequestId,
        VersionId,
    },
    keys::{IdentityKey, RecipientKey},
    parts::{
        collection::Collection,
        delegation::{Power, Scope, SealedName},
        exposed::ExposedVersion,
    },
    released::VersionLeaves,
    tags::RecordTags,
};

bodies! {
    /// Patient identity or device → the keys of a device of hers.
    DeviceCertificate: DeviceCertificateBody, DEVICE_CERTIFICATE = "medvault/v1 device certificate", by identity or device {
        patient_id: PatientId,
        /// Verifies the device's statements and requests.
        device_key: IdentityKey,
        /// SHA-256 of the X-Wing key to which vault root keys are sealed.
        recipient_key_hash: Sha256Digest,
    }
    /// Device → everybody: what this patient is to read is sealed to this key (DEV-7).
    VaultKeyStatement: VaultKeyBody, VAULT_KEY_STATEMENT = "medvault/v1 vault key statement", by patient {
        patient_id: PatientId,
        /// Epoch of the vault root key that it follows from.
        root_epoch: u64,
        vault_key: RecipientKey,
    }
    /// Patient → institution: please upload.
    UploadRequest: UploadRequestBody, UPLOAD_REQUEST = "medvault/v1 upload request", by patient {
        operator_id: OperatorId,
        request_id: RequestId,
        patient_id: PatientId,
        institution_id: InstitutionId,
        /// After this nobody need answer.
        expires: u64,
        /// What is wanted, sealed to the institution.
        text: SealedBytes,
    }
    /// Patient → institution: the request is denied.
    Denial: DenialBody, DENIAL = "medvault/v1 denial", by patient or delegate {
        request_id: RequestId,
        request_hash: Sha256Digest,
        patient_id: PatientId,
        institution_id: InstitutionId,
        /// Why, sealed to the institution.
        text: SealedBytes,
    }
    /// Patient → institution: something about a permission (NOTE-1).
    Note: NoteBody, NOTE = "medvault/v1 note", by patient where is_short {
        /// Minted by the device; the sealed text is bound to it.
        note_id: RequestId,
        /// The permission that it is about.
        permission_id: PermissionId,
        permission_hash: Sha256Digest,
        patient_id: PatientId,
        /// Who reads: whom the permission names.
        institution_id: InstitutionId,
        /// What she says, sealed to the institution.
        text: SealedBytes,
    }
    /// Patient → server: no more release under this permission.
    Revocation: RevocationBody, REVOCATION = "medvault/v1 revocation", by patient {
        permission_id: PermissionId,
        permission_hash: Sha256Digest,
        patient_id: PatientId,
    }
    /// Device: what it has verified of the vault, sealed beside this (IDX-2).
    IndexSegment: IndexSegmentBody, INDEX_HEAD = "medvault/v1 index head", by patient {
        patient_id: PatientId,
        /// Counts how often the index was begun, from 0.
        generation: u64,
        /// Counts the segments of the generation, from 0.
        number: u64,
        /// SHA-256 of the body of the segment before it; zeros in number 0.
        previous: Sha256Digest,
        /// Of all placements up to this one, those that still hold stand in the segments so far.
        through: u64,
        /// Epoch of the key of `own` that the segment is sealed with.
        epoch: u64,
        /// SHA-256 of the sealed segment.
        sealed_hash: Sha256Digest,
    }
    /// Patient → server: forget the keys that lie under this epoch's key.
    EpochClosure: EpochClosureBody, EPOCH_CLOSURE = "medvault/v1 epoch closure", by patient {
        patient_id: PatientId,
        collection_id: CollectionId,
        /// Which epoch of its key.
        epoch: u64,
    }
    /// Patient → server: this record is gone, with all that there is of it (DEL-1).
    RecordDeletion: RecordDeletionBody, RECORD_DELETION = "medvault/v1 record deletion", by patient {
        patient_id: PatientId,
        record_id: RecordId,
        /// The version that is in the vault.
        version_id: VersionId,
    }
    /// Device: a revocation is carried out, and this is what cannot be taken back.
    RevocationCertificate: RevocationCertificateBody, REVOCATION_CERTIFICATE = "medvault/v1 revocation cert", by patient {
        patient_id: PatientId,
        permission_id: PermissionId,
        permission_hash: Sha256Digest,
        institution_id: InstitutionId,
        /// What was handed out under it, by version id.
        released: Vec<VersionLeaves>,
        /// Versions whose data keys the institution may know, by version id.
        exposed: Vec<ExposedVersion>,
        /// Epochs whose keys open nothing any more.
        closed: Vec<Collection>,
        /// Of the exposed versions, those whose content was sealed anew, by version id (REV-10).
        resealed: Vec<ExposedVersion>,
    }
    /// Device: what has been done to the vault. Checked by [`crate::vault_head::Acts`].
    VaultHead: VaultHeadBody, VAULT_HEAD = "medvault/v1 vault head", by patient {
        operator_id: OperatorId,
        patient_id: PatientId,
        /// Counts the heads, from 0.
        sequence: u64,
        /// SHA-256 of the body of the head before it; zeros in number 0.
        previous_hash: Sha256Digest,
        /// How many acts it is over.
        acts: u64,
        /// Root of the Merkle tree over these acts.
        root: Sha256Digest,
        /// SHA-256 of the vault salt.
        log_salt_hash: Sha256Digest,
        /// Leaves of the newest log that the device has accepted.
        log_size: u64,
    }
    /// Device: a record version lies in a collection (COL-4).
    Placement: PlacementBody, PLACEMENT = "medvault/v1 placement", by patient {
        patient_id: PatientId,
        record_id: RecordId,
        version_id: VersionId,
        /// BLAKE3 of its stream: what the version is, whoever wraps keys for it.
        content_root: ContentRoot,
        stream_len: u64,
        /// Collection that the record lies in from now on.
        collection_id: CollectionId,
        /// Counts the vault's placements, from 1.
        number: u64,
        /// By these the server tests the record against conditions (CND-6).
        tags: RecordTags,
    }
    /// Device: the content of a record is sealed anew (REV-8).
    Reseal: ResealBody, RESEAL = "medvault/v1 reseal", by patient {
        patient_id: PatientId,
        record_id: RecordId,
        /// The version that its content was taken from.
        replaces: VersionId,
        /// The version that it is now.
        version_id: VersionId,
        /// BLAKE3 of the new stream.
        content_root: ContentRoot,
        /// SHA-256 of the body of the institution's manifest.
        manifest_hash: Sha256Digest,
    }
    /// Guardian's device: an institution may open in an emergency, with this half.
    EmergencyHelp: EmergencyHelpBody, EMERGENCY_HELP = "medvault/v1 emergency help", by guardian {
        operator_id: OperatorId,
        help_id: RequestId,
        patient_id: PatientId,
        /// Who helps, and whose device signs this.
        guardian_id: PatientId,
        institution_id: InstitutionId,
        card_key: IdentityKey,
        /// The guardian's half, to the institution.
        half: SealedBytes,
    }
    /// Device: the patient objects to a guardian's help.
    EmergencyObjection: EmergencyObjectionBody, EMERGENCY_OBJECTION = "medvault/v1 emergency objection", by patient {
        operator_id: OperatorId,
        help_id: RequestId,
        patient_id: PatientId,
    }
    /// Recovery key: so it is divided, and these are its shares. Believed as a [`crate::recovery::Division`].
    RecoveryShares: RecoverySharesBody, RECOVERY_SHARES = "medvault/v1 recovery shares", by recovery_key {
        patient_id: PatientId,
        /// Key of the recovery member whose secret is divided; it signs this.
        recovery_key: IdentityKey,
        /// How many shares give the secret back.
        threshold: u32,
        /// Commitment to each share, in the order of their numbers, from 1.
        commitments: Vec<Sha256Digest>,
    }
    /// Owner → delegate: act for me so far. Believed as a [`crate::delegation::VerifiedDelegation`].
    Delegation: DelegationBody, DELEGATION = "medvault/v1 delegation", by patient {
        operator_id: OperatorId,
        /// Minted by the owner's device.
        delegation_id: DelegationId,
        patient_id: PatientId,
        /// Who may act in it.
        delegate_id: PatientId,
        power: Power,
        /// The collections that she may do it with.
        collections: Scope,
        /// First millisecond at which she may.
        not_before: u64,
        /// First millisecond at which she may no longer.
        not_after: u64,
        /// Epoch of the vault root key that the name is sealed under.
        root_epoch: u64,
        /// What the owner calls her.
        sealed_name: SealedName,
    }
    /// Owner → delegate: the key of a collection.
    DelegatedKey: DelegatedKeyBody, DELEGATED_KEY = "medvault/v1 delegated key", by patient {
        patient_id: PatientId,
        /// SHA-256 of the delegation's body.
        delegation_hash: Sha256Digest,
        collection_id: CollectionId,
        /// Epoch of the collection's key that is given.
        epoch: u64,
        /// Epoch of the delegate's vault key that it is sealed to.
        root_epoch: u64,
        key: SealedBytes,
    }
    /// Owner → server: the delegation is over.
    DelegationEnd: DelegationEndBody, DELEGATION_END = "medvault/v1 delegation end", by patient {
        patient_id: PatientId,
        delegation_id: DelegationId,
        delegation_hash: Sha256Digest,
        /// The newest epoch of each of its collections: these and those before are given up.
        last: Vec<Collection>,
    }
}

impl Note {
    /// Most characters of a text.
    pub const MAX_TEXT: usize = 2000;
    /// Four bytes a character and their length, in their size class, and the tag.
    const MAX_CIPHERTEXT: usize = 8192 + 16;

    /// Whether a note may say this (NOTE-3).
    pub fn check_text(text: &str) -> Result<(), Error> {
        let sized = (1..=Self::MAX_TEXT).contains(&text.chars().count());
        if sized && text.chars().all(|each| each == '\n' || !each.is_control()) {
            Ok(())
        } else {
            Err(Error::Field { field: "text" })
        }
    }

    fn is_short(&self) -> Result<(), Error> {
        if self.text.ciphertext.len() <= Self::MAX_CIPHERTEXT {
            Ok(())
        } else {
            Err(Error::Field { field: "text" })
        }
    }
}
