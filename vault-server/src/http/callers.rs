//! Which kind of principal may call a route, by the table of endpoints: looked at as soon as the caller is
//! known, before there is memory for what he sends (API-16). The vault looks again, and closer.

use std::collections::HashMap;

use axum::extract::MatchedPath;
use http::{Method, request::Parts};
use protocol_spec::{
    api::{self, Callers, EndpointInfo},
    defence::Defence,
    problem::Problem,
};

use crate::vault::{Caller, Refusal};

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinds {
    Patients,
    Institutions,
    Both,
    /// Whoever brings it: keys that nobody knows, and those who sign nothing.
    Anybody,
}

impl Kinds {
    fn of(callers: Callers) -> Self {
        match callers {
            Callers::Patient | Callers::Guardian | Callers::Delegate => Self::Patients,
            Callers::Institution | Callers::IdentityKey | Callers::Holder | Callers::Terminal => {
                Self::Institutions
            }
            Callers::PatientOrInstitution | Callers::PatientOrIdentityKey => Self::Both,
            Callers::Anybody | Callers::NewPatient | Callers::NewInstitution | Callers::OfferedDevice => {
                Self::Anybody
            }
        }
    }

    fn include(self, caller: &Caller) -> bool {
        match self {
            Self::Patients => caller.institution().is_err(),
            Self::Institutions => caller.institution().is_ok(),
            Self::Both | Self::Anybody => true,
        }
    }
}

/// Whom each route is for, by method and path template.
pub(super) struct OfRoutes(HashMap<(Method, &'static str), &'static EndpointInfo>);

impl OfRoutes {
    pub(super) fn new() -> Self {
        Self(
            api::ALL
                .iter()
                .map(|row| ((row.method.clone(), row.path), *row))
                .collect(),
        )
    }

    /// What the specification says of the route, if it is one.
    pub(super) fn row(&self, parts: &Parts) -> Option<&'static EndpointInfo> {
        let path = parts.extensions.get::<MatchedPath>()?.as_str();
        self.0.get(&(parts.method.clone(), path)).copied()
    }

    /// Whether the route is for such callers.
    ///
    /// It may be refused with `not-permitted`.
    pub(super) fn check(&self, caller: &Caller, parts: &Parts) -> Result<(), Refusal> {
        let row = self.row(parts);
        let included = row.is_none_or(|row| Kinds::of(row.by).include(caller));
        if Defence::TransferShares.holds(included) {
            Ok(())
        } else {
            Err(Refusal::new(Problem::NotPermitted, "this is for others"))
        }
    }

    /// Whether a delegate may ask for it (DLG-5).
    pub(super) fn is_for_delegates(&self, parts: &Parts) -> bool {
        self.row(parts).is_some_and(|row| row.for_delegates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// API-16
    #[test]
    fn routes_are_for_whom_the_specification_says() {
        assert_eq!(Kinds::of(api::COMMIT_UPLOAD.row.by), Kinds::Institutions);
        assert_eq!(Kinds::of(api::PUT_SEGMENT.row.by), Kinds::Patients);
        assert_eq!(Kinds::of(api::INBOX.row.by), Kinds::Both);
    }
}
