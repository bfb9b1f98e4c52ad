//! Statements of patients: signed by a device, to which a chain of certificates leads from the patient's id.
//! See `spec/keys.md` §4 and `spec/statements.md` §1.

mod chain;

use std::ops::Deref;

pub use self::chain::{Device, DeviceChain};
pub use crate::body::OfPatient;
use crate::{
    Error,
    bodies::Delegation,
    defence::Defence,
    hash::Sha256Digest,
    ids::PatientId,
    messages as pb,
    parts::delegation::Power,
    statement::{Body, Signed, Verified},
};

/// A patient's statement, parsed only.
#[derive(Clone, Debug)]
pub struct PatientSigned<T> {
    statement: Signed<T>,
    device: DeviceChain,
    delegation: Option<Box<PatientSigned<Delegation>>>,
}

impl<T: OfPatient> PatientSigned<T> {
    /// Puts a device's statement and chain together.
    pub fn new(statement: Signed<T>, device: DeviceChain) -> Self {
        Self {
            statement,
            device,
            delegation: None,
        }
    }

    /// The same statement, by a delegate's device (DLG-8).
    #[must_use]
    pub fn through(self, delegation: PatientSigned<Delegation>) -> Self {
        Self {
            delegation: Some(Box::new(delegation)),
            ..self
        }
    }

    /// Checks the chain identity key → device → statement (STM-6); of a delegate's device, also the delegation by
    /// which it speaks (DLG-2, DLG-8).
    pub fn verify(self) -> Result<PatientVerified<T>, Error> {
        let claimed = self.statement.claimed();
        let (owner, made) = (claimed.patient_id(), claimed.created());
        let delegation = match self.delegation {
            None => None,
            Some(_) if !Defence::DelegationScope.holds(T::BY_DELEGATES) => {
                return Err(Error::Mismatch {
                    what: "statement and delegation",
                });
            }
            Some(delegation) => {
                let delegation = VerifiedDelegation::verify(*delegation)?;
                delegation.speaks_for(owner, made, made)?;
                Some(Box::new(delegation))
            }
        };
        let speaker = delegation.as_ref().map_or(owner, |given| given.delegate_id);
        let device = self.device.verify(speaker)?;
        let statement = self.statement.verify(device.key())?;
        Ok(PatientVerified {
            statement,
            device,
            delegation,
        })
    }

    /// The body, which the patient only claims as long as nothing is verified.
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
            device: message.device.try_into()?,
            delegation: read_delegation(message.delegation.map(|given| *given))?,
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
            device: Some((&signed.device).into()),
            delegation: signed.delegation.as_deref().map(|given| Box::new(given.into())),
        }
    }
}

/// The delegation beside a statement or a permission.
pub(crate) fn read_delegation(
    message: Option<pb::PatientStatement>,
) -> Result<Option<Box<PatientSigned<Delegation>>>, Error> {
    let read = |message| PatientSigned::try_from(message).map(Box::new);
    message.map(read).transpose()
}

/// A patient's statement whose chain has been verified.
#[derive(Clone, Debug)]
pub struct PatientVerified<T> {
    statement: Verified<T>,
    device: Device,
    delegation: Option<Box<VerifiedDelegation>>,
}

impl<T: Body> PatientVerified<T> {
    /// The device that signed: the patient's own, or the delegate's.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The statement again, to be passed on.
    pub fn signed(&self) -> PatientSigned<T>
    where
        T: Clone,
    {
        PatientSigned {
            statement: self.statement.signed().clone(),
            device: self.device.chain().clone(),
            delegation: (self.delegation.as_ref()).map(|given| Box::new(given.signed())),
        }
    }

    /// By which delegation somebody else's device has signed.
    pub fn delegation(&self) -> Option<&VerifiedDelegation> {
        self.delegation.as_deref()
    }

    /// SHA-256 of the exact body.
    pub fn hash(&self) -> Sha256Digest {
        self.statement.hash()
    }

    /// The message that carries it.
    pub fn to_message(&self) -> pb::PatientStatement {
        pb::PatientStatement {
            statement: Some(self.statement.to_message()),
            device: Some(self.device.chain().into()),
            delegation: (self.delegation.as_ref()).map(|given| Box::new(given.to_message())),
        }
    }
}

impl<T> Deref for PatientVerified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.statement
    }
}

/// A delegation by the owner's own device, whose parts fit together. Whether it has been ended, the
/// server and the owner know.
#[derive(Clone, Debug)]
pub struct VerifiedDelegation(PatientVerified<Delegation>);

impl VerifiedDelegation {
    /// Checks who signed it, and what it says (DLG-1, DLG-2).
    pub fn verify(signed: PatientSigned<Delegation>) -> Result<Self, Error> {
        let delegation = signed.verify()?;
        if delegation.not_before >= delegation.not_after {
            return Err(Error::Field { field: "not_after" });
        }
        if delegation.patient_id == delegation.delegate_id {
            return Err(Error::Field { field: "delegate_id" });
        }
        Ok(Self(delegation))
    }

    /// The owner's device that signed.
    pub fn device(&self) -> &Device {
        self.0.device()
    }

    /// SHA-256 of the exact body.
    pub fn hash(&self) -> Sha256Digest {
        self.0.hash()
    }

    /// The statement again, to be passed on.
    pub fn signed(&self) -> PatientSigned<Delegation> {
        self.0.signed()
    }

    /// The message that carries it.
    pub fn to_message(&self) -> pb::PatientStatement {
        self.0.to_message()
    }

    /// Whether it is for a statement of this owner's that was made then (DLG-7, DLG-8).
    pub(crate) fn speaks_for(&self, owner: PatientId, made: u64, holds_until: u64) -> Result<(), Error> {
        let what = "delegation and statement";
        let hers = Defence::DelegationChain.holds(self.patient_id == owner);
        let permits = Defence::DelegationScope.holds(self.power == Power::Permit);
        let within = self.not_before <= made && made < self.not_after && holds_until <= self.not_after;
        if hers && permits && Defence::DelegationLife.holds(within) {
            Ok(())
        } else {
            Err(Error::Mismatch { what })
        }
    }
}

impl Deref for VerifiedDelegation {
    type Target = Delegation;

    fn deref(&self) -> &Delegation {
        &self.0
    }
}
