//! The directory as the log has it: every event, in the log's order, verified, none left out. See `spec/log.md` §6.

mod kept;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

pub use self::kept::KeptEvent;

use crate::{
    Error,
    bodies::{Accreditation, InstitutionKeys, Retirement, Withdrawal},
    defence::Defence,
    directory::{ChainLink, Institution, verify_withdrawal},
    error::must,
    field::Name,
    hash::Sha256Digest,
    ids::{InstitutionId, OperatorId},
    keys::IdentityKey,
    log::{DirectoryHead, Entry, Generation, VerifiedCheckpoint},
    messages as pb,
    names::alike,
    programs::{Programs, Vouched, verify_program},
    restoration::{VerifiedRestoration, verify_restoration},
    statement::Signed,
};

/// Institutions, and the others that each one's name looks like.
pub type LookAlikes = BTreeMap<InstitutionId, BTreeSet<InstitutionId>>;

/// A mirror of one operator's directory, as far as it goes.
#[derive(Clone, Debug)]
pub struct Directory {
    registrar: IdentityKey,
    operator_key: IdentityKey,
    operator: OperatorId,
    head: DirectoryHead,
    /// Entries of the log that hold no event but those that are here.
    covered: u64,
    listed: BTreeMap<InstitutionId, Listed>,
    programs: Programs,
    restorations: Vec<VerifiedRestoration>,
}

/// An institution of a mirror.
#[derive(Clone, Debug)]
struct Listed {
    /// What the successor of its newest entry must name.
    link: ChainLink,
    chain: Vec<pb::DirectoryEntry>,
}

impl Directory {
    /// A mirror with nothing in it, of the directory that these keys vouch for.
    pub fn new(registrar: IdentityKey, operator_key: IdentityKey) -> Self {
        Self {
            registrar,
            operator: OperatorId::from(&operator_key),
            operator_key,
            head: DirectoryHead::NONE,
            covered: 0,
            listed: BTreeMap::new(),
            programs: Programs::default(),
            restorations: Vec::new(),
        }
    }

    /// Events, and the chain over them.
    pub fn head(&self) -> DirectoryHead {
        self.head
    }

    /// Entries of the log that hold no event but those that are here.
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// Takes the next event, which stands at this index of the log, and verifies it: the registrar's and the institution's
    /// signatures, the place in its chain (KEY-8, KEY-17, INS-1, INS-13, INS-15, PRG-3, LOG-16). That it stands there
    /// is another question. After a failure nothing has changed.
    pub fn take(&mut self, index: u64, entry: &Bytes) -> Result<(), Error> {
        match Entry::parse(entry)? {
            Entry::Salted { .. } => Err(Error::Field { field: "entry" }),
            Entry::Keys { keys, accreditation } => {
                let institution = Institution::verify(
                    keys.clone().try_into()?,
                    accreditation.clone().try_into()?,
                    &self.registrar,
                    self.operator,
                )?;
                match self.listed.get(&institution.id()) {
                    Some(listed) => {
                        must(!listed.has_retired(), "directory entry and retirement")?;
                        institution.check_succeeds(&listed.link)?;
                    }
                    None => must(institution.sequence() == 0, "chain and institution")?,
                }
                self.add(index, entry)
            }
            Entry::Retirement(retirement) => {
                let retirement = Signed::<Retirement>::try_from(retirement)?;
                let newest = self.institution(retirement.claimed().institution_id)?;
                let newest = newest.filter(|newest| newest.retirement().is_none());
                let newest = newest.ok_or(Error::Mismatch {
                    what: "retirement and directory",
                })?;
                newest.verify_retirement(retirement)?;
                self.add(index, entry)
            }
            Entry::Withdrawal(withdrawal) => {
                let withdrawal = verify_withdrawal(withdrawal.try_into()?, &self.registrar)?;
                let newest = self.newest_of(withdrawal.institution_id)?;
                must(newest.withdrawal.is_none(), "withdrawal and directory")?;
                self.add(index, entry)
            }
            Entry::Program(program) => {
                verify_program(program.try_into()?, &self.registrar)?;
                self.add(index, entry)
            }
            Entry::Restoration { operator, registrar } => {
                verify_restoration(
                    operator.try_into()?,
                    registrar.try_into()?,
                    &self.operator_key,
                    &self.registrar,
                )?;
                self.add(index, entry)
            }
        }
    }

    /// Takes an event that [`Self::take`] has verified before: signatures are not verified again, the chain is ([`Self::check`]).
    pub fn recall(&mut self, index: u64, entry: &Bytes) -> Result<(), Error> {
        self.add(index, entry)
    }

    fn add(&mut self, index: u64, entry: &Bytes) -> Result<(), Error> {
        let later = Defence::DirectoryHead.holds(index >= self.covered);
        must(later, "directory event and its place in the log")?;
        match Entry::parse(entry)? {
            Entry::Salted { .. } => return Err(Error::Field { field: "entry" }),
            Entry::Keys { keys, accreditation } => self.list(keys, accreditation)?,
            Entry::Retirement(retirement) => {
                let signed = Signed::<Retirement>::try_from(retirement.clone())?;
                self.newest_of(signed.claimed().institution_id)?.retirement = Some(retirement);
            }
            Entry::Withdrawal(withdrawal) => {
                let signed = Signed::<Withdrawal>::try_from(withdrawal.clone())?;
                self.newest_of(signed.claimed().institution_id)?.withdrawal = Some(withdrawal);
            }
            Entry::Program(program) => self.programs.add(index, program)?,
            Entry::Restoration { operator, .. } => {
                let restored = VerifiedRestoration::read(index, operator)?;
                must(
                    restored.generation == self.generation().next(),
                    "restoration and the one before",
                )?;
                self.restorations.push(restored);
            }
        }
        self.head = self.head.with(index, entry);
        self.covered = index + 1;
        Ok(())
    }

    fn list(&mut self, keys: pb::Statement, accreditation: pb::Statement) -> Result<(), Error> {
        let signed = Signed::<InstitutionKeys>::try_from(keys.clone())?;
        Signed::<Accreditation>::try_from(accreditation.clone())?;
        let link = ChainLink::of(signed.claimed(), signed.hash());
        let listed = self.listed.entry(link.institution).or_insert_with(|| Listed {
            link: link.clone(),
            chain: Vec::new(),
        });
        listed.link = link;
        // A rotation that was under way does not undo a withdrawal.
        let withdrawal = listed.chain.last().and_then(|entry| entry.withdrawal.clone());
        listed.chain.push(pb::DirectoryEntry {
            keys: Some(keys),
            accreditation: Some(accreditation),
            withdrawal,
            ..pb::DirectoryEntry::default()
        });
        Ok(())
    }

    fn newest_of(&mut self, institution: InstitutionId) -> Result<&mut pb::DirectoryEntry, Error> {
        let listed = self.listed.get_mut(&institution);
        listed
            .and_then(|listed| listed.chain.last_mut())
            .ok_or(Error::Mismatch {
                what: "directory event and institution",
            })
    }

    /// Of which generation the log is in which these are the events (RST-5).
    pub fn generation(&self) -> Generation {
        self.restorations
            .last()
            .map_or(Generation::FIRST, |restored| restored.generation)
    }

    /// The restorations that there were, in their order.
    pub fn restorations(&self) -> &[VerifiedRestoration] {
        &self.restorations
    }

    /// Checks that these are all events that the log of this checkpoint has: number and chain are those of its line (LOG-16), and that
    /// it is the log of the last restoration (RST-5). From then on an event that stands before the checkpoint's end is refused.
    pub fn check(&mut self, checkpoint: &VerifiedCheckpoint) -> Result<(), Error> {
        must(
            checkpoint.generation() == self.generation(),
            "restorations and the log's origin",
        )?;
        let same = DirectoryHead::of(checkpoint)
            .and_then(|head| must(head == self.head, "directory and the checkpoint's line"))
            .and_then(|()| must(self.covered <= checkpoint.size, "directory and the log's size"));
        Defence::DirectoryHead.check(same)?;
        self.covered = checkpoint.size;
        Ok(())
    }

    /// An institution by its newest entry, verified.
    pub fn institution(&self, id: InstitutionId) -> Result<Option<Institution>, Error> {
        let newest = self.listed.get(&id).and_then(|listed| listed.chain.last());
        newest.map(|entry| self.verified(entry)).transpose()
    }

    /// All entries of an institution, from the first to the newest, verified; none if it is not listed.
    pub fn chain(&self, id: InstitutionId) -> Result<Vec<Institution>, Error> {
        let chain = self.listed.get(&id).map_or(&[][..], |listed| &listed.chain);
        chain.iter().map(|entry| self.verified(entry)).collect()
    }

    fn verified(&self, entry: &pb::DirectoryEntry) -> Result<Institution, Error> {
        Institution::from_entry(entry.clone(), &self.registrar, self.operator)
    }

    /// All programs, in the order of the log, verified.
    pub fn programs(&self) -> Result<Vec<Vouched>, Error> {
        self.programs.verified(&self.registrar)
    }

    /// The program that a file with this SHA-256 is, if it is one (PRG-4): the first that the registrar has vouched for.
    pub fn program(&self, file_hash: &Sha256Digest) -> Result<Option<Vouched>, Error> {
        let mut all = self.programs()?.into_iter();
        Ok(all.find(|vouched| Defence::Program.holds(vouched.program.file_hash == *file_hash)))
    }

    /// Which institutions have names that look like others' (INS-17), and like whose.
    pub fn look_alikes(&self) -> LookAlikes {
        alike(self.names().map(|(id, name)| (id, name.as_str())))
    }

    /// All institutions, in the order of their ids.
    pub fn names(&self) -> impl Iterator<Item = (InstitutionId, &Name)> {
        self.listed.iter().map(|(id, listed)| (*id, &listed.link.name))
    }
}

impl Listed {
    fn has_retired(&self) -> bool {
        self.chain.last().is_some_and(|entry| entry.retirement.is_some())
    }
}
