//! The chain of certificates that leads from a patient's id to one of her devices. See `spec/keys.md` §4.

use crate::{
    Error,
    bodies::DeviceCertificate,
    hash::Sha256Digest,
    ids::{DeviceId, PatientId},
    keys::IdentityKey,
    messages as pb,
    statement::{Signed, Verified},
};

/// Identity key → device → device …, parsed only.
#[derive(Clone, Debug)]
pub struct DeviceChain {
    identity_key: IdentityKey,
    certificates: Vec<Signed<DeviceCertificate>>,
}

impl DeviceChain {
    /// Most certificates: a device that is added by the newest one every other year for a lifetime.
    pub const MAX: usize = 32;

    /// The chain of the first device.
    pub fn first(identity_key: IdentityKey, certificate: Signed<DeviceCertificate>) -> Self {
        Self {
            identity_key,
            certificates: vec![certificate],
        }
    }

    /// The chain of a device that the last one of this chain has certified. Fails with [`Error::Field`]
    /// when it is too long.
    pub fn extended(&self, certificate: Signed<DeviceCertificate>) -> Result<Self, Error> {
        let mut chain = self.clone();
        chain.certificates.push(certificate);
        chain.check_length()
    }

    /// Checks every link of the chain (KEY-5).
    pub fn verify(self, patient: PatientId) -> Result<Device, Error> {
        let mismatch = Error::Mismatch {
            what: "device chain and patient",
        };
        if PatientId::from(&self.identity_key) != patient {
            return Err(mismatch);
        }
        let (mut key, mut issuer, mut last) = (self.identity_key, None, None);
        for certificate in &self.certificates {
            if certificate.claimed().patient_id != patient {
                return Err(mismatch);
            }
            let verified = certificate.clone().verify(&key)?;
            issuer = last
                .as_ref()
                .map(|_: &Verified<DeviceCertificate>| DeviceId::from(&key));
            key = verified.device_key;
            last = Some(verified);
        }
        let certificate = last.ok_or(mismatch)?;
        Ok(Device {
            chain: self,
            issuer,
            certificate,
        })
    }

    /// What the certificates claim to lead from.
    pub fn identity_key(&self) -> &IdentityKey {
        &self.identity_key
    }

    fn check_length(self) -> Result<Self, Error> {
        if (1..=Self::MAX).contains(&self.certificates.len()) {
            Ok(self)
        } else {
            Err(Error::Field {
                field: "device certificates",
            })
        }
    }
}

impl TryFrom<Option<pb::DeviceChain>> for DeviceChain {
    type Error = Error;

    fn try_from(message: Option<pb::DeviceChain>) -> Result<Self, Error> {
        let pb::DeviceChain {
            identity_key,
            certificates,
        } = message.ok_or(Error::Field {
            field: "device chain",
        })?;
        // Not more is read than may be there.
        let certificates = certificates.into_iter().take(Self::MAX + 1);
        Self {
            identity_key: identity_key.as_ref().try_into()?,
            certificates: certificates.map(Signed::try_from).collect::<Result<_, _>>()?,
        }
        .check_length()
    }
}

impl From<&DeviceChain> for pb::DeviceChain {
    fn from(chain: &DeviceChain) -> Self {
        Self {
            identity_key: bytes::Bytes::copy_from_slice(chain.identity_key.as_bytes()),
            certificates: chain.certificates.iter().map(Signed::to_message).collect(),
        }
    }
}

/// A device to which a verified chain leads. Whether it still is one, the newest list of devices says.
#[derive(Clone, Debug)]
pub struct Device {
    chain: DeviceChain,
    issuer: Option<DeviceId>,
    certificate: Verified<DeviceCertificate>,
}

impl Device {
    /// The device's id, which follows from its key.
    pub fn id(&self) -> DeviceId {
        DeviceId::from(&self.certificate.device_key)
    }

    /// The key that verifies the device's statements and requests.
    pub fn key(&self) -> &IdentityKey {
        &self.certificate.device_key
    }

    /// SHA-256 of its X-Wing key.
    pub fn recipient_key_hash(&self) -> &Sha256Digest {
        &self.certificate.recipient_key_hash
    }

    /// The device that certified it; none if the patient's identity key did.
    pub fn issuer(&self) -> Option<DeviceId> {
        self.issuer
    }

    /// The patient to whom the device belongs.
    pub fn patient_id(&self) -> PatientId {
        self.certificate.patient_id
    }

    /// The chain of certificates that leads from the identity key to the device.
    pub fn chain(&self) -> &DeviceChain {
        &self.chain
    }
}
