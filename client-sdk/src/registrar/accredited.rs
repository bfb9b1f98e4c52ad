//! What a registrar has accredited: kept beside its key, so that it is told before it accredits a name that people
//! would take for another institution's (INS-17).

use protocol_spec::names::Look;
use serde::{Deserialize, Serialize};

use super::Applicant;
use crate::{Error, Result, home::Home};

/// An institution that this registrar has accredited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accredited {
    /// The institution's id, in its text form.
    pub institution_id: String,
    /// The name that it is known by.
    pub name: String,
    /// When, in milliseconds since 1970; the last time, if more than once.
    pub at: u64,
    /// Whether it may open in emergencies.
    pub emergency: bool,
    /// Whether the accreditation was withdrawn since.
    #[serde(default)]
    pub withdrawn: bool,
}

/// The list, in the order in which institutions were first accredited.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct List {
    format: u32,
    pub(super) accredited: Vec<Accredited>,
}

impl List {
    pub(super) fn read(home: &Home) -> Result<Self> {
        let list: Option<Self> = home.read_json(FILE)?;
        match list {
            None => Ok(Self {
                format: FORMAT,
                accredited: Vec::new(),
            }),
            Some(list) if list.format == FORMAT => Ok(list),
            Some(_) => Err(home.damaged(FILE)),
        }
    }

    pub(super) fn write(&self, home: &Home) -> Result<()> {
        home.write_json(FILE, self)
    }

    /// Others, still accredited, whose names look like this one's. Whoever is accredited anew is not like itself.
    pub(super) fn alike(&self, applicant: &Applicant) -> Vec<Accredited> {
        let (look, id) = (Look::of(&applicant.name), applicant.institution_id.to_string());
        let others = self
            .accredited
            .iter()
            .filter(|one| !one.withdrawn && one.institution_id != id);
        let alike = others.filter(|one| Look::of(&one.name).is_like(&look));
        alike.cloned().collect()
    }

    pub(super) fn add(&mut self, applicant: &Applicant, emergency: bool, at: u64) {
        let one = Accredited {
            institution_id: applicant.institution_id.to_string(),
            name: applicant.name.clone(),
            at,
            emergency,
            withdrawn: false,
        };
        match self.find(&one.institution_id) {
            Some(there) => *there = one,
            None => self.accredited.push(one),
        }
    }

    pub(super) fn find(&mut self, institution_id: &str) -> Option<&mut Accredited> {
        self.accredited
            .iter_mut()
            .find(|one| one.institution_id == institution_id)
    }
}

/// Refuses names that look like others', unless the registrar has been told and wants it so.
pub(super) fn must_differ(applicant: &Applicant, alike: &[Accredited], although: bool) -> Result<()> {
    if although || alike.is_empty() {
        return Ok(());
    }
    let others = alike
        .iter()
        .map(|one| format!("{:?} ({})", one.name, one.institution_id));
    Err(Error::LookAlike {
        name: applicant.name.clone(),
        others: others.collect(),
    })
}

const FILE: &str = "accredited.json";
const FORMAT: u32 = 1;
