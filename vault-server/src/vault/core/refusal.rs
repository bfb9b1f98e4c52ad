//! What the vault answers when it does not do what it was asked. The peer learns the problem's code,
//! the log learns the cause.

use std::fmt;

use protocol_spec::{Error, problem::Problem};

use crate::store::StoreError;

/// A refusal: the problem for the peer, and a cause for the log alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the peer is told.
    pub problem: Problem,
    /// Why, for the log: rules and store errors, never ids of patients, keys or contents.
    pub cause: Option<String>,
}

impl Refusal {
    /// Refuses, with the rule that was broken as the cause.
    pub fn new(problem: Problem, cause: impl fmt::Display) -> Self {
        Self {
            problem,
            cause: Some(cause.to_string()),
        }
    }

    /// There is no such thing for this principal: whether it is unknown, somebody else's or badly proven,
    /// the peer sees the same.
    pub(in crate::vault) fn absent(cause: impl fmt::Display) -> Self {
        Self::new(Problem::NotPermitted, cause)
    }

    /// What the server itself has stored breaks a rule.
    pub(in crate::vault) fn damaged(cause: impl fmt::Display) -> Self {
        Self::new(Problem::Internal, format_args!("stored data is damaged: {cause}"))
    }
}

/// `Ok` if a rule holds, else a refusal with this problem.
pub(in crate::vault) fn ensure(holds: bool, problem: Problem, rule: &str) -> Result<(), Refusal> {
    if holds {
        Ok(())
    } else {
        Err(Refusal::new(problem, rule))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, cause: None }
    }
}

/// What a client sent breaks a rule of the protocol. Signatures that do not verify and parts that do
/// not belong together look like things that are not there (API-9).
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let problem = match error {
            Error::Version { .. } => Problem::UnsupportedVersion,
            Error::DegenerateKey { .. } => Problem::DegenerateKey,
            Error::Signature | Error::Mismatch { .. } => Problem::NotPermitted,
            Error::RequestSignature { .. } => Problem::Unauthenticated,
            _ => Problem::Malformed,
        };
        Self::new(problem, error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let problem = match error {
            StoreError::Full => Problem::StorageFull,
            StoreError::Unavailable | StoreError::Contended | StoreError::Short(_) => Problem::Unavailable,
            _ => Problem::Internal,
        };
        Self::new(problem, error)
    }
}
