//! Institutions: accredited by the registrar, enrolled with both keys proven. See `spec/keys.md` §5.

use crate::{
    Error,
    bodies::{Accreditation, InstitutionKeys, Retirement, TerminalCertificate, TerminalRemoval, Withdrawal},
    body::{Body, Timestamped},
    defence::Defence,
    error::must,
    field::Name,
    hash::Sha256Digest,
    ids::{InstitutionId, OperatorId, RegistrarId},
    keys::{IdentityKey, RecipientKey},
    messages as pb,
    problem::Problem,
    statement::{Signed, Verified},
};

/// An institution whose entry has been verified: only this may be shown to a person who
/// decides, wrapped to, or believed.
#[derive(Clone, Debug)]
pub struct Institution {
    keys: Verified<InstitutionKeys>,
    accreditation: Verified<Accreditation>,
    retirement: Option<Verified<Retirement>>,
    withdrawal: Option<Verified<Withdrawal>>,
}

/// What the successor of an entry must know of it: all that a client need keep (INS-4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLink {
    /// The institution whose chain the entry stands in.
    pub institution: InstitutionId,
    /// The name that the registrar has accredited.
    pub name: Name,
    /// Its place in the chain, from 0.
    pub sequence: u64,
    /// SHA-256 of the body of the entry.
    pub entry_hash: Sha256Digest,
    /// SHA-256 of its X-Wing key.
    pub recipient_key_hash: Sha256Digest,
}

/// Checks that the pinned registrar withdraws an accreditation (INS-15). Whether the institution stands in
/// a directory is another question.
pub fn verify_withdrawal(
    withdrawal: Signed<Withdrawal>,
    registrar: &IdentityKey,
) -> Result<Verified<Withdrawal>, Error> {
    let withdrawal = withdrawal.verify(registrar)?;
    must(
        withdrawal.registrar_id == RegistrarId::from(registrar),
        "withdrawal and registrar",
    )?;
    Ok(withdrawal)
}

impl ChainLink {
    /// Of the entry with this hash.
    pub(crate) fn of(keys: &InstitutionKeys, entry_hash: Sha256Digest) -> Self {
        Self {
            institution: InstitutionId::from(&keys.identity_key),
            name: keys.name.clone(),
            sequence: keys.succession.map_or(0, |place| place.sequence),
            entry_hash,
            recipient_key_hash: keys.recipient_key.digest(),
        }
    }
}

impl Institution {
    /// Checks an entry against the pinned registrar and operator (KEY-8): the registrar's signature, the
    /// institution's own, and that both speak of the same id, name and X-Wing key.
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
        Ok(Self {
            keys,
            accreditation,
            retirement: None,
            withdrawal: None,
        })
    }

    /// Verifies an entry as the directory serves it; its log proof is checked apart. Fails as [`Institution::verify`]
    /// does, and with [`Error::Field`] when a part is missing.
    pub fn from_entry(
        entry: pb::DirectoryEntry,
        registrar: &IdentityKey,
        operator: OperatorId,
    ) -> Result<Self, Error> {
        let mut institution = Self::verify(
            entry.keys.try_into()?,
            entry.accreditation.try_into()?,
            registrar,
            operator,
        )?;
        if let Some(retirement) = entry.retirement {
            institution.retirement = Some(institution.verify_retirement(retirement.try_into()?)?);
        }
        if let Some(withdrawal) = entry.withdrawal {
            let withdrawal = verify_withdrawal(withdrawal.try_into()?, registrar)?;
            must(
                withdrawal.institution_id == institution.id(),
                "withdrawal and directory entry",
            )?;
            institution.withdrawal = Some(withdrawal);
        }
        Ok(institution)
    }

    /// Checks that the institution itself ends, by this very entry (INS-13).
    pub fn verify_retirement(&self, retirement: Signed<Retirement>) -> Result<Verified<Retirement>, Error> {
        let retirement = retirement.verify(self.identity_key())?;
        let same = retirement.institution_id == self.id()
            && retirement.operator_id == self.keys.operator_id
            && retirement.entry_hash == self.entry_hash();
        if same {
            Ok(retirement)
        } else {
            Err(Error::Mismatch {
                what: "retirement and directory entry",
            })
        }
    }

    /// Checks that the institution's identity key vouches for a terminal, here (INS-7). Whether it has been removed
    /// or is over is another question.
    pub fn verify_terminal(
        &self,
        certificate: Signed<TerminalCertificate>,
    ) -> Result<Verified<TerminalCertificate>, Error> {
        let certificate = certificate.verify(self.identity_key())?;
        let same =
            certificate.institution_id == self.id() && certificate.operator_id == self.keys.operator_id;
        if Defence::TerminalCertificates.holds(same) {
            Ok(certificate)
        } else {
            Err(Error::Mismatch {
                what: "terminal certificate and institution",
            })
        }
    }

    /// Checks a removal of one of its terminals (INS-11).
    pub fn verify_removal(
        &self,
        removal: Signed<TerminalRemoval>,
    ) -> Result<Verified<TerminalRemoval>, Error> {
        let removal = removal.verify(self.identity_key())?;
        if removal.institution_id == self.id() && removal.operator_id == self.keys.operator_id {
            Ok(removal)
        } else {
            Err(Error::Mismatch {
                what: "terminal removal and institution",
            })
        }
    }

    /// Checks that this entry follows another one directly (INS-1).
    pub fn check_succeeds(&self, previous: &ChainLink) -> Result<(), Error> {
        let here = self.link();
        let follows = self.keys.succession.is_some_and(|place| {
            previous.sequence.checked_add(1) == Some(place.sequence) && place.previous == previous.entry_hash
        });
        let same = here.institution == previous.institution && here.name == previous.name;
        let renewed = here.recipient_key_hash != previous.recipient_key_hash;
        if Defence::Succession.holds(follows && same && renewed) {
            Ok(())
        } else {
            Err(Error::Mismatch {
                what: "directory entry and the one before it",
            })
        }
    }

    /// What its successor is checked against.
    pub fn link(&self) -> ChainLink {
        ChainLink::of(&self.keys, self.entry_hash())
    }

    /// Its place in the institution's chain, from 0.
    pub fn sequence(&self) -> u64 {
        self.keys.succession.map_or(0, |place| place.sequence)
    }

    /// Its own end, once it has retired.
    pub fn retirement(&self) -> Option<&Verified<Retirement>> {
        self.retirement.as_ref()
    }

    /// The end of its accreditation, once the registrar has withdrawn that.
    pub fn withdrawal(&self) -> Option<&Verified<Withdrawal>> {
        self.withdrawal.as_ref()
    }

    /// Whether it goes on: what has ended is sealed nothing to, and given nothing (INS-14, INS-16).
    /// Refused as `accreditation-withdrawn` or `institution-retired`.
    pub fn check_goes_on(&self) -> Result<(), Problem> {
        if !Defence::Withdrawal.holds(self.withdrawal.is_none()) {
            return Err(Problem::AccreditationWithdrawn);
        }
        match self.retirement {
            Some(_) => Err(Problem::InstitutionRetired),
            None => Ok(()),
        }
    }

    /// Checks the secret that only the holder of the X-Wing key can have opened (KEY-7).
    pub fn check_secret(&self, secret: &[u8]) -> Result<(), Error> {
        if Defence::AccreditationSecret.holds(Sha256Digest::of(secret) == self.accreditation.secret_hash) {
            Ok(())
        } else {
            Err(Error::Mismatch {
                what: "accreditation secret",
            })
        }
    }

    /// Checks that the registrar lets it open in emergencies (EMG-6). Refused as `not-for-emergencies`.
    pub fn check_emergency(&self) -> Result<(), Problem> {
        if Defence::EmergencyAccreditation.holds(self.accreditation.emergency) {
            Ok(())
        } else {
            Err(Problem::NotForEmergencies)
        }
    }

    /// The institution's id, which follows from its identity key.
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

    /// The registrar's statement that vouches for this entry.
    pub fn accreditation(&self) -> &Verified<Accreditation> {
        &self.accreditation
    }
}

impl<T: Body> Signed<T> {
    /// Checks the signature of an institution or of one of its terminals, whose certificate then comes with the
    /// statement and was valid when this was made (INS-9).
    pub fn verify_by(self, institution: &Institution) -> Result<Verified<T>, Error>
    where
        T: Timestamped,
    {
        let Some(certificate) = self.terminal().cloned() else {
            return self.verify_under(institution.identity_key());
        };
        let terminal = institution.verify_terminal(certificate)?;
        if !Defence::TerminalLife.holds(self.claimed().created() <= terminal.not_after) {
            return Err(Error::Mismatch {
                what: "statement and the time of its terminal's certificate",
            });
        }
        self.verify_under(&terminal.terminal_key)
    }
}
