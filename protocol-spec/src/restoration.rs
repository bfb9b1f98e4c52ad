//! Restorations: an older copy of an operator's data was put back, and its log goes on from there
//! under another origin. See `spec/restoration.md`.

use crate::{
    Error,
    bodies::Restoration,
    defence::Defence,
    error::must,
    hash::Sha256Digest,
    ids::{OperatorId, RegistrarId},
    keys::IdentityKey,
    log::Generation,
    messages as pb,
    statement::{Signed, Verified},
};

/// A restoration as the directory has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedRestoration {
    /// Of the log that it begins.
    pub generation: Generation,
    /// Leaves of the copy, and its own place behind them.
    pub size: u64,
    /// Root over the copy's leaves.
    pub root: Sha256Digest,
    /// Leaves that the log is known to have had before.
    pub seen: u64,
    /// When the copy was made at the latest, in milliseconds since 1970.
    pub until: u64,
    /// When the operator has signed it, in milliseconds since 1970.
    pub created: u64,
}

impl VerifiedRestoration {
    /// What a statement says that has been verified, at its place in the log.
    pub(crate) fn read(index: u64, statement: pb::Statement) -> Result<Self, Error> {
        let signed = Signed::<Restoration>::try_from(statement)?;
        let restored = Self::of(signed.claimed())?;
        must(restored.size == index, "restoration and its place in the log")?;
        Ok(restored)
    }

    fn of(body: &Restoration) -> Result<Self, Error> {
        let Restoration {
            created,
            operator_id: _,
            registrar_id: _,
            generation,
            size,
            root,
            seen,
            until,
        } = *body;
        let generation = Generation::new(generation)?;
        must(
            generation > Generation::FIRST && size > 0 && seen >= size,
            "restoration and its numbers",
        )?;
        Ok(Self {
            generation,
            size,
            root,
            seen,
            until,
            created,
        })
    }
}

/// Checks that operator and registrar have signed the same restoration (RST-2). The operator alone could bring back
/// to life what was revoked.
pub fn verify_restoration(
    by_operator: Signed<Restoration>,
    by_registrar: Signed<Restoration>,
    operator: &IdentityKey,
    registrar: &IdentityKey,
) -> Result<Verified<Restoration>, Error> {
    let same = by_operator.hash() == by_registrar.hash();
    let agreed = by_registrar
        .verify(registrar)
        .and_then(|_| must(same, "restoration of operator and registrar"));
    Defence::RestorationRegistrar.check(agreed)?;
    let restoration = by_operator.verify(operator)?;
    must(
        restoration.operator_id == OperatorId::from(operator)
            && restoration.registrar_id == RegistrarId::from(registrar),
        "restoration and keys",
    )?;
    VerifiedRestoration::of(&restoration)?;
    Ok(restoration)
}
