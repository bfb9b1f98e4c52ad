//! Permissions: what a patient lets one institution do, and the wrap that is the permission key.
//! See `spec/permission.md`.

use std::{collections::HashSet, fmt, ops::Deref};

use bytes::Bytes;
use prost::Message;

use crate::{
    Error,
    bodies::Delegation,
    content,
    defence::Defence,
    field::{Field, SealedBytes, read_header, write_header},
    hash::{ContentRoot, Sha256Digest, sha256},
    ids::{CollectionId, InstitutionId, OperatorId, PatientId, PermissionId, RecordId, VersionId},
    keys::IdentityKey,
    labels::{self, Label},
    messages as pb,
    parts::{
        collection::CollectionSelector,
        emergency::{ANY_INSTITUTION, EmergencyTerms, GuardianTerms, NOTHING},
        head::HeadRef,
    },
    patient::{Device, DeviceChain, PatientSigned, VerifiedDelegation, read_delegation},
    purpose::Purpose,
    statement::{Body, preimage, signature_bytes},
    tags::SealedConditions,
};

/// Most records of one permission: wrap and body together then fit a message of 1 MiB.
pub const MAX_RECORDS: usize = 4096;

/// What a permission lets its holder do. Nothing converts one into another (PRM-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Send records that the institution makes.
    Upload,
    /// Receive records, asked for by the institution itself.
    Download,
    /// Receive records, asked for by the institution that refers the patient.
    Reference,
    /// Receive the emergency collection, with both halves of its key (`spec/emergency.md`).
    Emergency,
}

impl Field<i32> for Kind {
    fn read(wire: i32, field: &'static str) -> Result<Self, Error> {
        match pb::PermissionKind::try_from(wire) {
            Ok(pb::PermissionKind::Upload) => Ok(Self::Upload),
            Ok(pb::PermissionKind::Download) => Ok(Self::Download),
            Ok(pb::PermissionKind::Reference) => Ok(Self::Reference),
            Ok(pb::PermissionKind::Emergency) => Ok(Self::Emergency),
            Ok(pb::PermissionKind::Unspecified) | Err(_) => Err(Error::Field { field }),
        }
    }

    fn write(&self) -> i32 {
        let kind: pb::PermissionKind = (*self).into();
        kind.into()
    }
}

impl From<Kind> for pb::PermissionKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Upload => Self::Upload,
            Kind::Download => Self::Download,
            Kind::Reference => Self::Reference,
            Kind::Emergency => Self::Emergency,
        }
    }
}

/// One record version, bound to its content: a holder of its key cannot put other content in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSelector {
    /// The record.
    pub record_id: RecordId,
    /// Its version.
    pub version_id: VersionId,
    /// BLAKE3 of its stream.
    pub content_root: ContentRoot,
    /// Bytes of its stream.
    pub stream_len: u64,
}

impl Field<pb::RecordSelector> for RecordSelector {
    fn read(wire: pb::RecordSelector, field: &'static str) -> Result<Self, Error> {
        let pb::RecordSelector {
            record_id,
            version_id,
            content_root,
            stream_len,
        } = wire;
        content::plaintext_len(stream_len)?;
        Ok(Self {
            record_id: Field::read(record_id, field)?,
            version_id: Field::read(version_id, field)?,
            content_root: Field::read(content_root, field)?,
            stream_len,
        })
    }

    fn write(&self) -> pb::RecordSelector {
        pb::RecordSelector {
            record_id: self.record_id.write(),
            version_id: self.version_id.write(),
            content_root: self.content_root.write(),
            stream_len: self.stream_len,
        }
    }
}

/// The signed conditions of a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionBody {
    /// When it was made, in milliseconds since 1970, by the device's clock.
    pub created: u64,
    /// Audience.
    pub operator_id: OperatorId,
    /// Minted by the device.
    pub permission_id: PermissionId,
    /// What may be done.
    pub kind: Kind,
    /// Whose vault.
    pub patient_id: PatientId,
    /// Who may; in emergencies [`crate::emergency::ANY_INSTITUTION`].
    pub institution_id: InstitutionId,
    /// SHA-256 of the institution's directory entry, as the patient verified it.
    pub directory_entry_hash: Sha256Digest,
    /// SHA-256 of the X-Wing key that the wrap is for.
    pub recipient_key_hash: Sha256Digest,
    /// What may be released, one by one; empty for uploads and where there is a collection.
    pub records: Vec<RecordSelector>,
    /// What may be released: whatever lies in a collection.
    pub collection: Option<CollectionSelector>,
    /// First millisecond at which it may be presented.
    pub not_before: u64,
    /// First millisecond at which it may no longer be used.
    pub not_after: u64,
    /// Presentations.
    pub uses: u32,
    /// Ciphertext bytes, over all uses.
    pub bytes: u64,
    /// SHA-256 of the body of the request that it answers or comes with.
    pub request_hash: Sha256Digest,
    /// Verifies presentations.
    pub possession_key: IdentityKey,
    /// The permission whose place it takes.
    pub replaces: Option<Replaces>,
    /// The one purpose of use; none: any.
    pub purpose: Option<Purpose>,
    /// Which records, of those that it is for.
    pub conditions: Option<SealedConditions>,
    /// The vault as the signer knows it; none through a delegation (VLT-6).
    pub vault_head: Option<HeadRef>,
    /// SHA-256 of the delegation that the signer acts under; none: a device of the patient's own signs.
    pub delegation: Option<Sha256Digest>,
    /// How it is opened, of kind emergency alone.
    pub emergency: Option<EmergencyTerms>,
}

/// A permission that ends when another one is taken in its place, and what was left of it when the device
/// signed that (PRM-14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// Which.
    pub permission_id: PermissionId,
    /// SHA-256 of its body.
    pub permission_hash: Sha256Digest,
    /// Presentations left.
    pub uses_left: u32,
    /// Ciphertext bytes left.
    pub bytes_left: u64,
    /// The patient was asked: from now on it is the word of its signer alone, and not of whoever signed the old one
    /// (DEV-21).
    pub signed_again: bool,
}

impl Field<pb::Replaces> for Replaces {
    fn read(wire: pb::Replaces, field: &'static str) -> Result<Self, Error> {
        let pb::Replaces {
            permission_id,
            permission_hash,
            uses_left,
            bytes_left,
            signed_again,
        } = wire;
        Ok(Self {
            permission_id: Field::read(permission_id, field)?,
            permission_hash: Field::read(permission_hash, field)?,
            uses_left,
            bytes_left,
            signed_again,
        })
    }

    fn write(&self) -> pb::Replaces {
        pb::Replaces {
            permission_id: self.permission_id.write(),
            permission_hash: self.permission_hash.write(),
            uses_left: self.uses_left,
            bytes_left: self.bytes_left,
            signed_again: self.signed_again,
        }
    }
}

impl PermissionBody {
    /// PRM-1, COL-5, CND-8, DLG-8, EMG-1, VLT-6.
    fn check(self) -> Result<Self, Error> {
        let field = |field| Err(Error::Field { field });
        if self.kind == Kind::Upload && self.purpose.is_some() {
            return field("purpose");
        }
        let formed = self.conditions.as_ref().is_none_or(|conditions| {
            // Without a collection there is nothing that the server could test.
            self.kind != Kind::Upload && conditions.groups.is_empty() == self.collection.is_none()
        });
        if !formed {
            return field("conditions");
        }
        let own = self.kind == Kind::Upload || self.replaces.is_some() || self.conditions.is_some();
        if self.delegation.is_some() && own {
            return field("delegation_hash");
        }
        if self.vault_head.is_some() == self.delegation.is_some() {
            return field("vault_head");
        }
        let distinct: HashSet<_> = self.records.iter().map(|record| record.version_id).collect();
        match (self.kind, &self.collection) {
            (Kind::Upload, Some(_)) => return field("collection"),
            (Kind::Upload, None) | (_, Some(_)) if !self.records.is_empty() => return field("records"),
            (Kind::Download | Kind::Reference | Kind::Emergency, None)
                if !(1..=MAX_RECORDS).contains(&self.records.len()) =>
            {
                return field("records");
            }
            _ if distinct.len() != self.records.len() => return field("records"),
            _ => {}
        }
        if self.not_before >= self.not_after {
            return field("not_after");
        }
        if self.uses == 0 {
            return field("uses");
        }
        if self.bytes == 0 {
            return field("bytes");
        }
        let itself = |replaces: &Replaces| replaces.permission_id == self.permission_id;
        if self.replaces.as_ref().is_some_and(itself) {
            return field("replaces");
        }
        check_emergency(&self)?;
        Ok(self)
    }
}

impl Body for PermissionBody {
    const LABEL: Label = labels::PERMISSION;

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let wire: pb::PermissionBody = pb::decode_canonical(bytes)?;
        Self {
            created: read_header(wire.header)?,
            operator_id: Field::read(wire.operator_id, "operator_id")?,
            permission_id: Field::read(wire.permission_id, "permission_id")?,
            kind: Field::read(wire.kind, "kind")?,
            patient_id: Field::read(wire.patient_id, "patient_id")?,
            institution_id: Field::read(wire.institution_id, "institution_id")?,
            directory_entry_hash: Field::read(wire.directory_entry_hash, "directory_entry_hash")?,
            recipient_key_hash: Field::read(wire.recipient_key_hash, "recipient_key_hash")?,
            records: Field::read(wire.records, "records")?,
            collection: Field::read(wire.collection, "collection")?,
            not_before: wire.not_before,
            not_after: wire.not_after,
            uses: wire.uses,
            bytes: wire.bytes,
            request_hash: Field::read(wire.request_hash, "request_hash")?,
            possession_key: Field::read(wire.possession_key, "possession_key")?,
            replaces: Field::read(wire.replaces, "replaces")?,
            purpose: Field::read(wire.purpose, "purpose")?,
            conditions: Field::read(wire.conditions, "conditions")?,
            vault_head: Field::read(wire.vault_head, "vault_head")?,
            delegation: Field::read(wire.delegation_hash, "delegation_hash")?,
            emergency: Field::read(wire.emergency, "emergency")?,
        }
        .check()
    }

    fn encode(&self) -> Bytes {
        pb::PermissionBody {
            header: write_header(self.created),
            operator_id: self.operator_id.write(),
            permission_id: self.permission_id.write(),
            kind: self.kind.write(),
            patient_id: self.patient_id.write(),
            institution_id: self.institution_id.write(),
            directory_entry_hash: self.directory_entry_hash.write(),
            recipient_key_hash: self.recipient_key_hash.write(),
            records: self.records.write(),
            collection: self.collection.write(),
            not_before: self.not_before,
            not_after: self.not_after,
            uses: self.uses,
            bytes: self.bytes,
            request_hash: self.request_hash.write(),
            possession_key: self.possession_key.write(),
            replaces: self.replaces.write(),
            purpose: self.purpose.write(),
            conditions: self.conditions.write(),
            vault_head: self.vault_head.write(),
            delegation_hash: self.delegation.write(),
            emergency: self.emergency.write(),
        }
        .encode_to_vec()
        .into()
    }
}

/// label ‖ u64be(len(body)) ‖ SHA-256(body) ‖ SHA-256(enc ‖ ciphertext) (PRM-2).
pub fn permission_preimage(body: &[u8], wrap: &SealedBytes) -> Vec<u8> {
    let mut message = preimage(labels::PERMISSION, body);
    message.extend(sha256(&[&wrap.enc, &wrap.ciphertext]));
    message
}

/// HPKE `info` of the wrap: SHA-256(label ‖ body) (PRM-5).
pub fn wrap_info(body: &[u8]) -> [u8; 32] {
    sha256(&[&labels::WRAP_PERMISSION.bytes(), body])
}

/// A permission, parsed only.
#[derive(Clone)]
pub struct SignedPermission {
    bytes: Bytes,
    signature: [u8; 64],
    wrap: SealedBytes,
    device: DeviceChain,
    delegation: Option<Box<PatientSigned<Delegation>>>,
    body: PermissionBody,
}

impl SignedPermission {
    /// Puts a permission together: `bytes` are the encoded body that `wrap` was made over,
    /// `sign` gets the pre-image.
    ///
    /// # Errors
    /// The rule that the body breaks.
    pub fn sign(
        bytes: Bytes,
        wrap: SealedBytes,
        device: DeviceChain,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Self, Error> {
        let body = PermissionBody::decode(&bytes)?;
        let signature = sign(&permission_preimage(&bytes, &wrap));
        Ok(Self {
            bytes,
            signature,
            wrap,
            device,
            delegation: None,
            body,
        })
    }

    /// The same permission, by a delegate's device (DLG-7).
    #[must_use]
    pub fn through(self, delegation: PatientSigned<Delegation>) -> Self {
        Self {
            delegation: Some(Box::new(delegation)),
            ..self
        }
    }

    /// Checks the chain identity key → device → body and wrap (PRM-2); where a delegate has signed, owner →
    /// delegation → delegate's device (DLG-7).
    ///
    /// # Errors
    /// [`Error::Signature`] or [`Error::Mismatch`].
    pub fn verify(self) -> Result<VerifiedPermission, Error> {
        let Self {
            bytes,
            signature,
            wrap,
            device,
            delegation,
            body,
        } = self;
        let delegation = match (delegation, body.delegation) {
            (None, None) => None,
            (Some(delegation), Some(_)) => {
                let delegation = VerifiedDelegation::verify(*delegation)?;
                delegation.check_permission(&body)?;
                Some(Box::new(delegation))
            }
            _ => {
                return Err(Error::Mismatch {
                    what: "delegation and permission",
                });
            }
        };
        let speaker = delegation
            .as_ref()
            .map_or(body.patient_id, |delegation| delegation.delegate_id);
        let device = device.verify(speaker)?;
        let verified = device
            .key()
            .verify(&permission_preimage(&bytes, &wrap), &signature);
        Defence::StatementSignatures.check(verified)?;
        Ok(VerifiedPermission {
            bytes,
            signature,
            wrap,
            device,
            delegation,
            body,
        })
    }

    /// What the permission claims.
    pub fn claimed(&self) -> &PermissionBody {
        &self.body
    }
}

impl TryFrom<pb::Permission> for SignedPermission {
    type Error = Error;

    fn try_from(message: pb::Permission) -> Result<Self, Error> {
        let pb::Permission {
            body: bytes,
            signature,
            wrap,
            device,
            delegation,
        } = message;
        let body = PermissionBody::decode(&bytes)?;
        Ok(Self {
            bytes,
            signature: signature_bytes(&signature)?,
            wrap: Field::read(wrap, "wrap")?,
            device: device.try_into()?,
            delegation: read_delegation(delegation)?,
            body,
        })
    }
}

impl TryFrom<Option<pb::Permission>> for SignedPermission {
    type Error = Error;

    fn try_from(message: Option<pb::Permission>) -> Result<Self, Error> {
        message.ok_or(Error::Field { field: "permission" })?.try_into()
    }
}

impl From<pb::Permission> for pb::SubmitPermission {
    /// As it goes to the server, unless it takes the place of an upload permission.
    fn from(permission: pb::Permission) -> Self {
        Self {
            permission: Some(permission),
            ..Self::default()
        }
    }
}

impl From<&SignedPermission> for pb::Permission {
    fn from(permission: &SignedPermission) -> Self {
        Self {
            body: permission.bytes.clone(),
            signature: Bytes::copy_from_slice(&permission.signature),
            wrap: Some((&permission.wrap).into()),
            device: Some((&permission.device).into()),
            delegation: permission.delegation.as_deref().map(Into::into),
        }
    }
}

impl fmt::Debug for SignedPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes: _,
            signature: _,
            wrap: _,
            device: _,
            delegation: _,
            body,
        } = self;
        f.debug_tuple("SignedPermission").field(body).finish()
    }
}

/// A permission whose chain of signatures has been verified.
#[derive(Clone)]
pub struct VerifiedPermission {
    bytes: Bytes,
    signature: [u8; 64],
    wrap: SealedBytes,
    device: Device,
    delegation: Option<Box<VerifiedDelegation>>,
    body: PermissionBody,
}

impl VerifiedPermission {
    /// The exact body, as `info` binds it.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The permission key.
    pub fn wrap(&self) -> &SealedBytes {
        &self.wrap
    }

    /// The device that signed: the patient's own, or the delegate's.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// By which delegation somebody else's device has signed.
    pub fn delegation(&self) -> Option<&VerifiedDelegation> {
        self.delegation.as_deref()
    }

    /// SHA-256 of the exact body.
    pub fn hash(&self) -> Sha256Digest {
        Sha256Digest::of(&self.bytes)
    }

    /// The message that carries it.
    pub fn to_message(&self) -> pb::Permission {
        pb::Permission {
            body: self.bytes.clone(),
            signature: Bytes::copy_from_slice(&self.signature),
            wrap: Some((&self.wrap).into()),
            device: Some(self.device.chain().into()),
            delegation: (self.delegation.as_ref()).map(|given| given.to_message()),
        }
    }
}

impl Deref for VerifiedPermission {
    type Target = PermissionBody;

    fn deref(&self) -> &PermissionBody {
        &self.body
    }
}

impl fmt::Debug for VerifiedPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes: _,
            signature: _,
            wrap: _,
            device: _,
            delegation: _,
            body,
        } = self;
        f.debug_tuple("VerifiedPermission").field(body).finish()
    }
}

/// What an emergency permission must be, and no other may (EMG-1).
fn check_emergency(body: &PermissionBody) -> Result<(), Error> {
    let Some(terms) = body.emergency.as_ref().filter(|_| body.kind == Kind::Emergency) else {
        return if body.kind == Kind::Emergency || body.emergency.is_some() {
            Err(Error::Field { field: "emergency" })
        } else {
            Ok(())
        };
    };
    let whole = body.collection.is_some_and(|selector| {
        selector.collection.id == CollectionId::EMERGENCY && selector.until.is_none()
    });
    let nobody = body.institution_id == ANY_INSTITUTION
        && body.directory_entry_hash == NOTHING
        && body.request_hash == NOTHING;
    let own = |guardian: GuardianTerms| guardian.guardian_id == body.patient_id;
    let field = match () {
        () if !whole => "collection",
        () if !nobody => "institution_id",
        () if body.purpose.is_some() => "purpose",
        () if body.conditions.is_some() => "conditions",
        () if body.delegation.is_some() => "delegation_hash",
        () if terms.guardian.is_some_and(own) => "guardian_id",
        () => return Ok(()),
    };
    Err(Error::Field { field })
}

impl VerifiedDelegation {
    /// Whether a permission may be given through it (DLG-7).
    pub(crate) fn check_permission(&self, body: &PermissionBody) -> Result<(), Error> {
        self.speaks_for(body.patient_id, body.created, body.not_after)?;
        let named = body.delegation == Some(self.hash()) && body.operator_id == self.operator_id;
        let covered =
            (body.collection.as_ref()).is_none_or(|selector| self.collections.has(selector.collection.id));
        if named && Defence::DelegationScope.holds(covered) {
            Ok(())
        } else {
            Err(Error::Mismatch {
                what: "delegation and permission",
            })
        }
    }
}
