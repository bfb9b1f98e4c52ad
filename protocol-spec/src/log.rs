//! The transparency log as clients check it: RFC 6962 inclusion and consistency. See `spec/log.md`.

use bytes::Bytes;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;

use crate::{
    Error,
    bodies::Checkpoint,
    field::Field,
    hash::{Sha256Digest, sha256},
    ids::OperatorId,
    keys::IdentityKey,
    labels, messages as pb,
    patient::{OfPatient, PatientSigned, PatientVerified},
    statement::{Body, Signed, Verified},
};

/// The bytes of a leaf: SHA-256(label ‖ salt ‖ SHA-256(statement body)) (LOG-1). The salt keeps those who
/// know a statement, but have no receipt, from finding it in the log.
pub fn leaf(salt: &[u8; 16], statement: &Sha256Digest) -> [u8; 32] {
    sha256(&[&labels::LOG_LEAF.bytes(), salt, statement.as_bytes()])
}

/// Checks a checkpoint's signature and that it is this operator's (LOG-2).
///
/// # Errors
/// [`Error::Signature`] or [`Error::Mismatch`].
pub fn verify_checkpoint(
    checkpoint: Signed<Checkpoint>,
    operator: &IdentityKey,
) -> Result<Verified<Checkpoint>, Error> {
    let checkpoint = checkpoint.verify(operator)?;
    if checkpoint.operator_id != OperatorId::from(operator) {
        return Err(Error::Mismatch {
            what: "checkpoint and operator",
        });
    }
    Ok(checkpoint)
}

/// Checks that the statement with this hash stands in the log (LOG-3), and returns the checkpoint it stands under.
///
/// # Errors
/// [`Error::LogProof`], or what is wrong with the checkpoint.
pub fn verify_inclusion(
    proof: Option<pb::LogProof>,
    statement: &Sha256Digest,
    operator: &IdentityKey,
) -> Result<Verified<Checkpoint>, Error> {
    let pb::LogProof {
        salt,
        index,
        path,
        checkpoint,
    } = proof.ok_or(Error::Field { field: "proof" })?;
    let salt = salt
        .as_ref()
        .try_into()
        .map_err(|_| Error::Field { field: "salt" })?;
    let checkpoint = verify_checkpoint(checkpoint.try_into()?, operator)?;
    let path = InclusionProof::<Sha256>::try_from_bytes(concat(&path)?).map_err(|_| Error::LogProof)?;
    root(&checkpoint)?
        .verify_inclusion(&leaf(&salt, statement), index, &path)
        .map_err(|_| Error::LogProof)?;
    Ok(checkpoint)
}

/// Checks that the log of `new` continues the log of `old` (LOG-4).
///
/// # Errors
/// [`Error::LogProof`].
pub fn verify_consistency(
    old: &Verified<Checkpoint>,
    new: &Verified<Checkpoint>,
    path: &[Bytes],
) -> Result<(), Error> {
    if old.size == new.size {
        return if old.root == new.root {
            Ok(())
        } else {
            Err(Error::LogProof)
        };
    }
    let proof = ConsistencyProof::<Sha256>::try_from_bytes(concat(path)?).map_err(|_| Error::LogProof)?;
    root(new)?
        .verify_consistency(&root(old)?, &proof)
        .map_err(|_| Error::LogProof)
}

/// A receipt: the operator's statement with its place in the log.
#[derive(Clone, Debug)]
pub struct Receipt<T> {
    /// What the operator vouches for.
    pub statement: Verified<T>,
    /// The log that holds it.
    pub checkpoint: Verified<Checkpoint>,
}

impl<T: Body> Receipt<T> {
    /// Checks the operator's signature and the inclusion proof (LOG-3).
    ///
    /// # Errors
    /// [`Error::Signature`], [`Error::LogProof`] or a malformed field.
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
    /// What the device says.
    pub statement: PatientVerified<T>,
    /// The log that holds it.
    pub checkpoint: Verified<Checkpoint>,
}

impl<T: OfPatient> Logged<T> {
    /// Checks the device's chain and the inclusion proof (STM-6, LOG-3).
    ///
    /// # Errors
    /// [`Error::Signature`], [`Error::LogProof`] or a malformed field.
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

fn root(checkpoint: &Checkpoint) -> Result<RootHash<Sha256>, Error> {
    // ct-merkle counts nodes in u64: more than 2^62 leaves would overflow its indices.
    if checkpoint.size == 0 || checkpoint.size > 1 << 62 {
        return Err(Error::Field { field: "size" });
    }
    Ok(RootHash::new(
        (*checkpoint.root.as_bytes()).into(),
        checkpoint.size,
    ))
}

fn concat(path: &[Bytes]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(path.len().min(64) * 32);
    if path.len() > 128 {
        return Err(Error::Field { field: "path" });
    }
    for hash in path {
        let digest = Sha256Digest::read(hash.clone(), "path")?;
        out.extend(digest.as_bytes());
    }
    Ok(out)
}
