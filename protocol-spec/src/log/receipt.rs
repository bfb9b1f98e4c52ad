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
        let pb::Receipt { statement, proof } = message.ok_or(Error::Field { field: "receipt" })?;
        let statement = Signed::<T>::try_from(statement)?.verify(operator)?;
        let checkpoint = verify_inclusion(proof, &statement.hash(), operator)?;
        Ok(Self {
            statement,
            checkpoint,
        })
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
        let pb::LoggedStatement { statement, proof } = message;
        let statement = PatientSigned::<T>::try_from(statement)?.verify()?;
        let checkpoint = verify_inclusion(proof, &statement.hash(), operator)?;
        Ok(Self {
            statement,
            checkpoint,
        })
    }
}
