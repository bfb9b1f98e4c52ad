//! Which kind of principal may call a route, by the words of the table of routes: looked at as soon as the caller is
//! known, before there is memory for what he sends (API-16). The vault looks again, and closer.

use std::collections::HashMap;

use axum::extract::MatchedPath;
use http::{Method, request::Parts};
use protocol_spec::{defence::Defence, problem::Problem};

use super::api::Endpoint;
use crate::vault::{Caller, Refusal};

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Callers {
    Patients,
    Institutions,
    Both,
    /// Whoever brings it: keys that nobody knows, and those who sign nothing.
    Anybody,
}

impl Callers {
    /// None, if nobody has said what these words mean.
    fn of(words: &str) -> Option<Self> {
        match words {
            "P" | "P, a guardian" | "a delegate" => Some(Self::Patients),
            "I" | "I, identity key" | "I, two signatures" | "a terminal" => Some(Self::Institutions),
            "P, I" | "I, P" | "P; I, identity key" => Some(Self::Both),
            "anybody"
            | "P, signed by the key being enrolled"
            | "I, signed by the key being enrolled"
            | "signed by the device key that is offered" => Some(Self::Anybody),
            _ => None,
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
pub(super) struct OfRoutes(HashMap<(Method, &'static str), Callers>);

impl OfRoutes {
    pub(super) fn of(endpoints: &[Endpoint]) -> Self {
        let callers = |endpoint: &Endpoint| {
            let callers = Callers::of(endpoint.caller).unwrap_or(Callers::Anybody);
            ((endpoint.method.clone(), endpoint.path), callers)
        };
        Self(endpoints.iter().map(callers).collect())
    }

    /// Whether the route is for such callers.
    ///
    /// # Errors
    /// `not-permitted`.
    pub(super) fn check(&self, caller: &Caller, parts: &Parts) -> Result<(), Refusal> {
        let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        let callers = path.and_then(|path| self.0.get(&(parts.method.clone(), path)));
        let included = callers.is_none_or(|callers| callers.include(caller));
        if Defence::TransferShares.holds(included) {
            Ok(())
        } else {
            Err(Refusal::new(Problem::NotPermitted, "this is for others"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    /// API-16
    #[test]
    fn it_is_said_of_every_route_whom_it_is_for() {
        let (_, endpoints) = routes::api().into_parts();
        let unknown = endpoints
            .iter()
            .find(|endpoint| Callers::of(endpoint.caller).is_none());
        assert!(unknown.is_none(), "{:?}", unknown.map(|endpoint| endpoint.caller));
        let of_routes = OfRoutes::of(&endpoints);
        let commit = (Method::POST, "/v1/uploads/{upload}/commit");
        assert_eq!(of_routes.0[&commit], Callers::Institutions);
        let index = (Method::POST, "/v1/vault/index");
        assert_eq!(of_routes.0[&index], Callers::Patients);
    }
}
