//! What shows whose data are that do not say it themselves, made by a server that did not write it down (OPR-1): the name of their log,
//! and whatever the registrar has signed that lies in them.

use protocol_spec::{
    Error, directory::Institution, ids::OperatorId, keys::IdentityKey, log::log_key, messages as pb,
    programs::verify_program,
};

use crate::{
    store::Ledger,
    vault::{
        core::refusal::Refusal,
        tables::{self, LogHeadRow},
    },
};

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Proof {
    /// The log's name, which follows from the operator's key (LOG-2).
    pub(super) log: Option<String>,
    pub(super) signed: Option<Signed>,
}

/// Something that a registrar has signed. One is enough: a server takes no other's.
#[derive(Clone, Debug)]
pub(super) enum Signed {
    Accreditation(Box<pb::DirectoryEntry>),
    Program(pb::Statement),
}

impl Proof {
    pub(super) async fn find(ledger: &dyn Ledger, head: Option<&LogHeadRow>) -> Result<Self, Refusal> {
        let log = head.map(LogHeadRow::log_name).transpose()?;
        let first = tables::first_institution().scan(ledger, 1).await?.pop();
        let signed = match first {
            Some((_, entry)) => Some(Signed::Accreditation(Box::new(entry))),
            None => {
                let first = tables::first_program().scan(ledger, 1).await?.pop();
                first.map(|(_, program)| Signed::Program(program))
            }
        };
        Ok(Self { log, signed })
    }

    /// The log's name, if it is not this operator's.
    pub(super) fn other_log(&self, operator: &IdentityKey) -> Option<&str> {
        let own = log_key(operator).ok();
        // Behind it a generation may follow (RST-1).
        let is_own = |log: &&String| {
            let behind = own.as_ref().and_then(|own| log.strip_prefix(own.name()));
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('/'))
        };
        self.log.as_ref().filter(|log| !is_own(log)).map(String::as_str)
    }
}

impl Signed {
    /// Whether it is by this registrar, for this operator.
    pub(super) fn is_by(&self, registrar: &IdentityKey, operator: &IdentityKey) -> bool {
        let verified: Result<(), Error> = match self.clone() {
            Self::Accreditation(entry) => {
                Institution::from_entry(*entry, registrar, OperatorId::from(operator)).map(drop)
            }
            Self::Program(program) => program
                .try_into()
                .and_then(|program| verify_program(program, registrar))
                .map(drop),
        };
        verified.is_ok()
    }
}
