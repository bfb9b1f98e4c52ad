//! Who has sent what is in an inbox.

use protocol_spec::ids::{InstitutionId, PatientId};
use serde::{Serializer, ser::SerializeMap};

use crate::DirectoryEntry;

/// Who has sent something, or would receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// A patient, by her id.
    Patient(PatientId),
    /// An institution, by its accredited name.
    Institution {
        /// The id of its first key.
        id: InstitutionId,
        /// Its name in the verified directory.
        name: String,
    },
    /// The server itself, or nobody who could be verified.
    Server,
}

impl From<&DirectoryEntry> for Party {
    fn from(entry: &DirectoryEntry) -> Self {
        Self::Institution {
            id: entry.id(),
            name: entry.name().as_str().to_owned(),
        }
    }
}

impl Party {
    pub(super) fn sender<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.under("from", "from_name", to)
    }

    pub(super) fn receiver<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.under("to", "to_name", to)
    }

    fn under<S: Serializer>(
        &self,
        id_field: &'static str,
        name_field: &'static str,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        match self {
            Self::Patient(id) => map.serialize_entry(id_field, id)?,
            Self::Institution { id, name } => {
                map.serialize_entry(id_field, id)?;
                map.serialize_entry(name_field, name)?;
            }
            Self::Server => map.serialize_entry(id_field, "server")?,
        }
        map.end()
    }
}
