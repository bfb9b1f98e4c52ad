//! Client programs that the registrar vouches for. See `spec/programs.md`.

use std::collections::BTreeMap;

use crate::{
    Error,
    bodies::Program,
    error::must,
    field::Name,
    ids::RegistrarId,
    keys::IdentityKey,
    messages as pb,
    statement::{Signed, Verified},
};

/// A program as the directory has it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Vouched {
    /// Its place in the log.
    pub index: u64,
    /// What the registrar says of it.
    #[serde(flatten)]
    pub program: Verified<Program>,
}

/// The programs of a mirror, by name, version and target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Programs(BTreeMap<[Name; 3], (u64, pb::Statement)>);

/// Checks that the pinned registrar vouches for a program (PRG-1). Whether it stands in a directory is another question.
pub fn verify_program(program: Signed<Program>, registrar: &IdentityKey) -> Result<Verified<Program>, Error> {
    let program = program.verify(registrar)?;
    must(
        program.registrar_id == RegistrarId::from(registrar),
        "program and registrar",
    )?;
    Ok(program)
}

impl Program {
    /// Whether both say the same of the same file, whenever they were signed (PRG-2).
    pub fn says_as(&self, other: &Self) -> bool {
        let Self { created, .. } = *other;
        Self {
            created,
            ..self.clone()
        } == *other
    }
}

impl Programs {
    /// Takes one whose name, version and target no other has (PRG-3).
    pub(crate) fn add(&mut self, index: u64, statement: pb::Statement) -> Result<(), Error> {
        let signed = Signed::<Program>::try_from(statement.clone())?;
        let Program {
            name,
            version,
            target,
            ..
        } = signed.claimed().clone();
        let id = [name, version, target];
        must(!self.0.contains_key(&id), "program and directory")?;
        self.0.insert(id, (index, statement));
        Ok(())
    }

    /// All of them, in the order of the log.
    pub(crate) fn verified(&self, registrar: &IdentityKey) -> Result<Vec<Vouched>, Error> {
        let verified = |(index, statement): &(u64, pb::Statement)| {
            let program = verify_program(statement.clone().try_into()?, registrar)?;
            Ok(Vouched {
                index: *index,
                program,
            })
        };
        let mut all: Vec<_> = self.0.values().map(verified).collect::<Result<_, Error>>()?;
        all.sort_by_key(|vouched| vouched.index);
        Ok(all)
    }
}
