//! One entry of the history, as it was read: what happened, whom it concerns, who signed for the patient.

use serde::{Serialize, Serializer};

use crate::patient::{
    history::{line::HistoryLine, named::HistorySigner, reading::Told, what::HistoryWhat},
    refs::InstitutionRef,
};

/// One entry of her history.
#[derive(Clone, Debug)]
pub struct HistoryItem {
    /// The number of the entry: from 1, without gaps.
    pub number: u64,
    /// When, in milliseconds since 1970, by the server's clock.
    pub at: u64,
    /// What happened, with what it was about.
    pub what: HistoryWhat,
    /// The institution that did it, or that it concerns.
    pub institution: Option<InstitutionRef>,
    /// Who signed, of what was done by her or for her.
    pub signer: Option<HistorySigner>,
    /// Of what is proven by the log: the size of the log under which it was proven to stand.
    pub logged: Option<u64>,
}

impl HistoryItem {
    pub(super) fn new(number: u64, at: u64, told: Told<HistoryWhat>) -> Self {
        let Told {
            what,
            institution,
            signer,
            logged,
        } = told;
        Self {
            number,
            at,
            what,
            institution,
            signer,
            logged,
        }
    }

    /// Why the entry is not believed, if it is not.
    pub fn problem(&self) -> Option<&str> {
        match &self.what {
            HistoryWhat::Unverified { problem } => Some(problem),
            _ => None,
        }
    }

    /// The entry in the columns that all entries have.
    pub fn line(&self) -> HistoryLine<'_> {
        let mut line = HistoryLine {
            id: self.number,
            at: self.at,
            institution: self.institution.as_ref(),
            log_size: self.logged,
            ..self.what.columns()
        };
        let Some(signer) = &self.signer else {
            return line;
        };
        line.answered_by = line.answered_by.or_else(|| Some(signer.to_string()));
        match signer {
            HistorySigner::Device(device) => line.device = Some(&device.name),
            HistorySigner::Delegate(delegate) => line = line.delegate(delegate),
        }
        line
    }
}

/// For programs: the object that [`HistoryItem::line`] is.
impl Serialize for HistoryItem {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.line().serialize(to)
    }
}
