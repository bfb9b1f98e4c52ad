//! The bodies of all statements but the permission (`permission.rs`), validated field by field.
//! Field meanings stand in `proto/medvault/v1/statements.proto`, rules in `spec/statements.md` §4.

use bytes::Bytes;
use prost::Message;

use crate::{
    Error,
    body::{Body, Made},
    field::{Field, Name, SealedBytes, read_header, write_header},
    hash::{ContentRoot, Sha256Digest},
    ids::{
        CollectionId, DelegationId, InstitutionId, InvitationId, OperatorId, PatientId, PermissionId,
        RecordId, RegistrarId, ReleaseId, RequestId, TerminalId, UploadId, VersionId,
    },
    keys::{IdentityKey, RecipientKey},
    labels::{self, Label},
    messages as pb,
    parts::{
        collection::Collection,
        delegation::{Power, Scope, SealedName},
        exposed::ExposedVersion,
        head::HeadRef,
    },
    purpose::Purpose,
    released::VersionLeaves,
    tags::RecordTags,
};

/// Where an entry stands in its institution's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Succession {
    /// From 1.
    pub sequence: u64,
    /// SHA-256 of the entry before it.
    pub previous: Sha256Digest,
    /// When the keys of earlier entries end at the latest, in milliseconds since 1970.
    pub overlap_ends: u64,
}

impl Field<pb::Succession> for Succession {
    fn read(wire: pb::Succession, _: &'static str) -> Result<Self, Error> {
        if wire.sequence == 0 {
            return Err(Error::Field { field: "sequence" });
        }
        Ok(Self {
            sequence: wire.sequence,
            previous: Field::read(wire.previous, "previous")?,
            overlap_ends: wire.overlap_ends,
        })
    }

    fn write(&self) -> pb::Succession {
        pb::Succession {
            sequence: self.sequence,
            previous: self.previous.write(),
            overlap_ends: self.overlap_ends,
        }
    }
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident: $message:ident, $label:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)?
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            /// When it was made, in milliseconds since 1970, by the maker's clock.
            pub created: u64,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Made for $name {
            fn created(&self) -> u64 {
                self.created
            }
        }

        impl Body for $name {
            const LABEL: Label = labels::$label;

            fn decode(bytes: &[u8]) -> Result<Self, Error> {
                let pb::$message { header, $($field),* } = pb::decode_canonical(bytes)?;
                Ok(Self { created: read_header(header)?, $($field: Field::read($field, stringify!($field))?),* })
            }

            fn encode(&self) -> Bytes {
                let Self { created, $($field),* } = self;
                pb::$message { header: write_header(*created), $($field: $field.write()),* }.encode_to_vec().into()
            }
        }
    )*};
}

bodies! {
    /// Patient identity or device → the keys of a device of hers.
    DeviceCertificate: DeviceCertificateBody, DEVICE_CERTIFICATE {
        /// Whose device.
        patient_id: PatientId,
        /// Verifies the device's statements and requests.
        device_key: IdentityKey,
        /// SHA-256 of the X-Wing key to which vault root keys are sealed.
        recipient_key_hash: Sha256Digest,
    }
    /// Device → everybody: what this patient is to read is sealed to this key (DEV-7).
    VaultKeyStatement: VaultKeyBody, VAULT_KEY_STATEMENT {
        /// Whose.
        patient_id: PatientId,
        /// Of the vault root key.
        root_epoch: u64,
        /// From that vault root key.
        vault_key: RecipientKey,
    }
    /// Operator or institution → whoever holds it: may enrol as a patient (ACC-2).
    Invitation: InvitationBody, INVITATION {
        /// At which server.
        operator_id: OperatorId,
        /// Who invites; none is the operator.
        institution_id: Option<InstitutionId>,
        /// Names it.
        invitation_id: InvitationId,
        /// How many patients may enrol by it.
        uses: u32,
        /// In milliseconds since 1970.
        expires: u64,
    }
    /// An institution's keys, for the registrar.
    AccreditationRequest: AccreditationRequestBody, ACCREDITATION_REQUEST {
        /// As people know it.
        name: Name,
        /// Signs this.
        identity_key: IdentityKey,
        /// What is sealed to the institution is sealed to this.
        recipient_key: RecipientKey,
    }
    /// Registrar → institution: name and keys were checked.
    Accreditation: AccreditationBody, ACCREDITATION {
        /// Who accredits.
        registrar_id: RegistrarId,
        /// Who is accredited.
        institution_id: InstitutionId,
        /// The name checked.
        name: Name,
        /// SHA-256 of the X-Wing key.
        recipient_key_hash: Sha256Digest,
        /// SHA-256 of the secret that only the holder of the X-Wing key can open.
        secret_hash: Sha256Digest,
        /// Whether it may open in emergencies.
        emergency: bool,
    }
    /// Registrar → everybody: what was accredited under this identity key is accredited no more.
    Withdrawal: WithdrawalBody, WITHDRAWAL {
        /// Who withdraws.
        registrar_id: RegistrarId,
        /// Who is accredited no more.
        institution_id: InstitutionId,
    }
    /// Registrar → everybody: a file is a client program (PRG-1).
    Program: ProgramBody, PROGRAM {
        /// Who vouches for it.
        registrar_id: RegistrarId,
        /// What it is called.
        name: Name,
        /// Which one of that name.
        version: Name,
        /// For which machines.
        target: Name,
        /// The revision of the source that it was built from.
        source: Name,
        /// By which compiler.
        toolchain: Name,
        /// SHA-256 of the file.
        file_hash: Sha256Digest,
    }
    /// Operator and registrar → everybody: an older copy of the data was put back, and the log goes on from there (RST-2).
    Restoration: RestorationBody, RESTORATION {
        /// Whose log.
        operator_id: OperatorId,
        /// Who agrees.
        registrar_id: RegistrarId,
        /// Of the log that goes on, from 2.
        generation: u64,
        /// Leaves of the copy.
        size: u64,
        /// Root over them.
        root: Sha256Digest,
        /// Leaves that the log is known to have had before.
        seen: u64,
        /// When the copy was made at the latest: of its newest checkpoint, in milliseconds since 1970.
        until: u64,
    }
    /// An institution's entry in the directory of one operator.
    InstitutionKeys: InstitutionKeysBody, INSTITUTION_KEYS {
        /// Where it enrols.
        operator_id: OperatorId,
        /// As accredited.
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
    TerminalRequest: TerminalRequestBody, TERMINAL_REQUEST {
        /// As people know it.
        name: Name,
        /// Signs this.
        terminal_key: IdentityKey,
        /// What is sealed to the terminal is sealed to this.
        recipient_key: RecipientKey,
    }
    /// Institution → one of its terminals: it speaks for us.
    TerminalCertificate: TerminalCertificateBody, TERMINAL_CERTIFICATE {
        /// At which server.
        operator_id: OperatorId,
        /// For whom it speaks.
        institution_id: InstitutionId,
        /// As people know it.
        name: Name,
        /// Verifies the terminal's statements and requests.
        terminal_key: IdentityKey,
        /// What is sealed to the terminal is sealed to this.
        recipient_key: RecipientKey,
        /// After this it speaks for nobody.
        not_after: u64,
    }
    /// Institution: this terminal does not speak for us any more.
    TerminalRemoval: TerminalRemovalBody, TERMINAL_REMOVAL {
        /// At which server.
        operator_id: OperatorId,
        /// Whose terminal it was.
        institution_id: InstitutionId,
        /// Which.
        terminal_id: TerminalId,
    }
    /// Institution → everybody: it has ended.
    Retirement: RetirementBody, RETIREMENT {
        /// At which server.
        operator_id: OperatorId,
        /// Who retires.
        institution_id: InstitutionId,
        /// SHA-256 of its newest entry.
        entry_hash: Sha256Digest,
    }
    /// Patient → institution: please upload.
    UploadRequest: UploadRequestBody, UPLOAD_REQUEST {
        /// Audience.
        operator_id: OperatorId,
        /// Minted by the device.
        request_id: RequestId,
        /// Who asks.
        patient_id: PatientId,
        /// Who is asked.
        institution_id: InstitutionId,
        /// After this nobody need answer.
        expires: u64,
        /// What is wanted, sealed to the institution.
        text: SealedBytes,
    }
    /// Institution → patient: may I download?
    DownloadRequest: DownloadRequestBody, DOWNLOAD_REQUEST {
        /// Audience.
        operator_id: OperatorId,
        /// Minted by the institution.
        request_id: RequestId,
        /// Who asks.
        institution_id: InstitutionId,
        /// Who is asked.
        patient_id: PatientId,
        /// After this it cannot be permitted.
        expires: u64,
        /// What is wanted and why, sealed to the patient.
        text: SealedBytes,
        /// Of the vault key that the text is sealed to.
        root_epoch: u64,
        /// What for.
        purpose: Option<Purpose>,
    }
    /// First institution → patient: may the second download?
    ReferenceRequest: ReferenceRequestBody, REFERENCE_REQUEST {
        /// Audience.
        operator_id: OperatorId,
        /// Minted by the first institution.
        request_id: RequestId,
        /// The first institution.
        institution_id: InstitutionId,
        /// The second institution.
        second_institution_id: InstitutionId,
        /// Who is asked.
        patient_id: PatientId,
        /// After this it cannot be permitted.
        expires: u64,
        /// The referral's reason, sealed to the patient.
        text: SealedBytes,
        /// Of the vault key that the text is sealed to.
        root_epoch: u64,
        /// What for.
        purpose: Option<Purpose>,
    }
    /// Patient → institution: no.
    Denial: DenialBody, DENIAL {
        /// The request denied.
        request_id: RequestId,
        /// SHA-256 of its body.
        request_hash: Sha256Digest,
        /// Who denies.
        patient_id: PatientId,
        /// Who asked.
        institution_id: InstitutionId,
        /// Why, sealed to the institution.
        text: SealedBytes,
    }
    /// Patient → server: no more release under this permission.
    Revocation: RevocationBody, REVOCATION {
        /// The permission revoked.
        permission_id: PermissionId,
        /// SHA-256 of its body.
        permission_hash: Sha256Digest,
        /// Who revokes.
        patient_id: PatientId,
    }
    /// Operator → patient: nothing leaves under this permission any more, and this is what did.
    RevocationReceipt: RevocationReceiptBody, REVOCATION_RECEIPT {
        /// Who stops.
        operator_id: OperatorId,
        /// The permission revoked.
        permission_id: PermissionId,
        /// Who revoked it.
        patient_id: PatientId,
        /// Who had it.
        institution_id: InstitutionId,
        /// SHA-256 of the revocation's body.
        revocation_hash: Sha256Digest,
        /// Releases there were, all of them closed.
        releases: u32,
        /// SHA-256 of the hashes of their receipts, by release id.
        releases_hash: Sha256Digest,
    }
    /// Device: what it has verified of the vault, sealed beside this (IDX-2).
    IndexSegment: IndexSegmentBody, INDEX_HEAD {
        /// Whose vault.
        patient_id: PatientId,
        /// Counts how often the index was begun, from 0.
        generation: u64,
        /// Counts the segments of the generation, from 0.
        number: u64,
        /// SHA-256 of the body of the segment before it; zeros in number 0.
        previous: Sha256Digest,
        /// Of all placements up to this one, those that still hold stand in the segments so far.
        through: u64,
        /// Of the key of `own` that it is sealed with.
        epoch: u64,
        /// SHA-256 of the sealed segment.
        sealed_hash: Sha256Digest,
    }
    /// Patient → server: forget the keys that lie under this epoch's key.
    EpochClosure: EpochClosureBody, EPOCH_CLOSURE {
        /// Whose vault.
        patient_id: PatientId,
        /// Which collection.
        collection_id: CollectionId,
        /// Which epoch of its key.
        epoch: u64,
    }
    /// Patient → server: this record is gone, with all that there is of it (DEL-1).
    RecordDeletion: RecordDeletionBody, RECORD_DELETION {
        /// Whose vault.
        patient_id: PatientId,
        /// Which record.
        record_id: RecordId,
        /// The version that is in the vault.
        version_id: VersionId,
    }
    /// Institution → server: what we have stored is taken back (DEL-6).
    TakeBack: TakeBackBody, TAKE_BACK {
        /// At which server.
        operator_id: OperatorId,
        /// In whose vault.
        patient_id: PatientId,
        /// Who has stored it.
        institution_id: InstitutionId,
        /// Which record.
        record_id: RecordId,
        /// Its version.
        version_id: VersionId,
        /// SHA-256 of the upload receipt's body.
        receipt_hash: Sha256Digest,
    }
    /// Device: a revocation is carried out, and this is what cannot be taken back.
    RevocationCertificate: RevocationCertificateBody, REVOCATION_CERTIFICATE {
        /// Who revoked.
        patient_id: PatientId,
        /// The permission revoked.
        permission_id: PermissionId,
        /// SHA-256 of its body.
        permission_hash: Sha256Digest,
        /// Who had it.
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
    /// Operator → institution: I wait for your upload.
    StandbyTicket: StandbyTicketBody, STANDBY_TICKET {
        /// Who waits.
        operator_id: OperatorId,
        /// The session.
        upload_id: UploadId,
        /// What was presented.
        permission_id: PermissionId,
        /// Whose vault.
        patient_id: PatientId,
        /// Who may send.
        institution_id: InstitutionId,
        /// The record that comes to be.
        record_id: RecordId,
        /// Its version.
        version_id: VersionId,
        /// Stream bytes that may be sent.
        bytes: u64,
        /// When the server stops waiting.
        expires: u64,
    }
    /// Operator → institution: I release this to you.
    ReleaseTicket: ReleaseTicketBody, RELEASE_TICKET {
        /// Who releases.
        operator_id: OperatorId,
        /// The session.
        release_id: ReleaseId,
        /// What was presented.
        permission_id: PermissionId,
        /// Whose vault.
        patient_id: PatientId,
        /// Who may receive.
        institution_id: InstitutionId,
        /// Stream bytes left under the permission.
        bytes: u64,
        /// When the session ends.
        expires: u64,
        /// SHA-256 of the evidence.
        presentation_hash: Sha256Digest,
    }
    /// Device: what has been done to the vault. Checked by [`crate::vault_head::Acts`].
    VaultHead: VaultHeadBody, VAULT_HEAD {
        /// At which server.
        operator_id: OperatorId,
        /// Whose vault.
        patient_id: PatientId,
        /// Counts the heads, from 0.
        sequence: u64,
        /// SHA-256 of the body of the head before it; zeros in number 0.
        previous_hash: Sha256Digest,
        /// How many acts it is over.
        acts: u64,
        /// Of the vault tree over them.
        root: Sha256Digest,
        /// SHA-256 of the vault salt.
        log_salt_hash: Sha256Digest,
        /// Leaves of the log that the device had accepted.
        log_size: u64,
    }
    /// Device: a record version lies in a collection (COL-4).
    Placement: PlacementBody, PLACEMENT {
        /// Whose vault.
        patient_id: PatientId,
        /// The record.
        record_id: RecordId,
        /// Its version.
        version_id: VersionId,
        /// BLAKE3 of its stream: what the version is, whoever wraps keys for it.
        content_root: ContentRoot,
        /// Bytes of its stream.
        stream_len: u64,
        /// Where it lies from now on.
        collection_id: CollectionId,
        /// Counts the vault's placements, from 1.
        number: u64,
        /// What the server tests the record by.
        tags: RecordTags,
    }
    /// Device: the content of a record is sealed anew (REV-8).
    Reseal: ResealBody, RESEAL {
        /// Whose vault.
        patient_id: PatientId,
        /// The record.
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
    /// Institution: it opens in an emergency. Believed as an [`crate::emergency::Opening`].
    EmergencyOpening: EmergencyOpeningBody, EMERGENCY_OPENING {
        /// Audience.
        operator_id: OperatorId,
        /// Minted by the institution.
        opening_id: RequestId,
        /// Whose vault.
        patient_id: PatientId,
        /// Who opens.
        institution_id: InstitutionId,
        /// By which emergency permission.
        card_key: IdentityKey,
    }
    /// Guardian's device: an institution may open in an emergency, with this half.
    EmergencyHelp: EmergencyHelpBody, EMERGENCY_HELP {
        /// Audience.
        operator_id: OperatorId,
        /// Minted by the guardian.
        help_id: RequestId,
        /// Whose vault.
        patient_id: PatientId,
        /// Who helps, and whose device signs this.
        guardian_id: PatientId,
        /// Who may open.
        institution_id: InstitutionId,
        /// By which emergency permission.
        card_key: IdentityKey,
        /// The guardian's half, to the institution.
        half: SealedBytes,
    }
    /// Device: the patient objects to a guardian's help.
    EmergencyObjection: EmergencyObjectionBody, EMERGENCY_OBJECTION {
        /// Audience.
        operator_id: OperatorId,
        /// Which help.
        help_id: RequestId,
        /// Who objects.
        patient_id: PatientId,
    }
    /// Operator: this is stored, durably.
    UploadReceipt: UploadReceiptBody, UPLOAD_RECEIPT {
        /// Who stores.
        operator_id: OperatorId,
        /// The session.
        upload_id: UploadId,
        /// What was presented.
        permission_id: PermissionId,
        /// Whose vault.
        patient_id: PatientId,
        /// Who sent it.
        institution_id: InstitutionId,
        /// The record.
        record_id: RecordId,
        /// Its version.
        version_id: VersionId,
        /// BLAKE3 of the stream, recomputed by the server.
        content_root: ContentRoot,
        /// Bytes of the stream.
        stream_len: u64,
        /// SHA-256 of the sealed manifest.
        sealed_manifest_hash: Sha256Digest,
        /// SHA-256 of the evidence.
        presentation_hash: Sha256Digest,
        /// The version in whose place the patient's device put this one, with the same content. Permission, institution,
        /// and evidence are then those that the record first came by (REV-9).
        replaces: Option<VersionId>,
        /// The newest there is of the vault.
        vault_head: Option<HeadRef>,
    }
    /// Operator: so much was released.
    ReleaseReceipt: ReleaseReceiptBody, RELEASE_RECEIPT {
        /// Who released.
        operator_id: OperatorId,
        /// The session.
        release_id: ReleaseId,
        /// What was presented.
        permission_id: PermissionId,
        /// Whose vault.
        patient_id: PatientId,
        /// Who received.
        institution_id: InstitutionId,
        /// Stream bytes handed out.
        bytes: u64,
        /// SHA-256 of the evidence.
        presentation_hash: Sha256Digest,
        /// SHA-256 of what was handed out, leaf by leaf.
        released_hash: Sha256Digest,
        /// The newest there is of the vault.
        vault_head: Option<HeadRef>,
    }
    /// Recovery key: so it is divided, and these are its shares. Believed as a [`crate::recovery::Division`].
    RecoveryShares: RecoverySharesBody, RECOVERY_SHARES {
        /// Whose vault.
        patient_id: PatientId,
        /// Of the recovery member whose secret is divided; signs this.
        recovery_key: IdentityKey,
        /// Shares that give the secret.
        threshold: u32,
        /// What each share must be, by its number, from 1.
        commitments: Vec<Sha256Digest>,
    }
    /// Owner → delegate: act for me so far. Believed as a [`crate::delegation::VerifiedDelegation`].
    Delegation: DelegationBody, DELEGATION {
        /// Audience.
        operator_id: OperatorId,
        /// Minted by the owner's device.
        delegation_id: DelegationId,
        /// Whose vault.
        patient_id: PatientId,
        /// Who may act in it.
        delegate_id: PatientId,
        /// What she may do.
        power: Power,
        /// With what lies in these.
        collections: Scope,
        /// First millisecond at which she may.
        not_before: u64,
        /// First millisecond at which she may no longer.
        not_after: u64,
        /// Of the vault root key that the name is sealed under.
        root_epoch: u64,
        /// What the owner calls her.
        sealed_name: SealedName,
    }
    /// Owner → delegate: the key of a collection.
    DelegatedKey: DelegatedKeyBody, DELEGATED_KEY {
        /// Whose vault.
        patient_id: PatientId,
        /// SHA-256 of the delegation's body.
        delegation_hash: Sha256Digest,
        /// Which collection.
        collection_id: CollectionId,
        /// Which of its keys.
        epoch: u64,
        /// Of the delegate's vault key that it is sealed to.
        root_epoch: u64,
        /// The key, sealed.
        key: SealedBytes,
    }
    /// Owner → server: the delegation is over.
    DelegationEnd: DelegationEndBody, DELEGATION_END {
        /// Whose vault.
        patient_id: PatientId,
        /// Which.
        delegation_id: DelegationId,
        /// SHA-256 of its body.
        delegation_hash: Sha256Digest,
        /// The newest epoch of each of its collections: these and those before are given up.
        last: Vec<Collection>,
    }
    /// Institution: what a record contains.
    RecordManifest: RecordManifestBody, RECORD_MANIFEST {
        /// Whose vault.
        patient_id: PatientId,
        /// The record.
        record_id: RecordId,
        /// Its version.
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
        parts: Vec<crate::manifest::Part>,
    }
}
