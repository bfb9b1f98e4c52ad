//! Permissions: what a patient lets one institution do, and the wrap that is the permission key.
//! See `spec/permission.md`.

use std::{fmt, ops::Deref};

use bytes::Bytes;

use crate::{
    Error,
    bodies::Delegation,
    defence::Defence,
    field::{Field, SealedBytes},
    hash::{Sha256Digest, sha256},
    labels, messages as pb,
    patient::{Device, DeviceChain, PatientSigned, VerifiedDelegation, read_delegation},
    statement::{Body, preimage, signature_bytes},
};
pub use crate::{
    bodies::{MAX_RECORDS, PermissionBody},
    parts::permission::{Kind, PermissionState, RecordSelector, Replaces},
};

/// label ‖ u64be(len(body)) ‖ SHA-256(body) ‖ SHA-256(enc ‖ ciphertext) (PRM-2).
pub fn permission_preimage(body: &[u8], wrap: &SealedBytes) -> Vec<u8> {
    let mut message = preimage(PermissionBody::LABEL, body);
    message.extend(sha256(&[&wrap.enc, &wrap.ciphertext]));
    message
}

/// HPKE `info` of the wrap: SHA-256(label ‖ body) (PRM-5).
pub fn wrap_info(body: &[u8]) -> [u8; 32] {
    sha256(&[&labels::WRAP_PERMISSION.bytes(), body])
}

/// A permission that was parsed, and whose signatures nobody has checked.
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
    /// `sign` gets the pre-image. Fails with the rule that the body breaks.
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

    /// The body, which is only claimed as long as nothing is verified.
    pub fn claimed(&self) -> &PermissionBody {
        &self.body
    }

    /// SHA-256 of the exact body.
    pub fn hash(&self) -> Sha256Digest {
        Sha256Digest::of(&self.bytes)
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

    /// The permission key, sealed to the institution (`spec/permission.md` §3).
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
