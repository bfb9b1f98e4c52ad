//! Statements that come with their place in the log.

use super::{
    checkpoint::VerifiedCheckpoint,
    entry::{Entry, Mark},
    proof::TlogProof,
};
use crate::{
    Error,
    hash::Sha256Digest,
    keys::IdentityKey,
    messages as pb,
    patient::{OfPatient, PatientSigned, PatientVerified},
    statement::{Body, Signed, Verified},
};

/// Checks that the statement with this hash stands in the log as a salted leaf (LOG-3), and returns the checkpoint it
/// stands under. Fails with [`Error::LogProof`], or with what is wrong with the proof or the checkpoint.
pub fn verify_inclusion(
    proof: Option<pb::LogProof>,
    statement: &Sha256Digest,
    operator: &IdentityKey,
) -> Result<VerifiedCheckpoint, Error> {
    let proof = proof.ok_or(Error::Field { field: "proof" })?;
    let half = |bytes: &[u8], field| bytes.try_into().map_err(|_| Error::Field { field });
    let mark = Mark {
        salt: half(&proof.salt, "salt")?,
        tag: half(&proof.tag, "tag")?,
    };
    verify_entry(&proof, &mark.entry(statement), operator)
}

/// Checks that an entry stands in the log in clear (LOG-3).
pub fn verify_published(
    proof: Option<pb::LogProof>,
    entry: &Entry,
    operator: &IdentityKey,
) -> Result<VerifiedCheckpoint, Error> {
    verify_entry(&proof.ok_or(Error::Field { field: "proof" })?, entry, operator)
}

fn verify_entry(
    proof: &pb::LogProof,
    entry: &Entry,
    operator: &IdentityKey,
) -> Result<VerifiedCheckpoint, Error> {
    let proof: TlogProof = proof.proof.parse()?;
    proof.verify_by(&entry.bytes()?, operator)
}

/// A receipt as it came: parsed, and nothing of it verified.
#[derive(Clone, Debug)]
pub struct ReceiptClaim<T> {
    /// What the operator is said to vouch for.
    pub statement: Signed<T>,
    /// Its place in the log.
    pub proof: Option<pb::LogProof>,
}

impl<T: Body> TryFrom<pb::Receipt> for ReceiptClaim<T> {
    type Error = Error;

    fn try_from(pb::Receipt { statement, proof }: pb::Receipt) -> Result<Self, Error> {
        let statement = statement.try_into()?;
        Ok(Self { statement, proof })
    }
}

impl<T: Body> TryFrom<Option<pb::Receipt>> for ReceiptClaim<T> {
    type Error = Error;

    fn try_from(message: Option<pb::Receipt>) -> Result<Self, Error> {
        message.ok_or(Error::Field { field: "receipt" })?.try_into()
    }
}

/// A receipt: the operator's statement with its place in the log.
#[derive(Clone, Debug)]
pub struct Receipt<T> {
    /// The statement that the operator has signed.
    pub statement: Verified<T>,
    /// The log that holds it.
    pub checkpoint: VerifiedCheckpoint,
}

impl<T: Body> Receipt<T> {
    /// Checks the operator's signature and the inclusion proof (LOG-3).
    pub fn verify(message: Option<pb::Receipt>, operator: &IdentityKey) -> Result<Self, Error> {
        ReceiptClaim::try_from(message)?.verify(operator)
    }
}

impl<T: Body> ReceiptClaim<T> {
    /// Checks the operator's signature and the inclusion proof (LOG-3).
    ///
    /// # Errors
    /// [`Error::Signature`], [`Error::LogProof`] or a malformed field.
    pub fn verify(self, operator: &IdentityKey) -> Result<Receipt<T>, Error> {
        let statement = self.statement.verify(operator)?;
        let checkpoint = verify_inclusion(self.proof, &statement.hash(), operator)?;
        Ok(Receipt {
            statement,
            checkpoint,
        })
    }
}

/// A statement of a patient's device and its place in the log, as they came: parsed, and nothing of it verified.
#[derive(Clone, Debug)]
pub struct LoggedClaim<T> {
    /// What a device is said to say.
    pub statement: PatientSigned<T>,
    /// Its place in the log.
    pub proof: Option<pb::LogProof>,
}

impl<T: OfPatient> TryFrom<pb::LoggedStatement> for LoggedClaim<T> {
    type Error = Error;

    fn try_from(message: pb::LoggedStatement) -> Result<Self, Error> {
        let pb::LoggedStatement { statement, proof } = message;
        let statement = statement.try_into()?;
        Ok(Self { statement, proof })
    }
}

impl<T: OfPatient> TryFrom<Option<pb::LoggedStatement>> for LoggedClaim<T> {
    type Error = Error;

    fn try_from(message: Option<pb::LoggedStatement>) -> Result<Self, Error> {
        let missing = Error::Field {
            field: "logged statement",
        };
        message.ok_or(missing)?.try_into()
    }
}

impl<T: OfPatient> LoggedClaim<T> {
    /// Checks the device's chain and the inclusion proof (STM-6, LOG-3).
    ///
    /// # Errors
    /// [`Error::Signature`], [`Error::LogProof`] or a malformed field.
    pub fn verify(self, operator: &IdentityKey) -> Result<Logged<T>, Error> {
        let statement = self.statement.verify()?;
        let checkpoint = verify_inclusion(self.proof, &statement.hash(), operator)?;
        Ok(Logged {
            statement,
            checkpoint,
        })
    }

    /// The message that carries it, to be passed on.
    pub fn to_message(&self) -> pb::LoggedStatement {
        pb::LoggedStatement {
            statement: Some((&self.statement).into()),
            proof: self.proof.clone(),
        }
    }
}

/// A statement of a patient's device with its place in the log.
#[derive(Clone, Debug)]
pub struct Logged<T> {
    /// The statement, verified with the chain of the device that signed it.
    pub statement: PatientVerified<T>,
    /// The log that holds it.
    pub checkpoint: VerifiedCheckpoint,
}

impl<T: OfPatient> Logged<T> {
    /// Checks the device's chain and the inclusion proof (STM-6, LOG-3).
    pub fn verify(message: pb::LoggedStatement, operator: &IdentityKey) -> Result<Self, Error> {
        LoggedClaim::try_from(message)?.verify(operator)
    }
}
