//! The id of a patient or an institution, where either may stand.

use std::{fmt, fmt::Display, str::FromStr};

use serde_json::{Value, json};

use super::Parameter;
use crate::{
    Error,
    ids::{InstitutionId, PatientId},
};

/// A patient or an institution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalId {
    /// The id of a patient.
    Patient(PatientId),
    /// The id of an institution.
    Institution(InstitutionId),
}

impl PrincipalId {
    /// The 32 bytes, as they stand in messages.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        match self {
            Self::Patient(id) => id.as_bytes(),
            Self::Institution(id) => id.as_bytes(),
        }
    }
}

impl From<PatientId> for PrincipalId {
    fn from(id: PatientId) -> Self {
        Self::Patient(id)
    }
}

impl FromStr for PrincipalId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.parse() {
            Ok(patient) => Ok(Self::Patient(patient)),
            Err(_) => text.parse().map(Self::Institution),
        }
    }
}

impl Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patient(id) => id.fmt(f),
            Self::Institution(id) => id.fmt(f),
        }
    }
}

impl Parameter for PrincipalId {
    fn schema() -> Value {
        json!({ "anyOf": [PatientId::schema(), InstitutionId::schema()] })
    }
}
