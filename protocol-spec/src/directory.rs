//! Institutions: accredited by the registrar, enrolled with both keys proven. See `spec/keys.md` §5.

use crate::{
    Error,
    bodies::{Accreditation, InstitutionKeys},
    defence::Defence,
    field::Name,
    hash::Sha256Digest,
    ids::{InstitutionId, OperatorId, RegistrarId},
    keys::{IdentityKey, RecipientKey},
    messages as pb,
    statement::{Signed, Verified},
};

/// An institution whose entry has been verified: only this may be shown to a person who decides,
/// wrapped to, or believed.
#[derive(Clone, Debug)]
pub struct Institution {
    keys: Verified<InstitutionKeys>,
    accreditation: Verified<Accreditation>,
}

impl Institution {
    /// Checks an entry against the pinned registrar and operator (KEY-8): the registrar's signature, the
    /// institution's own, and that both speak of the same id, name and X-Wing key.
    ///
    /// # Errors
    /// [`Error::Signature`] or [`Error::Mismatch`].
    pub fn verify(
        keys: Signed<InstitutionKeys>,
        accreditation: Signed<Accreditation>,
        registrar: &IdentityKey,
        operator: OperatorId,
    ) -> Result<Self, Error> {
        let identity_key = keys.claimed().identity_key;
        let keys = keys.verify(&identity_key)?;
        let accreditation = accreditation.verify(registrar)?;
        let matches = |equal, what| {
            if Defence::Accreditation.holds(equal) {
                Ok(())
            } else {
                Err(Error::Mismatch { what })
            }
        };
        matches(keys.operator_id == operator, "directory entry and operator")?;
        matches(
            accreditation.registrar_id == RegistrarId::from(registrar),
            "accreditation and registrar",
        )?;
        matches(
            accreditation.institution_id == InstitutionId::from(&identity_key),
            "accreditation and identity key",
        )?;
        matches(
            accreditation.recipient_key_hash == keys.recipient_key.digest(),
            "accreditation and recipient key",
        )?;
        matches(accreditation.name == keys.name, "accreditation and name")?;
        matches(
            keys.accreditation_hash == accreditation.hash(),
            "directory entry and accreditation",
        )?;
        Ok(Self { keys, accreditation })
    }

    /// Verifies an entry as the directory serves it; its log proof is checked apart.
    ///
    /// # Errors
    /// As [`Institution::verify`], or [`Error::Field`] when a part is missing.
    pub fn from_entry(
        entry: pb::DirectoryEntry,
        registrar: &IdentityKey,
        operator: OperatorId,
    ) -> Result<Self, Error> {
        Self::verify(
            entry.keys.try_into()?,
            entry.accreditation.try_into()?,
            registrar,
            operator,
        )
    }

    /// Checks the secret that only the holder of the X-Wing key can have opened (KEY-7).
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub fn check_secret(&self, secret: &[u8]) -> Result<(), Error> {
        if Defence::AccreditationSecret.holds(Sha256Digest::of(secret) == self.accreditation.secret_hash) {
            Ok(())
        } else {
            Err(Error::Mismatch {
                what: "accreditation secret",
            })
        }
    }

    /// Its id.
    pub fn id(&self) -> InstitutionId {
        self.accreditation.institution_id
    }

    /// The name that the registrar checked.
    pub fn name(&self) -> &Name {
        &self.keys.name
    }

    /// Verifies its statements and requests.
    pub fn identity_key(&self) -> &IdentityKey {
        &self.keys.identity_key
    }

    /// What is sealed to it is sealed to this.
    pub fn recipient_key(&self) -> &RecipientKey {
        &self.keys.recipient_key
    }

    /// SHA-256 of the entry, as permissions name it.
    pub fn entry_hash(&self) -> Sha256Digest {
        self.keys.hash()
    }

    /// The statement of its keys, as the log holds it.
    pub fn keys(&self) -> &Verified<InstitutionKeys> {
        &self.keys
    }

    /// The registrar's statement.
    pub fn accreditation(&self) -> &Verified<Accreditation> {
        &self.accreditation
    }
}
