//! Statements of patients: signed by a device, whose certificate leads to the patient's id.
//! See `spec/keys.md` §4 and `spec/statements.md` §1.

use std::ops::Deref;

use crate::{
    Error,
    bodies::{
        Denial, DeviceCertificate, EpochClosure, Placement, Revocation, RevocationCertificate, UploadRequest,
    },
    hash::Sha256Digest,
    ids::PatientId,
    messages as pb,
    statement::{Body, Signed, Verified},
};

/// A body that names the patient who vouches for it.
pub trait OfPatient: Body {
    /// Whose device must have signed.
    fn patient_id(&self) -> PatientId;
}

macro_rules! of_patient {
    ($($name:ident),*) => {$(
        impl OfPatient for $name {
            fn patient_id(&self) -> PatientId {
                self.patient_id
            }
        }
    )*};
}

of_patient!(
    Denial,
    EpochClosure,
    Placement,
    Revocation,
    RevocationCertificate,
    UploadRequest
);

/// Checks that a device certificate is signed by the identity key in it and belongs to `patient` (KEY-5).
///
/// # Errors
/// [`Error::Signature`] or [`Error::Mismatch`].
pub fn verify_device(
    certificate: Signed<DeviceCertificate>,
    patient: PatientId,
) -> Result<Verified<DeviceCertificate>, Error> {
    let identity_key = certificate.claimed().identity_key;
    if PatientId::from(&identity_key) != patient {
        return Err(Error::Mismatch {
            what: "device certificate and patient",
        });
    }
    certificate.verify(&identity_key)
}

/// A patient's statement, parsed only.
#[derive(Clone, Debug)]
pub struct PatientSigned<T> {
    statement: Signed<T>,
    certificate: Signed<DeviceCertificate>,
}

impl<T: OfPatient> PatientSigned<T> {
    /// Puts a device's statement and certificate together.
    pub fn new(statement: Signed<T>, certificate: Signed<DeviceCertificate>) -> Self {
        Self {
            statement,
            certificate,
        }
    }

    /// Checks the chain identity key → device key → statement (STM-6).
    ///
    /// # Errors
    /// [`Error::Signature`] or [`Error::Mismatch`].
    pub fn verify(self) -> Result<PatientVerified<T>, Error> {
        let certificate = verify_device(self.certificate, self.statement.claimed().patient_id())?;
        let statement = self.statement.verify(&certificate.device_key)?;
        Ok(PatientVerified {
            statement,
            certificate,
        })
    }

    /// What the statement claims.
    pub fn claimed(&self) -> &T {
        self.statement.claimed()
    }

    /// SHA-256 of the exact body.
    pub fn hash(&self) -> Sha256Digest {
        self.statement.hash()
    }
}

impl<T: OfPatient> TryFrom<pb::PatientStatement> for PatientSigned<T> {
    type Error = Error;

    fn try_from(message: pb::PatientStatement) -> Result<Self, Error> {
        Ok(Self {
            statement: message.statement.try_into()?,
            certificate: message.device_certificate.try_into()?,
        })
    }
}

impl<T: OfPatient> TryFrom<Option<pb::PatientStatement>> for PatientSigned<T> {
    type Error = Error;

    fn try_from(message: Option<pb::PatientStatement>) -> Result<Self, Error> {
        message
            .ok_or(Error::Field {
                field: "patient statement",
            })?
            .try_into()
    }
}

impl<T: Body> From<&PatientSigned<T>> for pb::PatientStatement {
    fn from(signed: &PatientSigned<T>) -> Self {
        Self {
            statement: Some(signed.statement.to_message()),
            device_certificate: Some(signed.certificate.to_message()),
        }
    }
}

/// A patient's statement whose chain has been verified.
#[derive(Clone, Debug)]
pub struct PatientVerified<T> {
    statement: Verified<T>,
    certificate: Verified<DeviceCertificate>,
}

impl<T: Body> PatientVerified<T> {
    /// The device that signed.
    pub fn device(&self) -> &Verified<DeviceCertificate> {
        &self.certificate
    }

    /// SHA-256 of the exact body.
    pub fn hash(&self) -> Sha256Digest {
        self.statement.hash()
    }

    /// The message that carries it.
    pub fn to_message(&self) -> pb::PatientStatement {
        pb::PatientStatement {
            statement: Some(self.statement.to_message()),
            device_certificate: Some(self.certificate.to_message()),
        }
    }
}

impl<T> Deref for PatientVerified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.statement
    }
}
